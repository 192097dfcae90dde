//! `fmctl tail`: what passes through the agent, as it passes.
//!
//! Invariant: the agent never waits for it. Who reads too slowly is told how many events were lost.

use std::thread::sleep;
use std::time::Duration;

use fm_common::client::ClientError;
use fm_common::entity::{EntityMatch, canonical};
use serde_json::{Value, json};

use super::args::Filter;
use super::failure::Failure;
use super::out::Out;
use super::table::{Mark, shown};
use super::{Agent, read, text};

/// Events of one answer.
const MOST: u32 = 500;
/// How long it waits before it asks an agent again that was there and has gone.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) fn run(agent: &Agent, filter: &Filter, limit: Option<u64>, out: &mut Out) -> Result<(), Failure> {
    let (mut run, mut next) = (0, 0);
    let mut shown_events = 0;
    let mut away = false;
    while limit.is_none_or(|limit| shown_events < limit) {
        let answer = match agent.client.watch(run, next, MOST) {
            Ok(answer) => read(&answer)?,
            // An agent that is started anew is waited for.
            Err(ClientError::NotRunning { .. } | ClientError::Broken { .. }) if run != 0 => {
                if !away {
                    note(out, "the agent is away", &json!({ "event": "away" }))?;
                }
                away = true;
                sleep(AGAIN);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if answer["restarted"] == true {
            note(out, "the agent was started anew", &json!({ "event": "restarted" }))?;
        }
        away = false;
        if let Some(lost) = answer["lost"].as_u64().filter(|lost| *lost > 0) {
            note(
                out,
                &format!("{lost} events lost: read faster"),
                &json!({ "event": "lost", "count": lost }),
            )?;
        }
        (run, next) = (answer["run"].as_u64().unwrap_or(0), answer["next"].as_u64().unwrap_or(0));
        for event in answer["events"].as_array().into_iter().flatten() {
            if limit.is_some_and(|limit| shown_events >= limit) {
                break;
            }
            if lets_through(filter, event) {
                shown_events += 1;
                if out.json { out.json(event)? } else { out.line(line(event, out))? }
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// Something about the stream itself.
fn note(out: &mut Out, words: &str, event: &Value) -> Result<(), Failure> {
    if out.json {
        out.json(event)?;
    } else {
        let words = out.mark(&format!("-- {words} --"), Mark::Warn);
        out.line(words)?;
    }
    Ok(out.flush()?)
}

fn lets_through(filter: &Filter, event: &Value) -> bool {
    let id = filter.id.as_ref().is_none_or(|id| event["alarm_id"] == id.as_str());
    let entity = filter.entity.as_ref().is_none_or(|filter| {
        let entity = event["entity_instance_id"].as_str().unwrap_or_default();
        EntityMatch::default().covers(canonical(filter), entity)
    });
    // What callers ask for has no domain yet.
    let domain = filter
        .domain
        .as_ref()
        .is_none_or(|domain| event["domain"].as_str().is_none_or(|owner| owner == domain));
    id && entity && domain
}

fn line(event: &Value, out: &Out) -> String {
    let outcome = text(&event["outcome"]);
    let mark = match outcome.as_str() {
        "ok" | "done" => Mark::Good,
        "again" | "waits" => Mark::Warn,
        _ => Mark::Bad,
    };
    let mut words = vec![text(&event["at"]), text(&event["event"])];
    for key in ["kind", "severity", "alarm_id", "entity_instance_id"] {
        let word = shown(&text(&event[key]));
        if !word.is_empty() {
            words.push(word);
        }
    }
    if let Some(domain) = event["domain"].as_str() {
        words.push(format!("to {domain} (request {}, {} ms)", event["seq"], event["ms"]));
    }
    if let Some(uid) = event["uid"].as_u64() {
        words.push(format!("by uid {uid}"));
    }
    words.push(out.mark(&outcome, mark));
    for key in ["reason", "reason_text"] {
        let said = shown(&text(&event[key]));
        if !said.is_empty() {
            words.push(format!("'{said}'"));
        }
    }
    words.join(" ")
}
