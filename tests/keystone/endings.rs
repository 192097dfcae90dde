//! Tokens and accounts that end: expiry, revocation, changed and wrong passwords, lockout.

use std::time::{Duration, Instant};

use fm_agent::backend::Failure;
use fm_rest_sim::Service;
use serde_json::json;

use crate::support::{
    Administrator, Bench, HASTY, HASTY_LIFETIME, KEYSTONE, PASSWORD, clear, from_toml, raise, unavailable,
};

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn tokens_that_live_for_seconds_are_renewed_before_they_end() {
    let bench = Bench::new(&HASTY).await;
    let backend = bench.user("fm", "services");
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < HASTY_LIFETIME * 3 {
        raise(&*backend).await.unwrap();
        clear(&*backend).await.unwrap();
        rounds += 1;
    }
    assert!(rounds > 10, "{rounds} rounds");
    assert_eq!((bench.refused(), bench.standing()), (0, 0));
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_token_file_is_read_again_when_its_token_has_ended() {
    let bench = Bench::new(&HASTY).await;
    let fresh =
        async || Administrator::of(bench.keystone).await.token_for("fm", PASSWORD, "services").await.unwrap();
    let file = bench.file("token", &fresh().await);
    let account = format!("token_file = '{}'", file.display());
    let alone =
        format!("[fm_rest_api]\nendpoint = '{}'\n[fm_rest_api.keystone]\n{account}\n", bench.sim.url());
    let (known, alone) = (bench.backend(&account), from_toml(&alone));
    known.probe().await.unwrap();
    alone.probe().await.unwrap();
    let start = Instant::now();
    // Whoever keeps the token fresh is late.
    let reason = loop {
        assert!(start.elapsed() < HASTY_LIFETIME * 2, "the token does not end");
        if let Err(failure) = alone.probe().await {
            break failure.reason;
        }
    };
    assert!(reason.contains(&format!("refuses the token in {} (401)", file.display())), "{reason}");
    let reason = unavailable(known.probe().await);
    assert!(reason.contains("does not know the token in"), "{reason}");
    bench.file("token", &fresh().await);
    known.probe().await.unwrap();
    alone.probe().await.unwrap();
}

/// Keystone counts in whole seconds: a token issued in the second in which the account's tokens were revoked is
/// revoked as well. The agent asks again, as it does with every controller that cannot be used.
async fn insist(ask: impl AsyncFn() -> Result<(), Failure>) {
    let start = Instant::now();
    while let Err(failure) = ask().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{failure}");
        assert!(failure.reason.contains("a token that Keystone has just issued (401)"), "{failure}");
    }
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_revoked_token_is_replaced_and_the_request_goes_on() {
    let bench = Bench::new(&KEYSTONE).await;
    let backend = bench.user("revoked", "services");
    backend.probe().await.unwrap();
    // A changed password ends all tokens of the account: here it becomes what it was.
    let administrator = Administrator::of(bench.keystone).await;
    administrator.change_user("revoked", json!({"password": "meanwhile"})).await;
    administrator.change_user("revoked", json!({"password": PASSWORD})).await;
    insist(async || raise(&*backend).await).await;
    assert!(bench.refused() >= 1);
    assert_eq!(bench.standing(), 1);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_revoked_token_in_a_file_is_refused_until_another_one_is_there() {
    let bench = Bench::new(&KEYSTONE).await;
    let administrator = Administrator::of(bench.keystone).await;
    let token = administrator.token_for("fm", PASSWORD, "services").await.unwrap();
    let file = bench.file("token", &token);
    let backend = bench.backend(&format!("token_file = '{}'", file.display()));
    raise(&*backend).await.unwrap();
    administrator.revoke(&token).await;
    let reason = unavailable(clear(&*backend).await);
    assert!(reason.contains("does not know the token in"), "{reason}");
    bench.file("token", &administrator.token_for("fm", PASSWORD, "services").await.unwrap());
    clear(&*backend).await.unwrap();
    assert_eq!(bench.standing(), 0);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_rotated_password_needs_no_restart() {
    let bench = Bench::new(&KEYSTONE).await;
    let file = bench.file("password", PASSWORD);
    let backend = bench.backend(&format!("username = 'rotating'\npassword_file = '{}'", file.display()));
    raise(&*backend).await.unwrap();
    let administrator = Administrator::of(bench.keystone).await;
    administrator.change_user("rotating", json!({"password": "rotated-secret"})).await;
    // Keystone first, the file later: the account is refused in between.
    let reason = unavailable(clear(&*backend).await);
    assert!(
        reason.contains("refuses user 'rotating'") && reason.contains(file.to_str().unwrap()),
        "{reason}"
    );
    bench.file("password", "rotated-secret\n");
    insist(async || clear(&*backend).await).await;
    assert_eq!(bench.standing(), 0);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_wrong_password_does_not_lock_the_account() {
    let bench = Bench::new(&KEYSTONE).await;
    let administrator = Administrator::of(bench.keystone).await;
    let wrong = bench.backend("username = 'locked'\npassword = 'wrong'");
    // Callers and probes ask much more often than the five times that lock it.
    for _ in 0..100 {
        let reason = unavailable(raise(&*wrong).await);
        assert!(reason.contains("refuses user 'locked'"), "{reason}");
    }
    administrator.token_for("locked", PASSWORD, "services").await.unwrap();
    assert!(bench.sim.requests_to(Service::Fm).is_empty());

    // That it would be locked is shown by one who asks each time.
    for _ in 0..5 {
        assert_eq!(administrator.token_for("locked", "wrong", "services").await, Err(401));
    }
    assert_eq!(administrator.token_for("locked", PASSWORD, "services").await, Err(401));
    let reason = unavailable(raise(&*bench.user("locked", "services")).await);
    assert!(reason.contains("locked"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_disabled_account_is_named() {
    let bench = Bench::new(&KEYSTONE).await;
    let backend = bench.user("disabled", "services");
    raise(&*backend).await.unwrap();
    let administrator = Administrator::of(bench.keystone).await;
    administrator.change_user("disabled", json!({"enabled": false})).await;
    let reason = unavailable(clear(&*backend).await);
    assert!(reason.contains("refuses user 'disabled'") && reason.contains("disabled or locked"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_service_that_still_trusts_a_revoked_token_is_served_with_it() {
    let bench = Bench::with(&KEYSTONE, Duration::from_mins(5)).await;
    let administrator = Administrator::of(bench.keystone).await;
    let token = administrator.token_for("fm", PASSWORD, "services").await.unwrap();
    let file = bench.file("token", &token);
    let backend = bench.backend(&format!("token_file = '{}'", file.display()));
    raise(&*backend).await.unwrap();
    administrator.revoke(&token).await;
    clear(&*backend).await.unwrap();
    assert_eq!((bench.refused(), bench.standing()), (0, 0));
}
