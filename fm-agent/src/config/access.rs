//! Who may do what, as the operator writes it, and what the sockets' files look like.
//!
//! Names are kept as they are written: whose they are is looked up where they are used, because users and
//! groups come and go.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Who may do what. Root and the agent's own user may do everything, whatever is written here; whoever may
/// administer may read and write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Who may read alarms and the agent's status.
    /// Default: `["everyone"]`. Example: `["root", "group:fm"]`.
    pub read: Vec<Principal>,
    /// Who may set and clear alarms and record logs.
    /// Default: `["everyone"]`. Example: `["root", "nova"]`.
    pub write: Vec<Principal>,
    /// Who may administer the agent.
    /// Default: `["root"]`. Example: `["root", "group:fm-admin"]`.
    pub admin: Vec<Principal>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            read: vec![Principal::Everyone],
            write: vec![Principal::Everyone],
            admin: vec![Principal::User("root".to_owned())],
        }
    }
}

/// Whom a rule means: `everyone`, a user (`root`, `user:fm`, `uid:1001`) or the members of a group (`group:fm`,
/// `gid:1002`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Whoever can open the socket.
    Everyone,
    /// The user with this name.
    User(String),
    /// The user with this number.
    Uid(u32),
    /// Processes that have the group with this name, as their own or besides it.
    Group(String),
    /// Processes that have the group with this number, as their own or besides it.
    Gid(u32),
}

impl Principal {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' names nobody: expected everyone, a user (root, user:NAME, uid:NUMBER) or a group \
                 (group:NAME, gid:NUMBER)"
            )
        };
        let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
        let is_name = |name: &str| {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            !is_number && !name.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control())
        };
        match text.split_once(':') {
            None if text == "everyone" => Ok(Self::Everyone),
            None if is_name(text) => Ok(Self::User(text.to_owned())),
            Some(("uid", digits)) => Ok(Self::Uid(number(digits)?)),
            Some(("gid", digits)) => Ok(Self::Gid(number(digits)?)),
            Some(("user", name)) if is_name(name) => Ok(Self::User(name.to_owned())),
            Some(("group", name)) if is_name(name) => Ok(Self::Group(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Uid(uid) => write!(f, "uid:{uid}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Gid(gid) => write!(f, "gid:{gid}"),
        }
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The permissions of a socket file, as an octal text such as `0660`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// Nobody but the owner.
    pub const OWNER: Self = Self(0o600);
    /// The owner and the group.
    pub const GROUP: Self = Self(0o660);
    /// Everybody.
    pub const EVERYBODY: Self = Self(0o666);

    /// The permission bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for SocketMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = "expected permissions as an octal text from \"0600\" to \"0777\", such as \"0660\"";
        // Text only: the number 660 is another mode than "660".
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(wrong))?;
        match u32::from_str_radix(&text, 8) {
            // Without its owner, nobody could tell that an agent is there.
            Ok(bits) if bits <= 0o777 && bits & 0o600 == 0o600 => Ok(Self(bits)),
            _ => Err(D::Error::custom(wrong)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_read_as_they_are_written() {
        for (text, meant) in [
            ("everyone", Principal::Everyone),
            ("root", Principal::User("root".to_owned())),
            ("user:fm", Principal::User("fm".to_owned())),
            ("uid:1001", Principal::Uid(1001)),
            ("group:fm-admin", Principal::Group("fm-admin".to_owned())),
            ("gid:0", Principal::Gid(0)),
        ] {
            assert_eq!(Principal::parse(text), Ok(meant), "{text}");
        }
        for text in
            ["", "1001", "uid:", "uid:-1", "uid:root", "group:", "group:7", "team:fm", "a b", "user:a:b"]
        {
            let reason = Principal::parse(text).unwrap_err();
            assert!(reason.contains("group:NAME"), "{text}: {reason}");
        }
    }

    #[test]
    fn a_mode_is_octal_and_keeps_its_owner() {
        #[derive(Debug, Deserialize)]
        struct Table {
            mode: SocketMode,
        }
        let read = |text: &str| toml::from_str::<Table>(text).map(|table| table.mode.bits());
        assert_eq!(read("mode = '0660'").unwrap(), 0o660);
        assert_eq!(read("mode = '666'").unwrap(), 0o666);
        for wrong in
            ["mode = 660", "mode = 0o660", "mode = '0888'", "mode = '0066'", "mode = '1777'", "mode = ''"]
        {
            assert!(read(wrong).unwrap_err().message().contains("octal"), "{wrong}");
        }
    }
}
