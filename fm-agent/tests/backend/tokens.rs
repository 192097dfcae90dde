//! Tokens that end, are refused or cannot be had; the endpoint from the catalogue.

use std::time::{Duration, Instant};

use fm_agent::backend::{FailureKind, Refusals};
use fm_rest_sim::{Fault, FaultKind, Service, SimConfig, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Bench, everything, from_toml, sharing, usual};

fn user(project: &str, roles: &[&str]) -> SimConfig {
    SimConfig { users: vec![User::new("fm", "fm-secret", project, roles)], ..SimConfig::default() }
}

impl Bench {
    fn tokens_asked(&self) -> usize {
        self.sim.requests_to(Service::Keystone).iter().filter(|request| request.method == "POST").count()
    }

    fn refused(&self) -> usize {
        self.sim.requests_to(Service::Fm).iter().filter(|request| request.status == Some(401)).count()
    }

    /// So many lists at once; each must succeed.
    async fn lists_at_once(&self, number: usize) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..number {
            let backend = self.backend.clone();
            tasks.spawn(async move { backend.list(&everything()).await.map(|_| ()) });
        }
        for outcome in tasks.join_all().await {
            outcome.unwrap();
        }
    }
}

#[tokio::test]
async fn one_token_serves_everybody() {
    let bench = Bench::platform();
    bench.lists_at_once(16).await;
    bench.lists_at_once(16).await;
    assert_eq!(bench.tokens_asked(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let lifetime = Duration::from_secs(3);
    let config = SimConfig { token_lifetime: lifetime, token_cache: Duration::ZERO, ..SimConfig::default() };
    let bench = Bench::new(config);
    let start = Instant::now();
    while bench.tokens_asked() < 2 {
        assert!(start.elapsed() < lifetime * 2, "the token has ended");
        bench.backend.probe().await.unwrap();
    }
    assert!(start.elapsed() > lifetime / 2, "the token was still good");
    assert_eq!(bench.refused(), 0);
}

#[tokio::test]
async fn a_storm_of_401_takes_one_new_token() {
    let bench = Bench::platform();
    bench.backend.probe().await.unwrap();
    for storm in 1..=3 {
        bench.sim.invalidate_tokens();
        bench.lists_at_once(16).await;
        assert_eq!(bench.tokens_asked(), 1 + storm);
    }
    assert!(bench.refused() >= 3);
}

#[tokio::test]
async fn a_401_in_the_middle_of_a_raise_doubles_nothing() {
    let bench = Bench::platform();
    bench.fault(Fault::new(FaultKind::Unauthorized).on("POST", "/v1/alarms").times(1));
    let given = usual();
    assert_eq!(bench.raise(&given).await.unwrap(), Some(given.uuid));
    assert_eq!((bench.alarms().len(), bench.events().len(), bench.tokens_asked()), (1, 1, 2));
}

#[tokio::test]
async fn a_service_that_refuses_fresh_tokens_is_unavailable() {
    let bench = Bench::platform();
    bench.fault(Fault::new(FaultKind::Unauthorized));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    assert!(failure.reason.contains("a token that Keystone has just issued"), "{failure}");
    assert_eq!((bench.refused(), bench.tokens_asked()), (2, 2));
}

#[tokio::test]
async fn an_account_that_may_not_write_is_told_what_it_needs() {
    let bench = Bench::new(user("services", &["reader"]));
    bench.backend.probe().await.unwrap();
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    for needed in ["403", "admin or configurator", "admin or services"] {
        assert!(failure.reason.contains(needed), "{failure}");
    }
    assert!(
        failure.reason.ends_with("user 'fm' in the project 'services' with the roles reader"),
        "{failure}"
    );
    // The default of the containerized application's chart: a project that may not write.
    let bench = Bench::with(user("service", &["admin"]), "", "project_name = 'service'\n");
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.contains("in the project 'service' with the roles admin, manager"), "{failure}");
}

#[tokio::test]
async fn a_wrong_password_names_the_account_and_not_the_password() {
    let bench = Bench::with(SimConfig::default(), "", "username = 'fm'\npassword = 'wrong-canary'\n");
    let failure = bench.backend.probe().await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    for part in ["refuses user 'fm'", "project 'services'", bench.sim.keystone_url().as_str()] {
        assert!(failure.reason.contains(part), "{failure}");
    }
    assert!(!format!("{failure:?}").contains("canary"));
    assert_eq!(bench.tokens_asked(), 1, "one attempt for each call");
    assert!(bench.sim.requests_to(Service::Fm).is_empty());
}

#[tokio::test]
async fn who_waits_for_a_renewal_shares_its_failure() {
    let bench = Bench::with(SimConfig::default(), "", "username = 'fm'\npassword = 'wrong'\n");
    bench.fault(Fault::slow(200).at_keystone());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let backend = bench.backend.clone();
        tasks.spawn(async move { backend.probe().await.unwrap_err() });
    }
    let failures = tasks.join_all().await;
    assert_eq!(failures.len(), 8);
    assert_eq!(bench.tokens_asked(), 1);
    for _ in 0..50 {
        bench.backend.probe().await.unwrap_err();
    }
    assert_eq!(bench.tokens_asked(), 1, "a refused password is not offered again before a pause");
}

