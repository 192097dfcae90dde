//! How a controller is reached over the central manager's socket: host, port, deadlines.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::types::Millis;

/// One central manager, fm-manager.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FmManagerConfig {
    /// Its host's name or address; looked up at each connection, for it moves between controllers.
    /// Default: `"controller"`.
    pub host: HostName,
    /// Its port.
    /// Default: `8001`.
    pub port: u16,
    /// How long a connection may take to come about, name lookup included.
    /// Default: `2000`.
    pub connect_timeout_ms: Millis,
    /// How long one request may take, from its first byte to the answer's last. The manager answers reads
    /// up to 100 ms late.
    /// Default: `5000`.
    pub read_timeout_ms: Millis,
}

impl Default for FmManagerConfig {
    fn default() -> Self {
        Self {
            host: HostName("controller".to_owned()),
            port: 8001,
            connect_timeout_ms: Millis::new(2_000),
            read_timeout_ms: Millis::new(5_000),
        }
    }
}

/// A host's name or address, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_address = text.parse::<std::net::IpAddr>().is_ok();
        let is_name = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-._".contains(c));
        if is_address || is_name {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!(
                "'{text}' is no host name or address; the port is a key of its own"
            )))
        }
    }
}
