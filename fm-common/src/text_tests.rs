//! The text form: what is read, what is refused, and that nothing is ever misread.

use super::Unreadable;
use crate::{Alarm, AlarmKey, AlarmState, AlarmType, ProbableCause, Severity, Timestamp, text};
use proptest::prelude::*;

fn alarm() -> Alarm {
    Alarm {
        uuid: Some("0f9b3f52-7c8e-4ab3-8a33-0a5b7d1f6c11".into()),
        timestamp: Some(Timestamp::parse("2026-11-22 10:00:00.500000").unwrap()),
        reason_text: "out of sync".into(),
        proposed_repair_action: "look at its log".into(),
        service_affecting: true,
        keep_existing_alarm: true,
        ..Alarm::new(
            "300.010",
            "host.ml2driver",
            "host=compute-1",
            Severity::Major,
            AlarmType::ProcessingError,
            ProbableCause::Unknown,
        )
    }
}

/// An alarm as a caller writes it.
fn written(alarm: &Alarm) -> String {
    let keep = if alarm.keep_existing_alarm { "True" } else { "False" };
    format!("###{}{keep}###", text::line(alarm))
}

#[test]
fn an_alarm_and_a_filter() {
    let given = "###0f9b3f52-7c8e-4ab3-8a33-0a5b7d1f6c11###300.010###set###host.ml2driver###host=compute-1\
                 ###2026-11-22 10:00:00.500000###major###out of sync###processing-error###unknown\
                 ###look at its log###True###False###False###True###";
    assert_eq!(text::alarm(given), Ok(alarm()));
    assert_eq!(written(&alarm()), given);
    assert_eq!(text::filter("###300.010###host=a###"), Ok(AlarmKey::new("300.010", "host=a")));
    assert_eq!(text::filter("###300.010### ###"), Ok(AlarmKey::new("300.010", "")));
}

#[test]
fn nothing_is_one_space() {
    let empty = Alarm {
        uuid: None,
        timestamp: None,
        reason_text: String::new(),
        entity_instance_id: String::new(),
        proposed_repair_action: String::new(),
        ..alarm()
    };
    assert!(written(&empty).starts_with("### ###300.010###set###host.ml2driver### ### ###major### ###"));
    assert_eq!(text::alarm(&written(&empty)), Ok(empty));
}

#[test]
fn hashes_in_the_texts_for_people() {
    for awkward in ["a###b", "######", "ends in #", "##", "# begins", "a####b###", "###major###"] {
        let given = Alarm { reason_text: awkward.into(), proposed_repair_action: awkward.into(), ..alarm() };
        assert_eq!(text::alarm(&written(&given)), Ok(given), "{awkward}");
    }
    assert_eq!(text::filter("###300.010###disk #####"), Ok(AlarmKey::new("300.010", "disk ##")));
}

#[test]
fn several_readings_are_refused() {
    let entity = Alarm { entity_instance_id: "pod=a###b".into(), ..alarm() };
    assert_eq!(text::alarm(&written(&entity)), Err(Unreadable::Ambiguous(15)));
    let mimic = Alarm { reason_text: "a###other###unknown###b".into(), ..alarm() };
    assert_eq!(text::alarm(&written(&mimic)), Err(Unreadable::Ambiguous(15)));
    assert_eq!(text::filter("###300.010###a###b###"), Err(Unreadable::Ambiguous(2)));
    assert_eq!(text::filter("###300.010####b###"), Err(Unreadable::Ambiguous(2)));
}

#[test]
fn what_is_no_alarm_or_filter() {
    for given in ["", "###", "#", "300.010", "300.010###host=a###", "###300.010###", "###300.010###host=a"] {
        assert_eq!(text::filter(given), Err(Unreadable::Fields(2)), "{given}");
        assert_eq!(text::alarm(given), Err(Unreadable::Fields(15)), "{given}");
    }
    let fourteen = written(&alarm()).strip_suffix("True###").unwrap().to_owned();
    assert_eq!(text::alarm(&fourteen), Err(Unreadable::Fields(15)));
}

