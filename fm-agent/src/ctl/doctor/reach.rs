//! Whether a host's name has addresses, and whether something listens at its port.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::finding::Findings;

/// How long a lookup may take before it is worth a look.
const SLOW: Duration = Duration::from_millis(500);

/// Whether a connection comes about.
pub(super) async fn check(host: &str, port: u16, limit: Duration, findings: &mut Findings) -> bool {
    let Some(addresses) = look_up(host, port, limit, findings).await else { return false };
    let place = format!("{host}:{port}");
    let (mut reached, mut failed) = (Vec::new(), Vec::new());
    for address in addresses {
        let started = Instant::now();
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_)) => reached.push(format!("{} in {} ms", address.ip(), started.elapsed().as_millis())),
            Ok(Err(error)) => failed.push(format!("{}: {error}", address.ip())),
            Err(_) => failed.push(format!("{}: no connection within {} ms", address.ip(), limit.as_millis())),
        }
    }
    if reached.is_empty() {
        let advice = "Is the service running there, is the port right, and does no firewall stand between? A refusal \
                      comes from the host, silence from the network.";
        findings.fail("port", &place, &failed.join(", "), advice);
        return false;
    }
    if failed.is_empty() {
        findings.ok("port", &place, &format!("connected: {}", reached.join(", ")));
    } else {
        let found = format!("connected: {}; not: {}", reached.join(", "), failed.join(", "));
        let advice =
            "Take the dead address out of the name service, or make it work: each attempt there costs time.";
        findings.warn("port", &place, &found, advice);
    }
    true
}

async fn look_up(host: &str, port: u16, limit: Duration, findings: &mut Findings) -> Option<Vec<SocketAddr>> {
    let advice =
        "Is the name right? Look at /etc/hosts and /etc/resolv.conf, and whether the name server answers.";
    let started = Instant::now();
    let found = timeout(limit, lookup_host((host.trim_matches(['[', ']']), port))).await;
    let took = started.elapsed();
    let mut addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            findings.fail("name", host, &format!("cannot be resolved: {error}"), advice);
            return None;
        }
        Err(_) => {
            let found = format!("is not resolved within {} ms", limit.as_millis());
            findings.fail("name", host, &found, advice);
            return None;
        }
    };
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        findings.fail("name", host, "has no address", advice);
        return None;
    }
    let family = |wanted: fn(&SocketAddr) -> bool| {
        let found: Vec<String> = addresses
            .iter()
            .filter(|address| wanted(address))
            .map(|address| address.ip().to_string())
            .collect();
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    };
    let millis = took.as_millis();
    let told =
        format!("IPv4 {}; IPv6 {}; in {millis} ms", family(SocketAddr::is_ipv4), family(SocketAddr::is_ipv6));
    if took > SLOW {
        findings.warn("name", host, &told, "The name server is slow: each new connection waits for it.");
    } else {
        findings.ok("name", host, &told);
    }
    Some(addresses)
}
