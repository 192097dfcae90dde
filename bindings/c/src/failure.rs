//! Why a call was not done, as the error code that callers see and the reason in words.
//!
//! Invariant: the last message of a thread lies in the thread's own memory and needs no destructor, so
//! that unloading the library does not wait for the thread to end.

use std::cell::RefCell;

use fm_common::client::ClientError;
use fm_common::{ErrorCode, InvalidAlarm};

use crate::text::cut;

/// A call that was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A parameter that cannot be sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidParameter, message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<InvalidAlarm> for Failure {
    fn from(error: InvalidAlarm) -> Self {
        Self::invalid(error.to_string())
    }
}

const MESSAGE_BYTES: usize = 1024;

struct Message {
    length: usize,
    bytes: [u8; MESSAGE_BYTES],
}

thread_local! {
    static LAST: RefCell<Message> = const { RefCell::new(Message { length: 0, bytes: [0; MESSAGE_BYTES] }) };
}

/// Keeps the reason of this thread's last call; the empty text when it succeeded. A call out of a signal
/// handler that came in between is passed over.
pub(crate) fn remember(message: &str) {
    let message = cut(message, MESSAGE_BYTES);
    LAST.with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            last.bytes[..message.len()].copy_from_slice(message.as_bytes());
            last.length = message.len();
        }
    });
}

/// Does something with the reason of this thread's last call.
pub(crate) fn with_last<T>(read: impl FnOnce(&str) -> T) -> T {
    LAST.with(|last| match last.try_borrow() {
        Ok(last) => read(std::str::from_utf8(&last.bytes[..last.length]).unwrap_or_default()),
        Err(_) => read(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_is_the_threads_own_and_bounded() {
        remember("first");
        std::thread::spawn(|| {
            with_last(|text| assert_eq!(text, ""));
            remember("other");
        })
        .join()
        .unwrap();
        with_last(|text| assert_eq!(text, "first"));
        remember(&"ä".repeat(MESSAGE_BYTES));
        with_last(|text| assert_eq!(text, "ä".repeat(MESSAGE_BYTES / 2)));
        remember("");
        with_last(|text| assert_eq!(text, ""));
    }
}
