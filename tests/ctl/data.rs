//! Alarms raised, cleared, read and logged from the command line.

use fm_common::{AlarmType, ProbableCause, Severity};

use crate::run::{fmctl, json, row};
use crate::support::{ALARM_ID, Node, key};

#[test]
fn what_is_set_is_got_and_cleared() {
    let node = Node::start("");
    let ran = fmctl(
        &node,
        &[
            "set",
            ALARM_ID,
            "host=a.port=eth0",
            "--severity",
            "critical",
            "--reason",
            "link is down",
            "--repair",
            "look at the cable",
            "--alarm-type",
            "equipment",
            "--cause",
            "loss-of-signal",
            "--service-affecting",
            "--suppression",
        ],
    )
    .ok();
    let alarm = node.client.get(key("host=a.port=eth0")).unwrap();
    assert_eq!(alarm.uuid.as_deref(), Some(ran.out.trim()));
    assert_eq!((&alarm.severity, alarm.reason_text.as_str()), (&Severity::Critical, "link is down"));
    assert_eq!(
        (&alarm.alarm_type, &alarm.probable_cause),
        (&AlarmType::Equipment, &ProbableCause::LossOfSignal)
    );
    assert_eq!(
        (alarm.entity_type_id.as_str(), alarm.service_affecting, alarm.suppression),
        ("host.port", true, true)
    );
    let uuid = json(&node, &["set", ALARM_ID, "host=a.port=eth0", "--severity", "major", "--keep-existing"]);
    assert_eq!(uuid["uuid"], ran.out.trim());
    for arguments in [
        ["get", ALARM_ID, "host=a.port=eth0"].as_slice(),
        &["get", ALARM_ID],
        &["get", "--under", "host=a"],
        &["get", ALARM_ID, "--under", "host=a"],
    ] {
        let got = fmctl(&node, arguments).ok();
        assert_eq!(row(&got, &[ALARM_ID])[1..3], ["host=a.port=eth0", "critical"], "{got:?}");
    }
    assert_eq!(json(&node, &["get", ALARM_ID])["alarms"][0]["reason_text"], "link is down");
    fmctl(&node, &["clear", ALARM_ID, "host=a.port=eth0"]).ok();
    fmctl(&node, &["get", ALARM_ID, "host=a.port=eth0"]).fails(1);
    fmctl(&node, &["clear", ALARM_ID, "host=a.port=eth0"]).fails(1);
    fmctl(&node, &["set", ALARM_ID, "host=b", "--severity", "major"]).ok();
    fmctl(&node, &["clear", "--all", "host=b"]).ok();
    fmctl(&node, &["clear", "--all", "host=b"]).fails(1);
    fmctl(&node, &["clear", ALARM_ID, "host=b", "--all", "host=b"]).fails(64);
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_may_be() {
    let node = Node::start("");
    let refused = |arguments: &[&str]| fmctl(&node, arguments).fails(64).err;
    let said = refused(&["set", "100.1O3", "host=a", "--severity", "major"]);
    assert!(said.contains("near it: 100.103") && said.contains("--unlisted"), "{said}");
    fmctl(&node, &["set", "100.1O3", "host=a", "--severity", "major", "--unlisted"]).ok();
    let said = refused(&["set", ALARM_ID, "host=a", "--severity", "mayor"]);
    assert!(said.contains("'major'"), "{said}");
    let said = refused(&["set", ALARM_ID, "host=a", "--severity", "major", "--cause", "loss-of-signals"]);
    assert!(said.contains("loss-of-signal'"), "{said}");
    let said = refused(&["set", ALARM_ID, "host=a"]);
    assert!(said.contains("--severity is needed, one of critical, major"), "{said}");
    let said = refused(&["set", ALARM_ID, "", "--severity", "major"]);
    assert!(said.contains("--type is needed"), "{said}");
    // What is only unusual is told and done.
    let ran = fmctl(&node, &["set", ALARM_ID, "host=a", "--severity", "warning"]).ok();
    assert!(ran.err.contains("as critical, major, not warning"), "{ran:?}");
    let ran = fmctl(&node, &["clear", "100.104x", "host=a"]).fails(1);
    assert!(ran.err.contains("near it: 100.104"), "{ran:?}");
}

#[test]
fn a_log_is_recorded_and_is_no_alarm() {
    let node = Node::start("");
    let log = fm_common::catalogue::entries()
        .iter()
        .find(|entry| entry.kind == fm_common::catalogue::Kind::Log && entry.severities.len() == 1);
    let id = log.unwrap().id;
    let ran = fmctl(&node, &["log", id, "host=a", "--reason", "it happened"]).ok();
    assert_eq!((ran.out.trim().len(), ran.err.as_str()), (36, ""), "{ran:?}");
    fmctl(&node, &["get", id]).fails(1);
    let ran = fmctl(&node, &["log", ALARM_ID, "host=a", "--severity", "major"]).ok();
    assert!(ran.err.contains("fmctl set is for it"), "{ran:?}");
}
