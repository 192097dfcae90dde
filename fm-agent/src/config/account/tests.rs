//! Accounts from tables, variables and clouds files as people write them, right and wrong.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::*;

const CLOUDS: &str = "\
# As a deployment writes it.
x-usual: &usual
  region_name: RegionOne
  auth_type: password
clouds:
  platform:
    <<: *usual
    cacert: ~/ca.pem
    cert: /etc/fm/cert.pem
    interface: internalURL
    verify: yes
    auth:
      auth_url: http://controller:5000
      username: fm
      password: 0123
      project_name: services
      user_domain_name: Fleet
      project_domain_id: default
  openstack:
    auth:
      auth_url: http://keystone.openstack/v3
      application_credential_id: 0f6a2c
    auth_type: v3applicationcredential
    regions:
      - name: west
      - east
    faultmanagement_endpoint_override: http://fm:18003
  bare:
";

const SECURE: &str = "clouds: {openstack: {auth: {application_credential_secret: \"hush: canary\"}}}\n";

/// A directory with files, where a table's `@` stands for its path.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn usual() -> Self {
        Self::new(&[("clouds.yaml", CLOUDS), ("secure.yaml", SECURE)])
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn config(&self, table: &str, environment: &[(&str, &str)]) -> KeystoneConfig {
        let here = |text: &str| text.replace('@', self.path().to_str().unwrap());
        let mut config: KeystoneConfig = toml::from_str(&here(table)).unwrap();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), here(value))).collect();
        config.surroundings = Surroundings::new(
            "platform.fm_rest_api.keystone".to_owned(),
            config.variables.as_deref(),
            &environment,
        );
        config
    }

    fn account(&self, table: &str, environment: &[(&str, &str)]) -> Account {
        self.config(table, environment).account().unwrap()
    }

    /// The error, with `@` for the directory.
    fn error(&self, table: &str, environment: &[(&str, &str)]) -> String {
        let error = self.config(table, environment).account().unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        error.replace(self.path().to_str().unwrap(), "@")
    }
}

fn password(account: &Account) -> (Named, String, String, Named) {
    let Proof::Password { user, password: SecretSource::Given { secret, origin }, project } =
        account.proof.clone()
    else {
        panic!("no password: {:?}", account.proof)
    };
    (user, secret.expose_secret().to_owned(), origin, project)
}

fn named(name: &str, domain: &str) -> Named {
    Named::new(name, Domain::Name(domain.to_owned()))
}

#[test]
fn a_cloud_is_read_as_clients_read_it() {
    let place = Place::usual();
    let config = place.config("clouds_file = '@/clouds.yaml'\ncloud = 'platform'", &[("HOME", "/home/fm")]);
    let account = config.account().unwrap();
    assert_eq!(account.auth_url.as_ref().unwrap().as_str(), "http://controller:5000/v3");
    assert_eq!((account.region.as_deref(), account.interface), (Some("RegionOne"), Interface::Internal));
    let (user, secret, origin, project) = password(&account);
    assert_eq!((user, secret.as_str()), (named("fm", "Fleet"), "0123"));
    assert_eq!(project, Named::new("services", Domain::Id("default".to_owned())));
    assert!(origin.ends_with("/clouds.yaml:15"), "{origin}");
    let tls = config.tls().unwrap();
    assert_eq!(tls.ca_file, Some(PathBuf::from("/home/fm/ca.pem")));
    assert_eq!((tls.client_cert_file, tls.client_key_file), (Some(PathBuf::from("/etc/fm/cert.pem")), None));
}

#[test]
fn the_secure_file_completes_the_cloud() {
    let place = Place::usual();
    let account = place.account("clouds_file = '@/clouds.yaml'\ncloud = 'openstack'", &[]);
    let Proof::ApplicationCredential { credential, secret: SecretSource::Given { secret, .. } } =
        &account.proof
    else {
        panic!("{:?}", account.proof)
    };
    assert_eq!((credential, secret.expose_secret()), (&Credential::Id("0f6a2c".to_owned()), "hush: canary"));
    assert_eq!(account.region.as_deref(), Some("west"));
    assert_eq!(account.endpoint.unwrap().as_str(), "http://fm:18003");
    assert!(!format!("{:?}", account.proof).contains("canary"));

    place.write("secrets/elsewhere.yaml", &SECURE.replace("hush", "other"));
    let other =
        "clouds_file = '@/clouds.yaml'\ncloud = 'openstack'\nsecure_file = '@/secrets/elsewhere.yaml'";
    let Proof::ApplicationCredential { secret: SecretSource::Given { secret, origin }, .. } =
        place.account(other, &[]).proof
    else {
        panic!("no secret")
    };
    assert_eq!(secret.expose_secret(), "other: canary");
    assert!(origin.ends_with("/secrets/elsewhere.yaml:1"), "{origin}");
}

