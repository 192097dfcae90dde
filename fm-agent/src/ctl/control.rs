//! `fmctl route`, `resync`, `flush` and `check-config`.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use serde_json::{Value, json};

use super::args::Wait;
use super::failure::Failure;
use super::out::Out;
use super::table::shown;
use super::{Agent, hints, read, text};
use crate::config::{self, DEFAULT_PATH};

/// How often is looked whether what waited has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Which domain would get an alarm.
pub(super) fn route(
    agent: &Agent,
    alarm_id: &str,
    entity: &str,
    entity_type: Option<&str>,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut said = read(&agent.client.explain(alarm_id, entity_type.unwrap_or_default(), entity)?)?;
    let hint = hints::alarm_id(alarm_id);
    if out.json {
        said["hint"] = hint.into();
        return Ok(out.json(&said)?);
    }
    out.line(shown(&text(&said["decision"])))?;
    if let Some(domain) = said["recorded"].as_str().filter(|domain| said["domain"] != *domain) {
        out.line(format_args!("it stands in {domain}: a clear goes there"))?;
    }
    if let Some(hint) = hint {
        out.line(hint)?;
    }
    Ok(())
}

/// Compares controllers with what this node raised.
pub(super) fn resync(agent: &Agent, domain: Option<String>, out: &mut Out) -> Result<(), Failure> {
    let domains = match domain {
        Some(domain) => vec![domain],
        None => with_controller(agent)?,
    };
    if domains.is_empty() {
        return Err(Failure::NotSo("no domain has a controller: the record is this node's own".to_owned()));
    }
    let mut done = Vec::new();
    let mut failed = None;
    for domain in domains {
        match agent.client.resync(&domain) {
            Ok(answer) => {
                let said = read(&answer)?;
                if !out.json {
                    out.line(told(&said))?;
                }
                done.push(said);
            }
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    super::tell(&earlier.to_string());
                }
            }
        }
    }
    if out.json {
        out.json(&json!({ "resync": done }))?;
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn told(said: &Value) -> String {
    let domain = text(&said["domain"]);
    if said["state"] == "running" {
        return format!("{domain}: under way; fmctl status and the agent's log tell its end");
    }
    format!(
        "{domain}: {} raised again, {} removed, {} removed there by others and respected, {} left alone",
        said["raised"], said["removed"], said["respected"], said["left"]
    )
}

fn with_controller(agent: &Agent) -> Result<Vec<String>, Failure> {
    let status = read(&agent.client.status()?)?;
    let domains = status["domains"].as_array().cloned().unwrap_or_default();
    Ok(domains
        .iter()
        .filter(|domain| domain["backend"] != "standalone")
        .map(|domain| text(&domain["name"]))
        .collect())
}

/// Waits until everything is on disk, and delivered if that is asked for.
pub(super) fn flush(agent: &Agent, wait: Option<Wait>, out: &mut Out) -> Result<(), Failure> {
    agent.client.ping()?;
    let Some(wait) = wait else {
        return if out.json { Ok(out.json(&json!({ "on_disk": true }))?) } else { Ok(()) };
    };
    let started = Instant::now();
    let first = read(&agent.client.queue("", 0, 1)?)?;
    let mut left = first["queue"][0]["seq"].as_i64();
    if let Some(last) = first["last"].as_i64() {
        while left.is_some_and(|oldest| oldest <= last) {
            if matches!(wait, Wait::For(limit) if started.elapsed() >= limit) {
                if out.json {
                    out.json(&json!({ "delivered": false, "oldest": left, "last": last }))?;
                }
                let waited = started.elapsed().as_secs_f64();
                let reason = format!(
                    "after {waited:.1} s request {} and perhaps others up to {last} still wait; fmctl status says why",
                    left.unwrap_or_default()
                );
                return Err(Failure::NotSo(reason));
            }
            sleep(LOOK_AGAIN);
            left = read(&agent.client.queue("", 0, 1)?)?["queue"][0]["seq"].as_i64();
        }
    }
    if out.json { Ok(out.json(&json!({ "delivered": true }))?) } else { Ok(()) }
}

/// Checks a configuration as the agent would.
pub(super) fn check_config(file: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let named = file.map_or(DEFAULT_PATH.to_owned(), |file| file.display().to_string());
    match config::load(file, environment()) {
        Ok(_) if out.json => Ok(out.json(&json!({ "file": named, "good": true, "error": null }))?),
        Ok(_) => Ok(out.line("configuration is good")?),
        Err(error) => {
            if out.json {
                out.json(&json!({ "file": named, "good": false, "error": error.to_string() }))?;
            }
            Err(Failure::Config(error.to_string()))
        }
    }
}

/// The variables that are texts, as the agent takes them.
pub(super) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Whether nothing was found, rather than something failed.
pub(super) fn is_not_found(error: &fm_common::client::ClientError) -> bool {
    error.code() == ErrorCode::EntityNotFound
}
