//! Gets and lists, answered by this node and by a controller.

use crate::agent::Agent;
use crate::controllers::{Sim, platform, refused};
use crate::echo::Echo;
use crate::load::{Call, alarm, alone, crowd};
use crate::report::Budget;
use crate::rounds::{Contestant, in_turn};

use super::Suite;

const GROUP: &str = "Reads";
const CROWD: usize = 64;

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let size = suite.size;
    let calls = size.calls;
    let sim = Sim::start(&suite.programs.sim)?;
    let start = |config: &str| Agent::start(&suite.programs.agent, config);
    let (waiting, here, up) = (start(&platform(refused()?))?, start("")?, start(&platform(sim.address))?);
    for agent in [&waiting, &here, &up] {
        for (label, length) in [("ten", 10), ("thousand", 1000)] {
            agent.client().set_list((0..length).map(|number| alarm(label, 0, number)).collect())?;
        }
    }
    up.drained()?;
    let clients = [&waiting, &here, &up].map(Agent::client);
    let [from_waiting, from_here, from_up] = &clients;
    let get =
        |client, calls| alone(calls, |number| Ok(Call::Get.make(client, "thousand", 0, number % 1000)?));
    let list = |client: &fm_common::client::Client, label: &str, calls| {
        let entity = format!("host=compute-1.run={label}");
        alone(calls, |_| Ok(client.list_by_entity(&entity).map(drop)?))
    };
    let echo = Echo::of_a_set()?;
    let [socket, pending, own, many] = in_turn(
        size.rounds,
        [
            Contestant::new("socket", |_| echo.ping(1, calls)),
            Contestant::new("get of a waiting alarm", |_| get(from_waiting, calls)),
            Contestant::new("get of an alarm whose record is here", |_| get(from_here, calls)),
            Contestant::new("gets of 64 callers", |_| {
                crowd(CROWD, calls / 16, |_| {
                    let client = waiting.client();
                    client.ping()?;
                    Ok(move |number| Ok(Call::Get.make(&client, "thousand", 0, number % 1000)?))
                })
            }),
        ],
    )?;
    suite.budgets.push(Budget {
        what: "get answered from this node".to_owned(),
        rule: "≤ 3 × Unix-socket round trip".to_owned(),
        measured: pending.p50(),
        limit: socket.p50(),
        unit: "µs".to_owned(),
        allowed: 3.0,
        at_most: true,
        note: String::new(),
    });
    suite.latency(GROUP, "get of a waiting alarm", &pending);
    suite.rate(GROUP, "gets of a waiting alarm, 64 threads", &many);
    suite.latency(GROUP, "get, standalone", &own);
    let [controller, ten, thousand, ten_up, thousand_up] = in_turn(
        size.rounds,
        [
            Contestant::new("get from the controller", |_| get(from_up, calls / 4)),
            Contestant::new("list of 10, standalone", |_| list(from_here, "ten", calls / 5)),
            Contestant::new("list of 1000, standalone", |_| list(from_here, "thousand", calls / 50)),
            Contestant::new("list of 10, controller", |_| list(from_up, "ten", calls / 10)),
            Contestant::new("list of 1000, controller", |_| list(from_up, "thousand", calls / 100)),
        ],
    )?;
    suite.latency(GROUP, "get from the controller", &controller);
    suite.latency(GROUP, "list of 10, standalone", &ten);
    suite.latency(GROUP, "list of 1000, standalone", &thousand);
    suite.latency(GROUP, "list of 10 from the controller", &ten_up);
    suite.latency(GROUP, "list of 1000 from the controller", &thousand_up);
    Ok(())
}
