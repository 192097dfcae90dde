//! The commands that look into the agent and steer it.

use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmState, Severity};
use fm_rest_sim::{Fault, Sim};
use serde_json::{Value, json as object};

use crate::run::{fmctl, json, row};
use crate::support::{ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, controller, domain, key, standing};

/// Lets the controller refuse what is posted, with its own words.
fn refusing(sim: &Sim) -> fm_rest_sim::FaultId {
    let words = r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Not so.\"}"}"#;
    let fault = Fault { body: words.to_owned(), ..Fault::status(400).on("POST", "/v1/alarms") };
    sim.add_fault(fault).unwrap()
}

#[test]
fn the_status_of_an_agent_that_is_well_and_of_one_whose_controller_is_away() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let ran = fmctl(&node, &["status"]).ok();
    assert!(ran.out.starts_with(concat!("fm-agent ", env!("CARGO_PKG_VERSION"), ", pid ")), "{ran:?}");
    assert!(
        ran.out.contains("durability power") && ran.out.contains(&node.state_dir().display().to_string())
    );
    assert_eq!(row(&ran, &["platform"])[1..4], ["controller", "up", "0"], "{ran:?}");
    let status = json(&node, &["status"]);
    let platform = &status["domains"][0];
    assert_eq!((&platform["delivered"], &platform["in_flight"]), (&object!(1), &object!(0)), "{status}");
    assert!(platform["per_second"].as_f64().unwrap() > 0.0, "{status}");
    assert!(status["connections"].as_u64().unwrap() >= 1, "{status}");
    let full = ran.out.contains(" of 1 GiB used, ") && ran.out.contains(", 0 of 500000 requests wait");
    assert!(full && !ran.out.contains("since the start"), "{ran:?}");
    for key in ["bytes", "free_bytes", "max_bytes", "max_requests"] {
        assert!(status["store"][key].as_u64().unwrap() > 0, "{status}");
    }
    sim.stop().unwrap();
    for number in 0..3 {
        node.client.set(alarm(&format!("host=b{number}"))).unwrap();
    }
    let reason = node.wait_down("platform");
    let ran = fmctl(&node, &["status"]).ok();
    assert_eq!(row(&ran, &["platform"])[2..4], ["down", "3"], "{ran:?}");
    assert!(ran.out.contains("platform is down for ") && ran.out.contains(&reason), "{ran:?}");
}

