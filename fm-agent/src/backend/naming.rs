//! Under which uuids a request may go to a controller, and what marks a name that had to be cut.
//!
//! A controller takes a uuid once in its life. Libraries make one for each call, but older ones send the uuid that
//! the caller's alarm carries: one read before, which is another's.
//!
//! Invariant: the same request has the same uuids and names at every attempt, on every node and in every release.
//! Pure.

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
    let second =
        Builder::from_custom_bytes(fnv1a_128(&texts.join("\0")).to_be_bytes()).into_uuid().to_string();
    [uuid.to_owned(), second]
}

/// Tells a name that is cut from others that begin alike: 16 digits.
pub(super) fn mark(text: &str) -> String {
    format!("{:016x}", fnv1a_64(text))
}

/// FNV-1a, 64 bits.
fn fnv1a_64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// FNV-1a, 128 bits.
fn fnv1a_128(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::{AlarmType, ProbableCause, Severity};

    #[test]
    fn a_mark_is_what_it_was_in_every_release() {
        assert_eq!([mark(""), mark("a")], ["cbf29ce484222325", "af63dc4c8601ec8c"]);
    }

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
