//! The command line of `fmctl`: the one source of its help, its completions, its man pages and its reference.
//!
//! It says what can be asked for, and does nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fm_common::{AlarmType, ProbableCause, Severity};

/// Looks into and steers the fault management agent of this node.
#[derive(Debug, Parser)]
#[command(name = "fmctl", version, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
   0  done, or it is so
   1  it is not so: nothing found, a check failed, the wait ended in vain
  64  wrong usage, or a value that the agent does not take
  69  no agent can be reached
  70  the agent failed
  74  the output cannot be written
  75  not now: a controller cannot be asked, no room, no answer in time
  76  the agent is too old for it
  77  not allowed
  78  wrong configuration

Environment:
  FM_AGENT_SOCKET          the agent's socket; else this user's own agent is asked, else the node's
  FM_AGENT_ADMIN_SOCKET    the agent's socket for administrators, unless it is admin.sock beside the other one
  NO_COLOR                 no colour, whatever the terminal can do";

/// What holds for every command.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Print JSON with stable keys; what goes on and on is one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
    /// The agent's socket, in place of what the environment says
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Wait so long for each answer of the agent
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) timeout: Duration,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show how the agent and its controllers are
    Status {
        /// Show it again and again, every so many seconds [default: 2]
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
              value_parser = seconds)]
        watch: Option<Duration>,
    },
    /// List this node's view of the alarms that were raised on it
    Alarms {
        #[command(flatten)]
        filter: Filter,
        /// Only those in this state
        #[arg(long, value_name = "STATE")]
        state: Option<ViewState>,
        /// So many at most; 0 for all
        #[arg(long, value_name = "NUMBER", default_value = "1000")]
        limit: usize,
    },
    /// List the requests that wait for controllers, in order
    Queue {
        /// Only those of this domain
        #[arg(long, value_name = "DOMAIN", value_parser = domains())]
        domain: Option<String>,
        /// So many at most; 0 for all
        #[arg(long, value_name = "NUMBER", default_value = "1000")]
        limit: usize,
    },
    /// See to the requests that controllers refused for good
    #[command(subcommand, arg_required_else_help = true)]
    Rejected(Rejected),
    /// Tell which domain would get an alarm, and what decides
    Route {
        /// The alarm id
        alarm_id: String,
        /// The entity instance id
        #[arg(default_value = "")]
        entity: String,
        /// The entity type [default: the names in the entity instance id]
        #[arg(long = "type", value_name = "TYPE")]
        entity_type: Option<String>,
    },
    /// Compare controllers with what this node raised and heal the difference
    Resync {
        /// The domain [default: each that has a controller]
        #[arg(value_parser = domains())]
        domain: Option<String>,
    },
    /// Raise an alarm; prints its uuid
    Set {
        #[command(flatten)]
        fault: Fault,
        /// Leave an alarm that stands as it is
        #[arg(long)]
        keep_existing: bool,
    },
    /// Clear an alarm, or all of an entity
    #[command(
        group = ArgGroup::new("which").required(true).args(["alarm_id", "all"]),
        override_usage = "fmctl clear [OPTIONS] <ALARM_ID> <ENTITY>\n       fmctl clear [OPTIONS] --all <ENTITY>"
    )]
    Clear {
        /// The alarm id
        #[arg(requires = "entity")]
        alarm_id: Option<String>,
        /// The entity instance id
        #[arg(requires = "alarm_id")]
        entity: Option<String>,
        /// Clear every alarm of this entity and of what lies under it
        #[arg(long, value_name = "ENTITY", conflicts_with_all = ["alarm_id", "entity"])]
        all: Option<String>,
    },
    /// Show alarms as callers get them: the controller's, with what waits here laid over them
    #[command(
        group = ArgGroup::new("which").required(true).multiple(true).args(["alarm_id", "under"]),
        override_usage = "fmctl get [OPTIONS] <ALARM_ID> [ENTITY]\n       fmctl get [OPTIONS] [ALARM_ID] --under <ENTITY>"
    )]
    Get {
        /// The alarm id
        alarm_id: Option<String>,
        /// Exactly this entity instance id [default: any]
        #[arg(conflicts_with = "under")]
        entity: Option<String>,
        /// This entity and what lies under it
        #[arg(long, value_name = "ENTITY")]
        under: Option<String>,
    },
    /// Record a log; prints its uuid
    Log {
        #[command(flatten)]
        fault: Fault,
    },
    /// Show what passes through the agent, as it passes
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// End after so many events
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u64>,
    },
    /// Wait until what has been asked for so far is on disk and, with --wait, delivered
    Flush {
        /// Wait until nothing is left of what waits now, so many seconds at most [default: without end]
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
              default_missing_value = "never", value_parser = seconds_or_never)]
        wait: Option<Wait>,
    },
    /// Look for what is wrong: socket, state, configuration, names, certificates, accounts, controllers
    Doctor {
        /// The agent's configuration file [default: /etc/fm/fm-agent.toml, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Fail with less free space than this for the agent's state, and warn at less than twice as much
        #[arg(long, value_name = "MIB", default_value = "64")]
        min_free: u64,
        /// Ask no controller and no Keystone
        #[arg(long)]
        offline: bool,
    },
    /// Check a configuration file as the agent would
    CheckConfig {
        /// The file [default: /etc/fm/fm-agent.toml, if there is one]
        file: Option<PathBuf>,
    },
    /// Print the completions for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Write what is made from the command line's definition, for packages and documents
    #[command(hide = true)]
    Generate {
        #[command(subcommand)]
        what: Generate,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Rejected {
    /// List them
    List {
        #[command(flatten)]
        filter: Filter,
        /// So many at most; 0 for all
        #[arg(long, value_name = "NUMBER", default_value = "1000")]
        limit: usize,
    },
    /// Show one with all it holds
    Show {
        /// Its number
        seq: i64,
    },
    /// Take them again, as if they were asked for now
    #[command(
        override_usage = "fmctl rejected replay [OPTIONS] <SEQS>...\n       fmctl rejected replay [OPTIONS] --all [--domain <DOMAIN>] [--id <ALARM_ID>] [--entity <ENTITY>]"
    )]
    Replay(Selection),
    /// Forget them
    #[command(
        override_usage = "fmctl rejected drop [OPTIONS] <SEQS>...\n       fmctl rejected drop [OPTIONS] --all [--domain <DOMAIN>] [--id <ALARM_ID>] [--entity <ENTITY>]"
    )]
    Drop(Selection),
}

