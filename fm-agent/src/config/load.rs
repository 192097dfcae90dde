//! From file and environment to a checked [`Config`].
//!
//! Invariants:
//! - An error names the file, the line and the key, or the environment variable.
//! - The environment is an argument, so that tests need not change the process's own.
//! - A variable `FM_AGENT__PLATFORM__MAX_IN_FLIGHT` stands for the key `platform.max_in_flight` and wins
//!   over the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::account::Surroundings;
use super::{BackendConfig, Config, DEFAULT_PATH, Domain, DomainConfig, RouteRule};

/// Variables that begin so are configuration keys.
pub const ENVIRONMENT_PREFIX: &str = "FM_AGENT__";

/// Why there is no configuration to run with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}: {key}{reason}", path.display(), key = named(key))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 when it has none.
        line: usize,
        /// The key with its tables, or nothing when the text is no TOML.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// An environment variable is wrong.
    #[error("environment variable {variable}: {reason}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong.
        reason: String,
    },
}

fn named(key: &str) -> String {
    if key.is_empty() || key == "." { String::new() } else { format!("{key}: ") }
}

/// Reads `path`, or the default file if there is one, lays the environment over it and checks the
/// whole. With neither file nor variables this is the default configuration.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let default = Path::new(DEFAULT_PATH);
    let text = match path {
        None if !default.exists() => String::new(),
        path => read(path.unwrap_or(default))?,
    };
    let path = path.unwrap_or(default);
    let file = Source { path, text: &text };
    let (mut config, table) = file.parse()?;
    let mut environment: Vec<(String, String)> = environment.into_iter().collect();
    environment.sort();
    let variables: Vec<Variable> = environment.iter().cloned().filter_map(Variable::new).collect();
    if !variables.is_empty() {
        config = overlay(&table, variables.clone())?;
    }
    surround(&mut config, &environment);
    match check(&config) {
        Ok(()) => Ok(config),
        Err((key, reason)) => match variables.iter().find(|variable| variable.speaks_of(&key)) {
            // What only variables speak of.
            Some(variable) if !has(&table, &key) => Err(variable.invalid(reason)),
            _ => Err(ConfigError::Invalid { line: file.line_of(&key), path: path.to_owned(), key, reason }),
        },
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// A configuration file's text.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn parse(&self) -> Result<(Config, Table), ConfigError> {
        let table: Table = toml::from_str(self.text).map_err(|error| self.invalid("", &error))?;
        let deserializer = toml::Deserializer::parse(self.text).map_err(|error| self.invalid("", &error))?;
        match serde_path_to_error::deserialize::<_, Config>(deserializer) {
            Ok(config) => Ok((config, table)),
            Err(error) => {
                let key = error.path().to_string();
                Err(self.invalid(&key, error.inner()))
            }
        }
    }

    fn invalid(&self, key: &str, error: &toml::de::Error) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.to_owned(),
            line: error.span().map_or(0, |span| self.line_at(span.start)),
            key: key.to_owned(),
            reason: without_value(key, error.message()),
        }
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The line of a key such as `platform.fm_rest_api.keystone` or `route[1]`, or of the nearest table
    /// above it.
    fn line_of(&self, key: &str) -> usize {
        let Ok(root) = DeTable::parse(self.text) else { return 0 };
        let mut table = root.get_ref();
        let mut offset = 0;
        for part in key.split('.') {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (part, None),
            };
            let Some((name, value)) = table.get_key_value(name) else { break };
            offset = name.span().start;
            let value = match (value.get_ref(), index) {
                (DeValue::Array(items), Some(index)) => match items.get(index) {
                    Some(item) => {
                        offset = item.span().start;
                        item.get_ref()
                    }
                    None => break,
                },
                (value, _) => value,
            };
            match value {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        self.line_at(offset)
    }
}

/// A variable that stands for a key.
#[derive(Clone)]
struct Variable {
    name: String,
    key: String,
    text: String,
    /// The text as a TOML number or truth value, as long as that may fit the key.
    scalar: Option<Value>,
}

impl Variable {
    fn new((name, text): (String, String)) -> Option<Self> {
        let key = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase().replace("__", ".");
        let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
        let scalar = parsed.and_then(|mut table| table.remove("value")).filter(|value| !value.is_str());
        Some(Self { name, key, text, scalar })
    }

    fn value(&self) -> Value {
        self.scalar.clone().unwrap_or_else(|| Value::String(self.text.clone()))
    }

    /// Whether it is a part of what this key is, or holds the list that the key is an entry of.
    fn speaks_of(&self, key: &str) -> bool {
        let entry_of = key.strip_prefix(self.key.as_str()).is_some_and(|rest| rest.starts_with('['));
        self.key.starts_with(key) || entry_of
    }