/// The name of this test's own program, as the agent is told it.
fn program() -> String {
    std::env::current_exe().unwrap().file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_view_of_alarms_with_what_waits_and_where_it_belongs() {
    let (platform, openstack) = (controller(), controller());
    let config = domain("platform", &platform, "labrador") + &domain("openstack", &openstack, "labrador");
    let node = Node::start(&config);
    let uuid = node.client.set(alarm("host=a")).unwrap();
    node.client.set(alarm("host=a.port=eth0")).unwrap();
    let moved = Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("host=a") };
    node.client.set(moved).unwrap();
    node.wait_delivered();
    platform.stop().unwrap();
    node.client.set(Alarm { severity: Severity::Critical, ..alarm("host=b") }).unwrap();
    node.client.clear(key("host=a.port=eth0")).unwrap();
    let ran = fmctl(&node, &["alarms"]).ok();
    assert_eq!(row(&ran, &[ALARM_ID, "host=a"])[2..5], ["major", "platform", "standing"], "{ran:?}");
    assert_eq!(row(&ran, &[ALARM_ID, "host=a.port=eth0"])[2..4], ["platform", "clear-waits"], "{ran:?}");
    assert_eq!(row(&ran, &[ALARM_ID, "host=b"])[2..5], ["critical", "platform", "raise-waits"], "{ran:?}");
    assert_eq!(row(&ran, &[OPENSTACK_ALARM_ID])[3], "openstack", "{ran:?}");
    assert_eq!(ran.out.lines().last(), Some("4 alarms"));
    let entities = |arguments: &[&str]| -> Vec<String> {
        let alarms = json(&node, arguments)["alarms"].take();
        alarms
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["entity_instance_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(entities(&["alarms", "--id", ALARM_ID, "--entity", "host=a"]), ["host=a", "host=a.port=eth0"]);
    assert_eq!(entities(&["alarms", "--state", "pending"]), ["host=a.port=eth0", "host=b"]);
    assert_eq!(entities(&["alarms", "--domain", "openstack"]), ["host=a"]);
    let first = json(&node, &["alarms", "--limit", "1"]);
    assert_eq!(first["more"], true);
    let first = &first["alarms"][0];
    assert_eq!((&first["alarm"]["uuid"], &first["request"]), (&object!(uuid), &Value::Null));
    assert!(first["alarm"]["timestamp"].as_str().unwrap().starts_with("20"), "{first}");
    assert!(first["controller_uuid"].is_string());
    let user = nix::unistd::geteuid().as_raw();
    assert_eq!(
        (&first["raised_by"]["uid"], &first["raised_by"]["program"]),
        (&object!(user), &object!(program()))
    );
    assert!(row(&ran, &[ALARM_ID, "host=a"]).contains(&format!("{}:{user}", program())), "{ran:?}");
    let ran = fmctl(&node, &["alarms", "--entity", "host=nobody"]).ok();
    assert_eq!(ran.out, "no alarms\n");
}

#[test]
fn the_queue_in_order_page_by_page() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    sim.stop().unwrap();
    let alarms: Vec<Alarm> = (0..1_200).map(|number| alarm(&format!("host=c{number:04}"))).collect();
    node.client.set_list(alarms).unwrap();
    node.client.clear_all("host=c0007").unwrap();
    let ran = fmctl(&node, &["queue", "--limit", "2"]).ok();
    assert_eq!(row(&ran, &["1", "platform", "raise", ALARM_ID])[4..6], ["host=c0000", "major"], "{ran:?}");
    assert!(ran.out.ends_with("2 requests; there are more: --limit 0 shows all\n"), "{ran:?}");
    let all = json(&node, &["queue", "--limit", "0"]);
    let queue = all["queue"].as_array().unwrap();
    let seqs: Vec<i64> = queue.iter().map(|request| request["seq"].as_i64().unwrap()).collect();
    assert!(seqs.is_sorted() && seqs.len() == 1_201 && all["more"] == false, "{}", seqs.len());
    assert_eq!((&queue[1200]["kind"], &queue[1200]["severity"]), (&object!("clear_all"), &Value::Null));
    assert_eq!(json(&node, &["alarms", "--limit", "0"])["alarms"].as_array().unwrap().len(), 1_200);
    let ran = fmctl(&node, &["queue", "--domain", "openstack"]).fails(64);
    assert!(ran.err.contains("'openstack' is not configured"), "{ran:?}");
}

#[test]
fn refused_requests_are_listed_shown_replayed_and_dropped() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let fault = refusing(&sim);
    for entity in ["host=a", "host=b", "host=c", "host=d"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    let ran = fmctl(&node, &["rejected", "list"]).ok();
    assert!(row(&ran, &[]).contains(&"ANSWER".to_owned()) && ran.out.contains("Not so."), "{ran:?}");
    assert!(ran.out.ends_with("4 rejected requests\n"), "{ran:?}");
    let list = json(&node, &["rejected", "list", "--entity", "host=b"]);
    assert_eq!(list["rejected"].as_array().unwrap().len(), 1, "{list}");
    let seq = list["rejected"][0]["seq"].to_string();
    let ran = fmctl(&node, &["rejected", "show", &seq]).ok();
    assert_eq!(row(&ran, &["entity_instance_id"])[1], "host=b", "{ran:?}");
    assert!(row(&ran, &["reason_text"]).contains(&"driver".to_owned()), "{ran:?}");
    assert_eq!(json(&node, &["rejected", "show", &seq])["alarm"]["severity"], "major");
    fmctl(&node, &["rejected", "show", "9999"]).fails(1);
    sim.remove_fault(fault).unwrap();
    let ran = fmctl(&node, &["rejected", "replay", &seq, "9999"]).fails(1);
    assert!(ran.out == "1 replayed\n" && ran.err.contains("9999"), "{ran:?}");
    let ran = fmctl(&node, &["rejected", "drop", "--all", "--entity", "host=c"]).ok();
    assert_eq!(ran.out, "1 dropped\n");
    let replayed = json(&node, &["rejected", "replay", "--all"]);
    assert_eq!(replayed["replayed"].as_array().unwrap().len(), 2, "{replayed}");
    fmctl(&node, &["flush", "--wait"]).ok();
    let mut there: Vec<String> = standing(&sim).into_iter().map(|(entity, _)| entity).collect();
    there.sort();
    assert_eq!(there, ["host=a", "host=b", "host=d"]);
    assert_eq!(fmctl(&node, &["rejected", "list"]).ok().out, "no rejected requests\n");
    fmctl(&node, &["rejected", "drop"]).fails(64);
}

#[test]
fn a_route_is_told_with_what_decides() {
    let (platform, openstack) = (controller(), controller());
    let config = domain("platform", &platform, "labrador")
        + &domain("openstack", &openstack, "labrador")
        + "[[route]]\nalarm_id = '100.*'\nentity_instance_id = 'host=odd*'\ndomain = 'openstack'\n";
    let node = Node::start(&config);
    let route = |arguments: &[&str]| fmctl(&node, &[&["route"], arguments].concat()).ok().out;
    assert!(route(&[ALARM_ID, "host=odd-1"]).contains("openstack: route[0] of the configuration"));
    assert!(route(&[ALARM_ID, "host=a"]).starts_with("platform: the alarm catalogue"));
    assert!(route(&[ALARM_ID, "host=a", "--type", "instance"]).starts_with("openstack: "));
    let said = route(&["100.1O3"]);
    assert!(said.contains("'100.1O3'; near it: 100.103"), "{said}");
    assert_eq!(json(&node, &["route", ALARM_ID, "host=odd-1"])["reason"], "route[0]");
}

#[test]
fn a_resync_tells_what_was_healed_or_why_not() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let ran = fmctl(&node, &["resync"]).ok();
    assert!(ran.out.starts_with("platform: 0 raised again, 0 removed"), "{ran:?}");
    assert_eq!(json(&node, &["resync", "platform"])["resync"][0]["state"], "done");
    sim.stop().unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.wait_down("platform");
    assert!(fmctl(&node, &["resync"]).fails(75).err.contains("cannot be compared"));
    let alone = Node::start("");
    assert!(fmctl(&alone, &["resync"]).fails(1).err.contains("this node's own"));
}

