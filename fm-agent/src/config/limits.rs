//! What one caller, one process and one user may take of the agent.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Shares of the agent that keep its other callers served when one of them floods it. A process is told apart
/// by its process id, because most callers of a node run as root; the limits of a user hold for every user but
/// root and the agent's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections of one process at the same time, 1 to 1000000; more are refused.
    /// Default: `1000`.
    pub connections_per_process: Count,
    /// Connections of one user at the same time, 1 to 1000000; more are refused.
    /// Default: `5000`.
    pub connections_per_user: Count,
    /// Changes of one process that may be under way at the same time, 1 to 1000000; what comes beyond them
    /// waits in its socket. A list counts by its entries.
    /// Default: `128`.
    pub requests_per_process: Count,
    /// Changes of one user that may be under way at the same time, 1 to 1000000.
    /// Default: `256`.
    pub requests_per_user: Count,
    /// Alarms or keys in one call, 1 to 1000000; a longer list is refused.
    /// Default: `10000`.
    pub list_entries: Count,
    /// Memory for requests that one process has sent and that are not answered, in bytes, from 65536; what
    /// comes beyond it waits in its socket.
    /// Default: `33554432`, 32 MiB.
    pub buffered_bytes_per_process: Bytes,
    /// Memory for the requests of one user, in bytes, from 65536.
    /// Default: `67108864`, 64 MiB.
    pub buffered_bytes_per_user: Bytes,
    /// Memory for the requests of all callers, in bytes, from 65536.
    /// Default: `134217728`, 128 MiB.
    pub buffered_bytes: Bytes,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections_per_process: Count::new(1000),
            connections_per_user: Count::new(5000),
            requests_per_process: Count::new(128),
            requests_per_user: Count::new(256),
            list_entries: Count::new(10_000),
            buffered_bytes_per_process: Bytes(32 * MIB),
            buffered_bytes_per_user: Bytes(64 * MIB),
            buffered_bytes: Bytes(128 * MIB),
        }
    }
}

/// A number from 1 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(usize);

impl Count {
    const MOST: usize = 1_000_000;

    pub(super) const fn new(number: usize) -> Self {
        Self(number)
    }

    /// As a number.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(usize::try_from)? {
            Ok(number) if (1..=Self::MOST).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format!("expected a number from 1 to {}", Self::MOST))),
        }
    }
}

/// An amount of memory: from 65536 bytes to 256 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(usize);

impl Bytes {
    const LEAST: usize = 64 * 1024;
    const MOST: usize = 256 * 1024 * 1024 * 1024;

    /// As a number.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(usize::try_from)? {
            Ok(number) if (Self::LEAST..=Self::MOST).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format!("expected bytes from {} to {}", Self::LEAST, Self::MOST))),
        }
    }
}
