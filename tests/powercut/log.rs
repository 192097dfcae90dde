//! The recorder's log, record by record.

use std::path::{Path, PathBuf};

/// What the agent did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
    Sync,
    Rename(PathBuf),
    Unlink,
    Mkdir,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) path: PathBuf,
    pub(crate) operation: Operation,
    /// When the operation began, in microseconds since the epoch.
    pub(crate) began_at: i64,
    /// The log's length with this record.
    pub(crate) end: u64,
}

impl Record {
    /// Whether it is about a file whose name ends so.
    pub(crate) fn is_about(&self, end: &str) -> bool {
        self.path.to_string_lossy().ends_with(end)
    }

    /// The record in a few words.
    pub(crate) fn told(&self) -> String {
        let what = match &self.operation {
            Operation::Create => "create".to_owned(),
            Operation::Write { offset, data } => format!("write {} bytes at {offset} of", data.len()),
            Operation::Truncate(length) => format!("cut to {length} bytes"),
            Operation::Sync => "sync".to_owned(),
            Operation::Rename(to) => format!("rename to {}", to.display()),
            Operation::Unlink => "unlink".to_owned(),
            Operation::Mkdir => "make".to_owned(),
        };
        format!("{what} {}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }
}

const HEAD: usize = 32;

/// The records, and the length of what is whole: a killed agent may leave the last one in pieces.
pub(crate) fn parse(log: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(head) = log.get(at..at + HEAD) {
        let half = |from: usize| u32::from_ne_bytes(head[from..from + 4].try_into().unwrap());
        let wide = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().unwrap());
        let (kind, path_length, began_at) = (half(0), half(4) as usize, wide(8));
        let (offset, length) = (usize::try_from(wide(16)).unwrap(), usize::try_from(wide(24)).unwrap());
        let Some(rest) = log.get(at + HEAD..at + HEAD + path_length + length) else { break };
        at += HEAD + path_length + length;
        let (names, data) = rest.split_at(path_length);
        let names = String::from_utf8(names.to_vec()).unwrap();
        let mut paths = names.split('\0').map(PathBuf::from);
        let path = paths.next().unwrap();
        let operation = match kind {
            1 => Operation::Create,
            2 => Operation::Write { offset, data: data.to_vec() },
            3 => Operation::Truncate(offset),
            4 => Operation::Sync,
            5 => Operation::Rename(paths.next().unwrap()),
            6 => Operation::Unlink,
            7 => Operation::Mkdir,
            other => panic!("the recorder wrote a record of kind {other}"),
        };
        let began_at = i64::try_from(began_at).unwrap();
        records.push(Record { path, operation, began_at, end: at as u64 });
    }
    (records, at)
}

/// A write as the recorder would have noted it, for what it could not note of a killed agent.
pub(crate) fn write_record(path: &Path, data: &[u8], began_at: i64) -> Vec<u8> {
    let path = path.to_str().unwrap().as_bytes();
    let mut record = Vec::new();
    let mut push = |kind: u32, offset: usize, data: &[u8]| {
        record.extend(kind.to_ne_bytes());
        record.extend(u32::try_from(path.len()).unwrap().to_ne_bytes());
        record.extend(began_at.to_ne_bytes());
        record.extend((offset as u64).to_ne_bytes());
        record.extend((data.len() as u64).to_ne_bytes());
        record.extend(path);
        record.extend(data);
    };
    push(2, 0, data);
    push(3, data.len(), &[]);
    record
}

#[test]
fn records_are_read_back_and_a_torn_one_is_left() {
    let mut log = write_record(Path::new("/a/b"), b"content", 17);
    let whole = log.len();
    log.extend(&write_record(Path::new("/a/c"), b"x", 18)[..20]);
    let (records, length) = parse(&log);
    assert_eq!((records.len(), length), (2, whole));
    assert_eq!(records[0].operation, Operation::Write { offset: 0, data: b"content".to_vec() });
    assert_eq!((records[1].operation.clone(), records[1].end), (Operation::Truncate(7), whole as u64));
}
