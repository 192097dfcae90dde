//! What an answer of fm-rest-api means for the request.
//!
//! Invariants:
//! - Only the service's own words count as its answer. A page of a proxy, an ingress or another server
//!   under the same address says nothing about an alarm.
//! - Whatever may have been carried out is [`Outcome::Unclear`]; whatever certainly was not is a
//!   [`Failure`] that is not in doubt.
//!
//! Pure: status and body in, meaning out.

use reqwest::StatusCode;
use serde_json::Value;

use crate::backend::http::Reply;
use crate::backend::{Failure, FailureKind};

/// How much of a foreign or long text is shown in a reason, in characters.
const SHOWN_CHARS: usize = 300;

/// What the service said to a request that it did not refuse.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Success, with the body.
    Done(Vec<u8>),
    /// The service has no such alarm or event.
    NotFound,
    /// It may have been carried out. The failure is what follows when no question is left to ask; it
    /// is in doubt.
    Unclear(Failure),
}

/// The meaning of a complete answer to the request that `asked` describes. 401 is not decided here.
pub(super) fn interpret(asked: &str, reply: Reply) -> Result<Outcome, Failure> {
    let status = reply.status;
    if status.is_success() {
        return Ok(Outcome::Done(reply.body));
    }
    let said = words(&reply.body);
    match (status.as_u16(), said) {
        (403, _) => Err(Failure::unavailable(format!(
            "{asked}: the service does not let this account do that (403). Writing needs the role admin or \
             configurator in a project named admin or services, reading the role reader, operator or configurator"
        ))),
        (404, Said::Fault(_)) => Ok(Outcome::NotFound),
        (404, _) => Err(Failure::unavailable(format!(
            "{asked}: there is no fm-rest-api at this address (404); correct the endpoint"
        ))),
        (408, said) => Ok(unclear(FailureKind::Retry, asked, status, &said)),
        (429, said) => Err(Failure::retry(reason(asked, status, &said))),
        // What guards the service does not say these of a request's content; many another server does in its words.
        (400 | 413 | 422, said @ (Said::Nothing | Said::Fault(_) | Said::Refusal(_))) => {
            Err(Failure::rejected(reason(asked, status, &said)))
        }
        (500, said) if said.is_the_services() => Ok(unclear(FailureKind::Retry, asked, status, &said)),
        // 503 of the service is Keystone's absence, those of a proxy the service's.
        (500.., said) => Ok(unclear(FailureKind::Unavailable, asked, status, &said)),
        (_, said) => Err(Failure::unavailable(reason(asked, status, &said))),
    }
}

fn unclear(kind: FailureKind, asked: &str, status: StatusCode, said: &Said) -> Outcome {
    Outcome::Unclear(Failure { kind, reason: reason(asked, status, said), in_doubt: true })
}

fn reason(asked: &str, status: StatusCode, said: &Said) -> String {
    let code = status.as_u16();
    match said {
        Said::Nothing => format!("{asked}: {code} without a word"),
        Said::Fault(text) | Said::Refusal(text) | Said::Guard(text) => format!("{asked}: {code}, {text}"),
        Said::Foreign(text) => {
            format!(
                "{asked}: {code} with a body that is not fm-rest-api's ({text}); check the endpoint and what is before it"
            )
        }
    }
}

/// The words of an error body.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// No body: the service's failure inside a write.
    Nothing,
    /// The service's own fault about what was asked for (`faultstring`).
    Fault(String),
    /// The service about the request itself.
    Refusal(String),
    /// What guards the service, about the request or its token.
    Guard(String),
    /// Somebody else.
    Foreign(String),
}

impl Said {
    fn is_the_services(&self) -> bool {
        !matches!(self, Self::Foreign(_))
    }
}

