//! Start, stop, restart; wrong command lines and configurations.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Instant;

use fm_common::ErrorCode;
use fm_rest_sim::{Fault, FaultKind, Sim};

use crate::support::{Node, alarm, code, controller, domain, key, standing, wait_for};

/// Whether the controller was asked about an alarm: the agent also asks by itself whether it answers.
fn asked(sim: &Sim) -> bool {
    sim.requests().iter().any(|request| request.path.starts_with("/v1/alarms?"))
}

#[test]
fn a_stop_drains_and_leaves_what_waits_on_disk() {
    let sim = controller();
    let mut node = Node::with_platform(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let fault = sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    // An idle caller must not hold up the stop.
    let _idle = UnixStream::connect(node.socket()).unwrap();
    let started = Instant::now();
    node.terminate();
    let status = node.wait_end();
    assert!(status.success(), "{status}\n{}", node.log());
    // The request under way ends at its own deadline of 1 s, within the grace period of 5 s.
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert!(!node.socket().exists(), "the socket goes with the agent");
    assert_eq!(code(node.client.ping()), ErrorCode::NoConnect);
    sim.remove_fault(fault).unwrap();
    node.run();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 2);
}

#[test]
fn the_grace_period_ends_a_stop_that_takes_too_long() {
    let sim = controller();
    let config = format!("shutdown_grace_ms = 300\n{}", domain("platform", &sim, "labrador"))
        .replace("request_timeout_ms = 1000", "request_timeout_ms = 60000");
    let mut node = Node::start(&config);
    sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    node.client.set(alarm("host=a")).unwrap();
    wait_for("the request to be under way", || asked(&sim));
    node.terminate();
    assert!(node.wait_end().success());
    assert!(node.log().contains("grace period is over"), "{}", node.log());
}

#[test]
fn a_second_signal_hurries() {
    let sim = controller();
    let config = format!("shutdown_grace_ms = 600000\n{}", domain("platform", &sim, "labrador"))
        .replace("request_timeout_ms = 1000", "request_timeout_ms = 600000");
    let mut node = Node::start(&config);
    sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    node.client.set(alarm("host=a")).unwrap();
    wait_for("the request to be under way", || asked(&sim));
    node.terminate();
    wait_for("the stop to have begun", || node.log().contains("stopping"));
    node.terminate();
    assert!(node.wait_end().success());
    assert!(node.log().contains("hurried"), "{}", node.log());
}

#[test]
fn a_stopping_agent_holds_no_new_caller() {
    let sim = controller();
    let config = format!("shutdown_grace_ms = 600000\n{}", domain("platform", &sim, "labrador"))
        .replace("request_timeout_ms = 1000", "request_timeout_ms = 600000");
    let mut node = Node::start(&config);
    sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    let (reader, newcomer) = (node.hasty_client(20_000, 20_000), node.hasty_client(20_000, 20_000));
    std::thread::scope(|scope| {
        let read = scope.spawn(|| reader.get(key("host=a")));
        wait_for("the question to be under way", || asked(&sim));
        node.terminate();
        let started = Instant::now();
        wait_for("the agent to take no more", || {
            newcomer.ping().is_err_and(|error| error.code() == ErrorCode::NoConnect)
        });
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
        node.terminate();
        assert!(read.join().unwrap().is_err());
    });
    assert!(node.wait_end().success());
}

#[test]
fn callers_go_on_over_a_restart() {
    let mut node = Node::start("");
    node.client.set(alarm("host=a")).unwrap();
    node.terminate();
    node.wait_end();
    node.run();
    // The client's connection has died with the old agent: it opens another and says nothing.
    assert_eq!(node.client.get(key("host=a")).unwrap().entity_instance_id, "host=a");
}

#[test]
fn the_agent_outlives_whoever_reads_its_log() {
    let sim = controller();
    let mut node = Node::prepare(&format!("log = 'debug'\n{}", domain("platform", &sim, "labrador")));
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = node.command();
    node.run_command(command.stderr(writer));
    drop(reader);
    for entity in ["host=a", "host=b"] {
        node.client.set(alarm(entity)).unwrap();
        node.wait_delivered();
    }
    assert_eq!(standing(&sim).len(), 2);
}

#[test]
fn two_agents_on_one_state_directory_or_socket() {
    let node = Node::start("");
    let output = node.command().stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("in use by another fm-agent") && said.contains("pid"), "{said}");
    let other_state = node
        .command()
        .env("FM_AGENT__AGENT__STATE_DIR", node.state_dir().with_extension("other"))
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other_state.stderr).into_owned();
    assert_eq!(other_state.status.code(), Some(1));
    assert!(said.contains("already listening"), "{said}");
    node.client.ping().unwrap();
}

#[test]
fn the_state_is_for_the_agents_user_only() {
    let node = Node::start("");
    node.client.set(alarm("host=a")).unwrap();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(node.state_dir()), 0o700);
    for entry in fs::read_dir(node.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn no_secret_reaches_the_disk_or_the_log() {
    let sim = controller();
    let config = format!("log = 'trace'\n{}", domain("platform", &sim, "labrador"));
    let mut node = Node::start(&config);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    node.terminate();
    node.wait_end();
    assert!(!node.log().is_empty());
    for secret in ["labrador"] {
        assert!(!node.log().contains(secret), "the log shows the password");
        for entry in fs::read_dir(node.state_dir()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

fn program(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fm-agent")).args(arguments).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn a_configuration_is_checked_without_running() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fm-agent.toml");
    let path = path.to_str().unwrap();
    fs::write(path, "[agent]\nlog = 'debug'\n").unwrap();
    assert_eq!(
        program(&["--config", path, "--check-config"]),
        (Some(0), "configuration is good\n".to_owned())
    );
    fs::write(path, "[agent]\n\nloq = 'debug'\n").unwrap();
    for arguments in [&["--config", path, "--check-config"][..], &["--config", path]] {
        let (status, said) = program(arguments);
        assert_eq!(status, Some(78));
        assert!(said.contains(&format!("{path}:3: agent.loq: ")), "{said}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let (status, said) = program(&["--no-such-option"]);
    assert_eq!(status, Some(64));
    assert!(said.contains("--no-such-option"), "{said}");
    assert_eq!(program(&["--version"]).0, Some(0));
    assert_eq!(program(&["--config", "/nowhere.toml"]).0, Some(78));
}

#[cfg(not(feature = "fail-points"))]
#[test]
fn the_agent_has_no_fail_points() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_fm-agent")).unwrap();
    let name = b"FM_FAIL_POINT";
    assert!(!program.windows(name.len()).any(|bytes| bytes == name), "it is built for tests only");
}
