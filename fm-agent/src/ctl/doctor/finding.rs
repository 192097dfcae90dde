//! What the doctor has found.

use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    /// Works, and is worth a look.
    Warn,
    /// Does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The check's name, stable.
    pub(super) check: &'static str,
    pub(super) level: Level,
    /// What was looked at.
    pub(super) looked_at: String,
    /// What was found.
    pub(super) found: String,
    /// What to do; empty where nothing is to be done.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn json(&self) -> Value {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Skipped => "skipped",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        json!({
            "check": self.check,
            "level": level,
            "looked_at": self.looked_at,
            "found": self.found,
            "advice": self.advice,
        })
    }
}

/// All that was found, in the order of looking.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    pub(super) fn worst(&self) -> Level {
        self.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    pub(super) fn ok(&mut self, check: &'static str, looked_at: &str, found: &str) {
        self.add(check, Level::Ok, looked_at, found, "");
    }

    pub(super) fn skip(&mut self, check: &'static str, looked_at: &str, found: &str) {
        self.add(check, Level::Skipped, looked_at, found, "");
    }

    pub(super) fn warn(&mut self, check: &'static str, looked_at: &str, found: &str, advice: &str) {
        self.add(check, Level::Warn, looked_at, found, advice);
    }

    pub(super) fn fail(&mut self, check: &'static str, looked_at: &str, found: &str, advice: &str) {
        self.add(check, Level::Fail, looked_at, found, advice);
    }

    fn add(&mut self, check: &'static str, level: Level, looked_at: &str, found: &str, advice: &str) {
        let own = str::to_owned;
        self.0.push(Finding {
            check,
            level,
            looked_at: own(looked_at),
            found: own(found),
            advice: own(advice),
        });
    }
}
