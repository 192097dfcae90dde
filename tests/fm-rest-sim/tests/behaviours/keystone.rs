//! Keystone: tokens, catalogue, and its own faults.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::time::{Duration, Instant};

use fm_rest_sim::{DEFAULT_PASSWORD, DEFAULT_PROJECT, DEFAULT_USER, Fault, FaultKind, SimConfig, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, behaviours, password_request};

fn roles(token: &Value) -> Vec<&str> {
    token["token"]["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect()
}

behaviours! {
    a_token_by_password, "201 with X-Subject-Token, user, project, roles, times and catalogue.", |bench| {
        let answer = bench.authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT);
        assert_eq!(answer.status, 201);
        assert!(answer.header("x-subject-token").unwrap().len() > 32);
        let body = answer.json();
        assert_eq!(body["token"]["user"]["name"], DEFAULT_USER);
        assert_eq!(body["token"]["project"]["name"], DEFAULT_PROJECT);
        assert_eq!(roles(&body), ["admin", "manager", "member", "reader"]);
        for key in ["issued_at", "expires_at"] {
            assert!(body["token"][key].as_str().unwrap().ends_with('Z'), "{key}");
        }
    };
    the_catalogue, "faultmanagement / fm with the service's URL on three interfaces, in the region.", |bench| {
        let config = SimConfig { region: "Edge".to_owned(), dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        let body = bench.authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT).json();
        let catalogue = body["token"]["catalog"].as_array().unwrap();
        let fm = catalogue.iter().find(|entry| entry["type"] == "faultmanagement").unwrap();
        assert_eq!(fm["name"], "fm");
        let endpoints = fm["endpoints"].as_array().unwrap();
        let interfaces: Vec<&str> = endpoints.iter().map(|endpoint| endpoint["interface"].as_str().unwrap()).collect();
        assert_eq!(interfaces, ["public", "internal", "admin"]);
        assert!(endpoints.iter().all(|endpoint| endpoint["url"] == bench.sim.url() && endpoint["region"] == "Edge"));
    };
    a_catalogue_url_of_choice, "The URL may carry /v1, as some installations have it.", |bench| {
        let config = SimConfig { catalogue_url: Some("http://fm/v1".to_owned()), dialect: bench.dialect, ..SimConfig::default() };
        let body = Bench::with(config).authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT).json();
        assert!(body["token"]["catalog"].to_string().contains("\"http://fm/v1\""));
    };
    wrong_password_user_and_project, "401 with an error object.", |bench| {
        for (user, password, project) in
            [(DEFAULT_USER, "wrong", DEFAULT_PROJECT), ("nobody", DEFAULT_PASSWORD, DEFAULT_PROJECT), (DEFAULT_USER, DEFAULT_PASSWORD, "nowhere")]
        {
            let answer = bench.authenticate(user, password, project);
            assert_eq!((answer.status, answer.json()["error"]["code"].as_u64()), (401, Some(401)));
            assert!(answer.header("x-subject-token").is_none());
        }
        assert_eq!(bench.ask_keystone(&json!({"auth": {}})).unwrap().status, 400);
    };
    another_domain_is_unknown, "A user of another domain is a 401.", |bench| {
        let mut body = password_request(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT);
        body["auth"]["identity"]["password"]["user"]["domain"]["name"] = json!("Other");
        assert_eq!(bench.ask_keystone(&body).unwrap().status, 401);
    };
    scope_by_id_and_without, "Project by id works; unscoped has no project and no roles.", |bench| {
        let body = bench.authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT).json();
        let mut by_id = password_request(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT);
        by_id["auth"]["scope"] = json!({"project": {"id": body["token"]["project"]["id"]}});
        assert_eq!(bench.ask_keystone(&by_id).unwrap().json()["token"]["project"]["name"], DEFAULT_PROJECT);
        by_id["auth"]["scope"] = json!("unscoped");
        let unscoped = bench.ask_keystone(&by_id).unwrap();
        assert!(unscoped.json()["token"].get("project").is_none());
        bench.set_token(unscoped.header("x-subject-token").unwrap());
        assert_eq!(bench.get("/v1/alarms").status, 403);
    };
    a_token_by_token_shown_and_revoked, "The token method, GET and DELETE of a token.", |bench| {
        let token = bench.token();
        let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}},
            "scope": {"project": {"name": DEFAULT_PROJECT, "domain": {"id": "default"}}}}});
        let second = bench.ask_keystone(&body).unwrap().header("x-subject-token").unwrap().to_owned();
        let url = format!("{}/auth/tokens", bench.sim.keystone_url());
        let headers = [("x-auth-token", token.as_str()), ("x-subject-token", second.as_str())];
        assert_eq!(bench.send(Method::GET, &url, &headers, None).unwrap().json()["token"]["user"]["name"], DEFAULT_USER);
        assert_eq!(bench.send(Method::DELETE, &url, &headers, None).unwrap().status, 204);
        assert_eq!(bench.send(Method::GET, &url, &headers, None).unwrap().status, 404);
    };
    versions, "GET / and /v3 say what there is.", |bench| {
        let v3 = bench.send(Method::GET, &bench.sim.keystone_url(), &[], None).unwrap();
        assert_eq!((v3.status, &v3.json()["version"]["status"]), (200, &json!("stable")));
        let root = bench.sim.keystone_url().replace("/v3", "/");
        assert_eq!(bench.send(Method::GET, &root, &[], None).unwrap().status, 300);
    };
    its_faults, "Wrong password, down, slow, refusing: each on demand.", |bench| {
        let ask = || bench.ask_keystone(&password_request(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT));
        bench.sim.add_fault(Fault::new(FaultKind::Unauthorized).at_keystone().times(1)).unwrap();
        assert_eq!(ask().unwrap().status, 401);
        bench.sim.set_keystone_down(true).unwrap();
        assert_eq!(ask().unwrap().status, 503);
        bench.sim.set_keystone_down(false).unwrap();
        bench.sim.add_fault(Fault::slow(200).at_keystone().times(1)).unwrap();
        let start = Instant::now();
        assert_eq!(ask().unwrap().status, 201);
        assert!(start.elapsed() >= Duration::from_millis(200));
        let id = bench.sim.add_fault(Fault::new(FaultKind::Refuse).at_keystone()).unwrap();
        assert!(ask().unwrap_err().is_connect());
        // The service cannot ask either.
        bench.set_token("unknown");
        assert_eq!(bench.get("/v1/alarms").status, 503);
        bench.sim.remove_fault(id).unwrap();
        assert_eq!(ask().unwrap().status, 201);
    };
    changed_users, "Users and roles can be changed while it runs.", |bench| {
        bench.sim.set_users(vec![User::new(DEFAULT_USER, "new", "tenant", &["reader"])]);
        assert_eq!(bench.authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT).status, 401);
        let answer = bench.authenticate(DEFAULT_USER, "new", "tenant");
        assert_eq!(roles(&answer.json()), ["reader"]);
    };
}
