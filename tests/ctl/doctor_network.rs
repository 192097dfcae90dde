//! What `fmctl doctor` finds on the way to controllers: names, ports, certificates, accounts, services, clocks.

use fm_manager_sim::{ManagerConfig, ManagerSim};
use fm_rest_sim::{Fault, FaultKind, Service, Sim, SimConfig, User};

use crate::doctor::{Findings, close, configuration};
use crate::servers::{Server, dead_port};
use crate::support::{Node, controller, controller_with, domain};

/// A running agent whose platform has this service, without an account.
fn node_at(endpoint: &str, more: &str) -> Node {
    Node::start(&format!(
        "[platform.fm_rest_api]\nendpoint = '{endpoint}'\nconnect_timeout_ms = 1000\nrequest_timeout_ms = 1000\n{more}"
    ))
}

/// A running agent with this account at a stand-in's Keystone, and the endpoint from its catalogue.
fn node_with_account(sim: &Sim, password: &str, more: &str) -> Node {
    let config = domain("platform", sim, password);
    let endpoint = format!("endpoint = '{}'\n", sim.url());
    let node = Node::start(&(config.replace(&endpoint, "") + more));
    close(&configuration(&node));
    node
}

#[test]
fn a_name_that_nobody_resolves() {
    let node = node_at("http://nowhere.invalid:18002", "");
    Findings::of(&node, &[]).fails("name", "cannot be resolved");
}

#[test]
fn a_port_at_which_nobody_listens() {
    let node = node_at(&format!("http://127.0.0.1:{}", dead_port()), "");
    Findings::of(&node, &[]).fails("port", "refused");
    assert_eq!(Findings::of(&node, &["--offline"]).ran.status, 0);
}

#[test]
fn a_server_that_hangs() {
    let server = Server::silent();
    let node = node_at(&format!("http://127.0.0.1:{}", server.port()), "");
    Findings::of(&node, &[]).fails("http", "no answer within request_timeout_ms");
}

#[test]
fn a_certificate_that_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.pem");
    let server = Server::secure(&["localhost"], (2020, 1, 2), &file);
    let ca = format!("ca_file = '{}'\n", file.display());
    let node = node_at(&format!("https://localhost:{}", server.port()), &ca);
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("certificate");
    assert!(level == "fail" && found.contains("expired"), "{found}");
    let (level, found) = findings.level("ca-certificate");
    assert!(level == "fail" && found.contains("has ended on 2020-01-02"), "{found}");
}

#[test]
fn a_certificate_of_another_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.pem");
    let server = Server::secure(&["elsewhere.example"], (2040, 1, 2), &file);
    let ca = format!("ca_file = '{}'\n", file.display());
    let node = node_at(&format!("https://localhost:{}", server.port()), &ca);
    Findings::of(&node, &[]).fails("certificate", "not valid for name");
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::secure(&["localhost"], (2040, 1, 2), &directory.path().join("server.pem"));
    let node = node_at(&format!("https://localhost:{}", server.port()), "");
    Findings::of(&node, &[]).fails("certificate", "UnknownIssuer");
}

#[test]
fn a_certificate_that_is_good_is_told_with_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.pem");
    let server = Server::secure(&["localhost"], (2040, 1, 2), &file);
    let ca = format!("ca_file = '{}'\n", file.display());
    let node = node_at(&format!("https://localhost:{}", server.port()), &ca);
    let findings = Findings::of(&node, &[]);
    assert_eq!(findings.level("certificate"), ("ok", "is good until 2040-01-02 00:00:00.000000"));
    // What answers there is no fm-rest-api.
    assert_eq!(findings.level("service").0, "fail");
}

#[test]
fn a_certificate_file_that_is_not_there() {
    let node = Node::start("");
    let missing = node.socket().with_file_name("missing.pem");
    let text = std::fs::read_to_string(configuration(&node)).unwrap();
    let service = format!(
        "[platform.fm_rest_api]\nendpoint = 'https://localhost'\nca_file = '{}'\n",
        missing.display()
    );
    std::fs::write(configuration(&node), text + &service).unwrap();
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("ca-certificate");
    assert!(level == "fail" && found.contains("cannot be read"), "{found}");
    assert_eq!(findings.level("controller").0, "fail");
}

