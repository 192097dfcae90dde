//! The body of POST and PUT: which attributes it may have, and of which type.

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::config::Dialect;
use crate::reply::Refusal;
use crate::request::{Request, bad_utf8};
use crate::rows::AlarmFields;
use crate::text::{LONE_SURROGATE, is_uuid_like};
use crate::timestamp;

const MANDATORY: [&str; 6] =
    ["alarm_id", "alarm_state", "entity_instance_id", "severity", "alarm_type", "probable_cause"];

/// The attributes of a request's body; an absent or null uuid is empty.
pub(super) fn parse(dialect: Dialect, request: &Request) -> Result<AlarmFields, Refusal> {
    let object = json_object(request)?;
    let mut fields = AlarmFields::default();
    for (name, value) in &object {
        set(dialect, &mut fields, name, value)?;
    }
    match MANDATORY.iter().find(|name| !object.contains_key(**name)) {
        Some(name) => Err(invalid(name, &Value::String("None".to_owned()), "Mandatory field missing.")),
        None => Ok(fields),
    }
}

fn json_object(request: &Request) -> Result<Map<String, Value>, Refusal> {
    match request.media_type().as_str() {
        "application/json" => {}
        "application/x-www-form-urlencoded" | "multipart/form-data" => return Err(no_argument()),
        other => return Err(wrong_media_type(other)),
    }
    if request.body.is_empty() {
        return Err(no_argument());
    }
    let text = std::str::from_utf8(&request.body).map_err(|_| bad_utf8())?;
    match serde_json::from_str(&mark_lone_surrogates(text)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Err(no_argument()),
        Ok(other) => Err(invalid("alarm_data", &other, "Expected an object.")),
        Err(_) => Err(Refusal::bad_request("Request is not in valid JSON format")),
    }
}

fn no_argument() -> Refusal {
    Refusal::bad_request("Missing argument: \"alarm_data\"")
}

/// The answer to a body of another media type than JSON.
pub(super) fn wrong_media_type(media_type: &str) -> Refusal {
    Refusal::Client(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unknown mimetype: {media_type}"))
}

fn invalid(name: &str, value: &Value, why: &str) -> Refusal {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Refusal::bad_request(format!("Invalid input for field/attribute {name}. Value: '{value}'. {why}"))
}

fn set(dialect: Dialect, fields: &mut AlarmFields, name: &str, value: &Value) -> Result<(), Refusal> {
    let text = || match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(invalid(name, other, "Wrong type. Expected '<class 'str'>'.")),
    };
    let boolean = || match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(*value)),
        other => Err(invalid(name, other, "Wrong type. Expected '<class 'bool'>'.")),
    };
    match name {
        "uuid" => {
            fields.uuid = match text()? {
                None => String::new(),
                Some(uuid) if is_uuid_like(&uuid) => uuid,
                Some(uuid) => return Err(invalid(name, &Value::String(uuid), "Expected a uuid.")),
            }
        }
        "timestamp" => {
            fields.timestamp = match text()? {
                None => None,
                Some(text) => Some(
                    timestamp::parse(dialect, &text)
                        .ok_or_else(|| invalid(name, value, "Expected a date and time."))?,
                ),
            }
        }
        "alarm_id" => fields.alarm_id = text()?,
        "alarm_state" => fields.alarm_state = text()?,
        "entity_type_id" => fields.entity_type_id = text()?,
        "entity_instance_id" => fields.entity_instance_id = text()?,
        "severity" => fields.severity = text()?,
        "reason_text" => fields.reason_text = text()?,
        "alarm_type" => fields.alarm_type = text()?,
        "probable_cause" => fields.probable_cause = text()?,
        "proposed_repair_action" => fields.proposed_repair_action = text()?,
        "service_affecting" => fields.service_affecting = boolean()?,
        "suppression" => fields.suppression = boolean()?,
        _ => return Err(Refusal::bad_request(format!("Unknown attribute: {name}"))),
    }
    Ok(())
}

/// Replaces `\uD800`-like escapes without their other half by a mark the store refuses, since the
/// real parser takes them and the databases do not.
fn mark_lone_surrogates(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        marked.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match (code_unit(rest), rest.get(6..).and_then(code_unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                marked.push(LONE_SURROGATE);
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // Any other escape: the backslash and the character it escapes.
            (None, _) => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
        };
        marked.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    marked.push_str(rest);
    marked
}

/// The code unit of a `\uXXXX` escape at the start of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_marked() {
        assert_eq!(mark_lone_surrogates(r#""a\ud800b""#), "\"a\u{fdd0}b\"");
        assert_eq!(mark_lone_surrogates(r#""\udc00\ud83d\ude00""#), "\"\u{fdd0}\\ud83d\\ude00\"");
        assert_eq!(mark_lone_surrogates(r#""\\ud800\n\u00e9""#), r#""\\ud800\n\u00e9""#);
        assert_eq!(mark_lone_surrogates("\"\\"), "\"\\");
    }
}
