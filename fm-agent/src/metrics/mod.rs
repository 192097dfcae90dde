//! What the agent counts and measures, for Prometheus.
//!
//! Invariants:
//! - Every family is named here and nowhere else, after Prometheus' conventions: base units, `_total` on
//!   counters. [`describe`] lists them all, and the list in the documents is made from it.
//! - Labels take their values from fixed sets (calls, error codes, domains, outcomes), never from callers'
//!   texts: the number of series is bounded.
//! - What happens is counted as it happens; what is so (waiting, up, bytes) is put in when it is asked for, and what
//!   is not so any more is not shown: a gauge of a domain without its like in the configuration that holds is absent.
//! - Counters only grow, whatever begins anew with a new configuration.
//!
//! It knows nothing of alarms, stores or controllers: they tell it.

mod callers;
mod families;
mod process;
mod serve;
mod serving;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{
    GaugeVec, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use families::{Carried, Families};

pub use callers::{CallerState, SocketState};
pub use serve::Scraped;
pub use serving::{Served, Serving};

/// Why metrics cannot be made or written.
pub type MetricsError = prometheus::Error;

/// From a commit that costs nothing to one that a dying disk holds up, in seconds.
const LATENCY_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];
/// Requests in one commit.
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The state of one domain when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainState {
    /// The domain's name.
    pub domain: &'static str,
    /// Whether its controller can be used; `None` while nobody has asked it yet, and where the record is this node's
    /// own.
    pub up: Option<bool>,
    /// Requests that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited; zero when none does.
    pub oldest: Duration,
    /// Refused requests that are kept.
    pub rejected: u64,
}

/// The state of the store when it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that its files may have.
    pub max_bytes: u64,
    /// Bytes free on its file system, for this process.
    pub free_bytes: u64,
    /// What happened to it.
    pub counts: StoreCounts,
}

/// What happened to the store, since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Superseded requests folded into the latest state.
    pub folded: u64,
    /// Requests given up to make room.
    pub shed: u64,
    /// Requests refused for want of room.
    pub refused: u64,
    /// Damaged databases set aside.
    pub quarantines: u64,
    /// Databases written anew because they were deleted or replaced.
    pub put_back: u64,
}

/// Everything that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    served: Mutex<Served>,
    /// Held while the figures are put in and read: those of one text belong together.
    reading: Mutex<()>,
    requests: IntCounterVec,
    answers: HistogramVec,
    commits: Histogram,
    commit_requests: Histogram,
    deliveries: IntCounterVec,
    connections: IntGauge,
    callers: callers::Callers,
    up: IntGaugeVec,
    recoveries: IntCounterVec,
    waiting: IntGaugeVec,
    oldest: GaugeVec,
    rejected: IntGaugeVec,
    store_bytes: IntGauge,
    store_max_bytes: IntGauge,
    store_free_bytes: IntGauge,
    folded: Carried,
    shed: Carried,
    refused: Carried,
    quarantines: Carried,
    put_back: Carried,
    process: process::Process,
}

