//! The command `fmctl`: looks into the agent of this node, steers it, and finds what is wrong around it.
//!
//! `args` is the command line, `out` and `table` the output, `failure` the exit status; each command has a
//! function in a module of its own.
//!
//! Invariants:
//! - What is printed goes through [`Out`]; a reader that has seen enough ends the command, quietly.
//! - JSON keys are only ever added.
//! - It asks the agent over its socket; only the doctor looks at files and controllers itself, with the
//!   agent's own code.

mod args;
mod control;
mod data;
mod doctor;
mod door;
mod failure;
mod generated;
mod hints;
mod listing;
mod out;
mod rejected;
mod status;
mod table;
mod tail;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use fm_common::Timestamp;
use fm_common::client::{Client, Options};
use serde_json::Value;

use self::args::{Arguments, Command, Common};
use self::failure::{EX_USAGE, Failure};
use self::out::Out;

/// The way to the agent.
struct Agent {
    client: Client,
}

impl Agent {
    fn new(common: &Common) -> Self {
        let env = Options::from_env();
        let options = Options {
            // A socket on the command line says which agent is meant, for administrators too.
            admin_socket: env.admin_socket.filter(|_| common.socket.is_none()),
            socket: common.socket.clone().or(env.socket),
            write_timeout: common.timeout,
            read_timeout: common.timeout,
            ..env
        };
        Self { client: Client::new(options) }
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to be done when even the terminal is gone.
            let _gone = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) };
        }
    };
    let mut out = Out::stdout(&arguments.common);
    let done = run(&arguments.common, arguments.command, &mut out);
    let flushed = out.flush().map_err(Failure::from);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => match failure.status() {
            None => ExitCode::SUCCESS,
            Some(status) => {
                let message = failure.to_string();
                if !message.is_empty() {
                    tell(&message);
                }
                ExitCode::from(status)
            }
        },
    }
}

fn run(common: &Common, command: Command, out: &mut Out) -> Result<(), Failure> {
    let agent = Agent::new(common);
    match command {
        Command::Status { watch } => status::run(&agent, watch, out),
        Command::Alarms { filter, state, limit } => listing::alarms(&agent, &filter, state, limit, out),
        Command::Queue { domain, limit } => listing::queue(&agent, domain.as_deref(), limit, out),
        Command::Rejected(what) => rejected::run(&agent, what, out),
        Command::Route { alarm_id, entity, entity_type } => {
            control::route(&agent, &alarm_id, &entity, entity_type.as_deref(), out)
        }
        Command::Resync { domain } => control::resync(&agent, domain, out),
        Command::Set { fault, keep_existing } => data::set(&agent, fault, keep_existing, out),
        Command::Clear { alarm_id, entity, all } => data::clear(&agent, alarm_id, entity, all, out),
        Command::Get { alarm_id, entity, under } => {
            data::get(&agent, alarm_id.as_deref(), entity.as_deref(), under.as_deref(), out)
        }
        Command::Log { fault } => data::log(&agent, fault, out),
        Command::Tail { filter, limit } => tail::run(&agent, &filter, limit, out),
        Command::Flush { wait } => control::flush(&agent, wait, out),
        Command::Doctor { config, min_free, offline } => {
            doctor::run(&agent, common, &doctor::Options { config, min_free_mib: min_free, offline }, out)
        }
        Command::CheckConfig { file } => control::check_config(file.as_deref(), out),
        Command::Completion { shell } => generated::completion(shell, out),
        Command::Generate { what } => generated::run(what, out),
    }
}

/// A word to the person who called, beside the answer.
fn tell(message: &str) {
    let _gone = writeln!(io::stderr(), "fmctl: {message}");
}

/// An answer of the agent, read: an object.
fn read(answer: &str) -> Result<Value, Failure> {
    Ok(Value::Object(serde_json::from_str(answer)?))
}

/// An alarm of the agent's JSON with its time as a text.
fn timed(mut alarm: Value) -> Value {
    if let Some(micros) = alarm["timestamp"].as_i64() {
        alarm["timestamp"] = Timestamp::from_micros(micros).to_string().into();
    }
    alarm
}

/// The text of a value as people read it: nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
