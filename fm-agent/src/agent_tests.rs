//! Where the agent's files are, and what becomes of it when a part of it fails.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fm_common::client::{Client, Options};
use fm_common::{Alarm, AlarmKey, AlarmType, ErrorCode, ProbableCause, Severity};
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::*;

use crate::backend::health::Health;
use crate::backend::{
    Absent, Answer, Backend, Clear, ClearAll, Controller, Delivered, Failure, Log, Memory, Query, Raise,
};

fn places(config: &AgentConfig, is_root: bool, variables: &[(&str, &str)]) -> anyhow::Result<Places> {
    Places::new(config, is_root, |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
    })
}

#[test]
fn root_is_the_nodes_agent() {
    let root = places(&AgentConfig::default(), true, &[("XDG_RUNTIME_DIR", "/run/user/0")]).unwrap();
    assert_eq!(root.socket, PathBuf::from("/run/fm/fm-agent.sock"));
    assert_eq!(root.admin_socket, PathBuf::from("/run/fm/admin.sock"));
    assert_eq!(root.state_dir, PathBuf::from("/var/lib/fm-agent"));
    assert!(root.everybody);
}

#[test]
fn a_service_has_the_service_managers_directories() {
    let made = [("RUNTIME_DIRECTORY", "/run/fm"), ("STATE_DIRECTORY", "/var/lib/fm-agent"), ("HOME", "/")];
    let service = places(&AgentConfig::default(), false, &made).unwrap();
    assert_eq!(service.socket, PathBuf::from("/run/fm/fm-agent.sock"));
    assert_eq!(service.state_dir, PathBuf::from("/var/lib/fm-agent"));
    assert!(service.everybody);
}

#[test]
fn an_ordinary_user_has_their_own() {
    let user = [("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/u")];
    let own = places(&AgentConfig::default(), false, &user).unwrap();
    assert_eq!(own.socket, PathBuf::from("/run/user/7/fm/fm-agent.sock"));
    assert_eq!(own.admin_socket, PathBuf::from("/run/user/7/fm/admin.sock"));
    assert_eq!(own.state_dir, PathBuf::from("/home/u/.local/state/fm-agent"));
    assert!(!own.everybody);
    let error = places(&AgentConfig::default(), false, &[("HOME", "/home/u")]).unwrap_err();
    assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
}

#[test]
fn what_is_configured_wins() {
    let config = AgentConfig {
        socket: Some("/a.sock".into()),
        state_dir: Some("/state".into()),
        ..AgentConfig::default()
    };
    let named = places(&config, false, &[("FM_AGENT_SOCKET", "/b.sock")]).unwrap();
    assert_eq!((named.socket, named.state_dir), ("/a.sock".into(), "/state".into()));
    let named = places(&AgentConfig::default(), true, &[("FM_AGENT_SOCKET", "/b.sock")]).unwrap();
    assert_eq!(named.socket, PathBuf::from("/b.sock"));
    let named = places(&AgentConfig::default(), true, &[("FM_AGENT_ADMIN_SOCKET", "/c.sock")]).unwrap();
    assert_eq!(named.admin_socket, PathBuf::from("/c.sock"));
}

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A controller that the agent's code fails on: it panics where it is told to.
struct Faulty {
    raised: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

impl Backend for Faulty {
    fn raise<'a>(&'a self, raise: &'a Raise) -> Answer<'a, Delivered> {
        Box::pin(async {
            match raise.alarm.entity_instance_id.as_str() {
                "host=panic" => panic!("a fault of the agent"),
                "host=down" => {
                    self.is_away.store(true, Ordering::SeqCst);
                    Err(Failure::unavailable("it is away"))
                }
                entity => {
                    self.raised.lock().unwrap().push(entity.to_owned());
                    Ok(Delivered { uuid: Some(raise.uuid.clone()), unclear: false })
                }
            }
        })
    }

