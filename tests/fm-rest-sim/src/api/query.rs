//! The filters of a list: `q.field`, `q.op`, `q.value`, repeated, and the limit.

use crate::reply::Refusal;
use crate::request::Request;

/// Default and largest length of a page.
pub(super) const PAGE: i64 = 2000;

/// What may be said about a page besides its filters.
pub(super) const PAGE_PARAMETERS: [&str; 7] =
    ["q.field", "q.op", "q.value", "marker", "limit", "sort_key", "sort_dir"];

/// The filters that count, in order: those with another operator than `eq` are dropped.
///
/// A field given twice stands once, with its last value.
pub(super) fn filters(request: &Request) -> Result<Vec<(String, String)>, Refusal> {
    let values = |name: &str| {
        let name = name.to_owned();
        request.query.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.clone())
    };
    let mut operators = values("q.op");
    let mut wanted = values("q.value");
    let mut found: Vec<(String, String)> = Vec::new();
    for field in values("q.field") {
        let operator = operators.next().unwrap_or_else(|| "eq".to_owned());
        let value = wanted.next().ok_or_else(|| missing("value"))?;
        if operator == "eq" {
            found.retain(|(known, _)| *known != field);
            found.push((field, value));
        }
    }
    if wanted.next().is_some() { Err(missing("field")) } else { Ok(found) }
}

fn missing(attribute: &str) -> Refusal {
    Refusal::bad_request(format!(
        "Invalid input for field/attribute {attribute}. Value: 'None'. Mandatory field missing."
    ))
}

/// The limit as given: `None` without one, an error for what is no number or negative.
pub(super) fn limit(request: &Request) -> Result<Option<i64>, Refusal> {
    let Some(text) = request.parameter("limit").filter(|text| !text.is_empty()) else { return Ok(None) };
    let limit: i64 = text.parse().map_err(|_| {
        Refusal::bad_request(format!(
            "Invalid input for field/attribute limit. Value: '{text}'. unable to convert to int"
        ))
    })?;
    if limit < 0 { Err(Refusal::bad_request("Limit must be positive")) } else { Ok(Some(limit)) }
}

/// Refuses a sort direction there is none of; the direction itself has no effect on lists.
pub(super) fn check_sort_dir(request: &Request) -> Result<(), Refusal> {
    match request.parameter("sort_dir") {
        None | Some("asc" | "desc") => Ok(()),
        Some(other) => Err(Refusal::bad_request(format!(
            "Invalid sort direction: {other}. Acceptable values are 'asc' or 'desc'"
        ))),
    }
}

/// A page after the first: the real service fails on it.
pub(super) fn refuse_marker(request: &Request) -> Result<(), Refusal> {
    match request.parameter("marker") {
        Some(marker) if !marker.is_empty() => {
            Err(Refusal::Server("the query of a following page cannot be built".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The answer to a filter on a field there is none of.
pub(super) fn unknown_field(field: &str) -> Refusal {
    Refusal::Server(format!("got an unexpected keyword argument '{field}'"))
}
