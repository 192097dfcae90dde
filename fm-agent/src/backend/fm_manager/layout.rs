//! The C structures that travel, byte by byte: `SFmAlarmDataT` and `AlarmFilter`.
//!
//! Invariants: a text is at most 254 bytes and a NUL; what lies after a text and between the fields is zero
//! in what is written, and never looked at in what is read. What does not fit is cut by `adapt` before it
//! comes here; this module cuts at a character's border as a last resort.

use fm_common::{Alarm, Timestamp};

use super::enums;

/// Bytes of an alarm.
pub(super) const ALARM_BYTES: usize = 1568;
/// Bytes of a text with its NUL.
pub(super) const TEXT_BYTES: usize = 255;
/// Bytes of a filter: an alarm id and an entity instance id.
pub(super) const FILTER_BYTES: usize = 2 * TEXT_BYTES;
/// Bytes of a text without its NUL.
pub(super) const MOST_TEXT_BYTES: usize = TEXT_BYTES - 1;

/// Where the fields of an alarm are.
mod at {
    pub(super) const UUID: usize = 0;
    pub(super) const ALARM_ID: usize = 255;
    pub(super) const ALARM_STATE: usize = 512;
    pub(super) const ENTITY_TYPE_ID: usize = 516;
    pub(super) const ENTITY_INSTANCE_ID: usize = 771;
    pub(super) const TIMESTAMP: usize = 1032;
    pub(super) const SEVERITY: usize = 1040;
    pub(super) const REASON_TEXT: usize = 1044;
    pub(super) const ALARM_TYPE: usize = 1300;
    pub(super) const PROBABLE_CAUSE: usize = 1304;
    pub(super) const PROPOSED_REPAIR_ACTION: usize = 1308;
    pub(super) const SERVICE_AFFECTING: usize = 1563;
    pub(super) const SUPPRESSION: usize = 1564;
    pub(super) const INHIBIT_ALARMS: usize = 1565;
    pub(super) const KEEP_EXISTING_ALARM: usize = 1566;
}

/// The alarm's bytes, under this uuid. The moment 0 would mean 'now': an alarm without a time has it.
pub(super) fn alarm(alarm: &Alarm, uuid: &str) -> Vec<u8> {
    let mut bytes = vec![0; ALARM_BYTES];
    for (at, text) in [
        (at::UUID, uuid),
        (at::ALARM_ID, &alarm.alarm_id),
        (at::ENTITY_TYPE_ID, &alarm.entity_type_id),
        (at::ENTITY_INSTANCE_ID, sent_entity(&alarm.entity_instance_id)),
        (at::REASON_TEXT, &alarm.reason_text),
        (at::PROPOSED_REPAIR_ACTION, &alarm.proposed_repair_action),
    ] {
        put_text(&mut bytes[at..at + TEXT_BYTES], text);
    }
    for (at, number) in [
        (at::ALARM_STATE, enums::state_number(alarm)),
        (at::SEVERITY, enums::severity_number(&alarm.severity)),
        (at::ALARM_TYPE, enums::type_number(&alarm.alarm_type)),
        (at::PROBABLE_CAUSE, enums::cause_number(&alarm.probable_cause)),
    ] {
        bytes[at..at + size_of::<u32>()].copy_from_slice(&number.to_ne_bytes());
    }
    let micros = alarm.timestamp.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or_default());
    bytes[at::TIMESTAMP..at::TIMESTAMP + size_of::<u64>()].copy_from_slice(&micros.to_ne_bytes());
    for (at, flag) in [
        (at::SERVICE_AFFECTING, alarm.service_affecting),
        (at::SUPPRESSION, alarm.suppression),
        (at::INHIBIT_ALARMS, alarm.inhibit_alarms),
        (at::KEEP_EXISTING_ALARM, alarm.keep_existing_alarm),
    ] {
        bytes[at] = u8::from(flag);
    }
    bytes
}

