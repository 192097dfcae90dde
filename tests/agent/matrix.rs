//! Calls that have to know what stands at the controllers, with both of them up, down, hung, and coming back while
//! the call waits: what is answered within the deadline, and what stands in the end.

use std::thread;
use std::time::{Duration, Instant};

use fm_common::client::{Client, ClientError};
use fm_common::{Alarm, AlarmKey, ErrorCode};
use fm_rest_sim::{Dialect, Fault, FaultKind, NewAlarm, Sim, SimConfig};
use serde_json::Value;

use crate::support::{
    ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, code, controller_with, domain, events, key, standing, wait_for,
};

/// The controllers while the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum While {
    Up,
    Down,
    Hung,
    /// Hung at first; back before the call has been answered.
    Back,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Taken; for a raise with the uuid that stands, this node's own or another's.
    Ours,
    Theirs,
    Done,
    NotFound,
    /// One or the other: whether the question was answered is a matter of the moment.
    DoneOrNotFound,
    OursOrTheirs,
}

/// An alarm of this node, told beforehand.
const OWN: &str = "host=own";
/// Of another writer: alarm id and entity, at the domain that owns the id.
const THEIRS: [(&str, &str); 7] = [
    (ALARM_ID, "host=keep"),
    (ALARM_ID, "host=clear"),
    (ALARM_ID, "host=list"),
    (OPENSTACK_ALARM_ID, "host=list"),
    (ALARM_ID, "host=all.x=1"),
    (OPENSTACK_ALARM_ID, "host=all.y=1"),
    (OPENSTACK_ALARM_ID, "host=only.y=1"),
];
/// What no call means.
const NEIGHBOUR: &str = "host=all0";

struct Bed {
    sims: [Sim; 2],
    node: Node,
    caller: Client,
    /// The uuid of this node's own alarm.
    own: String,
}

impl Bed {
    fn new() -> Self {
        let sims = [Dialect::PostgreSql, Dialect::MariaDb]
            .map(|dialect| controller_with(SimConfig { dialect, ..SimConfig::default() }));
        for (id, entity) in THEIRS.into_iter().chain([(ALARM_ID, NEIGHBOUR), (OPENSTACK_ALARM_ID, NEIGHBOUR)])
        {
            let sim = &sims[usize::from(id == OPENSTACK_ALARM_ID)];
            sim.insert_alarm(NewAlarm::new(id, entity, "minor")).unwrap();
        }
        let config = ["platform", "openstack"].iter().zip(&sims).map(|(name, sim)| {
            let timing = "longest_pause_ms = 300\ncompare_spread_ms = 100\n";
            format!("[{name}]\n{timing}{}", domain(name, sim, "labrador"))
        });
        let node = Node::start(&config.collect::<String>());
        let own = node.client.set(alarm(OWN)).unwrap();
        node.wait_delivered();
        let caller = node.hasty_client(1000, 1500);
        Self { sims, node, caller, own }
    }

    fn fault(&self, kind: FaultKind) {
        for sim in &self.sims {
            sim.add_fault(Fault::new(kind)).unwrap();
        }
    }

    fn end_faults(&self) {
        for sim in &self.sims {
            sim.clear_faults().unwrap();
        }
    }