#[test]
fn a_flush_waits_for_what_waits_and_no_longer_than_it_may() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    fmctl(&node, &["flush"]).ok();
    fmctl(&node, &["flush", "--wait"]).ok();
    sim.stop().unwrap();
    node.client.set(alarm("host=a")).unwrap();
    fmctl(&node, &["flush"]).ok();
    let started = Instant::now();
    let ran = fmctl(&node, &["flush", "--wait=0.5"]).fails(1);
    assert!(started.elapsed() >= Duration::from_millis(500) && ran.err.contains("request 1"), "{ran:?}");
    let mut waiting = crate::run::command(&node.socket()).args(["flush", "--wait=60"]).spawn().unwrap();
    sim.restart().unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(standing(&sim).len(), 1);
    assert_eq!(json(&node, &["flush", "--wait=60"])["delivered"], true);
}

#[test]
fn a_configuration_is_checked_as_the_agent_does() {
    let node = Node::prepare("");
    let file = node.socket().with_file_name("other.toml");
    let path = file.display().to_string();
    std::fs::write(&file, "[agent]\nmax_rejected = 7\n").unwrap();
    assert_eq!(fmctl(&node, &["check-config", &path]).ok().out, "configuration is good\n");
    std::fs::write(&file, "[agent]\n\nmax_rejectd = 7\n").unwrap();
    let ran = fmctl(&node, &["check-config", &path]).fails(78);
    assert!(ran.err.contains(&format!("{path}:3: agent.max_rejectd")), "{ran:?}");
    let ran = fmctl(&node, &["check-config", &path, "--json"]).fails(78);
    assert_eq!(ran.json()["good"], false);
    fmctl(&node, &["check-config", "/nonexistent/fm-agent.toml"]).fails(78);
}

#[test]
fn logs_wait_in_the_queue_as_what_they_are() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    sim.stop().unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Log, ..alarm("host=a") }).unwrap();
    assert_eq!(json(&node, &["queue"])["queue"][0]["kind"], "log");
}

#[test]
fn the_status_tells_what_a_full_store_came_to() {
    let sim = controller();
    let node = Node::start(&format!("max_requests = 1000\n{}", domain("platform", &sim, "labrador")));
    sim.stop().unwrap();
    node.client.set_list((0..1000).map(|number| alarm(&format!("host=c{number}"))).collect()).unwrap();
    for entity in ["host=one", "host=two"] {
        node.client.set(alarm(entity)).unwrap_err();
    }
    let ran = fmctl(&node, &["status"]).ok();
    assert!(ran.out.contains(", 1000 of 1000 requests wait\n"), "{ran:?}");
    assert!(ran.out.contains("requests since the start: 2 refused at a limit\n"), "{ran:?}");
    assert!(!ran.out.contains("disk of the store is full"), "{ran:?}");
}