/// The alarm that these bytes are.
pub(super) fn read_alarm(bytes: &[u8; ALARM_BYTES]) -> Alarm {
    let text = |at| read_text(&bytes[at..at + TEXT_BYTES]);
    let number = |at: usize| u32::from_ne_bytes(std::array::from_fn(|offset| bytes[at + offset]));
    let micros = u64::from_ne_bytes(std::array::from_fn(|offset| bytes[at::TIMESTAMP + offset]));
    let mut alarm = Alarm::new(
        text(at::ALARM_ID),
        text(at::ENTITY_TYPE_ID),
        &text(at::ENTITY_INSTANCE_ID),
        enums::severity(number(at::SEVERITY)),
        enums::alarm_type(number(at::ALARM_TYPE)),
        enums::cause(number(at::PROBABLE_CAUSE)),
    );
    alarm.uuid = Some(text(at::UUID)).filter(|uuid| !uuid.is_empty());
    alarm.alarm_state = enums::state(number(at::ALARM_STATE));
    alarm.timestamp =
        (micros != 0).then(|| Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)));
    alarm.reason_text = text(at::REASON_TEXT);
    alarm.proposed_repair_action = text(at::PROPOSED_REPAIR_ACTION);
    alarm.service_affecting = bytes[at::SERVICE_AFFECTING] != 0;
    alarm.suppression = bytes[at::SUPPRESSION] != 0;
    alarm.inhibit_alarms = bytes[at::INHIBIT_ALARMS] != 0;
    alarm.keep_existing_alarm = bytes[at::KEEP_EXISTING_ALARM] != 0;
    alarm
}

/// A filter's bytes.
pub(super) fn filter(alarm_id: &str, entity_instance_id: &str) -> Vec<u8> {
    let mut bytes = vec![0; FILTER_BYTES];
    let (first, second) = bytes.split_at_mut(TEXT_BYTES);
    put_text(first, alarm_id);
    put_text(second, entity_instance_id);
    bytes
}

/// A text's bytes.
pub(super) fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; TEXT_BYTES];
    put_text(&mut bytes, text);
    bytes
}

/// The text that begins these bytes: up to a NUL or to their end. What is no UTF-8 shows as U+FFFD.
pub(super) fn read_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The form of an entity instance id in what is sent: a filter with the empty one might mean every entity,
/// and the manager keeps it as a single space.
pub(super) fn sent_entity(entity_instance_id: &str) -> &str {
    if entity_instance_id.is_empty() { " " } else { entity_instance_id }
}

fn put_text(field: &mut [u8], text: &str) {
    let cut = cut(text, MOST_TEXT_BYTES);
    field[..cut.len()].copy_from_slice(cut.as_bytes());
}

