//! Keystones that the tests of this program share, a stand-in of the service for each test, and its backend.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fm_agent::backend::{Backend, Clear, Failure, FailureKind, Link, Query, Raise, Refusals};
use fm_agent::config::{Domain, DomainConfig};
use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, AlarmType, ProbableCause, Severity, Timestamp};
use fm_rest_sim::{Service, Sim, SimConfig};
use serde_json::{Value, json};

/// Names the Python that has Keystone; `cargo xtask` sets it.
const PYTHON: &str = "FM_TEST_KEYSTONE_PYTHON";
/// The password of every user.
pub(crate) const PASSWORD: &str = "keystone-secret";

/// A Keystone whose tokens live for an hour.
pub(crate) static KEYSTONE: LazyLock<Keystone> = LazyLock::new(|| Keystone::start(3600));
/// How long the tokens of [`HASTY`] live: a few seconds.
pub(crate) const HASTY_LIFETIME: Duration = Duration::from_secs(4);
/// A Keystone whose tokens soon end.
pub(crate) static HASTY: LazyLock<Keystone> = LazyLock::new(|| Keystone::start(HASTY_LIFETIME.as_secs()));

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The Python that has Keystone.
pub(crate) fn python() -> PathBuf {
    let installed = root().join("target/keystone/venv/bin/python");
    let python = std::env::var_os(PYTHON).map_or(installed, PathBuf::from);
    assert!(
        python.exists(),
        "no Keystone at {}: run `cargo xtask keystone`, which installs it",
        python.display()
    );
    python
}

/// A real Keystone. It ends when this process does: then its standard input ends.
pub(crate) struct Keystone {
    pub(crate) url: String,
    /// Over https, for those who show a certificate.
    pub(crate) secure_url: String,
    /// Where its certificates are.
    pub(crate) directory: PathBuf,
    _child: Child,
    _stdin: ChildStdin,
}

impl Keystone {
    fn start(expiration: u64) -> Self {
        let root = root();
        let work = root.join("target/keystone/work");
        std::fs::create_dir_all(&work).unwrap();
        let log = work.join(format!("serve-{expiration}.log"));
        let mut child = Command::new(python())
            .args(["-W", "ignore"])
            .arg(root.join("tests/keystone/serve.py"))
            .arg(&work)
            .args(["--expiration", &expiration.to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&ready) else {
            stdout.read_to_string(&mut ready).unwrap();
            let status = child.wait().unwrap();
            let log = std::fs::read_to_string(&log).unwrap();
            panic!("Keystone did not start ({status}): {ready}{log}");
        };
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            secure_url: text("secure_url"),
            directory: PathBuf::from(text("directory")),
            _child: child,
            _stdin: stdin,
        }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.url.strip_prefix("http://").unwrap().strip_suffix("/v3").unwrap().parse().unwrap()
    }
}

/// Calls a Keystone's API as its administrator.
pub(crate) struct Administrator<'a> {
    keystone: &'a Keystone,
    http: reqwest::Client,
    token: String,
}

impl<'a> Administrator<'a> {
    pub(crate) async fn of(keystone: &'a Keystone) -> Self {
        let mut this = Self { keystone, http: http(), token: String::new() };
        this.token = this.token_for("admin", PASSWORD, "admin").await.unwrap();
        this
    }

