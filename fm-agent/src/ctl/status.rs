//! `fmctl status`.

use std::thread::sleep;
use std::time::Duration;

use fm_common::Timestamp;
use serde_json::Value;

use super::failure::Failure;
use super::out::Out;
use super::table::{Cell, Mark, Table, shown};
use super::{Agent, read, text};
use crate::store;

/// Shows the status, once or every so often.
pub(super) fn run(agent: &Agent, watch: Option<Duration>, out: &mut Out) -> Result<(), Failure> {
    let mut first = true;
    loop {
        let answer = agent.client.status();
        // Who watches wants to see the agent come back.
        let status = match (answer, watch) {
            (Ok(status), _) => Ok(read(&status)?),
            (Err(error), Some(_)) if !first => Err(error),
            (Err(error), _) => return Err(error.into()),
        };
        if watch.is_some() && out.terminal && !out.json {
            out.top()?;
        } else if !first && !out.json {
            out.line("")?;
        }
        match status {
            Ok(status) if out.json => out.json(&status)?,
            Ok(status) => show(&status, out)?,
            Err(error) if out.json => out.json(&serde_json::json!({ "error": error.to_string() }))?,
            Err(error) => out.line(error)?,
        }
        out.flush()?;
        let Some(pause) = watch else { return Ok(()) };
        first = false;
        sleep(pause);
    }
}

fn show(status: &Value, out: &mut Out) -> Result<(), Failure> {
    let uptime = duration(status["uptime_s"].as_u64().unwrap_or(0));
    out.line(format_args!(
        "fm-agent {}, pid {}, up {uptime}, durability {}, {} connections",
        text(&status["version"]),
        text(&status["pid"]),
        text(&status["durability"]),
        text(&status["connections"]),
    ))?;
    let store = &status["store"];
    if store.is_object() {
        show_store(store, out)?;
    }
    for line in trouble(status).into_iter().chain(unseen(status)) {
        out.line(line)?;
    }
    let empty = Vec::new();
    let domains = status["domains"].as_array().unwrap_or(&empty);
    let now = Timestamp::now();
    let mut table = Table::new(&[
        "DOMAIN",
        "BACKEND",
        "STATE",
        ">WAITING",
        "OLDEST",
        ">IN FLIGHT",
        ">PER S",
        ">REJECTED",
    ]);
    for domain in domains {
        let state = text(&domain["state"]);
        let mark = match state.as_str() {
            "up" => Mark::Good,
            "down" => Mark::Bad,
            _ => Mark::Plain,
        };
        let rejected = domain["rejected"].as_u64().unwrap_or(0);
        table.row(vec![
            text(&domain["name"]).into(),
            text(&domain["backend"]).into(),
            Cell::marked(&state, mark),
            text(&domain["waiting"]).into(),
            age(&domain["oldest_waiting"], now).into(),
            text(&domain["in_flight"]).into(),
            text(&domain["per_second"]).into(),
            Cell::marked(rejected.to_string(), if rejected > 0 { Mark::Warn } else { Mark::Plain }),
        ]);
    }
    out.table(&table)?;
    for domain in domains.iter().filter(|domain| domain["state"] == "down") {
        let name = text(&domain["name"]);
        let line =
            format!("{name} is down for {}: {}", age(&domain["since"], now), shown(&text(&domain["reason"])));
        out.line(line)?;
    }
    for domain in domains {
        if let Some(reason) = domain["compared"]["failed"].as_str() {
            let line = format!("{} could not be compared: {}", text(&domain["name"]), shown(reason));
            out.line(line)?;
        }
    }
    Ok(())
}

/// What became of the database since the start, where something did: what it means and where to look.
fn trouble(status: &Value) -> Vec<String> {
    let directory = shown(&text(&status["store"]["state_dir"]));
    let aside = format!("{directory}/{}*", store::DAMAGED);
    let told = [
        (
            "quarantines",
            format!(
                "damaged databases set aside since the start; what could be read goes on: look at {aside} and at the disk"
            ),
        ),
        (
            "put_back",
            format!(
                "times the database was deleted or replaced under the agent, and written anew; what had taken its place: {aside}"
            ),
        ),
        (
            "unreadable",
            "rows could not be read and were set aside since the start: fmctl rejected list".to_owned(),
        ),
    ];
    told.into_iter()
        .filter_map(|(key, meaning)| Some((status[key].as_u64().filter(|count| *count > 0)?, meaning)))
        .map(|(count, meaning)| format!("{count} {meaning}"))
        .collect()
}

/// What an operator relies on and is not there: figures, and lines of the audit log.
fn unseen(status: &Value) -> Vec<String> {
    let (metrics, audit) = (&status["metrics"], &status["audit"]);
    let mut told = Vec::new();
    if let Some(reason) = metrics["reason"].as_str() {
        let listen = shown(&text(&metrics["listen"]));
        told.push(format!("metrics are not served at {listen}, it is tried again: {}", shown(reason)));
    }
    let lost = audit["lost"].as_u64().unwrap_or(0);
    if lost > 0 {
        told.push(format!("{lost} audit lines are lost since the start"));
    }
    if let Some(reason) = audit["reason"].as_str() {
        told.push(format!("the audit log is not written: {}", shown(reason)));
    }
    told
}

