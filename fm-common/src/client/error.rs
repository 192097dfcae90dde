//! How a call can fail, in words and as an error code.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::alarm::InvalidAlarm;
use crate::error::ErrorCode;
use crate::protocol::Refusal;
use crate::protocol::codec::CodecError;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the agent's socket, or it may not be used. Nothing was sent.
    #[error("no agent at {}: {source}; is fm-agent running, and may this user use its socket?", socket.display())]
    NotRunning {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The deadline passed before the answer came; the request may still be taken.
    #[error("the agent did not answer within {} ms; the request may still be taken", timeout.as_millis())]
    Timeout {
        /// The deadline of the call.
        timeout: Duration,
    },
    /// The connection broke twice before the answer came; the request may have been taken.
    #[error("the connection to the agent broke: {source}")]
    Broken {
        /// What the system said.
        source: io::Error,
    },
    /// The peer is no agent that this library understands, or the request cannot be written.
    #[error("{0}")]
    Protocol(#[from] CodecError),
    /// The request is not one that the agent would take. Nothing was sent.
    #[error("{0}")]
    Invalid(#[from] InvalidAlarm),
    /// The agent answered that it did not do it, and why.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

impl ClientError {
    /// The error code that callers of the existing interfaces see.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotRunning { .. } => ErrorCode::NoConnect,
            Self::Protocol(CodecError::TooLong { .. }) | Self::Invalid(_) => ErrorCode::InvalidParameter,
            Self::Timeout { .. } | Self::Broken { .. } | Self::Protocol(_) => ErrorCode::Communications,
            Self::Refused(refusal) => refusal.code,
        }
    }
}
