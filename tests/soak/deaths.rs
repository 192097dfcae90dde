//! When the agent is killed.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::recorder;
use crate::support::Node;

/// How long an exact moment is waited for before the agent is killed all the same.
const PATIENCE: Duration = Duration::from_secs(3);

/// The fail points of the agent, each with how often it is passed at most before the kill.
const POINTS: [(&str, u32); 7] = [
    ("store-open", 1),
    ("socket-bound", 1),
    ("before-commit", 60),
    ("after-commit", 60),
    ("before-request", 20),
    ("after-answer", 20),
    ("after-report", 20),
];

/// The end of one life of the agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Death {
    /// At some time after its start.
    Random { after_ms: u64 },
    /// At a fail point, or shortly after.
    Point { name: &'static str, pass: u32, delay_ms: Option<u64> },
    /// While the write-ahead log is written into the database: before this write to it.
    Checkpoint { write: u32 },
}

impl Death {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.u32(0..20) {
            0..5 => Self::Random { after_ms: rng.u64(0..500) },
            5..7 => Self::Random { after_ms: rng.u64(0..40) },
            7..10 => Self::Checkpoint { write: rng.u32(1..40) },
            // A request that has been sent, and whose answer has not come.
            10..13 => {
                let delay_ms = Some(rng.u64(0..8));
                Self::Point { name: "before-request", pass: rng.u32(1..=20), delay_ms }
            }
            _ => {
                let (name, most) = POINTS[rng.usize(0..POINTS.len())];
                Self::Point { name, pass: rng.u32(1..=most), delay_ms: None }
            }
        }
    }

    /// The moment in a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Random { after_ms: 0..40 } => "starting",
            Self::Random { .. } => "random",
            Self::Point { name: "before-request", delay_ms: Some(_), .. } => "request-sent",
            Self::Point { name, .. } => name,
            Self::Checkpoint { .. } => "checkpoint",
        }
    }

    /// Tells the agent that is about to be started when to die.
    pub(crate) fn arm(self, command: &mut Command, node: &Node) {
        match self {
            Self::Random { .. } => {}
            Self::Point { name, pass, delay_ms } => {
                let delay = delay_ms.map(|ms| format!(":{ms}")).unwrap_or_default();
                command.env("FM_FAIL_POINT", format!("{name}:{pass}{delay}"));
            }
            Self::Checkpoint { write } => {
                command
                    .env("LD_PRELOAD", recorder::library())
                    .env("FM_RECORD_DIR", node.state_dir().canonicalize().unwrap())
                    .env("FM_RECORD_KILL", format!(".db:{write}"));
            }
        }
    }

    /// Waits for the death; the agent that does not meet it is killed. Gives whether it met it.
    pub(crate) fn wait(self, mut agent: Child) -> bool {
        let (limit, exact) = match self {
            Self::Random { after_ms } => (Duration::from_millis(after_ms), false),
            _ => (PATIENCE, true),
        };
        let started = Instant::now();
        while started.elapsed() < limit && agent.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(2));
        }
        let ended = agent.try_wait().unwrap();
        if let Some(status) = ended {
            use std::os::unix::process::ExitStatusExt;
            assert!(exact && status.signal() == Some(9), "the agent ended by itself: {status}");
        } else {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        ended.is_some() || !exact
    }
}
