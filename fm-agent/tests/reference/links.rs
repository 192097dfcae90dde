//! Links between the documents lead somewhere: to a file, and to a heading of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every document below a directory.
fn documents(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let below = entries.flat_map(|entry| {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        if entry.file_type().unwrap().is_dir() {
            let is_source = !name.starts_with('.') && name != "target";
            return if is_source { documents(&path) } else { Vec::new() };
        }
        if Path::new(&name).extension().is_some_and(|end| end == "md") { vec![path] } else { Vec::new() }
    });
    below.collect()
}

/// The text without fenced blocks and code, where a link is none.
fn prose(document: &str) -> String {
    let mut inside = false;
    let lines = document.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    let lines: Vec<&str> = lines.collect();
    lines.join("\n")
}

/// Where the links of a document lead to.
fn links(document: &str) -> Vec<String> {
    let prose = prose(document);
    let plain: String = prose.split('`').step_by(2).collect::<Vec<&str>>().join("code");
    let ends = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(str::to_owned).collect()
}

/// The names under which a document's headings can be reached, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let prose = prose(document);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    for heading in headings.map(|line| line.trim_start_matches('#').trim()) {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// What is wrong with the links of a document at this path.
fn dead(path: &Path, document: &str) -> Vec<String> {
    let check = |link: &String| {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (file, anchor) =
            link.split_once('#').map_or((link.as_str(), None), |(file, at)| (file, Some(at)));
        let to = if file.is_empty() { path.to_owned() } else { path.parent()?.join(file) };
        if !file.is_empty() && !to.exists() {
            return Some(format!("{}: {link}: there is no such file", path.display()));
        }
        let text =
            if file.is_empty() { document.to_owned() } else { fs::read_to_string(&to).unwrap_or_default() };
        let lost = anchor.is_some_and(|anchor| !anchors(&text).contains(anchor));
        lost.then(|| format!("{}: {link}: there is no such heading", path.display()))
    };
    links(document).iter().filter_map(check).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut all, mut wrong) = (0, Vec::new());
    for path in documents(root) {
        let document = fs::read_to_string(&path).unwrap();
        all += links(&document).len();
        wrong.extend(dead(&path, &document));
    }
    assert!(all > 40, "{all}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_document_is_in_the_index() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
    let index = links(&fs::read_to_string(docs.join("README.md")).unwrap());
    for entry in fs::read_dir(&docs).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_document = Path::new(&name).extension().is_some_and(|end| end == "md") && name != "README.md";
        let found = index.iter().any(|link| link.split('#').next() == Some(name.as_str()));
        assert!(found || !is_document, "{name} is not in docs/README.md");
    }
}

#[test]
fn a_dead_link_is_found() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("b.md"),
        "# B\n\n## What `x_y` does, twice\n\n## What `x_y` does, twice\n",
    )
    .unwrap();
    let path = directory.path().join("a.md");
    let dead = |text: &str| dead(&path, text).len();
    assert_eq!(dead("[b](b.md) [x](b.md#what-x_y-does-twice) [x](b.md#what-x_y-does-twice-1)"), 0);
    assert_eq!(dead("# A\n[a](#a) `[c](c.md)` [e](https://example.org/c.md)\n```\n[c](c.md)\n```"), 0);
    assert_eq!(dead("[c](c.md)"), 1);
    assert_eq!(dead("[b](b.md#c) [a](#b)"), 2);
}