    /// A token by password, or the status of the refusal.
    pub(crate) async fn token_for(&self, user: &str, password: &str, project: &str) -> Result<String, u16> {
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password":
                {"user": {"name": user, "domain": domain, "password": password}}},
            "scope": {"project": {"name": project, "domain": domain}}}});
        let request = self.http.post(format!("{}/auth/tokens", self.keystone.url)).json(&body);
        let answer = request.send().await.unwrap();
        match answer.headers().get("x-subject-token") {
            Some(token) => Ok(token.to_str().unwrap().to_owned()),
            None => Err(answer.status().as_u16()),
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.keystone.url);
        let mut request = self.http.request(method.parse().unwrap(), url).header("x-auth-token", &self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) async fn id_of(&self, kind: &str, name: &str) -> String {
        let found = self.call("GET", &format!("/{kind}s?name={name}"), Value::Null).await;
        found[format!("{kind}s")][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn change_user(&self, name: &str, change: Value) {
        let id = self.id_of("user", name).await;
        self.call("PATCH", &format!("/users/{id}"), json!({"user": change})).await;
    }

    pub(crate) async fn revoke(&self, token: &str) {
        let request = self.http.delete(format!("{}/auth/tokens", self.keystone.url));
        let request = request.header("x-auth-token", &self.token).header("x-subject-token", token);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 204);
    }

    /// An application credential of a user, made with the user's own token: id and secret.
    pub(crate) async fn application_credential(
        &self,
        user: &str,
        project: &str,
        name: &str,
    ) -> (String, String) {
        let id = self.id_of("user", user).await;
        let own = Self {
            keystone: self.keystone,
            http: self.http.clone(),
            token: self.token_for(user, PASSWORD, project).await.unwrap(),
        };
        let body = json!({"application_credential": {"name": name}});
        let made = own.call("POST", &format!("/users/{id}/application_credentials"), body).await;
        let text = |key: &str| made["application_credential"][key].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// A stand-in of the service that checks tokens at a Keystone, whose catalogue has it in a region of its own.
pub(crate) struct Bench {
    pub(crate) keystone: &'static Keystone,
    pub(crate) sim: Sim,
    pub(crate) region: String,
    /// For the files of a test.
    pub(crate) directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new(keystone: &'static Keystone) -> Self {
        Self::with(keystone, Duration::ZERO).await
    }

    /// With a service that trusts a token it has checked for so long.
    pub(crate) async fn with(keystone: &'static Keystone, token_cache: Duration) -> Self {
        let sim = Sim::start(SimConfig {
            validate_at: Some(keystone.address()),
            token_cache,
            ..SimConfig::default()
        })
        .unwrap();
        let region = format!("region-{}", uuid::Uuid::new_v4());
        let administrator = Administrator::of(keystone).await;
        administrator.call("POST", "/regions", json!({"region": {"id": region}})).await;
        let this = Self { keystone, sim, region, directory: tempfile::tempdir().unwrap() };
        this.add_endpoint("internal", &this.region).await;
        this
    }

    /// Adds the service to the catalogue.
    pub(crate) async fn add_endpoint(&self, interface: &str, region: &str) {
        let administrator = Administrator::of(self.keystone).await;
        let service = administrator.id_of("service", "fm").await;
        let endpoint = json!({"service_id": service, "interface": interface, "region_id": region, "url": self.sim.url()});
        administrator.call("POST", "/endpoints", json!({"endpoint": endpoint})).await;
    }

    /// A file with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The backend with these lines in its account's table.
    pub(crate) fn backend(&self, account: &str) -> Arc<dyn Backend> {
        let table = format!("auth_url = '{}'\nregion = '{}'\n{account}", self.keystone.url, self.region);
        from_toml(&format!("[fm_rest_api.keystone]\n{table}\n"))
    }

    /// The backend of a user by password.
    pub(crate) fn user(&self, name: &str, project: &str) -> Arc<dyn Backend> {
        self.backend(&format!("username = '{name}'\npassword = '{PASSWORD}'\nproject_name = '{project}'"))
    }

    /// Requests that the service has refused with 401.
    pub(crate) fn refused(&self) -> usize {
        self.sim.requests_to(Service::Fm).iter().filter(|request| request.status == Some(401)).count()
    }

    /// The alarms that stand.
    pub(crate) fn standing(&self) -> usize {
        self.sim.alarms().unwrap().len()
    }
}

/// The backend of a domain's configuration.
pub(crate) fn from_toml(config: &str) -> Arc<dyn Backend> {
    let config: DomainConfig = toml::from_str(config).unwrap();
    match Link::new(Domain::Platform, &config, &Refusals::default()).unwrap() {
        Link::Controller(controller) => controller.backend,
        Link::Standalone => panic!("no controller is configured"),
    }
}

pub(crate) const ENTITY: &str = "host=compute-1";

/// Raises an alarm.
pub(crate) async fn raise(backend: &dyn Backend) -> Result<(), Failure> {
    let mut alarm = Alarm::new(
        "300.010",
        "host.ml2driver",
        ENTITY,
        Severity::Major,
        AlarmType::Communication,
        ProbableCause::Unknown,
    );
    alarm.timestamp = Some(Timestamp::now());
    let raise = Raise {
        alarm,
        uuid: uuid::Uuid::new_v4().to_string(),
        standing: None,
        absent_until: None,
        in_doubt: false,
    };
    backend.raise(&raise).await.map(|_| ())
}

/// Clears it.
pub(crate) async fn clear(backend: &dyn Backend) -> Result<(), Failure> {
    let clear = Clear { key: AlarmKey::new("300.010", ENTITY), standing: None };
    backend.clear(&clear).await.map(|_| ())
}

/// Reads all alarms.
pub(crate) async fn read(backend: &dyn Backend) -> Result<usize, Failure> {
    let query = Query {
        alarm_id: None,
        entity_instance_id: None,
        exact: false,
        rule: EntityMatch::Component,
        include_suppressed: true,
    };
    backend.list(&query).await.map(|alarms| alarms.len())
}

/// The reason of a failure that says the controller cannot be used, and that shows no secret.
pub(crate) fn unavailable<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{failure}");
    assert!(!failure.reason.contains(PASSWORD), "{failure}");
    failure.reason
}
