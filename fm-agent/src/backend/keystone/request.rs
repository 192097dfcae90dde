//! The body of a Keystone v3 token request, and where its secret comes from.
//!
//! The only place where a secret leaves its wrapper. Nothing made here is ever shown.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::config::{KeystoneConfig, KeystoneCredential, SecretSource};

/// The account in words, for messages.
pub(super) fn account(config: &KeystoneConfig, credential: &KeystoneCredential) -> String {
    match credential {
        KeystoneCredential::Password { username, .. } => format!(
            "user '{username}' of domain '{}' for project '{}' of domain '{}'",
            config.user_domain_name, config.project_name, config.project_domain_name
        ),
        KeystoneCredential::ApplicationCredentialId { id, .. } => format!("application credential {id}"),
        KeystoneCredential::ApplicationCredentialName { name, username, .. } => format!(
            "application credential '{name}' of user '{username}' of domain '{}'",
            config.user_domain_name
        ),
    }
}

/// The JSON body, or why the secret cannot be had. Blocks for the reading of one small file.
pub(super) fn body(config: &KeystoneConfig, credential: &KeystoneCredential) -> Result<SecretString, String> {
    let domain = json!({ "name": config.user_domain_name });
    let auth = match credential {
        KeystoneCredential::Password { username, password } => {
            let password = read(password)?;
            json!({
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": { "name": username, "domain": domain, "password": password.expose_secret() }
                    }
                },
                "scope": {
                    "project": { "name": config.project_name, "domain": { "name": config.project_domain_name } }
                }
            })
        }
        // An application credential is for its own project: a scope would be refused.
        KeystoneCredential::ApplicationCredentialId { id, secret } => {
            by_application_credential(&json!({ "id": id, "secret": read(secret)?.expose_secret() }))
        }
        KeystoneCredential::ApplicationCredentialName { name, username, secret } => {
            by_application_credential(&json!({
                "name": name,
                "secret": read(secret)?.expose_secret(),
                "user": { "name": username, "domain": domain }
            }))
        }
    };
    Ok(SecretString::from(json!({ "auth": auth }).to_string()))
}

fn by_application_credential(credential: &Value) -> Value {
    json!({ "identity": { "methods": ["application_credential"], "application_credential": credential } })
}

fn read(source: &SecretSource) -> Result<SecretString, String> {
    match source {
        SecretSource::Given(secret) => Ok(secret.clone()),
        SecretSource::File(path) => first_line(path),
    }
}

fn first_line(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the secret's file {} cannot be read: {error}", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
        _ => Err(format!("the secret's file {} has an empty first line", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(keys: &str) -> (KeystoneConfig, KeystoneCredential) {
        let config: KeystoneConfig = toml::from_str(&format!("auth_url = 'http://k/v3'\n{keys}")).unwrap();
        let credential = config.credential().unwrap();
        (config, credential)
    }

    fn made(keys: &str) -> Value {
        let (config, credential) = config(keys);
        serde_json::from_str(body(&config, &credential).unwrap().expose_secret()).unwrap()
    }

    #[test]
    fn a_password_is_for_a_project() {
        let made = made("username = 'fm'\npassword = 'p'\nproject_name = 'admin'\nuser_domain_name = 'D'");
        let user = &made["auth"]["identity"]["password"]["user"];
        assert_eq!(*user, json!({"name": "fm", "domain": {"name": "D"}, "password": "p"}));
        let scope = json!({"project": {"name": "admin", "domain": {"name": "Default"}}});
        assert_eq!(made["auth"]["scope"], scope);
    }

    #[test]
    fn an_application_credential_carries_no_scope() {
        let by_id = made("application_credential_id = 'i'\napplication_credential_secret = 's'");
        assert_eq!(
            by_id["auth"],
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "i", "secret": "s"}}})
        );
        let by_name =
            made("application_credential_name = 'n'\nusername = 'u'\napplication_credential_secret = 's'");
        assert_eq!(
            by_name["auth"]["identity"]["application_credential"],
            json!({"name": "n", "secret": "s", "user": {"name": "u", "domain": {"name": "Default"}}})
        );
    }

    #[test]
    fn a_secret_file_is_read_anew_and_its_first_line_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let keys = format!("username = 'fm'\npassword_file = '{}'", path.display());
        let (config, credential) = config(&keys);
        assert!(body(&config, &credential).unwrap_err().contains("cannot be read"));
        for password in ["one", "two"] {
            std::fs::write(&path, format!("{password}\nrest\n")).unwrap();
            assert!(body(&config, &credential).unwrap().expose_secret().contains(&format!("\"{password}\"")));
        }
        std::fs::write(&path, "\nlater").unwrap();
        assert!(body(&config, &credential).unwrap_err().contains("empty first line"));
    }
}
