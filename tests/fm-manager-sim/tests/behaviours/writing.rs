//! Creating and deleting.

use fm_manager_sim::{Action, AlarmRecord, ManagerConfig, ManagerSim, text_bytes};

use crate::bench::{ID, Peer, alarm, entities, filter, sim, uuid};

#[test]
fn a_create_is_answered_with_the_uuid_in_255_bytes() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let given = AlarmRecord { uuid: uuid(1), ..alarm("host=a") };
    let (code, body) = peer.ask(Action::Create, &given.to_bytes());
    assert_eq!((code, body), (0, text_bytes(&uuid(1)).to_vec()));
    assert_eq!(sim.alarms(), [given]);
}

#[test]
fn a_bare_uuid_is_answered_where_that_is_asked_for() {
    let sim = ManagerSim::start(ManagerConfig { bare_uuid: true, ..ManagerConfig::default() }).unwrap();
    let given = AlarmRecord { uuid: uuid(1), ..alarm("host=a") };
    let (_, body) = Peer::new(&sim).ask(Action::Create, &given.to_bytes());
    assert_eq!(body, uuid(1).into_bytes());
}

#[test]
fn a_uuid_of_another_length_is_replaced() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for given in ["", "00000000000040008000000000000001", "garbage"] {
        assert_eq!(peer.create(&AlarmRecord { uuid: given.to_owned(), ..alarm("host=a") }), 0);
        let uuid = sim.alarms()[0].uuid.clone();
        assert_eq!(uuid.len(), 36);
        assert_ne!(uuid, given);
    }
}

#[test]
fn one_alarm_a_key_and_a_change_takes_the_new_uuid() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&AlarmRecord { uuid: uuid(1), ..alarm("host=a") });
    let worse = AlarmRecord { uuid: uuid(2), severity: 4, ..alarm("host=a") };
    peer.create(&worse);
    assert_eq!(sim.alarms(), [worse]);
}

#[test]
fn an_alarm_to_be_kept_is_left_as_it_is() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let first = AlarmRecord { uuid: uuid(1), ..alarm("host=a") };
    peer.create(&first);
    let keep = AlarmRecord { uuid: uuid(2), severity: 4, keep_existing_alarm: true, ..alarm("host=a") };
    let (code, body) = peer.ask(Action::Create, &keep.to_bytes());
    assert_eq!((code, body), (0, text_bytes(&uuid(1)).to_vec()));
    assert_eq!(sim.alarms(), [first]);
    // Where none stands it is an ordinary create.
    peer.create(&AlarmRecord { entity_instance_id: "host=b".into(), ..keep });
    assert_eq!(sim.alarms().len(), 2);
}

#[test]
fn an_unknown_alarm_id_is_refused() {
    let sim = sim();
    let unknown = AlarmRecord { alarm_id: "999.999".into(), ..alarm("host=a") };
    assert_eq!(Peer::new(&sim).create(&unknown), 11);
    assert!(sim.alarms().is_empty());
}

#[test]
fn an_entity_with_a_quote_is_refused() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    assert_eq!(peer.create(&alarm("host=o'brien")), 11);
    assert_eq!(peer.delete(ID, "host=o'brien"), 11);
    assert_eq!(peer.ask(Action::Get, &filter(ID, "host=o'brien")).0, 11);
    assert_eq!(peer.ask(Action::DeleteAll, &text_bytes("host=o'brien")).0, 11);
    assert_eq!(peer.ask(Action::GetByEntity, &text_bytes("host=o'brien")).0, 11);
    // Texts may have one.
    assert_eq!(peer.create(&AlarmRecord { reason_text: "it's broken".into(), ..alarm("host=a") }), 0);
}

#[test]
fn a_delete_takes_every_entity_that_begins_so() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for entity in ["subcloud=subcloud1", "subcloud=subcloud10", "subcloud=subcloud1.x", "subcloud=subcloud2"]
    {
        peer.create(&alarm(entity));
    }
    assert_eq!(peer.delete(ID, "subcloud=subcloud1"), 0);
    assert_eq!(entities(&sim), ["subcloud=subcloud2"]);
    assert_eq!(peer.delete(ID, "subcloud=subcloud1"), 10);
}

#[test]
fn a_delete_takes_its_alarm_id_only() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&alarm("host=a"));
    peer.create(&AlarmRecord { alarm_id: "100.101".into(), ..alarm("host=a") });
    peer.delete(ID, "host=a");
    assert_eq!(sim.alarms().len(), 1);
}

#[test]
fn wildcards_in_a_delete_are_live() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for entity in ["site=a_1", "site=ab1", "site=b"] {
        peer.create(&alarm(entity));
    }
    assert_eq!(peer.delete(ID, "site=a_1"), 0);
    assert_eq!(entities(&sim), ["site=b"]);
    assert_eq!(peer.delete(ID, "%"), 0);
    assert!(sim.alarms().is_empty());
}

#[test]
fn a_backslash_in_a_delete_hides_the_alarm_it_names() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&alarm(r"path=c:\x"));
    assert_eq!(peer.delete(ID, r"path=c:\x"), 10);
}

#[test]
fn a_delete_all_takes_all_ids_of_what_begins_so() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for (alarm_id, entity) in [(ID, "host=a"), ("100.101", "host=a.x"), (ID, "host=ab"), (ID, "host=b")] {
        peer.create(&AlarmRecord { alarm_id: alarm_id.into(), ..alarm(entity) });
    }
    assert_eq!(peer.ask(Action::DeleteAll, &text_bytes("host=a")), (0, Vec::new()));
    assert_eq!(entities(&sim), ["host=b"]);
    assert_eq!(peer.ask(Action::DeleteAll, &text_bytes("host=a")).0, 10);
}

#[test]
fn a_list_is_created_until_one_is_refused() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let bad = AlarmRecord { alarm_id: "999.999".into(), ..alarm("host=b") };
    let list = [alarm("host=a").to_bytes(), bad.to_bytes(), alarm("host=c").to_bytes()].concat();
    assert_eq!(peer.ask(Action::CreateList, &list), (11, Vec::new()));
    assert_eq!(entities(&sim), ["host=a"]);
}

#[test]
fn a_list_is_deleted_whatever_of_it_is_absent() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&alarm("host=a"));
    peer.create(&alarm("host=c"));
    let list = [filter(ID, "host=a"), filter(ID, "host=b"), filter(ID, "host=c")].concat();
    assert_eq!(peer.ask(Action::DeleteList, &list), (0, Vec::new()));
    assert!(sim.alarms().is_empty());
}

#[test]
fn a_body_of_the_wrong_size_is_an_invalid_request() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for (action, size) in [
        (Action::Create, 1567),
        (Action::Delete, 255),
        (Action::DeleteAll, 510),
        (Action::Get, 0),
        (Action::CreateList, 1569),
        (Action::DeleteList, 511),
    ] {
        assert_eq!(peer.ask(action, &vec![0; size]).0, 7, "{action:?}");
    }
}

#[test]
fn a_database_that_is_down_fails_everything_with_the_same_code() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    sim.set_database_down(true);
    assert_eq!(peer.create(&alarm("host=a")), 11);
    assert_eq!(peer.ask(Action::Get, &filter(ID, "host=a")).0, 11);
    sim.set_database_down(false);
    assert_eq!(peer.create(&alarm("host=a")), 0);
}
