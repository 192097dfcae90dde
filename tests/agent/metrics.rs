//! The figures for Prometheus, read as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use fm_agent::metrics::describe;
use fm_common::{Alarm, AlarmState, ErrorCode};
use fm_rest_sim::{Fault, FaultKind};
use serde_json::Value;

use crate::support::{ALARM_ID, Node, alarm, code, controller, domain, key, wait_for};

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

#[test]
fn an_address_in_use_is_an_error_that_names_the_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::prepare(&format!("[metrics]\nlisten = '{}'\n", taken.local_addr().unwrap()));
    let status = node.command().status().unwrap();
    assert!(!status.success());
    assert!(node.log().contains("metrics.listen"), "{}", node.log());
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