#[tokio::test]
async fn a_renewal_outlives_the_patience_of_those_who_wait_for_it() {
    let bench = Bench::platform();
    bench.fault(Fault::slow(500).at_keystone());
    for _ in 0..3 {
        let asked = tokio::time::timeout(Duration::from_millis(20), bench.backend.probe()).await;
        assert!(asked.is_err(), "{asked:?}");
    }
    bench.backend.probe().await.unwrap();
    assert_eq!(bench.tokens_asked(), 1);
}

#[tokio::test]
async fn a_backend_that_is_gone_offers_nothing_more() {
    let bench = Bench::platform();
    let keystone = bench.sim.keystone_url();
    let account = format!("auth_url = '{keystone}'\nusername = 'fm'\npassword = 'fm-secret'");
    let config = format!("[fm_rest_api.keystone]\n{account}\n");
    let refusals = Refusals::default();
    let [first, gone, last] = [(); 3].map(|()| sharing(&refusals, &config).unwrap());
    bench.fault(Fault::slow(1000).at_keystone());
    // The first one has its turn, the others wait for theirs.
    for backend in [&first, &gone, &last] {
        tokio::time::timeout(Duration::from_millis(20), backend.probe()).await.unwrap_err();
    }
    drop(gone);
    last.probe().await.unwrap();
    first.probe().await.unwrap();
    assert_eq!(bench.tokens_asked(), 2);
}

#[tokio::test]
async fn keystone_down_is_unavailable_and_over_when_it_is_back() {
    let bench = Bench::platform();
    bench.sim.set_keystone_down(true).unwrap();
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    assert!(failure.reason.contains("503"), "{failure}");
    bench.sim.set_keystone_down(false).unwrap();
    bench.raise(&usual()).await.unwrap();
    // With a token at hand nobody needs Keystone.
    bench.sim.set_keystone_down(true).unwrap();
    bench.clear(crate::support::ENTITY).await.unwrap();
}

#[tokio::test]
async fn every_broken_answer_of_keystone_is_unavailable() {
    let rest = "request_timeout_ms = 1000\n";
    for (fault, said) in [
        (Fault::new(FaultKind::Hang), "request_timeout_ms"),
        (Fault::new(FaultKind::Reset), "gave no answer"),
        (Fault::new(FaultKind::BrokenJson), "200"),
        (Fault::new(FaultKind::HalfAnswer), "gave no answer"),
        (Fault::status(500), "500"),
        (Fault::status(404), "no identity API v3 there"),
        (Fault::status(302), "redirect"),
        (Fault::status(201), "X-Subject-Token"),
    ] {
        let bench = Bench::with(SimConfig::default(), rest, "");
        bench.fault(fault.clone().at_keystone().times(1));
        let failure = bench.raise(&usual()).await.unwrap_err();
        assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{fault:?}");
        assert!(failure.reason.contains(said), "{fault:?}: {failure}");
        bench.raise(&usual()).await.unwrap();
    }
}

#[tokio::test]
async fn keystone_that_nobody_listens_for_is_unreachable() {
    let bench = Bench::platform();
    bench.fault(Fault::new(FaultKind::Refuse).at_keystone());
    let failure = bench.backend.probe().await.unwrap_err();
    assert!(failure.reason.contains("cannot be reached") && failure.reason.contains("refused"), "{failure}");
}

#[tokio::test]
async fn an_endpoint_that_the_catalogue_lacks_is_named() {
    let bench = Bench::with(SimConfig::default(), "", "region = 'RegionTwo'\ninterface = 'public'\n");
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    for part in ["public endpoint", "'faultmanagement'", "'RegionTwo'", "internal in 'RegionOne'"] {
        assert!(failure.reason.contains(part), "{failure}");
    }
}

