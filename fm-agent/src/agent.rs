//! The agent as a whole: what is started, in which order, and how it ends.
//!
//! Invariants:
//! - Configuration is complete before anything is opened; the store is open before the socket is bound;
//!   the socket is bound before the agent says that it is ready.
//! - A new configuration is taken at SIGHUP: what is wrong with it is told, and changes nothing; a good one is
//!   served by parts made anew. No call fails for that: connections go on, calls that have begun end where they
//!   began, and the others wait until the new parts are there. What the sockets and the store are called stays until a
//!   restart.
//! - A stop takes no new requests, answers those that have begun, lets deliveries that are under way end,
//!   and closes the store, all within the grace period. What waits stays on disk.
//! - No part ends unnoticed: the agent is whole, or it ends with an error.
//! - Nothing is static: all parts are given what they need.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use fm_common::paths;
use nix::unistd::geteuid;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::audit::Audit;
use crate::backend::{Link, Refusals};
use crate::caller::Door;
use crate::config::{AccessConfig, AgentConfig, Config, Domain};
use crate::delivery::{Healer, Worker};
use crate::failpoint::{self, Moment};
use crate::lasting::Lasting;
use crate::listener::{Listener, Shares};
use crate::metrics::{Metrics, Scraped, Serving};
use crate::parts::Parts;
use crate::route::Router;
use crate::service::{Border, Service};
use crate::sockets::Sockets;
use crate::store::{KeepRejected, Limits, Store, StoreOptions};
use crate::systemd::{self, Handed};

const PART_ENDED: &str =
    "a part of the agent ended by itself; the log above says why, nothing acknowledged is lost";

/// Where the agent's socket and state are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The Unix socket for administrators.
    pub admin_socket: PathBuf,
    /// The directory of the store.
    pub state_dir: PathBuf,
    /// Whether everybody on the node may connect, or this user only.
    pub everybody: bool,
}

impl Places {
    /// As configured, else as the environment and the user say: root is the node's agent, and so is a service
    /// with directories of the service manager's (`RUNTIME_DIRECTORY`, `STATE_DIRECTORY`); an ordinary user
    /// runs one of their own.
    ///
    /// # Errors
    /// An ordinary user without `XDG_RUNTIME_DIR` and without configured paths.
    pub fn new(
        config: &AgentConfig,
        is_root: bool,
        variable: impl Fn(&str) -> Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let named = config.socket.clone().or_else(|| variable(paths::SOCKET_VARIABLE));
        // A service of the node that runs as a user of its own has directories that the service manager made.
        let service = |name| variable(name).filter(|_| !is_root);
        let runtime_dir = service("RUNTIME_DIRECTORY");
        let everybody = is_root || runtime_dir.is_some();
        let socket = match (named, is_root, runtime_dir) {
            (Some(path), ..) => path,
            (None, true, _) => PathBuf::from(paths::SYSTEM_SOCKET),
            (None, false, Some(directory)) => directory.join("fm-agent.sock"),
            (None, false, None) => match variable("XDG_RUNTIME_DIR") {
                Some(directory) => paths::user_socket(&directory),
                None => {
                    bail!("no place for the socket: set XDG_RUNTIME_DIR, FM_AGENT_SOCKET or agent.socket")
                }
            },
        };
        let admin_named = config.admin_socket.clone().or_else(|| variable(paths::ADMIN_SOCKET_VARIABLE));
        let admin_socket = admin_named.unwrap_or_else(|| paths::admin_socket(&socket));
        let state_dir = match (config.state_dir.clone(), is_root, service("STATE_DIRECTORY")) {
            (Some(path), ..) => path,
            (None, true, _) => PathBuf::from(paths::SYSTEM_STATE_DIR),
            (None, false, Some(directory)) => directory,
            (None, false, None) => {
                let home = || variable("HOME").map(|home| home.join(".local").join("state"));
                match variable("XDG_STATE_HOME").or_else(home) {
                    Some(directory) => paths::user_state_dir(&directory),
                    None => bail!("no place for the store: set XDG_STATE_HOME, HOME or agent.state_dir"),
                }
            }
        };
        Ok(Self { socket, admin_socket, state_dir, everybody })
    }
}

/// Reads the configuration anew.
pub type ReadAgain = Box<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// What tells the agent to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// It stops.
    pub stop: CancellationToken,
    /// The grace period of the stop is cut short.
    pub hurry: CancellationToken,
}

/// Runs the agent until it is told to stop, with the configurations that it is given in the meantime.
///
/// # Errors
/// What keeps it from starting, or from closing its store.
pub async fn run(
    config: Config,
    handed: Handed,
    read_again: ReadAgain,
    ending: Ending,
) -> anyhow::Result<()> {
    let mut lasting = Lasting::new()?;
    let mut sockets = Sockets::new(handed);
    let mut again = Again::new(read_again)?;
    let mut setup = Setup::new(config, None, &lasting.refusals).await?;
    let mut before: Option<Setup> = None;
    loop {
        let mut is_ready = false;
        match serve(&setup, &mut sockets, &mut lasting, &mut again, &ending, &mut is_ready).await {
            Ok(End::Stopped) => return Ok(()),
            Ok(End::Again(next)) => before = Some(std::mem::replace(&mut setup, *next)),
            Err(error) => {
                let Some(good) = before.take().filter(|_| !is_ready) else {
                    sockets.close();
                    return Err(error);
                };
                tracing::error!("the new configuration cannot be used, the one before goes on: {error:#}");
                setup = good;
            }
        }
    }
}

