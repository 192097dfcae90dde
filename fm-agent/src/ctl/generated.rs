//! What is made from the command line's definition: completions, man pages, the reference.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use super::args::{Arguments, Generate};
use super::failure::Failure;
use super::out::Out;

/// Prints the completions for a shell.
pub(super) fn completion(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    // Into memory first: it would panic where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "fmctl", &mut script);
    Ok(out.bytes().write_all(&script)?)
}

pub(super) fn run(what: Generate, out: &mut Out) -> Result<(), Failure> {
    match what {
        Generate::Man { directory } => man(&directory, out),
        Generate::Reference => Ok(out.text(&reference())?),
    }
}

/// Writes a page for each command and prints where they are.
fn man(directory: &Path, out: &mut Out) -> Result<(), Failure> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), directory)?;
    Ok(out.line(directory.display())?)
}

/// The reference of all commands, in Markdown.
fn reference() -> String {
    let mut whole = Arguments::command().disable_help_subcommand(true);
    whole.build();
    let mut text = String::from(
        "# fmctl\n\n<!-- Made from the command line's definition by `cargo xtask gen`; do not edit. -->\n\n",
    );
    text.push_str(&sentence(&whole));
    text.push_str("\n## Options of every command\n\n");
    text.push_str(&arguments(whole.get_arguments().filter(|argument| argument.is_global_set())));
    text.push('\n');
    for line in whole.get_after_help().map(ToString::to_string).unwrap_or_default().lines() {
        text.push_str(&after(line));
    }
    for command in whole.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut text, "fmctl", command);
    }
    text
}

/// A line below the help, as a heading or as the row of a list.
fn after(line: &str) -> String {
    match (line.strip_suffix(':'), line.trim().split_once("  ")) {
        (Some(heading), _) => format!("## {heading}\n\n"),
        (None, Some((name, meaning))) => format!("- `{name}`: {}\n", meaning.trim()),
        (None, None) => "\n".to_owned(),
    }
}

fn section(text: &mut String, parent: &str, command: &Command) {
    let name = format!("{parent} {}", command.get_name());
    let own =
        |argument: &&Arg| !argument.is_global_set() && !argument.is_hide_set() && argument.get_id() != "help";
    let usage: Vec<String> = command.get_arguments().filter(own).map(shape).collect();
    let below: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let command_name = if below.is_empty() { String::new() } else { " COMMAND".to_owned() };
    let usage = usage.iter().fold(format!("{name}{command_name}"), |usage, shape| usage + " " + shape);
    // Writing to a text cannot fail.
    let _ = write!(text, "\n## {name}\n\n{}\n```text\n{usage}\n```\n", sentence(command));
    let arguments = arguments(command.get_arguments().filter(own));
    if !arguments.is_empty() {
        let _ = write!(text, "\n{arguments}");
    }
    for command in below {
        section(text, &name, command);
    }
}

fn sentence(command: &Command) -> String {
    command.get_about().map(|about| format!("{about}.\n")).unwrap_or_default()
}

/// An argument in a usage line.
fn shape(argument: &Arg) -> String {
    let shape = named(argument);
    if argument.is_required_set() { shape } else { format!("[{shape}]") }
}

fn named(argument: &Arg) -> String {
    let values: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_string().to_uppercase())
        .collect();
    let takes_value = argument.get_num_args().is_some_and(|number| number.takes_values());
    let optional = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
    match (argument.get_long(), takes_value) {
        (Some(long), false) => format!("--{long}"),
        (Some(long), true) if optional => format!("--{long}[={}]", values.join(" ")),
        (Some(long), true) => format!("--{long} {}", values.join(" ")),
        (None, _) => values.join(" "),
    }
}

fn arguments<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = String::new();
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let mut meaning = vec![help];
        let values: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let is_flag = !argument.get_num_args().is_some_and(|number| number.takes_values());
        if !values.is_empty() && !is_flag {
            meaning.push(format!("One of {}", values.join(", ")));
        }
        let defaults: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .filter(|value| !value.is_empty())
            .collect();
        if !defaults.is_empty() && !is_flag {
            meaning.push(format!("Default: `{}`", defaults.join(" ")));
        }
        let _ = writeln!(text, "- `{}`: {}.", named(argument), meaning.join(". "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_command_that_is_shown() {
        let reference = reference();
        let command = Arguments::command();
        for command in command.get_subcommands() {
            let heading = format!("\n## fmctl {}\n", command.get_name());
            assert_eq!(reference.contains(&heading), !command.is_hide_set(), "{heading}");
        }
        assert!(reference.contains("\n## fmctl rejected replay\n"));
        assert!(reference.contains("- `--watch[=SECONDS]`: "), "{reference}");
        assert!(reference.contains("- `69`: no agent can be reached\n"), "{reference}");
    }
}
