//! How a controller is reached over fm-rest-api: endpoint, deadlines, TLS and Keystone.
//!
//! These are the plain settings, as they are written. What they mean together with a clouds file and with
//! variables is decided in `account`.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::account::{Account, Surroundings, Tls};
use super::types::{HttpUrl, Millis};

/// One fm-rest-api service. Without `endpoint` the URL is taken from the Keystone catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FmRestApiConfig {
    /// Base URL, with or without `/v1`.
    /// Default: what Keystone's catalogue has. Example: `"http://controller:18002"`.
    pub endpoint: Option<HttpUrl>,
    /// How long a connection may take to come about, name lookup and TLS included.
    /// Default: `2000`.
    pub connect_timeout_ms: Millis,
    /// How long one HTTP request may take, from its first byte to the answer's last.
    /// Default: `10000`.
    pub request_timeout_ms: Millis,
    /// Certificates (PEM) trusted besides the system's own; read anew when the file changes.
    /// Default: the system's alone. Example: `"/etc/fm/ca.pem"`.
    pub ca_file: Option<PathBuf>,
    /// The certificate (PEM) that this node shows to the service and to Keystone, with its chain; read
    /// anew when the file changes.
    /// Default: none. Example: `"/etc/fm/client.pem"`.
    pub client_cert_file: Option<PathBuf>,
    /// The key (PEM, without a passphrase) of that certificate, when its file does not hold it too.
    /// Default: the file of the certificate. Example: `"/etc/fm/client.key"`.
    pub client_key_file: Option<PathBuf>,
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
            client_cert_file: None,
            client_key_file: None,
            keystone: None,
        }
    }
}

impl FmRestApiConfig {
    /// The certificate files: those named here, else those of the account's clouds file or variables.
    ///
    /// # Errors
    /// The clouds file cannot be read, says that certificates are not to be checked, or there is a client
    /// key without a certificate.
    pub fn tls(&self) -> Result<Tls, String> {
        let account = self.keystone.as_ref().map(KeystoneConfig::tls).transpose()?.unwrap_or_default();
        let tls = if self.client_cert_file.is_some() || self.client_key_file.is_some() {
            Tls {
                client_cert_file: self.client_cert_file.clone(),
                client_key_file: self.client_key_file.clone(),
                ..account
            }
        } else {
            account
        };
        if tls.client_cert_file.is_none() && tls.client_key_file.is_some() {
            return Err("client_key_file is given, client_cert_file is missing".to_owned());
        }
        Ok(Tls { ca_file: self.ca_file.clone().or(tls.ca_file), ..tls })
    }

    /// What needs more than one key to be checked.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let in_table = |reason| ("fm_rest_api.keystone", reason);
        match &self.keystone {
            Some(keystone) => {
                let account = keystone.account().map_err(in_table)?;
                if account.auth_url.is_none() && self.endpoint.is_none() && account.endpoint.is_none() {
                    return Err(in_table(
                        "a token from a file needs endpoint in the table above, or auth_url to find it in the \
                         catalogue"
                            .to_owned(),
                    ));
                }
            }
            None if self.endpoint.is_none() => {
                let reason = "needs endpoint, or a keystone table whose catalogue has it";
                return Err(("fm_rest_api", reason.to_owned()));
            }
            None => {}
        }
        self.tls().map(drop).map_err(|reason| ("fm_rest_api", reason))
    }
}

