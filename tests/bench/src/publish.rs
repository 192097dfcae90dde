//! The tables of a run put into the documentation, between two marks; all else in the page stays.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::programs;
use crate::report::Report;

/// The page.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- figures: written by `make bench-publish` -->\n";
const END: &str = "<!-- end of figures -->";

/// Puts the tables of a run into the page.
pub(crate) fn publish(figures: Option<&Path>) -> anyhow::Result<()> {
    let tables = Report::load(figures)?.tables()?;
    let page = programs::root()?.join(PAGE);
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let filled =
        between(&text, &tables).with_context(|| format!("{PAGE} has lost its marks for the figures"))?;
    fs::write(&page, filled)?;
    Ok(writeln!(std::io::stdout(), "written: {PAGE}")?)
}

fn between(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("# Page\n{BEGIN}old\n{END}\nrest\n");
        let once = between(&page, "new").unwrap();
        assert_eq!(once, format!("# Page\n{BEGIN}\nnew\n{END}\nrest\n"));
        assert_eq!(between(&once, "new").unwrap(), once, "writing again changes nothing");
        assert!(between("# Page\n", "new").is_none());
    }

    #[test]
    fn the_page_has_its_marks() {
        let page = fs::read_to_string(programs::root().unwrap().join(PAGE)).unwrap();
        assert!(between(&page, "").is_some());
    }
}