fn words(body: &[u8]) -> Said {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Said::Nothing;
    }
    let Ok(Value::Object(document)) = serde_json::from_slice::<Value>(body) else {
        return Said::Foreign(shown(&String::from_utf8_lossy(body)));
    };
    let own = document.contains_key("error_message");
    let inner = match document.get("error_message") {
        // A JSON text inside a JSON text.
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(inner @ Value::Object(_)) => inner,
            _ => return Said::Refusal(shown(text)),
        },
        Some(inner @ Value::Object(_)) => inner.clone(),
        _ => document.get("error").cloned().unwrap_or(Value::Object(document)),
    };
    let text = |name: &str| inner.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(fault) = text("faultstring") {
        return Said::Fault(shown(fault));
    }
    match text("description").or_else(|| text("message")).or_else(|| text("title")) {
        Some(refusal) if own => Said::Refusal(shown(refusal)),
        Some(refusal) => Said::Guard(shown(refusal)),
        None => Said::Foreign(shown(&String::from_utf8_lossy(body))),
    }
}

fn shown(text: &str) -> String {
    let one_line: Vec<&str> = text.split_whitespace().collect();
    one_line.join(" ").chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, body: &str) -> Result<Outcome, Failure> {
        let status = StatusCode::from_u16(status).unwrap();
        interpret(
            "POST alarms",
            Reply { status, headers: reqwest::header::HeaderMap::default(), body: body.into() },
        )
    }

    const FAULT: &str = r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Alarm x could not be found.\", \"debuginfo\": null}"}"#;
    const TITLED: &str = r#"{"error_message": "{\"code\": 404, \"title\": \"Not Found\", \"description\": \"No such page.\"}"}"#;
    const PAGE: &str = "<html><body>502 Bad Gateway</body></html>";

    fn kind(status: u16, body: &str) -> (FailureKind, bool, String) {
        match meaning(status, body) {
            Err(failure) | Ok(Outcome::Unclear(failure)) => (failure.kind, failure.in_doubt, failure.reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_has_its_meaning() {
        use FailureKind::{Rejected, Retry, Unavailable};
        for (status, body, expected, in_doubt) in [
            (500, "", Retry, true),
            (500, FAULT, Retry, true),
            (500, PAGE, Unavailable, true),
            (502, PAGE, Unavailable, true),
            (504, "", Unavailable, true),
            (503, r#"{"message": "keystone", "code": "503 Service Unavailable"}"#, Unavailable, true),
            (408, "", Retry, true),
            (429, PAGE, Retry, false),
            (400, FAULT, Rejected, false),
            (413, "", Rejected, false),
            (422, FAULT, Rejected, false),
            (400, TITLED, Rejected, false),
            (400, PAGE, Unavailable, false),
            (400, r#"{"message": "no Route matched with those values"}"#, Unavailable, false),
            (422, r#"{"error": {"code": 422, "message": "not here"}}"#, Unavailable, false),
            (403, TITLED, Unavailable, false),
            (404, TITLED, Unavailable, false),
            (404, PAGE, Unavailable, false),
            (405, TITLED, Unavailable, false),
            (302, "", Unavailable, false),
        ] {
            let (kind, doubt, reason) = kind(status, body);
            assert_eq!((kind, doubt), (expected, in_doubt), "{status} {body}: {reason}");
            assert!(reason.starts_with("POST alarms: "), "{reason}");
        }
    }

    #[test]
    fn only_the_services_own_404_is_an_absence() {
        assert!(matches!(meaning(404, FAULT), Ok(Outcome::NotFound)));
        assert!(meaning(404, "").is_err());
        assert!(meaning(404, "default backend - 404").is_err());
    }

    #[test]
    fn the_services_words_are_found_in_each_shape() {
        assert!(kind(400, FAULT).2.contains("Alarm x could not be found."));
        assert!(kind(405, TITLED).2.contains("No such page."));
        assert!(kind(500, r#"{"error": {"code": 500, "message": "it broke"}}"#).2.contains("it broke"));
        assert!(kind(503, r#"{"message": "no keystone", "code": "503"}"#).2.contains("no keystone"));
        let long = kind(502, &PAGE.repeat(1000)).2;
        assert!(long.len() < 600 && long.contains("check the endpoint"), "{long}");
    }
}
