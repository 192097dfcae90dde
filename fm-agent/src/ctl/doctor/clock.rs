//! This node's clock against a controller's.

use fm_common::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::finding::Findings;

/// Seconds from which a difference is worth a look; a `Date` has whole seconds.
const WARN_S: i64 = 10;
/// Seconds from which tokens, certificates and the times of alarms go wrong.
const FAIL_S: i64 = 300;

/// Compares a server's `Date` with this node's time.
pub(super) fn tell(looked_at: &str, date: Option<&str>, now: Timestamp, findings: &mut Findings) {
    let Some(date) = date else {
        return findings.skip("clock", looked_at, "tells no time");
    };
    let Some(theirs) = parse(date) else {
        return findings.skip("clock", looked_at, &format!("tells a time that cannot be read: {date}"));
    };
    let ahead = (now.as_micros() - theirs.as_micros()) / 1_000_000;
    let found = match ahead {
        0 => "this node's clock agrees".to_owned(),
        1.. => format!("this node's clock is {ahead} s ahead"),
        _ => format!("this node's clock is {} s behind", -ahead),
    };
    let advice = "Set the clock that is wrong, and let both follow the same time servers (chronyc tracking).";
    match ahead.abs() {
        ..WARN_S => findings.ok("clock", looked_at, &found),
        WARN_S..FAIL_S => findings.warn("clock", looked_at, &found, advice),
        _ => findings.fail("clock", looked_at, &found, advice),
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    let time = DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_small_difference_is_nothing_and_a_wild_one_is_told() {
        let now = Timestamp::parse("2026-11-22 10:00:00").unwrap();
        for (date, level, words) in [
            ("Sun, 22 Nov 2026 10:00:00 GMT", Level::Ok, "agrees"),
            ("Sun, 22 Nov 2026 09:59:55 GMT", Level::Ok, "5 s ahead"),
            ("Sun, 22 Nov 2026 10:01:00 GMT", Level::Warn, "60 s behind"),
            ("Sat, 21 Nov 2026 10:00:00 GMT", Level::Fail, "86400 s ahead"),
            ("yesterday", Level::Skipped, "yesterday"),
        ] {
            let mut findings = Findings::default();
            tell("controller", Some(date), now, &mut findings);
            let finding = &findings.all()[0];
            assert_eq!(finding.level, level, "{date}");
            assert!(finding.found.contains(words), "{}", finding.found);
        }
    }
}
