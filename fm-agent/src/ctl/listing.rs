//! `fmctl alarms` and `fmctl queue`: page by page from the agent.

use fm_common::{AlarmKey, Timestamp};
use serde_json::{Value, json};

use super::args::{Filter, ViewState};
use super::failure::Failure;
use super::out::Out;
use super::status::age;
use super::table::{Cell, Mark, Table};
use super::{Agent, read, text, timed};

/// Entries of one page.
pub(super) const PAGE: u32 = 500;

/// Takes pages until there are no more or enough entries are wanted; tells whether there are more.
/// `next` gives the page behind the last entry, `wanted` says which entries count.
pub(super) fn pages(
    key: &str,
    limit: usize,
    mut next: impl FnMut(Option<&Value>) -> Result<String, Failure>,
    wanted: impl Fn(&Value) -> bool,
) -> Result<(Vec<Value>, bool), Failure> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut found: Vec<Value> = Vec::new();
    let mut last: Option<Value> = None;
    loop {
        let mut page = read(&next(last.as_ref())?)?;
        let Value::Array(entries) = page[key].take() else {
            return Err(Failure::Agent(unexpected(key)));
        };
        last = entries.last().cloned();
        for mut entry in entries.into_iter().filter(&wanted) {
            if entry["alarm"].is_object() {
                entry["alarm"] = timed(entry["alarm"].take());
            }
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(entry);
        }
        if page["more"] != true || last.is_none() {
            return Ok((found, false));
        }
    }
}

fn unexpected(key: &str) -> fm_common::client::ClientError {
    let message = format!("the agent's answer has no '{key}'; agent and fmctl may be of different versions");
    let code = fm_common::ErrorCode::Communications;
    fm_common::client::ClientError::Refused(fm_common::protocol::Refusal::new(code, message))
}

/// This node's view of its alarms.
pub(super) fn alarms(
    agent: &Agent,
    filter: &Filter,
    state: Option<ViewState>,
    limit: usize,
    out: &mut Out,
) -> Result<(), Failure> {
    let id = filter.id.as_deref().unwrap_or_default();
    let entity = filter.entity.as_deref().unwrap_or_default();
    let next = |last: Option<&Value>| {
        let after =
            last.map(|last| AlarmKey::new(text(&last["alarm_id"]), &text(&last["entity_instance_id"])));
        Ok(agent.client.view(id, entity, after, PAGE)?)
    };
    let wanted = |alarm: &Value| {
        let state = match state {
            None => true,
            Some(ViewState::Standing) => alarm["state"] == "standing",
            Some(ViewState::Pending) => alarm["state"] != "standing",
        };
        state && in_domain(filter.domain.as_deref(), alarm)
    };
    let (found, more) = pages("alarms", limit, next, wanted)?;
    if out.json {
        return Ok(out.json(&json!({ "alarms": found, "more": more }))?);
    }
    let mut table =
        Table::new(&["ALARM", "ENTITY", "SEVERITY", "DOMAIN", "STATE", "RAISED BY", "UUID", "REASON"]);
    for alarm in &found {
        let said = &alarm["alarm"];
        let severity = text(&said["severity"]);
        table.row(vec![
            text(&alarm["alarm_id"]).into(),
            text(&alarm["entity_instance_id"]).into(),
            Cell::marked(&severity, severity_mark(&severity)),
            text(&alarm["domain"]).into(),
            text(&alarm["state"]).into(),
            who(&alarm["raised_by"]).into(),
            text(&said["uuid"]).into(),
            text(&said["reason_text"]).into(),
        ]);
    }
    finish(out, &table, found.len(), "alarm", more)
}

/// Who raised an alarm, in a few words.
fn who(origin: &Value) -> String {
    match (origin["program"].as_str(), origin["uid"].as_u64()) {
        (Some(program), Some(uid)) => format!("{program}:{uid}"),
        _ => String::new(),
    }
}

