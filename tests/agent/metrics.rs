//! The figures for Prometheus, read as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use fm_agent::metrics::describe;
use fm_common::{Alarm, AlarmKey, AlarmState, ErrorCode};
use fm_rest_sim::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::support::{ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, code, controller, domain, key, wait_for};

/// What a reader is answered: the head and the body.
fn ask(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")
}

/// The address that the agent says it serves at now.
fn address(node: &Node) -> String {
    let log = node.log();
    let line = log.lines().rfind(|line| line.contains("metrics are served")).unwrap().to_owned();
    line.split_once("address=\"").unwrap().1.trim_end_matches('"').to_owned()
}

fn scrape(address: &str) -> String {
    let (head, body) = ask(TcpStream::connect(address).unwrap(), &get("/metrics"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    body
}

/// The value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    assert!(line.is_some(), "no {series} in:\n{text}");
    line.unwrap().parse().unwrap()
}

#[test]
fn calls_deliveries_and_outages_show() {
    let sim = controller();
    let config = format!("[metrics]\nlisten = '127.0.0.1:0'\n{}", domain("platform", &sim, "labrador"));
    let node = Node::start(&config);
    let address = address(&node);
    node.client.set(alarm("host=a")).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.client.clear(key("host=a")).unwrap();
    node.client.get(key("host=nowhere")).unwrap_err();
    node.wait_delivered();
    // The worker counts after the commit that a status already shows.
    let done = "fm_agent_deliveries_total{domain=\"platform\",outcome=\"done\"}";
    wait_for("the last delivery to be counted", || value(&scrape(&address), done) > 2.5);
    let text = scrape(&address);
    for (series, expected) in [
        ("fm_agent_requests_total{call=\"set\",result=\"ok\"}", 2.0),
        ("fm_agent_requests_total{call=\"clear\",result=\"ok\"}", 1.0),
        ("fm_agent_requests_total{call=\"get\",result=\"FM_ERR_ENTITY_NOT_FOUND\"}", 1.0),
        ("fm_agent_answer_seconds_count{call=\"set\"}", 2.0),
        ("fm_agent_controller_up{domain=\"platform\"}", 1.0),
        ("fm_agent_waiting_requests{domain=\"platform\"}", 0.0),
        ("fm_agent_oldest_waiting_age_seconds{domain=\"platform\"}", 0.0),
    ] {
        assert!((value(&text, series) - expected).abs() < f64::EPSILON, "{series} in:\n{text}");
    }
    assert!(value(&text, "fm_agent_commit_seconds_count") >= 6.0, "{text}");
    assert!(value(&text, "fm_agent_connections") >= 1.0, "{text}");

    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    node.client.set(alarm("host=c")).unwrap();
    node.wait_down("platform");
    let text = scrape(&address);
    assert!(value(&text, "fm_agent_controller_up{domain=\"platform\"}") < 0.5, "{text}");
    assert!(value(&text, "fm_agent_waiting_requests{domain=\"platform\"}") > 0.5, "{text}");
    assert!(value(&text, "fm_agent_oldest_waiting_age_seconds{domain=\"platform\"}") > 0.0, "{text}");
    assert!(value(&text, "fm_agent_deliveries_total{domain=\"platform\",outcome=\"down\"}") > 0.5, "{text}");
    sim.remove_fault(fault).unwrap();
    node.wait_delivered();
    assert!(value(&scrape(&address), "fm_agent_controller_recoveries_total{domain=\"platform\"}") > 0.5);
}

#[test]
fn every_family_is_described_and_callers_texts_are_no_labels() {
    let node = Node::start("[metrics]\nlisten = '127.0.0.1:0'\n");
    node.client.set(alarm("host=a")).unwrap();
    let text = scrape(&address(&node));
    let described: BTreeSet<String> = describe().unwrap().into_iter().map(|family| family.name).collect();
    let served: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(served.len() > 15, "{text}");
    for family in served {
        assert!(described.contains(family), "{family} is not described");
    }
    assert!(!text.contains(ALARM_ID) && !text.contains("host=a"), "{text}");
}

#[test]
fn a_unix_socket_serves_them_and_goes_with_the_agent() {
    let mut node = Node::prepare("");
    let socket = node.socket().with_file_name("metrics.sock");
    let listen = format!("unix:{}", socket.display());
    // What a crash left behind is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut command = node.command();
    command.env("FM_AGENT__METRICS__LISTEN", &listen);
    node.run_command(&mut command);
    let (head, body) = ask(UnixStream::connect(&socket).unwrap(), &get("/metrics"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("fm_agent_build_info{version="), "{body}");
    let (head, _) = ask(UnixStream::connect(&socket).unwrap(), &get("/other"));
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let post = "POST /metrics HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (head, _) = ask(UnixStream::connect(&socket).unwrap(), post);
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    node.terminate();
    assert!(node.wait_end().success(), "{}", node.log());
    assert!(!socket.exists());
}

#[test]
fn silent_readers_do_not_hold_up_the_agent() {
    let mut node = Node::start("[metrics]\nlisten = '127.0.0.1:0'\n");
    let address = address(&node);
    let silent: Vec<TcpStream> = (0..9).map(|_| TcpStream::connect(&address).unwrap()).collect();
    node.client.set(alarm("host=a")).unwrap();
    // The silent ones are closed after the time they have to ask; then others are served again.
    assert!(scrape(&address).contains("fm_agent_requests_total"));
    drop(silent);
    node.terminate();
    assert!(node.wait_end().success(), "{}", node.log());
}

/// What the status says of this.
fn told(node: &Node, of: &str) -> Value {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    status[of].clone()
}

#[test]
fn an_address_in_use_costs_the_figures_and_not_the_alarms() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut node = Node::prepare(&format!("[metrics]\nlisten = '{address}'\n"));
    node.run();
    node.client.set(alarm("host=a")).unwrap();
    let log = node.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(errors.len() == 1 && errors[0].contains("metrics.listen"), "{log}");
    assert!(errors[0].contains(&address) && errors[0].contains("in use"), "{log}");
    let metrics = told(&node, "metrics");
    assert_eq!(metrics["listen"], address.as_str(), "{metrics}");
    assert!(metrics["reason"].as_str().is_some_and(|reason| reason.contains("in use")), "{metrics}");

    drop(taken);
    wait_for("the metrics to be served", || node.log().contains("metrics are served"));
    assert!(scrape(&address).contains("fm_agent_build_info"));
    assert_eq!(told(&node, "metrics"), json!({ "listen": address, "reason": null }));

    // So it is with a new configuration, which holds in all else.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    let sim = controller();
    node.configure(&format!("[metrics]\nlisten = '{other}'\n{}", domain("platform", &sim, "labrador")));
    node.reload();
    assert_eq!(node.domain("platform")["backend"], "controller");
    assert_eq!(told(&node, "metrics")["listen"], other.as_str());
    assert!(told(&node, "metrics")["reason"].is_string());
    TcpStream::connect(&address).unwrap_err();
    node.terminate();
    assert!(node.wait_end().success(), "{}", node.log());
}

#[test]
fn a_path_that_cannot_be_used_is_told_and_tried_again() {
    let mut node = Node::prepare("");
    let socket = node.directory().join("later").join("metrics.sock");
    let mut command = node.command();
    command.env("FM_AGENT__METRICS__LISTEN", format!("unix:{}", socket.display()));
    node.run_command(&mut command);
    assert!(told(&node, "metrics")["reason"].is_string());
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    wait_for("the metrics to be served", || node.log().contains("metrics are served"));
    let (head, _) = ask(UnixStream::connect(&socket).unwrap(), &get("/metrics"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(told(&node, "metrics")["reason"], Value::Null);
}

#[test]
fn the_status_says_that_no_metrics_are_wanted_and_how_long_the_agent_has_run() {
    let node = Node::start("");
    assert_eq!(told(&node, "metrics"), json!({ "listen": "off", "reason": null }));
    wait_for("some seconds to pass", || told(&node, "uptime_s").as_u64() >= Some(2));
    node.reload();
    assert!(told(&node, "uptime_s").as_u64() >= Some(2), "it is the agent's, not the configuration's");
}

#[test]
fn gauges_are_those_of_the_configuration_that_holds() {
    let (platform, openstack) = (controller(), controller());
    let metrics = "[metrics]\nlisten = '127.0.0.1:0'\n";
    let platform = domain("platform", &platform, "labrador");
    let node = Node::start(&format!("{metrics}{platform}{}", domain("openstack", &openstack, "labrador")));
    let fault = openstack.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let away = AlarmKey::new(OPENSTACK_ALARM_ID, "tenant=a.instance=b");
    let alarm = Alarm { alarm_id: away.alarm_id, entity_instance_id: away.entity_instance_id, ..alarm("") };
    node.client.set(alarm).unwrap();
    node.wait_down("openstack");
    let gauges = |text: &str, domain: &str| -> Vec<String> {
        let label = format!("{{domain=\"{domain}\"}}");
        let series = text.lines().filter_map(|line| line.split_once(&label)).map(|(family, _)| family);
        series.filter(|family| !family.ends_with("_total")).map(str::to_owned).collect()
    };
    let all = [
        "fm_agent_controller_up",
        "fm_agent_oldest_waiting_age_seconds",
        "fm_agent_rejected_requests",
        "fm_agent_waiting_requests",
    ];
    assert_eq!(gauges(&scrape(&address(&node)), "openstack"), all);

    // Neither the one that is gone nor what waits for it is told of any more.
    node.configure(&format!("{metrics}{platform}"));
    node.reload();
    node.client.resync("platform").unwrap();
    let text = scrape(&address(&node));
    assert_eq!(gauges(&text, "openstack"), Vec::<String>::new(), "{text}");
    assert_eq!(gauges(&text, "platform"), all, "{text}");
    node.configure(metrics);
    node.reload();
    let text = scrape(&address(&node));
    assert_eq!(gauges(&text, "platform"), all[1..], "{text}");
    openstack.remove_fault(fault).unwrap();
}

#[test]
fn a_controller_counts_as_up_when_it_has_answered_and_not_before() {
    let sim = controller();
    let config = |spread_ms: u32| {
        let spread = format!("[platform]\ncompare_spread_ms = {spread_ms}\n");
        format!("[metrics]\nlisten = '127.0.0.1:0'\n{spread}{}", domain("platform", &sim, "labrador"))
    };
    let node = Node::start(&config(3_600_000));
    let up = "fm_agent_controller_up{domain=\"platform\"}";
    let shown = || scrape(&address(&node)).contains(up);
    assert_eq!(node.domain("platform")["state"], "unknown");
    assert!(!shown());
    node.client.resync("platform").unwrap();
    assert_eq!(node.domain("platform")["state"], "up");
    assert!(value(&scrape(&address(&node)), up) > 0.5);

    // Nobody calls: the agent finds out by itself, soon after its start.
    node.configure(&config(50));
    node.reload();
    wait_for("the controller to be known", shown);
    assert!(value(&scrape(&address(&node)), up) > 0.5);
    sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    node.reload();
    node.wait_down("platform");
    assert!(value(&scrape(&address(&node)), up) < 0.5);
}

#[test]
fn databases_that_were_put_back_are_counted_over_new_configurations() {
    let config = |rejected: u32| format!("max_rejected = {rejected}\n[metrics]\nlisten = '127.0.0.1:0'\n");
    let node = Node::start(&config(10));
    let put_back = || value(&scrape(&address(&node)), "fm_agent_stores_put_back_total").to_string();
    node.client.set(alarm("host=a")).unwrap();
    assert_eq!(put_back(), "0");
    std::fs::remove_file(node.state_dir().join("fm-agent.db")).unwrap();
    // A status needs the file.
    wait_for("the database to be written anew", || {
        node.client.status().is_ok_and(|status| status.contains("\"put_back\":1"))
    });
    assert_eq!(put_back(), "1");
    // The store is opened anew.
    node.configure(&config(20));
    node.reload();
    assert_eq!(put_back(), "1");
}

#[test]
fn an_audit_file_that_cannot_be_opened_is_told_before_a_line_is_lost() {
    let node = Node::start("[audit]\nto = '/proc/audit.log'\n");
    let errors = || node.log().lines().filter(|line| line.contains("audit file cannot be opened")).count();
    wait_for("the log to say so", || errors() == 1);
    let log = node.log();
    assert!(log.contains("/proc/audit.log") && log.contains("ReadWritePaths="), "{log}");
    let audit = told(&node, "audit");
    assert_eq!((&audit["to"], &audit["lost"]), (&json!("/proc/audit.log"), &json!(0)), "{audit}");
    assert!(audit["reason"].is_string(), "{audit}");
    node.client.set(alarm("host=a")).unwrap();
    wait_for("the lost line to be told", || told(&node, "audit")["lost"] == 1);

    node.reload();
    wait_for("the log to say so again", || errors() == 2);
    let file = node.directory().join("audit.log");
    node.configure(&format!("[audit]\nto = '{}'\n", file.display()));
    node.reload();
    node.client.set(alarm("host=b")).unwrap();
    wait_for("the line", || std::fs::read_to_string(&file).is_ok_and(|lines| lines.contains("host=b")));
    assert_eq!(told(&node, "audit"), json!({ "to": file, "reason": null, "lost": 1 }));
    assert_eq!(errors(), 2);
}

#[test]
fn callers_that_were_turned_away_and_audit_lines_are_counted_by_cause() {
    let mut node = Node::prepare("");
    let audit = node.directory().join("audit.log");
    let mut command = node.command();
    command.env("FM_AGENT__METRICS__LISTEN", "127.0.0.1:0");
    command.env("FM_AGENT__LIMITS__CONNECTIONS_PER_PROCESS", "2").env("FM_AGENT__LIMITS__LIST_ENTRIES", "1");
    command.env("FM_AGENT__AUDIT__TO", &audit);
    node.run_command(&mut command);
    let address = address(&node);
    node.client.set(alarm("host=a")).unwrap();
    node.client.set_list(vec![alarm("host=b"), alarm("host=c")]).unwrap_err();

    let read_to_end = |mut stream: UnixStream| {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
    };
    let mut garbage = UnixStream::connect(node.socket()).unwrap();
    // One more than the process may have while the other is there, and what is no frame.
    read_to_end(UnixStream::connect(node.socket()).unwrap());
    garbage.write_all(&[0xff; 8]).unwrap();
    read_to_end(garbage);

    let series = [
        ("fm_agent_connections_refused_total{limit=\"process\"}", 1.0),
        ("fm_agent_connections_refused_total{limit=\"user\"}", 0.0),
        ("fm_agent_connections_refused_total{limit=\"all\"}", 0.0),
        ("fm_agent_connections_closed_total{cause=\"garbage\"}", 1.0),
        ("fm_agent_connections_closed_total{cause=\"slow\"}", 0.0),
        ("fm_agent_lists_refused_total", 1.0),
        ("fm_agent_requests_held_back_total", 0.0),
        ("fm_agent_access_refused_total{access=\"write\"}", 0.0),
        ("fm_agent_audit_lines_total{outcome=\"lost\"}", 0.0),
    ];
    // Counted just after the connection was closed.
    wait_for("the closed connection to be counted", || value(&scrape(&address), series[3].0) > 0.5);
    wait_for("the audit line to be counted", || {
        value(&scrape(&address), "fm_agent_audit_lines_total{outcome=\"written\"}") > 0.5
    });
    let text = scrape(&address);
    for (series, expected) in series {
        assert!((value(&text, series) - expected).abs() < f64::EPSILON, "{series} in:\n{text}");
    }
    assert!(value(&text, "fm_agent_connections_accepted_total") >= 2.0, "{text}");

    // With a new configuration they go on from where they were.
    node.reload();
    let address = self::address(&node);
    let text = scrape(&address);
    for (series, expected) in series {
        assert!((value(&text, series) - expected).abs() < f64::EPSILON, "{series} in:\n{text}");
    }
    node.client.set_list(vec![alarm("host=b"), alarm("host=c")]).unwrap_err();
    assert!((value(&scrape(&address), "fm_agent_lists_refused_total") - 2.0).abs() < f64::EPSILON);
}

/// Every series that may only grow, with its value.
fn growing(text: &str) -> BTreeMap<String, f64> {
    let counts = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let grows = |series: &str| {
        let family = series.split('{').next().unwrap();
        ["_total", "_count", "_sum", "_bucket"].iter().any(|end| family.ends_with(end))
    };
    counts
        .filter(|(series, _)| grows(series))
        .map(|(series, count)| (series.to_owned(), count.parse().unwrap()))
        .collect()
}

/// What the store says itself of what it folded, gave up and refused since it was opened.
fn store_counts(node: &Node) -> [u64; 3] {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    let store = &status["store"];
    let shed = store["shed"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    [store["folded"].as_u64().unwrap(), shed, store["refused_at_limit"].as_u64().unwrap()]
}

#[test]
fn counters_grow_over_new_configurations() {
    const SHOWN: [&str; 4] = [
        "fm_agent_folded_requests_total",
        "fm_agent_shed_requests_total",
        "fm_agent_refused_requests_total",
        "fm_agent_controller_recoveries_total{domain=\"platform\"}",
    ];
    let sim = controller();
    let config = |rejected: u32| {
        let store = format!("max_requests = 1000\nhigh_water = 0.1\nmax_rejected = {rejected}\n");
        let domain = domain("platform", &sim, "labrador");
        format!("{store}[metrics]\nlisten = '127.0.0.1:0'\n{domain}")
    };
    let node = Node::start(&config(10));
    node.client.set(alarm("host=first")).unwrap();
    node.wait_delivered();
    // Raises each of them, the last two by one.
    let raise = |round: u32| {
        let down = sim.add_fault(Fault::status(503)).unwrap();
        node.client.set(alarm(&format!("host=down{round}"))).unwrap();
        node.wait_down("platform");
        for number in 0..200 {
            let log = Alarm { alarm_state: AlarmState::Log, ..alarm(&format!("host=log{number}")) };
            node.client.set(log).unwrap();
        }
        for number in 0..150 {
            let text = format!("{round}, {number}");
            node.client.set(Alarm { reason_text: text, ..alarm("host=again") }).unwrap();
        }
        let too_many = (0..1001).map(|number| alarm(&format!("host=n{number}"))).collect();
        assert_eq!(code(node.client.set_list(too_many)), ErrorCode::NotEnoughSpace);
        sim.remove_fault(down).unwrap();
        node.wait_delivered();
    };
    let shown = || {
        let text = scrape(&address(&node));
        SHOWN.map(|series| value(&text, series).to_string())
    };
    let counted = |[folded, shed, refused]: [u64; 3], recoveries: u64| {
        [folded, shed, refused, recoveries].map(|count| count.to_string())
    };
    raise(1);
    let first = store_counts(&node);
    assert!(first[0] > 0 && first[1] > 0 && first[2] == 1, "{first:?}");
    assert_eq!(shown(), counted(first, 1));

    // The store stays open with this, and with the next it is opened anew.
    for rejected in [10, 20] {
        let before = growing(&scrape(&address(&node)));
        node.configure(&config(rejected));
        node.reload();
        let after = growing(&scrape(&address(&node)));
        for (series, before) in before {
            assert!(
                after.get(&series).is_some_and(|after| *after >= before),
                "{series}: {before}, {after:?}"
            );
        }
        assert_eq!(shown(), counted(first, 1));
    }
    assert_eq!(store_counts(&node), [0; 3], "the store was opened anew");
    raise(2);
    let second = store_counts(&node);
    assert_eq!(second[2], 1);
    assert_eq!(shown(), counted([first[0] + second[0], first[1] + second[1], 2], 2));
}
