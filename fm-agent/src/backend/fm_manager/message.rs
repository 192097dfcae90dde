//! Messages: a big-endian length, a header in the machine's own byte order, a body.
//!
//! Invariant: an answer is taken for one only if its version, its action and its sizes are right.

use fm_common::Alarm;

use super::layout::{self, ALARM_BYTES};

/// The protocol's only version.
const VERSION: u32 = 1;
/// Bytes of a header: version, action, size of the body, return code.
const HEADER_BYTES: usize = 16;
/// Bytes before the header.
pub(super) const LENGTH_BYTES: usize = 4;
/// The longest answer that is read: some 42,000 alarms.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// A request: its action's number and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    action: u32,
    what: &'static str,
    body: Vec<u8>,
}

impl Request {
    /// Create or update the alarm, or record the log.
    pub(super) fn create(alarm: &Alarm, uuid: &str) -> Self {
        Self { action: 0, what: "create", body: layout::alarm(alarm, uuid) }
    }

    /// Delete what has this alarm id and an entity that begins so.
    pub(super) fn delete(alarm_id: &str, entity: &str) -> Self {
        Self { action: 2, what: "delete", body: layout::filter(alarm_id, layout::sent_entity(entity)) }
    }

    /// The alarm with exactly this key.
    pub(super) fn get(alarm_id: &str, entity: &str) -> Self {
        Self { action: 4, what: "get", body: layout::filter(alarm_id, layout::sent_entity(entity)) }
    }

    /// What has an entity that begins so; suppressed alarms hidden, uuids wrong.
    pub(super) fn get_by_entity(prefix: &str) -> Self {
        Self { action: 5, what: "get by entity", body: layout::text(prefix) }
    }

    /// What has this alarm id.
    pub(super) fn get_by_id(alarm_id: &str) -> Self {
        Self { action: 7, what: "get by id", body: layout::text(alarm_id) }
    }

    /// What has this alarm id and an entity that begins so; suppressed alarms hidden, uuids wrong.
    pub(super) fn get_by_id_and_entity(alarm_id: &str, prefix: &str) -> Self {
        Self { action: 8, what: "get by id and entity", body: layout::filter(alarm_id, prefix) }
    }

    /// Several deletes, one after the other.
    pub(super) fn delete_list<'a>(filters: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let body = filters.flat_map(|(alarm_id, entity)| Self::delete(alarm_id, entity).body).collect();
        Self { action: 10, what: "delete list", body }
    }

    /// The request in words, for messages.
    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    /// Appends the whole message.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let size = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let length = size.saturating_add(16);
        to.extend_from_slice(&length.to_be_bytes());
        for word in [VERSION, self.action, size, 0] {
            to.extend_from_slice(&word.to_ne_bytes());
        }
        to.extend_from_slice(&self.body);
    }

    /// The answer in a packet, if it is one to this request.
    pub(super) fn answer(&self, packet: &[u8]) -> Result<Answer, String> {
        let foreign = || format!("{}: {} bytes that are no answer of fm-manager", self.what, packet.len());
        let (header, body) = packet.split_at_checked(HEADER_BYTES).ok_or_else(foreign)?;
        let word = |index: usize| u32::from_ne_bytes(std::array::from_fn(|at| header[index * 4 + at]));
        let fits = word(0) == VERSION
            && word(1) == self.action
            && usize::try_from(word(2)).is_ok_and(|size| size == body.len());
        if fits { Ok(Answer { code: word(3), body: body.to_vec() }) } else { Err(foreign()) }
    }
}

/// The length of the packet that begins so, if it can be one.
pub(super) fn packet_length(bytes: [u8; LENGTH_BYTES]) -> Result<usize, String> {
    let length = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
    if (HEADER_BYTES..=MOST_ANSWER_BYTES).contains(&length) {
        Ok(length)
    } else {
        Err(format!("a packet of {length} bytes, which is no answer of fm-manager"))
    }
}

/// An answer: its return code and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u32,
    body: Vec<u8>,
}

impl Answer {
    /// The uuid in the answer to a create. Managers give it with or without what fills up the 255 bytes.
    pub(super) fn uuid(&self) -> Option<String> {
        Some(layout::read_text(&self.body)).filter(|uuid| !uuid.is_empty())
    }

    /// The alarm in the answer to a get.
    pub(super) fn alarm(&self) -> Option<Alarm> {
        let bytes: &[u8; ALARM_BYTES] = self.body.as_slice().try_into().ok()?;
        Some(layout::read_alarm(bytes))
    }

    /// The alarms in the answer to one of the lists.
    pub(super) fn alarms(&self) -> Option<Vec<Alarm>> {
        let (count, rows) = self.body.split_first_chunk()?;
        let (alarms, rest) = rows.as_chunks::<ALARM_BYTES>();
        let complete = rest.is_empty() && usize::try_from(u32::from_ne_bytes(*count)) == Ok(alarms.len());
        complete.then(|| alarms.iter().map(layout::read_alarm).collect())
    }
}

