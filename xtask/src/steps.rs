//! The steps of a chore, one after the other, and the line that closes it.
//!
//! Invariant: a step that fails does not keep the next ones from running, and fails the chore.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Instant;

use anyhow::bail;

/// What has been done so far.
#[derive(Debug)]
pub(crate) struct Steps {
    chore: &'static str,
    started: Instant,
    /// Each step with its seconds, or why it was left out.
    passed: Vec<String>,
    failed: Vec<String>,
}

impl Steps {
    pub(crate) fn new(chore: &'static str) -> Self {
        Self { chore, started: Instant::now(), passed: Vec::new(), failed: Vec::new() }
    }

    /// Does one step; its failure is told at once and counted.
    pub(crate) fn run(
        &mut self,
        name: &str,
        step: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.say(name)?;
        let started = Instant::now();
        match step() {
            Ok(()) => self.passed.push(format!("{name} {} s", started.elapsed().as_secs())),
            Err(error) => {
                self.say(&format!("{name} FAILED: {error:#}"))?;
                self.failed.push(name.to_owned());
            }
        }
        Ok(())
    }

    /// Says that a step cannot be done here, and why.
    pub(crate) fn leave_out(&mut self, name: &str, why: &str) -> anyhow::Result<()> {
        self.say(&format!("{name} left out: {why}"))?;
        self.passed.push(format!("{name} left out"));
        Ok(())
    }

    /// The closing line.
    ///
    /// # Errors
    /// A step failed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let summary = self.summary();
        if !self.failed.is_empty() {
            bail!(summary);
        }
        writeln!(std::io::stdout(), "\n{summary}")?;
        Ok(())
    }

    fn summary(&self) -> String {
        let mut line = match self.failed.as_slice() {
            [] => format!("{} ok: {}", self.chore, self.passed.join(", ")),
            failed => format!("{} FAILED: {}", self.chore, failed.join(", ")),
        };
        if !self.failed.is_empty() && !self.passed.is_empty() {
            // Writing to a string cannot fail.
            let _infallible = write!(line, "; ok: {}", self.passed.join(", "));
        }
        format!("{line}; all {} s", self.started.elapsed().as_secs())
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "\n== {}: {text}", self.chore)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_chore_and_spares_the_rest() {
        let mut steps = Steps::new("test");
        steps.run("one", || Ok(())).unwrap();
        steps.run("two", || bail!("no reason")).unwrap();
        let mut ran = false;
        steps
            .run("three", || {
                ran = true;
                Ok(())
            })
            .unwrap();
        assert!(ran);
        let error = steps.finish().unwrap_err().to_string();
        assert_eq!(error, "test FAILED: two; ok: one 0 s, three 0 s; all 0 s");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut steps = Steps::new("lint");
        steps.leave_out("advisories", "no database").unwrap();
        assert_eq!(steps.summary(), "lint ok: advisories left out; all 0 s");
        steps.finish().unwrap();
    }
}
