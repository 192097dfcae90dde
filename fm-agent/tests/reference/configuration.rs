//! docs/configuration.md: what the loader says of itself, with the words of the code's own comments.
//!
//! Which keys there are and which values they take is asked of the loader, whose errors tell both: a key that
//! it takes cannot be missing, and one that it does not take cannot be there. Meaning, default and example are the
//! comments at the fields: `Default: …` and `Example: …` end them. Defaults and examples are tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fm_agent::config::{Config, ConfigError, ENVIRONMENT_PREFIX, load};

use crate::document;

/// What a comment says of a field.
#[derive(Debug, Clone, Default)]
struct Comment {
    meaning: String,
    default: Option<String>,
    example: Option<String>,
    /// The type of the field, as it is written.
    kind: String,
}

impl Comment {
    fn new(text: &str, kind: &str) -> Self {
        let (text, example) = ending(text, "Example: ");
        let (meaning, default) = ending(&text, "Default: ");
        Self { meaning, default, example: example.map(|text| code(&text).to_owned()), kind: kind.to_owned() }
    }

    /// The default as it would be written, where nothing but a value is a default.
    fn default_value(&self) -> Option<&str> {
        self.default.as_deref().filter(|_| !self.kind.starts_with("Option<")).map(code)
    }

    fn example(&self) -> Option<&str> {
        self.example.as_deref().or(self.default_value())
    }
}

/// A text without the sentence that begins so, and that sentence.
fn ending(text: &str, begin: &str) -> (String, Option<String>) {
    match text.rsplit_once(begin) {
        Some((before, after)) => (before.trim().to_owned(), Some(after.trim().to_owned())),
        None => (text.to_owned(), None),
    }
}

/// What is between the first two backticks.
fn code(text: &str) -> &str {
    text.split('`').nth(1).unwrap_or_else(|| panic!("no value between backticks: {text}"))
}

/// The comments of the configuration's sources: of types by their names, of fields by type and field.
#[derive(Default)]
struct Comments {
    types: BTreeMap<String, String>,
    fields: BTreeMap<(String, String), Comment>,
}

impl Comments {
    fn read() -> Self {
        let mut comments = Self::default();
        let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config")];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                comments.take(&fs::read_to_string(path).unwrap());
            }
        }
        comments
    }

    /// The sources are formatted: a comment's lines stand right before what they are about.
    fn take(&mut self, source: &str) {
        let (mut said, mut inside) = (String::new(), String::new());
        for line in source.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("///") {
                said.push_str(words);
                continue;
            }
            let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
            if let ["pub", "struct" | "enum", name, ..] = words[..] {
                name.clone_into(&mut inside);
                self.types.insert(inside.clone(), said.trim().to_owned());
            } else if let Some((name, kind)) =
                line.strip_prefix("pub ").and_then(|rest| rest.split_once(": "))
                && line.ends_with(',')
            {
                let comment = Comment::new(said.trim(), kind.trim_end_matches(','));
                self.fields.insert((inside.clone(), name.to_owned()), comment);
            } else if line.starts_with("#[") {
                continue;
            }
            said.clear();
        }
    }
}

/// The loader, with a file and variables.
fn attempt(text: &str, variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    // The clouds file is read when the configuration is.
    let here = |text: &str| text.replace("/etc/openstack", directory.path().to_str().unwrap());
    let clouds = "clouds: {platform: {auth: {auth_url: 'http://k', username: u, password: p}}}\n";
    for name in ["clouds.yaml", "secure.yaml"] {
        fs::write(directory.path().join(name), clouds).unwrap();
    }
    let file = directory.path().join("fm-agent.toml");
    fs::write(&file, here(text)).unwrap();
    load(Some(&file), variables.iter().map(|(name, value)| (name.clone(), here(value))))
}

/// What the loader says against a value of a key; nothing when that is not what it minds.
fn objection(table: &str, key: &str, value: &str) -> Option<String> {
    let ConfigError::Invalid { key: place, reason, .. } =
        attempt(&format!("{}{key} = {value}\n", heading(table)), &[]).err()?
    else {
        panic!("{table}: not the file")
    };
    let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let plain = place.replace("[0]", "");
    // An unknown key and an element of a list are told with their own place.
    (plain == path || plain.starts_with(&format!("{path}."))).then_some(reason)
}

