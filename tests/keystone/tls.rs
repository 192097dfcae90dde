//! Keystone over https, with an authority of its own and for those only who show a certificate.

use std::path::Path;

use crate::support::{Bench, KEYSTONE, PASSWORD, clear, from_toml, raise, unavailable};

/// A backend that goes to Keystone over https.
fn config(bench: &Bench, tls: &str) -> String {
    format!(
        "[fm_rest_api]\n{tls}\n[fm_rest_api.keystone]\nauth_url = '{}'\nregion = '{}'\nusername = 'fm'\n\
         password = '{PASSWORD}'\n",
        bench.keystone.secure_url, bench.region
    )
}

fn files(directory: &Path, authority: &str, client: &str) -> String {
    let path = |name: String| directory.join(name).display().to_string();
    format!(
        "ca_file = '{}'\nclient_cert_file = '{}'\nclient_key_file = '{}'",
        path(format!("{authority}.pem")),
        path(format!("{client}.pem")),
        path(format!("{client}.key"))
    )
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn both_sides_are_checked() {
    let bench = Bench::new(&KEYSTONE).await;
    let certificates = &bench.keystone.directory;
    raise(&*from_toml(&config(&bench, &files(certificates, "ca", "client")))).await.unwrap();
    assert_eq!(bench.standing(), 1);
    let authority_only = format!("ca_file = '{}'", certificates.join("ca.pem").display());
    for tls in [
        "",
        &authority_only,
        &files(certificates, "another-ca", "client"),
        &files(certificates, "ca", "another-client"),
    ] {
        let reason = unavailable(clear(&*from_toml(&config(&bench, tls))).await);
        assert!(reason.contains(&bench.keystone.secure_url), "{reason}");
    }
    assert_eq!(bench.standing(), 1);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn the_certificates_of_a_cloud_are_used() {
    let bench = Bench::new(&KEYSTONE).await;
    let certificates = bench.keystone.directory.display();
    let clouds = bench.file(
        "clouds.yaml",
        &format!(
            "clouds:\n  fleet:\n    region_name: {}\n    cacert: {certificates}/ca.pem\n    cert: \
             {certificates}/client.pem\n    key: {certificates}/client.key\n    auth:\n      auth_url: {}\n      \
             username: fm\n      password: {PASSWORD}\n      project_name: services\n",
            bench.region, bench.keystone.secure_url
        ),
    );
    let backend = from_toml(&format!("[fm_rest_api.keystone]\nclouds_file = '{}'\n", clouds.display()));
    raise(&*backend).await.unwrap();
    assert_eq!(bench.standing(), 1);
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn exchanged_certificates_need_no_restart() {
    let bench = Bench::new(&KEYSTONE).await;
    let put = |name: &str, from: &str| {
        std::fs::copy(bench.keystone.directory.join(from), bench.directory.path().join(name)).unwrap();
    };
    put("ca.pem", "another-ca.pem");
    for kind in ["pem", "key"] {
        put(&format!("client.{kind}"), &format!("another-client.{kind}"));
    }
    let backend = from_toml(&config(&bench, &files(bench.directory.path(), "ca", "client")));
    unavailable(raise(&*backend).await);
    put("ca.pem", "ca.pem");
    unavailable(raise(&*backend).await);
    // Half exchanged, certificate and key do not fit: the earlier ones go on.
    put("client.pem", "client.pem");
    unavailable(raise(&*backend).await);
    put("client.key", "client.key");
    raise(&*backend).await.unwrap();
    assert_eq!(bench.standing(), 1);
}