/// Which refused requests.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("which").required(true).args(["seqs", "all"]))]
pub(super) struct Selection {
    /// Their numbers
    #[arg(conflicts_with_all = ["all", "domain", "id", "entity"])]
    pub(super) seqs: Vec<i64>,
    /// All that the filters let through
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: Filter,
}

#[derive(Debug, Subcommand)]
pub(super) enum Generate {
    /// The man pages, into a directory
    Man {
        /// The directory; made if it is missing
        directory: PathBuf,
    },
    /// The reference of all commands, in Markdown
    Reference,
}

/// Which alarms.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Only those with this alarm id
    #[arg(long, value_name = "ALARM_ID")]
    pub(super) id: Option<String>,
    /// Only those of this entity and of what lies under it
    #[arg(long, value_name = "ENTITY")]
    pub(super) entity: Option<String>,
    /// Only those of this domain
    #[arg(long, value_name = "DOMAIN", value_parser = domains())]
    pub(super) domain: Option<String>,
}

/// A state in this node's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ViewState {
    /// It stands, as far as this node knows, and nothing waits.
    Standing,
    /// A request about it waits.
    Pending,
}

/// An alarm or log to be written.
#[derive(Debug, Args)]
pub(super) struct Fault {
    /// The alarm id, such as 100.103
    pub(super) alarm_id: String,
    /// The entity instance id, such as host=compute-1
    pub(super) entity: String,
    /// How bad it is [default: what the catalogue gives this id, if that is one]
    #[arg(long, value_parser = severities())]
    pub(super) severity: Option<String>,
    /// What happened, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
    /// What a person should do about it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) repair: String,
    /// The entity type [default: the names in the entity instance id]
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) entity_type: Option<String>,
    /// The kind of fault
    #[arg(long, value_name = "KIND", default_value = "other", value_parser = alarm_types())]
    pub(super) alarm_type: String,
    /// Why it came about
    #[arg(long, value_name = "CAUSE", default_value = "unknown", hide_possible_values = true, value_parser = causes())]
    pub(super) cause: String,
    /// The service is affected
    #[arg(long)]
    pub(super) service_affecting: bool,
    /// Operators may suppress alarms of this kind
    #[arg(long)]
    pub(super) suppression: bool,
    /// Take an alarm id that the catalogue does not have
    #[arg(long)]
    pub(super) unlisted: bool,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Without end.
    Forever,
    /// So long at most.
    For(Duration),
}

fn domains() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::config::Domain::ALL.map(crate::config::Domain::name))
}

fn severities() -> PossibleValuesParser {
    let raisable = |severity: &&Severity| !severity.is_clear() && **severity != Severity::Unranked;
    PossibleValuesParser::new(Severity::KNOWN.iter().filter(raisable).map(Severity::as_str))
}

fn alarm_types() -> PossibleValuesParser {
    PossibleValuesParser::new(AlarmType::KNOWN.iter().map(AlarmType::as_str))
}

fn causes() -> PossibleValuesParser {
    PossibleValuesParser::new(ProbableCause::KNOWN.iter().map(ProbableCause::as_str))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|duration| (Duration::from_millis(1)..=Duration::from_hours(24)).contains(duration))
        .ok_or_else(|| format!("'{text}' is no number of seconds from 0.001 to 86400"))
}

fn seconds_or_never(text: &str) -> Result<Wait, String> {
    if text == "never" { Ok(Wait::Forever) } else { seconds(text).map(Wait::For) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seconds_may_have_a_fraction_and_have_bounds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "NaN", "1e9", "soon", ""] {
            assert!(seconds(wrong).unwrap_err().contains("seconds"), "{wrong}");
        }
        assert_eq!(seconds_or_never("never"), Ok(Wait::Forever));
    }
}