    fn clear<'a>(&'a self, _: &'a Clear) -> Answer<'a, Delivered> {
        unreachable!("no test clears")
    }

    fn clear_all<'a>(&'a self, _: &'a ClearAll) -> Answer<'a, Delivered> {
        unreachable!("no test clears")
    }

    fn log<'a>(&'a self, _: &'a Log) -> Answer<'a, Delivered> {
        unreachable!("no test logs")
    }

    fn list<'a>(&'a self, _: &'a Query) -> Answer<'a, Vec<Alarm>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove<'a>(&'a self, _: &'a AlarmKey, _: &'a str) -> Answer<'a, Delivered> {
        unreachable!("no test removes")
    }

    fn absent<'a>(&'a self, _: &'a [AlarmKey]) -> Answer<'a, HashSet<AlarmKey>> {
        Box::pin(async { panic!("a fault of the agent") })
    }

    fn recall<'a>(&'a self, _: &'a [Absent]) -> Answer<'a, Vec<Memory>> {
        unreachable!("no test loses an alarm")
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async {
            assert!(!self.is_away.load(Ordering::SeqCst), "a fault of the agent");
            Ok(())
        })
    }
}

/// An agent inside this process, over a controller that it fails on.
struct Inside {
    faulty: Arc<Faulty>,
    client: Client,
    stop: CancellationToken,
    agent: JoinHandle<anyhow::Result<()>>,
    _directory: tempfile::TempDir,
}

impl Inside {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let faulty = Arc::new(Faulty { raised: Mutex::default(), is_away: AtomicBool::default() });
        let controller = Controller {
            backend: faulty.clone(),
            health: Arc::new(Health::new(Domain::Platform, LONGEST_PAUSE)),
            traffic: Arc::default(),
        };
        let links = BTreeMap::from([(Domain::Platform, Link::Controller(controller))]);
        let socket = directory.path().join("a.sock");
        let places = Places {
            socket: socket.clone(),
            admin_socket: directory.path().join("admin.sock"),
            state_dir: directory.path().join("state"),
            everybody: false,
        };
        let ending = Ending::default();
        let stop = ending.stop.clone();
        let agent = tokio::spawn(async move {
            let setup = Setup::with(Config::default(), places, links, None).await?;
            let (mut sockets, mut lasting) = (Sockets::default(), Lasting::new()?);
            let mut again = Again::new(Box::new(|| Ok(Config::default())))?;
            serve(&setup, &mut sockets, &mut lasting, &mut again, &ending, &mut false).await.map(drop)
        });
        let client = Client::new(Options { socket: Some(socket), ..Options::default() });
        Self { faulty, client, stop, agent, _directory: directory }
    }

    /// Raises an alarm, once the agent is there to take it.
    async fn raise(&self, entity: &str) {
        let (kind, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
        let alarm = Alarm::new("100.101", "host", entity, Severity::Major, kind, cause);
        while let Err(error) = task::block_in_place(|| self.client.set(alarm.clone())) {
            assert_eq!(error.code(), ErrorCode::NoConnect, "{error}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_ends_the_agent() {
    let inside = Inside::start();
    // Down, then probed: that is where the delivery of the domain fails.
    inside.raise("host=down").await;
    let ended = time::timeout(Duration::from_mins(1), inside.agent).await.unwrap().unwrap();
    assert!(ended.unwrap_err().to_string().contains("ended by itself"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_that_the_agent_fails_on_delays_no_other() {
    let inside = Inside::start();
    inside.raise("host=panic").await;
    inside.raise("host=other").await;
    let delivered = async {
        while inside.faulty.raised.lock().unwrap().is_empty() {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    time::timeout(Duration::from_mins(1), delivered).await.unwrap();
    assert_eq!(*inside.faulty.raised.lock().unwrap(), ["host=other"]);
    inside.stop.cancel();
    inside.agent.await.unwrap().unwrap();
}