#[test]
fn the_last_field_may_be_missing_where_scripts_are_read() {
    let older = Alarm { keep_existing_alarm: false, ..alarm() };
    let fourteen = written(&alarm()).strip_suffix("True###").unwrap().to_owned();
    assert_eq!(text::alarm_with_14_or_15_fields(&fourteen), Ok(older.clone()));
    assert_eq!(text::alarm_with_14_or_15_fields(&written(&alarm())), Ok(alarm()));
    for reason in ["a###b", "ends in #", "######"] {
        let awkward = Alarm { reason_text: reason.into(), ..older.clone() };
        let fourteen = written(&awkward).strip_suffix("False###").unwrap().to_owned();
        assert_eq!(text::alarm_with_14_or_15_fields(&fourteen), Ok(awkward.clone()), "{reason}");
        assert_eq!(text::alarm_with_14_or_15_fields(&written(&awkward)), Ok(awkward), "{reason}");
    }
    assert_eq!(text::alarm_with_14_or_15_fields("###a###b###"), Err(Unreadable::Fields(15)));
    for given in [written(&alarm()), fourteen] {
        let bad = given.replacen("###True###False###", "###perhaps###False###", 1);
        let refused = text::alarm_with_14_or_15_fields(&bad).unwrap_err();
        assert!(
            matches!(&refused, Unreadable::Field(invalid) if invalid.field == "service_affecting"),
            "{refused}"
        );
    }
}

#[test]
fn a_value_that_cannot_be_sent_is_named() {
    for (good, bad, field) in [
        ("2026-11-22 10:00:00.500000", "yesterday", "timestamp"),
        ("###True###False###", "###perhaps###False###", "service_affecting"),
    ] {
        let refused = text::alarm(&written(&alarm()).replacen(good, bad, 1)).unwrap_err();
        assert!(matches!(&refused, Unreadable::Field(invalid) if invalid.field == field), "{refused}");
    }
}

#[test]
fn a_long_text_is_read_in_time() {
    let given = Alarm { reason_text: "#".repeat(200_000), proposed_repair_action: "#".repeat(9), ..alarm() };
    assert_eq!(text::alarm(&written(&given)), Ok(given));
    assert_eq!(text::filter(&"#".repeat(200_000)), Err(Unreadable::Ambiguous(2)));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[#a ]{0,9}", "(###|#|a|major|set|other|unknown|True|False| ){0,12}", ".{0,20}"]
        .prop_filter("one space means nothing", |text| text != " ")
}

fn any_alarm() -> impl Strategy<Value = Alarm> {
    let texts = (any_text(), any_text(), any_text(), any_text(), any_text());
    let values = (
        proptest::sample::select(AlarmState::KNOWN),
        proptest::sample::select(Severity::KNOWN),
        proptest::sample::select(AlarmType::KNOWN),
        proptest::sample::select(ProbableCause::KNOWN),
    );
    let time = proptest::option::of((0..253_000_000_000_000_000_i64).prop_map(Timestamp::from_micros));
    (texts, values, time, any::<[bool; 4]>()).prop_map(|(texts, values, timestamp, flags)| Alarm {
        uuid: None,
        alarm_id: texts.0,
        alarm_state: values.0,
        entity_type_id: texts.1,
        entity_instance_id: texts.2,
        timestamp,
        severity: values.1,
        reason_text: texts.3,
        alarm_type: values.2,
        probable_cause: values.3,
        proposed_repair_action: texts.4,
        service_affecting: flags[0],
        suppression: flags[1],
        inhibit_alarms: flags[2],
        keep_existing_alarm: flags[3],
    })
}

proptest! {
    #[test]
    fn an_alarm_is_read_as_it_was_written_or_refused(given in any_alarm()) {
        match text::alarm(&written(&given)) {
            Ok(read) => prop_assert_eq!(read, given),
            Err(refused) => prop_assert_eq!(refused, Unreadable::Ambiguous(15)),
        }
    }

    #[test]
    fn without_hashes_every_alarm_is_read(given in any_alarm()) {
        let plain = |text: &str| text.replace('#', "+");
        let given = Alarm {
            alarm_id: plain(&given.alarm_id),
            entity_type_id: plain(&given.entity_type_id),
            entity_instance_id: plain(&given.entity_instance_id),
            reason_text: plain(&given.reason_text),
            proposed_repair_action: plain(&given.proposed_repair_action),
            ..given
        };
        prop_assert_eq!(text::alarm(&written(&given)), Ok(given));
    }

    #[test]
    fn a_filter_is_read_as_it_was_written_or_refused(alarm_id in any_text(), entity in any_text()) {
        match text::filter(&format!("###{alarm_id}###{entity}###")) {
            Ok(read) => prop_assert_eq!(read, AlarmKey { alarm_id, entity_instance_id: entity }),
            Err(refused) => prop_assert_eq!(refused, Unreadable::Ambiguous(2)),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(given in any_text()) {
        // Must only return.
        let _ = (text::alarm(&given), text::filter(&given));
    }
}
