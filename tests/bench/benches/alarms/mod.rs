//! Alarms for the benchmarks of single functions.

use fm_common::{Alarm, AlarmType, ProbableCause, Severity, Timestamp};

/// An alarm as daemons raise them, complete as the service makes it; each number another entity.
pub(crate) fn alarm(number: usize) -> Alarm {
    Alarm {
        uuid: Some(format!("00000000-0000-4000-8000-{number:012}")),
        timestamp: Some(Timestamp::now()),
        reason_text: "Memory threshold exceeded; threshold 80.00%, actual 86.42%".to_owned(),
        proposed_repair_action: "Monitor and if condition persists, contact next level of support."
            .to_owned(),
        suppression: true,
        ..Alarm::new(
            "100.103",
            "host.process",
            &format!("host=compute-1.process={number:06}"),
            Severity::Major,
            AlarmType::Operational,
            ProbableCause::ThresholdCrossed,
        )
    }
}