    fn invalid(&self, reason: String) -> ConfigError {
        ConfigError::Variable { variable: self.name.clone(), reason }
    }
}

/// Lays all variables over the configuration: one alone may be half of what a table needs. A text that
/// does not fit its key as a number or truth value is taken as a text.
fn overlay(file: &Table, mut variables: Vec<Variable>) -> Result<Config, ConfigError> {
    loop {
        let mut table = file.clone();
        for variable in &variables {
            let path: Vec<&str> = variable.key.split('.').collect();
            put(&mut table, &path, variable.value()).map_err(|reason| variable.invalid(reason))?;
        }
        let error = match serde_path_to_error::deserialize::<_, Config>(Value::Table(table)) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let key = error.path().to_string();
        if let Some(variable) = variables.iter_mut().find(|variable| variable.key == key)
            && variable.scalar.take().is_some()
        {
            continue;
        }
        // What is wrong is a variable's own value, or a table that it is part of.
        let to_blame = variables.iter().find(|variable| variable.key.starts_with(&key));
        let reason = format!("{}{}", named(&key), without_value(&key, error.inner().message()));
        return Err(match to_blame {
            Some(variable) => variable.invalid(reason),
            None => ConfigError::Variable { variable: format!("{ENVIRONMENT_PREFIX}*"), reason },
        });
    }
}

/// The words of an error without the value that is wrong, where that may be a secret.
fn without_value(key: &str, message: &str) -> String {
    let shows_value = message.starts_with("invalid type") || message.starts_with("invalid value");
    match message.rfind(", expected ") {
        Some(at) if shows_value && key.contains("keystone") => format!("has another type{}", &message[at..]),
        _ => message.to_owned(),
    }
}

/// Whether the file itself has the table of this key.
fn has(file: &Table, key: &str) -> bool {
    let mut parts = key.split('.');
    let first = parts.next().and_then(|part| file.get(part));
    parts.fold(first, |value, part| value?.get(part)).is_some()
}

fn put(table: &mut Table, path: &[&str], value: Value) -> Result<(), String> {
    match path {
        [] | [""] => Err("names no key".to_owned()),
        [last] => {
            table.insert((*last).to_owned(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = table.entry(*first).or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => put(inner, rest, value),
                _ => Err(format!("'{first}' is no table")),
            }
        }
    }
}

/// Gives each account what it may need of the environment.
fn surround(config: &mut Config, environment: &[(String, String)]) {
    let openstack = config.openstack.as_mut().map(|domain| (Domain::Openstack, domain));
    for (name, domain) in std::iter::once((Domain::Platform, &mut config.platform)).chain(openstack) {
        if let Some(keystone) = domain.fm_rest_api.as_mut().and_then(|rest| rest.keystone.as_mut()) {
            let table = format!("{name}.fm_rest_api.keystone");
            keystone.surroundings = Surroundings::new(table, keystone.variables.as_deref(), environment);
        }
    }
}

/// What needs more than one value to be checked. Gives the key and what is wrong.
fn check(config: &Config) -> Result<(), (String, String)> {
    for (domain, domain_config) in config.domains() {
        check_domain(domain_config).map_err(|(key, reason)| (format!("{domain}.{key}"), reason))?;
    }
    for (index, rule) in config.route.iter().enumerate() {
        if rule.alarm_id.is_none() && rule.entity_type_id.is_none() && rule.entity_instance_id.is_none() {
            let reason =
                "needs alarm_id, entity_type_id or entity_instance_id: without one it takes every alarm";
            return Err((format!("route[{index}]"), reason.to_owned()));
        }
        check_patterns(rule).map_err(|(key, reason)| (format!("route[{index}].{key}"), reason))?;
    }
    Ok(())
}

/// A `*` in the middle would be taken literally, and the rule would hold for nothing.
fn check_patterns(rule: &RouteRule) -> Result<(), (&'static str, String)> {
    let patterns = [
        ("alarm_id", &rule.alarm_id),
        ("entity_type_id", &rule.entity_type_id),
        ("entity_instance_id", &rule.entity_instance_id),
    ];
    for (key, pattern) in patterns {
        let pattern = pattern.as_deref().unwrap_or_default();
        if pattern.strip_suffix('*').unwrap_or(pattern).contains('*') {
            let reason = format!(
                "'{pattern}' has a * before its end: a * stands for anything, and may only end a pattern; end it at \
                 the first one, or write a rule for each beginning"
            );
            return Err((key, reason));
        }
    }
    Ok(())
}

fn check_domain(config: &DomainConfig) -> Result<(), (String, String)> {
    let backend = config.backend().map_err(|(key, reason)| (key.to_owned(), reason))?;
    let BackendConfig::FmRestApi(rest) = backend else { return Ok(()) };
    rest.check().map_err(|(key, reason)| (key.to_owned(), reason))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
