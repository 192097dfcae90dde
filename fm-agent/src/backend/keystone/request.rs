//! What Keystone v3 is asked with, and where its secret comes from.
//!
//! The only place where a secret leaves its wrapper. Nothing made here is ever shown.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::config::{Account, Credential, KeystoneDomain, Named, Proof, SecretSource};

/// How a token is come by.
pub(super) enum Order {
    /// Keystone is asked for a new one: for this account, in words that hold no secret, with this JSON body.
    New(String, SecretString),
    /// Somebody else has written one to a file.
    Ready(SecretString, PathBuf),
}

impl Order {
    /// What the account says, or why its secret cannot be had. Blocks for the reading of one small file.
    pub(super) fn of(account: &Account) -> Result<Self, String> {
        let (name, auth) = match &account.proof {
            Proof::Password { user, password, project } => {
                let password = read(password)?;
                let mut user = named(user);
                let name = format!("user {user}");
                user["password"] = password.expose_secret().into();
                let auth = json!({
                    "identity": { "methods": ["password"], "password": { "user": user } },
                    "scope": { "project": named(project) }
                });
                (name, auth)
            }
            // An application credential is for its own project: a scope would be refused.
            Proof::ApplicationCredential { credential, secret } => {
                let mut credential = match credential {
                    Credential::Id(id) => json!({ "id": id }),
                    Credential::Name { name, owner } => json!({ "name": name, "user": named(owner) }),
                };
                let name = format!("application credential {credential}");
                credential["secret"] = read(secret)?.expose_secret().into();
                let auth = json!({
                    "identity": { "methods": ["application_credential"], "application_credential": credential }
                });
                (name, auth)
            }
            Proof::TokenFile(path) => return Ok(Self::Ready(first_line(path, "token")?, path.clone())),
        };
        Ok(Self::New(name, SecretString::from(json!({ "auth": auth }).to_string())))
    }
}

fn named(named: &Named) -> Value {
    match named {
        Named::Id(id) => json!({ "id": id }),
        Named::Name { name, domain: KeystoneDomain::Id(id) } => {
            json!({ "name": name, "domain": { "id": id } })
        }
        Named::Name { name, domain: KeystoneDomain::Name(domain) } => {
            json!({ "name": name, "domain": { "name": domain } })
        }
    }
}

/// The account in words, for messages: who, and where its secret is from.
pub(super) fn words(account: &Account) -> String {
    let from = |secret: &SecretSource| match secret {
        SecretSource::Given { origin, .. } => origin.clone(),
        SecretSource::File(path) => path.display().to_string(),
    };
    match &account.proof {
        Proof::Password { user, password, project } => format!(
            "user {} for project {} with the password from {}",
            named_in_words(user),
            named_in_words(project),
            from(password)
        ),
        Proof::ApplicationCredential { credential, secret } => {
            let credential = match credential {
                Credential::Id(id) => id.clone(),
                Credential::Name { name, owner } => format!("'{name}' of user {}", named_in_words(owner)),
            };
            format!("application credential {credential} with the secret from {}", from(secret))
        }
        Proof::TokenFile(path) => format!("the token in {}", path.display()),
    }
}

fn named_in_words(named: &Named) -> String {
    match named {
        Named::Id(id) => format!("with the id {id}"),
        Named::Name { name, domain: KeystoneDomain::Name(domain) } => {
            format!("'{name}' of domain '{domain}'")
        }
        Named::Name { name, domain: KeystoneDomain::Id(id) } => {
            format!("'{name}' of the domain with the id {id}")
        }
    }
}

fn read(source: &SecretSource) -> Result<SecretString, String> {
    match source {
        SecretSource::Given { secret, .. } => Ok(secret.clone()),
        SecretSource::File(path) => first_line(path, "secret"),
    }
}

fn first_line(path: &Path, what: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|error| format!("the {what}'s file {} cannot be read: {error}", path.display()))?;
    match text.expose_secret().lines().next() {
        Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
        _ => Err(format!("the {what}'s file {} has an empty first line", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeystoneConfig;

    fn account(keys: &str) -> Account {
        let config: KeystoneConfig = toml::from_str(&format!("auth_url = 'http://k/v3'\n{keys}")).unwrap();
        config.account().unwrap()
    }

    fn body(account: &Account) -> Result<String, String> {
        match Order::of(account)? {
            Order::New(_, body) => Ok(body.expose_secret().to_owned()),
            Order::Ready(..) => panic!("a ready token"),
        }
    }

    fn made(keys: &str) -> Value {
        serde_json::from_str(&body(&account(keys)).unwrap()).unwrap()
    }

    #[test]
    fn a_password_is_for_a_project() {
        let by_name = made("username = 'fm'\npassword = 'p'\nproject_name = 'admin'\nuser_domain_name = 'D'");
        let user = &by_name["auth"]["identity"]["password"]["user"];
        assert_eq!(*user, json!({"name": "fm", "domain": {"name": "D"}, "password": "p"}));
        let scope = json!({"project": {"name": "admin", "domain": {"name": "Default"}}});
        assert_eq!(by_name["auth"]["scope"], scope);
        let by_id = made("user_id = 'u'\npassword = 'p'\nproject_name = 'admin'\nproject_domain_id = 'd'");
        assert_eq!(by_id["auth"]["identity"]["password"]["user"], json!({"id": "u", "password": "p"}));
        assert_eq!(by_id["auth"]["scope"], json!({"project": {"name": "admin", "domain": {"id": "d"}}}));
        assert_eq!(
            made("user_id = 'u'\npassword = 'p'\nproject_id = 'i'")["auth"]["scope"],
            json!({"project": {"id": "i"}})
        );
    }

    #[test]
    fn an_account_is_the_same_whatever_its_secret_and_its_project() {
        let name = |keys: &str| match Order::of(&account(keys)).unwrap() {
            Order::New(name, _) => name,
            Order::Ready(..) => panic!("a ready token"),
        };
        let one = name("username = 'fm'\npassword = 'canary'\nproject_name = 'services'");
        assert_eq!(one, name("username = 'fm'\npassword = 'other'\nproject_name = 'admin'"));
        assert_ne!(one, name("username = 'fm2'\npassword = 'canary'\nproject_name = 'services'"));
        assert_ne!(one, name("username = 'fm'\npassword = 'canary'\nuser_domain_name = 'D'"));
        let credential = name("application_credential_id = 'fm'\napplication_credential_secret = 'canary'");
        assert_ne!(one, credential);
        assert!(!one.contains("canary") && !credential.contains("canary"));
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
        let account = account(&format!("username = 'fm'\npassword_file = '{}'", path.display()));
        assert!(body(&account).unwrap_err().contains("cannot be read"));
        for password in ["one", "two"] {
            std::fs::write(&path, format!("{password}\nrest\n")).unwrap();
            assert!(body(&account).unwrap().contains(&format!("\"{password}\"")));
        }
        std::fs::write(&path, "\nlater").unwrap();
        assert!(body(&account).unwrap_err().contains("empty first line"));
    }

    #[test]
    fn the_words_name_the_account_and_where_its_secret_is() {
        assert_eq!(
            words(&account("username = 'fm'\npassword = 'canary'")),
            "user 'fm' of domain 'Default' for project 'services' of domain 'Default' with the password from \
             the keystone table"
        );
        let keys = "application_credential_id = 'i'\napplication_credential_secret_file = '/s'";
        assert_eq!(words(&account(keys)), "application credential i with the secret from /s");
        assert_eq!(words(&account("token_file = '/t'")), "the token in /t");
    }
}
