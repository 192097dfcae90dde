//! Configuration files and variables as operators write them, right and wrong.

use std::io::Write;

use secrecy::ExposeSecret;

use super::*;
use crate::config::{AuditTo, Domain, Durability, Named, Principal, Proof, SecretSource};

const FULL: &str = r#"
[agent]
socket = "/run/fm/a.sock"
durability = "process"
shutdown_grace_ms = 2000

[platform.fm_rest_api]
endpoint = "http://controller:18002/"

[platform.fm_rest_api.keystone]
auth_url = "http://controller:5000/v3"
username = "fm"
password = "canary"

[openstack]
max_in_flight = 2

[openstack.fm_rest_api.keystone]
auth_url = "http://keystone.openstack.svc.cluster.local:80/v3"
application_credential_id = "abc"
application_credential_secret_file = "/run/credentials/openstack"
region = "RegionOne"
interface = "internal"

[[route]]
alarm_id = "700.*"
domain = "openstack"
"#;

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(file.path()), pairs)
}

#[test]
fn a_full_file() {
    let config = load_text(FULL, &[]).unwrap();
    assert_eq!(config.agent.durability, Durability::Process);
    assert_eq!(config.agent.shutdown_grace_ms.duration().as_millis(), 2000);
    let rest = config.platform.fm_rest_api.unwrap();
    assert_eq!(rest.endpoint.unwrap().as_str(), "http://controller:18002");
    let Proof::Password {
        user: Named::Name { name, .. },
        password: SecretSource::Given { secret, origin },
        ..
    } = rest.keystone.unwrap().account().unwrap().proof
    else {
        panic!("a password was given")
    };
    assert_eq!((name.as_str(), secret.expose_secret()), ("fm", "canary"));
    assert_eq!(origin, "the table platform.fm_rest_api.keystone");
    assert_eq!(config.openstack.unwrap().max_in_flight.get(), 2);
    assert_eq!(config.route[0].domain, Domain::Openstack);
}

