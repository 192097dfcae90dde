//! What goes wrong at a controller.

use std::time::Duration;

use fastrand::Rng;
use fm_rest_sim::{Apply, Fault, FaultKind, Sim};

/// Which events the service may lose by its own defects, so that they cannot be counted exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losses {
    /// None.
    None,
    /// A worker that dies between the two transactions of a write leaves the alarm without its event. At
    /// the cap of the event log, concurrent writers lose events and old ones make room.
    Events,
}

/// Lets one thing go wrong, for as long as the caller lets it; gives what.
pub(crate) fn strike(sim: &Sim, rng: &mut Rng, losses: Losses) -> String {
    match rng.u32(0..12) {
        0 => {
            // As SIGTERM ends it: connections hang, then are refused until it is started again.
            sim.terminate(Duration::from_millis(rng.u64(0..200)));
            "terminated".to_owned()
        }
        1 => {
            sim.invalidate_tokens();
            "tokens forgotten".to_owned()
        }
        2 => {
            sim.revoke_tokens();
            "tokens revoked".to_owned()
        }
        _ => {
            let fault = fault(rng, losses);
            let told = format!("{:?} {:?}", fault.kind, fault.applied);
            sim.add_fault(fault).unwrap();
            told
        }
    }
}

fn fault(rng: &mut Rng, losses: Losses) -> Fault {
    let fault = match rng.u32(0..20) {
        0 => return Fault::new(FaultKind::Refuse),
        1 => return Fault::new(FaultKind::DatabaseDown),
        2 => return at_keystone(rng),
        3 => Fault::new(FaultKind::Hang),
        4 => Fault::slow(rng.u64(20..500)),
        5..9 => Fault::status([500, 500, 500, 408, 429, 502, 503, 504][rng.usize(0..8)]),
        9 => Fault::new(FaultKind::Unauthorized),
        10 => Fault::new(FaultKind::Forbidden),
        11 | 12 => Fault::new(FaultKind::BrokenJson),
        13 | 14 => Fault::new(FaultKind::HalfAnswer),
        15 | 16 => page(rng),
        _ => Fault::new(FaultKind::Reset),
    };
    let applied = match rng.u32(0..6) {
        0..3 => Apply::Nothing,
        3 if losses == Losses::Events => Apply::AlarmOnly,
        _ => Apply::All,
    };
    let fault = fault.applied(applied);
    // Mostly writes: where reads fail, too, no write is tried.
    let fault = match rng.u32(0..8) {
        0..3 => fault.on("POST", "/v1/alarms"),
        3..6 => fault.on("DELETE", "/v1/alarms"),
        6 => fault.on("GET", "/v1/"),
        _ => fault,
    };
    let fault = if rng.bool() { fault.times(rng.u32(1..6)) } else { fault };
    if rng.bool() { fault.with_probability(0.2 + rng.f64() * 0.6, rng.u64(..)) } else { fault }
}

/// What goes wrong where the tokens are from.
fn at_keystone(rng: &mut Rng) -> Fault {
    let fault = match rng.u32(0..7) {
        0 | 1 => Fault::new(FaultKind::KeystoneDown),
        2 => Fault::new(FaultKind::Hang),
        3 => Fault::slow(rng.u64(20..500)),
        4 => Fault::status([500, 502, 504][rng.usize(0..3)]),
        5 => Fault::new(FaultKind::BrokenJson),
        _ => Fault::new(FaultKind::HalfAnswer),
    };
    fault.at_keystone()
}

/// Somebody else answers under the address: a proxy with its pages, a load balancer that sends one elsewhere.
fn page(rng: &mut Rng) -> Fault {
    let code = [200, 302, 400, 404, 405, 413, 500, 502][rng.usize(0..8)];
    Fault { body: "<html><body>this is not the service</body></html>".to_owned(), ..Fault::status(code) }
}