#[test]
fn files_are_read_anew_each_time() {
    let place = Place::usual();
    let config = place.config("clouds_file = '@/clouds.yaml'\ncloud = 'platform'", &[]);
    assert_eq!(password(&config.account().unwrap()).1, "0123");
    place.write("clouds.yaml", &CLOUDS.replace("0123", "'4567'"));
    assert_eq!(password(&config.account().unwrap()).1, "4567");
    place.write("clouds.yaml", "clouds: [");
    assert!(config.account().unwrap_err().contains("clouds.yaml:"));
}

#[test]
fn the_first_place_that_has_a_clouds_file_counts() {
    let cloud = |user: &str| {
        format!("clouds: {{c: {{auth: {{auth_url: 'http://k', username: {user}, password: p}}}}}}\n")
    };
    let place = Place::new(&[
        ("named.yaml", &cloud("named")),
        ("home/.config/openstack/clouds.yml", &cloud("home")),
        (
            "xdg/openstack/clouds.json",
            r#"{"clouds": {"c": {"auth": {"auth_url": "http://k", "username": "xdg"}}}}"#,
        ),
        ("xdg/openstack/secure.yaml", "clouds: {c: {auth: {password: p}}}\n"),
    ]);
    let user = |environment: &[(&str, &str)]| password(&place.account("cloud = 'c'", environment)).0;
    assert_eq!(user(&[("HOME", "@/home")]), named("home", "Default"));
    assert_eq!(user(&[("HOME", "@/home"), ("XDG_CONFIG_HOME", "@/xdg")]), named("xdg", "Default"));
    let all = [("HOME", "@/home"), ("OS_CLIENT_CONFIG_FILE", "@/named.yaml")];
    assert_eq!(user(&all), named("named", "Default"));
    let error = place.error("cloud = 'c'", &[("HOME", "@/nobody")]);
    assert!(
        error.starts_with(
            "cloud 'c' (from the table platform.fm_rest_api.keystone): no clouds file is at ./clouds.yaml"
        ),
        "{error}"
    );
    assert!(
        error.contains("@/nobody/.config/openstack/clouds.yaml") && error.contains("/etc/openstack/"),
        "{error}"
    );
}

#[test]
fn variables_are_read_where_their_prefix_is_given() {
    let place = Place::new(&[]);
    let environment = [
        ("OS_AUTH_URL", "http://controller:5000/v3"),
        ("OS_USERNAME", "admin"),
        ("OS_PASSWORD", "St8rlingX*"),
        ("OS_PROJECT_NAME", "admin"),
        ("OS_TENANT_NAME", "not this one"),
        ("OS_USER_DOMAIN_NAME", ""),
        ("OS_REGION_NAME", "RegionTwo"),
        ("OS_ENDPOINT_TYPE", "publicURL"),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_CACERT", "/etc/ssl/ca.pem"),
        ("OTHER_USERNAME", "other"),
    ];
    let config = place.config("variables = 'OS_'", &environment);
    let account = config.account().unwrap();
    let (user, secret, origin, project) = password(&account);
    assert_eq!((user, project), (named("admin", "Default"), named("admin", "Default")));
    assert_eq!((secret.as_str(), origin.as_str()), ("St8rlingX*", "environment variable OS_PASSWORD"));
    assert_eq!((account.region.as_deref(), account.interface), (Some("RegionTwo"), Interface::Public));
    assert_eq!(config.tls().unwrap().ca_file, Some(PathBuf::from("/etc/ssl/ca.pem")));
    assert!(place.error("", &environment).starts_with("needs username with password"));
    let other = place.error("variables = 'OTHER_'\npassword = 'p'", &environment);
    assert!(other.starts_with("auth_url is missing"), "{other}");
}

#[test]
fn the_table_wins_over_variables_and_they_over_the_cloud() {
    let place = Place::usual();
    let environment =
        [("OS_CLOUD", "platform"), ("OS_USERNAME", "variable"), ("OS_PROJECT_NAME", "variable")];
    let account = place.account(
        "clouds_file = '@/clouds.yaml'\nvariables = 'OS_'\nproject_name = 'table'\nproject_domain_name = 'T'",
        &environment,
    );
    let (user, secret, _, project) = password(&account);
    assert_eq!((user, secret.as_str(), project), (named("variable", "Fleet"), "0123", named("table", "T")));

    place.write("token", "t");
    let table = "clouds_file = '@/clouds.yaml'\ncloud = 'platform'\ntoken_file = '@/token'";
    let account = place.account(table, &environment);
    assert_eq!(account.token_file(), Some(place.path().join("token").as_path()));
    assert_eq!(account.auth_url.unwrap().as_str(), "http://controller:5000/v3");
}

