//! The text form of alarms and filters, times, and the laws of entities.
#![no_main]

use fm_common::entity::{EntityMatch, canonical, component_names, names_instance};
use fm_common::text::{self, Unreadable};
use fm_common::{Alarm, AlarmState, AlarmType, ProbableCause, Severity, Timestamp};
use fm_fuzz::{said, within};
use libfuzzer_sys::fuzz_target;

/// An alarm as callers write it.
fn written(alarm: &Alarm) -> String {
    let keep = if alarm.keep_existing_alarm { "True" } else { "False" };
    format!("###{}{keep}###", text::line(alarm))
}

/// What was read is what is read when it is written again, unless its fields leave several readings.
fn alarm(given: &str) {
    // The places of separators, and a count for each and each of the fields.
    let most = given.len() * 64 + 16 * 1024;
    let read = within(most, || text::alarm(given));
    let lenient = text::alarm_with_14_or_15_fields(given);
    match &read {
        Ok(alarm) => {
            let again = text::alarm(&written(alarm));
            assert!(
                matches!(&again, Err(Unreadable::Ambiguous(15))) || again.as_ref() == Ok(alarm),
                "{again:?}"
            );
            assert_eq!(lenient.as_ref(), Ok(alarm), "15 fields are 15 fields");
            assert_eq!(text::line(alarm).matches("###").count().min(14), 14);
        }
        Err(error @ Unreadable::Ambiguous(_)) => assert_eq!(lenient.as_ref(), Err(error), "never guessed"),
        Err(error) => drop(said(error)),
    }
    match &lenient {
        Ok(alarm) => drop(alarm.validate().map_err(|error| said(&error))),
        Err(error) => drop(said(error)),
    }
}

fn filter(given: &str) {
    match text::filter(given) {
        Ok(key) => {
            assert_eq!(canonical(&key.entity_instance_id), key.entity_instance_id);
            let space = |text: &str| if text.is_empty() { " ".to_owned() } else { text.to_owned() };
            let again = format!("###{}###{}###", space(&key.alarm_id), space(&key.entity_instance_id));
            assert_eq!(text::filter(&again), Ok(key));
        }
        Err(error) => drop(said(&error)),
    }
}

/// A time that is read is shown so that it is read again as the same, as far as the year 9999.
fn time(given: &str) {
    match Timestamp::parse(given) {
        Ok(time) => {
            let (shown, iso) = (time.to_string(), time.to_iso());
            if time.as_micros() >= Timestamp::parse("0000-01-01 00:00:00").expect("a time").as_micros() {
                assert_eq!(Timestamp::parse(&shown), Ok(time), "{shown}");
                assert_eq!(Timestamp::parse(&iso), Ok(time), "{iso}");
            }
        }
        Err(error) => drop(said(&error)),
    }
}

/// What a filter means.
fn entities(filter: &str, entity: &str) {
    let [component, prefix] = [EntityMatch::Component, EntityMatch::Prefix];
    for rule in [component, prefix] {
        assert!(rule.covers(filter, filter) && rule.covers(entity, entity), "a filter means itself");
        assert!(!rule.covers(filter, entity) || entity.starts_with(filter), "all characters are literal");
        assert!(!rule.covers("", entity) || entity.is_empty(), "the empty filter never means everything");
        if !filter.is_empty() {
            for border in ['.', '='] {
                let below = format!("{filter}{border}{entity}");
                assert!(rule.covers(filter, &below), "what lies under a filter is meant");
                assert!(!rule.covers(&below, filter), "what lies above is not");
                assert!(!rule.covers(filter, entity) || rule.covers(filter, &format!("{entity}{border}x")));
            }
        }
    }
    assert!(!component.covers(filter, entity) || prefix.covers(filter, entity), "prefix means no less");
    let longer = format!("{filter}0{entity}");
    assert!(
        filter.is_empty() || filter.ends_with(['.', '=']) || !component.covers(filter, &longer),
        "a longer name is another entity"
    );
    assert_eq!(names_instance(entity), component_names(entity).any(|name| name == "instance"));
    assert!(component_names(entity).all(|name| !name.is_empty() && !name.contains(['.', '='])));
}

/// Each vocabulary keeps every text.
fn values(given: &str) {
    assert_eq!(AlarmState::from(given).as_str(), given);
    assert_eq!(Severity::from(given).as_str(), given);
    assert_eq!(AlarmType::from(given).as_str(), given);
    assert_eq!(ProbableCause::from(given).as_str(), given);
}

fuzz_target!(|input: &[u8]| {
    let given = String::from_utf8_lossy(input);
    alarm(&given);
    filter(&given);
    time(&given);
    values(&given);
    let (first, second) = given.split_once('\n').unwrap_or((&given, ""));
    entities(first, second);
});
