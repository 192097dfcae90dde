//! The C structures that travel: where each field is, read and written byte by byte.
//!
//! A text ends at its first NUL and never has more than 254 bytes.

/// Bytes of an alarm.
pub const ALARM_BYTES: usize = 1568;
/// Bytes of a filter.
pub const FILTER_BYTES: usize = 510;
/// Bytes of a text.
pub const TEXT_BYTES: usize = 255;

/// An alarm as it travels, field by field. Numbers are the C interface's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the C structure's of the same name")]
#[expect(clippy::struct_excessive_bools, reason = "these are the flags that the C structure has")]
pub struct AlarmRecord {
    pub uuid: String,
    pub alarm_id: String,
    pub alarm_state: u32,
    pub entity_type_id: String,
    pub entity_instance_id: String,
    pub timestamp: u64,
    pub severity: u32,
    pub reason_text: String,
    pub alarm_type: u32,
    pub probable_cause: u32,
    pub proposed_repair_action: String,
    pub service_affecting: bool,
    pub suppression: bool,
    pub inhibit_alarms: bool,
    pub keep_existing_alarm: bool,
}

impl AlarmRecord {
    /// Reads [`ALARM_BYTES`] bytes; `None` for any other number of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ALARM_BYTES] = bytes.try_into().ok()?;
        Some(Self {
            uuid: text(bytes, 0),
            alarm_id: text(bytes, 255),
            alarm_state: number(bytes, 512),
            entity_type_id: text(bytes, 516),
            entity_instance_id: text(bytes, 771),
            timestamp: u64::from_ne_bytes(std::array::from_fn(|at| bytes[1032 + at])),
            severity: number(bytes, 1040),
            reason_text: text(bytes, 1044),
            alarm_type: number(bytes, 1300),
            probable_cause: number(bytes, 1304),
            proposed_repair_action: text(bytes, 1308),
            service_affecting: bytes[1563] != 0,
            suppression: bytes[1564] != 0,
            inhibit_alarms: bytes[1565] != 0,
            keep_existing_alarm: bytes[1566] != 0,
        })
    }

    /// Writes it, all bytes between the fields zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; ALARM_BYTES];
        for (at, text) in [
            (0, &self.uuid),
            (255, &self.alarm_id),
            (516, &self.entity_type_id),
            (771, &self.entity_instance_id),
            (1044, &self.reason_text),
            (1308, &self.proposed_repair_action),
        ] {
            bytes[at..at + TEXT_BYTES].copy_from_slice(&text_bytes(text));
        }
        for (at, number) in [
            (512, self.alarm_state),
            (1040, self.severity),
            (1300, self.alarm_type),
            (1304, self.probable_cause),
        ] {
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
        }
        bytes[1032..1040].copy_from_slice(&self.timestamp.to_ne_bytes());
        let flags = [self.service_affecting, self.suppression, self.inhibit_alarms, self.keep_existing_alarm];
        bytes[1563..1567].copy_from_slice(&flags.map(u8::from));
        bytes
    }
}

/// Which alarm, or which alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the C structure's of the same name")]
pub struct Filter {
    pub alarm_id: String,
    pub entity_instance_id: String,
}

impl Filter {
    /// Reads [`FILTER_BYTES`] bytes; `None` for any other number of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FILTER_BYTES] = bytes.try_into().ok()?;
        Some(Self { alarm_id: text(bytes, 0), entity_instance_id: text(bytes, TEXT_BYTES) })
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        [text_bytes(&self.alarm_id), text_bytes(&self.entity_instance_id)].concat()
    }
}

/// Reads one text of [`TEXT_BYTES`] bytes; `None` for any other number of them.
pub(crate) fn one_text(bytes: &[u8]) -> Option<String> {
    (bytes.len() == TEXT_BYTES).then(|| text(bytes, 0))
}

/// A text as it travels: cut at 254 bytes wherever that is, as C programs do.
pub fn text_bytes(text: &str) -> [u8; TEXT_BYTES] {
    let given = text.as_bytes();
    std::array::from_fn(|at| if at < TEXT_BYTES - 1 { given.get(at).copied().unwrap_or(0) } else { 0 })
}

fn text(bytes: &[u8], at: usize) -> String {
    let field = &bytes[at..at + TEXT_BYTES];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(TEXT_BYTES);
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|offset| bytes[at + offset]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let record = AlarmRecord {
            uuid: "u".into(),
            alarm_id: "100.101".into(),
            alarm_state: 1,
            entity_type_id: "host".into(),
            entity_instance_id: "host=a".into(),
            timestamp: 0x0102_0304_0506_0708,
            severity: 4,
            reason_text: "r".repeat(254),
            alarm_type: 7,
            probable_cause: 50,
            proposed_repair_action: "p".into(),
            service_affecting: true,
            keep_existing_alarm: true,
            ..AlarmRecord::default()
        };
        assert_eq!(AlarmRecord::from_bytes(&record.to_bytes()), Some(record));
        assert_eq!(AlarmRecord::from_bytes(&[0; 1567]), None);
        let filter = Filter { alarm_id: "1".into(), entity_instance_id: "host=a".into() };
        assert_eq!(Filter::from_bytes(&filter.to_bytes()), Some(filter));
    }
}
