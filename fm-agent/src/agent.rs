//! The agent as a whole: what is started, in which order, and how it ends.
//!
//! Invariants:
//! - Configuration is complete before anything is opened; the store is open before the socket is bound;
//!   the socket is bound before the agent says that it is ready.
//! - A stop takes no new requests, answers those that have begun, lets deliveries that are under way end,
//!   and closes the store, all within the grace period. What waits stays on disk.
//! - Nothing is static: all parts are given what they need.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fm_common::paths;
use nix::unistd::geteuid;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::Link;
use crate::config::{AgentConfig, Config, Domain};
use crate::delivery::{Healer, Worker};
use crate::listener::{Listener, bind};
use crate::route::Router;
use crate::service::Service;
use crate::store::{KeepRejected, Store, StoreOptions};

/// Where the agent's socket and state are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The directory of the store.
    pub state_dir: PathBuf,
    /// Whether everybody on the node may connect, or this user only.
    pub everybody: bool,
}

impl Places {
    /// As configured, else as the environment and the user say: root is the node's agent, an ordinary
    /// user runs one of their own.
    ///
    /// # Errors
    /// An ordinary user without `XDG_RUNTIME_DIR` and without configured paths.
    pub fn new(
        config: &AgentConfig,
        is_root: bool,
        variable: impl Fn(&str) -> Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let named = config.socket.clone().or_else(|| variable(paths::SOCKET_VARIABLE));
        let socket = match (named, is_root) {
            (Some(path), _) => path,
            (None, true) => PathBuf::from(paths::SYSTEM_SOCKET),
            (None, false) => match variable("XDG_RUNTIME_DIR") {
                Some(directory) => paths::user_socket(&directory),
                None => {
                    bail!("no place for the socket: set XDG_RUNTIME_DIR, FM_AGENT_SOCKET or agent.socket")
                }
            },
        };
        let state_dir = match (config.state_dir.clone(), is_root) {
            (Some(path), _) => path,
            (None, true) => PathBuf::from(paths::SYSTEM_STATE_DIR),
            (None, false) => {
                let home = || variable("HOME").map(|home| home.join(".local").join("state"));
                match variable("XDG_STATE_HOME").or_else(home) {
                    Some(directory) => paths::user_state_dir(&directory),
                    None => bail!("no place for the store: set XDG_STATE_HOME, HOME or agent.state_dir"),
                }
            }
        };
        Ok(Self { socket, state_dir, everybody: is_root })
    }
}

/// Runs the agent until `stop`; `hurry` cuts the grace period short.
///
/// # Errors
/// What keeps it from starting, or from closing its store.
pub async fn run(config: Config, stop: CancellationToken, hurry: CancellationToken) -> anyhow::Result<()> {
    let is_root = geteuid().is_root();
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = Places::new(&config.agent, is_root, variable)?;
    let links = links(&config)?;
    let store = Arc::new(Store::open(&StoreOptions {
        state_dir: places.state_dir.clone(),
        durability: config.agent.durability,
        domains: links.iter().map(|(domain, link)| (*domain, link.is_here())).collect(),
        max_events: config.agent.max_events,
        rejected: KeepRejected {
            most: config.agent.max_rejected,
            age: Duration::from_hours(24) * u32::from(config.agent.rejected_days),
        },
    })?);
    let listener = Listener::new(bind(&places.socket, places.everybody)?, config.agent.max_connections)
        .context("cannot watch the socket")?;
    let router = Router::new(config.route.clone(), links.keys().copied().collect());
    let service = Arc::new(Service::new(Arc::clone(&store), router, links.clone(), &config.agent));

    let (accepting, delivering) = (CancellationToken::new(), CancellationToken::new());
    let (callers, workers) = (TaskTracker::new(), TaskTracker::new());
    for (domain, link) in &links {
        let Link::Controller(controller) = link else { continue };
        let max_in_flight =
            config.domains().get(domain).map_or(1, |domain_config| domain_config.max_in_flight.get());
        let (store, controller) = (Arc::clone(&store), controller.clone());
        let healer = Healer::new(*domain, Arc::clone(&store), controller.clone());
        workers.spawn(healer.run(delivering.clone()));
        let worker = Worker::new(*domain, store, controller, max_in_flight).await?;
        workers.spawn(worker.run(delivering.clone()));
    }
    callers.spawn(listener.run(service, accepting.clone()));
    for (domain, link) in &links {
        tracing::info!(%domain, backend = link.name(), "domain configured");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %places.socket.display(),
        state_dir = %places.state_dir.display(),
        "ready"
    );

    stop.cancelled().await;
    tracing::info!("stopping: what waits stays on disk");
    accepting.cancel();
    delivering.cancel();
    callers.close();
    workers.close();
    let drained = async {
        callers.wait().await;
        workers.wait().await;
    };
    tokio::select! {
        drained = timeout(config.agent.shutdown_grace_ms.duration(), drained) => {
            if drained.is_err() {
                tracing::warn!("the grace period is over; deliveries under way are asked about at the next start");
            }
        }
        () = hurry.cancelled() => tracing::warn!("hurried: deliveries under way are asked about at the next start"),
    }
    if let Err(error) = fs::remove_file(&places.socket) {
        tracing::warn!(%error, socket = %places.socket.display(), "the socket could not be removed");
    }
    store.writer.stop().await.context("the store did not close cleanly; nothing acknowledged is lost")?;
    tracing::info!("stopped");
    Ok(())
}

fn links(config: &Config) -> anyhow::Result<BTreeMap<Domain, Link>> {
    config
        .domains()
        .into_iter()
        .map(|(domain, domain_config)| {
            let link = Link::new(domain, domain_config).with_context(|| format!("domain {domain}"))?;
            Ok((domain, link))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(config: &AgentConfig, is_root: bool, variables: &[(&str, &str)]) -> anyhow::Result<Places> {
        Places::new(config, is_root, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn root_is_the_nodes_agent() {
        let root = places(&AgentConfig::default(), true, &[("XDG_RUNTIME_DIR", "/run/user/0")]).unwrap();
        assert_eq!(root.socket, PathBuf::from("/run/fm/fm-agent.sock"));
        assert_eq!(root.state_dir, PathBuf::from("/var/lib/fm-agent"));
        assert!(root.everybody);
    }

    #[test]
    fn an_ordinary_user_has_their_own() {
        let user = [("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/u")];
        let own = places(&AgentConfig::default(), false, &user).unwrap();
        assert_eq!(own.socket, PathBuf::from("/run/user/7/fm/fm-agent.sock"));
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
    }
}
