//! Times as the service reads, keeps and writes them: naive UTC, microseconds.
//!
//! A time is kept as its ISO text (`T` in between, six fraction digits or none when zero), which
//! sorts like the time itself.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use crate::config::Dialect;

/// Microseconds since the epoch, now.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The present time in naive UTC.
pub(crate) fn now() -> String {
    iso(Offset::UTC.to_datetime(jiff::Timestamp::now()))
}

/// The ISO text of `time`, cut to microseconds.
pub(crate) fn iso(time: DateTime) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let seconds = time.strftime("%Y-%m-%dT%H:%M:%S");
    if micros == 0 { seconds.to_string() } else { format!("{seconds}.{micros:06}") }
}

/// Reads `date T-or-space time [fraction] [offset]` into the text that `dialect` would keep; `None`
/// when it is no such time.
pub(crate) fn parse(dialect: Dialect, text: &str) -> Option<String> {
    let (date, rest) = text.split_at_checked(10)?;
    let time = rest.strip_prefix(['T', ' '])?;
    let (clock, tail) = time.split_at_checked(8)?;
    let tail_at = tail.find(['Z', 'z', '+', '-']).unwrap_or(tail.len());
    let (fraction, offset) = tail.split_at(tail_at);
    let naive = civil_date(date)?.to_datetime(civil_time(clock, fraction)?);
    let offset = offset_seconds(offset)?;
    let kept = match dialect {
        Dialect::PostgreSql => naive.checked_sub(SignedDuration::from_secs(offset)).ok()?,
        Dialect::MariaDb => naive,
    };
    Some(iso(kept))
}

fn civil_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn civil_time(clock: &str, fraction: &str) -> Option<Time> {
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let digits = match fraction.strip_prefix('.') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        None if fraction.is_empty() => "",
        _ => return None,
    };
    let six: String = digits.chars().chain(std::iter::repeat('0')).take(6).collect();
    let nanos = six.parse::<i32>().ok()? * 1000;
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, nanos).ok()
}

/// Three numbers of fixed width between `separator`s.
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (value, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn offset_seconds(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let plain = digits.replace(':', "");
    let valid = matches!(plain.len(), 2 | 4) && plain.bytes().all(|b| b.is_ascii_digit());
    if !valid {
        return None;
    }
    let hours: i64 = plain.get(..2)?.parse().ok()?;
    let minutes: i64 =
        plain.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |rest| rest.parse().ok())?;
    let seconds = hours * 3600 + minutes * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_six_digits_or_none() {
        let parse = |text| parse(Dialect::PostgreSql, text);
        assert_eq!(parse("2026-06-01 10:20:30").as_deref(), Some("2026-06-01T10:20:30"));
        assert_eq!(parse("2026-06-01T10:20:30.5").as_deref(), Some("2026-06-01T10:20:30.500000"));
        assert_eq!(parse("2026-06-01T10:20:30.123456789").as_deref(), Some("2026-06-01T10:20:30.123456"));
        assert_eq!(parse("2026-06-01T10:20:30.000").as_deref(), Some("2026-06-01T10:20:30"));
        for bad in
            ["", "2026-06-01", "2026-13-01T00:00:00", "2026-06-01T10:20:30.", "yesterday at noon ok", "é"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_offset_is_converted_by_one_database_and_dropped_by_the_other() {
        let text = "2026-06-01T10:20:30+02:00";
        assert_eq!(parse(Dialect::PostgreSql, text).as_deref(), Some("2026-06-01T08:20:30"));
        assert_eq!(parse(Dialect::MariaDb, text).as_deref(), Some("2026-06-01T10:20:30"));
    }
}
