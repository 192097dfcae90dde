//! `clouds.yaml` and `secure.yaml`, found and read as OpenStack clients do.
//!
//! Invariants:
//! - A file that is named must be there; of the places where one is looked for, the first that has one
//!   counts, alone.
//! - Texts are taken as they are written: a password `0123` is no number. A value may stand under `auth` or
//!   beside it; under `auth` wins.
//! - An error names file, line and key, and shows no value.

use std::path::{Path, PathBuf};

use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};
use saphyr_parser::{BufferedInput, Parser};
use secrecy::SecretString;

use super::sources::Source;
use crate::config::rest::KeystoneConfig;

/// Names the clouds file to be looked at first.
pub(super) const FILE_VARIABLE: &str = "OS_CLIENT_CONFIG_FILE";
/// Names the file of secrets to be looked at first.
pub(super) const SECURE_FILE_VARIABLE: &str = "OS_CLIENT_SECURE_FILE";

const SUFFIXES: [&str; 3] = ["yaml", "yml", "json"];

/// The cloud that the configuration means.
#[derive(Debug)]
pub(super) struct Chosen {
    name: String,
    file: PathBuf,
    /// What clouds file and secure file say of it.
    pub(super) source: Source,
}

impl Chosen {
    pub(super) fn place(&self) -> String {
        format!("cloud '{}' of {}", self.name, self.file.display())
    }
}

/// Reads the cloud that the configuration or a variable names, if one does.
pub(super) fn chosen(config: &KeystoneConfig) -> Result<Option<Chosen>, String> {
    let surroundings = &config.surroundings;
    let variable = config.variables.as_ref().map(|prefix| format!("{prefix}CLOUD"));
    let from_variable = variable.as_ref().and_then(|variable| surroundings.variable(variable));
    let asked = match (&config.cloud, from_variable) {
        (Some(name), _) => Some((name.as_str(), surroundings.place_of("cloud"))),
        (None, Some(name)) => {
            Some((name, format!("environment variable {}", variable.as_deref().unwrap_or_default())))
        }
        (None, None) => None,
    };
    let file = match (&config.clouds_file, &asked) {
        (Some(file), _) => file.clone(),
        (None, Some((name, origin))) => {
            let candidates = candidates(config, "clouds", FILE_VARIABLE);
            candidates.iter().find(|file| file.exists()).cloned().ok_or_else(|| {
                let places: Vec<String> = candidates.iter().map(|file| file.display().to_string()).collect();
                format!("cloud '{name}' (from {origin}): no clouds file is at {}", places.join(", "))
            })?
        }
        (None, None) => return Ok(None),
    };
    let (name, source) = read_cloud(&file, asked)?;
    let mut chosen = Chosen { name, file, source };
    if let Some(secure) = secure_file(config, &chosen.file) {
        let text = read(&secure)?;
        if let Some(mut secrets) = Document::parse(&secure, &text)?.cloud(&chosen.name)? {
            secrets.complete(chosen.source);
            chosen.source = secrets;
        }
    }
    Ok(Some(chosen))
}

/// The cloud that is asked for (name and who asks), or the only one.
fn read_cloud(file: &Path, asked: Option<(&str, String)>) -> Result<(String, Source), String> {
    let text = read(file)?;
    let document = Document::parse(file, &text)?;
    let (name, by_whom) = match asked {
        Some((name, origin)) => (name.to_owned(), format!(" (from {origin})")),
        None => (document.only_cloud()?, String::new()),
    };
    match document.cloud(&name)? {
        Some(source) => Ok((name, source)),
        None => Err(format!(
            "{}: has no cloud '{name}'{by_whom}; it has {}",
            file.display(),
            document.names()?.join(", ")
        )),
    }
}

/// The places of a file, in order.
fn candidates(config: &KeystoneConfig, stem: &str, variable: &str) -> Vec<PathBuf> {
    let named = config.surroundings.variable(variable).map(PathBuf::from);
    named
        .into_iter()
        .chain(config.surroundings.directories().iter().flat_map(|at| files_in(at, stem)))
        .collect()
}

fn files_in(directory: &Path, stem: &str) -> impl Iterator<Item = PathBuf> {
    SUFFIXES.map(|suffix| directory.join(format!("{stem}.{suffix}"))).into_iter()
}

/// The file of secrets: the one that is named; else beside a clouds file that is named; else where clients
/// look for it.
fn secure_file(config: &KeystoneConfig, clouds_file: &Path) -> Option<PathBuf> {
    if config.secure_file.is_some() {
        return config.secure_file.clone();
    }
    let candidates = match &config.clouds_file {
        Some(_) => files_in(clouds_file.parent().unwrap_or(Path::new(".")), "secure").collect(),
        None => candidates(config, "secure", SECURE_FILE_VARIABLE),
    };
    candidates.into_iter().find(|file| file.exists())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// A clouds file or a secure file.
struct Document<'a> {
    file: &'a Path,
    root: Option<MarkedYaml<'a>>,
}

