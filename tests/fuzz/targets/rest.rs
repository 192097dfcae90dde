//! Answers of fm-rest-api and Keystone: alarms, events, summaries, errors, tokens with their catalogue.
//!
//! An input is a status (two bytes) and a body. The body is read as each kind of document; a body that is one
//! gives the alarms that the laws of sending are then tried on.
#![no_main]

use std::sync::OnceLock;

use fm_agent::backend::fuzzing::{fm_rest_api as rest, keystone};
use fm_agent::backend::{Failure, FailureKind};
use fm_agent::config::{Account, HttpUrl, KeystoneConfig};
use fm_common::entity::canonical;
use fm_common::{Alarm, Severity, Timestamp};
use fm_fuzz::{like_contains, said, within};
use libfuzzer_sys::fuzz_target;

/// Characters that a column of the service holds.
const COLUMN: usize = 255;

fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let mut keys = KeystoneConfig::default();
        keys.auth_url = Some(HttpUrl::parse("http://keystone:5000").expect("a URL"));
        keys.username = Some("fm".to_owned());
        keys.password = Some("secret".into());
        keys.account().expect("an account")
    })
}

/// What a status and a body mean together.
fn meaning(status: u16, body: &[u8]) {
    match rest::meaning(status, body) {
        None => assert!(!(100..1000).contains(&status)),
        Some(Ok(Some(same))) => assert!((200..300).contains(&status) && same == body),
        Some(Ok(None)) => assert_eq!(status, 404),
        Some(Err(failure)) => {
            let words = said(&failure);
            assert!(words.contains(&status.to_string()), "{words}");
            assert!(words.chars().count() < 1000, "a foreign text is shown shortened");
            // What may have been carried out is never given up, and never taken for not done.
            let Failure { kind, in_doubt, .. } = failure;
            assert!(!(in_doubt && kind == FailureKind::Rejected));
            assert_eq!(in_doubt, status == 408 || status >= 500, "{status}: {words}");
        }
    }
}

/// The laws for an alarm that came from the service.
fn laws(alarm: &Alarm) {
    assert_eq!(canonical(&alarm.entity_instance_id), alarm.entity_instance_id);
    assert!(alarm.uuid.is_some());
    for mariadb in [false, true] {
        entity(&alarm.entity_instance_id, mariadb);
        for log in [false, true] {
            match rest::hold(alarm, log, mariadb) {
                Ok((held, changes)) => {
                    fits(&held, mariadb);
                    let (again, more) = rest::hold(&held, log, mariadb).expect("what is held can be held");
                    assert_eq!(
                        (&again, more),
                        (&held, Vec::new()),
                        "adapting what is adapted changes nothing"
                    );
                    assert!(!changes.is_empty() || held.same_content(alarm), "a change is told");
                    comes_back(&held);
                }
                Err(error) => drop(said(&error)),
            }
        }
    }
}

/// What is sent is read as what it was.
fn comes_back(held: &Alarm) {
    let body = rest::body(held, "u-1").expect("an alarm is JSON");
    let read = rest::alarm(&body).expect("what is sent can be read");
    assert!(read.same_content(held), "{read:?} was {held:?}");
    assert_eq!(read.timestamp, held.timestamp);
    assert_eq!(read.uuid.as_deref(), Some("u-1"));
    assert_eq!(rest::posted_uuid(&body).as_deref(), Some("u-1"));
}

/// The service's columns hold it.
fn fits(held: &Alarm, mariadb: bool) {
    let texts = [
        held.alarm_id.as_str(),
        &held.entity_type_id,
        &held.entity_instance_id,
        &held.reason_text,
        &held.proposed_repair_action,
        held.alarm_type.as_str(),
        held.probable_cause.as_str(),
    ];
    for text in texts {
        assert!(text.chars().count() <= COLUMN && !text.contains('\0'));
        assert!(!mariadb || text.chars().all(|c| c.len_utf8() < 4));
    }
    assert!(!matches!(held.severity, Severity::Other(_) | Severity::Clear | Severity::NotApplicable));
    assert!(held.timestamp.is_none_or(|time| time >= Timestamp::from_micros(0)));
}

/// A filter finds the entity in whichever form it is held.
fn entity(given: &str, mariadb: bool) {
    let (held, restored) = rest::entity(given, mariadb);
    assert!(held.chars().count() <= COLUMN);
    assert_eq!(rest::entity(&held, mariadb).0, held, "adapting what is adapted changes nothing");
    assert_eq!(rest::entity(&restored, mariadb).0, held, "what callers get back means the same alarm");
    let pattern = rest::filter(given);
    assert!(like_contains(&held, &pattern), "{pattern:?} does not find {held:?}");
}

fuzz_target!(|input: &[u8]| {
    let Some((status, body)) = input.split_first_chunk() else { return };
    meaning(u16::from_be_bytes(*status), body);
    // The fields twice, an alarm for each shortest row, and what an error says.
    let most = body.len() * 128 + 16 * 1024;
    let alarms = within(most, || rest::alarms(body));
    let alarm = within(most, || rest::alarm(body));
    let errors = [
        alarms.as_ref().err().cloned(),
        alarm.as_ref().err().cloned(),
        rest::event_time(body).err(),
        rest::events(body).err(),
        rest::summary(body).err(),
        rest::alarm_types(body).err(),
    ];
    for error in errors.into_iter().flatten() {
        said(&error);
    }
    alarms.iter().flatten().chain(&alarm).for_each(laws);
    rest::posted_uuid(body);
    match keystone::token(body, account()) {
        Ok(told) => {
            said(&told.holder);
            match told.endpoint {
                Ok(url) => assert!(url.starts_with("http") || HttpUrl::parse(&url).is_ok(), "{url}"),
                Err(error) => drop(said(&error)),
            }
            for lifetime in told.lifetimes {
                match lifetime {
                    Ok(lifetime) => {
                        assert!(lifetime.as_secs() < 1 << 40, "a token that outlives the year 9999");
                    }
                    Err(error) => drop(said(&error)),
                }
            }
        }
        Err(error) => drop(said(&error)),
    }
});