#[test]
fn a_password_that_keystone_refuses() {
    let sim = controller();
    let node = node_with_account(&sim, "canary-password", "");
    node.client.ping().unwrap();
    let findings = Findings::of(&node, &[]);
    findings.fails("keystone", "(401)");
    assert!(!findings.ran.out.contains("canary-password"), "a secret is shown");
}

#[test]
fn a_refused_password_of_two_domains_is_offered_once() {
    let sim = controller();
    let node = Node::prepare(&(domain("platform", &sim, "wrong") + &domain("openstack", &sim, "wrong")));
    assert_eq!(Findings::of(&node, &[]).level("keystone").0, "fail");
    let tokens = sim.requests_to(Service::Keystone).into_iter().filter(|request| request.method == "POST");
    assert_eq!(tokens.count(), 1);
}

#[test]
fn a_role_that_is_missing() {
    let users = vec![User::new("fm", "labrador", "services", &["reader"])];
    let sim = Sim::start(SimConfig { users, ..SimConfig::default() }).unwrap();
    let forbidden = sim.add_fault(Fault::new(FaultKind::Forbidden)).unwrap();
    let node = node_with_account(&sim, "labrador", "");
    let findings = Findings::of(&node, &[]);
    findings.fails("service", "403");
    assert!(findings.level("service").1.contains("the roles reader"), "{:?}", findings.ran);
    assert!(sim.remove_fault(forbidden).unwrap());
}

#[test]
fn a_service_that_the_catalogue_does_not_have() {
    let sim = controller();
    let node = node_with_account(&sim, "labrador", "region = 'Elsewhere'\n");
    Findings::of(&node, &[]).fails("catalogue", "in region 'Elsewhere'");
    let node = node_with_account(&sim, "labrador", "service_type = 'weather'\n");
    Findings::of(&node, &[]).fails("catalogue", "service type 'weather'");
}

#[test]
fn a_catalogue_whose_service_cannot_be_reached() {
    let sim = controller_with(SimConfig {
        catalogue_url: Some(format!("http://127.0.0.1:{}", dead_port())),
        ..SimConfig::default()
    });
    let node = node_with_account(&sim, "labrador", "");
    Findings::of(&node, &[]).fails("port", "refused");
}

#[test]
fn a_service_without_its_database() {
    let sim = controller();
    let node = node_with_account(&sim, "labrador", "");
    sim.set_database_down(true).unwrap();
    let findings = Findings::of(&node, &[]);
    assert_eq!(findings.level("service").0, "fail", "{:?}", findings.ran);
}

#[test]
fn answers_that_come_late() {
    let sim = controller();
    let node = node_with_account(&sim, "labrador", "");
    sim.add_fault(Fault::slow(700).on("GET", "/v1/alarms")).unwrap();
    Findings::of(&node, &[]).warns("alarms", "is answered in");
}

#[test]
fn a_clock_that_is_off_by_a_day() {
    let micros = fm_common::Timestamp::now().as_micros() - 86_400_000_000;
    let date =
        jiff::Timestamp::from_microsecond(micros).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let server = Server::dated(&date);
    let node = node_at(&format!("http://127.0.0.1:{}", server.port()), "");
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("clock");
    let seconds: i64 = found.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(level == "fail" && found.contains("ahead") && (86_395..86_430).contains(&seconds), "{found}");
}

#[test]
fn a_central_manager_and_one_that_is_silent() {
    let sim = ManagerSim::start(ManagerConfig::default()).unwrap();
    let manager = |port: u16| {
        Node::start(&format!(
            "[platform.fm_manager]\nhost = '127.0.0.1'\nport = {port}\nconnect_timeout_ms = 1000\nread_timeout_ms = 1000\n"
        ))
    };
    let node = manager(sim.address().port());
    let findings = Findings::of(&node, &[]);
    assert_eq!((findings.ran.status, findings.level("manager").0), (0, "ok"), "{:?}", findings.ran);
    let server = Server::silent();
    let node = manager(server.port());
    Findings::of(&node, &[]).fails("manager", "no answer within 1000 ms");
}
