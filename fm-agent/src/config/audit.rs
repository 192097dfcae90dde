//! Whether and where it is written down who did what.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The audit log: one line for each set, clear, log, administrators' action and refused access.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Where the lines go: nowhere (`off`), into the agent's own log (`log`) or into a file, by its absolute path.
    /// One that cannot be opened is told in the log and costs its lines, no alarm.
    /// Default: `"off"`. Example: `"/var/log/fm/audit.log"`.
    pub to: AuditTo,
}

/// Where audit lines go: `off`, `log` or a file's absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AuditTo {
    /// Nowhere.
    #[default]
    Off,
    /// Into the agent's own log, under the target `audit`, whatever `agent.log` says.
    Log,
    /// Into this file, for the agent's user only.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AuditTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "off" => Ok(Self::Off),
            "log" => Ok(Self::Log),
            path if path.starts_with('/') => Ok(Self::File(PathBuf::from(path))),
            other => {
                let reason =
                    format!("'{other}' is no place for audit lines: expected off, log or an absolute path");
                Err(D::Error::custom(reason))
            }
        }
    }
}