/// A configuration with what is made of it before anything is opened.
struct Setup {
    config: Config,
    places: Places,
    links: BTreeMap<Domain, Link>,
    access: Arc<Access>,
    audit: Arc<Audit>,
}

impl Setup {
    /// From a configuration that comes after `present`, if one does.
    async fn new(config: Config, present: Option<&Self>, refusals: &Refusals) -> anyhow::Result<Self> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let places = Places::new(&config.agent, geteuid().is_root(), variable)?;
        let links = links(&config, refusals)?;
        Self::with(config, places, links, present).await
    }

    async fn with(
        config: Config,
        places: Places,
        links: BTreeMap<Domain, Link>,
        present: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let access = look_up(config.access.clone()).await?;
        // A file has one writer, which keeps its lines in order.
        let audit = match present.filter(|present| present.config.audit == config.audit) {
            Some(present) => Arc::clone(&present.audit),
            None => Arc::new(Audit::new(&config.audit).context("cannot start the audit log")?),
        };
        Ok(Self { config, places, links, access, audit })
    }
}

/// How a time of serving ends well.
enum End {
    Stopped,
    Again(Box<Setup>),
}

/// New configurations, at each SIGHUP.
struct Again {
    hangups: Signal,
    read: ReadAgain,
}

impl Again {
    fn new(read: ReadAgain) -> anyhow::Result<Self> {
        Ok(Self { hangups: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?, read })
    }

    /// Waits for a new configuration that is good. Whatever it is, names in the access table are looked up again, and
    /// the audit file is opened anew unless another takes its place.
    async fn next(&mut self, present: &Setup, refusals: &Refusals) -> Box<Setup> {
        while self.hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: the configuration is read anew");
            present.access.reload().await;
            let next = self.read(present, refusals).await;
            // One that goes with its configuration is not tried once more.
            if next.as_ref().map_or(true, |next| Arc::ptr_eq(&next.audit, &present.audit)) {
                present.audit.reopen();
            }
            match next {
                Ok(next) => return Box::new(next),
                Err(error) => {
                    tracing::error!("the new configuration is not taken, the one before goes on: {error:#}");
                }
            }
        }
        std::future::pending().await
    }

    async fn read(&self, present: &Setup, refusals: &Refusals) -> anyhow::Result<Setup> {
        let next = Setup::new((self.read)()?, Some(present), refusals).await?;
        ensure!(
            next.places == present.places,
            "agent.socket, agent.admin_socket and agent.state_dir change with a restart only"
        );
        Ok(next)
    }
}

