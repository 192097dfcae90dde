//! Where a command's answer goes: text for people, JSON for programs.
//!
//! Invariant: nothing is printed but here, and what cannot be printed is an error, never a panic.

use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde_json::Value;

use super::args::{Color, Common};
use super::table::{Mark, Table};

/// Standard output, and how it is to be written to.
pub(super) struct Out {
    to: Box<dyn Write>,
    /// JSON was asked for.
    pub(super) json: bool,
    color: bool,
    /// It is a terminal.
    pub(super) terminal: bool,
    width: Option<usize>,
}

impl Out {
    pub(super) fn stdout(common: &Common) -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        };
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            to: Box::new(BufWriter::new(io::stdout().lock())),
            json: common.json,
            color,
            terminal,
            width: width.filter(|width| terminal && *width > 0),
        }
    }

    /// A line of text from this program.
    pub(super) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// An object on a line of its own.
    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.to, "{value}")
    }

    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines(self.width, self.color) {
            self.line(line)?;
        }
        Ok(())
    }

    /// The text so marked, if there is colour.
    pub(super) fn mark(&self, text: &str, mark: Mark) -> String {
        mark.on(text, self.color)
    }

    /// Text that is no line.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    pub(super) fn bytes(&mut self) -> &mut dyn Write {
        &mut self.to
    }

    /// Begins anew at the top of the screen.
    pub(super) fn top(&mut self) -> io::Result<()> {
        self.text("\x1b[H\x1b[2J")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
