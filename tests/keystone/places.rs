//! Where the service is: the catalogue by type, interface and region; and where the account is: a clouds file,
//! read by the agent and by an OpenStack client alike.

use std::process::Command;

use crate::support::{Bench, KEYSTONE, PASSWORD, clear, from_toml, python, raise, unavailable};

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn the_endpoint_is_found_by_type_interface_and_region() {
    let (bench, other) = tokio::join!(Bench::new(&KEYSTONE), Bench::new(&KEYSTONE));
    other.add_endpoint("public", &bench.region).await;
    let account = |keys: &str| format!("username = 'fm'\npassword = '{PASSWORD}'\n{keys}");
    raise(&*bench.backend(&account(""))).await.unwrap();
    assert_eq!((bench.standing(), other.standing()), (1, 0));
    raise(&*bench.backend(&account("interface = 'public'"))).await.unwrap();
    assert_eq!((bench.standing(), other.standing()), (1, 1));

    for (keys, part) in [
        ("interface = 'admin'", "no admin endpoint of service type 'faultmanagement'"),
        ("service_type = 'fault'", "no internal endpoint of service type 'fault'"),
    ] {
        let reason = unavailable(raise(&*bench.backend(&account(keys))).await);
        assert!(reason.contains(part), "{reason}");
    }
    let elsewhere = format!(
        "[fm_rest_api.keystone]\nauth_url = '{}'\nregion = 'Elsewhere'\n{}\n",
        bench.keystone.url,
        account("")
    );
    let reason = unavailable(raise(&*from_toml(&elsewhere)).await);
    let there_is = format!("internal in '{}'", bench.region);
    assert!(reason.contains("in region 'Elsewhere'") && reason.contains(&there_is), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Keystone: cargo xtask test"]
async fn a_clouds_file_means_the_same_to_the_agent_and_to_openstacksdk() {
    let bench = Bench::new(&KEYSTONE).await;
    let without_version = bench.keystone.url.trim_end_matches("/v3");
    let clouds = bench.file(
        "clouds.yaml",
        &format!(
            "usual: &usual\n  region_name: {}\n  interface: internal\nclouds:\n  fleet:\n    <<: *usual\n    auth:\n      \
             auth_url: {without_version}\n      username: fm\n      project_name: services\n      user_domain_name: \
             Default\n      project_domain_id: default\n",
            bench.region
        ),
    );
    bench.file("secure.yaml", &format!("clouds:\n  fleet:\n    auth:\n      password: {PASSWORD}\n"));
    let client = Command::new(python())
        .args(["-W", "ignore", "-c", CLIENT])
        .current_dir(bench.directory.path())
        .env_remove("OS_CLIENT_CONFIG_FILE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&client.stdout).trim().to_owned();
    assert_eq!(said, format!("services {}", bench.sim.url()), "{}", String::from_utf8_lossy(&client.stderr));

    let account = format!("clouds_file = '{}'\ncloud = 'fleet'", clouds.display());
    let backend = from_toml(&format!("[fm_rest_api.keystone]\n{account}\n"));
    raise(&*backend).await.unwrap();
    clear(&*backend).await.unwrap();
    assert_eq!(bench.standing(), 0);

    // A wrong secret is told with its place.
    bench.file("secure.yaml", "clouds:\n  fleet:\n    auth:\n      password: canary\n");
    let reason = unavailable(raise(&*from_toml(&format!("[fm_rest_api.keystone]\n{account}\n"))).await);
    assert!(reason.contains("secure.yaml:4") && !reason.contains("canary"), "{reason}");
}

/// Prints the project of the client's token and the service's endpoint.
const CLIENT: &str = "
import openstack
cloud = openstack.connect(cloud='fleet', load_envvars=False)
access = cloud.session.auth.get_access(cloud.session)
print(access.project_name, cloud.config.get_session_endpoint('faultmanagement'))
";
