//! The values of an account, each with the place it was found at.
//!
//! Invariants: the first source that has a value wins; an empty variable counts as absent, as it does for
//! OpenStack clients; no text of a value is in an error here, for any may be a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{Kind, clouds};
use crate::config::load::ENVIRONMENT_PREFIX;
use crate::config::rest::KeystoneConfig;

/// What OpenStack clients call our keys, in clouds files and, in capitals after a prefix, in variables. The
/// first name that is found counts.
const OPENSTACK_NAMES: [(&str, &[&str]); 30] = [
    ("auth_url", &["auth_url"]),
    ("auth_type", &["auth_type"]),
    ("username", &["username", "user_name"]),
    ("user_id", &["user_id"]),
    ("password", &["password"]),
    ("user_domain_name", &["user_domain_name"]),
    ("user_domain_id", &["user_domain_id"]),
    ("project_name", &["project_name", "tenant_name"]),
    ("project_id", &["project_id", "tenant_id"]),
    ("project_domain_name", &["project_domain_name"]),
    ("project_domain_id", &["project_domain_id"]),
    ("default_domain_name", &["default_domain_name", "default_domain"]),
    ("default_domain_id", &["default_domain_id"]),
    ("application_credential_id", &["application_credential_id"]),
    ("application_credential_name", &["application_credential_name"]),
    ("application_credential_secret", &["application_credential_secret"]),
    ("region", &["faultmanagement_region_name", "region_name"]),
    ("interface", &["faultmanagement_interface", "interface", "endpoint_type"]),
    ("service_type", &["faultmanagement_service_type"]),
    ("endpoint", &["faultmanagement_endpoint_override"]),
    ("ca_file", &["cacert"]),
    ("client_cert_file", &["cert"]),
    ("client_key_file", &["key"]),
    ("verify", &["verify"]),
    ("insecure", &["insecure"]),
    ("token", &["token"]),
    ("domain", &["domain_id", "domain_name"]),
    ("system_scope", &["system_scope"]),
    ("trust_id", &["trust_id"]),
    ("profile", &["profile", "cloud"]),
];

/// Keys that are refused, in which words of their value, and why.
const REFUSED: [(&str, &[&str], &str); 7] = [
    ("verify", FALSE, "certificates are always checked: name the authority's in cacert"),
    ("insecure", TRUE, "certificates are always checked: name the authority's in cacert"),
    ("token", &[], "a token that nobody renews is of no use here: use token_file, or a password"),
    ("domain", &[], "fm-rest-api wants a token for a project, this is for a domain"),
    ("system_scope", &[], "fm-rest-api wants a token for a project, this is for the system"),
    ("trust_id", &[], "trusts are not supported: use an application credential"),
    ("profile", &[], "vendor profiles are not supported: write its values into the cloud"),
];

const FALSE: &[&str] = &["false", "no", "off", "n", "f", "0"];
const TRUE: &[&str] = &["true", "yes", "on", "y", "t", "1"];

/// One value.
#[derive(Debug)]
pub(super) struct Setting {
    text: SecretString,
    key: &'static str,
    origin: String,
}

impl Setting {
    /// A value that is no secret.
    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    pub(super) fn secret(&self) -> SecretString {
        self.text.clone()
    }

    /// Where it was found.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Key and place, for messages.
    pub(super) fn named(&self) -> String {
        format!("{} (from {})", self.key, self.origin)
    }
}

