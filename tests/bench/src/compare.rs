//! What changed between two runs, and whether it is more than noise.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use crate::report::{Case, Report, short};

/// Changes below this share are not worth a mark, however quiet the machine was.
const WORTH: f64 = 0.03;

/// Prints the comparison.
pub(crate) fn show(base: &Path, other: Option<&Path>) -> anyhow::Result<()> {
    let (base, other) = (Report::load(Some(base))?, Report::load(other)?);
    Ok(std::io::stdout().write_all(compared(&base, &other)?.as_bytes())?)
}

fn compared(base: &Report, other: &Report) -> Result<String, std::fmt::Error> {
    let mut text = format!("base:  {}\nother: {}\n", base.machine.line(), other.machine.line());
    if base.quick != other.quick {
        text += "one of them is a quick run: they did not measure the same\n";
    }
    writeln!(text, "\n{:<62} {:>10} {:>10} {:>8} {:>7}", "", "base", "other", "change", "noise")?;
    for budget in &other.budgets {
        let Some(before) = base.budgets.iter().find(|before| before.what == budget.what) else { continue };
        let (from, to) = (before.ratio(), budget.ratio());
        writeln!(
            text,
            "{:<62} {from:>10.2} {to:>10.2} {:>+7.1}%",
            format!("{} (ratio)", budget.what),
            (to / from - 1.0) * 100.0
        )?;
    }
    text += "\n";
    for case in &other.cases {
        match base.cases.iter().find(|before| (&before.group, &before.name) == (&case.group, &case.name)) {
            Some(before) => text += &line(before, case)?,
            None => writeln!(text, "{:<62} {:>10} {:>10}", title(case), "-", short(case.value()))?,
        }
    }
    text += "\n* more than twice the noise of both runs and more than 3 %\n";
    Ok(text)
}

fn line(before: &Case, after: &Case) -> Result<String, std::fmt::Error> {
    let change = after.value() / before.value() - 1.0;
    let noise = before.noise().hypot(after.noise());
    let mark = if change.abs() > (2.0 * noise).max(WORTH) { " *" } else { "" };
    let mut line = String::new();
    writeln!(
        line,
        "{:<62} {:>10} {:>10} {:>+7.1}% {:>6.1}%{mark}",
        title(after),
        short(before.value()),
        short(after.value()),
        change * 100.0,
        noise * 100.0
    )?;
    Ok(line)
}

fn title(case: &Case) -> String {
    format!("{}: {} [{}]", case.group, case.name, case.unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{case, report};

    #[test]
    fn a_change_is_marked_only_above_the_noise() {
        let base = report(vec![case("quiet", &[10.0, 10.0, 10.0]), case("noisy", &[5.0, 10.0, 15.0])]);
        let other = report(vec![
            case("quiet", &[11.0, 11.0, 11.0]),
            case("noisy", &[6.0, 11.0, 16.0]),
            case("new", &[1.0]),
        ]);
        let text = compared(&base, &other).unwrap();
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(line("quiet").contains("+10.0%") && line("quiet").ends_with('*'), "{text}");
        assert!(line("noisy").contains("+10.0%") && !line("noisy").ends_with('*'), "{text}");
        assert!(line("new").contains('-'), "{text}");
    }
}