#[tokio::test]
async fn a_configured_endpoint_needs_no_catalogue() {
    let bench = Bench::platform();
    let config = format!(
        "[fm_rest_api]\nendpoint = '{}/v1'\n[fm_rest_api.keystone]\nauth_url = '{}'\nusername = 'fm'\n\
         password = 'fm-secret'\nregion = 'Nowhere'\n",
        bench.sim.url(),
        bench.sim.keystone_url()
    );
    from_toml(&config).unwrap().raise(&usual()).await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn a_service_that_checks_no_token_needs_no_keystone() {
    let open = Bench::new(SimConfig { token_required: false, ..SimConfig::default() });
    let config = |bench: &Bench| format!("[fm_rest_api]\nendpoint = '{}'\n", bench.sim.url());
    from_toml(&config(&open)).unwrap().raise(&usual()).await.unwrap();
    assert_eq!((open.alarms().len(), open.tokens_asked()), (1, 0));

    let closed = Bench::platform();
    let failure = from_toml(&config(&closed)).unwrap().raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    assert!(failure.reason.contains("add the keystone table"), "{failure}");
}

#[tokio::test]
async fn a_changed_password_file_is_read_at_the_next_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let account = format!("username = 'fm'\npassword_file = '{}'\n", path.display());
    let bench = Bench::with(SimConfig::default(), "", &account);
    let failure = bench.backend.probe().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.contains("cannot be read") && failure.reason.contains("password"), "{failure}");
    std::fs::write(&path, "outdated\n").unwrap();
    bench.backend.probe().await.unwrap_err();
    std::fs::write(&path, "fm-secret\n").unwrap();
    bench.backend.probe().await.unwrap();
}

#[test]
fn certificates_that_cannot_be_used_are_found_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let config = format!("[fm_rest_api]\nendpoint = 'https://127.0.0.1:1'\nca_file = '{}'\n", path.display());
    for text in [None, Some(""), Some("no certificate")] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let error = format!("{:#}", from_toml(&config).err().unwrap());
        assert!(error.contains("ca.pem"), "{error}");
    }
}

#[test]
fn a_system_without_certificates_still_speaks_http() {
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none.pem");
    std::fs::write(&none, "").unwrap();
    // A process of its own, for the place of the system's certificates is said by the environment.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ordinary::a_raise_stands_as_it_was_given"])
        .env("SSL_CERT_FILE", &none)
        .env("SSL_CERT_DIR", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// Answers one token request, which it gives back: head, an empty line, body.
async fn one_token(listener: tokio::net::TcpListener, catalogue_url: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                break;
            }
        }
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "half a request");
    }
    let body = serde_json::json!({"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "catalog": [
        {"type": "faultmanagement", "endpoints": [
            {"interface": "internal", "region": "RegionOne", "url": catalogue_url}]}]}})
    .to_string();
    let answer = format!(
        "HTTP/1.1 201 Created\r\nX-Subject-Token: t\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn an_application_credential_gets_a_token_without_a_scope() {
    let open = Bench::new(SimConfig { token_required: false, ..SimConfig::default() });
    for (account, expected) in [
        ("application_credential_id = 'i'", r#"{"id":"i","secret":"hush"}"#),
        (
            "application_credential_name = 'n'\nusername = 'fm'",
            r#"{"name":"n","secret":"hush","user":{"domain":{"name":"Default"},"name":"fm"}}"#,
        ),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = format!(
            "[fm_rest_api.keystone]\nauth_url = 'http://{}/v3'\n{account}\napplication_credential_secret = 'hush'\n",
            listener.local_addr().unwrap()
        );
        let (url, backend) = (open.sim.url(), from_toml(&config).unwrap());
        let (request, outcome) = tokio::join!(one_token(listener, &url), backend.probe());
        outcome.unwrap();
        assert!(request.starts_with("POST /v3/auth/tokens HTTP/1.1\r\n"), "{request}");
        let body: serde_json::Value =
            serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        let identity = &body["auth"]["identity"];
        assert_eq!(identity["methods"], serde_json::json!(["application_credential"]));
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(identity["application_credential"], expected);
        assert!(body["auth"].get("scope").is_none(), "{body}");
    }
}
