//! No secret in a log, an error, Debug output, the audit file, the state or the arguments of the agent, wherever
//! it is configured and whatever goes wrong: each secret is a canary, and everything is searched for it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use fm_agent::config;
use fm_rest_sim::{Fault, FaultKind, Sim, SimConfig, User};

use crate::support::{Node, alarm, controller_with, wait_for};

/// How every secret of these tests begins.
const CANARY: &str = "canary-5e1f";

/// Whether bytes hold a canary, as it is or as it travels (in base 64 the middle of it), or one of the
/// stand-in's tokens: `sim-` and hexadecimal digits.
fn holds_secret(bytes: &[u8]) -> bool {
    let holds = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    // `canary-5e1f` at each of the three offsets in base 64, without the ends that depend on what is beside.
    let encoded: [&[u8]; 3] = [b"Y2FuYXJ5LTVlM", b"NhbmFyeS01ZTFm", b"jYW5hcnktNWUxZ"];
    let token = bytes
        .windows(20)
        .any(|window| window.starts_with(b"sim-") && window[4..].iter().all(u8::is_ascii_hexdigit));
    holds(CANARY.as_bytes()) || encoded.into_iter().any(holds) || token
}

/// The files below a directory that hold a secret.
fn found_in(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_in(&path));
        } else if path.is_file() && holds_secret(&fs::read(&path).unwrap()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

/// A controller whose user has a canary for a password.
fn sim() -> Sim {
    let users = vec![User::new("fm", &format!("{CANARY}-right"), "services", &["admin"])];
    let sim = controller_with(SimConfig::default());
    sim.set_users(users);
    sim
}

/// A node with this account, whose agent says all there is to say. Its secrets are in files whose names begin
/// with `secret`.
fn node(sim: &Sim, rest: &str, account: &str, files: &[(&str, &str)]) -> Node {
    let node = Node::prepare("");
    let directory = node.directory();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    let at = directory.display().to_string();
    let config = format!(
        "[agent]\nsocket = '{at}/a.sock'\nstate_dir = '{at}/state'\nlog = 'trace'\n[audit]\nto = '{at}/audit.log'\n\
         [platform]\nlongest_pause_ms = 200\n[platform.fm_rest_api]\nrequest_timeout_ms = 1000\n{rest}\n\
         endpoint = '{}'\n[platform.fm_rest_api.keystone]\nauth_url = '{}'\n{account}\n",
        sim.url(),
        sim.keystone_url(),
    );
    fs::write(directory.join("secret-fm-agent.toml"), config.replace("DIR", &at)).unwrap();
    fs::remove_file(directory.join("fm-agent.toml")).unwrap();
    std::os::unix::fs::symlink("secret-fm-agent.toml", directory.join("fm-agent.toml")).unwrap();
    node
}

/// Runs an agent through what is to happen, and searches everything.
fn search(mut node: Node, environment: &[(&str, &str)], happen: impl FnOnce(&Node)) {
    let path = node.directory().join("fm-agent.toml");
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = config::load(Some(&path), pairs);
    assert!(!holds_secret(format!("{loaded:?}").as_bytes()), "Debug shows a secret");
    let config = loaded.unwrap();
    let rest = config.platform.fm_rest_api.unwrap();
    let account = rest.keystone.unwrap().account();
    assert!(!holds_secret(format!("{account:?}").as_bytes()), "Debug shows a secret");
    let mut command = node.command();
    node.run_command(command.envs(environment.iter().copied()));
    node.client.set(alarm("host=a")).unwrap();
    happen(&node);
    let status = node.client.status().unwrap() + &node.client.rejected(0, 100).unwrap();
    assert!(!holds_secret(status.as_bytes()), "the status shows a secret: {status}");
    let arguments = fs::read(format!("/proc/{}/cmdline", node.pid())).unwrap();
    assert!(!holds_secret(&arguments));
    if environment.is_empty() {
        assert!(!holds_secret(&fs::read(format!("/proc/{}/environ", node.pid())).unwrap()));
    }
    // Once while it runs, with the log of the database beside it, and once when it is gone.
    let unexpected = |node: &Node| {
        let found = found_in(node.directory());
        found
            .into_iter()
            .filter(|name| !name.starts_with("secret") && name != "fm-agent.toml")
            .collect::<Vec<_>>()
    };
    assert_eq!(unexpected(&node), Vec::<String>::new());
    node.terminate();
    node.wait_end();
    assert_eq!(unexpected(&node), Vec::<String>::new());
    assert!(node.log().contains("TRACE"), "it said all there is to say");
    assert!(node.directory().join("audit.log").exists());
    // It can fail: a secret in the log or in the middle of the database is found.
    let planted = node.state_dir().join("fm-agent.db");
    let mut bytes = fs::read(&planted).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + CANARY.len()].copy_from_slice(CANARY.as_bytes());
    fs::write(&planted, bytes).unwrap();
    assert_eq!(unexpected(&node), ["fm-agent.db"]);
}

