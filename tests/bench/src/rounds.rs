//! Contestants in turn: A B A B …, so that what disturbs the machine disturbs all of them.

use anyhow::Context;

use crate::stats::{Run, Spread, median};

/// One who is measured.
pub(crate) struct Contestant<'a> {
    name: &'static str,
    round: Box<dyn FnMut(usize) -> anyhow::Result<Run> + 'a>,
}

impl<'a> Contestant<'a> {
    /// A contestant that does one round, told which, at each call. Round 0 only warms up.
    pub(crate) fn new(name: &'static str, round: impl FnMut(usize) -> anyhow::Result<Run> + 'a) -> Self {
        Self { name, round: Box::new(round) }
    }
}

/// What a contestant did in its rounds.
#[derive(Debug, Clone)]
pub(crate) struct Measured(pub(crate) Vec<Run>);

impl Measured {
    /// The median of the rounds' p50, in microseconds.
    pub(crate) fn p50(&self) -> f64 {
        median(&self.p50s())
    }

    /// The p50 of each round, in microseconds.
    pub(crate) fn p50s(&self) -> Vec<f64> {
        self.0.iter().map(Run::p50).collect()
    }

    /// Calls a second, the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates())
    }

    /// Calls a second in each round.
    pub(crate) fn rates(&self) -> Vec<f64> {
        self.0.iter().map(Run::rate).collect()
    }

    /// All calls together.
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(&self.0)
    }
}

/// Runs so many rounds after one to warm up, in turn, and gives what each did in the order of the contestants.
pub(crate) fn in_turn<const N: usize>(
    rounds: usize,
    mut contestants: [Contestant<'_>; N],
) -> anyhow::Result<[Measured; N]> {
    let mut measured = [const { Measured(Vec::new()) }; N];
    for round in 0..=rounds {
        for (contestant, measured) in contestants.iter_mut().zip(&mut measured) {
            let run = (contestant.round)(round).with_context(|| contestant.name)?;
            if round > 0 {
                measured.0.push(run);
            }
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;

    #[test]
    fn rounds_go_in_turn_and_the_first_does_not_count() {
        let order = RefCell::new(Vec::new());
        let contestant = |name: &'static str| {
            let order = &order;
            Contestant::new(name, move |round| {
                order.borrow_mut().push((name, round));
                let latencies = vec![if round == 0 { 9_000_000 } else { 1000 }];
                Ok(Run { latencies, elapsed: Duration::from_micros(1) })
            })
        };
        let [a, b] = in_turn(2, [contestant("a"), contestant("b")]).unwrap();
        assert_eq!(*order.borrow(), [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]);
        assert_eq!((a.0.len(), b.0.len()), (2, 2));
        assert!((a.p50() - 1.0).abs() < 1e-9);
        assert!((b.spread().max - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_failure_names_the_contestant() {
        let failing = Contestant::new("plain SQLite", |_| anyhow::bail!("disk full"));
        assert_eq!(format!("{:#}", in_turn(1, [failing]).unwrap_err()), "plain SQLite: disk full");
    }
}
