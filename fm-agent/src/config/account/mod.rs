//! The Keystone account that plain settings, variables and a clouds file give together.
//!
//! Each value is taken from the first of these that has it:
//! 1. the `keystone` table, its `FM_AGENT__` variables included;
//! 2. the variables whose names begin with `variables`, such as `OS_USERNAME`;
//! 3. the cloud in the secure file;
//! 4. the cloud in the clouds file;
//! 5. the default.
//!
//! How the account proves itself (password, application credential, token file) is said by the first of 1,
//! 2, and 3 with 4, that has a secret; if one has several, its `auth_type` decides.
//!
//! Invariants:
//! - Nothing is remembered: each call reads the files anew, so that a changed one counts at once.
//! - An error names where a value was found.
//! - What would weaken or change the meaning of the account and is not supported is refused, not ignored.
//!   Keys that have nothing to do with it are ignored: these files are shared with other programs.
//!
//! It reads files and touches no network. Which values exist is in `sources`, how clouds files are found and
//! read in `clouds`.

mod clouds;
mod sources;

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use self::sources::{Setting, Sources};
use super::rest::{Interface, KeystoneConfig};
use super::types::HttpUrl;

pub(super) use self::sources::Surroundings;

const DEFAULT_DOMAIN: &str = "Default";
const DEFAULT_PROJECT: &str = "services";
const DEFAULT_SERVICE_TYPE: &str = "faultmanagement";

/// An account, and which endpoint its tokens are for.
#[derive(Debug, Clone)]
pub struct Account {
    /// Base URL of the identity API, with `/v3`; `None` only for a token from a file.
    pub auth_url: Option<HttpUrl>,
    /// How the account proves itself.
    pub proof: Proof,
    /// The service's URL, when it is not to be taken from the catalogue.
    pub endpoint: Option<HttpUrl>,
    /// Region of the endpoint in the catalogue, when one is asked for.
    pub region: Option<String>,
    /// Interface of the endpoint in the catalogue.
    pub interface: Interface,
    /// Service type of the endpoint in the catalogue.
    pub service_type: String,
}

/// How an account proves itself: exactly one way.
#[derive(Debug, Clone)]
pub enum Proof {
    /// User and password, for a project.
    Password {
        /// The user.
        user: Named,
        /// The user's password.
        password: SecretSource,
        /// The project that the token is for.
        project: Named,
    },
    /// An application credential; it belongs to a project already.
    ApplicationCredential {
        /// Which.
        credential: Credential,
        /// Its secret.
        secret: SecretSource,
    },
    /// The token on the first line of a file.
    TokenFile(PathBuf),
}

/// A user or a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name in a domain.
    Name {
        /// The name.
        name: String,
        /// The domain.
        domain: Domain,
    },
}

/// A domain of Keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

/// An application credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By its id.
    Id(String),
    /// By its name and owner.
    Name {
        /// The name.
        name: String,
        /// The owner.
        owner: Named,
    },
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Given in a configuration or a variable.
    Given {
        /// The secret.
        secret: SecretString,
        /// Where it was found, for messages.
        origin: String,
    },
    /// The first line of a file.
    File(PathBuf),
}

/// The certificate files of connections, to the service and to Keystone alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates trusted besides the system's own.
    pub ca_file: Option<PathBuf>,
    /// The certificate that this side shows.
    pub client_cert_file: Option<PathBuf>,
    /// Its key, when that is in a file of its own.
    pub client_key_file: Option<PathBuf>,
}

impl Account {
    /// The file its token is taken from, when it is.
    pub fn token_file(&self) -> Option<&Path> {
        match &self.proof {
            Proof::TokenFile(path) => Some(path),
            Proof::Password { .. } | Proof::ApplicationCredential { .. } => None,
        }
    }

    pub(super) fn resolve(config: &KeystoneConfig) -> Result<Self, String> {
        let sources = Sources::of(config)?;
        let proof = Proof::resolve(&sources)?;
        let auth_url = sources.get("auth_url").map(identity_url).transpose()?;
        if auth_url.is_none() && !matches!(proof, Proof::TokenFile(_)) {
            return Err(format!("auth_url is missing{}", sources.looked_in()));
        }
        let interface = sources.get("interface").map(|setting| {
            Interface::from_name(setting.text()).ok_or_else(|| {
                format!("{}: '{}' is none of internal, admin, public", setting.named(), setting.text())
            })
        });
        let text = |key| sources.get(key).map(|setting| setting.text().to_owned());
        Ok(Self {
            auth_url,
            proof,
            endpoint: sources.get("endpoint").map(url).transpose()?,
            region: text("region"),
            interface: interface.transpose()?.unwrap_or_default(),
            service_type: text("service_type").unwrap_or_else(|| DEFAULT_SERVICE_TYPE.to_owned()),
        })
    }
}

