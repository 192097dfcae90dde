//! Before a request is served: may its caller ask for it; and afterwards: what is written down about it.
//!
//! Invariants:
//! - Every kind of request is named here, so that a new one has to say what it needs.
//! - The audit log has one line for each alarm that a request sets, clears or logs, for each administrators'
//!   action that changes something and for each refusal; reads that were allowed leave none.

use std::sync::Arc;

use fm_common::alarm::Intent;
use fm_common::protocol::{Answer, Refusal, Request, Response};
use fm_common::{Alarm, AlarmKey};

use crate::access::{Access, Need};
use crate::audit::{Audit, Line};
use crate::caller::Caller;
use crate::route::Router;
use crate::seldom::Seldom;

/// What stands between callers and the service.
#[derive(Debug)]
pub struct Border {
    /// Who may do what.
    pub access: Arc<Access>,
    /// Who did what.
    pub audit: Arc<Audit>,
}

/// A caller can bring about as many of these lines as it likes.
static REFUSED: Seldom = Seldom::new();

impl Border {
    /// Whether this caller may ask for this.
    pub(super) async fn admit(&self, request: &Request, caller: &Caller) -> Result<(), Refusal> {
        let admitted = self.access.admit(need(request), request.kind(), caller).await;
        if let Err(refusal) = &admitted {
            if self.audit.is_on() {
                let line = about_request(request, caller).word("result", "refused");
                self.audit.write(&line.text("reason", &refusal.message));
            }
            if let Some(kept_back) = REFUSED.may() {
                tracing::warn!(caller = %caller.origin, reason = refusal.message, kept_back, "access refused");
            }
        }
        admitted
    }

    /// What is to be written down about a request that is served, as soon as it has its answer; `None` for
    /// what is not written down.
    pub(super) fn note(&self, request: &Request, caller: &Caller, router: &Router) -> Option<Note> {
        let is_written = matches!(need(request), Need::Write | Need::Admin) && !only_looks(request);
        (self.audit.is_on() && is_written)
            .then(|| Note { audit: Arc::clone(&self.audit), lines: lines(request, caller, router) })
    }
}

/// Audit lines that wait for their request's answer.
#[derive(Debug)]
pub(super) struct Note {
    audit: Arc<Audit>,
    lines: Vec<Line>,
}

impl Note {
    /// Writes the lines.
    pub(super) fn write(self, response: &Response) {
        for (index, line) in self.lines.into_iter().enumerate() {
            self.audit.write(&match response {
                Err(refusal) => line.word("result", refusal.code).text("reason", &refusal.message),
                Ok(Answer::Uuid(uuid)) => line.text("uuid", uuid).word("result", "ok"),
                Ok(Answer::Uuids(uuids)) => {
                    line.text("uuid", uuids.get(index).map_or("", String::as_str)).word("result", "ok")
                }
                Ok(_) => line.word("result", "ok"),
            });
        }
    }
}

/// What a request needs of its caller.
fn need(request: &Request) -> Need {
    match request {
        Request::Set(_)
        | Request::SetList(_)
        | Request::Clear(_)
        | Request::ClearAll { .. }
        | Request::ClearList(_) => Need::Write,
        Request::Get(_)
        | Request::ListByEntity { .. }
        | Request::ListById { .. }
        | Request::ListByIdAndEntity(_)
        | Request::Status => Need::Read,
        // Whoever may only write has to know when what was sent is on disk.
        Request::Ping => Need::Nothing,
        Request::Rejected { .. }
        | Request::Replay { .. }
        | Request::Drop { .. }
        | Request::Explain { .. }
        | Request::Resync { .. }
        | Request::Queue { .. }
        | Request::View { .. }
        | Request::Watch { .. } => Need::Admin,
    }
}

/// Whether an administrator's request changes nothing.
fn only_looks(request: &Request) -> bool {
    matches!(
        request,
        Request::Rejected { .. }
            | Request::Explain { .. }
            | Request::Queue { .. }
            | Request::View { .. }
            | Request::Watch { .. }
    )
}

fn lines(request: &Request, caller: &Caller, router: &Router) -> Vec<Line> {
    let set = |alarm: &Alarm| {
        let action = match alarm.intent() {
            Intent::Raise => "set",
            Intent::Clear => "clear",
            Intent::Log => "log",
        };
        about(action, &alarm.key(), caller)
            .text("severity", alarm.severity.as_str())
            .word("domain", router.owner(alarm).domain)
    };
    let clear = |key: &AlarmKey| about("clear", key, caller).word("domain", router.owner_of_key(key).domain);
    match request {
        Request::Set(alarm) => vec![set(alarm)],
        Request::SetList(alarms) => alarms.iter().map(set).collect(),
        Request::Clear(key) => vec![clear(key)],
        Request::ClearList(keys) => keys.iter().map(clear).collect(),
        other => vec![about_request(other, caller)],
    }
}

/// A line with the kind of a request, and what it is about.
fn about_request(request: &Request, caller: &Caller) -> Line {
    let line = || Line::new(request.kind(), &caller.origin);
    match request {
        Request::Set(alarm) => about(request.kind(), &alarm.key(), caller),
        Request::Clear(key) | Request::Get(key) | Request::ListByIdAndEntity(key) => {
            about(request.kind(), key, caller)
        }
        Request::ClearAll { entity_instance_id } | Request::ListByEntity { entity_instance_id } => {
            line().text("entity", entity_instance_id)
        }
        Request::ListById { alarm_id } => line().text("alarm_id", alarm_id),
        Request::SetList(alarms) => line().word("entries", alarms.len()),
        Request::ClearList(keys) => line().word("entries", keys.len()),
        Request::Replay { seq } | Request::Drop { seq } => line().word("seq", seq),
        Request::Explain { alarm_id, entity_instance_id, .. } => {
            line().text("alarm_id", alarm_id).text("entity", entity_instance_id)
        }
        Request::Resync { domain } => line().text("domain", domain),
        Request::Ping
        | Request::Status
        | Request::Rejected { .. }
        | Request::Queue { .. }
        | Request::View { .. }
        | Request::Watch { .. } => line(),
    }
}

fn about(action: &str, key: &AlarmKey, caller: &Caller) -> Line {
    Line::new(action, &caller.origin).text("alarm_id", &key.alarm_id).text("entity", &key.entity_instance_id)
}