#[test]
fn no_secret_shows() {
    let config = load_text(FULL, &[]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn nothing_at_all_is_standalone() {
    let config = load_text("", &[]).unwrap();
    assert!(config.platform.fm_rest_api.is_none());
    assert!(config.openstack.is_none());
    assert_eq!(config.agent.durability, Durability::Power);
}

#[test]
fn a_manager_has_its_usual_place() {
    let config = load_text("[platform.fm_manager]\n", &[("FM_AGENT__PLATFORM__FM_MANAGER__HOST", "fd00::1")]);
    let manager = config.unwrap().platform.fm_manager.unwrap();
    assert_eq!((manager.host.as_str(), manager.port), ("fd00::1", 8001));
    let config = load_text("[platform.fm_manager]\nread_timeout_ms = 700\n", &[]).unwrap();
    let manager = config.platform.fm_manager.unwrap();
    assert_eq!((manager.host.as_str(), manager.read_timeout_ms.duration().as_millis()), ("controller", 700));
}

#[test]
fn variables_win_over_the_file() {
    let config = load_text(
        FULL,
        &[
            ("FM_AGENT__AGENT__DURABILITY", "power"),
            ("FM_AGENT__OPENSTACK__MAX_IN_FLIGHT", "3"),
            ("FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__PASSWORD", "12345"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.agent.durability, Durability::Power);
    assert_eq!(config.openstack.unwrap().max_in_flight.get(), 3);
    let keystone = config.platform.fm_rest_api.unwrap().keystone.unwrap();
    assert_eq!(keystone.password.unwrap().expose_secret(), "12345");
}

#[test]
fn a_controller_can_be_given_by_variables_alone() {
    let prefix = "FM_AGENT__PLATFORM__FM_REST_API__KEYSTONE__";
    let names = ["APPLICATION_CREDENTIAL_ID", "APPLICATION_CREDENTIAL_SECRET", "AUTH_URL"];
    let names = names.map(|name| format!("{prefix}{name}"));
    let values = ["0123", "456", "http://controller:5000/v3"];
    let variables: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
    let keystone = load_text("", &variables).unwrap().platform.fm_rest_api.unwrap().keystone.unwrap();
    assert_eq!(keystone.application_credential_id.as_deref(), Some("0123"));
    assert_eq!(keystone.application_credential_secret.unwrap().expose_secret(), "456");
    assert_eq!(keystone.auth_url.unwrap().as_str(), "http://controller:5000/v3");
    // What is missing belongs to a table that only variables speak of.
    let error = load_text("", &variables[..2]).unwrap_err().to_string();
    assert!(error.contains(&names[0]) && error.contains("auth_url"), "{error}");
}

#[test]
fn the_bounds_of_the_store() {
    let config = load_text("[agent]\nmax_bytes = 2147483648\nhigh_water = 1\n", &[]).unwrap();
    assert_eq!((config.agent.max_bytes.get(), config.agent.max_requests.get()), (2 << 30, 500_000));
    assert!((config.agent.high_water.get() - 1.0).abs() < 1e-9);
    let config = load_text("", &[("FM_AGENT__AGENT__HIGH_WATER", "0.25")]).unwrap();
    assert!((config.agent.high_water.get() - 0.25).abs() < 1e-9);
}

#[test]
fn an_error_names_file_line_and_key() {
    for (text, line, key, reason) in [
        ("[agent]\nsockets = 1\n", 2, "agent.sockets", "unknown field"),
        ("[agent]\nshutdown_grace_ms = 0\n", 2, "agent.shutdown_grace_ms", "1 to 86400000"),
        ("\n[platform]\nmax_in_flight = \"many\"\n", 3, "platform.max_in_flight", "invalid type"),
        ("[agent]\nmax_bytes = 1048576\n", 2, "agent.max_bytes", "from 67108864 to 1099511627776"),
        ("[agent]\nmax_requests = 10\n", 2, "agent.max_requests", "from 1000 to 100000000"),
        ("[agent]\nhigh_water = 80\n", 2, "agent.high_water", "from 0.1 to 1, such as 0.8"),
        ("[agent]\nhigh_water = nan\n", 2, "agent.high_water", "from 0.1 to 1, such as 0.8"),
        ("[agent]\ndurability = \"none\"\n", 2, "agent.durability", "unknown variant"),
        ("[agent]\nlog = \"fm=loud\"\n", 2, "agent.log", "log filter"),
        (
            "[platform.fm_rest_api]\nendpoint = \"ftp://c\"\n",
            2,
            "platform.fm_rest_api.endpoint",
            "not an http://",
        ),
        ("[platform.fm_rest_api]\nrequest_timeout_ms = 5\n", 1, "platform.fm_rest_api", "needs endpoint"),
        (
            "[platform.fm_rest_api.keystone]\nauth_url = \"http://c:5000/v3\"\nusername = \"fm\"\n",
            1,
            "platform.fm_rest_api.keystone",
            "needs username with password",
        ),
        (
            "[platform.fm_rest_api.keystone]\ntoken_file = \"/t\"\n",
            1,
            "platform.fm_rest_api.keystone",
            "needs endpoint",
        ),
        (
            "[platform.fm_rest_api]\nendpoint = \"http://c\"\nclient_key_file = \"/k\"\n",
            1,
            "platform.fm_rest_api",
            "client_cert_file is missing",
        ),
        (
            "[platform.fm_rest_api]\nendpoint = \"http://c\"\n[platform.fm_manager]\n",
            3,
            "platform.fm_manager",
            "fm_rest_api is given too",
        ),
        ("[platform.fm_manager]\nhost = \"c:8001\"\n", 2, "platform.fm_manager.host", "no host name"),
        ("[platform.fm_manager]\nport = 70000\n", 2, "platform.fm_manager.port", "invalid value"),
        (
            "[[route]]\nalarm_id = \"1\"\ndomain = \"platform\"\n\n[[route]]\ndomain = \"platform\"\n",
            5,
            "route[1]",
            "needs alarm_id",
        ),
        ("[[route]]\nalarm_id = \"1\"\ndomain = \"moon\"\n", 3, "route[0].domain", "unknown variant"),
        (
            "[[route]]\nentity_instance_id = \"host=compute-*.storage*\"\ndomain = \"platform\"\n",
            2,
            "route[0].entity_instance_id",
            "may only end a pattern",
        ),
        ("[[route]]\nalarm_id = \"700.**\"\ndomain = \"platform\"\n", 2, "route[0].alarm_id", "'700.**'"),
        (
            "[[route]]\nentity_type_id = \"*.x\"\ndomain = \"platform\"\n",
            2,
            "route[0].entity_type_id",
            "'*.x'",
        ),
        ("[agent\n", 1, "", "unclosed"),
    ] {
        let error = load_text(text, &[]).unwrap_err();
        let shown = error.to_string();
        let ConfigError::Invalid { line: at, key: named, reason: said, .. } = error else {
            panic!("{shown}")
        };
        assert_eq!((at, named.as_str()), (line, key), "{shown}");
        assert!(said.contains(reason), "{shown}");
        assert!(shown.contains(&format!(":{line}: ")), "{shown}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    for (variable, value) in [
        ("FM_AGENT__AGENT__DURABILITY", "sometimes"),
        ("FM_AGENT__AGENT__SOCKETS", "x"),
        ("FM_AGENT__PLATFORM__MAX_IN_FLIGHT", "99"),
        ("FM_AGENT__", "x"),
        ("FM_AGENT__ROUTE", "[{alarm_id = '7*.1', domain = 'platform'}]"),
    ] {
        let error = load_text("", &[(variable, value)]).unwrap_err();
        assert!(error.to_string().contains(&format!("environment variable {variable}: ")), "{error}");
    }
}

#[test]
fn each_domain_has_its_own_variables() {
    let text = "[platform.fm_rest_api.keystone]\nvariables = \"OS_\"\n\n[openstack.fm_rest_api.keystone]\n\
                variables = \"OPENSTACK_\"\n";
    let environment = [
        ("OS_AUTH_URL", "http://p"),
        ("OS_USERNAME", "p"),
        ("OS_PASSWORD", "p"),
        ("OPENSTACK_AUTH_URL", "http://o"),
        ("OPENSTACK_USERNAME", "o"),
        ("OPENSTACK_PASSWORD", "o"),
    ];
    let config = load_text(text, &environment).unwrap();
    let urls: Vec<String> = config
        .domains()
        .values()
        .map(|domain| domain.fm_rest_api.as_ref().unwrap().keystone.as_ref().unwrap().account().unwrap())
        .map(|account| account.auth_url.unwrap().as_str().to_owned())
        .collect();
    assert_eq!(urls, ["http://p/v3", "http://o/v3"]);
    let error = load_text(text, &environment[..5]).unwrap_err().to_string();
    assert!(error.contains(":4: openstack.fm_rest_api.keystone: needs username with password"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(Path::new("/nowhere/fm-agent.toml")), []).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/fm-agent.toml: "), "{error}");
}

#[test]
fn the_guides_example_is_good() {
    let guide = include_str!("../../../docs/operator.md");
    let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = load_text(example, &[]).unwrap();
    assert!(config.platform.fm_rest_api.is_some() && config.openstack.is_some() && config.route.len() == 1);
    let example = guide.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(load_text(example, &[]).unwrap().platform.fm_manager.unwrap().port, 8001);
}

#[test]
fn who_may_do_what() {
    let config = load_text("[access]\nwrite = ['root', 'group:fm', 'uid:1001']\n", &[]).unwrap();
    assert_eq!(config.access.read, [Principal::Everyone]);
    let group = Principal::Group("fm".to_owned());
    assert_eq!(config.access.write, [Principal::User("root".to_owned()), group, Principal::Uid(1001)]);
    assert_eq!(config.access.admin, [Principal::User("root".to_owned())]);
    let by_variable = load_text("", &[("FM_AGENT__AGENT__SOCKET_MODE", "0660")]).unwrap();
    assert_eq!(by_variable.agent.socket_mode.unwrap().bits(), 0o660);
    let by_variable = load_text("", &[("FM_AGENT__AGENT__SOCKET_MODE", "660")]).unwrap();
    assert_eq!(by_variable.agent.socket_mode.unwrap().bits(), 0o660);
    assert_eq!(load_text("", &[]).unwrap().audit.to, AuditTo::Off);
    let file = load_text("[audit]\nto = '/var/log/fm/audit.log'\n", &[]).unwrap();
    assert_eq!(file.audit.to, AuditTo::File("/var/log/fm/audit.log".into()));
}

#[test]
fn wrong_limits_and_principals_name_their_key() {
    for (text, key) in [
        ("[agent]\nmax_connections = 0\n", "agent.max_connections"),
        ("[limits]\nconnections_per_process = 0\n", "limits.connections_per_process"),
        ("[limits]\nrequests_per_user = -1\n", "limits.requests_per_user"),
        ("[limits]\nbuffered_bytes = 1000\n", "limits.buffered_bytes"),
        ("[access]\nadmin = ['1001']\n", "access.admin[0]"),
        ("[access]\nwrite = ['root', 'team:fm']\n", "access.write[1]"),
        ("[audit]\nto = 'audit.log'\n", "audit.to"),
        ("[agent]\nsocket_mode = 660\n", "agent.socket_mode"),
    ] {
        let error = load_text(text, &[]).unwrap_err().to_string();
        assert!(error.contains(&format!(":2: {key}: ")), "{error}");
    }
}
