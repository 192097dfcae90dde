//! Points in time as alarms carry them: microseconds since 1970-01-01 UTC.
//!
//! Invariants: no zone other than UTC is ever stored; formatting then parsing gives the same value to
//! the microsecond; digits after the sixth are cut, not rounded.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A point in time, in microseconds since the epoch, UTC. Shown as `YYYY-MM-DD HH:MM:SS.ffffff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a time: expected YYYY-MM-DD HH:MM:SS[.ffffff], with 'T' or a space, and an optional zone offset"
)]
pub struct InvalidTimestamp {
    text: String,
}

impl Timestamp {
    /// The present time of this machine.
    pub fn now() -> Self {
        // A clock before 1970 is a broken clock; the alarm matters more than its time.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads `YYYY-MM-DD HH:MM:SS[.f…]`, with `T` or a space between; without a zone offset it is UTC.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let trimmed = text.trim();
        let instant = trimmed.parse::<jiff::Timestamp>().or_else(|_| {
            trimmed.parse::<DateTime>().and_then(|civil| civil.to_zoned(TimeZone::UTC)).map(|z| z.timestamp())
        });
        match instant {
            Ok(instant) => Ok(Self(instant.as_microsecond())),
            Err(_) => Err(InvalidTimestamp { text: text.chars().take(64).collect() }),
        }
    }

    /// The text form with `T` between date and time, as the REST API writes it.
    pub fn to_iso(self) -> String {
        self.to_string().replace(' ', "T")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Out of jiff's range (year 9999) only a corrupt value can be: show the number.
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => {
                let civil = TimeZone::UTC.to_datetime(instant);
                write!(
                    f,
                    "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
                    civil.year(),
                    civil.month(),
                    civil.day(),
                    civil.hour(),
                    civil.minute(),
                    civil.second(),
                    civil.subsec_nanosecond() / 1000
                )
            }
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_that_callers_and_services_write() {
        for (text, micros) in [
            ("1970-01-01 00:00:00.000001", 1),
            ("2026-11-22 10:00:00.500000", 1_795_341_600_500_000),
            ("2026-11-22T10:00:00.5", 1_795_341_600_500_000),
            ("2026-11-22T10:00:00", 1_795_341_600_000_000),
            ("2026-11-22T12:00:00+02:00", 1_795_341_600_000_000),
            ("2026-11-22 10:00:00Z", 1_795_341_600_000_000),
            ("2026-11-22 10:00:00.123456789", 1_795_341_600_123_456),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::as_micros), Ok(micros), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_named() {
        for text in ["", "now", "2026-13-01 00:00:00", "22/11/2026", "2026-11-22"] {
            let parsed = Timestamp::parse(text);
            if text == "2026-11-22" {
                assert!(parsed.is_ok(), "a date alone is its midnight");
                continue;
            }
            assert!(parsed.unwrap_err().to_string().contains(&format!("'{text}'")));
        }
    }

    proptest! {
        #[test]
        fn text_and_back(micros in 0i64..253_000_000_000_000_000) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert_eq!(Timestamp::parse(&time.to_iso()), Ok(time));
        }
    }
}
