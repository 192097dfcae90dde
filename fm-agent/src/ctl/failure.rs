//! Why a command was not done, and the exit status that says so.

use std::io;

use fm_common::ErrorCode;
use fm_common::client::ClientError;
use fm_common::protocol::NOT_UNDERSTOOD;

/// It is not so: nothing found, a check failed, the wait ended in vain.
pub(super) const NOT_SO: u8 = 1;
/// Wrong usage; this and the next after `sysexits.h`.
pub(super) const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;
const EX_IOERR: u8 = 74;
const EX_TEMPFAIL: u8 = 75;
const EX_PROTOCOL: u8 = 76;
const EX_NOPERM: u8 = 77;
const EX_CONFIG: u8 = 78;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The agent did not do it, or cannot be reached.
    #[error("{}", told(.0))]
    Agent(#[from] ClientError),
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// It is not so.
    #[error("{0}")]
    NotSo(String),
    /// It was told already that it is not so.
    #[error("")]
    Told,
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// Nothing more can be printed.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The agent answered with something else than was asked for.
    #[error("the agent's answer cannot be read: {0}; agent and fmctl may be of different versions")]
    Answer(#[from] serde_json::Error),
}

impl Failure {
    /// The exit status; none when the reader of the output has seen enough.
    pub(super) fn status(&self) -> Option<u8> {
        Some(match self {
            Self::Agent(error) => agent(error),
            Self::Usage(_) => EX_USAGE,
            Self::NotSo(_) | Self::Told => NOT_SO,
            Self::Config(_) => EX_CONFIG,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return None,
            Self::Output(_) => EX_IOERR,
            Self::Answer(_) => EX_PROTOCOL,
        })
    }
}

/// The error's own words; a socket that is there and closed to this user is no agent that is missing.
fn told(error: &ClientError) -> String {
    match error {
        ClientError::NotRunning { socket, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            super::door::closed(socket, source)
        }
        other => other.to_string(),
    }
}

fn agent(error: &ClientError) -> u8 {
    match error {
        ClientError::NotRunning { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            EX_NOPERM
        }
        ClientError::NotRunning { .. } | ClientError::Broken { .. } => EX_UNAVAILABLE,
        ClientError::Timeout { .. } => EX_TEMPFAIL,
        ClientError::Protocol(_) => EX_PROTOCOL,
        ClientError::Invalid(_) => EX_USAGE,
        ClientError::Refused(refusal) => match refusal.code {
            ErrorCode::EntityNotFound => NOT_SO,
            ErrorCode::InvalidRequest if refusal.message.starts_with(NOT_UNDERSTOOD) => EX_PROTOCOL,
            ErrorCode::InvalidRequest => EX_NOPERM,
            ErrorCode::InvalidParameter | ErrorCode::InvalidAttribute => EX_USAGE,
            ErrorCode::NoConnect
            | ErrorCode::Communications
            | ErrorCode::NotEnoughSpace
            | ErrorCode::ResourceUnavailable => EX_TEMPFAIL,
            _ => EX_SOFTWARE,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fm_common::protocol::Refusal;

    use super::*;

    #[test]
    fn each_failure_has_its_status() {
        let refused = |code, message: &str| Failure::Agent(ClientError::Refused(Refusal::new(code, message)));
        let not_running = |kind: io::ErrorKind| {
            Failure::Agent(ClientError::NotRunning { socket: "a.sock".into(), source: kind.into() })
        };
        for (failure, status) in [
            (not_running(io::ErrorKind::NotFound), Some(69)),
            (not_running(io::ErrorKind::PermissionDenied), Some(77)),
            (Failure::Agent(ClientError::Timeout { timeout: Duration::from_secs(1) }), Some(75)),
            (refused(ErrorCode::EntityNotFound, "none"), Some(1)),
            (refused(ErrorCode::InvalidRequest, "for root"), Some(77)),
            (refused(ErrorCode::InvalidRequest, &format!("{NOT_UNDERSTOOD}: 99")), Some(76)),
            (refused(ErrorCode::NoConnect, "down"), Some(75)),
            (refused(ErrorCode::InvalidParameter, "alarm_id"), Some(64)),
            (refused(ErrorCode::DatabaseOperation, "?"), Some(70)),
            (Failure::Output(io::ErrorKind::BrokenPipe.into()), None),
            (Failure::Output(io::ErrorKind::StorageFull.into()), Some(74)),
            (Failure::Config("x".to_owned()), Some(78)),
            (Failure::Told, Some(1)),
        ] {
            assert_eq!(failure.status(), status, "{failure:?}");
        }
    }
}
