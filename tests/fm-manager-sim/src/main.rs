//! `fm-manager-sim`: the stand-in as a program. **Test equipment**, no real manager.
//!
//! Prints one line of JSON with its address when it is ready and ends cleanly on SIGTERM and SIGINT.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use fm_manager_sim::{ManagerConfig, ManagerSim};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Test equipment: a stand-in of the central manager.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address of the manager; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Milliseconds between two answers to reads
    #[arg(long, default_value_t = 100)]
    poll_ms: u64,
    /// Milliseconds from an answer to its event
    #[arg(long, default_value_t = 200)]
    event_delay_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Before anything answers, so that no signal is lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let sim = ManagerSim::start(ManagerConfig {
        listen: arguments.listen,
        poll: Duration::from_millis(arguments.poll_ms),
        event_delay: Duration::from_millis(arguments.event_delay_ms),
        ..ManagerConfig::default()
    })?;
    let ready = json!({"program": "fm-manager-sim (test equipment)", "address": sim.address().to_string()});
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}").and_then(|()| stdout.flush()).context("cannot print the address")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(sim);
    Ok(())
}
