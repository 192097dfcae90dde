//! Bad input: a clear error that names the field, and nothing half-stored.

use fm_common::{Alarm, AlarmState, ErrorCode, Severity};

use crate::support::{ALARM_ID, Node, alarm, code, controller, key, standing};

type Spoil = fn(&mut Alarm);

#[test]
fn a_bad_field_is_named_and_nothing_is_stored() {
    let node = Node::start("");
    let cases: [(&str, Spoil); 9] = [
        ("alarm_id", |alarm| alarm.alarm_id.clear()),
        ("alarm_state", |alarm| alarm.alarm_state = "".into()),
        ("alarm_state", |alarm| alarm.alarm_state = "raised".into()),
        ("entity_type_id", |alarm| alarm.entity_type_id.clear()),
        ("severity", |alarm| alarm.severity = "catastrophic".into()),
        ("alarm_type", |alarm| alarm.alarm_type = "".into()),
        ("probable_cause", |alarm| alarm.probable_cause = "gremlins".into()),
        ("uuid", |alarm| alarm.uuid = Some("42".to_owned())),
        ("proposed_repair_action", |alarm| alarm.proposed_repair_action = "x".repeat(70_000)),
    ];
    for (field, spoil) in cases {
        let mut bad = alarm("host=c0");
        spoil(&mut bad);
        let error = node.client.set(bad.clone()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidParameter, "{error}");
        assert!(error.to_string().starts_with(&format!("{field}: ")), "{error}");

        let error = node.client.set_list(vec![alarm("host=good"), bad]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidParameter, "{error}");
        assert!(error.to_string().starts_with(&format!("alarms[1].{field}: ")), "{error}");
    }
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::EntityNotFound, "all or nothing");
}

#[test]
fn filters_that_mean_nothing_are_refused() {
    let node = Node::start("");
    for entity in ["", " "] {
        assert_eq!(code(node.client.clear_all(entity)), ErrorCode::InvalidParameter);
    }
    assert_eq!(code(node.client.list_by_id("")), ErrorCode::InvalidParameter);
    let no_id = fm_common::AlarmKey::new("", "host=c0");
    assert_eq!(code(node.client.clear(no_id.clone())), ErrorCode::InvalidParameter);
    assert_eq!(code(node.client.get(no_id.clone())), ErrorCode::InvalidParameter);
    assert_eq!(code(node.client.clear_list(vec![key("host=c0"), no_id])), ErrorCode::InvalidParameter);
}

#[test]
fn a_list_over_the_frame_is_refused_before_it_is_sent() {
    let node = Node::start("");
    let long = Alarm { reason_text: "x".repeat(65_000), ..alarm("host=c0") };
    assert_eq!(code(node.client.set_list(vec![long; 300])), ErrorCode::InvalidParameter);
    node.client.ping().unwrap();
}

#[test]
fn an_id_that_the_controller_does_not_know_is_rejected_and_kept() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(Alarm { alarm_id: "999.999".to_owned(), ..alarm("host=c0") }).unwrap();
    node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 1);
    assert_eq!(node.domain("platform")["rejected"], 1);
    assert!(node.log().contains("999.999"), "the log says which");
}

#[test]
fn a_severity_that_would_break_lists_never_goes_out() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for severity in [Severity::Unranked, "bogus".into()] {
        assert_eq!(
            code(node.client.set(Alarm { severity, ..alarm("host=c0") })),
            ErrorCode::InvalidParameter
        );
    }
    let log = Alarm { alarm_state: AlarmState::Log, severity: Severity::Clear, ..alarm("host=c0") };
    node.client.set(log).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}