#[test]
fn the_search_finds_what_is_there() {
    for holding in [
        "x canary-5e1f-right",
        "Y2FuYXJ5LTVlMWY=",
        "sim-0123456789abcdef",
        "dXNlcjpjYW5hcnktNWUxZi1yaWdodA==",
    ] {
        assert!(holds_secret(holding.as_bytes()), "{holding}");
    }
    for innocent in ["canary", "sim-", "sim-0123456789abcdeg", ""] {
        assert!(!holds_secret(innocent.as_bytes()), "{innocent}");
    }
}

#[test]
fn a_password_through_good_and_bad_days() {
    let sim = sim();
    let account = format!("username = 'fm'\npassword = '{CANARY}-right'");
    search(node(&sim, "", &account, &[]), &[], |node| {
        node.wait_delivered();
        for (number, fault) in [
            Fault::new(FaultKind::Unauthorized),
            Fault::new(FaultKind::Forbidden),
            Fault::new(FaultKind::BrokenJson),
            Fault::new(FaultKind::Reset),
            Fault::status(500),
            Fault::status(302),
            Fault::new(FaultKind::BrokenJson).at_keystone(),
            Fault::status(500).at_keystone(),
        ]
        .into_iter()
        .enumerate()
        {
            sim.invalidate_tokens();
            let fault = sim.add_fault(fault).unwrap();
            node.client.set(alarm(&format!("host=c{number}"))).unwrap();
            node.wait_down("platform");
            sim.remove_fault(fault).unwrap();
            node.wait_delivered();
        }
        // Refused for good.
        sim.add_fault(Fault::status(400).on("POST", "/v1/alarms")).unwrap();
        node.client.set(alarm("host=refused")).unwrap();
        wait_for("the refusal", || node.domain("platform")["rejected"] == 1);
    });
}

#[test]
fn a_password_that_keystone_refuses() {
    let sim = sim();
    let account = "username = 'fm'\npassword_file = 'DIR/secret-password'";
    let files = [("secret-password", format!("{CANARY}-wrong"))];
    search(node(&sim, "", account, &[(files[0].0, &files[0].1)]), &[], |node| {
        node.wait_down("platform");
    });
}

#[test]
fn a_password_of_variables() {
    let sim = sim();
    let right = format!("{CANARY}-right");
    let account = "variables = 'OS_'";
    let environment = [("OS_USERNAME", "fm"), ("OS_PASSWORD", &right), ("OS_PROJECT_NAME", "services")];
    search(node(&sim, "", account, &[]), &environment, Node::wait_delivered);
    let account = "username = 'fm'";
    let environment = [("FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD", right.as_str())];
    search(node(&sim, "", account, &[]), &environment, Node::wait_delivered);
}

