//! The rate at which the agent delivers a backlog, beside the rate at which as many plain HTTP connections POST
//! the same alarms: printed, not judged, for a busy machine proves nothing. What is judged is that everything
//! arrives once.
//!
//! `cargo xtask delivery-rate` runs the long form, optimised; `FM_RATE_ALARMS` and `FM_RATE_ROUNDS` say how long.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure ends the test; the figures are what it is for"
)]

mod measure;

use measure::{Pace, Plan, measure};

/// Connections, the usual limits and beyond.
const IN_FLIGHT: [usize; 3] = [1, 4, 8];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_delivery_rate_beside_that_of_plain_connections() {
    let plan =
        Plan { alarms: variable("FM_RATE_ALARMS", 60), rounds: variable("FM_RATE_ROUNDS", 1), pace: None };
    let real = Pace { set_ms: 16, question_ms: 8 };
    println!("alarms a second, {} alarms a round, medians of {} rounds", plan.alarms, plan.rounds);
    println!(
        "{:<26} {:>9} {:>8} {:>8} {:>6} {:>10}",
        "service", "in flight", "plain", "agent", "ratio", "questions"
    );
    for (service, pace) in [("at the real one's pace", Some(real)), ("stand-in, no pause", None)] {
        for in_flight in IN_FLIGHT {
            let rates = measure(Plan { pace, ..plan }, in_flight).await;
            println!(
                "{service:<26} {in_flight:>9} {:>8.0} {:>8.0} {:>6.2} {:>10.2}",
                rates.plain,
                rates.agent,
                rates.ratio(),
                rates.questions
            );
        }
    }
}

/// A number from the environment.
fn variable(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}='{text}' is no number")),
        Err(_) => otherwise,
    }
}
