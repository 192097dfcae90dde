//! Authentication: which token, role and project may do what, and the bodies of refusals.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::time::{Duration, Instant};

use fm_rest_sim::{SimConfig, User};
use reqwest::Method;
use serde_json::json;

use crate::bench::{Bench, alarm, behaviours, wait_until};

/// A bench whose client has `roles` in `project`, without implied roles.
fn as_user(bench: &Bench, project: &str, roles: &[&str]) -> Bench {
    let users = vec![User::new("someone", "word", project, roles)];
    let config = SimConfig { users, implied_roles: false, dialect: bench.dialect, ..SimConfig::default() };
    let bench = Bench::with(config);
    let answer = bench.authenticate("someone", "word", project);
    bench.set_token(answer.header("x-subject-token").unwrap());
    bench
}

fn may(bench: &Bench, project: &str, roles: &[&str]) -> (bool, bool) {
    let bench = as_user(bench, project, roles);
    let read = bench.get("/v1/alarms").status;
    let write = bench.post(&alarm("100.101", "host=c0")).status;
    assert!(matches!(read, 200 | 403) && matches!(write, 200 | 403), "{read} {write}");
    let uuid = bench.sim.alarms().unwrap().first().map(|alarm| alarm.uuid.clone()).unwrap_or_default();
    // The other writing verbs go with POST.
    let delete = bench.delete(&format!("/v1/alarms/{uuid}x")).status;
    let put = bench.call(Method::PUT, "/v1/alarms/1", Some(&alarm("100.101", "host=c0"))).status;
    let patch = bench.call(Method::PATCH, "/v1/event_suppression/x", Some(&json!([]))).status;
    let denied = [delete, put, patch].map(|status| status == 403);
    assert_eq!(denied, [write == 403; 3], "{delete} {put} {patch}");
    (read == 200, write == 200)
}

behaviours! {
    only_x_auth_token_counts, "Other headers do not authenticate; OIDC-Token makes a 500.", |bench| {
        let token = bench.token();
        let url = format!("{}/v1/alarms", bench.sim.url());
        let bearer = format!("Bearer {token}");
        for headers in [vec![], vec![("authorization", bearer.as_str())], vec![("x-service-token", token.as_str())]] {
            assert_eq!(bench.send(Method::GET, &url, &headers, None).unwrap().status, 401, "{headers:?}");
        }
        let both = [("x-auth-token", token.as_str()), ("oidc-token", "x")];
        assert_eq!(bench.send(Method::GET, &url, &both, None).unwrap().status, 500);
        assert_eq!(bench.send(Method::GET, &url, &both[..1], None).unwrap().status, 200);
    };
    writing_takes_a_role_and_a_project, "admin or configurator, in the project admin or services; case counts.", |bench| {
        for project in ["admin", "services"] {
            for role in ["admin", "configurator"] {
                assert!(may(bench, project, &[role]).1, "{role} in {project}");
            }
        }
        for project in ["service", "Admin", "SERVICES", "tenant"] {
            assert!(!may(bench, project, &["admin"]).1, "{project}");
        }
        assert!(!may(bench, "services", &["reader", "operator", "member"]).1);
    };
    reading_takes_a_role, "reader, operator or configurator, any project; admin alone is a 403.", |bench| {
        for role in ["reader", "operator", "configurator"] {
            assert!(may(bench, "tenant", &[role]).0, "{role}");
        }
        assert!(!may(bench, "services", &["admin"]).0);
        assert!(!may(bench, "services", &["member"]).0);
    };
    implied_roles_let_admin_read, "Where Keystone has implied roles admin reads too.", |bench| {
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    admin_in_service_can_do_nothing, "admin in project service neither reads nor writes; configurator in admin does all.", |bench| {
        assert_eq!(may(bench, "service", &["admin"]), (false, false));
        assert_eq!(may(bench, "admin", &["configurator"]), (true, true));
    };
    keystone_down, "503 for a token that is not cached, with its own body; a cached one works.", |bench| {
        let cached = bench.token();
        assert_eq!(bench.get("/v1/alarms").status, 200);
        let fresh = bench.new_token();
        bench.sim.set_keystone_down(true).unwrap();
        assert_ne!(cached, fresh);
        let answer = bench.get("/v1/alarms");
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["code"], "503 Service Unavailable");
        assert!(answer.json()["message"].is_string());
        bench.set_token(&cached);
        assert_eq!(bench.get("/v1/alarms").status, 200);
        bench.sim.set_keystone_down(false).unwrap();
        bench.set_token(&fresh);
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    the_body_of_a_401, "401 names Keystone in Www-Authenticate and has an error object.", |bench| {
        bench.set_token("garbage");
        let answer = bench.get("/v1/alarms");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["code"], 401);
        let expected = format!("Keystone uri=\"{}\"", bench.sim.keystone_url());
        assert_eq!(answer.header("www-authenticate"), Some(expected.as_str()));
    };
    the_body_of_a_403, "403 is a titled error.", |bench| {
        let bench = as_user(bench, "tenant", &["member"]);
        let answer = bench.get("/v1/alarms");
        assert_eq!((answer.status, &answer.error()["code"]), (403, &json!(403)));
        assert!(answer.body.starts_with("{\"error_message\":\"{"), "{}", answer.body);
    };
    forgotten_tokens, "Tokens forgotten on demand: 401 until a new one is taken.", |bench| {
        assert_eq!(bench.get("/v1/alarms").status, 200);
        bench.sim.invalidate_tokens();
        assert_eq!(bench.get("/v1/alarms").status, 401);
        bench.new_token();
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    an_expired_token, "Expired token: 401, then 200 with a new one.", |bench| {
        let token_lifetime = Duration::from_secs(1);
        let config = SimConfig { token_lifetime, dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        assert_eq!(bench.get("/v1/alarms").status, 200);
        let start = Instant::now();
        wait_until("the token expires", || bench.get("/v1/alarms").status == 401);
        assert!(start.elapsed() > Duration::from_millis(200), "{:?}", start.elapsed());
        bench.new_token();
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    a_revoked_token_works_on, "A revoked token works on as long as the service trusts its cache.", |bench| {
        assert_eq!(SimConfig::default().token_cache, Duration::from_mins(5));
        let config = SimConfig { token_cache: Duration::from_secs(1), dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        let start = Instant::now();
        assert_eq!(bench.get("/v1/alarms").status, 200);
        bench.sim.revoke_tokens();
        let still = bench.get("/v1/alarms").status;
        assert!(still == 200 || start.elapsed() >= Duration::from_secs(1));
        wait_until("the cache ends", || bench.get("/v1/alarms").status == 401);
        assert!(start.elapsed() >= Duration::from_secs(1));
    };
    no_token_needed_on_demand, "A stand-in may be told to serve without tokens.", |bench| {
        let config = SimConfig { token_required: false, dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        bench.set_token("none");
        bench.post(&alarm("100.101", "host=c0")).uuid();
    };
}
