//! What a stand-in is started with.
//!
//! Every field has a default that gives a healthy service of the platform's kind with one user
//! that may read and write, so that a test names only what it is about.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The user every default configuration knows.
pub const DEFAULT_USER: &str = "fm";
/// The password of [`DEFAULT_USER`].
pub const DEFAULT_PASSWORD: &str = "fm-secret";
/// The project in which [`DEFAULT_USER`] has its role.
pub const DEFAULT_PROJECT: &str = "services";
/// Rows the event log of a real installation keeps.
pub const DEFAULT_EVENT_CAP: u32 = 4000;

const ALARM_TYPES: &str = include_str!("../data/alarm_types.csv");

/// Which real database's rules are kept: they differ in what text they hold and how they compare it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The platform's database: no NUL in text, exact comparison, a time's offset is converted.
    #[default]
    PostgreSql,
    /// The containerized application's database: no 4-byte UTF-8, comparison that ignores case,
    /// accents and trailing spaces, a time's offset is dropped.
    MariaDb,
}

impl Dialect {
    /// The name used on the command line and in the database file.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MariaDb => "mariadb",
        }
    }

    /// The dialect called `name`, or `None` for another word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::PostgreSql, Self::MariaDb].into_iter().find(|dialect| dialect.name() == name)
    }
}

/// Where the alarms and events are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Database {
    /// In memory: gone with the stand-in.
    #[default]
    Memory,
    /// An SQLite file. One that exists is gone on with.
    File(PathBuf),
}

/// One row of the suppression table: an alarm id the service accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmType {
    /// The alarm id, `100.101`.
    pub alarm_id: String,
    /// The severity from which it hinders software management; `none` for never.
    pub mgmt_affecting: String,
    /// The severity from which it degrades the host; `none` for never.
    pub degrade_affecting: String,
}

/// The alarm types of a real installation: 135 rows.
pub fn catalogue_alarm_types() -> Vec<AlarmType> {
    ALARM_TYPES
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split(',').map(str::to_owned);
            Some(AlarmType {
                alarm_id: columns.next()?,
                mgmt_affecting: columns.next()?,
                degrade_affecting: columns.next()?,
            })
        })
        .collect()
}

/// The roles a user has in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The project's name; case counts.
    pub project: String,
    /// The roles there.
    pub roles: Vec<String>,
}

/// A Keystone user of the domain `Default`.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The password; never shown in `Debug`.
    pub password: String,
    /// What the user may do where.
    pub grants: Vec<Grant>,
}

impl User {
    /// A user with `roles` in one project.
    pub fn new(name: &str, password: &str, project: &str, roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            grants: vec![Grant { project: project.to_owned(), roles }],
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("grants", &self.grants).finish_non_exhaustive()
    }
}

/// Everything a stand-in is started with; build it with `SimConfig { …, ..SimConfig::default() }`.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Address of the service; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of Keystone; port 0 takes a free one.
    pub keystone_listen: SocketAddr,
    /// Address of the control port; `None` opens none.
    pub control_listen: Option<SocketAddr>,
    /// Where the rows are kept.
    pub database: Database,
    /// Whose rules the database keeps.
    pub dialect: Dialect,
    /// Rows the event log holds before each new one costs the oldest; at least 1.
    pub event_cap: u32,
    /// The rows of the suppression table of a new database.
    pub alarm_types: Vec<AlarmType>,
    /// The region in the Keystone catalogue.
    pub region: String,
    /// The service's URL in the Keystone catalogue; `None` gives the real address without a path.
    pub catalogue_url: Option<String>,
    /// The users Keystone knows.
    pub users: Vec<User>,
    /// Whether `admin` implies `manager`, `member` and `reader`, as a bootstrapped Keystone has it.
    pub implied_roles: bool,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// How long the service trusts a token it has checked without asking Keystone again.
    pub token_cache: Duration,
    /// Whether requests need a token at all.
    pub token_required: bool,
    /// Whether the platform's configuration service, which translates port names, is reachable;
    /// `None`: with PostgreSQL (the platform) yes, with MariaDB (containerized) no.
    pub configuration_service: Option<bool>,
    /// How long a writer's steps lie apart where the real service races: longer makes the
    /// collisions of concurrent writers more frequent. The default comes near the real share.
    pub race_window: Duration,
    /// Share of event-log writes at the cap that collide although nobody else writes, 0 to 1.
    pub collision_probability: f64,
    /// Seed of every random decision.
    pub seed: u64,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
}

impl Default for SimConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: loopback,
            keystone_listen: loopback,
            control_listen: None,
            database: Database::Memory,
            dialect: Dialect::PostgreSql,
            event_cap: DEFAULT_EVENT_CAP,
            alarm_types: catalogue_alarm_types(),
            region: "RegionOne".to_owned(),
            catalogue_url: None,
            users: vec![User::new(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT, &["admin"])],
            implied_roles: true,
            token_lifetime: Duration::from_hours(1),
            token_cache: Duration::from_mins(5),
            token_required: true,
            configuration_service: None,
            race_window: Duration::from_micros(20),
            collision_probability: 0.0,
            seed: 1,
            idle_timeout: Duration::from_mins(15),
        }
    }
}

impl SimConfig {
    /// Whether port names can be translated, with the default of the dialect applied.
    pub(crate) fn translates_port_names(&self) -> bool {
        self.configuration_service.unwrap_or(self.dialect == Dialect::PostgreSql)
    }
}