/// A Keystone v3 account. Each value may instead come from variables or from a clouds file; this table wins, then
/// the variables. The account proves itself in one way: by a password, by an application credential or by a
/// token in a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeystoneConfig {
    /// Base URL of the identity API; `/v3` is added when it is not there.
    /// Default: none. Example: `"http://controller:5000/v3"`.
    pub auth_url: Option<HttpUrl>,
    /// The user's name; also names the owner of an application credential given by name.
    /// Default: none. Example: `"fm"`.
    pub username: Option<String>,
    /// The user's id, instead of name and domain.
    /// Default: none. Example: `"3f2a9c"`.
    pub user_id: Option<String>,
    /// The user's password.
    /// Default: none. Example: `"a secret"`.
    pub password: Option<SecretString>,
    /// A file that holds the password on its first line; read anew at each token.
    /// Default: none. Example: `"/etc/fm/platform.password"`.
    pub password_file: Option<PathBuf>,
    /// The domain the user belongs to.
    /// Default: `Default`. Example: `"Default"`.
    pub user_domain_name: Option<String>,
    /// The id of that domain.
    /// Default: none. Example: `"default"`.
    pub user_domain_id: Option<String>,
    /// The project the token is for: fm-rest-api lets only `admin` and `services` write.
    /// Default: `services`. Example: `"services"`.
    pub project_name: Option<String>,
    /// The project's id, instead of name and domain.
    /// Default: none. Example: `"9b1d40"`.
    pub project_id: Option<String>,
    /// The domain the project belongs to.
    /// Default: `Default`. Example: `"Default"`.
    pub project_domain_name: Option<String>,
    /// The id of that domain.
    /// Default: none. Example: `"default"`.
    pub project_domain_id: Option<String>,
    /// Id of an application credential.
    /// Default: none. Example: `"0f6a2c"`.
    pub application_credential_id: Option<String>,
    /// Name of an application credential of the user above.
    /// Default: none. Example: `"fm-agent"`.
    pub application_credential_name: Option<String>,
    /// The application credential's secret.
    /// Default: none. Example: `"a secret"`.
    pub application_credential_secret: Option<SecretString>,
    /// A file that holds the secret on its first line; read anew at each token.
    /// Default: none. Example: `"/etc/fm/openstack.secret"`.
    pub application_credential_secret_file: Option<PathBuf>,
    /// A file that holds a token on its first line, which somebody else keeps fresh; read anew when it
    /// changes and when the token is refused.
    /// Default: none. Example: `"/run/fm/token"`.
    pub token_file: Option<PathBuf>,
    /// Region of the endpoint in the catalogue.
    /// Default: the only one that has the service, `RegionOne` of several. Example: `"RegionOne"`.
    pub region: Option<String>,
    /// Interface of the endpoint in the catalogue.
    /// Default: `internal`. Example: `"public"`.
    pub interface: Option<Interface>,
    /// Service type of the endpoint in the catalogue.
    /// Default: `faultmanagement`. Example: `"faultmanagement"`.
    pub service_type: Option<String>,
    /// The cloud in the clouds file from which values are taken that are not given here.
    /// Default: the only one that the clouds file has. Example: `"platform"`.
    pub cloud: Option<String>,
    /// The clouds file; without it `cloud` is looked for where OpenStack clients look.
    /// Default: where OpenStack clients look. Example: `"/etc/openstack/clouds.yaml"`.
    pub clouds_file: Option<PathBuf>,
    /// The file with the cloud's secrets; without it `secure.yaml` beside `clouds_file`, if there is one.
    /// Default: `secure.yaml` beside the clouds file, if there is one. Example: `"/etc/openstack/secure.yaml"`.
    pub secure_file: Option<PathBuf>,
    /// What the names of variables begin with from which values are taken that are not given here: `OS_` for
    /// those that OpenStack clients read. Without it no variable is.
    /// Default: none is read. Example: `"OS_"`.
    pub variables: Option<String>,
    /// The process's surroundings when the configuration was read.
    #[serde(skip)]
    pub(super) surroundings: Surroundings,
}

impl KeystoneConfig {
    /// The account that the settings, the clouds file and the variables give together. Files are read anew.
    /// Blocks for the reading of small files.
    ///
    /// # Errors
    /// What is missing, contradictory, unreadable or not supported, and where it was found.
    pub fn account(&self) -> Result<Account, String> {
        Account::resolve(self)
    }

    pub(super) fn tls(&self) -> Result<Tls, String> {
        Tls::resolve(self)
    }
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

    /// The interface of this name, also in the older form `internalURL`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix("URL").unwrap_or(name);
        [Self::Internal, Self::Admin, Self::Public].into_iter().find(|interface| interface.name() == name)
    }
}
