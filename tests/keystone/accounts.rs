//! Who may do what: users shaped like those of real deployments, and every way to prove oneself.

use crate::support::{Administrator, Bench, KEYSTONE, PASSWORD, clear, from_toml, raise, read, unavailable};

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn those_who_may_write_can_raise_read_and_clear() {
    let bench = Bench::new(&KEYSTONE).await;
    for (user, project) in [("fm", "services"), ("fm-admin", "admin"), ("configurator", "admin")] {
        let backend = bench.user(user, project);
        raise(&*backend).await.unwrap();
        assert_eq!((bench.standing(), read(&*backend).await.unwrap()), (1, 1), "{user}");
        clear(&*backend).await.unwrap();
        assert_eq!(bench.standing(), 0, "{user}");
    }
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn those_who_may_only_read_are_told_project_and_roles() {
    let bench = Bench::new(&KEYSTONE).await;
    for (user, project, roles) in [
        ("reader", "services", "reader"),
        ("operator", "services", "operator"),
        // The default of the containerized application's chart: admin, in a project that may not write.
        ("fm-chart", "service", "admin"),
    ] {
        let backend = bench.user(user, project);
        assert_eq!(read(&*backend).await.unwrap(), 0, "{user}");
        let reason = unavailable(raise(&*backend).await);
        for part in ["403", "admin or configurator", "admin or services"] {
            assert!(reason.contains(part), "{reason}");
        }
        let (_, holder) = reason.split_once("the token is for ").unwrap();
        let (who, held) = holder.split_once(" with the roles ").unwrap();
        assert_eq!(who, format!("user '{user}' in the project '{project}'"));
        assert!(held.split(", ").any(|role| role == roles), "{reason}");
        assert_eq!(bench.standing(), 0, "{user}");
    }
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn user_and_project_may_be_given_by_id() {
    let bench = Bench::new(&KEYSTONE).await;
    let administrator = Administrator::of(bench.keystone).await;
    let user = administrator.id_of("user", "fm").await;
    let project = administrator.id_of("project", "services").await;
    let by_id = format!("user_id = '{user}'\npassword = '{PASSWORD}'\nproject_id = '{project}'");
    raise(&*bench.backend(&by_id)).await.unwrap();
    let domains = format!(
        "username = 'fm'\npassword = '{PASSWORD}'\nuser_domain_id = 'default'\nproject_domain_id = 'default'"
    );
    clear(&*bench.backend(&domains)).await.unwrap();
    assert_eq!(bench.standing(), 0);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn application_credentials_by_id_and_by_name() {
    let bench = Bench::new(&KEYSTONE).await;
    let administrator = Administrator::of(bench.keystone).await;
    let (id, secret) = administrator.application_credential("fm", "services", "of-the-agent").await;
    let file = bench.file("secret", &format!("{secret}\n"));
    let by_id = format!(
        "application_credential_id = '{id}'\napplication_credential_secret_file = '{}'",
        file.display()
    );
    raise(&*bench.backend(&by_id)).await.unwrap();
    let by_name = format!(
        "application_credential_name = 'of-the-agent'\nusername = 'fm'\napplication_credential_secret = '{secret}'"
    );
    clear(&*bench.backend(&by_name)).await.unwrap();

    let wrong = format!("application_credential_id = '{id}'\napplication_credential_secret = 'canary'");
    let reason = unavailable(raise(&*bench.backend(&wrong)).await);
    assert!(reason.contains(&format!("refuses application credential {id}")), "{reason}");
    assert!(reason.contains("the secret from the keystone table") && !reason.contains("canary"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_token_from_a_file_with_and_without_a_keystone() {
    let bench = Bench::new(&KEYSTONE).await;
    let administrator = Administrator::of(bench.keystone).await;
    let token = administrator.token_for("fm", PASSWORD, "services").await.unwrap();
    let file = bench.file("token", &format!("{token}\n"));
    let account = format!("token_file = '{}'", file.display());
    raise(&*bench.backend(&account)).await.unwrap();
    let alone =
        format!("[fm_rest_api]\nendpoint = '{}'\n[fm_rest_api.keystone]\n{account}\n", bench.sim.url());
    clear(&*from_toml(&alone)).await.unwrap();

    let reader = administrator.token_for("reader", PASSWORD, "services").await.unwrap();
    bench.file("token", &reader);
    let reason = unavailable(raise(&*bench.backend(&account)).await);
    assert!(reason.contains("user 'reader' in the project 'services'"), "{reason}");
    bench.file("token", "no-token-of-this-keystone");
    let reason = unavailable(raise(&*bench.backend(&account)).await);
    assert!(
        reason.contains("does not know the token in") && reason.contains(file.to_str().unwrap()),
        "{reason}"
    );
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn wrong_names_are_refused_and_named() {
    let bench = Bench::new(&KEYSTONE).await;
    for (account, part) in [
        ("username = 'nobody'", "user 'nobody' of domain 'Default'"),
        ("username = 'fm'\nproject_name = 'admin'", "project 'admin' of domain 'Default'"),
        ("username = 'fm'\nproject_name = 'nowhere'", "project 'nowhere'"),
        ("username = 'fm'\nuser_domain_name = 'Elsewhere'", "domain 'Elsewhere'"),
    ] {
        let backend = bench.backend(&format!("{account}\npassword = '{PASSWORD}'"));
        let reason = unavailable(raise(&*backend).await);
        assert!(reason.contains("refuses user") && reason.contains(part), "{reason}");
        assert!(reason.contains(&bench.keystone.url), "{reason}");
    }
}