/// The requests that wait.
pub(super) fn queue(agent: &Agent, domain: Option<&str>, limit: usize, out: &mut Out) -> Result<(), Failure> {
    let next = |last: Option<&Value>| {
        let after = last.and_then(|last| last["seq"].as_i64()).unwrap_or(0);
        Ok(agent.client.queue(domain.unwrap_or_default(), after, page(limit))?)
    };
    let (found, more) = pages("queue", limit, next, |_| true)?;
    if out.json {
        return Ok(out.json(&json!({ "queue": found, "more": more }))?);
    }
    let now = Timestamp::now();
    let mut table =
        Table::new(&[">NUMBER", "DOMAIN", "KIND", "ALARM", "ENTITY", "SEVERITY", ">AGE", "REASON"]);
    for request in &found {
        let severity = text(&request["severity"]);
        table.row(vec![
            text(&request["seq"]).into(),
            text(&request["domain"]).into(),
            text(&request["kind"]).into(),
            text(&request["alarm_id"]).into(),
            text(&request["entity_instance_id"]).into(),
            Cell::marked(&severity, severity_mark(&severity)),
            age(&request["taken_at"], now).into(),
            text(&request["reason_text"]).into(),
        ]);
    }
    finish(out, &table, found.len(), "request", more)
}

/// How many to ask for at once: one more than are shown tells whether there are more.
pub(super) fn page(limit: usize) -> u32 {
    u32::try_from(limit.saturating_add(1)).unwrap_or(PAGE).min(PAGE).max(if limit == 0 { PAGE } else { 1 })
}

/// Prints a list and, below it, what it is.
pub(super) fn finish(
    out: &mut Out,
    table: &Table,
    found: usize,
    what: &str,
    more: bool,
) -> Result<(), Failure> {
    if found > 0 {
        out.table(table)?;
    }
    let number = if found == 0 { "no".to_owned() } else { found.to_string() };
    let plural = if found == 1 { "" } else { "s" };
    let rest = if more { "; there are more: --limit 0 shows all" } else { "" };
    let line = format!("{number} {what}{plural}{rest}");
    let line = out.mark(&line, Mark::Dim);
    Ok(out.line(line)?)
}

pub(super) fn in_domain(domain: Option<&str>, entry: &Value) -> bool {
    domain.is_none_or(|domain| entry["domain"] == domain)
}

pub(super) fn severity_mark(severity: &str) -> Mark {
    match severity {
        "critical" | "major" => Mark::Bad,
        "minor" | "warning" => Mark::Warn,
        _ => Mark::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers up to ten, in pages of so many.
    fn numbers(limit: usize, size: u64, wanted: impl Fn(&Value) -> bool) -> (Vec<u64>, bool) {
        let next = |last: Option<&Value>| {
            let from = last.map_or(1, |last| last["n"].as_u64().unwrap() + 1);
            let until = (from + size).min(11);
            let entries: Vec<Value> = (from..until).map(|n| json!({ "n": n })).collect();
            Ok(json!({ "list": entries, "more": until < 11 }).to_string())
        };
        let (found, more) = pages("list", limit, next, wanted).unwrap();
        (found.iter().map(|entry| entry["n"].as_u64().unwrap()).collect(), more)
    }

    #[test]
    fn pages_are_put_together_up_to_the_limit() {
        assert_eq!(numbers(0, 3, |_| true), ((1..11).collect(), false));
        assert_eq!(numbers(4, 3, |_| true), (vec![1, 2, 3, 4], true));
        assert_eq!(numbers(10, 5, |_| true), ((1..11).collect(), false));
        assert_eq!(numbers(2, 3, |entry| entry["n"].as_u64().unwrap() % 5 == 0), (vec![5, 10], false));
    }

    #[test]
    fn an_answer_without_the_list_is_an_error() {
        let error = pages("list", 1, |_| Ok("{}".to_owned()), |_| true).unwrap_err();
        assert!(error.to_string().contains("'list'"), "{error}");
    }

    #[test]
    fn one_more_than_is_shown_is_asked_for() {
        assert_eq!((page(0), page(1), page(99), page(100_000)), (PAGE, 2, 100, PAGE));
    }
}