impl Proof {
    fn resolve(sources: &Sources) -> Result<Self, String> {
        match sources.kind_of_proof()? {
            Kind::Password => Ok(Self::Password {
                password: secret(sources, "password", "password_file")?,
                user: user(sources).ok_or_else(|| {
                    format!("a password is given, username is missing{}", sources.looked_in())
                })?,
                project: named(sources, ["project_id", "project_name"], PROJECT_DOMAIN)
                    .unwrap_or_else(|| Named::new(DEFAULT_PROJECT, domain(sources, PROJECT_DOMAIN))),
            }),
            Kind::ApplicationCredential => {
                let credential = application_credential(sources)?;
                let keys = ["application_credential_secret", "application_credential_secret_file"];
                Ok(Self::ApplicationCredential { credential, secret: secret(sources, keys[0], keys[1])? })
            }
            Kind::TokenFile => {
                let file = sources.get("token_file").ok_or("token_file is missing")?;
                Ok(Self::TokenFile(PathBuf::from(file.text())))
            }
        }
    }
}

/// The ways to prove oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Password,
    ApplicationCredential,
    TokenFile,
}

const USER_DOMAIN: [&str; 4] =
    ["user_domain_id", "user_domain_name", "default_domain_id", "default_domain_name"];
const PROJECT_DOMAIN: [&str; 4] =
    ["project_domain_id", "project_domain_name", "default_domain_id", "default_domain_name"];

impl Named {
    fn new(name: &str, domain: Domain) -> Self {
        Self::Name { name: name.to_owned(), domain }
    }
}

fn user(sources: &Sources) -> Option<Named> {
    named(sources, ["user_id", "username"], USER_DOMAIN)
}

/// A user or project by the first of its two keys that is found: id, name.
fn named(sources: &Sources, [id, name]: [&'static str; 2], domain_keys: [&'static str; 4]) -> Option<Named> {
    let (key, setting) = sources.first(&[id, name])?;
    Some(if key == id {
        Named::Id(setting.text().to_owned())
    } else {
        Named::new(setting.text(), domain(sources, domain_keys))
    })
}

fn domain(sources: &Sources, keys: [&'static str; 4]) -> Domain {
    match sources.first(&keys) {
        Some((key, setting)) if key.ends_with("_id") => Domain::Id(setting.text().to_owned()),
        Some((_, setting)) => Domain::Name(setting.text().to_owned()),
        None => Domain::Name(DEFAULT_DOMAIN.to_owned()),
    }
}

fn application_credential(sources: &Sources) -> Result<Credential, String> {
    let (id, name) = ("application_credential_id", "application_credential_name");
    sources.not_both(id, name)?;
    match sources.first(&[id, name]) {
        Some((key, setting)) if key == id => Ok(Credential::Id(setting.text().to_owned())),
        Some((_, setting)) => Ok(Credential::Name {
            name: setting.text().to_owned(),
            owner: user(sources).ok_or_else(|| {
                format!("{} needs its owner's username{}", setting.named(), sources.looked_in())
            })?,
        }),
        None => Err(format!(
            "an application credential's secret is given, {id} is missing{}",
            sources.looked_in()
        )),
    }
}

fn secret(sources: &Sources, given: &'static str, file: &'static str) -> Result<SecretSource, String> {
    sources.not_both(given, file)?;
    match sources.first(&[given, file]) {
        Some((key, setting)) if key == file => Ok(SecretSource::File(PathBuf::from(setting.text()))),
        Some((_, setting)) => {
            Ok(SecretSource::Given { secret: setting.secret(), origin: setting.origin().to_owned() })
        }
        None => Err(format!("{given} or {file} is missing{}", sources.looked_in())),
    }
}

fn url(setting: &Setting) -> Result<HttpUrl, String> {
    HttpUrl::parse(setting.text()).map_err(|error| format!("{}: {error}", setting.named()))
}

/// The identity API's base URL. Clients are given it with the version and without.
fn identity_url(setting: &Setting) -> Result<HttpUrl, String> {
    let given = url(setting)?;
    match given.as_str().rsplit('/').next() {
        Some("v3") => Ok(given),
        Some("v2.0") => Err(format!("{}: version 2.0 of the identity API is gone; give v3", setting.named())),
        _ => HttpUrl::parse(&format!("{}/v3", given.as_str())),
    }
}

impl Tls {
    pub(super) fn resolve(config: &KeystoneConfig) -> Result<Self, String> {
        let sources = Sources::of(config)?;
        let home = config.surroundings.home();
        let path = |key| sources.get(key).map(|setting| at_home(setting.text(), home));
        // A certificate and its key belong together: they come from the same source.
        let pair = sources.first(&["client_cert_file", "client_key_file"]).is_some();
        let key = |key| pair.then(|| path(key)).flatten();
        Ok(Self {
            ca_file: path("ca_file"),
            client_cert_file: key("client_cert_file"),
            client_key_file: key("client_key_file"),
        })
    }
}

/// The path, with a leading `~/` as clients expand it.
fn at_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests;