/// The values of one source.
#[derive(Debug, Default)]
pub(super) struct Source(BTreeMap<&'static str, Setting>);

impl Source {
    pub(super) fn put(&mut self, key: &'static str, text: SecretString, origin: String) {
        self.0.insert(key, Setting { text, key, origin });
    }

    /// Takes what OpenStack clients know by other names. `find` gives a value and its place by such a name.
    pub(super) fn translated<E>(
        mut find: impl FnMut(&str) -> Result<Option<(SecretString, String)>, E>,
    ) -> Result<Self, E> {
        let mut source = Self::default();
        for (key, names) in OPENSTACK_NAMES {
            for name in names {
                if let Some((text, origin)) = find(name)? {
                    source.put(key, text, origin);
                    break;
                }
            }
        }
        Ok(source)
    }

    /// Takes from another source what this one has not.
    pub(super) fn complete(&mut self, other: Self) {
        for (key, setting) in other.0 {
            self.0.entry(key).or_insert(setting);
        }
    }

    fn check(&self) -> Result<(), String> {
        for (key, words, reason) in REFUSED {
            let Some(setting) = self.0.get(key) else { continue };
            if words.is_empty() || words.iter().any(|word| setting.text().eq_ignore_ascii_case(word)) {
                return Err(format!("{}: {reason}", setting.named()));
            }
        }
        Ok(())
    }

    /// The ways to prove itself that this source knows, each with a value that says so.
    fn kinds(&self) -> Vec<(Kind, &Setting)> {
        let ways: [(Kind, &[&str]); 3] = [
            (Kind::Password, &["password", "password_file"]),
            (
                Kind::ApplicationCredential,
                &[
                    "application_credential_secret",
                    "application_credential_secret_file",
                    "application_credential_id",
                    "application_credential_name",
                ],
            ),
            (Kind::TokenFile, &["token_file"]),
        ];
        let first = |keys: &[&str]| keys.iter().find_map(|key| self.0.get(*key));
        ways.iter().filter_map(|(kind, keys)| Some((*kind, first(keys)?))).collect()
    }
}

/// All sources of an account, the first before the others.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// Where the cloud was found, for messages.
    cloud: Option<String>,
}