/// Serves callers and delivers, until the agent is told to stop, is given a new configuration, or a part of it
/// has ended by itself: then it ends as a whole, with an error, and whoever started it starts it again.
async fn serve(
    setup: &Setup,
    sockets: &mut Sockets,
    lasting: &mut Lasting,
    again: &mut Again,
    ending: &Ending,
    is_ready: &mut bool,
) -> anyhow::Result<End> {
    let Setup { config, places, links, access, audit } = setup;
    let grace = config.agent.shutdown_grace_ms.duration();
    let store = lasting.store(&store_options(config, places, links, &lasting.metrics), grace).await?;
    failpoint::pass(Moment::StoreOpen);
    let shares = lasting.shares(config);
    let listeners = listen(sockets.open(config, places)?, &shares)?;
    failpoint::pass(Moment::SocketBound);
    let router = Router::new(config.route.clone(), links.keys().copied().collect());
    let border = Border { access: Arc::clone(access), audit: Arc::clone(audit) };
    let service = Arc::new(Service::new(
        Arc::clone(&store),
        router,
        links.clone(),
        &config.agent,
        border,
        Arc::clone(&lasting.metrics),
        Arc::clone(&lasting.passing),
    ));
    let figures = Serving::begin(config.metrics.listen.address(), &lasting.metrics).await;

    let mut parts = Parts::default();
    for (worker, healer) in deliveries(config, links, &store, lasting).await? {
        parts.running.spawn(worker.run(parts.stopping.clone()));
        parts.running.spawn(healer.run(parts.stopping.clone()));
    }
    if let Some(figures) = figures {
        let (service, counters) = (Arc::clone(&service), Arc::clone(&lasting.counters));
        let scrape = move || -> Scraped {
            let (service, counters) = (Arc::clone(&service), Arc::clone(&counters));
            Box::pin(async move { service.scrape(counters.take()).await })
        };
        parts.running.spawn(figures.run(scrape, parts.stopping.clone()));
    }
    if let Some(pause) = systemd::watchdog() {
        parts.running.spawn(feed_watchdog(pause, Arc::clone(&store), parts.stopping.clone()));
    }
    lasting.desk.put(service);
    for listener in listeners {
        let (desk, connections) = (Arc::clone(&lasting.desk), lasting.connections.clone());
        parts.accepting.spawn(listener.run(desk, connections, parts.closing.clone()));
    }
    for (domain, link) in links {
        tracing::info!(%domain, backend = link.name(), "domain configured");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %places.socket.display(),
        admin_socket = %places.admin_socket.display(),
        state_dir = %places.state_dir.display(),
        "ready"
    );

    *is_ready = true;
    systemd::ready("serving callers");

    let mut ended = tokio::select! {
        () = ending.stop.cancelled() => Ok(End::Stopped),
        next = again.next(setup, &lasting.refusals) => Ok(End::Again(next)),
        () = parts.ended() => Err(anyhow!(PART_ENDED)),
        () = store.writer.ended() => Err(anyhow!(PART_ENDED)),
    };
    if matches!(ended, Ok(End::Again(_))) {
        systemd::reloading();
        tracing::info!("the new configuration is taken");
        let handed_over = async {
            parts.hand_over(&store).await;
            flush(audit).await
        };
        // It may wait for the disk; a stop does not.
        tokio::select! {
            handed_over = handed_over => return handed_over.and(ended),
            () = ending.stop.cancelled() => ended = Ok(End::Stopped),
        }
    }
    sockets.close();
    if ended.is_ok() {
        systemd::stopping();
        tracing::info!("stopping: what waits stays on disk");
    } else {
        tracing::error!(
            "a part of the agent has ended by itself: the agent stops so that it is started anew"
        );
    }
    parts.end(lasting, grace, &ending.hurry).await;
    lasting.close_store().await?;
    flush(audit).await?;
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

/// Waits until the last audit lines are written.
async fn flush(audit: &Arc<Audit>) -> anyhow::Result<()> {
    let audit = Arc::clone(audit);
    task::spawn_blocking(move || audit.flush()).await.context("the audit log did not end")
}

/// Tells the service manager that the agent lives, as long as the store's writer answers.
async fn feed_watchdog(pause: Duration, store: Arc<Store>, stopping: CancellationToken) {
    loop {
        // A full disk is an answer, too.
        let _answered = store.writer.flush().await;
        systemd::alive();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// The delivery to each controller, and the comparison with it.
async fn deliveries(
    config: &Config,
    links: &BTreeMap<Domain, Link>,
    store: &Arc<Store>,
    lasting: &Lasting,
) -> anyhow::Result<Vec<(Worker, Healer)>> {
    let mut deliveries = Vec::new();
    for (domain, link) in links {
        let Link::Controller(controller) = link else { continue };
        let domains = config.domains();
        let domain_config =
            domains.get(domain).with_context(|| format!("the domain {domain} is not configured"))?;
        let (store, controller) = (Arc::clone(store), controller.clone());
        let spread = domain_config.compare_spread_ms.duration();
        let healer = Healer::new(*domain, Arc::clone(&store), controller.clone(), spread);
        let most = domain_config.max_in_flight.get();
        let (metrics, passing) = (Arc::clone(&lasting.metrics), Arc::clone(&lasting.passing));
        let worker = Worker::new(*domain, store, controller, most, metrics, passing).await?;
        deliveries.push((worker, healer));
    }
    Ok(deliveries)
}

/// The rules, with their names looked up where that may take its time.
async fn look_up(rules: AccessConfig) -> anyhow::Result<Arc<Access>> {
    let looked_up = task::spawn_blocking(move || Access::new(rules)).await;
    Ok(Arc::new(looked_up.context("cannot look up the names in the access table")?))
}

/// Both sockets, ready for callers.
fn listen(sockets: Vec<(Door, UnixListener)>, shares: &Arc<Shares>) -> anyhow::Result<Vec<Listener>> {
    sockets
        .into_iter()
        .map(|(door, socket)| {
            Listener::new(socket, door, Arc::clone(shares)).context("cannot watch the socket")
        })
        .collect()
}

fn store_options(
    config: &Config,
    places: &Places,
    links: &BTreeMap<Domain, Link>,
    metrics: &Arc<Metrics>,
) -> StoreOptions {
    StoreOptions {
        state_dir: places.state_dir.clone(),
        durability: config.agent.durability,
        domains: links.iter().map(|(domain, link)| (*domain, link.is_here())).collect(),
        max_events: config.agent.max_events,
        limits: Limits {
            max_bytes: config.agent.max_bytes.get(),
            max_requests: config.agent.max_requests.get(),
            high_water: config.agent.high_water.get(),
        },
        rejected: KeepRejected {
            most: config.agent.max_rejected,
            age: Duration::from_hours(24) * u32::from(config.agent.rejected_days),
        },
        metrics: Arc::clone(metrics),
    }
}

fn links(config: &Config, refusals: &Refusals) -> anyhow::Result<BTreeMap<Domain, Link>> {
    config
        .domains()
        .into_iter()
        .map(|(domain, domain_config)| {
            let link =
                Link::new(domain, domain_config, refusals).with_context(|| format!("domain {domain}"))?;
            Ok((domain, link))
        })
        .collect()
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