/// How full the store is, and what that has come to. An agent of before has fewer of the keys.
fn show_store(store: &Value, out: &mut Out) -> Result<(), Failure> {
    let most = store["max_bytes"].as_u64().map(|most| format!(" of {}", bytes_of(most))).unwrap_or_default();
    let waiting = match (store["waiting"].as_u64(), store["max_requests"].as_u64()) {
        (Some(waiting), Some(most)) => format!(", {waiting} of {most} requests wait"),
        _ => String::new(),
    };
    out.line(format_args!(
        "store {}: {}{most} used, {} free{waiting}",
        shown(&text(&store["state_dir"])),
        size(&store["bytes"]),
        size(&store["free_bytes"]),
    ))?;
    if store["disk_full"] == true {
        out.line("the disk of the store is full: until there is room, clears are taken and nothing else")?;
    }
    let count = |key: &str| store[key].as_u64().unwrap_or(0);
    let shed: u64 =
        store["shed"].as_object().into_iter().flatten().filter_map(|(_, logs)| logs.as_u64()).sum();
    let lost = [
        (count("folded"), "folded into later ones"),
        (shed, "logs given up"),
        (count("refused_at_limit"), "refused at a limit"),
        (count("refused_disk_full"), "refused by a full disk"),
        (count("failed"), "failed at the disk"),
    ];
    if lost.iter().any(|(number, _)| *number > 0) {
        let parts = lost.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts.map(|(number, what)| format!("{number} {what}")).collect();
        out.line(format_args!("requests since the start: {}", parts.join(", ")))?;
    }
    Ok(())
}

/// How long ago a time was, for people; nothing when there is none.
pub(super) fn age(time: &Value, now: Timestamp) -> String {
    let Some(time) = time.as_str().and_then(|time| Timestamp::parse(time).ok()) else { return String::new() };
    let micros = now.as_micros().saturating_sub(time.as_micros());
    duration(u64::try_from(micros / 1_000_000).unwrap_or(0))
}

/// Seconds, for people: the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        (_, _, _) => format!("{days}d{hours:02}h"),
    }
}

fn size(bytes: &Value) -> String {
    bytes.as_u64().map(bytes_of).unwrap_or_default()
}

/// Bytes, for people.
pub(super) fn bytes_of(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "KiB", "MiB", "GiB"] {
        if bytes < unit * 1024 {
            return format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit).replace(".0 ", " ");
        }
        unit *= 1024;
    }
    format!("{} TiB", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_for_people() {
        for (seconds, told) in
            [(0, "0s"), (59, "59s"), (61, "1m01s"), (3_600, "1h00m"), (7_380, "2h03m"), (90_000, "1d01h")]
        {
            assert_eq!(duration(seconds), told);
        }
        for (bytes, told) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5 MiB"), (3 << 40, "3 TiB")]
        {
            assert_eq!(bytes_of(bytes), told);
        }
    }

    #[test]
    fn only_what_became_of_the_database_is_told() {
        let status = |quarantines: u64, put_back: u64, unreadable: u64| {
            serde_json::json!({
                "quarantines": quarantines, "put_back": put_back, "unreadable": unreadable,
                "store": { "state_dir": "/var/lib/fm-agent" },
            })
        };
        assert_eq!(trouble(&status(0, 0, 0)), [""; 0]);
        assert_eq!(trouble(&serde_json::json!({ "store": {} })), [""; 0], "an agent of before");
        let lines = trouble(&status(1, 2, 3));
        assert!(
            lines[0].starts_with("1 damaged ")
                && lines[0].contains("/var/lib/fm-agent/fm-agent.db.damaged-*")
        );
        assert!(lines[1].starts_with("2 times ") && lines[2].starts_with("3 rows "), "{lines:?}");
    }

    #[test]
    fn what_is_not_there_to_be_looked_at_is_told() {
        let status = |metrics: Option<&str>, audit: Option<&str>, lost: u64| {
            serde_json::json!({
                "metrics": { "listen": "127.0.0.1:9", "reason": metrics },
                "audit": { "to": "/a", "reason": audit, "lost": lost },
            })
        };
        assert_eq!(unseen(&status(None, None, 0)), [""; 0]);
        assert_eq!(unseen(&serde_json::json!({})), [""; 0], "an agent of before");
        let lines = unseen(&status(Some("in use"), Some("no such directory"), 7));
        assert!(lines[0].contains("127.0.0.1:9") && lines[0].ends_with("in use"), "{lines:?}");
        assert!(
            lines[1].starts_with("7 audit lines ") && lines[2].ends_with("no such directory"),
            "{lines:?}"
        );
    }

    #[test]
    fn an_age_is_since_a_time_of_the_agent() {
        let now = Timestamp::parse("2026-11-22 10:01:05").unwrap();
        assert_eq!(age(&"2026-11-22 10:00:00.000000".into(), now), "1m05s");
        assert_eq!(age(&"2026-11-22 10:05:00.000000".into(), now), "0s", "clocks may differ");
        assert_eq!(age(&Value::Null, now), "");
    }
}