impl Sources {
    /// Reads them.
    pub(super) fn of(config: &KeystoneConfig) -> Result<Self, String> {
        let surroundings = &config.surroundings;
        let variables = config.variables.as_deref();
        let mut sources = vec![plain(config)];
        if let Some(prefix) = variables {
            sources.push(surroundings.source(prefix));
        }
        let cloud = clouds::chosen(config)?.map(|chosen| {
            let place = chosen.place();
            sources.push(chosen.source);
            place
        });
        for source in &sources {
            source.check()?;
        }
        Ok(Self { sources, cloud })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<&Setting> {
        self.first(&[key]).map(|(_, setting)| setting)
    }

    /// The value that the first source has under the first of these keys that it knows.
    pub(super) fn first(&self, keys: &[&'static str]) -> Option<(&'static str, &Setting)> {
        self.sources
            .iter()
            .find_map(|source| keys.iter().find_map(|key| source.0.get(key).map(|setting| (*key, setting))))
    }

    /// Refuses that the source that counts has both.
    pub(super) fn not_both(&self, one: &'static str, other: &'static str) -> Result<(), String> {
        let counts =
            self.sources.iter().find(|source| [one, other].iter().any(|key| source.0.contains_key(key)));
        match counts.map(|source| (source.0.get(one), source.0.get(other))) {
            Some((Some(one), Some(other))) => {
                Err(format!("give {} or {}, not both", one.named(), other.named()))
            }
            _ => Ok(()),
        }
    }

    /// How the account proves itself.
    pub(super) fn kind_of_proof(&self) -> Result<Kind, String> {
        let Some((source, kinds)) =
            self.sources.iter().map(|source| (source, source.kinds())).find(|(_, kinds)| !kinds.is_empty())
        else {
            return Err(format!(
                "needs username with password or password_file, application_credential_id with \
                 application_credential_secret or application_credential_secret_file, or token_file{}",
                self.looked_in()
            ));
        };
        let named: Vec<String> = kinds.iter().map(|(_, setting)| setting.named()).collect();
        match source.0.get("auth_type") {
            None if kinds.len() == 1 => Ok(kinds[0].0),
            None => Err(format!("give one way to prove the account, not several: {}", named.join(", "))),
            Some(setting) => {
                let wanted = match setting.text() {
                    "password" | "v3password" => Kind::Password,
                    "v3applicationcredential" => Kind::ApplicationCredential,
                    other => {
                        return Err(format!(
                            "{}: '{other}' is none of password, v3password, v3applicationcredential",
                            setting.named()
                        ));
                    }
                };
                if kinds.iter().any(|(kind, _)| *kind == wanted) {
                    return Ok(wanted);
                }
                Err(format!("{} does not fit {}", setting.named(), named.join(", ")))
            }
        }
    }

    /// Where a missing value was looked for besides the table, for messages.
    pub(super) fn looked_in(&self) -> String {
        self.cloud.as_ref().map_or_else(String::new, |place| format!("; {place} does not have it either"))
    }
}

/// The settings of the table itself.
fn plain(config: &KeystoneConfig) -> Source {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let values = [
        ("auth_url", config.auth_url.as_ref().map(|url| url.as_str().to_owned())),
        ("username", config.username.clone()),
        ("user_id", config.user_id.clone()),
        ("password_file", path(&config.password_file)),
        ("user_domain_name", config.user_domain_name.clone()),
        ("user_domain_id", config.user_domain_id.clone()),
        ("project_name", config.project_name.clone()),
        ("project_id", config.project_id.clone()),
        ("project_domain_name", config.project_domain_name.clone()),
        ("project_domain_id", config.project_domain_id.clone()),
        ("application_credential_id", config.application_credential_id.clone()),
        ("application_credential_name", config.application_credential_name.clone()),
        ("application_credential_secret_file", path(&config.application_credential_secret_file)),
        ("token_file", path(&config.token_file)),
        ("region", config.region.clone()),
        ("interface", config.interface.map(|interface| interface.name().to_owned())),
        ("service_type", config.service_type.clone()),
    ];
    let secrets = [
        ("password", &config.password),
        ("application_credential_secret", &config.application_credential_secret),
    ];
    let values = values.into_iter().filter_map(|(key, text)| Some((key, SecretString::from(text?))));
    let secrets = secrets.into_iter().filter_map(|(key, secret)| Some((key, secret.clone()?)));
    let mut source = Source::default();
    for (key, text) in values.chain(secrets) {
        source.put(key, text, config.surroundings.place_of(key));
    }
    source
}

/// What the process found around it when the configuration was read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Surroundings {
    /// The table's name.
    table: String,
    /// The keys of the table that variables gave, with their names.
    overlaid: BTreeMap<String, String>,
    /// Variables that may be looked at.
    variables: BTreeMap<String, SecretString>,
    home: Option<PathBuf>,
    /// Where clouds files are looked for.
    directories: Vec<PathBuf>,
}

impl Surroundings {
    /// Keeps what the account of this table may need of the environment.
    pub(in crate::config) fn new(
        table: String,
        prefix: Option<&str>,
        environment: &[(String, String)],
    ) -> Self {
        let overlay = format!("{table}.").replace('.', "__");
        let given = |name: &str| {
            environment
                .iter()
                .find(|(variable, value)| variable == name && !value.is_empty())
                .map(|(_, value)| PathBuf::from(value))
        };
        let home = given("HOME");
        let configured = given("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        let wanted = BTreeSet::from([clouds::FILE_VARIABLE, clouds::SECURE_FILE_VARIABLE]);
        Self {
            overlaid: environment
                .iter()
                .filter_map(|(name, _)| {
                    let key = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase();
                    Some((key.strip_prefix(&overlay)?.to_owned(), name.clone()))
                })
                .collect(),
            variables: environment
                .iter()
                .filter(|(name, value)| {
                    let of_prefix = prefix.is_some_and(|prefix| name.starts_with(prefix));
                    !value.is_empty() && (of_prefix || wanted.contains(name.as_str()))
                })
                .map(|(name, value)| (name.clone(), SecretString::from(value.as_str())))
                .collect(),
            directories: std::iter::once(PathBuf::from("."))
                .chain(configured.map(|directory| directory.join("openstack")))
                .chain([PathBuf::from("/etc/openstack")])
                .collect(),
            home,
            table,
        }
    }

    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The value of a variable that is no secret.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(SecretString::expose_secret)
    }

    /// Where a value of the table comes from.
    pub(super) fn place_of(&self, key: &str) -> String {
        match self.overlaid.get(key) {
            Some(variable) => format!("environment variable {variable}"),
            None if self.table.is_empty() => "the keystone table".to_owned(),
            None => format!("the table {}", self.table),
        }
    }

    /// What the variables of this prefix say.
    fn source(&self, prefix: &str) -> Source {
        let found = Source::translated(|name| {
            let variable = format!("{prefix}{}", name.to_uppercase());
            let value = self.variables.get(&variable).filter(|_| name != "cloud");
            Ok::<_, std::convert::Infallible>(
                value.map(|value| (value.clone(), format!("environment variable {variable}"))),
            )
        });
        let Ok(source) = found;
        source
    }
}
