//! Tables for people: aligned, and as wide as the terminal at most.
//!
//! Invariants:
//! - What alarms say is shown, never obeyed: control characters are written as escapes.
//! - Nothing is cut where the output is no terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mark {
    /// As any other.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// Of less importance.
    Dim,
}

impl Mark {
    /// The text so marked, if there is colour.
    pub(super) fn on(self, text: &str, color: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Bold => "1",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Dim => "2",
        };
        if color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    mark: Mark,
}

impl Cell {
    pub(super) fn marked(text: impl AsRef<str>, mark: Mark) -> Self {
        Self { text: shown(text.as_ref()), mark }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::marked(text, Mark::Plain)
    }
}

/// A column's heading; one that begins with `>` is for numbers.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// What stands between two columns.
const GAP: usize = 2;
/// The narrowest that a column is made.
const NARROWEST: usize = 8;

impl Table {
    pub(super) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines of the table.
    pub(super) fn lines(&self, width: Option<usize>, color: bool) -> Vec<String> {
        let widths = self.widths(width);
        let headings = self.headings.iter().map(|heading| Cell::marked(name(heading), Mark::Bold)).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| self.line(row, &widths, color)).collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], color: bool) -> String {
        let mut line = String::new();
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let text = cut(&cell.text, *width);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let marked = cell.mark.on(&text, color);
            let right = self.headings.get(index).is_some_and(|heading| heading.starts_with('>'));
            let gap = if index == 0 { 0 } else { GAP };
            line.push_str(&" ".repeat(gap));
            line.push_str(&if right { padding + &marked } else { marked + &padding });
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// How wide each column is: as its widest text, unless the whole is too wide for the terminal; then the
    /// widest ones give way.
    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| name(heading).width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.text.width().max(*width);
            }
        }
        let Some(most) = most else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
        while excess > 0 {
            let widest = widths.iter_mut().max();
            let Some(widest) = widest.filter(|width| **width > NARROWEST) else { break };
            *widest -= 1;
            excess -= 1;
        }
        widths
    }
}

fn name(heading: &str) -> &str {
    heading.trim_start_matches('>')
}

/// A text from elsewhere as it may be written to a terminal, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if c.is_control() || is_direction(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that turn the direction of writing, and so what a line seems to say.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let needed = c.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", ">COUNT", "TEXT"]);
        table.row(vec!["a".into(), "7".into(), Cell::marked("short", Mark::Bad)]);
        table.row(vec!["long-id".into(), "12345".into(), "a text that needs much more room".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_nothing_hangs_over() {
        let lines = table().lines(None, false);
        assert_eq!(lines[0], "ID       COUNT  TEXT");
        assert_eq!(lines[1], "a            7  short");
        assert_eq!(lines[2], "long-id  12345  a text that needs much more room");
    }

    #[test]
    fn the_widest_column_gives_way_to_the_terminal() {
        let lines = table().lines(Some(30), false);
        assert_eq!(lines[2], "long-id  12345  a text that n…");
        assert!(lines.iter().all(|line| line.width() <= 30), "{lines:?}");
        // There is an end to what can be given.
        assert_eq!(table().lines(Some(1), false)[2], "long-id  12345  a text …");
    }

    #[test]
    fn colour_adds_nothing_to_the_width() {
        let plain = table().lines(None, false);
        let colored = table().lines(None, true);
        assert!(colored[1].contains("\x1b[31mshort\x1b[0m"));
        let bare = |line: &str| line.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(colored.iter().map(|line| bare(line)).collect::<Vec<_>>(), plain);
    }

    #[test]
    fn wide_characters_count_twice() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["火災警報".into(), "x".into()]);
        assert_eq!(table.lines(None, false), ["A         B", "火災警報  x"]);
        assert_eq!(cut("火災警報が出た", 6), "火災…");
    }

    #[test]
    fn what_an_alarm_says_is_shown_and_not_obeyed() {
        assert_eq!(shown("a\x1b[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb c\\u{202e}d");
    }
}
