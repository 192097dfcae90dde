//! The agent as a whole: what is started, in which order, and how it ends.
//!
//! Invariants:
//! - Configuration is complete before anything is opened; the store is open before the socket is bound;
//!   the socket is bound before the agent says that it is ready.
//! - A stop takes no new requests, answers those that have begun, lets deliveries that are under way end,
//!   and closes the store, all within the grace period. What waits stays on disk.
//! - No part ends unnoticed: the agent is whole, or it ends with an error.
//! - Nothing is static: all parts are given what they need.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fm_common::paths;
use nix::unistd::geteuid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{self, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::audit::Audit;
use crate::backend::Link;
use crate::caller::Door;
use crate::config::{AccessConfig, AgentConfig, Config, Domain};
use crate::delivery::{Healer, Worker};
use crate::failpoint::{self, Moment};
use crate::listener::{Listener, Shares, SocketFile, bind};
use crate::metrics::{Metrics, Scraped, Server};
use crate::passing::Passing;
use crate::route::Router;
use crate::service::{Border, Service};
use crate::store::{KeepRejected, Limits, Store, StoreOptions};

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
        let admin_named = config.admin_socket.clone().or_else(|| variable(paths::ADMIN_SOCKET_VARIABLE));
        let admin_socket = admin_named.unwrap_or_else(|| paths::admin_socket(&socket));
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
        Ok(Self { socket, admin_socket, state_dir, everybody: is_root })
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
    serve(&config, &places, links, stop, hurry).await
}

/// Serves callers and delivers over these links until `stop`, or until a part of the agent has ended by
/// itself: then it ends as a whole, with an error, and whoever started it starts it again.
async fn serve(
    config: &Config,
    places: &Places,
    links: BTreeMap<Domain, Link>,
    stop: CancellationToken,
    hurry: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new().context("cannot make the metrics")?);
    let store = Arc::new(Store::open(&store_options(config, places, &links, &metrics))?);
    failpoint::pass(Moment::StoreOpen);
    let access = look_up(config.access.clone()).await?;
    let audit = Arc::new(Audit::new(&config.audit).context("cannot start the audit log")?);
    let shares = Arc::new(Shares::new(config.limits.clone(), geteuid().as_raw()));
    let listeners = listen(config, places, &shares)?;
    failpoint::pass(Moment::SocketBound);
    let router = Router::new(config.route.clone(), links.keys().copied().collect());
    let passing = Arc::new(Passing::default());
    let border = Border { access: Arc::clone(&access), audit: Arc::clone(&audit) };
    let service = Arc::new(Service::new(
        Arc::clone(&store),
        router,
        links.clone(),
        &config.agent,
        border,
        Arc::clone(&metrics),
        Arc::clone(&passing),
    ));
    let reader = metrics_server(config).await?;

    let stopping = CancellationToken::new();
    let mut parts = JoinSet::new();
    deliver(&mut parts, config, &links, &store, &metrics, &passing, &stopping).await?;
    if let Some(server) = reader {
        let address = server.address().map(|address| address.to_string());
        tracing::info!(address = address.as_deref().unwrap_or("unix socket"), "metrics are served");
        let service = Arc::clone(&service);
        let scrape = move || -> Scraped {
            let (service, shares) = (Arc::clone(&service), Arc::clone(&shares));
            Box::pin(async move { service.scrape(shares.counters().state()).await })
        };
        parts.spawn(server.run(scrape, stopping.clone()));
    }
    for listener in listeners {
        parts.spawn(listener.run(Arc::clone(&service), stopping.clone()));
    }
    parts.spawn(heed_hangups(access, Arc::clone(&audit), stopping.clone())?);
    for (domain, link) in &links {
        tracing::info!(%domain, backend = link.name(), "domain configured");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %places.socket.display(),
        admin_socket = %places.admin_socket.display(),
        state_dir = %places.state_dir.display(),
        "ready"
    );

    let broken = tokio::select! {
        () = stop.cancelled() => false,
        _ = parts.join_next() => true,
        () = store.writer.ended() => true,
    };
    if broken {
        tracing::error!(
            "a part of the agent has ended by itself: the agent stops so that it is started anew"
        );
    } else {
        tracing::info!("stopping: what waits stays on disk");
    }
    stopping.cancel();
    passing.close();
    let drained = async { while parts.join_next().await.is_some() {} };
    tokio::select! {
        drained = timeout(config.agent.shutdown_grace_ms.duration(), drained) => {
            if drained.is_err() {
                tracing::warn!("the grace period is over; deliveries under way are asked about at the next start");
            }
        }
        () = hurry.cancelled() => tracing::warn!("hurried: deliveries under way are asked about at the next start"),
    }
    remove_sockets(places);
    store.writer.stop().await.context("the store did not close cleanly; nothing acknowledged is lost")?;
    task::spawn_blocking(move || audit.flush()).await.context("the audit log did not end")?;
    tracing::info!("stopped");
    ensure!(
        !broken,
        "a part of the agent ended by itself; the log above says why, nothing acknowledged is lost"
    );
    Ok(())
}

