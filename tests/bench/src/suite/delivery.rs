//! How fast a queue is emptied, by the requests in flight.

use crate::delivery;
use crate::report::Budget;

use super::Suite;

const GROUP: &str = "Delivery to the stand-in";
/// `max_in_flight` when nothing is configured.
const DEFAULT: usize = 4;

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let size = suite.size;
    for in_flight in [1, DEFAULT, 8] {
        let programs = &suite.programs;
        let measured =
            delivery::measure(&programs.agent, &programs.sim, size.rounds.min(3), in_flight, size.delivered)?;
        suite.figure(GROUP, format!("alarms delivered, {in_flight} in flight"), "/s", measured.agent.rates());
        suite.rate(GROUP, format!("direct POSTs, {in_flight} connections"), &measured.direct);
        suite.rate(GROUP, format!("direct questions and POSTs, {in_flight} connections"), &measured.asking);
        suite.figure(
            GROUP,
            format!("requests for each alarm, {in_flight} in flight"),
            "",
            vec![measured.requests_each],
        );
        suite.figure(
            GROUP,
            format!("share of direct POSTs, {in_flight} in flight"),
            "",
            vec![measured.agent.rate() / measured.direct.rate()],
        );
        if in_flight != DEFAULT {
            continue;
        }
        suite.budgets.push(Budget {
            what: "delivery".to_owned(),
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
