//! One soak: a node, its two controllers, callers, kills, and the count in the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use fm_rest_sim::{Dialect, Sim, SimConfig};

use crate::callers::Callers;
use crate::deaths::Death;
use crate::faults::{Losses, strike};
use crate::oracle::{Alarm, Found, Verdict};
use crate::support::{Node, controller_with, domain};

/// How long nothing may be delivered at the end before the test gives up.
const STANDSTILL: Duration = Duration::from_mins(1);

/// How the agent is killed, and how often.
pub(crate) enum Kills {
    /// At random and at exact moments.
    Random(u64),
    /// At random; each third transaction is answered and not committed.
    OfALiar(u64),
}

/// What came of it.
pub(crate) struct Soak {
    pub(crate) verdict: Verdict,
    pub(crate) told: String,
}

struct World {
    rng: Rng,
    sims: [Sim; 2],
    node: Node,
    /// How often the agent died when.
    kills: BTreeMap<&'static str, u64>,
    /// Deaths at a moment that did not come: these were killed at some other.
    missed: u64,
}

/// Runs one.
pub(crate) fn soak(seed: u64, durability: &str, kills: &Kills) -> Soak {
    let started = Instant::now();
    let mut world = World::new(seed, durability);
    let directory = world.node.socket().parent().unwrap().to_owned();
    let callers = Callers::start(&world.node.socket(), &directory, seed);
    match kills {
        Kills::Random(number) => {
            for _ in 0..*number {
                let death = Death::random(&mut world.rng);
                let mut command = world.node.command();
                death.arm(&mut command, &world.node);
                world.live(death, &mut command);
            }
        }
        Kills::OfALiar(number) => {
            for _ in 0..*number {
                let mut command = world.node.command();
                command.env("FM_FAIL_POINT", "lie-about-commit:3");
                world.node.run_command(&mut command);
                // Time for callers to be lied to.
                sleep(Duration::from_millis(500));
                world.node.kill();
                *world.kills.entry("random").or_default() += 1;
            }
        }
    }
    // The last calls meet a living agent and living controllers.
    world.calm();
    world.node.run();
    sleep(Duration::from_millis(200));
    let oracle = callers.stop();
    let called = started.elapsed().as_secs_f64();
    world.drain();
    let mut verdict = oracle.judge(&world.found());
    verdict.wrong.extend(world.healed());
    // Only an agent that is dead or dies lets a call fail.
    let dead = |told: &&String| told.ends_with("FM_ERR_NOCONNECT") || told.ends_with("FM_ERR_COMMUNICATIONS");
    verdict.wrong.extend(
        oracle.failed.keys().filter(|told| !dead(told)).map(|told| format!("callers were told {told}")),
    );
    let told = format!(
        "kills {} requests {} lost {} doubled {} seed {seed}; deaths {:?}, missed {}; not acknowledged {:?}; \
         {called:.0} s and {:.0} s to deliver the rest",
        world.kills.values().sum::<u64>(),
        oracle.acknowledged,
        verdict.lost,
        verdict.doubled,
        world.kills,
        world.missed,
        oracle.failed,
        started.elapsed().as_secs_f64() - called
    );
    Soak { verdict, told }
}

impl World {
    fn new(seed: u64, durability: &str) -> Self {
        // The event log is what is counted: it must not forget.
        let sims = [Dialect::PostgreSql, Dialect::MariaDb].map(|dialect| {
            controller_with(SimConfig { dialect, seed, event_cap: u32::MAX, ..SimConfig::default() })
        });
        let domains = ["platform", "openstack"].iter().zip(&sims).flat_map(|(name, sim)| {
            let hasty = domain(name, sim, "labrador").replace("_ms = 1000", "_ms = 300");
            [format!("[{name}]\nlongest_pause_ms = 400\n"), hasty]
        });
        let config = format!("durability = '{durability}'\n{}", domains.collect::<String>());
        let mut node = Node::prepare(&config);
        agent().clone_into(&mut node.program);
        // The callers find an agent, and the killers its state.
        node.run();
        node.kill();
        Self { rng: Rng::with_seed(seed), sims, node, kills: BTreeMap::new(), missed: 0 }
    }

    /// One life of the agent, with something that goes wrong or gets well at a controller.
    fn live(&mut self, death: Death, command: &mut Command) {
        let sim = &self.sims[self.rng.usize(0..2)];
        if self.rng.bool() {
            strike(sim, &mut self.rng, Losses::None);
        } else {
            sim.clear_faults().unwrap();
            sim.restart().unwrap();
        }
        if !death.wait(command.spawn().unwrap()) {
            self.missed += 1;
        }
        *self.kills.entry(death.name()).or_default() += 1;
    }

    /// Nothing goes wrong any more.
    fn calm(&self) {
        for sim in &self.sims {
            sim.clear_faults().unwrap();
            sim.restart().unwrap();
        }
    }

    /// Waits until everything is delivered.
    fn drain(&self) {
        let mut left = u64::MAX;
        let mut moved = Instant::now();
        while left > 0 {
            let now = self.node.waiting("platform") + self.node.waiting("openstack");
            if now != left {
                (left, moved) = (now, Instant::now());
            }
            assert!(moved.elapsed() < STANDSTILL, "{left} requests wait and none is delivered");
            sleep(Duration::from_millis(20));
        }
    }

    fn found(&self) -> Found {
        let mut found = Found::default();
        for sim in &self.sims {
            for event in sim.events().unwrap().into_iter().map(|row| row.fields) {
                let reason = event.reason_text.unwrap_or_default();
                match event.alarm_state.unwrap_or_default().as_str() {
                    "log" => *found.logs.entry(reason).or_default() += 1,
                    state => {
                        let alarm = alarm(event.entity_instance_id);
                        found.events.entry(alarm).or_default().push((state.to_owned(), reason));
                    }
                }
            }
            for row in sim.alarms().unwrap() {
                let reason = row.fields.reason_text.unwrap_or_default();
                found.standing.entry(alarm(row.fields.entity_instance_id)).or_default().push(reason);
            }
        }
        found
    }

    /// What comparisons with the controllers found to heal. Nothing was lost there, so there is nothing: what
    /// delivery gets wrong must not hide behind a comparison that puts it right.
    fn healed(&self) -> Vec<String> {
        let mut wrong: Vec<String> = ["platform", "openstack"]
            .iter()
            .map(|name| (name, self.node.domain(name)["rejected"].as_u64().unwrap()))
            .filter(|(_, rejected)| *rejected > 0)
            .map(|(name, rejected)| format!("{name}: {rejected} requests were rejected"))
            .collect();
        let log = self.node.log();
        let healed = log.lines().filter(|line| line.contains("compared with the controller"));
        let healed = healed.filter(|line| !line.contains("raised=0 removed=0 respected=0"));
        wrong.extend(healed.map(|line| format!("healed although nothing was lost: {line}")));
        wrong
    }
}

/// The agent with its fail points: whatever is built meanwhile, the soak goes on with what it began with.
pub(crate) fn agent() -> &'static Path {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();
    AGENT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (fresh, agent) = (directory.join("soak-agent.new"), directory.join("soak-agent"));
        fs::copy(env!("CARGO_BIN_EXE_fm-agent"), &fresh).unwrap();
        fs::rename(fresh, &agent).unwrap();
        agent
    })
}

/// The alarm on an entity `host=THREAD.disk=NUMBER`.
fn alarm(entity: Option<String>) -> Alarm {
    let entity = entity.unwrap_or_default();
    let (thread, number) = entity.trim_start_matches("host=").split_once(".disk=").unwrap();
    (thread.to_owned(), number.parse().unwrap())
}
