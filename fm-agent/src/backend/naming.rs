//! Under which uuids a request may go to a controller.
//!
//! A controller takes a uuid once in its life. Libraries make one for each call, but older ones send the uuid that
//! the caller's alarm carries: one read before, which is another's.
//!
//! Invariant: the same request has the same uuids at every attempt. Pure.

use fm_common::Alarm;
use uuid::Builder;

/// The request's own uuid, and the one to use when that turns out to be another's.
pub(super) fn uuids_for(uuid: &str, alarm: &Alarm) -> [String; 2] {
    let time = alarm.timestamp.map_or(0, fm_common::Timestamp::as_micros).to_string();
    let texts = [
        uuid,
        &alarm.alarm_id,
        &alarm.entity_instance_id,
        &time,
        alarm.alarm_state.as_str(),
        alarm.severity.as_str(),
        &alarm.reason_text,
    ];
    let second = Builder::from_custom_bytes(fnv1a(&texts.join("\0")).to_be_bytes()).into_uuid().to_string();
    [uuid.to_owned(), second]
}

/// FNV-1a, 128 bits: the same on every machine and in every release.
fn fnv1a(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::{AlarmType, ProbableCause, Severity};

    #[test]
    fn the_second_uuid_is_that_of_the_request_alone() {
        const UUID: &str = "0f9b3f52-7c8e-4ab3-8a33-0a5b7d1f6c11";
        let cause = ProbableCause::Unknown;
        let alarm = Alarm::new("1.1", "host", "host=a", Severity::Minor, AlarmType::Equipment, cause);
        let [first, second] = uuids_for(UUID, &alarm);
        assert_eq!(first, UUID);
        assert_eq!(second, "f423bd67-2561-86b7-8138-4873f9cb51f6");
        let other = Alarm { entity_instance_id: "host=b".to_owned(), ..alarm.clone() };
        assert_ne!(uuids_for(UUID, &other)[1], second);
        assert_ne!(uuids_for(&second, &alarm)[1], second);
    }
}
