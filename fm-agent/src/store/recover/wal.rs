//! The write-ahead log as SQLite writes it, read without SQLite: what SQLite would take from it, what it would
//! pass over in silence, and how to keep most of that.
//!
//! Frames are chained by their checksums, so SQLite stops at the first that does not fit and forgets all that
//! follow. After a power cut that is right: one transaction at the end, which nobody was told of, is torn. In the
//! middle it is not: each transaction is on disk before the next one begins.
//!
//! Invariant: the log is only read; a mended one is another file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Bytes of the log's header.
const HEADER: usize = 32;
/// Bytes before the page in each frame.
const FRAME_HEADER: usize = 24;
/// The first four bytes: the last bit says how checksums read their words.
const MAGIC: u32 = 0x377f_0682;
/// The format's version, since SQLite 3.7.0.
const VERSION: u32 = 3_007_000;
/// The bytes of the first page that describe the database.
pub(super) const PAGE_HEADER: usize = 100;

type Sum = [u32; 2];

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Transactions that SQLite takes.
    pub(super) commits: u64,
    /// Transactions that were finished and that SQLite passes over.
    pub(super) passed_over: u64,
    /// The beginning of the database's first page, as the transactions that SQLite takes leave it.
    pub(super) first_page: Option<[u8; PAGE_HEADER]>,
}

impl Contents {
    /// Whether acknowledged transactions would be passed over. One that is torn at the end is not: it was
    /// being written, and nobody was told of it.
    pub(super) fn is_damaged(&self) -> bool {
        self.passed_over > 1
    }
}

/// A frame, and what is to be thought of it.
struct Frame {
    header: [u8; FRAME_HEADER],
    page: Vec<u8>,
    /// It belongs to this log, and is no leftover of an earlier one in the same file.
    current: bool,
    /// Its bytes are those that were written, as far as the frame before can tell.
    sound: bool,
}

impl Frame {
    /// It ends a transaction.
    fn commits(&self) -> bool {
        word(&self.header, 4) != 0
    }
}

/// Reads a log frame by frame.
struct Frames<R> {
    from: R,
    big_endian: bool,
    salts: [u8; 8],
    /// The salts are those of the first frame: the log's header cannot be trusted.
    salts_of_first: bool,
    page_size: usize,
    /// The checksum that the last frame carries, right or wrong.
    sum: Sum,
}

impl<R: Read> Frames<R> {
    /// `page_size` is the database's, for a log whose header is damaged. Gives also whether the header is sound.
    fn new(mut from: R, page_size: usize) -> io::Result<Option<(Self, bool)>> {
        let mut header = [0; HEADER];
        if !fill(&mut from, &mut header)? {
            return Ok(None);
        }
        let big_endian = word(&header, 0) == MAGIC | 1;
        let sum = [word(&header, 24), word(&header, 28)];
        let sound = word(&header, 0) & !1 == MAGIC
            && word(&header, 4) == VERSION
            && checksum(big_endian, [0; 2], &header[..24]) == sum;
        let page_size = if sound { word(&header, 8) as usize } else { page_size };
        if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
            return Ok(None);
        }
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        Ok(Some((Self { from, big_endian, salts, salts_of_first: !sound, page_size, sum }, sound)))
    }

    fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut header = [0; FRAME_HEADER];
        let mut page = vec![0; self.page_size];
        if !fill(&mut self.from, &mut header)? || !fill(&mut self.from, &mut page)? {
            return Ok(None);
        }
        if std::mem::take(&mut self.salts_of_first) {
            self.salts.copy_from_slice(&header[8..16]);
        }
        let current = header[8..16] == self.salts;
        let sum = checksum(self.big_endian, checksum(self.big_endian, self.sum, &header[..8]), &page);
        self.sum = [word(&header, 16), word(&header, 20)];
        Ok(Some(Frame { header, page, current, sound: current && sum == self.sum }))
    }
}

/// Reads the log at `path`; without one it is empty. `page_size` is the database's.
pub(super) fn read(path: &Path, page_size: usize) -> io::Result<Contents> {
    let mut contents = Contents::default();
    let Some(file) = open(path)? else { return Ok(contents) };
    let Some((mut frames, mut whole)) = Frames::new(BufReader::new(file), page_size)? else {
        return Ok(contents);
    };
    let mut first_page = None;
    while let Some(frame) = frames.next()? {
        whole &= frame.sound;
        let is_first = word(&frame.header, 0) == 1;
        if whole && is_first && frame.page.len() >= PAGE_HEADER {
            let mut bytes = [0; PAGE_HEADER];
            bytes.copy_from_slice(&frame.page[..PAGE_HEADER]);
            first_page = Some(bytes);
        }
        match (whole, frame.current && frame.commits()) {
            (true, true) => {
                contents.commits += 1;
                contents.first_page = first_page;
            }
            (false, true) => contents.passed_over += 1,
            (_, false) => {}
        }
    }
    Ok(contents)
}

/// Writes a log like the one at `path` without the frames that are damaged, and flushes it. The pages in those
/// are as older frames or the database have them, so the database is to be checked afterwards. Gives how many
/// frames were left out.
pub(super) fn mend(path: &Path, page_size: usize, into: &Path) -> io::Result<u64> {
    let mut left_out = 0;
    let mut to = BufWriter::new(super::create(into)?);
    if let Some(file) = open(path)?
        && let Some((mut frames, _)) = Frames::new(BufReader::new(file), page_size)?
    {
        // The salts of a damaged header are in the first frame.
        let mut next = frames.next()?;
        let mut header = [0; HEADER];
        let magic = if frames.big_endian { MAGIC | 1 } else { MAGIC };
        let size = u32::try_from(frames.page_size).unwrap_or_default();
        for (place, value) in [(0, magic), (4, VERSION), (8, size)] {
            put(&mut header, place, value);
        }
        header[16..24].copy_from_slice(&frames.salts);
        let mut sum = checksum(frames.big_endian, [0; 2], &header[..24]);
        put(&mut header, 24, sum[0]);
        put(&mut header, 28, sum[1]);
        to.write_all(&header)?;
        while let Some(mut frame) = next {
            if frame.sound {
                sum = checksum(frames.big_endian, sum, &frame.header[..8]);
                sum = checksum(frames.big_endian, sum, &frame.page);
                put(&mut frame.header, 16, sum[0]);
                put(&mut frame.header, 20, sum[1]);
                to.write_all(&frame.header)?;
                to.write_all(&frame.page)?;
            } else if frame.current {
                left_out += 1;
            }
            next = frames.next()?;
        }
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(left_out)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads exactly this much; false when there is not that much left.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], place: usize) -> u32 {
    u32::from_be_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]])
}

fn put(bytes: &mut [u8], place: usize, value: u32) {
    bytes[place..place + 4].copy_from_slice(&value.to_be_bytes());
}

/// SQLite's checksum over whole pairs of words, continued from `sum`.
fn checksum(big_endian: bool, [mut first, mut second]: Sum, bytes: &[u8]) -> Sum {
    for pair in bytes.chunks_exact(8) {
        let [one, other] = [0, 4].map(|place| {
            let big = word(pair, place);
            if big_endian { big } else { big.swap_bytes() }
        });
        first = first.wrapping_add(one).wrapping_add(second);
        second = second.wrapping_add(other).wrapping_add(first);
    }
    [first, second]
}