/// The first characters of a text that have at most so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use fm_common::{AlarmState, AlarmType, ProbableCause, Severity};
    use proptest::prelude::*;

    use super::*;

    fn given() -> Alarm {
        let mut alarm = Alarm::new(
            "100.103",
            "host.ml2driver",
            "host=compute-1",
            Severity::Critical,
            AlarmType::Equipment,
            ProbableCause::EquipmentMalfunction,
        );
        alarm.timestamp = Some(Timestamp::from_micros(1_795_341_600_500_000));
        alarm.reason_text = "broken".to_owned();
        alarm.proposed_repair_action = "mend it".to_owned();
        alarm.service_affecting = true;
        alarm.inhibit_alarms = true;
        alarm
    }

    /// The layout of the C structure, field by field, as its callers were compiled against it.
    #[test]
    fn every_field_is_where_c_has_it() {
        let bytes = alarm(&given(), "8d2c9c6a-1d6d-4c57-9a3c-0c1f4f1a7f11");
        let mut expected = vec![0; 1568];
        for (at, field) in [
            (0, &b"8d2c9c6a-1d6d-4c57-9a3c-0c1f4f1a7f11"[..]),
            (255, b"100.103"),
            (512, &1u32.to_ne_bytes()),
            (516, b"host.ml2driver"),
            (771, b"host=compute-1"),
            (1032, &1_795_341_600_500_000u64.to_ne_bytes()),
            (1040, &4u32.to_ne_bytes()),
            (1044, b"broken"),
            (1300, &4u32.to_ne_bytes()),
            (1304, &15u32.to_ne_bytes()),
            (1308, b"mend it"),
            (1563, &[1, 0, 1, 0]),
        ] {
            expected[at..at + field.len()].copy_from_slice(field);
        }
        assert_eq!(bytes, expected);
        assert_eq!((ALARM_BYTES, FILTER_BYTES), (1568, 510));
    }

    #[test]
    fn a_filter_is_two_texts() {
        let bytes = filter("100.103", "host=a");
        assert_eq!(bytes.len(), 510);
        assert_eq!((&bytes[..8], &bytes[255..262]), (&b"100.103\0"[..], &b"host=a\0"[..]));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(text(&"x".repeat(300))[253..], [b'x', 0]);
        // The character that would have begun at byte 253 has two bytes.
        let bytes = text(&format!("x{}", "ä".repeat(200)));
        assert_eq!(read_text(&bytes), format!("x{}", "ä".repeat(126)));
        assert_eq!(bytes[253..], [0, 0]);
    }

    #[test]
    fn what_others_leave_behind_a_text_is_not_looked_at() {
        let mut bytes = alarm(&given(), "u");
        for at in [0, 255, 516, 771, 1044, 1308] {
            let text = &mut bytes[at..at + TEXT_BYTES];
            let end = text.iter().position(|byte| *byte == 0).unwrap();
            text[end + 1..].fill(0xff);
        }
        for padding in [510..512, 1026..1032, 1299..1300, 1567..1568] {
            bytes[padding].fill(0xff);
        }
        let read = read_alarm(&bytes.try_into().unwrap());
        assert!(read.same_content(&given()), "{read:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_not_refused() {
        let mut bytes = alarm(&given(), "u");
        bytes[1044..1048].copy_from_slice(&[b'a', 0xc3, b'b', 0]);
        assert_eq!(read_alarm(&bytes.try_into().unwrap()).reason_text, "a\u{FFFD}b");
    }

    #[test]
    fn the_moment_zero_is_none() {
        let timeless = Alarm { timestamp: None, ..given() };
        let bytes = alarm(&timeless, "u");
        assert_eq!(bytes[1032..1040], [0; 8]);
        assert_eq!(read_alarm(&bytes.try_into().unwrap()).timestamp, None);
    }

    proptest! {
        #[test]
        fn what_fits_comes_back(
            entity in "[ -~ä]{1,120}", reason in "[^\0]{0,60}", micros in 1i64..253_402_300_799_999_999,
            severity in 1usize..5, kind in 0usize..11, cause in 0usize..75, flags in any::<[bool; 4]>(),
        ) {
            let mut sent = Alarm::new("1.2", "t", &entity, Severity::KNOWN[severity].clone(),
                AlarmType::KNOWN[kind].clone(), ProbableCause::KNOWN[cause].clone());
            sent.reason_text = reason;
            sent.timestamp = Some(Timestamp::from_micros(micros));
            sent.alarm_state = AlarmState::Set;
            sent.uuid = Some("u".to_owned());
            [sent.service_affecting, sent.suppression, sent.inhibit_alarms, sent.keep_existing_alarm] = flags;
            let bytes: [u8; ALARM_BYTES] = alarm(&sent, "u").try_into().unwrap();
            prop_assert_eq!(read_alarm(&bytes), sent);
        }

        #[test]
        fn no_bytes_are_unreadable(bytes in prop::collection::vec(any::<u8>(), ALARM_BYTES)) {
            let bytes: [u8; ALARM_BYTES] = bytes.try_into().unwrap();
            let read = read_alarm(&bytes);
            prop_assert!(read.reason_text.chars().count() <= TEXT_BYTES);
        }
    }
}