#[test]
fn a_password_of_clouds_files() {
    let sim = sim();
    let cloud = "clouds:\n  fm:\n    auth:\n      username: fm\n      project_name: services\n";
    let secure = format!("clouds:\n  fm:\n    auth:\n      password: {CANARY}-right\n");
    let account = "clouds_file = 'DIR/clouds.yaml'\nsecure_file = 'DIR/secret-secure.yaml'\ncloud = 'fm'";
    let files = [("clouds.yaml", cloud), ("secret-secure.yaml", secure.as_str())];
    search(node(&sim, "", account, &files), &[], |node| {
        node.wait_delivered();
        // Changed into something that is no YAML any more, and a token that has to be renewed.
        let broken = format!("clouds: [{CANARY}\n  password: \"{CANARY}");
        fs::write(node.directory().join("secret-secure.yaml"), broken).unwrap();
        sim.invalidate_tokens();
        node.client.set(alarm("host=b")).unwrap();
        node.wait_down("platform");
    });
}

#[test]
fn an_application_credential_and_a_token() {
    let sim = sim();
    let account =
        format!("application_credential_id = 'a1'\napplication_credential_secret = '{CANARY}-secret'");
    search(node(&sim, "", &account, &[]), &[], |node| {
        node.wait_down("platform");
    });
    let token = format!("{CANARY}-token\n");
    let account = "token_file = 'DIR/secret-token'";
    search(node(&sim, "", account, &[("secret-token", &token)]), &[], |node| {
        node.wait_down("platform");
    });
}

#[test]
fn a_key_that_is_none_and_a_peer_that_speaks_no_tls() {
    let sim = sim();
    let account = format!("username = 'fm'\npassword = '{CANARY}-right'");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    let rest = "client_cert_file = 'DIR/cert.pem'\nclient_key_file = 'DIR/secret-key.pem'";
    let broken = node(&sim, rest, &account, &[("cert.pem", "none"), ("secret-key.pem", &key)]);
    let output = broken.command().stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success() && !output.stderr.is_empty());
    assert!(!holds_secret(&output.stderr), "{}", String::from_utf8_lossy(&output.stderr));
    // https to a port of plain HTTP.
    let no_tls = node(&sim, "", &account, &[]);
    let path = no_tls.directory().join("secret-fm-agent.toml");
    let config = fs::read_to_string(&path).unwrap().replace("http://", "https://");
    fs::write(&path, config).unwrap();
    search(no_tls, &[], |node| {
        node.wait_down("platform");
    });
}

#[test]
fn a_configuration_that_is_wrong() {
    let sim = sim();
    let right = format!("username = 'fm'\npassword = '{CANARY}'\n");
    for wrong in [
        format!("username = 'fm'\npassword = ['{CANARY}']"),
        format!("username = 'fm'\npassword = '{CANARY}"),
        format!("username = 'fm'\npassword = {CANARY}"),
        format!("{right}passwort = '{CANARY}'"),
        format!("{right}application_credential_secret = '{CANARY}'\napplication_credential_id = 'a1'"),
        format!("{right}password = '{CANARY}'"),
        format!("{right}[openstack.fm_rest_api]\nkeystone = '{CANARY}'"),
        format!("{right}[openstack.fm_rest_api]\nendpoint = 'http://fm:{CANARY}@controller'"),
        format!("{right}[openstack.fm_rest_api]\nendpoint = 'ftp://fm:{CANARY}@controller:no-port'"),
    ] {
        let node = node(&sim, "", &wrong, &[]);
        let output = node.command().arg("--check-config").stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{wrong}: {said}");
        assert!(said.contains("fm-agent.toml") && !holds_secret(said.as_bytes()), "{said}");
    }
    // A number is a secret, too.
    let node = node(&sim, "", "username = 'fm'\npassword = 9120473655", &[]);
    let output = node.command().arg("--check-config").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("keystone.password: ") && !said.contains("9120473655"), "{said}");
}
