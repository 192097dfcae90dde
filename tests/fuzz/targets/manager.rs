//! Messages of the central manager: packets off a stream, answers, the C structures in them, and the form in
//! which alarms are sent.
#![no_main]

use std::cell::RefCell;

use fm_agent::backend::fuzzing::fm_manager as manager;
use fm_common::entity::canonical;
use fm_common::{Alarm, AlarmState};
use fm_fuzz::{said, within};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

/// Bytes before the body: length, version, action, size, code.
const HEAD: usize = 20;
/// Bytes of a text without its NUL.
const TEXT: usize = 254;

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().build().expect("a runtime"));
}

/// The laws for an alarm that the manager gave.
fn laws(alarm: &Alarm) {
    assert_eq!(canonical(&alarm.entity_instance_id), alarm.entity_instance_id);
    // Bytes that are no UTF-8 take more room as U+FFFD: what is read once is cut once, and then stays.
    let once = manager::there_and_back(alarm).expect("an alarm has its size");
    let twice = manager::there_and_back(&once).expect("an alarm has its size");
    assert_eq!(once, twice, "what was written is read as it is");
    for message in manager::written(alarm) {
        let (length, rest) = message.split_first_chunk().expect("a length");
        assert_eq!(usize::try_from(u32::from_be_bytes(*length)), Ok(rest.len()));
        let size = u32::from_ne_bytes(std::array::from_fn(|at| message[12 + at]));
        assert_eq!(usize::try_from(size), Ok(message.len() - HEAD));
    }
    for state in [alarm.alarm_state.clone(), AlarmState::Set, AlarmState::Log] {
        let alarm = Alarm { alarm_state: state, ..alarm.clone() };
        held(&alarm);
    }
}

/// The laws of the form in which an alarm is sent.
fn held(alarm: &Alarm) {
    let uuid = alarm.uuid.clone().unwrap_or_default();
    let held = match manager::hold(alarm, &uuid) {
        Ok(held) => held,
        Err(error) => return drop(said(&error)),
    };
    let texts = [
        &held.alarm.alarm_id,
        &held.alarm.entity_type_id,
        &held.alarm.entity_instance_id,
        &held.alarm.reason_text,
        &held.alarm.proposed_repair_action,
    ];
    assert!(texts.iter().all(|text| text.len() <= TEXT && !text.contains('\0')), "it fits");
    for sent in [&held.alarm.alarm_id, &held.alarm.entity_instance_id] {
        assert!(!sent.contains('\''), "nothing ends a text of the manager's SQL");
    }
    assert!(held.alarm.timestamp.is_none_or(|time| time.as_micros() > 0), "0 means now");
    let again = manager::hold(&held.alarm, &held.uuid).expect("what is held can be held");
    assert_eq!(
        (&again.alarm, &again.view),
        (&held.alarm, &held.view),
        "adapting what is adapted changes nothing"
    );
    assert!(!held.changes.is_empty() || held.view.reason_text == alarm.reason_text, "a change is told");
}

fuzz_target!(|input: &[u8]| {
    let packet = RUNTIME.with_borrow(|runtime| {
        // A length alone costs nothing: memory grows with what comes.
        within(4 * input.len() + 16 * 1024, || runtime.block_on(manager::packet(input)))
    });
    let packet = match packet {
        Ok(packet) => packet,
        Err(error) => return drop(said(&error)),
    };
    assert_eq!(packet, input[4..4 + packet.len()]);
    for answer in manager::answers(&packet) {
        match answer {
            Ok(said) => {
                assert!(said.uuid.is_none_or(|uuid| !uuid.is_empty()));
                said.alarm.iter().chain(said.alarms.iter().flatten()).for_each(laws);
            }
            Err(error) => drop(said(&error)),
        }
    }
});