    /// The call, with the controllers so; then they are up again and have everything.
    fn call<T: Send>(
        &self,
        state: While,
        call: fn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, ErrorCode> {
        match state {
            While::Up => {}
            While::Down => {
                self.fault(FaultKind::Refuse);
                assert_eq!(code(self.node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
                self.node.wait_down("platform");
                self.node.wait_down("openstack");
            }
            While::Hung | While::Back => self.fault(FaultKind::Hang),
        }
        let started = Instant::now();
        let result = thread::scope(|scope| {
            let calling = scope.spawn(|| call(&self.caller));
            if state == While::Back {
                thread::sleep(Duration::from_millis(200));
                self.end_faults();
            }
            calling.join().unwrap()
        });
        let took = started.elapsed();
        assert!(took < Duration::from_millis(1400), "{took:?}");
        self.end_faults();
        wait_for("both controllers", || self.none_is_down());
        self.node.wait_delivered();
        result.map_err(|error| error.code())
    }

    fn none_is_down(&self) -> bool {
        ["platform", "openstack"].iter().all(|name| self.node.domain(name)["state"] != "down")
    }

    /// The uuids that stand under this key at either controller.
    fn standing(&self, id: &str, entity: &str) -> Vec<String> {
        let rows = self.sims.iter().flat_map(|sim| sim.alarms().unwrap()).map(|row| row.fields);
        let here = rows.filter(|row| {
            row.alarm_id.as_deref() == Some(id) && row.entity_instance_id.as_deref() == Some(entity)
        });
        here.map(|row| row.uuid).collect()
    }

    fn assert_gone(&self, alarms: &[(&str, &str)]) {
        for (id, entity) in alarms {
            assert!(self.standing(id, entity).is_empty(), "{id} on {entity}");
        }
    }

    /// Nothing was refused, nothing is left to heal, nobody else's alarm was touched.
    fn assert_well(&self) {
        for (name, id) in [("platform", ALARM_ID), ("openstack", OPENSTACK_ALARM_ID)] {
            assert_eq!(self.node.domain(name)["rejected"], 0, "{name}");
            let mut answer = None;
            wait_for("the comparison", || {
                answer = self.node.client.resync(name).ok();
                answer.is_some()
            });
            let healed: Value = serde_json::from_str(&answer.unwrap()).unwrap();
            for what in ["raised", "removed", "respected", "left"] {
                assert_eq!(healed[what], 0, "{name}: {healed}");
            }
            assert_eq!(self.standing(id, NEIGHBOUR).len(), 1, "{name}");
        }
        assert_eq!(self.standing(ALARM_ID, OWN).len(), 1, "this node's own stands once");
    }
}

fn keep(entity: &str) -> Alarm {
    Alarm { keep_existing_alarm: true, reason_text: "changed".to_owned(), ..alarm(entity) }
}

/// A row of the table: what is called, what is told with the controllers up, down, hung, back, and what is to be seen
/// at the controllers afterwards.
struct Row {
    call: fn(&Client) -> Result<String, ClientError>,
    told: [Told; 4],
    then: fn(&Bed),
}

fn nothing<T>(_: T) -> String {
    String::new()
}

const ALWAYS_DONE: [Told; 4] = [Told::Done; 4];
const ABSENT: [Told; 4] = [Told::NotFound, Told::Done, Told::Done, Told::DoneOrNotFound];

const ROWS: [(&str, Row); 9] = [
    (
        "keep_existing of this node's alarm",
        Row {
            call: |caller| caller.set(keep(OWN)),
            told: [Told::Ours; 4],
            then: |bed| {
                assert_eq!(bed.standing(ALARM_ID, OWN).len(), 1);
                assert_eq!(events(&bed.sims[0], OWN).len(), 1, "nothing was sent");
            },
        },
    ),
    (
        "keep_existing of another's alarm",
        Row {
            call: |caller| caller.set(keep("host=keep")),
            told: [Told::Theirs, Told::Ours, Told::Ours, Told::OursOrTheirs],
            // Checked again at delivery: it is kept whatever the caller was told.
            then: |bed| assert_eq!(standing(&bed.sims[0])[0], ("host=keep".to_owned(), String::new())),
        },
    ),
    (
        "keep_existing of no alarm",
        Row {
            call: |caller| caller.set(keep("host=new")),
            told: [Told::Ours; 4],
            then: |bed| {
                assert_eq!(bed.standing(ALARM_ID, "host=new").len(), 1);
                assert_eq!(events(&bed.sims[0], "host=new").len(), 1);
            },
        },
    ),
    (
        "clear of another's alarm",
        Row {
            call: |caller| caller.clear(key("host=clear")).map(nothing),
            told: ALWAYS_DONE,
            then: |bed| {
                bed.assert_gone(&[(ALARM_ID, "host=clear")]);
                assert_eq!(events(&bed.sims[0], "host=clear").len(), 1);
            },
        },
    ),
    (
        "clear of no alarm",
        Row { call: |caller| caller.clear(key("host=none")).map(nothing), told: ABSENT, then: |_| {} },
    ),
    (
        "clear list over both domains",
        Row {
            call: |caller| {
                let openstack = AlarmKey::new(OPENSTACK_ALARM_ID, "host=list");
                caller.clear_list(vec![key("host=none"), key("host=list"), openstack]).map(nothing)
            },
            told: ALWAYS_DONE,
            then: |bed| bed.assert_gone(&[(ALARM_ID, "host=list"), (OPENSTACK_ALARM_ID, "host=list")]),
        },
    ),
    (
        "clear all over both domains",
        Row {
            call: |caller| caller.clear_all("host=all").map(nothing),
            told: ALWAYS_DONE,
            then: |bed| bed.assert_gone(&[(ALARM_ID, "host=all.x=1"), (OPENSTACK_ALARM_ID, "host=all.y=1")]),
        },
    ),
    (
        "clear all of what stands in one domain only",
        Row {
            call: |caller| caller.clear_all("host=only").map(nothing),
            told: ALWAYS_DONE,
            then: |bed| bed.assert_gone(&[(OPENSTACK_ALARM_ID, "host=only.y=1")]),
        },
    ),
    (
        "clear all of nothing",
        Row { call: |caller| caller.clear_all("host=nobody").map(nothing), told: ABSENT, then: |_| {} },
    ),
];

fn check(state: While, column: usize) {
    for (what, row) in ROWS {
        let bed = Bed::new();
        let theirs = bed.standing(ALARM_ID, "host=keep");
        let result = bed.call(state, row.call);
        let told = row.told[column];
        let is_so = match (told, &result) {
            (Told::NotFound, result) => *result == Err(ErrorCode::EntityNotFound),
            (Told::DoneOrNotFound, Err(code)) => *code == ErrorCode::EntityNotFound,
            (_, Err(_)) => false,
            (Told::Done | Told::DoneOrNotFound, Ok(_)) => true,
            (Told::Theirs, Ok(uuid)) => theirs.contains(uuid),
            (Told::Ours, Ok(uuid)) => !uuid.is_empty() && !theirs.contains(uuid),
            (Told::OursOrTheirs, Ok(uuid)) => !uuid.is_empty(),
        };
        assert!(is_so, "{what}, controllers {state:?}: {result:?} and not {told:?}");
        if what.ends_with("this node's alarm") {
            assert_eq!(result, Ok(bed.own.clone()));
        }
        (row.then)(&bed);
        bed.assert_well();
    }
}

#[test]
fn with_the_controllers_up() {
    check(While::Up, 0);
}

#[test]
fn with_the_controllers_down() {
    check(While::Down, 1);
}

#[test]
fn with_the_controllers_hung() {
    check(While::Hung, 2);
}

#[test]
fn with_the_controllers_back_in_the_middle() {
    check(While::Back, 3);
}

/// What one domain cannot say is taken, and what the other can say is said: neither waits for the other.
#[test]
fn with_one_controller_down() {
    let bed = Bed::new();
    let theirs = bed.standing(ALARM_ID, "host=keep");
    bed.sims[1].add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    assert_eq!(code(bed.caller.list_by_id(OPENSTACK_ALARM_ID)), ErrorCode::NoConnect);
    bed.node.wait_down("openstack");

    assert_eq!(bed.caller.set(keep("host=keep")).unwrap(), theirs[0]);
    assert_eq!(code(bed.caller.clear(key("host=none"))), ErrorCode::EntityNotFound);
    bed.caller.clear_all("host=nobody").unwrap();
    bed.caller.clear_all("host=all").unwrap();
    wait_for("the platform's part", || bed.node.waiting("platform") == 0);
    assert_eq!(bed.node.waiting("openstack"), 2);
    bed.assert_gone(&[(ALARM_ID, "host=all.x=1")]);
    assert_eq!(bed.standing(OPENSTACK_ALARM_ID, "host=all.y=1").len(), 1);

    bed.end_faults();
    bed.node.wait_delivered();
    bed.assert_gone(&[(OPENSTACK_ALARM_ID, "host=all.y=1")]);
    bed.assert_well();
}

/// As many writes as may be under way hang at the platform's controller, for longer than the test waits, and more
/// wait behind them. Reads go past them, and so does the other domain.
#[test]
fn reads_and_the_other_domain_wait_for_no_write() {
    let sims = [Dialect::PostgreSql, Dialect::MariaDb]
        .map(|dialect| controller_with(SimConfig { dialect, ..SimConfig::default() }));
    sims[0].insert_alarm(NewAlarm::new(ALARM_ID, "host=theirs", "minor")).unwrap();
    let patient = domain("platform", &sims[0], "labrador")
        .replace("request_timeout_ms = 1000", "request_timeout_ms = 60000");
    let node = Node::start(&(patient + &domain("openstack", &sims[1], "labrador")));
    // So many clean answers that as many go at a time as may.
    node.client.set_list((0..40).map(|n| alarm(&format!("host=a{n}"))).collect()).unwrap();
    node.wait_delivered();
    let fault = sims[0].add_fault(Fault::new(FaultKind::Hang).on("POST", "/v1/alarms")).unwrap();
    node.client.set_list((0..500).map(|n| alarm(&format!("host=b{n}"))).collect()).unwrap();
    let under_way = || sims[0].requests().iter().filter(|request| request.answered_at.is_none()).count();
    wait_for("four writes under way", || under_way() >= 4);

    let caller = node.hasty_client(1000, 1500);
    let quick = |what: &str, read: &dyn Fn() -> Result<usize, ClientError>, expected: usize| {
        let started = Instant::now();
        assert_eq!(read().unwrap_or_else(|error| panic!("{what}: {error}")), expected, "{what}");
        assert!(started.elapsed() < Duration::from_millis(1500), "{what} took {:?}", started.elapsed());
    };
    let one = |found: Result<Alarm, ClientError>| found.map(|_| 1);
    quick("get of what was delivered", &|| one(caller.get(key("host=a1"))), 1);
    quick("get of what waits", &|| one(caller.get(key("host=b499"))), 1);
    quick("get of another's", &|| one(caller.get(key("host=theirs"))), 1);
    quick("list by id", &|| caller.list_by_id(ALARM_ID).map(|alarms| alarms.len()), 541);
    quick("list by entity", &|| caller.list_by_entity("host=theirs").map(|alarms| alarms.len()), 1);

    caller.set(Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("host=c0") }).unwrap();
    wait_for("the other domain", || standing(&sims[1]).len() == 1);
    assert_eq!(node.waiting("platform"), 500, "not one has been answered");
    sims[0].remove_fault(fault).unwrap();
}

/// A clear goes where the alarm stands or is about to stand, whatever the rules say by now.
#[test]
fn a_change_of_the_rules_strands_no_clear() {
    let sims = [Dialect::PostgreSql, Dialect::MariaDb]
        .map(|dialect| controller_with(SimConfig { dialect, ..SimConfig::default() }));
    let [platform, openstack] = &sims;
    let domains = domain("platform", platform, "labrador") + &domain("openstack", openstack, "labrador");
    let rule = "[[route]]\nentity_instance_id = 'host=odd*'\ndomain = 'openstack'\n";
    let mut node = Node::start(&(domains + rule));
    node.client.set_list(["host=odd1", "host=odd2", "host=odd3"].map(alarm).to_vec()).unwrap();
    node.wait_delivered();
    assert_eq!((standing(platform).len(), standing(openstack).len()), (0, 3));
    openstack.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    node.client.set(alarm("host=odd4")).unwrap();

    node.kill();
    let path = node.directory().join("fm-agent.toml");
    let without = std::fs::read_to_string(&path).unwrap().replace(rule, "");
    std::fs::write(&path, without).unwrap();
    node.run();
    node.client.clear(key("host=odd1")).unwrap();
    node.client.set(Alarm { reason_text: "worse".to_owned(), ..alarm("host=odd2") }).unwrap();
    node.client.clear_all("host=odd3").unwrap();
    node.client.clear(key("host=odd4")).unwrap();
    openstack.clear_faults().unwrap();
    node.wait_delivered();
    assert_eq!(standing(openstack), [], "cleared where they stood");
    assert_eq!(standing(platform), [("host=odd2".to_owned(), "worse".to_owned())], "moved");
    assert_eq!(events(openstack, "host=odd4").len() % 2, 0, "what was raised was cleared");
}
