//! What goes wrong, and for which requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::Action;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No answer; the connection stays open.
    Hang,
    /// The request is looked at so much later.
    Slow(Duration),
    /// The connection is reset instead of an answer.
    Reset,
    /// An answer with a length that fits and bytes that do not.
    Garbage,
    /// Half of the answer, then the connection ends.
    HalfAnswer,
    /// This return code and no body.
    Code(u32),
    /// The process dies: connections are reset, what is queued is lost, the port refuses until a restart.
    Die,
}

/// One fault and the requests it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) applied: bool,
    pub(crate) action: Option<Action>,
    pub(crate) count: Option<u32>,
}

impl Fault {
    /// A fault for every request, with nothing carried out.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, applied: false, action: None, count: None }
    }

    /// The request is carried out all the same.
    #[must_use]
    pub fn applied(self) -> Self {
        Self { applied: true, ..self }
    }

    /// Only for this action.
    #[must_use]
    pub fn on(self, action: Action) -> Self {
        Self { action: Some(action), ..self }
    }

    /// Only for the next so many matching requests.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { count: Some(count), ..self }
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault that decides a request: the first that fits.
    pub(crate) fn decide(&self, action: Action) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |fault: &Fault| fault.action.is_none_or(|wanted| wanted == action);
        let index = faults.iter().position(fits)?;
        let fault = faults[index];
        if let Some(count) = &mut faults[index].count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                faults.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_ends_and_a_restricted_one_spares_the_rest() {
        let faults = Faults::default();
        faults.add(Fault::new(FaultKind::Hang).on(Action::Create).times(2));
        assert_eq!(faults.decide(Action::Get), None);
        assert!(faults.decide(Action::Create).is_some());
        assert!(faults.decide(Action::Create).is_some());
        assert_eq!(faults.decide(Action::Create), None);
    }
}
