//! What callers notice of a controller that is down, hung, unreachable or unsteady.

use std::time::Duration;

use crate::agent::Agent;
use crate::controllers::{Blackhole, Flapping, Hung, Sim, platform, refused};
use crate::load::{Call, alone};
use crate::report::{Budget, short};
use crate::rounds::{Contestant, Measured, in_turn};

use super::Suite;

const GROUP: &str = "Calls by the state of the controller";
const STATES: [&str; 5] = ["up", "down", "hung", "blackholed", "flapping"];
const CALLS: [Call; 5] = [Call::Set, Call::Get, Call::Keep, Call::Clear, Call::ClearUnknown];

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let size = suite.size;
    let (steady, unsteady) = (Sim::start(&suite.programs.sim)?, Sim::start(&suite.programs.sim)?);
    let (hung, hole) = (Hung::start()?, Blackhole::open()?);
    let flapping_at = unsteady.address;
    let addresses = [steady.address, refused()?, hung.address, hole.address, flapping_at];
    let agents = addresses.map(|address| Agent::start(&suite.programs.agent, &platform(address)));
    let agents: Vec<Agent> = agents.into_iter().collect::<Result<_, _>>()?;
    let flapping = Flapping::start(unsteady, Duration::from_millis(100));
    let clients: Vec<_> = agents.iter().map(Agent::client).collect();
    let mut worst: (f64, String) = (0.0, String::new());
    let mut worst_p999 = (0.0, 1.0);
    for call in CALLS {
        let contestant = |place: usize| {
            let (client, agent) = (&clients[place], &agents[place]);
            Contestant::new(STATES[place], move |round| {
                // Each kind has alarms of its own, but for gets and clears, which look at those that were set.
                let named = match call {
                    Call::Get | Call::Clear => Call::Set,
                    Call::Set | Call::Keep | Call::Async | Call::ClearUnknown => call,
                };
                let label = format!("{}-{round}", named.name().replace([' ', ','], ""));
                let run = alone(size.troubled, |number| Ok(call.make(client, &label, 0, number)?));
                // What is still being delivered would disturb the next contestant.
                if place == 0 {
                    agent.drained()?;
                }
                run
            })
        };
        let measured = in_turn(size.rounds, [0, 1, 2, 3, 4].map(contestant))?;
        for (state, measured) in STATES.iter().zip(&measured) {
            suite.latency(GROUP, format!("{}, {state}", call.name()), measured);
        }
        let p999 = |measured: &Measured| measured.spread().p999;
        let (up, blackholed) = (p999(&measured[0]), p999(&measured[3]));
        if blackholed / up > worst.0 {
            worst = (blackholed / up, format!("worst of {} kinds of calls: {}", CALLS.len(), call.name()));
            worst_p999 = (blackholed, up);
        }
        suite.figure(GROUP, format!("{}, p99.9 blackholed to up", call.name()), "×", vec![blackholed / up]);
    }
    flapping.steady()?;
    suite.budgets.push(Budget {
        what: "any call, controller blackholed, p99.9".to_owned(),
        rule: "≤ 2 × the same call with the controller up".to_owned(),
        measured: worst_p999.0,
        limit: worst_p999.1,
        unit: "µs".to_owned(),
        allowed: 2.0,
        at_most: true,
        note: format!("{}, {} against {} µs", worst.1, short(worst_p999.0), short(worst_p999.1)),
    });
    Ok(())
}
