//! The service manager's side: sockets that it opened, what it is told, a configuration taken anew.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fm_common::ErrorCode;

use crate::support::{Node, alarm, code, controller, domain, key, standing, wait_for};

/// What the agent tells the service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(node: &Node) -> Self {
        let socket = UnixDatagram::bind(Self::path(node)).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self(socket)
    }

    fn path(node: &Node) -> std::path::PathBuf {
        node.socket().with_file_name("notify.sock")
    }

    /// The next notice that has this line; others are passed over.
    fn told(&self, line: &str) -> String {
        loop {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).unwrap();
            let notice = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if notice.lines().any(|told| told == line) {
                return notice;
            }
        }
    }
}

#[test]
fn the_service_manager_is_told_and_the_watchdog_is_fed() {
    let mut node = Node::prepare("");
    let manager = Manager::new(&node);
    let mut command = node.command();
    command.env("NOTIFY_SOCKET", Manager::path(&node)).env("WATCHDOG_USEC", "300000");
    node.run_command(&mut command);
    assert!(manager.told("READY=1").contains("STATUS="));
    manager.told("WATCHDOG=1");
    manager.told("WATCHDOG=1");
    node.signal("HUP");
    assert!(manager.told("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.told("READY=1");
    node.terminate();
    manager.told("STOPPING=1");
    assert!(node.wait_end().success());
}

#[test]
fn an_agent_whose_writer_hangs_does_not_feed_the_watchdog() {
    let mut node = Node::prepare("");
    let manager = Manager::new(&node);
    let mut command = node.command();
    command.env("NOTIFY_SOCKET", Manager::path(&node)).env("WATCHDOG_USEC", "300000");
    node.run_command(&mut command);
    manager.told("WATCHDOG=1");
    node.signal("STOP");
    // What was under way when it stopped may still be there.
    manager.0.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let mut buffer = [0; 4096];
    let fed = (0..20).take_while(|_| manager.0.recv(&mut buffer).is_ok()).count();
    assert!(fed < 20, "fed while it does nothing");
    node.signal("CONT");
}

/// Starts the agent as a service manager would that has opened both sockets.
fn activated(node: &Node) -> std::process::Child {
    let own = node.command();
    let mut command = Command::new("systemd-socket-activate");
    for socket in [node.socket(), node.socket().with_file_name("admin.sock")] {
        command.arg("--listen").arg(socket);
    }
    let log = fs::File::options().create(true).append(true).open(node.socket().with_file_name("agent.log"));
    command.arg(own.get_program()).args(own.get_args()).env_remove("FM_AGENT_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap()
}

#[test]
fn a_call_before_the_agent_is_there_waits_in_the_service_managers_socket() {
    let node = Node::prepare("");
    let mut manager = activated(&node);
    wait_for("the sockets", || node.socket().exists());
    // The first caller starts the agent, and is served by it.
    node.client.set(alarm("host=a")).unwrap();
    node.client.resync("platform").unwrap_err();
    assert_eq!(node.client.get(key("host=a")).unwrap().reason_text, "driver out of sync");
    assert!(Command::new("kill").arg(manager.id().to_string()).status().unwrap().success());
    assert!(manager.wait().unwrap().success(), "{}", node.log());
    assert!(node.socket().exists(), "the service manager's socket stays");
}

/// What an agent says of the keys that do not fit the service manager's sockets, which have these permissions.
fn told_of_keys(permissions: u32, config: &str) -> Vec<String> {
    let node = Node::prepare(config);
    let mut manager = activated(&node);
    let admin = node.socket().with_file_name("admin.sock");
    wait_for("the sockets", || admin.exists());
    for socket in [node.socket(), admin] {
        fs::set_permissions(socket, fs::Permissions::from_mode(permissions)).unwrap();
    }
    node.client.ping().unwrap();
    assert!(Command::new("kill").arg(manager.id().to_string()).status().unwrap().success());
    assert!(manager.wait().unwrap().success(), "{}", node.log());
    let log = node.log();
    log.lines()
        .filter(|line| line.contains("the service manager made this socket"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn keys_that_the_service_managers_sockets_do_not_follow_are_told() {
    let elsewhere = nix::unistd::getegid().as_raw() + 1;
    let every_key = format!(
        "socket_mode = '0660'\nsocket_owner = '{elsewhere}'\nsocket_group = '{elsewhere}'\n\
         admin_socket_mode = '0600'\nadmin_socket_group = '{elsewhere}'\n"
    );
    let told = told_of_keys(0o666, &every_key);
    assert_eq!(told.len(), 2, "once for each socket: {told:#?}");
    for part in [
        "agent.socket_mode, agent.socket_owner, agent.socket_group",
        "a.sock",
        "systemctl edit fm-agent.socket",
    ] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    for part in ["agent.admin_socket_mode, agent.admin_socket_group", "SocketGroup=", "fm-agent-admin.socket"]
    {
        assert!(told[1].contains(part), "{part}: {}", told[1]);
    }
    // Who is to administer by the table cannot open the socket.
    for admins in [format!("['root', 'gid:{elsewhere}']"), "['uid:5', 'gid:6']".to_owned()] {
        let told = told_of_keys(0o660, &format!("[access]\nadmin = {admins}\n"));
        assert!(told.len() == 1 && told[0].contains("access.admin"), "{told:#?}");
    }
    // What is as the keys want it is nothing to be told, nor is what no key speaks of.
    let as_it_is = format!("admin_socket_mode = '0660'\nsocket_group = '{}'\n", elsewhere - 1);
    assert_eq!(told_of_keys(0o660, &as_it_is), Vec::<String>::new());
    assert_eq!(told_of_keys(0o600, ""), Vec::<String>::new());
    assert_eq!(told_of_keys(0o666, "[access]\nadmin = ['uid:5', 'gid:6']\n"), Vec::<String>::new());
}

#[test]
fn a_new_configuration_is_taken_and_no_call_fails() {
    let sim = controller();
    let mut node = Node::start("");
    node.client.set(alarm("host=before")).unwrap();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let caller = {
        let (client, stop, calls) =
            (node.hasty_client(20_000, 20_000), Arc::clone(&stop), Arc::clone(&calls));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let number = calls.fetch_add(1, Ordering::Relaxed);
                client.set(alarm(&format!("host=h{}", number % 50))).unwrap();
            }
        })
    };
    wait_for("calls", || calls.load(Ordering::Relaxed) > 20);
    node.configure(&domain("platform", &sim, "labrador"));
    node.signal("HUP");
    wait_for("the domain to have a controller", || node.domain("platform")["backend"] == "controller");
    for _ in 0..3 {
        node.signal("HUP");
        let before = calls.load(Ordering::Relaxed);
        wait_for("calls to go on", || calls.load(Ordering::Relaxed) > before + 20);
    }
    stop.store(true, Ordering::Relaxed);
    caller.join().unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 51, "what stood here stands there");
    node.terminate();
    assert!(node.wait_end().success(), "{}", node.log());
}

#[test]
fn a_wrong_configuration_changes_nothing() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let elsewhere = format!("[agent]\nsocket = '{}'\nstate_dir = '/elsewhere'\n", node.socket().display());
    for (wrong, told) in [
        ("[platform]\nmax_in_flight = 0\n", "platform.max_in_flight"),
        ("[agent\n", "fm-agent.toml"),
        (&elsewhere, "with a restart only"),
    ] {
        node.configure_whole(wrong);
        node.signal("HUP");
        wait_for("the log to say so", || node.log().contains(told));
        node.client.set(alarm("host=a")).unwrap();
        assert_eq!(node.domain("platform")["backend"], "controller");
    }
    assert_eq!(code(node.client.get(key("host=none"))), ErrorCode::EntityNotFound);
}

#[test]
fn what_cannot_be_opened_anew_leaves_the_configuration_before() {
    let node = Node::start("");
    node.configure("socket_group = 'no-such-group'\n");
    node.signal("HUP");
    wait_for("the log to say so", || node.log().contains("cannot be used, the one before goes on"));
    assert!(node.log().contains("agent.socket_group"), "{}", node.log());
    node.client.set(alarm("host=a")).unwrap();
}