impl<'a> Document<'a> {
    fn parse(file: &'a Path, text: &'a str) -> Result<Self, String> {
        let mut loader = YamlLoader::<MarkedYaml<'a>>::default();
        // A password such as 0123 must stay as it is written.
        loader.early_parse(false);
        let at = |error: &saphyr::ScanError| {
            format!("{}:{}: {}", file.display(), error.marker().line(), error.info())
        };
        Parser::new(BufferedInput::new(text.chars())).load(&mut loader, true).map_err(|error| at(&error))?;
        if let Some(error) = loader.error() {
            return Err(at(error));
        }
        Ok(Self { file, root: loader.into_documents().into_iter().next() })
    }

    fn wrong(&self, node: &MarkedYaml<'_>, key: &str, what: &str) -> String {
        format!("{}:{}: {key}: {what}", self.file.display(), node.span.start.line())
    }

    /// The table of clouds.
    fn clouds(&self) -> Result<Option<Table<'_>>, String> {
        let Some(root) = &self.root else { return Ok(None) };
        let root = self.table(root, "the file")?;
        root.get("clouds").filter(|node| !is_null(node)).map(|node| self.table(node, "clouds")).transpose()
    }

    fn names(&self) -> Result<Vec<String>, String> {
        let clouds = self.clouds()?;
        Ok(clouds
            .map(|clouds| clouds.0.iter().map(|(name, _)| (*name).to_owned()).collect())
            .unwrap_or_default())
    }

    fn only_cloud(&self) -> Result<String, String> {
        match self.names()?.as_slice() {
            [only] => Ok(only.clone()),
            names => Err(format!(
                "{}: has {} clouds ({}): say which in cloud",
                self.file.display(),
                names.len(),
                names.join(", ")
            )),
        }
    }

    /// What the file says of a cloud.
    fn cloud(&self, name: &str) -> Result<Option<Source>, String> {
        let Some(clouds) = self.clouds()? else { return Ok(None) };
        let Some(node) = clouds.get(name) else { return Ok(None) };
        let path = format!("clouds.{name}");
        let cloud = self.table(node, &path)?;
        let auth_path = format!("{path}.auth");
        let auth = cloud.get("auth").map(|node| self.table(node, &auth_path)).transpose()?;
        Source::translated(|name| {
            let under_auth = auth.as_ref().and_then(|auth| auth.get(name)).map(|node| (&auth_path, node));
            let found = under_auth.or_else(|| cloud.get(name).map(|node| (&path, node)));
            match found {
                Some((path, node)) => self.setting(node, &format!("{path}.{name}")),
                // Clients take the first of several regions when none is named.
                None if name == "region_name" => self.first_region(&cloud, &path),
                None => Ok(None),
            }
        })
        .map(Some)
    }

    fn setting(&self, node: &MarkedYaml<'_>, key: &str) -> Result<Option<(SecretString, String)>, String> {
        if is_null(node) {
            return Ok(None);
        }
        let text = scalar(node).ok_or_else(|| self.wrong(node, key, "expected a text"))?;
        let place = format!("{}:{}", self.file.display(), node.span.start.line());
        Ok(Some((SecretString::from(text), place)))
    }

    fn first_region(&self, cloud: &Table<'_>, path: &str) -> Result<Option<(SecretString, String)>, String> {
        let Some(regions) = cloud.get("regions") else { return Ok(None) };
        let key = format!("{path}.regions");
        let YamlData::Sequence(items) = &regions.data else {
            return Err(self.wrong(regions, &key, "expected a list"));
        };
        let Some(first) = items.first() else { return Ok(None) };
        match Table::of(first) {
            Some(table) => table.get("name").map_or(Ok(None), |name| self.setting(name, &key)),
            None => self.setting(first, &key),
        }
    }

    fn table<'b>(&self, node: &'b MarkedYaml<'a>, key: &str) -> Result<Table<'b>, String> {
        Table::of(node).ok_or_else(|| self.wrong(node, key, "expected keys with values"))
    }
}

/// A mapping, with what it takes over by `<<` after its own.
struct Table<'a>(Vec<(&'a str, &'a MarkedYaml<'a>)>);

impl<'a> Table<'a> {
    fn of(node: &'a MarkedYaml<'_>) -> Option<Self> {
        let YamlData::Mapping(mapping) = &node.data else { return None };
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        for (key, value) in mapping {
            match scalar(key) {
                Some("<<") => merged.push(value),
                Some(key) => entries.push((key, value)),
                None => {}
            }
        }
        for value in merged {
            let tables = match &value.data {
                YamlData::Sequence(items) => items.iter().filter_map(Self::of).collect(),
                _ => Vec::from_iter(Self::of(value)),
            };
            for (key, value) in tables.into_iter().flat_map(|table| table.0) {
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, value));
                }
            }
        }
        Some(Self(entries))
    }

    fn get(&self, key: &str) -> Option<&'a MarkedYaml<'a>> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }
}

fn scalar<'a>(node: &'a MarkedYaml<'_>) -> Option<&'a str> {
    match &node.data {
        YamlData::Representation(text, _, _) => Some(text),
        _ => None,
    }
}

fn is_null(node: &MarkedYaml<'_>) -> bool {
    match &node.data {
        YamlData::Representation(text, ScalarStyle::Plain, None) => {
            matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
        }
        _ => false,
    }
}
