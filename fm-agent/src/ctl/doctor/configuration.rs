//! The configuration: whether it can be used, who can read its secrets, what is set elsewhere.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::finding::Findings;
use crate::config::{
    Config, ConfigError, DEFAULT_PATH, ENVIRONMENT_PREFIX, FmRestApiConfig, KeystoneConfig, Proof,
    SecretSource,
};

/// Where the service manager shows services their credentials.
const CREDENTIALS: &str = "/run/credentials";
/// Where the packages' unit takes them from.
const CREDENTIAL_SOURCE: &str = "/etc/fm/credentials";

/// Tells whether the configuration can be used.
pub(super) fn loaded(
    named: Option<&Path>,
    loaded: Result<Config, ConfigError>,
    findings: &mut Findings,
) -> Option<Config> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let shown = path.display().to_string();
    match loaded {
        Ok(config) => {
            let found = if path.exists() { "is good" } else { "is not there: the defaults hold" };
            findings.ok("configuration", &shown, found);
            Some(config)
        }
        Err(error) => {
            let advice =
                "The agent does not start with it. Correct what is named; docs/operator.md has the keys.";
            findings.fail("configuration", &shown, &error.to_string(), advice);
            None
        }
    }
}

/// Tells which variables win over the file.
pub(super) fn variables(environment: &[(String, String)], findings: &mut Findings) {
    let mut names: Vec<&str> = environment
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with(ENVIRONMENT_PREFIX))
        .collect();
    names.sort_unstable();
    let looked_at = format!("variables {ENVIRONMENT_PREFIX}*");
    if names.is_empty() {
        return findings.ok("environment", &looked_at, "none is set");
    }
    let found = format!("{} win over the file", names.join(", "));
    let advice = "This doctor looked with them. Make sure that the agent is started with the same.";
    findings.warn("environment", &looked_at, &found, advice);
}

/// Tells which secrets others can read.
pub(super) fn permissions(
    named: Option<&Path>,
    config: &Config,
    environment: &[(String, String)],
    findings: &mut Findings,
) {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let services: Vec<&FmRestApiConfig> =
        config.domains().into_values().filter_map(|domain| domain.fm_rest_api.as_ref()).collect();
    let by_variable = |key: &str| {
        environment.iter().any(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX) && name.ends_with(key))
    };
    let holds_secret = services.iter().filter_map(|service| service.keystone.as_ref()).any(|account| {
        (account.password.is_some() && !by_variable("__PASSWORD"))
            || (account.application_credential_secret.is_some()
                && !by_variable("__APPLICATION_CREDENTIAL_SECRET"))
    });
    if holds_secret && path.exists() {
        secret(path, "the configuration, which holds a secret,", findings);
    }
    for service in services {
        for file in secret_files(service) {
            secret(&file, "the file of a secret", findings);
        }
    }
}

/// The files with secrets that this service's table names.
fn secret_files(service: &FmRestApiConfig) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let Some(keystone) = &service.keystone {
        files.extend(account_files(keystone));
        files.extend(keystone.secure_file.clone());
        files.extend(keystone.clouds_file.clone());
    }
    // What is wrong with the certificate files is told where they are used.
    if let Ok(tls) = service.tls() {
        files.extend(tls.client_key_file.or(tls.client_cert_file));
    }
    files.sort();
    files.dedup();
    files
}

fn account_files(keystone: &KeystoneConfig) -> Option<PathBuf> {
    match keystone.account().ok()?.proof {
        Proof::Password { password: SecretSource::File(path), .. }
        | Proof::ApplicationCredential { secret: SecretSource::File(path), .. }
        | Proof::TokenFile(path) => Some(path),
        Proof::Password { .. } | Proof::ApplicationCredential { .. } => None,
    }
}

/// Where the service manager takes a credential of the packages' unit from; `None` for any other file.
fn credential_source(path: &Path) -> Option<PathBuf> {
    path.strip_prefix(CREDENTIALS).ok()?;
    let name = path.file_name()?.to_str()?;
    Some(Path::new(CREDENTIAL_SOURCE).join(name.strip_prefix("fm-agent_").unwrap_or(name)))
}

/// A credential that is not there: the service manager makes it when it starts the service, from its source.
fn credential(path: &Path, source: &Path, what: &str, findings: &mut Findings) {
    let (shown, from) = (path.display().to_string(), source.display());
    let runs = path.parent().is_some_and(Path::exists);
    if source.exists() && !runs {
        let found = format!("is made of {from} when the service starts, and it does not run");
        return findings.skip("secrets", &shown, &found);
    }
    let found =
        format!("{what} is not there: it is copied when the service starts, from what LoadCredential= names");
    let advice = format!(
        "Put the secret where LoadCredential= takes it from, in the packages {from}, then systemctl restart fm-agent."
    );
    findings.fail("secrets", &shown, &found, &advice);
}

fn secret(path: &Path, what: &str, findings: &mut Findings) {
    let shown = path.display().to_string();
    let mode = match fs::metadata(path) {
        Ok(data) => data.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return findings.skip("secrets", &shown, &format!("is not for {}: run fmctl as root", geteuid()));
        }
        Err(error) => {
            if let Some(source) = credential_source(path) {
                return credential(path, &source, what, findings);
            }
            let advice = "Without it the account cannot prove itself. Put it there, readable for the agent.";
            return findings.fail("secrets", &shown, &format!("{what} cannot be looked at: {error}"), advice);
        }
    };
    if mode & 0o004 == 0 {
        return findings.ok("secrets", &shown, &format!("mode {mode:03o}: not for everybody"));
    }
    let found = format!("mode {mode:03o}: {what} can be read by everybody on this node");
    let advice =
        format!("chmod o-rwx '{shown}', with the agent's user as its owner; then change the secret.");
    findings.fail("secrets", &shown, &found, &advice);
}
