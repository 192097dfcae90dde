//! `fmctl doctor`: looks at everything that the agent needs, and says what is wrong and what to do.
//!
//! Invariants:
//! - It runs with and without a running agent, and changes nothing: neither here nor at a controller.
//! - It reads the configuration that the agent reads and goes to controllers with the agent's own code.
//! - No secret is printed. A credential that Keystone refuses is offered once, however many domains use it.

mod audit;
mod certificate;
mod clock;
mod configuration;
mod controller;
mod finding;
mod permissions;
mod process;
mod reach;
mod socket;
mod state;

use std::path::PathBuf;

use nix::unistd::geteuid;
use serde_json::json;

use self::finding::{Findings, Level};
use self::process::Process;
use super::args::Common;
use super::failure::Failure;
use super::out::Out;
use super::table::{Mark, shown};
use super::{Agent, control};
use crate::agent::Places;
use crate::backend::Refusals;
use crate::config::{self, Config};

/// What the doctor is asked to do.
pub(super) struct Options {
    /// The agent's configuration file, where it is not the usual one.
    pub(super) config: Option<PathBuf>,
    /// The least free space for the agent's state, in MiB.
    pub(super) min_free_mib: u64,
    /// No controller and no Keystone is asked.
    pub(super) offline: bool,
}

pub(super) fn run(agent: &Agent, common: &Common, options: &Options, out: &mut Out) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let environment = control::environment();
    let loaded = config::load(options.config.as_deref(), environment.iter().cloned());
    let config = configuration::loaded(options.config.as_deref(), loaded, &mut findings);
    configuration::variables(&environment, &mut findings);
    if let Some(config) = &config {
        configuration::permissions(options.config.as_deref(), config, &environment, &mut findings);
    }
    let places = config.as_ref().and_then(|config| places(config, &mut findings));
    let status = socket::check(agent, common, places.as_ref(), &mut findings);
    let process = status.as_ref().and_then(Process::of);
    if let (Some(config), Some(places)) = (&config, &places) {
        let min_free = options.min_free_mib.saturating_mul(1024 * 1024);
        state::check(&places.state_dir, config.agent.durability, min_free, process.as_ref(), &mut findings);
        state::set_aside(&places.state_dir, status.as_ref(), &mut findings);
        audit::check(&config.audit.to, &places.state_dir, process.as_ref(), &mut findings);
        permissions::check(config, places, &mut findings);
        process::limits(process.as_ref(), config.agent.max_connections.get(), &mut findings);
    }
    if let Some(config) = config.filter(|_| !options.offline) {
        controllers(&config, &mut findings)?;
    }
    tell(&findings, out)?;
    if findings.worst() == Level::Fail { Err(Failure::Told) } else { Ok(()) }
}

fn places(config: &Config, findings: &mut Findings) -> Option<Places> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match Places::new(&config.agent, geteuid().is_root(), variable) {
        Ok(places) => Some(places),
        Err(error) => {
            let advice = "Set agent.socket and agent.state_dir in the configuration.";
            findings.fail("places", "where socket and state are", &format!("{error:#}"), advice);
            None
        }
    }
}

fn controllers(config: &Config, findings: &mut Findings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (refusals, ask_limit) = (Refusals::default(), config.agent.ask_timeout_ms.duration());
    runtime.block_on(async {
        for (domain, domain_config) in config.domains() {
            controller::check(domain, domain_config, ask_limit, &refusals, findings).await;
        }
    });
    // A name that is still looked up must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

fn tell(findings: &Findings, out: &mut Out) -> Result<(), Failure> {
    let count = |level| findings.all().iter().filter(|finding| finding.level == level).count();
    let (failures, warnings) = (count(Level::Fail), count(Level::Warn));
    if out.json {
        let all: Vec<_> = findings.all().iter().map(finding::Finding::json).collect();
        return Ok(out.json(&json!({ "findings": all, "failures": failures, "warnings": warnings }))?);
    }
    for finding in findings.all() {
        let (word, mark) = match finding.level {
            Level::Ok => ("ok  ", Mark::Good),
            Level::Skipped => ("skip", Mark::Dim),
            Level::Warn => ("warn", Mark::Warn),
            Level::Fail => ("FAIL", Mark::Bad),
        };
        let word = out.mark(word, mark);
        out.line(format_args!(
            "{word}  {}: {}: {}",
            finding.check,
            shown(&finding.looked_at),
            shown(&finding.found)
        ))?;
        if !finding.advice.is_empty() {
            out.line(format_args!("      → {}", shown(&finding.advice)))?;
        }
    }
    let checks = findings.all().len();
    Ok(out.line(format_args!("{checks} checks: {failures} failed, {warnings} to look at"))?)
}
