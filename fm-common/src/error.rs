//! The error codes of the existing C interface, which every layer uses to say what went wrong.
//!
//! Numbers and names are part of the interface. A temporary fault is only ever `NoConnect`,
//! `Communications`, `NotEnoughSpace` or `ResourceUnavailable`: callers drop the alarm on others.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// Why a call failed, with the number and the name it has in `fmAPI.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)+
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, such as `FM_ERR_ENTITY_NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

error_codes! {
    /// The alarm exists already.
    AlarmExists = 1, "FM_ERR_ALARM_EXISTS";
    /// An attribute of the alarm is not valid.
    InvalidAttribute = 2, "FM_ERR_INVALID_ATTRIBUTE";
    /// The agent, or the controller that has to be asked, cannot be reached. Temporary.
    NoConnect = 3, "FM_ERR_NOCONNECT";
    /// The caller's process is out of memory.
    NoMemory = 4, "FM_ERR_NOMEM";
    /// The connection broke or stalled while the answer was awaited. Temporary.
    Communications = 5, "FM_ERR_COMMUNICATIONS";
    /// The agent's store or disk is full, or more alarms match than the caller has room for. Temporary.
    NotEnoughSpace = 6, "FM_ERR_NOT_ENOUGH_SPACE";
    /// The peer does not know this request.
    InvalidRequest = 7, "FM_ERR_INVALID_REQ";
    /// The server is out of memory.
    ServerNoMemory = 8, "FM_ERR_SERVER_NO_MEM";
    /// A script of the old command-line path failed.
    ScriptFailure = 9, "FM_ERR_SCRIPT_FAILURE";
    /// No alarm matches.
    EntityNotFound = 10, "FM_ERR_ENTITY_NOT_FOUND";
    /// The database refused the operation for good.
    DatabaseOperation = 11, "FM_ERR_DB_OPERATION_FAILURE";
    /// The database could not be opened.
    DatabaseConnect = 12, "FM_ERR_DB_CONNECT_FAILURE";
    /// A parameter is missing or not valid; the message names it.
    InvalidParameter = 13, "FM_ERR_INVALID_PARAMETER";
    /// The agent cannot serve the request now (stopping, overloaded, disk error). Temporary.
    ResourceUnavailable = 14, "FM_ERR_RESOURCE_UNAVAILABLE";
    /// The request is under way.
    RequestPending = 15, "FM_ERR_REQUEST_PENDING";
}

impl ErrorCode {
    /// The number in `EFmErrorT`.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The code with this number, if there is one (0 is success and no error).
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.number())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        Self::from_number(number)
            .ok_or_else(|| serde::de::Error::custom(format!("{number} is no error code")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_the_c_interface() {
        let mut seen = 0;
        for line in include_str!("../data/c_enums.csv").lines() {
            let columns: Vec<&str> = line.split(',').collect();
            if columns[0] != "EFmErrorT" || matches!(columns[1], "FM_ERR_OK" | "FM_ERR_MAX") {
                continue;
            }
            seen += 1;
            let code = ErrorCode::from_number(columns[2].parse().unwrap()).unwrap();
            assert_eq!(code.name(), columns[1]);
        }
        assert_eq!(seen, ErrorCode::ALL.len());
        assert_eq!(ErrorCode::from_number(0), None);
    }
}
