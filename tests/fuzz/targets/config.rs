//! The configuration: file, environment, clouds file and secure file, as the agent reads them at its start.
//!
//! An input is the configuration's text; lines `@@ environment`, `@@ clouds.yaml` and `@@ secure.yaml` begin
//! the other parts, of which the first has a variable a line. `DIR` stands for the directory of the files. A
//! part `@@ password` gives the platform's account a password by its variable. That password, the one in
//! `OS_PASSWORD` and the one in a secure file that the input does not bring are a canary: it must show nowhere.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fm_agent::config::{self, Config, ConfigError};
use fm_fuzz::{part, said};
use libfuzzer_sys::fuzz_target;

/// A secret that must show nowhere. An input cannot spell it.
const CANARY: &str = "canary-8b1f";
/// A secure file for the clouds that the seeds name.
const CANARYS_FILE: &str =
    "clouds: {platform: {auth: {password: canary-8b1f}}, a: {auth: {password: canary-8b1f}}}";

/// Where the files of this process are.
struct Places {
    directory: String,
    file: PathBuf,
    clouds: PathBuf,
    secure: PathBuf,
}

fn places() -> &'static Places {
    static PLACES: OnceLock<Places> = OnceLock::new();
    PLACES.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("fm-fuzz-config-{}", std::process::id()));
        let openstack = directory.join("openstack");
        fs::create_dir_all(&openstack).expect("a directory for the files");
        Places {
            file: directory.join("agent.toml"),
            clouds: openstack.join("clouds.yaml"),
            secure: openstack.join("secure.yaml"),
            directory: directory.to_str().expect("the directory has a plain name").to_owned(),
        }
    })
}

/// Puts a file in place, or takes it away.
fn place(path: &Path, text: Option<&[u8]>) {
    match text {
        Some(text) => fs::write(path, text).expect("a file"),
        None => fs::remove_file(path).unwrap_or_default(),
    }
}

/// A configuration that was taken keeps what it promises.
fn good(config: &Config) {
    let shown = format!("{config:?}");
    assert!(!shown.contains(CANARY), "a secret is shown");
    for (domain, config) in config.domains() {
        assert!(config.backend().is_ok(), "{domain}: one backend at most");
        if let Some(rest) = &config.fm_rest_api {
            let tls = rest.tls().expect("certificates were checked");
            assert!(tls.client_key_file.is_none() || tls.client_cert_file.is_some());
            if let Some(keystone) = &rest.keystone {
                let account = keystone.account().expect("the account was checked");
                assert!(!format!("{account:?}").contains(CANARY), "a secret is shown");
                assert!(account.auth_url.is_some() || account.token_file().is_some());
                assert!(account.auth_url.is_none_or(|url| url.as_str().ends_with("/v3")));
            }
        } else if domain == config::Domain::Platform && config.fm_manager.is_none() {
            assert!(matches!(config.backend(), Ok(config::BackendConfig::Standalone)));
        }
    }
}

/// An error names its place and shows no secret.
fn bad(error: &ConfigError, text: &str, environment: &[(String, String)]) {
    let words = said(error);
    assert!(!words.contains(CANARY), "a secret is shown: {words}");
    match error {
        ConfigError::Unreadable { path, .. } => assert_eq!(*path, places().file),
        ConfigError::Invalid { path, line, reason, .. } => {
            assert_eq!(*path, places().file);
            assert!(!reason.trim().is_empty());
            let lines = text.split('\n').count();
            assert!(*line <= lines, "line {line} of {lines}: {words}");
        }
        ConfigError::Variable { variable, reason } => {
            assert!(!reason.trim().is_empty());
            let given = environment.iter().any(|(name, _)| name == variable);
            assert!(given || variable.ends_with('*'), "{variable} is not in the environment");
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let (mut text, mut variables, mut clouds) = (&b""[..], &b""[..], None);
    let mut secure = CANARYS_FILE.as_bytes();
    let mut password = None;
    let mut first = true;
    while first || !rest.is_empty() {
        let piece = part(&mut rest, b"@@ ");
        let (head, body) =
            piece.split_at(piece.iter().position(|byte| *byte == b'\n').unwrap_or(piece.len()));
        match head {
            _ if first => text = piece,
            b"environment" => variables = body,
            b"clouds.yaml" => clouds = Some(body),
            b"secure.yaml" => secure = body,
            b"password" => password = Some("FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD"),
            _ => {}
        }
        first = false;
    }
    let places = places();
    let named =
        |text: &[u8]| String::from_utf8_lossy(text).replace(CANARY, "").replace("DIR", &places.directory);
    let text = named(text);
    place(&places.file, Some(text.as_bytes()));
    place(&places.clouds, clouds);
    place(&places.secure, clouds.map(|_| secure));
    let environment: Vec<(String, String)> = named(variables)
        .lines()
        .filter_map(|line| line.split_once('='))
        .chain(password.into_iter().chain(["OS_PASSWORD"]).map(|name| (name, CANARY)))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let loaded = config::load(Some(&places.file), environment.clone());
    let again = config::load(Some(&places.file), environment.clone());
    match (&loaded, &again) {
        (Ok(config), Ok(same)) => {
            good(config);
            assert_eq!(format!("{config:?}"), format!("{same:?}"), "the same files, the same configuration");
        }
        (Err(error), Err(same)) => {
            bad(error, &text, &environment);
            assert_eq!(error.to_string(), same.to_string(), "the same files, the same error");
        }
        _ => panic!("the same files, once good and once not: {loaded:?}, {again:?}"),
    }
});