#[cfg(test)]
mod tests {
    use fm_common::{AlarmType, ProbableCause, Severity};

    use super::*;

    /// A message as it must be: the words of its header, then pieces of the body and where they are.
    fn golden(action: u32, size: u32, pieces: &[(usize, &[u8])]) -> Vec<u8> {
        let mut message = (size + 16).to_be_bytes().to_vec();
        for word in [1, action, size, 0] {
            message.extend(word.to_ne_bytes());
        }
        message.resize(20 + usize::try_from(size).unwrap(), 0);
        for (at, piece) in pieces {
            message[20 + at..20 + at + piece.len()].copy_from_slice(piece);
        }
        message
    }

    fn written(request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        bytes
    }

    #[test]
    fn golden_create() {
        let alarm = Alarm::new(
            "100.103",
            "host",
            "",
            Severity::Minor,
            AlarmType::Communication,
            ProbableCause::Unknown,
        );
        let message = written(&Request::create(&alarm, "u-1"));
        let pieces: [(usize, &[u8]); 8] = [
            (0, b"u-1"),
            (255, b"100.103"),
            (512, &1u32.to_ne_bytes()),
            (516, b"host"),
            (771, b" "),
            (1040, &2u32.to_ne_bytes()),
            (1300, &1u32.to_ne_bytes()),
            (1304, &0u32.to_ne_bytes()),
        ];
        assert_eq!(message, golden(0, 1568, &pieces));
    }

    #[test]
    fn golden_filters() {
        let pieces: [(usize, &[u8]); 2] = [(0, b"100.103"), (255, b"host=a")];
        assert_eq!(written(&Request::delete("100.103", "host=a")), golden(2, 510, &pieces));
        assert_eq!(written(&Request::get("100.103", "host=a")), golden(4, 510, &pieces));
        let request = Request::get_by_id_and_entity("100.103", "host=a");
        assert_eq!(written(&request), golden(8, 510, &pieces));
        let list = [("100.103", "host=a"), ("1.1", "")];
        let pieces: [(usize, &[u8]); 4] = [(0, b"100.103"), (255, b"host=a"), (510, b"1.1"), (765, b" ")];
        assert_eq!(written(&Request::delete_list(list.into_iter())), golden(10, 1020, &pieces));
    }

    #[test]
    fn golden_texts() {
        assert_eq!(written(&Request::get_by_entity("host=a")), golden(5, 255, &[(0, b"host=a")]));
        assert_eq!(written(&Request::get_by_id("100.103")), golden(7, 255, &[(0, b"100.103")]));
    }

    /// On the machines that there are the whole header is these bytes.
    #[cfg(target_endian = "little")]
    #[test]
    fn golden_header() {
        let header = &written(&Request::get_by_id("1"))[..21];
        assert_eq!(
            header,
            b"\x00\x00\x01\x0f\x01\x00\x00\x00\x07\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\x001"
        );
    }

    #[test]
    fn an_answer_is_one_to_its_request() {
        let request = Request::get_by_id("1");
        let mut packet = Vec::new();
        for word in [1u32, 7, 3, 10] {
            packet.extend(word.to_ne_bytes());
        }
        packet.extend(b"abc");
        assert_eq!(request.answer(&packet), Ok(Answer { code: 10, body: b"abc".to_vec() }));
        assert!(Request::get("1", "e").answer(&packet).is_err(), "another action");
        assert!(request.answer(&packet[..18]).is_err(), "a body of another size");
        assert!(request.answer(&packet[..15]).is_err(), "no header");
        packet[0] = 2;
        assert!(request.answer(&packet).is_err(), "another version");
    }

    #[test]
    fn lengths_that_no_answer_has() {
        assert_eq!(packet_length([0, 0, 0, 16]), Ok(16));
        assert!(packet_length([0, 0, 0, 15]).is_err());
        assert!(packet_length(*b"HTTP").is_err());
    }

    #[test]
    fn bodies_of_answers() {
        let answer = |body: Vec<u8>| Answer { code: 0, body };
        assert_eq!(answer(layout::text("u-1")).uuid().as_deref(), Some("u-1"));
        assert_eq!(answer(b"u-1".to_vec()).uuid().as_deref(), Some("u-1"));
        assert_eq!(answer(Vec::new()).uuid(), None);
        assert!(answer(vec![0; 1567]).alarm().is_none() && answer(vec![0; 1568]).alarm().is_some());
        let list = |count: u32, bytes| answer([&count.to_ne_bytes()[..], &vec![0; bytes]].concat()).alarms();
        assert_eq!(list(2, 3136).map(|alarms| alarms.len()), Some(2));
        assert_eq!(list(0, 0), Some(Vec::new()));
        for (count, bytes) in [(1, 0), (2, 1568), (1, 1567), (1, 1569)] {
            assert_eq!(list(count, bytes), None);
        }
        assert_eq!(answer(vec![1]).alarms(), None);
    }
}
