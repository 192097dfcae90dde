//! No secret and no token in any error, Debug output or log line of this whole program, down to the finest
//! level: every test logs into one buffer, which is searched here.

use fm_rest_sim::{DEFAULT_PASSWORD, Fault, FaultKind, SimConfig, User};

use crate::support::{Bench, LOGGED, alarm, log, usual};

const CANARY: &str = "canary-7f3e";

/// Whether the text holds one of the stand-in's tokens: `sim-` and hexadecimal digits.
fn holds_token(text: &str) -> bool {
    text.split("sim-").skip(1).any(|rest| rest.chars().take(16).filter(char::is_ascii_hexdigit).count() == 16)
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let config =
        SimConfig { users: vec![User::new("fm", CANARY, "services", &["admin"])], ..SimConfig::default() };
    let rest = "request_timeout_ms = 1000\n";
    let account = |password: &str| format!("username = 'fm'\npassword = '{password}'\n");
    let mut shown = Vec::new();

    let bench = Bench::with(config.clone(), rest, &account(CANARY));
    bench.backend.raise(&usual()).await.unwrap();
    bench.backend.log(&log(alarm("host=a\0", "\u{1F525}"))).await.unwrap();
    for fault in [
        Fault::new(FaultKind::Unauthorized),
        Fault::new(FaultKind::Forbidden),
        Fault::new(FaultKind::Reset),
        Fault::new(FaultKind::Hang),
        Fault::new(FaultKind::HalfAnswer),
        Fault::new(FaultKind::BrokenJson),
        Fault::status(500),
        Fault::status(302),
    ] {
        for fault in [fault.clone(), fault.at_keystone()] {
            bench.fault(fault);
            bench.sim.invalidate_tokens();
            let failure = bench.backend.raise(&usual()).await.unwrap_err();
            shown.push(format!("{failure} {failure:?}"));
            bench.sim.clear_faults().unwrap();
        }
    }
    let wrong = Bench::with(config, rest, &account(&format!("{CANARY}-wrong")));
    let failure = wrong.backend.probe().await.unwrap_err();
    shown.push(format!("{failure} {failure:?}"));

    let logged = LOGGED.text();
    for expected in ["new Keystone token", "POST alarms", "it was adapted", "hyper_util"] {
        assert!(logged.contains(expected), "the log lacks '{expected}'");
    }
    for line in shown.iter().map(String::as_str).chain(logged.lines()) {
        assert!(!line.contains(CANARY) && !line.contains(DEFAULT_PASSWORD) && !holds_token(line), "{line}");
    }
    assert!(holds_token("x sim-0123456789abcdef"));
}
