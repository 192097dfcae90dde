//! Messages to bytes and back: the only module that knows bincode.
//!
//! Invariants:
//! - What is decoded is bounded twice: by the frame's length and by bincode's own limit, so a length
//!   inside a frame can never make the reader allocate more than the limit: little for a short frame.
//! - What can be written into a frame can be read from it.
//! - A request's header is decoded apart from its body: a body of an unknown kind still has an id to
//!   answer under.
//! - Bytes after a message are an error.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::{Hello, HelloAnswer, Request, RequestHeader, Response};
use super::{LENGTH_BYTES, MAX_FRAME_BYTES};
use crate::alarm::{Alarm, AlarmKey};

/// bincode's limit counts a number as long as it is in memory, whatever its bytes in the frame: this many
/// for one at most.
const COUNTED: usize = size_of::<u64>();

/// Frames up to this long, all hellos among them, are read under a limit of their own.
const SHORT_FRAME_BYTES: usize = 4096;

fn config() -> bincode::config::Configuration {
    bincode::config::standard()
}

/// Why bytes could not be written or read as a message.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The message does not fit into a frame.
    #[error(
        "the message has {bytes} bytes, a frame holds {MAX_FRAME_BYTES}: send fewer or shorter alarms in one call"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The message cannot be written.
    #[error("the message cannot be encoded: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    /// The bytes are no such message.
    #[error("not a valid message: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    /// The bytes go on after the message.
    #[error("not a valid message: {0} bytes are left over")]
    LeftOver(usize),
}

impl CodecError {
    /// Whether the message is whole but holds a text that is not UTF-8.
    pub fn is_invalid_text(&self) -> bool {
        matches!(self, Self::Decode(bincode::error::DecodeError::Utf8 { .. }))
    }
}

/// Appends one frame holding the parts given, each encoded after the other. `frame` is unchanged when
/// this fails.
fn append_frame(
    frame: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let start = frame.len();
    frame.extend_from_slice(&[0; LENGTH_BYTES]);
    let written = write(frame).and_then(|()| {
        let bytes = frame.len() - start - LENGTH_BYTES;
        match u32::try_from(bytes) {
            Ok(length) if bytes <= MAX_FRAME_BYTES => Ok(length),
            _ => Err(CodecError::TooLong { bytes }),
        }
    });
    match written {
        Ok(length) => {
            frame[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        Err(error) => {
            frame.truncate(start);
            Err(error)
        }
    }
}

fn append<T: Serialize>(frame: &mut Vec<u8>, message: &T) -> Result<(), CodecError> {
    bincode::serde::encode_into_std_write(message, frame, config())?;
    Ok(())
}

/// Reads a message that the bytes begin with, and how many it has.
fn decode_first<T: DeserializeOwned>(payload: &[u8]) -> Result<(T, usize), CodecError> {
    use bincode::serde::decode_from_slice;
    Ok(if payload.len() <= SHORT_FRAME_BYTES {
        decode_from_slice(payload, config().with_limit::<{ SHORT_FRAME_BYTES * COUNTED }>())?
    } else {
        decode_from_slice(payload, config().with_limit::<{ MAX_FRAME_BYTES * COUNTED }>())?
    })
}

fn decode_all<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    let (message, used) = decode_first(payload)?;
    if used == payload.len() { Ok(message) } else { Err(CodecError::LeftOver(payload.len() - used)) }
}

/// Appends the frame of a hello.
pub fn encode_hello(frame: &mut Vec<u8>, hello: &Hello) -> Result<(), CodecError> {
    append_frame(frame, |frame| append(frame, hello))
}

/// Reads a hello from a frame's bytes.
pub fn decode_hello(payload: &[u8]) -> Result<Hello, CodecError> {
    decode_all(payload)
}

/// Appends the frame of the answer to a hello.
pub fn encode_hello_answer(frame: &mut Vec<u8>, answer: &HelloAnswer) -> Result<(), CodecError> {
    append_frame(frame, |frame| append(frame, answer))
}

/// Reads the answer to a hello from a frame's bytes.
pub fn decode_hello_answer(payload: &[u8]) -> Result<HelloAnswer, CodecError> {
    decode_all(payload)
}

/// Appends the frame of a request.
pub fn encode_request(
    frame: &mut Vec<u8>,
    header: &RequestHeader,
    request: &Request,
) -> Result<(), CodecError> {
    append_frame(frame, |frame| {
        append(frame, header)?;
        append(frame, request)
    })
}

/// Reads a request's header; the rest of the bytes is its body.
pub fn decode_request_header(payload: &[u8]) -> Result<(RequestHeader, &[u8]), CodecError> {
    let (header, used) = decode_first(payload)?;
    Ok((header, &payload[used..]))
}

/// Reads the body of a request.
pub fn decode_request(body: &[u8]) -> Result<Request, CodecError> {
    decode_all(body)
}

/// What a request will cost its reader, known before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Alarms or keys in it; 1 for what is no list.
    pub entries: usize,
    /// How much of its reader it takes, in single changes: a list by its entries, and a list that is asked for
    /// as so many, because it has to be gathered.
    pub places: usize,
    /// Bytes of memory for its frame and for what that is decoded to, about.
    pub bytes: usize,
}

/// Bytes at the beginning of a request's frame, without the length, that hold all that [`weigh`] looks at.
pub const WEIGHED_BYTES: usize = 64;

/// Weighs a request by the first [`WEIGHED_BYTES`] of its frame, or all of a shorter one, and the frame's
/// length: a short frame can hold a list that is many times longer decoded. What is no valid request weighs
/// little; decoding says what is wrong with it.
pub fn weigh(start: &[u8], length: usize) -> Weight {
    const SET_LIST: u32 = 1;
    const CLEAR_LIST: u32 = 4;
    const LISTS: std::ops::RangeInclusive<u32> = 6..=8;
    const LIST_PLACES: usize = 16;
    let one = Weight { entries: 1, places: 1, bytes: length };
    let Ok((_, body)) = decode_request_header(start) else { return one };
    let Ok((kind, used)) = bincode::decode_from_slice::<u32, _>(body, config()) else { return one };
    let entry = match kind {
        SET_LIST => size_of::<Alarm>(),
        CLEAR_LIST => size_of::<AlarmKey>(),
        list if LISTS.contains(&list) => return Weight { places: LIST_PLACES, ..one },
        _ => return one,
    };
    match bincode::decode_from_slice::<u64, _>(&body[used..], config()) {
        // Each entry has at least a byte, whatever the list's length says.
        Ok((entries, _)) => {
            let entries = usize::try_from(entries).unwrap_or(usize::MAX).min(length).max(1);
            Weight { entries, places: entries, bytes: length.saturating_add(entries.saturating_mul(entry)) }
        }
        Err(_) => one,
    }
}

/// Appends the frame of a response to the request with this id.
pub fn encode_response(frame: &mut Vec<u8>, id: u64, response: &Response) -> Result<(), CodecError> {
    append_frame(frame, |frame| {
        append(frame, &id)?;
        append(frame, response)
    })
}

/// Reads a response and the id of the request it belongs to.
pub fn decode_response(payload: &[u8]) -> Result<(u64, Response), CodecError> {
    decode_all(payload)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
