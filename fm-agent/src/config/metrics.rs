//! Where the metrics are served.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The figures for Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where they are served: `off`, `on` (127.0.0.1:9839), an address such as `127.0.0.1:9100`, or
    /// `unix:` and the absolute path of a socket. An address that is not the loopback's can be read from
    /// other machines: that is for pods. One that cannot be had is tried again; the agent serves without it.
    /// Default: `"off"`. Example: `"unix:/run/fm/metrics.sock"`.
    pub listen: MetricsListen,
}

/// `off`, `on`, an address with its port, or `unix:` and an absolute path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsListen(Option<MetricsAddress>);

/// Where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The address that `on` stands for.
const ON: ([u8; 4], u16) = ([127, 0, 0, 1], 9839);

impl MetricsListen {
    /// Where, if at all.
    pub fn address(&self) -> Option<&MetricsAddress> {
        self.0.as_ref()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self(match text {
            "off" => None,
            "on" => Some(MetricsAddress::Tcp(ON.into())),
            _ => Some(match text.strip_prefix("unix:") {
                Some(path) if path.starts_with('/') => MetricsAddress::Unix(path.into()),
                Some(_) => return None,
                None => MetricsAddress::Tcp(text.parse().ok()?),
            }),
        }))
    }
}

impl<'de> Deserialize<'de> for MetricsListen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "'{text}' is none of: off, on, an address with its port such as 127.0.0.1:9839, unix:/absolute/path"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_on_and_where() {
        let address = |text| MetricsListen::parse(text).map(|listen| listen.0);
        assert_eq!(address("off"), Some(None));
        assert_eq!(address("on"), Some(Some(MetricsAddress::Tcp(ON.into()))));
        let v6 = Some(Some(MetricsAddress::Tcp("[::1]:9".parse().unwrap())));
        assert_eq!(address("[::1]:9"), v6);
        assert_eq!(address("unix:/run/m.sock"), Some(Some(MetricsAddress::Unix("/run/m.sock".into()))));
        for wrong in ["", "yes", "9839", "localhost:9839", "unix:", "unix:m.sock"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
