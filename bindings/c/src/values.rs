//! Enumerators of C to values of the model and back.
//!
//! Invariants: a number outside its enumeration is refused by its field's name; a value that C has no
//! enumerator for comes as the nearest one, which never says less than that something is wrong.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use fm_common::{AlarmState, AlarmType, ProbableCause, Severity};

use crate::enums::{EFmAlarmProbableCauseT, EFmAlarmSeverityT, EFmAlarmStateT, EFmAlarmTypeT, EFmErrorT};
use crate::failure::Failure;

/// The number in a caller's enumeration, which may be any.
///
/// # Safety
/// Four readable bytes.
pub(crate) unsafe fn number<E>(field: *const MaybeUninit<E>) -> u32 {
    const { assert!(size_of::<E>() == size_of::<u32>()) };
    // SAFETY: four bytes, as the caller promises; any of their values is a number.
    unsafe { field.cast::<u32>().read_unaligned() }
}

/// The value with this number in a vocabulary of `known` values, of which C has the first `count`.
fn listed<V: Clone>(field: &str, known: &[V], count: usize, number: u32) -> Result<V, Failure> {
    let index = usize::try_from(number).ok().filter(|index| *index < count);
    index.and_then(|index| known.get(index)).cloned().ok_or_else(|| {
        Failure::invalid(format!("{field}: {number} is no enumerator, the last is {}", count - 1))
    })
}

pub(crate) fn state(number: u32) -> Result<AlarmState, Failure> {
    listed("alarm_state", AlarmState::KNOWN, EFmAlarmStateT::ALL.len(), number)
}

pub(crate) fn severity(number: u32) -> Result<Severity, Failure> {
    let severity = listed("severity", Severity::KNOWN, EFmAlarmSeverityT::ALL.len(), number)?;
    // The text that C's severity 0 has always had; it means the same.
    Ok(if severity == Severity::Clear { Severity::NotApplicable } else { severity })
}

pub(crate) fn alarm_type(number: u32) -> Result<AlarmType, Failure> {
    listed("alarm_type", AlarmType::KNOWN, EFmAlarmTypeT::ALL.len(), number)
}

pub(crate) fn cause(number: u32) -> Result<ProbableCause, Failure> {
    listed("probable_cause", ProbableCause::KNOWN, EFmAlarmProbableCauseT::ALL.len(), number)
}

/// The enumerator at a value's place in its vocabulary.
fn enumerator<V: PartialEq, E: Copy>(known: &[V], all: &[E], value: &V) -> Option<E> {
    all.get(known.iter().position(|other| other == value)?).copied()
}

pub(crate) fn state_to_c(state: &AlarmState) -> EFmAlarmStateT {
    // What a controller lists stands, whatever word another writer gave it.
    enumerator(AlarmState::KNOWN, EFmAlarmStateT::ALL, state).unwrap_or(EFmAlarmStateT::FM_ALARM_STATE_SET)
}

pub(crate) fn severity_to_c(severity: &Severity) -> EFmAlarmSeverityT {
    if severity.is_clear() {
        return EFmAlarmSeverityT::FM_ALARM_SEVERITY_CLEAR;
    }
    // 'none', or another writer's word: the alarm stands, so it is not CLEAR.
    enumerator(Severity::KNOWN, EFmAlarmSeverityT::ALL, severity)
        .unwrap_or(EFmAlarmSeverityT::FM_ALARM_SEVERITY_WARNING)
}

pub(crate) fn type_to_c(alarm_type: &AlarmType) -> EFmAlarmTypeT {
    enumerator(AlarmType::KNOWN, EFmAlarmTypeT::ALL, alarm_type)
        .unwrap_or(EFmAlarmTypeT::FM_ALARM_TYPE_UNKNOWN)
}

pub(crate) fn cause_to_c(cause: &ProbableCause) -> EFmAlarmProbableCauseT {
    use EFmAlarmProbableCauseT as C;
    enumerator(ProbableCause::KNOWN, C::ALL, cause).unwrap_or(match cause {
        ProbableCause::ConfigurationOutOfDate | ProbableCause::ConfigurationProvisioningRequired => {
            C::FM_ALARM_CONFIG_ERROR
        }
        ProbableCause::CertificateExpiration => C::FM_ALARM_KEY_EXPIRED,
        _ => C::FM_ALARM_CAUSE_UNKNOWN,
    })
}

