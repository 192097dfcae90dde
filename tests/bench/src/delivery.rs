//! How fast an agent empties a queue, beside bare connections that post the same bodies to the same service.

use std::cell::RefCell;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::controllers::{Sim, platform, read_answer, refused};
use crate::load::{alarm, crowd};
use crate::rounds::{Contestant, Measured, in_turn};
use crate::stats::Run;

/// What was measured with so many requests in flight.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) agent: Measured,
    /// The same bodies posted without an agent.
    pub(crate) direct: Measured,
    /// The same, each with the question before it that a raise needs.
    pub(crate) asking: Measured,
    /// Requests of any kind for each alarm that the agent delivered.
    pub(crate) requests_each: f64,
}

/// What is delivered in each round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) in_flight: usize,
    pub(crate) alarms: usize,
    /// Whether the service takes its time as the real one does, or answers as fast as the stand-in can.
    pub(crate) paced: bool,
}

impl Plan {
    fn start(self, sim: &Path, address: SocketAddr) -> anyhow::Result<Sim> {
        let sim = Sim::start_at(sim, address)?;
        if self.paced {
            sim.take_its_time()?;
        }
        Ok(sim)
    }

    /// At a free port.
    fn start_anywhere(self, sim: &Path) -> anyhow::Result<Sim> {
        self.start(sim, "127.0.0.1:0".parse()?)
    }
}

/// Measures with a plan's requests in flight.
pub(crate) fn measure(program: &Path, sim: &Path, plan: Plan) -> anyhow::Result<Delivery> {
    let in_flight = plan.in_flight;
    let seen: RefCell<(Vec<Value>, Vec<Value>)> = RefCell::default();
    let agent = |_| {
        let (asked, posted, run) = deliver(program, sim, plan)?;
        *seen.borrow_mut() = (asked, posted);
        Ok(run)
    };
    let direct = |_| post(&plan.start_anywhere(sim)?, in_flight, &seen.borrow().1, None);
    let asking = |_| {
        let seen = seen.borrow();
        post(&plan.start_anywhere(sim)?, in_flight, &seen.1, Some(&question(&seen.0)?))
    };
    let contestants = [
        Contestant::new("delivery", agent),
        Contestant::new("direct POSTs", direct),
        Contestant::new("direct questions and POSTs", asking),
    ];
    let [agent, direct, asking] = in_turn(plan.rounds, contestants)?;
    let seen = seen.into_inner();
    let requests_each = (seen.0.len() + seen.1.len()) as f64 / seen.1.len().max(1) as f64;
    Ok(Delivery { agent, direct, asking, requests_each })
}

/// Lets an agent that has a full queue find its controller. Gives the questions and the posts that the controller
/// saw; the round lasts from the first post to the end of the last.
fn deliver(program: &Path, sim: &Path, plan: Plan) -> anyhow::Result<(Vec<Value>, Vec<Value>, Run)> {
    let Plan { in_flight, alarms, .. } = plan;
    let address = refused()?;
    let config =
        format!("[platform]\nmax_in_flight = {in_flight}\nlongest_pause_ms = 250\n{}", platform(address));
    let agent = Agent::start(program, &config)?;
    agent.client().set_list((0..alarms).map(|number| alarm("delivery", 0, number)).collect())?;
    agent.wait_state("down")?;
    let sim = plan.start(sim, address)?;
    agent.drained()?;
    let posted = sim.requests("POST")?;
    ensure!(posted.len() >= alarms, "{} of {alarms} alarms were delivered", posted.len());
    let time = |request: &Value, field: &str| request[field].as_u64().with_context(|| format!("no {field}"));
    let mut latencies = Vec::with_capacity(posted.len());
    let (mut begin, mut end) = (u64::MAX, 0);
    for request in &posted {
        let (from, to) = (time(request, "received_at")?, time(request, "answered_at")?);
        latencies.push((to - from) * 1000);
        (begin, end) = (begin.min(from), end.max(to));
    }
    Ok((sim.requests("GET")?, posted, Run { latencies, elapsed: Duration::from_micros(end - begin) }))
}

/// The question that is asked before a raise: one from the middle of those that the agent asked.
fn question(asked: &[Value]) -> anyhow::Result<String> {
    let path = asked.get(asked.len() / 2).and_then(|request| request["path"].as_str());
    path.map(str::to_owned).context("the agent asked nothing before it posted")
}

/// Posts the bodies of these requests over so many connections, each after this question if there is one.
fn post(sim: &Sim, connections: usize, requests: &[Value], question: Option<&str>) -> anyhow::Result<Run> {
    let next = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::new());
    let mut run = crowd(connections, 1, |_| {
        let stream = TcpStream::connect(sim.address)?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (next, latencies) = (&next, &latencies);
        let mut stream = stream;
        Ok(move |_| {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = std::time::Instant::now();
                if let Some(path) = question {
                    write!(stream, "GET {path} HTTP/1.1\r\nhost: fm\r\naccept: application/json\r\n\r\n")?;
                    let (status, _) = read_answer(&mut reader)?;
                    ensure!(status == 200, "GET {path}: status {status}");
                }
                let path = request["path"].as_str().context("a request without its path")?;
                let body = request["body"].as_str().context("a request without its body")?;
                let text = format!(
                    "POST {path} HTTP/1.1\r\nhost: fm\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(text.as_bytes())?;
                let (status, answer) = read_answer(&mut reader)?;
                ensure!(status == 200, "POST {path}: status {status}: {}", String::from_utf8_lossy(&answer));
                let nanos = u64::try_from(started.elapsed().as_nanos())?;
                latencies.lock().map_err(|_| anyhow::anyhow!("another caller panicked"))?.push(nanos);
            }
            Ok(())
        })
    })?;
    run.latencies = latencies.into_inner().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    Ok(run)
}
