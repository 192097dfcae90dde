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