/// What an error code means; a number that is none says so.
pub(crate) fn error_text(code: MaybeUninit<EFmErrorT>) -> &'static CStr {
    // SAFETY: an enumeration's four bytes.
    match unsafe { number(&raw const code) } {
        0 => c"done",
        1 => c"the alarm exists already",
        2 => c"an attribute of the alarm is not valid",
        3 => c"the agent, or the controller that has to be asked, cannot be reached; try again",
        4 => c"the process is out of memory",
        5 => c"the connection to the agent broke or stalled; try again",
        6 => c"the agent's store is full, or more alarms match than there is room for",
        7 => c"the request is not known",
        8 => c"the server is out of memory",
        9 => c"a script failed",
        10 => c"no alarm matches",
        11 => c"the database refused the operation",
        12 => c"the database could not be opened",
        13 => c"a parameter is missing or not valid",
        14 => c"the agent cannot serve the request now; try again",
        15 => c"the request is under way",
        _ => c"not an error code of fault management",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the committed table with a text: number and text.
    fn table(enumeration: &str) -> Vec<(u32, String)> {
        let rows = include_str!("../../../fm-common/data/c_enums.csv").lines().map(|line| {
            let columns: Vec<&str> = line.split(',').collect();
            (columns[0].to_owned(), columns[2].to_owned(), columns[3].to_owned())
        });
        let rows: Vec<(u32, String)> = rows
            .filter(|(name, _, text)| name == enumeration && !text.is_empty())
            .map(|(_, number, text)| (number.parse().unwrap(), text))
            .collect();
        assert!(!rows.is_empty());
        rows
    }

    #[test]
    fn every_enumerator_has_its_text_and_comes_back() {
        for (number, text) in table("EFmAlarmStateT") {
            let value = state(number).unwrap();
            assert_eq!((value.as_str(), state_to_c(&value) as u32), (text.as_str(), number));
        }
        for (number, text) in table("EFmAlarmSeverityT") {
            let value = severity(number).unwrap();
            assert_eq!((value.as_str(), severity_to_c(&value) as u32), (text.as_str(), number));
        }
        for (number, text) in table("EFmAlarmTypeT") {
            let value = alarm_type(number).unwrap();
            assert_eq!((value.as_str(), type_to_c(&value) as u32), (text.as_str(), number));
        }
        for (number, text) in table("EFmAlarmProbableCauseT") {
            let value = cause(number).unwrap();
            assert_eq!((value.as_str(), cause_to_c(&value) as u32), (text.as_str(), number));
        }
    }

    #[test]
    fn a_number_outside_is_refused_by_its_fields_name() {
        for number in [4, u32::MAX] {
            assert!(state(number).unwrap_err().message.starts_with("alarm_state: "));
        }
        assert!(severity(5).unwrap_err().message.starts_with("severity: 5 "));
        assert!(alarm_type(11).unwrap_err().message.starts_with("alarm_type: 11 "));
        assert!(cause(75).unwrap_err().message.starts_with("probable_cause: 75 "));
    }

    #[test]
    fn every_error_has_words_of_its_own() {
        let texts: std::collections::BTreeSet<&CStr> =
            EFmErrorT::ALL.iter().map(|code| error_text(MaybeUninit::new(*code))).collect();
        assert_eq!(texts.len(), EFmErrorT::ALL.len());
        let unknown = error_text(MaybeUninit::new(EFmErrorT::FM_ERR_MAX));
        assert!(!texts.contains(unknown));
    }

    #[test]
    fn what_c_cannot_hold_comes_as_the_nearest() {
        use EFmAlarmProbableCauseT as C;
        for (text, nearest) in [
            ("configuration-out-of-date", C::FM_ALARM_CONFIG_ERROR),
            ("configuration-provisioning-required", C::FM_ALARM_CONFIG_ERROR),
            ("certificate-expiration", C::FM_ALARM_KEY_EXPIRED),
            ("unknown", C::FM_ALARM_CAUSE_UNKNOWN),
            ("excessive-vibration", C::FM_ALARM_EXCESSIVE_VIBRATION),
            ("of another writer", C::FM_ALARM_CAUSE_UNKNOWN),
        ] {
            assert_eq!(cause_to_c(&text.into()), nearest, "{text}");
        }
        assert_eq!(type_to_c(&"deployment in progress".into()), EFmAlarmTypeT::FM_ALARM_TYPE_UNKNOWN);
        assert_eq!(severity_to_c(&"clear".into()), EFmAlarmSeverityT::FM_ALARM_SEVERITY_CLEAR);
        for text in ["none", "of another writer"] {
            assert_eq!(severity_to_c(&text.into()), EFmAlarmSeverityT::FM_ALARM_SEVERITY_WARNING);
        }
        assert_eq!(state_to_c(&"of another writer".into()), EFmAlarmStateT::FM_ALARM_STATE_SET);
    }
}
