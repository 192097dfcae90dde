//! Values that are checked while they are read, so that the parser can point at the line.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What `OK` promises about power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It survives power loss: each commit is flushed to the disk.
    #[default]
    Power,
    /// It survives the death of the agent, not power loss. Faster.
    Process,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTo {
    /// The journal when standard error is connected to it, else standard error.
    #[default]
    Auto,
    /// The journal, each field by its name.
    Journald,
    /// Standard error, a line each.
    Stderr,
}

/// A positive number of milliseconds, at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(u64);

impl Millis {
    const MOST: u64 = 24 * 60 * 60 * 1000;

    pub(super) const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(u64::try_from)? {
            Ok(millis) if (1..=Self::MOST).contains(&millis) => Ok(Self(millis)),
            _ => Err(D::Error::custom(format!("expected milliseconds from 1 to {}", Self::MOST))),
        }
    }
}

/// How many requests may be under way at a controller at the same time: 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight(usize);

impl InFlight {
    /// As a number.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for InFlight {
    /// Four: more only makes the service's concurrent writers collide.
    fn default() -> Self {
        Self(4)
    }
}

impl<'de> Deserialize<'de> for InFlight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(usize::try_from)? {
            Ok(number) if (1..=64).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom("expected a number from 1 to 64")),
        }
    }
}

/// Bytes that the store may take: 64 MiB to 1 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreBytes(u64);

impl StoreBytes {
    const LEAST: u64 = 64 << 20;
    const MOST: u64 = 1 << 40;

    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Default for StoreBytes {
    fn default() -> Self {
        Self(1 << 30)
    }
}

impl<'de> Deserialize<'de> for StoreBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(u64::try_from)? {
            Ok(bytes) if (Self::LEAST..=Self::MOST).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(D::Error::custom(format!("expected bytes from {} to {}", Self::LEAST, Self::MOST))),
        }
    }
}

/// Requests that may wait: 1,000 to 100,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreRequests(u64);

impl StoreRequests {
    const LEAST: u64 = 1_000;
    const MOST: u64 = 100_000_000;

    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Default for StoreRequests {
    fn default() -> Self {
        Self(500_000)
    }
}

impl<'de> Deserialize<'de> for StoreRequests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer).map(u64::try_from)? {
            Ok(requests) if (Self::LEAST..=Self::MOST).contains(&requests) => Ok(Self(requests)),
            _ => Err(D::Error::custom(format!("expected a number from {} to {}", Self::LEAST, Self::MOST))),
        }
    }
}

/// The share of the store's limits from which on it gives things up: 0.1 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HighWater(f64);

impl HighWater {
    /// As a number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for HighWater {
    fn default() -> Self {
        Self(0.8)
    }
}

impl<'de> Deserialize<'de> for HighWater {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match f64::deserialize(deserializer)? {
            share if (0.1..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(D::Error::custom("expected a share from 0.1 to 1, such as 0.8")),
        }
    }
}

/// An `http://` or `https://` URL without query, kept without a slash at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Credentials are recognized before the text may be shown, also where it is no URL otherwise.
        if text.contains('@') {
            return Err("credentials do not belong into a URL: use the keystone table".to_owned());
        }
        let url = reqwest::Url::parse(text).map_err(|error| format!("'{text}' is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("'{text}' is not an http:// or https:// URL"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("'{text}' has a query or fragment: give the base URL only"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The URL's text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Which log lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match tracing_subscriber::EnvFilter::try_new(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(D::Error::custom(format!("'{text}' is not a log filter: {error}"))),
        }
    }
}