/// Starts the delivery to each controller, and the comparison with it.
async fn deliver(
    parts: &mut JoinSet<()>,
    config: &Config,
    links: &BTreeMap<Domain, Link>,
    store: &Arc<Store>,
    metrics: &Arc<Metrics>,
    passing: &Arc<Passing>,
    stopping: &CancellationToken,
) -> anyhow::Result<()> {
    for (domain, link) in links {
        let Link::Controller(controller) = link else { continue };
        let domains = config.domains();
        let domain_config =
            domains.get(domain).with_context(|| format!("the domain {domain} is not configured"))?;
        let (store, controller) = (Arc::clone(store), controller.clone());
        let spread = domain_config.compare_spread_ms.duration();
        let healer = Healer::new(*domain, Arc::clone(&store), controller.clone(), spread);
        parts.spawn(healer.run(stopping.clone()));
        let most = domain_config.max_in_flight.get();
        let (metrics, passing) = (Arc::clone(metrics), Arc::clone(passing));
        let worker = Worker::new(*domain, store, controller, most, metrics, passing).await?;
        parts.spawn(worker.run(stopping.clone()));
    }
    Ok(())
}

/// The rules, with their names looked up where that may take its time.
async fn look_up(rules: AccessConfig) -> anyhow::Result<Arc<Access>> {
    let looked_up = task::spawn_blocking(move || Access::new(rules)).await;
    Ok(Arc::new(looked_up.context("cannot look up the names in the access table")?))
}

/// Both sockets, ready for callers.
fn listen(config: &Config, places: &Places, shares: &Arc<Shares>) -> anyhow::Result<Vec<Listener>> {
    let (agent, everybody) = (&config.agent, places.everybody);
    ensure!(
        places.socket != places.admin_socket,
        "agent.admin_socket: is the socket of all callers, {}: name another",
        places.socket.display()
    );
    let main = SocketFile::main(&places.socket, everybody, agent)?;
    let admin = SocketFile::admin(&places.admin_socket, everybody, agent, &config.access)?;
    [(Door::Main, main), (Door::Admin, admin)]
        .into_iter()
        .map(|(door, file)| {
            let most = agent.max_connections.get();
            Listener::new(bind(&file)?, door, most, Arc::clone(shares)).context("cannot watch the socket")
        })
        .collect()
}

fn remove_sockets(places: &Places) {
    for socket in [&places.socket, &places.admin_socket] {
        if let Err(error) = fs::remove_file(socket) {
            tracing::warn!(%error, socket = %socket.display(), "the socket could not be removed");
        }
    }
}

/// Whoever reads the metrics is served from here, if anybody may.
async fn metrics_server(config: &Config) -> anyhow::Result<Option<Server>> {
    let Some(address) = config.metrics.listen.address() else { return Ok(None) };
    let bound = Server::bind(address).await;
    Ok(Some(bound.with_context(|| format!("metrics.listen: cannot serve at {address}"))?))
}

/// Opens the audit file and looks names up again at each SIGHUP.
fn heed_hangups(
    access: Arc<Access>,
    audit: Arc<Audit>,
    stopping: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut hangups = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    Ok(async move {
        loop {
            tokio::select! {
                received = hangups.recv() => if received.is_none() { return },
                () = stopping.cancelled() => return,
            }
            tracing::info!(
                "SIGHUP: the audit file is opened anew, names in the access table are looked up again"
            );
            audit.reopen();
            access.reload().await;
        }
    })
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
#[path = "agent_tests.rs"]
mod tests;
