//! `fmctl rejected`: what controllers refused for good.

use fm_common::entity::EntityMatch;
use fm_common::{Timestamp, entity};
use serde_json::{Value, json};

use super::args::{Filter, Rejected, Selection};
use super::failure::Failure;
use super::listing::{PAGE, finish, in_domain, pages};
use super::out::Out;
use super::status::age;
use super::table::{Mark, Table, shown};
use super::{Agent, read, text, timed};

pub(super) fn run(agent: &Agent, what: Rejected, out: &mut Out) -> Result<(), Failure> {
    match what {
        Rejected::List { filter, limit } => list(agent, &filter, limit, out),
        Rejected::Show { seq } => show(agent, seq, out),
        Rejected::Replay(selection) => {
            each(agent, selection, out, "replayed", |seq| agent.client.replay(seq))
        }
        Rejected::Drop(selection) => {
            each(agent, selection, out, "dropped", |seq| agent.client.drop_rejected(seq))
        }
    }
}

fn found(agent: &Agent, filter: &Filter, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let next = |last: Option<&Value>| {
        let after = last.and_then(|last| last["seq"].as_i64()).unwrap_or(0);
        Ok(agent.client.rejected(after, PAGE)?)
    };
    pages("rejected", limit, next, |entry| lets_through(filter, entry))
}

fn lets_through(filter: &Filter, entry: &Value) -> bool {
    let id = filter.id.as_ref().is_none_or(|id| entry["alarm_id"] == id.as_str());
    let entity = filter.entity.as_ref().is_none_or(|filter| {
        let entity = entry["entity_instance_id"].as_str().unwrap_or_default();
        EntityMatch::default().covers(entity::canonical(filter), entity)
    });
    id && entity && in_domain(filter.domain.as_deref(), entry)
}

fn list(agent: &Agent, filter: &Filter, limit: usize, out: &mut Out) -> Result<(), Failure> {
    let (found, more) = found(agent, filter, limit)?;
    if out.json {
        return Ok(out.json(&json!({ "rejected": found, "more": more }))?);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&[">NUMBER", "DOMAIN", "KIND", "ALARM", "ENTITY", ">AGE", "ANSWER"]);
    for entry in &found {
        table.row(vec![
            text(&entry["seq"]).into(),
            text(&entry["domain"]).into(),
            text(&entry["kind"]).into(),
            text(&entry["alarm_id"]).into(),
            text(&entry["entity_instance_id"]).into(),
            age(&entry["rejected_at"], now).into(),
            text(&entry["answer"]).into(),
        ]);
    }
    finish(out, &table, found.len(), "rejected request", more)
}

fn show(agent: &Agent, seq: i64, out: &mut Out) -> Result<(), Failure> {
    let page = read(&agent.client.rejected(seq.saturating_sub(1), 1)?)?;
    let mut entry = page["rejected"][0].clone();
    if entry["alarm"].is_object() {
        entry["alarm"] = timed(entry["alarm"].take());
    }
    if entry["seq"] != seq {
        return Err(Failure::NotSo(format!("no refused request has the number {seq}")));
    }
    if out.json {
        return Ok(out.json(&entry)?);
    }
    let names =
        ["seq", "domain", "kind", "alarm_id", "entity_instance_id", "taken_at", "rejected_at", "answer"];
    for name in names {
        line(out, name, &entry[name])?;
    }
    if let Value::Object(alarm) = &entry["alarm"] {
        for (name, value) in alarm.iter().filter(|(name, _)| !names.contains(&name.as_str())) {
            line(out, name, value)?;
        }
    }
    Ok(())
}

fn line(out: &mut Out, name: &str, value: &Value) -> Result<(), Failure> {
    let name = out.mark(&format!("{name:<24}"), Mark::Bold);
    Ok(out.line(format_args!("{name}{}", shown(&text(value))))?)
}

/// Does something to each request that is selected. One that is gone meanwhile is told of, and holds nothing up.
fn each(
    agent: &Agent,
    selection: Selection,
    out: &mut Out,
    done: &str,
    act: impl Fn(i64) -> Result<(), fm_common::client::ClientError>,
) -> Result<(), Failure> {
    let seqs = if selection.all {
        let (found, _) = found(agent, &selection.filter, 0)?;
        found.iter().filter_map(|entry| entry["seq"].as_i64()).collect()
    } else {
        selection.seqs
    };
    let (mut acted, mut missing) = (Vec::new(), Vec::new());
    for seq in seqs {
        match act(seq) {
            Ok(()) => acted.push(seq),
            Err(error) if error.code() == fm_common::ErrorCode::EntityNotFound => missing.push(seq),
            Err(error) => {
                let so_far = acted.len();
                super::tell(&format!("{so_far} {done} before the failure"));
                return Err(error.into());
            }
        }
    }
    if out.json {
        out.json(&json!({ done: acted, "missing": missing }))?;
    } else {
        out.line(format_args!("{} {done}", acted.len()))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.iter().map(i64::to_string).collect();
    Err(Failure::NotSo(format!("no refused request has the number {}", missing.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lets_through_what_it_means() {
        let entry =
            json!({"domain": "platform", "alarm_id": "100.101", "entity_instance_id": "host=a.port=b"});
        let filter = |id: Option<&str>, entity: Option<&str>, domain: Option<&str>| Filter {
            id: id.map(str::to_owned),
            entity: entity.map(str::to_owned),
            domain: domain.map(str::to_owned),
        };
        for (filter, through) in [
            (filter(None, None, None), true),
            (filter(Some("100.101"), Some("host=a"), Some("platform")), true),
            (filter(Some("100.10"), None, None), false),
            (filter(None, Some("host"), None), true),
            (filter(None, Some("host=a.po"), None), false),
            (filter(None, None, Some("openstack")), false),
        ] {
            assert_eq!(lets_through(&filter, &entry), through, "{filter:?}");
        }
    }
}