#[test]
fn an_error_names_where_the_value_is_from() {
    let place = Place::usual();
    let cloud = "clouds_file = '@/clouds.yaml'\ncloud = 'platform'\n";
    let of = |text: &str| format!("clouds: {{c: {text}}}\n");
    let written = |text: &str| {
        place.write("c.yaml", &of(text));
        place.error("clouds_file = '@/c.yaml'", &[])
    };
    for (error, expected) in [
        (place.error("clouds_file = '@/none.yaml'", &[]), "@/none.yaml: No such file"),
        (
            place.error("clouds_file = '@/clouds.yaml'", &[]),
            "3 clouds (platform, openstack, bare): say which in cloud",
        ),
        (
            place.error("clouds_file = '@/clouds.yaml'\nvariables = 'X_'", &[("X_CLOUD", "p")]),
            "@/clouds.yaml: has no cloud 'p' (from environment variable X_CLOUD); it has platform, openstack, bare",
        ),
        (
            place.error("clouds_file = '@/clouds.yaml'\ncloud = 'bare'", &[]),
            "@/clouds.yaml:28: clouds.bare: expected keys",
        ),
        (
            place.error(&format!("{cloud}variables = 'OS_'"), &[("OS_INTERFACE", "outer")]),
            "interface (from environment variable OS_INTERFACE): 'outer' is none of",
        ),
        (
            place.error(&format!("{cloud}password_file = '/p'\ntoken_file = '/t'"), &[]),
            "several: password_file (from the table platform.fm_rest_api.keystone), token_file (from",
        ),
        (
            place.error(
                "auth_url = 'http://k'\nusername = 'u'\npassword = 'canary'\npassword_file = '/p'",
                &[],
            ),
            "give password (from the table platform.fm_rest_api.keystone) or password_file (from",
        ),
        (
            place.error(
                "username = 'u'\npassword = 'canary'",
                &[("FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD", "canary")],
            ),
            "auth_url is missing",
        ),
        (
            place.error(
                "username = 'u'\npassword = 'canary'\napplication_credential_id = 'i'",
                &[("FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD", "canary")],
            ),
            "password (from environment variable FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD), application",
        ),
        (
            written("{auth: {auth_url: 'ftp://k', username: u, password: canary}}"),
            "auth_url (from @/c.yaml:1): 'ftp://k'",
        ),
        (written("{auth: {auth_url: 'http://k/v2.0', username: u, password: canary}}"), "version 2.0"),
        (
            written("{auth: {username: [u], password: canary}}"),
            "@/c.yaml:1: clouds.c.auth.username: expected a text",
        ),
        (written("{auth: {username: u}}"), "token_file; cloud 'c' of @/c.yaml does not have it either"),
        (written("{auth: {token: canary}}"), "token (from @/c.yaml:1): a token that nobody renews"),
        (written("{verify: False}"), "verify (from @/c.yaml:1): certificates are always checked"),
        (written("{insecure: true}"), "insecure (from @/c.yaml:1): certificates are always checked"),
        (written("{profile: vendor}"), "profile (from @/c.yaml:1): vendor profiles"),
        (
            written("{auth: {domain_name: d}}"),
            "domain (from @/c.yaml:1): fm-rest-api wants a token for a project",
        ),
        (
            written("{auth_type: v3oidc, auth: {password: canary}}"),
            "auth_type (from @/c.yaml:1): 'v3oidc' is none of",
        ),
        (
            written("{auth_type: v3applicationcredential, auth: {password: canary}}"),
            "auth_type (from @/c.yaml:1) does not fit password (from @/c.yaml:1)",
        ),
        (written("{auth: {password: \"canary}}"), "@/c.yaml:"),
        (written("{auth: {application_credential_secret: canary}}"), "application_credential_id is missing"),
        (written("{auth: {auth_url: 'http://k', password: canary}}"), "username is missing"),
    ] {
        assert!(error.contains(expected), "{error}\nlacks {expected}");
    }
}

#[test]
fn the_cloud_s_own_type_decides_between_several_secrets() {
    let both = "auth_url: 'http://k', username: u, password: p, application_credential_id: i, \
                application_credential_secret: s";
    for (kind, expected) in [("password", "Password"), ("v3applicationcredential", "ApplicationCredential")] {
        let text = format!("clouds: {{c: {{auth_type: {kind}, auth: {{{both}}}}}}}\n");
        let place = Place::new(&[("clouds.yaml", &text)]);
        let proof = format!("{:?}", place.account("clouds_file = '@/clouds.yaml'", &[]).proof);
        assert!(proof.starts_with(expected), "{proof}");
    }
}
