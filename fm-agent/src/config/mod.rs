//! What the operator can set: the types, their units and their defaults.
//!
//! Invariants:
//! - A value that parses is valid by itself; `load` checks what needs two values at once.
//! - Unknown keys are errors. Units are in the names (`_ms`, `_bytes`).
//! - Secrets are [`secrecy::SecretString`] and show as nothing in Debug output.
//!
//! This module decides nothing at run time and touches no network.

mod access;
mod account;
mod audit;
mod backend;
mod limits;
mod load;
mod manager;
mod metrics;
mod rest;
mod types;

use std::collections::BTreeMap;
use std::path::PathBuf;

use fm_common::entity::EntityMatch;
use serde::Deserialize;

pub use access::{AccessConfig, Principal, SocketMode};
pub use account::{Account, Credential, Domain as KeystoneDomain, Named, Proof, SecretSource, Tls};
pub use audit::{AuditConfig, AuditTo};
pub use backend::BackendConfig;
pub use limits::{Bytes, Count, LimitsConfig};
pub use load::{ConfigError, ENVIRONMENT_PREFIX, load};
pub use manager::{FmManagerConfig, HostName};
pub use metrics::{MetricsAddress, MetricsConfig, MetricsListen};
pub use rest::{FmRestApiConfig, Interface, KeystoneConfig};
pub use types::{
    Durability, HighWater, HttpUrl, InFlight, LogFilter, LogTo, Millis, StoreBytes, StoreRequests,
};

/// Where the configuration is when `--config` does not say so.
pub const DEFAULT_PATH: &str = "/etc/fm/fm-agent.toml";

/// The whole configuration. Everything has a default: an empty file is an agent that runs standalone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The daemon itself.
    pub agent: AgentConfig,
    /// Who may do what.
    pub access: AccessConfig,
    /// Who did what.
    pub audit: AuditConfig,
    /// What one caller may take of the agent.
    pub limits: LimitsConfig,
    /// The controller of the platform's alarms. Without it the agent keeps them itself.
    pub platform: DomainConfig,
    /// The controller of the containerized OpenStack's alarms. Without it they belong to the platform.
    pub openstack: Option<DomainConfig>,
    /// The figures for Prometheus.
    pub metrics: MetricsConfig,
    /// The operator's rules on which domain owns an alarm, first match first.
    pub route: Vec<RouteRule>,
}

/// The daemon itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// The Unix socket that callers connect to.
    /// Default: what `FM_AGENT_SOCKET` names, else `/run/fm/fm-agent.sock` for root's agent and `$XDG_RUNTIME_DIR/fm/fm-agent.sock` for another user's. Example: `"/run/fm/fm-agent.sock"`.
    pub socket: Option<PathBuf>,
    /// The permissions of that socket.
    /// Default: "0666" for root's agent, "0600" for another user's. Example: `"0660"`.
    pub socket_mode: Option<SocketMode>,
    /// The owner of that socket, a user's name or number.
    /// Default: the agent's user. Example: `"root"`.
    pub socket_owner: Option<String>,
    /// The group of that socket, a name or number.
    /// Default: the agent's group. Example: `"fm"`.
    pub socket_group: Option<String>,
    /// The Unix socket for administrators.
    /// Default: what `FM_AGENT_ADMIN_SOCKET` names, else `admin.sock` beside the other one. Example: `"/run/fm/admin.sock"`.
    pub admin_socket: Option<PathBuf>,
    /// The permissions of administrators' socket.
    /// Default: "0660" for root's agent, "0600" for another user's, and "0666" where `access.admin` names others whom one group does not hold: who may do what is looked at besides. Example: `"0660"`.
    pub admin_socket_mode: Option<SocketMode>,
    /// The group of administrators' socket, a name or number.
    /// Default: the group that `access.admin` names, else the agent's. Example: `"fm-admin"`.
    pub admin_socket_group: Option<String>,
    /// The directory of the store.
    /// Default: `/var/lib/fm-agent` for root's agent, `$XDG_STATE_HOME/fm-agent`, else `~/.local/state/fm-agent`, for another user's. Example: `"/var/lib/fm-agent"`.
    pub state_dir: Option<PathBuf>,
    /// What an answer promises: `power`, that the request survives power loss, because each commit is flushed to
    /// the disk; `process`, that it survives the agent's death only, which is faster.
    /// Default: `"power"`. Example: `"process"`.
    pub durability: Durability,
    /// How list and clear-all filters match entity instance ids: by `component` (`host=a` covers `host=a.port=b`,
    /// not `host=ab`), or by `prefix` of the text, as the old library did.
    /// Default: `"component"`. Example: `"prefix"`.
    pub entity_match: EntityMatch,
    /// How long a stop may take: what is under way is finished, the rest waits on disk.
    /// Default: `5000`.
    pub shutdown_grace_ms: Millis,
    /// Connections at the same time, 1 to 1000000; more are refused with an error.
    /// Default: `10000`.
    pub max_connections: Count,
    /// How long a write may wait for the answer of a controller it has to ask.
    /// Default: `500`.
    pub ask_timeout_ms: Millis,
    /// Events kept by an agent that is its own store of record; the oldest go first.
    /// Default: `4000`.
    pub max_events: u32,
    /// Requests that controllers refused for good are kept, so many at most; the oldest go first.
    /// Default: `10000`.
    pub max_rejected: u32,
    /// For so many days they are kept, and for two more: the clock may have been wrong.
    /// Default: `30`.
    pub rejected_days: u16,
    /// Bytes that the database of the store and its WAL may take, 64 MiB to 1 TiB. Beyond,
    /// sets and logs get `FM_ERR_NOT_ENOUGH_SPACE`; an eighth is for clears alone.
    /// Default: `1073741824`, 1 GiB. Example: `2147483648`.
    pub max_bytes: StoreBytes,
    /// Requests that may wait to be delivered, 1,000 to 100,000,000. Beyond, sets and
    /// logs get `FM_ERR_NOT_ENOUGH_SPACE`; clears may exceed it by an eighth.
    /// Default: `500000`. Example: `1000000`.
    pub max_requests: StoreRequests,
    /// The share of `max_bytes` and of `max_requests` from which on superseded requests are folded and, where
    /// that is not enough, waiting logs given up: 0.1 to 1.
    /// Default: `0.8`. Example: `0.9`.
    pub high_water: HighWater,
    /// Which log lines are written, in the filter syntax of `tracing`: a level (`error`, `warn`, `info`, `debug`,
    /// `trace`), then levels of single parts.
    /// Default: `"info"`. Example: `"info,fm_agent::delivery=debug"`.
    pub log: LogFilter,
    /// Where they go: `auto` (the journal when standard error is connected to it, else standard error),
    /// `journald` or `stderr`. A change needs a restart, as for `log`.
    /// Default: `"auto"`. Example: `"journald"`.
    pub log_to: LogTo,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            socket: None,
            socket_mode: None,
            socket_owner: None,
            socket_group: None,
            admin_socket: None,
            admin_socket_mode: None,
            admin_socket_group: None,
            state_dir: None,
            durability: Durability::default(),
            entity_match: EntityMatch::default(),
            shutdown_grace_ms: Millis::new(5_000),
            max_connections: Count::new(10_000),
            ask_timeout_ms: Millis::new(500),
            max_events: 4_000,
            max_rejected: 10_000,
            rejected_days: 30,
            max_bytes: StoreBytes::default(),
            max_requests: StoreRequests::default(),
            high_water: HighWater::default(),
            log: LogFilter::default(),
            log_to: LogTo::default(),
        }
    }
}

