//! The numbers of the C interface for states, severities, types and causes, and what they stand for.
//!
//! What the C tables lack is sent as the nearest enumerator:
//!
//! | given | sent | why |
//! | --- | --- | --- |
//! | type `deployment in progress`, or one of another writer | 0, `other` | no enumerator is about deployments |
//! | cause `configuration-out-of-date`, `configuration-provisioning-required` | 7, `configuration-or-customization-error` | both are faults of a configuration |
//! | cause `certificate-expiration` | 73, `key-expired` | a certificate holds a key |
//! | cause `unknown`, or one of another writer | 0, `FM_ALARM_CAUSE_UNKNOWN`, shown as `not-applicable` | it is that by its name |
//! | severity `clear`, `not-applicable`, `none` of a log | 0 | the one that ranks nothing |
//!
//! Numbers that no table has are read as `other`, `unknown`, `none` and `set`.

use fm_common::alarm::Intent;
use fm_common::{Alarm, AlarmState, AlarmType, ProbableCause, Severity};

/// Enumerators of `EFmAlarmTypeT`.
const TYPES: usize = 11;
/// Enumerators of `EFmAlarmProbableCauseT`.
const CAUSES: usize = 75;
/// `FM_ALARM_STATE_SET`.
const STATE_SET: u32 = 1;
/// `FM_ALARM_STATE_MSG`. The manager takes `FM_ALARM_STATE_LOG` for an alarm.
const STATE_MSG: u32 = 2;
/// The severities by number, from 0.
const SEVERITIES: [Severity; 5] =
    [Severity::NotApplicable, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];

pub(super) fn state_number(alarm: &Alarm) -> u32 {
    if alarm.intent() == Intent::Log { STATE_MSG } else { STATE_SET }
}

pub(super) fn state(number: u32) -> AlarmState {
    known(AlarmState::KNOWN, number).unwrap_or(AlarmState::Set)
}

pub(super) fn severity_number(severity: &Severity) -> u32 {
    number(&SEVERITIES, severity).unwrap_or_default()
}

pub(super) fn severity(number: u32) -> Severity {
    known(&SEVERITIES, number).unwrap_or(Severity::Unranked)
}

pub(super) fn type_number(kind: &AlarmType) -> u32 {
    number(&AlarmType::KNOWN[..TYPES], kind).unwrap_or_default()
}

pub(super) fn alarm_type(number: u32) -> AlarmType {
    known(&AlarmType::KNOWN[..TYPES], number).unwrap_or(AlarmType::Unknown)
}

pub(super) fn cause_number(cause: &ProbableCause) -> u32 {
    let nearest = match cause {
        ProbableCause::ConfigurationOutOfDate | ProbableCause::ConfigurationProvisioningRequired => {
            &ProbableCause::ConfigurationOrCustomizationError
        }
        ProbableCause::CertificateExpiration => &ProbableCause::KeyExpired,
        cause => cause,
    };
    number(&ProbableCause::KNOWN[..CAUSES], nearest).unwrap_or_default()
}

pub(super) fn cause(number: u32) -> ProbableCause {
    known(&ProbableCause::KNOWN[..CAUSES], number).unwrap_or(ProbableCause::Unknown)
}

fn number<T: PartialEq>(table: &[T], value: &T) -> Option<u32> {
    let index = table.iter().position(|known| known == value)?;
    u32::try_from(index).ok()
}

fn known<T: Clone>(table: &[T], number: u32) -> Option<T> {
    table.get(usize::try_from(number).ok()?).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed table of the C interface: number and text of each enumerator.
    fn table(enumeration: &str) -> Vec<(u32, String)> {
        let text = include_str!("../../../../fm-common/data/c_enums.csv");
        let rows = text.lines().map(|line| line.splitn(4, ',').collect::<Vec<_>>());
        rows.filter(|row| row[0] == enumeration && !row[3].is_empty())
            .map(|row| (row[2].parse().unwrap(), row[3].to_owned()))
            .collect()
    }

    #[test]
    fn every_enumerator_of_c_has_its_number() {
        let severities = table("EFmAlarmSeverityT");
        assert_eq!(severities.len(), 5);
        for (number, text) in severities {
            let value = Severity::from(text.as_str());
            assert_eq!((severity_number(&value), severity(number)), (number, value));
        }
        let types = table("EFmAlarmTypeT");
        assert_eq!(types.len(), TYPES);
        for (number, text) in types {
            let value = AlarmType::from(text.as_str());
            assert_eq!((type_number(&value), alarm_type(number)), (number, value));
        }
        let causes = table("EFmAlarmProbableCauseT");
        assert_eq!(causes.len(), CAUSES);
        for (number, text) in causes {
            let value = ProbableCause::from(text.as_str());
            assert_eq!((cause_number(&value), cause(number)), (number, value));
        }
        for (number, text) in table("EFmAlarmStateT") {
            assert_eq!(state(number), AlarmState::from(text.as_str()));
        }
    }

    #[test]
    fn what_c_lacks_becomes_the_nearest() {
        assert_eq!(type_number(&AlarmType::DeploymentInProgress), 0);
        assert_eq!(type_number(&"weird".into()), 0);
        assert_eq!(cause_number(&ProbableCause::ConfigurationOutOfDate), 7);
        assert_eq!(cause_number(&ProbableCause::ConfigurationProvisioningRequired), 7);
        assert_eq!(cause_number(&ProbableCause::CertificateExpiration), 73);
        assert_eq!(cause_number(&ProbableCause::Unknown), 0);
        assert_eq!(cause_number(&"gremlins".into()), 0);
        for severity in [Severity::Clear, Severity::NotApplicable, Severity::Unranked] {
            assert_eq!(severity_number(&severity), 0);
        }
    }

    #[test]
    fn numbers_of_nobody_are_read_all_the_same() {
        assert_eq!(severity(5), Severity::Unranked);
        assert_eq!(alarm_type(11), AlarmType::Unknown);
        assert_eq!(cause(75), ProbableCause::Unknown);
        assert_eq!(state(u32::MAX), AlarmState::Set);
    }

    #[test]
    fn both_words_for_a_log_are_the_one_that_the_manager_knows() {
        let mut log = Alarm::new("1", "t", "e", Severity::Clear, AlarmType::Unknown, ProbableCause::Unknown);
        for word in [AlarmState::Msg, AlarmState::Log] {
            log.alarm_state = word;
            assert_eq!(state_number(&log), 2);
        }
        let alarm = Alarm { alarm_state: AlarmState::Set, severity: Severity::Minor, ..log };
        assert_eq!(state_number(&alarm), 1);
    }
}
