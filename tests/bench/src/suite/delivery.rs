//! How fast a queue is emptied, by the requests in flight.

use crate::delivery::{self, Plan};
use crate::report::Budget;

use super::Suite;

/// `max_in_flight` when nothing is configured.
const DEFAULT: usize = 4;

/// What the alarms are delivered to.
struct Service {
    group: &'static str,
    name: &'static str,
    paced: bool,
    /// Of the alarms of a round, one in so many: at the real one's pace some sixty take a second over one connection.
    share: usize,
}

const SERVICES: [Service; 2] = [
    Service {
        group: "Delivery at the real service's pace",
        name: "delivery, a service at the real one's pace",
        paced: true,
        share: 5,
    },
    Service {
        group: "Delivery to the stand-in",
        name: "delivery, the stand-in without a pause",
        paced: false,
        share: 1,
    },
];

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    SERVICES.iter().try_for_each(|service| to(suite, service))
}

fn to(suite: &mut Suite, service: &Service) -> anyhow::Result<()> {
    let (size, group) = (suite.size, service.group);
    for in_flight in [1, DEFAULT, 8] {
        let programs = &suite.programs;
        let plan = Plan {
            rounds: size.rounds.min(3),
            in_flight,
            alarms: size.delivered / service.share,
            paced: service.paced,
        };
        let measured = delivery::measure(&programs.agent, &programs.sim, plan)?;
        suite.figure(group, format!("alarms delivered, {in_flight} in flight"), "/s", measured.agent.rates());
        suite.rate(group, format!("direct POSTs, {in_flight} connections"), &measured.direct);
        suite.rate(group, format!("direct questions and POSTs, {in_flight} connections"), &measured.asking);
        suite.figure(
            group,
            format!("requests for each alarm, {in_flight} in flight"),
            "",
            vec![measured.requests_each],
        );
        suite.figure(
            group,
            format!("share of direct POSTs, {in_flight} in flight"),
            "",
            vec![measured.agent.rate() / measured.direct.rate()],
        );
        if in_flight != DEFAULT {
            continue;
        }
        suite.budgets.push(Budget {
            what: service.name.to_owned(),
            rule:
                "≥ 0.9 × what the same number of connections can POST to the same service without the agent"
                    .to_owned(),
            measured: measured.agent.rate(),
            limit: measured.direct.rate(),
            unit: "/s".to_owned(),
            allowed: 0.9,
            at_most: false,
            note: format!(
                "{in_flight} in flight; {:.2} of what the same connections can ask and POST",
                measured.agent.rate() / measured.asking.rate()
            ),
        });
    }
    Ok(())
}