/// The controller of one domain: one backend table at most. Without one the agent is the domain's store
/// of record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DomainConfig {
    /// Requests under way at the same time, at most.
    /// Default: `4`.
    pub max_in_flight: InFlight,
    /// How long the pause between two attempts grows at most; it begins at 250 ms.
    /// Default: `30000`.
    pub longest_pause_ms: Millis,
    /// How long after the start or after an outage this node waits at most before it compares the controller with
    /// what it raised: a moment at random, so that the nodes of a cloud do not come all at once.
    /// Default: `10000`.
    pub compare_spread_ms: Millis,
    /// Reach the controller over fm-rest-api.
    pub fm_rest_api: Option<FmRestApiConfig>,
    /// Reach the controller over the central manager's socket.
    pub fm_manager: Option<FmManagerConfig>,
}

impl Default for DomainConfig {
    fn default() -> Self {
        Self {
            max_in_flight: InFlight::default(),
            longest_pause_ms: Millis::new(30_000),
            compare_spread_ms: Millis::new(10_000),
            fm_rest_api: None,
            fm_manager: None,
        }
    }
}

/// One of the operator's routing rules. Every given condition must hold; `*` at the end of a text
/// stands for anything. Elsewhere it is an error: a text that has a `*` itself is named by its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// The alarm id, such as `300.010` or `700.*`.
    /// Default: any. Example: `"700.*"`.
    pub alarm_id: Option<String>,
    /// The entity type, such as `host.port` or `instance*`.
    /// Default: any. Example: `"host.port"`.
    pub entity_type_id: Option<String>,
    /// The entity instance id, such as `host=compute-1*`.
    /// Default: any. Example: `"host=compute-1*"`.
    pub entity_instance_id: Option<String>,
    /// The domain that owns what matches.
    /// Example: `"platform"`.
    pub domain: Domain,
}

/// A domain: one fault management with its own controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// The platform (StarlingX itself).
    Platform,
    /// The containerized OpenStack.
    Openstack,
}

impl Domain {
    /// Both, in a fixed order.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Openstack];

    /// The name used in configuration, logs and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Openstack => "openstack",
        }
    }

    /// The domain with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|domain| domain.name() == name)
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Config {
    /// The configured domains; the platform is always one of them.
    pub fn domains(&self) -> BTreeMap<Domain, &DomainConfig> {
        let openstack = self.openstack.iter().map(|config| (Domain::Openstack, config));
        std::iter::once((Domain::Platform, &self.platform)).chain(openstack).collect()
    }
}
