//! One attempt at one request: what is asked of the backend, and what follows from its answer.

use std::time::Instant;

use fm_common::AlarmKey;

use crate::backend::{Backend, Clear, ClearAll, Delivered, Failure, FailureKind, Log, Raise};
use crate::store::{Report, RequestKind};

use super::lanes::Next;

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The store is told; `unclear` answers slow the domain down.
    Finished { report: Report, unclear: bool },
    /// Again after a pause of its own; the domain is well, but may have too much to do.
    Again(Failure),
    /// Again after a pause of its own; the controller answered cleanly, nothing slows down.
    Waits(Failure),
    /// The domain is down.
    Down(Failure),
    /// No attempt was made: the store has given the request up.
    GivenUp,
}

impl Outcome {
    /// As the metrics name it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Finished { report: Report::Rejected { .. }, .. } => "rejected",
            Self::Finished { .. } => "done",
            Self::Again(_) => "again",
            Self::Waits(_) => "waits",
            Self::Down(_) => "down",
            Self::GivenUp => "given_up",
        }
    }
}

/// The alarm whose uuid at the controller the attempt needs to know.
pub(super) fn needs_standing(kind: &RequestKind) -> Option<AlarmKey> {
    match kind {
        RequestKind::Raise { alarm, .. } => Some(alarm.key()),
        RequestKind::Clear { key } => Some(key.clone()),
        RequestKind::ClearAll { .. } | RequestKind::Log { .. } | RequestKind::Remove { .. } => None,
    }
}

/// What an attempt knows of its alarms at the controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The uuid under which it stood there last.
    pub(super) standing: Option<String>,
    /// For a clear-all: the uuids under which what it covers stood there last.
    pub(super) covered: Vec<String>,
    /// Nothing stood under its key a moment ago: how long that may be relied on.
    pub(super) absent_until: Option<Instant>,
}

/// Makes the attempt.
pub(super) async fn attempt(backend: &dyn Backend, next: Next, known: Known) -> Outcome {
    let Known { standing, covered, absent_until } = known;
    let Next { request, in_doubt } = next;
    let seq = request.seq;
    let delivered = match request.kind {
        RequestKind::Raise { alarm, uuid } => {
            backend.raise(&Raise { alarm: *alarm, uuid, standing, absent_until, in_doubt }).await
        }
        RequestKind::Clear { key } => backend.clear(&Clear { key, standing }).await,
        RequestKind::ClearAll { entity_instance_id, rule } => {
            backend.clear_all(&ClearAll { entity_instance_id, rule, standing: covered }).await
        }
        RequestKind::Remove { key, uuid } => backend.remove(&key, &uuid).await,
        RequestKind::Log { alarm, uuid } => backend.log(&Log { alarm: *alarm, uuid, in_doubt }).await,
    };
    follows(seq, delivered)
}

fn follows(seq: i64, delivered: Result<Delivered, Failure>) -> Outcome {
    match delivered {
        Ok(Delivered { uuid, unclear }) => Outcome::Finished { report: Report::Done { seq, uuid }, unclear },
        Err(failure) => match failure.kind {
            FailureKind::Rejected => {
                let report = Report::Rejected { seq, answer: failure.reason };
                Outcome::Finished { report, unclear: false }
            }
            FailureKind::Retry => Outcome::Again(failure),
            FailureKind::Waits => Outcome::Waits(failure),
            FailureKind::Unavailable => Outcome::Down(failure),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: FailureKind) -> Result<Delivered, Failure> {
        Err(Failure { kind, reason: "said so".to_owned(), in_doubt: true })
    }

    #[test]
    fn the_outcome_table() {
        let done = follows(7, Ok(Delivered { uuid: Some("u".into()), unclear: true }));
        let report = Report::Done { seq: 7, uuid: Some("u".into()) };
        assert_eq!(done, Outcome::Finished { report, unclear: true });
        let report = Report::Rejected { seq: 7, answer: "said so".into() };
        assert_eq!(follows(7, failed(FailureKind::Rejected)), Outcome::Finished { report, unclear: false });
        assert!(matches!(follows(7, failed(FailureKind::Retry)), Outcome::Again(it) if it.in_doubt));
        assert!(matches!(follows(7, failed(FailureKind::Waits)), Outcome::Waits(it) if it.in_doubt));
        assert!(matches!(follows(7, failed(FailureKind::Unavailable)), Outcome::Down(it) if it.in_doubt));
    }
}
