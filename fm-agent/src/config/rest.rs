//! How a controller is reached over fm-rest-api: endpoint, deadlines, TLS and Keystone.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::types::{HttpUrl, Millis};

/// One fm-rest-api service. Without `endpoint` the URL is taken from the Keystone catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FmRestApiConfig {
    /// Base URL, with or without `/v1`.
    pub endpoint: Option<HttpUrl>,
    /// How long a connection may take to come about, name lookup and TLS included.
    pub connect_timeout_ms: Millis,
    /// How long one HTTP request may take, from its first byte to the answer's last.
    pub request_timeout_ms: Millis,
    /// Certificates (PEM) trusted besides the system's own.
    pub ca_file: Option<PathBuf>,
    /// Where tokens come from. Without it requests carry no token, for a service that checks none.
    pub keystone: Option<KeystoneConfig>,
}

impl Default for FmRestApiConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            connect_timeout_ms: Millis::new(2_000),
            request_timeout_ms: Millis::new(10_000),
            ca_file: None,
            keystone: None,
        }
    }
}

/// A Keystone v3 account. Give either a user with its password and project, or an application
/// credential.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeystoneConfig {
    /// Base URL of the identity API, with `/v3`.
    pub auth_url: HttpUrl,
    /// The user's name; also names the owner of an application credential given by name.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
    /// A file that holds the password on its first line; read anew at each token.
    pub password_file: Option<PathBuf>,
    /// The domain the user belongs to.
    #[serde(default = "default_domain")]
    pub user_domain_name: String,
    /// The project the token is for: fm-rest-api lets only `admin` and `services` write.
    #[serde(default = "default_project")]
    pub project_name: String,
    /// The domain the project belongs to.
    #[serde(default = "default_domain")]
    pub project_domain_name: String,
    /// Id of an application credential.
    pub application_credential_id: Option<String>,
    /// Name of an application credential of the user above.
    pub application_credential_name: Option<String>,
    /// The application credential's secret.
    pub application_credential_secret: Option<SecretString>,
    /// A file that holds the secret on its first line; read anew at each token.
    pub application_credential_secret_file: Option<PathBuf>,
    /// Region of the endpoint in the catalogue.
    #[serde(default = "default_region")]
    pub region: String,
    /// Interface of the endpoint in the catalogue.
    #[serde(default)]
    pub interface: Interface,
    /// Service type of the endpoint in the catalogue.
    #[serde(default = "default_service_type")]
    pub service_type: String,
}

/// Which of a service's endpoints is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// For services of the same cloud.
    #[default]
    Internal,
    /// For administration.
    Admin,
    /// For everybody.
    Public,
}

impl Interface {
    /// The word that the catalogue uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Admin => "admin",
            Self::Public => "public",
        }
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Given in the configuration or the environment.
    Given(SecretString),
    /// The first line of a file.
    File(PathBuf),
}

/// How the account proves itself: exactly one way.
#[derive(Debug, Clone)]
pub enum KeystoneCredential {
    /// User name and password, for a project.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretSource,
    },
    /// An application credential known by its id.
    ApplicationCredentialId {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretSource,
    },
    /// An application credential known by its name and owner.
    ApplicationCredentialName {
        /// Its name.
        name: String,
        /// Its owner.
        username: String,
        /// Its secret.
        secret: SecretSource,
    },
}

impl KeystoneConfig {
    /// The one way in which this account proves itself, or what is missing or contradictory.
    pub fn credential(&self) -> Result<KeystoneCredential, String> {
        let by_password = self.password.is_some() || self.password_file.is_some();
        let by_credential = self.application_credential_id.is_some()
            || self.application_credential_name.is_some()
            || self.application_credential_secret.is_some()
            || self.application_credential_secret_file.is_some();
        match (by_password, by_credential) {
            (true, true) => Err("give either a password or an application credential, not both".to_owned()),
            (false, false) => {
                Err("needs username with password or password_file, or application_credential_id \
                 with application_credential_secret or application_credential_secret_file"
                    .to_owned())
            }
            (true, false) => Ok(KeystoneCredential::Password {
                username: self.username.clone().ok_or("password is given, username is missing")?,
                password: secret("password", self.password.as_ref(), self.password_file.as_ref())?,
            }),
            (false, true) => self.application_credential(),
        }
    }

    fn application_credential(&self) -> Result<KeystoneCredential, String> {
        let secret = secret(
            "application_credential_secret",
            self.application_credential_secret.as_ref(),
            self.application_credential_secret_file.as_ref(),
        )?;
        match (&self.application_credential_id, &self.application_credential_name) {
            (Some(_), Some(_)) => {
                Err("give application_credential_id or application_credential_name, not both".to_owned())
            }
            (Some(id), None) => Ok(KeystoneCredential::ApplicationCredentialId { id: id.clone(), secret }),
            (None, Some(name)) => Ok(KeystoneCredential::ApplicationCredentialName {
                name: name.clone(),
                username: self
                    .username
                    .clone()
                    .ok_or("application_credential_name needs its owner's username")?,
                secret,
            }),
            (None, None) => {
                Err("application_credential_secret is given, application_credential_id is missing".to_owned())
            }
        }
    }
}

fn secret(key: &str, given: Option<&SecretString>, file: Option<&PathBuf>) -> Result<SecretSource, String> {
    match (given, file) {
        (Some(_), Some(_)) => Err(format!("give {key} or {key}_file, not both")),
        (Some(text), None) => Ok(SecretSource::Given(text.clone())),
        (None, Some(path)) => Ok(SecretSource::File(path.clone())),
        (None, None) => Err(format!("{key} or {key}_file is missing")),
    }
}

fn default_domain() -> String {
    "Default".to_owned()
}

fn default_project() -> String {
    "services".to_owned()
}

fn default_region() -> String {
    "RegionOne".to_owned()
}

fn default_service_type() -> String {
    "faultmanagement".to_owned()
}
