//! `fm-rest-sim`: the stand-in as a program. **Test equipment**, no real service.
//!
//! Prints one line of JSON with its addresses when it is ready and ends cleanly on SIGTERM and SIGINT.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use fm_rest_sim::{
    DEFAULT_EVENT_CAP, DEFAULT_PASSWORD, DEFAULT_PROJECT, DEFAULT_USER, Database, Dialect, Sim, SimConfig,
    User,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Test equipment: a stand-in of fm-rest-api and Keystone that fails on demand.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address of the service; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address of Keystone
    #[arg(long, default_value = "127.0.0.1:0")]
    keystone_listen: SocketAddr,
    /// Address of the control port
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// SQLite file; without one everything is in memory
    #[arg(long)]
    database: Option<PathBuf>,
    /// Whose rules the database keeps: postgresql or mariadb
    #[arg(long, default_value = "postgresql", value_parser = dialect)]
    dialect: Dialect,
    /// Region in the Keystone catalogue
    #[arg(long, default_value = "RegionOne")]
    region: String,
    /// The service's URL in the Keystone catalogue; default: the real one without a path
    #[arg(long)]
    catalogue_url: Option<String>,
    /// Name of the user
    #[arg(long, default_value = DEFAULT_USER)]
    username: String,
    /// Password of the user: a test's, never a real one
    #[arg(long, default_value = DEFAULT_PASSWORD)]
    password: String,
    /// Project in which the user has its roles
    #[arg(long, default_value = DEFAULT_PROJECT)]
    project: String,
    /// Roles of the user there
    #[arg(long, value_delimiter = ',', default_value = "admin")]
    roles: Vec<String>,
    /// Keep `admin` from implying `reader`
    #[arg(long)]
    no_implied_roles: bool,
    /// Serve without tokens
    #[arg(long)]
    no_token: bool,
    /// Address of a real Keystone to check tokens at, instead of the stand-in's own
    #[arg(long)]
    validate_at: Option<SocketAddr>,
    /// Seconds a token is good for
    #[arg(long, default_value_t = 3600)]
    token_lifetime_s: u64,
    /// Seconds the service trusts a token it has checked
    #[arg(long, default_value_t = 300)]
    token_cache_s: u64,
    /// Rows the event log holds
    #[arg(long, default_value_t = DEFAULT_EVENT_CAP)]
    event_cap: u32,
    /// Fill a new event log up to its cap: the state of an old installation
    #[arg(long)]
    fill_event_log: bool,
    /// Microseconds between a writer's steps where the real service races
    #[arg(long)]
    race_window_us: Option<u64>,
    /// Share of event-log writes at the cap that collide by chance, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    collision_probability: f64,
    /// Whether port names can be translated: true or false; default by dialect
    #[arg(long)]
    configuration_service: Option<bool>,
    /// Seed of every random decision
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| format!("{name} is neither postgresql nor mariadb"))
}

impl Arguments {
    fn config(&self) -> SimConfig {
        let roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        let defaults = SimConfig::default();
        SimConfig {
            listen: self.listen,
            keystone_listen: self.keystone_listen,
            control_listen: Some(self.control),
            database: self.database.clone().map_or(Database::Memory, Database::File),
            dialect: self.dialect,
            event_cap: self.event_cap,
            region: self.region.clone(),
            catalogue_url: self.catalogue_url.clone(),
            users: vec![User::new(&self.username, &self.password, &self.project, &roles)],
            implied_roles: !self.no_implied_roles,
            token_lifetime: Duration::from_secs(self.token_lifetime_s),
            token_cache: Duration::from_secs(self.token_cache_s),
            validate_at: self.validate_at,
            token_required: !self.no_token,
            configuration_service: self.configuration_service,
            race_window: self.race_window_us.map_or(defaults.race_window, Duration::from_micros),
            collision_probability: self.collision_probability,
            seed: self.seed,
            ..defaults
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Before anything answers, so that no signal is lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let sim = Sim::start(arguments.config())?;
    if arguments.fill_event_log {
        sim.fill_event_log(arguments.event_cap)?;
    }
    let ready = json!({"program": "fm-rest-sim (test equipment)", "url": sim.url(),
        "keystone_url": sim.keystone_url(), "control_url": sim.control_url()});
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}").and_then(|()| stdout.flush()).context("cannot print the addresses")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(sim);
    Ok(())
}