fn heading(table: &str) -> String {
    match table {
        "" => String::new(),
        "route" => "[[route]]\n".to_owned(),
        table => format!("[{table}]\n"),
    }
}

/// The keys that a table may have, by the loader's own word.
fn keys(table: &str) -> Vec<String> {
    let text = format!("{}no_such_key = 1\n", heading(table));
    let error = attempt(&text, &[]).unwrap_err().to_string();
    let (_, list) = error.split_once("`no_such_key`, expected ").unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The type of the table under a key, if it is one.
fn table_type(table: &str, key: &str) -> Option<String> {
    if (table, key) == ("", "route") {
        return Some("RouteRule".to_owned());
    }
    let reason = objection(table, key, "true")?;
    reason.split_once("expected struct ").map(|(_, name)| name.trim().to_owned())
}

/// One key that has a value.
#[derive(Debug)]
struct Key {
    table: String,
    name: String,
    comment: Comment,
    values: String,
}

impl Key {
    fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    /// A list of tables has one variable for all of it.
    fn variable(&self) -> Option<String> {
        let name = self.path().to_uppercase().replace('.', "__");
        (self.table != "route").then(|| format!("{ENVIRONMENT_PREFIX}{name}"))
    }

    fn new(table: &str, name: &str, comment: &Comment, comments: &Comments) -> Self {
        let values = values(table, name, comment, comments);
        Self { table: table.to_owned(), name: name.to_owned(), comment: comment.clone(), values }
    }
}

/// Which values a key takes: what the loader says when it gets others.
fn values(table: &str, name: &str, comment: &Comment, comments: &Comments) -> String {
    let type_name = comment.kind.rsplit('<').next().unwrap().trim_end_matches('>');
    let type_name = type_name.rsplit(':').next().unwrap();
    let said = |value: &str| {
        let reason = objection(table, name, value)?;
        reason.split_once("expected ").map(|(_, expected)| expected.trim().to_owned())
    };
    let own_words = || comments.types.get(type_name).map(|text| begun_small(text.trim_end_matches('.')));
    match type_name {
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "PathBuf" => "a path".to_owned(),
        "String" | "SecretString" => "a text".to_owned(),
        _ if comment.kind.starts_with("Vec<") => {
            let words = own_words().unwrap_or_else(|| panic!("{table}.{name}: no words"));
            format!("a list of: {}", words.split_once(": ").map_or(words.as_str(), |(_, each)| each))
        }
        _ => said("-1")
            .filter(|expected| expected.contains(" from "))
            .or_else(|| said("'?'"))
            .or_else(own_words)
            .unwrap_or_else(|| panic!("{table}.{name}: {type_name} says nothing")),
    }
}

fn begun_small(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

/// A table with its keys.
struct Section {
    table: String,
    intro: String,
    keys: Vec<Key>,
    /// The table that has the same keys and is described.
    like: Option<String>,
}

fn sections() -> Vec<Section> {
    let comments = Comments::read();
    let mut sections = Vec::new();
    walk(&comments, "", "Config", "", &mut sections);
    sections
}

fn walk(comments: &Comments, table: &str, type_name: &str, said: &str, sections: &mut Vec<Section>) {
    let at = sections.len();
    let about = &comments.types[type_name];
    let intro = if said == about || said.is_empty() { about.clone() } else { format!("{said}\n\n{about}") };
    let like = table.strip_prefix("openstack").map(|rest| format!("platform{rest}"));
    sections.push(Section { table: table.to_owned(), intro, keys: Vec::new(), like });
    for name in keys(table) {
        let comment = comments.fields.get(&(type_name.to_owned(), name.clone()));
        let comment = comment.unwrap_or_else(|| panic!("{type_name}.{name} has no comment"));
        match table_type(table, &name) {
            Some(inner) => {
                let path = if table.is_empty() { name } else { format!("{table}.{name}") };
                walk(comments, &path, &inner, &comment.meaning, sections);
            }
            None => sections[at].keys.push(Key::new(table, &name, comment, comments)),
        }
    }
}

/// What else a table needs to be complete, in every way there is.
fn surroundings(table: &str) -> Vec<Vec<(&'static str, &'static str)>> {
    let domain_part = table.split_once('.').map_or("", |(_, rest)| rest);
    let url = ("auth_url", "'http://controller:5000/v3'");
    match (table, domain_part) {
        ("route", _) => vec![vec![("alarm_id", "'100.*'"), ("domain", "'platform'")]],
        (_, "fm_rest_api") => {
            vec![vec![("endpoint", "'http://controller:18002'"), ("client_cert_file", "'/c.pem'")]]
        }
        (_, "fm_rest_api.keystone") => vec![
            vec![url, ("username", "'fm'"), ("password_file", "'/p'"), ("project_name", "'services'")],
            vec![
                url,
                ("application_credential_id", "'i'"),
                ("application_credential_secret_file", "'/s'"),
                ("username", "'fm'"),
            ],
            vec![url, ("token_file", "'/t'")],
            vec![("clouds_file", "'/etc/openstack/clouds.yaml'")],
        ],
        _ => vec![Vec::new()],
    }
}

/// Whether the loader takes a file with these keys.
fn takes(table: &str, keys: &[(&str, &str)], variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let mut text = heading(table);
    for (key, value) in keys {
        writeln!(text, "{key} = {value}").unwrap();
    }
    attempt(&text, variables)
}

/// The key with this value, in the first surroundings that fit: one other key may have to make room for it. With
/// `by_variable` it is the environment that has it.
fn accepted(key: &Key, value: &str, by_variable: bool) -> Result<(), String> {
    let mut last = String::new();
    for around in surroundings(&key.table) {
        for left_out in std::iter::once("").chain(around.iter().map(|(name, _)| *name)) {
            let mut keys: Vec<(&str, &str)> =
                around.iter().copied().filter(|(name, _)| *name != left_out && *name != key.name).collect();
            let mut variables = Vec::new();
            if by_variable {
                let plain = value.trim_matches(['"', '\'']).to_owned();
                variables.extend(key.variable().map(|variable| (variable, plain)));
            } else {
                keys.push((&key.name, value));
            }
            match takes(&key.table, &keys, &variables) {
                Ok(_) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
        }
    }
    Err(format!("{} = {value}: {last}", key.path()))
}

#[test]
fn configuration() {
    let mut text = String::from(
        "<!-- Generated by `cargo xtask gen`: do not edit. -->\n\
         # Configuration\n\n\
         Every key of `/etc/fm/fm-agent.toml` (or `--config FILE`), as the program knows it. Everything has a default:\n\
         an empty file is an agent that keeps the alarms itself. What the keys are for, and how they belong together, is\n\
         in [For operators](operator.md). `fmctl check-config FILE` says file, line and key of what is wrong.\n\n\
         The unit of a number is in its name (`_ms`, `_bytes`, `_days`); a number without one is a count. An unknown key\n\
         is an error, and so is a value that a key does not take.\n\n\
         Each key has a variable that wins over the file: `FM_AGENT__`, then the key with its tables in capitals and `__`\n\
         for each dot. A variable holds the value without quotes, a list as the file has it. `FM_AGENT__ROUTE` is the list\n\
         of all rules: `[{alarm_id = \"100.*\", domain = \"platform\"}]`.\n\n",
    );
    let sections = sections();
    for Section { table, intro, keys, like } in sections.iter().filter(|section| !section.table.is_empty()) {
        let bare = heading(table);
        write!(text, "## {}\n\n{intro}\n\n", bare.trim_end()).unwrap();
        if let Some(like) = like {
            let names = |table: &str| {
                let section = sections.iter().find(|section| section.table == table).unwrap();
                section.keys.iter().map(|key| key.name.clone()).collect::<Vec<String>>()
            };
            assert_eq!(names(table), names(like));
            let (from, to) = (like.to_uppercase(), table.to_uppercase());
            let (from, to) = (from.replace('.', "__"), to.replace('.', "__"));
            write!(
                text,
                "The keys of `[{like}]`; variables begin with `{ENVIRONMENT_PREFIX}{to}__` in place of \
                 `{ENVIRONMENT_PREFIX}{from}__`.\n\n"
            )
            .unwrap();
            continue;
        }
        for key in keys {
            let Comment { meaning, default, .. } = &key.comment;
            let example = key.comment.example().unwrap_or_else(|| panic!("{}: no example", key.path()));
            writeln!(text, "### {}\n\n{meaning}\n\n- values: {}", key.path(), key.values).unwrap();
            if let Some(default) = default {
                writeln!(text, "- default: {}", default.trim_end_matches('.')).unwrap();
            }
            writeln!(text, "- example: `{} = {example}`", key.name).unwrap();
            if let Some(variable) = key.variable() {
                writeln!(text, "- variable: `{variable}`").unwrap();
            }
            text.push('\n');
        }
    }
    document("docs/configuration.md", &format!("{}\n", text.trim_end()));
}

#[test]
fn every_example_is_taken_from_the_file_and_from_its_variable() {
    let sections = sections();
    let all: Vec<&Key> = sections.iter().flat_map(|section| &section.keys).collect();
    assert!(all.len() > 90, "{}", all.len());
    let mut wrong = Vec::new();
    for key in all {
        let example = key.comment.example().unwrap();
        wrong.extend(accepted(key, example, false).err());
        if key.variable().is_some() {
            wrong.extend(accepted(key, example, true).err().map(|error| format!("variable: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rules = "[{alarm_id = \"100.*\", domain = \"platform\"}]";
    let config = attempt("", &[("FM_AGENT__ROUTE".to_owned(), rules.to_owned())]).unwrap();
    assert_eq!(config.route.len(), 1);
}

#[test]
fn every_default_is_what_comes_without_the_key() {
    for key in sections().iter().flat_map(|section| &section.keys) {
        if key.comment.kind.starts_with("Option<") || key.path() == "route.domain" {
            continue;
        }
        let value = key.comment.default_value().unwrap_or_else(|| panic!("{}: no default", key.path()));
        let around = surroundings(&key.table).remove(0);
        let mut with = around.clone();
        with.push((&key.name, value));
        let shown = |keys: &[(&str, &str)]| format!("{:?}", takes(&key.table, keys, &[]).unwrap());
        let without = shown(&around);
        assert_eq!(shown(&with), without, "{} is not {value} by default", key.path());
    }
}

#[test]
fn a_wrong_example_and_a_wrong_default_are_found() {
    let comments = Comments::read();
    let comment = comments.fields[&("AgentConfig".to_owned(), "max_bytes".to_owned())].clone();
    let key = Key::new("agent", "max_bytes", &comment, &comments);
    assert!(key.values.contains("67108864 to 1099511627776"), "{key:?}");
    assert!(accepted(&key, "1", false).unwrap_err().contains("agent.max_bytes"), "{key:?}");
    assert!(accepted(&key, "1", true).unwrap_err().contains("FM_AGENT__AGENT__MAX_BYTES"), "{key:?}");
    let unknown = Key { name: "max_byte".to_owned(), ..key };
    assert!(accepted(&unknown, "67108864", false).unwrap_err().contains("max_byte"));
}

/// The text of a file in which every key and table that is commented out is not any more.
fn uncommented(text: &str) -> String {
    let is_bare =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.');
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') => rest,
        Some(rest) if rest.split_once(" = ").is_some_and(|(name, _)| is_bare(name)) => rest,
        _ => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn shipped() -> Vec<PathBuf> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging");
    let examples = fs::read_dir(packaging.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        examples.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.push(packaging.join("config/fm-agent.toml"));
    files
}

/// What `fm-agent --check-config` says against a text.
fn check_config(text: &str) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_fm-agent"));
    let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with(ENVIRONMENT_PREFIX));
    for name in ours {
        agent.env_remove(name);
    }
    let ran = agent.arg("--check-config").arg("--config").arg(file.path()).output().unwrap();
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

#[test]
fn shipped_files_are_taken_as_they_are_and_with_all_that_is_commented_out() {
    let files = shipped();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for text in [text.clone(), uncommented(&text)] {
            check_config(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", file.display()));
        }
    }
    let [uncommented_line, prose] =
        ["# durabilty = \"power\"", "# Everything = nothing, they say."].map(uncommented);
    assert_eq!(prose, "# Everything = nothing, they say.\n");
    let error = check_config(&format!("[agent]\n{uncommented_line}")).unwrap_err();
    assert!(error.contains("durabilty"), "{error}");
}