impl Metrics {
    /// Everything at zero.
    ///
    /// # Errors
    /// A family that is named twice or wrongly: a fault of this module, which its tests show.
    pub fn new() -> Result<Self, MetricsError> {
        let new = Families(Registry::new());
        let build =
            new.gauges("fm_agent_build_info", "Always 1; the label says which version runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            started: Instant::now(),
            served: Mutex::default(),
            reading: Mutex::default(),
            requests: new.counters(
                "fm_agent_requests_total",
                "Requests answered, by call and result: ok, or the error code's name.",
                &["call", "result"],
            )?,
            answers: new.histograms(
                "fm_agent_answer_seconds",
                "From a request's arrival to its answer.",
                &["call"],
                LATENCY_BUCKETS,
            )?,
            commits: new.histogram(
                "fm_agent_commit_seconds",
                "One transaction of the store, flush included.",
                LATENCY_BUCKETS,
            )?,
            commit_requests: new.histogram(
                "fm_agent_commit_requests",
                "Requests and reports in one transaction of the store.",
                BATCH_BUCKETS,
            )?,
            deliveries: new.counters(
                "fm_agent_deliveries_total",
                "Attempts to deliver: done, rejected (kept), again (this request later), waits (for others to go), down (the controller cannot be used), given_up (not tried: a later request took its place, or there was no room).",
                &["domain", "outcome"],
            )?,
            connections: new.gauge("fm_agent_connections", "Callers' connections that are open.")?,
            callers: callers::Callers::new(&new)?,
            up: new.gauges(
                "fm_agent_controller_up",
                "1 when the domain's controller can be used, 0 when it is down; absent until it has been asked for the first time, and for a domain kept on this node.",
                &["domain"],
            )?,
            recoveries: new.counters(
                "fm_agent_controller_recoveries_total",
                "How often a controller that was down has come back.",
                &["domain"],
            )?,
            waiting: new.gauges("fm_agent_waiting_requests", "Requests on disk that wait to be delivered.", &["domain"])?,
            oldest: new.seconds(
                "fm_agent_oldest_waiting_age_seconds",
                "How long the oldest waiting request has waited; 0 when none waits.",
                &["domain"],
            )?,
            rejected: new.gauges(
                "fm_agent_rejected_requests",
                "Requests that the controller refused for good and that are kept to be looked at.",
                &["domain"],
            )?,
            store_bytes: new.gauge("fm_agent_store_bytes", "Size of the store's files.")?,
            store_max_bytes: new.gauge("fm_agent_store_max_bytes", "Size that the store may have (agent.max_bytes).")?,
            store_free_bytes: new.gauge("fm_agent_store_free_bytes", "Free space on the store's file system.")?,
            folded: new.carried(
                "fm_agent_folded_requests_total",
                "Waiting requests folded into a later one of the same alarm to make room.",
            )?,
            shed: new.carried("fm_agent_shed_requests_total", "Waiting requests given up to make room.")?,
            refused: new.carried(
                "fm_agent_refused_requests_total",
                "Requests refused because the store or its disk was full.",
            )?,
            quarantines: new.carried(
                "fm_agent_quarantines_total",
                "Damaged databases set aside; what could be read was kept.",
            )?,
            put_back: new.carried(
                "fm_agent_stores_put_back_total",
                "Databases that were deleted or replaced under the agent and written anew from what it had open.",
            )?,
            process: process::Process::new(&new)?,
            registry: new.0,
        })
    }

    /// How long the agent has run.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where the figures can be read, and if not, why.
    pub fn served(&self) -> Served {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on they can be read there, or not.
    fn set_served(&self, served: Served) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// A request was answered: `result` is `ok` or the name of an error code.
    pub fn answered(&self, call: &'static str, result: &'static str, took: Duration) {
        self.requests.with_label_values(&[call, result]).inc();
        self.answers.with_label_values(&[call]).observe(took.as_secs_f64());
    }

    /// A transaction of the store has ended well.
    pub fn committed(&self, requests: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        self.commit_requests.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }

    /// An attempt to deliver has ended.
    pub fn delivered(&self, domain: &'static str, outcome: &'static str) {
        self.deliveries.with_label_values(&[domain, outcome]).inc();
    }

    /// Attempts to deliver that have ended so, since the start.
    pub fn deliveries(&self, domain: &'static str, outcome: &'static str) -> u64 {
        self.deliveries.with_label_values(&[domain, outcome]).get()
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> i64 {
        self.connections.get()
    }

    /// A connection is open until what this returns is dropped.
    #[must_use = "the connection counts as open until it is dropped"]
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// What callers came to since this was told last.
    pub fn callers(&self, state: &CallerState) {
        self.callers.add(state);
    }

    /// Lines that the audit log has lost, since the start.
    pub fn audit_lines_lost(&self) -> u64 {
        self.callers.audit_lines_lost()
    }

    /// How often a domain's controller has come back since this was told last.
    pub fn recovered(&self, domain: &'static str, times: u64) {
        self.recoveries.with_label_values(&[domain]).inc_by(times);
    }

    /// The store is closed, with these counts; those of the next one begin anew.
    pub fn store_closed(&self, counts: &StoreCounts) {
        self.store_counts(counts).into_iter().for_each(|(carried, counted)| carried.carry(counted));
    }

    fn store_counts(&self, counts: &StoreCounts) -> [(&Carried, u64); 5] {
        let StoreCounts { folded, shed, refused, quarantines, put_back } = *counts;
        [
            (&self.folded, folded),
            (&self.shed, shed),
            (&self.refused, refused),
            (&self.quarantines, quarantines),
            (&self.put_back, put_back),
        ]
    }

    /// Everything in Prometheus' text form, with the state of the domains and the store as given.
    ///
    /// # Errors
    /// None that a caller can mend: the text cannot be made.
    pub fn text(&self, domains: &[DomainState], store: StoreState) -> Result<String, MetricsError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.up.reset();
        self.waiting.reset();
        self.oldest.reset();
        self.rejected.reset();
        for state in domains {
            let domain = &[state.domain];
            if let Some(up) = state.up {
                self.up.with_label_values(domain).set(up.into());
            }
            self.waiting.with_label_values(domain).set(whole(state.waiting));
            self.oldest.with_label_values(domain).set(state.oldest.as_secs_f64());
            self.rejected.with_label_values(domain).set(whole(state.rejected));
        }
        self.store_bytes.set(whole(store.bytes));
        self.store_max_bytes.set(whole(store.max_bytes));
        self.store_free_bytes.set(whole(store.free_bytes));
        self.store_counts(&store.counts).into_iter().for_each(|(carried, counted)| carried.show(counted));
        self.process.look();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Counts as an open connection.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One family, for the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// What it means.
    pub help: String,
}

/// Every family, by name.
///
/// # Errors
/// As [`Metrics::new`].
pub fn describe() -> Result<Vec<Description>, MetricsError> {
    let metrics = Metrics::new()?;
    metrics.answered("set", "ok", Duration::ZERO);
    metrics.delivered("platform", "done");
    let state =
        DomainState { domain: "platform", up: Some(true), waiting: 0, oldest: Duration::ZERO, rejected: 0 };
    metrics.recovered(state.domain, 0);
    metrics.text(&[state], StoreState::default())?;
    let families = metrics.registry.gather().into_iter();
    Ok(families
        .map(|family| Description {
            name: family.name().to_owned(),
            kind: format!("{:?}", family.get_field_type()).to_lowercase(),
            labels: family.get_metric().first().map_or_else(Vec::new, |metric| {
                metric.get_label().iter().map(|label| label.name().to_owned()).collect()
            }),
            help: family.help().to_owned(),
        })
        .collect())
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_from_where_they_were_when_the_store_is_opened_anew() {
        let metrics = Metrics::new().unwrap();
        let shown = |shed| {
            let counts = StoreCounts { shed, ..StoreCounts::default() };
            let text = metrics.text(&[], StoreState { counts, ..StoreState::default() }).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("fm_agent_shed_requests_total "));
            line.unwrap().to_owned()
        };
        assert_eq!(shown(3), "3");
        metrics.store_closed(&StoreCounts { shed: 4, ..StoreCounts::default() });
        assert_eq!([shown(0), shown(1), shown(9)], ["4", "5", "13"]);
    }

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let metrics = Metrics::new().unwrap();
        let open = metrics.connection();
        assert_eq!(metrics.connections.get(), 1);
        drop(open);
        assert_eq!(metrics.connections.get(), 0);
    }

    #[test]
    fn a_domain_kept_here_has_no_controller() {
        let metrics = Metrics::new().unwrap();
        let here = DomainState {
            domain: "platform",
            up: None,
            waiting: 2,
            oldest: Duration::from_millis(1500),
            rejected: 0,
        };
        let text = metrics.text(&[here], StoreState::default()).unwrap();
        assert!(!text.contains("fm_agent_controller_up"), "{text}");
        assert!(text.contains("fm_agent_waiting_requests{domain=\"platform\"} 2"), "{text}");
        assert!(text.contains("fm_agent_oldest_waiting_age_seconds{domain=\"platform\"} 1.5"), "{text}");
    }

    #[test]
    fn names_follow_the_conventions() {
        for Description { name, kind, help, .. } in describe().unwrap() {
            assert!(name.starts_with("fm_agent_") || name.starts_with("process_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}: {kind}");
            assert!(help.ends_with('.'), "{name}: {help}");
        }
    }
}
