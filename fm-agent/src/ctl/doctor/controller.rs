//! One domain's controller: reached, proved, used, each step only when the one before it works.

use std::time::{Duration, Instant};

use fm_common::Timestamp;
use reqwest::Url;

use super::certificate::Need;
use super::finding::Findings;
use super::{certificate, clock, reach};
use crate::backend::inspect::{Inspection, Shown, question};
use crate::backend::{Link, Refusals};
use crate::config::{BackendConfig, Domain, DomainConfig, FmManagerConfig, FmRestApiConfig, HttpUrl};

pub(super) async fn check(
    domain: Domain,
    config: &DomainConfig,
    ask_limit: Duration,
    refusals: &Refusals,
    findings: &mut Findings,
) {
    match config.backend() {
        Ok(BackendConfig::Standalone) => {
            findings.ok("controller", domain.name(), "none is configured: the record is this node's own");
        }
        Ok(_) => {
            // Of the way to some there is more to tell; using it is the same for all.
            let (kind, is_reached) = match config {
                DomainConfig { fm_rest_api: Some(rest), .. } => {
                    ("service", rest_api(domain, rest, refusals, findings).await)
                }
                DomainConfig { fm_manager: Some(manager), .. } => {
                    ("manager", manager_reached(manager, findings).await)
                }
                _ => ("controller", true),
            };
            if is_reached {
                used(domain, kind, config, ask_limit, refusals, findings).await;
            }
        }
        Err((key, reason)) => {
            let advice = "Correct the configuration.";
            findings.fail("controller", domain.name(), &format!("{key}: {reason}"), advice);
        }
    }
}

async fn manager_reached(config: &FmManagerConfig, findings: &mut Findings) -> bool {
    reach::check(config.host.as_str(), config.port, config.connect_timeout_ms.duration(), findings).await
}

/// Whether service and Keystone can be reached, and the account is good.
async fn rest_api(
    domain: Domain,
    config: &FmRestApiConfig,
    refusals: &Refusals,
    findings: &mut Findings,
) -> bool {
    if let Ok(tls) = config.tls() {
        if let Some(path) = &tls.ca_file {
            certificate::tell_file("ca-certificate", path, Need::One, findings);
        }
        if let Some(path) = &tls.client_cert_file {
            certificate::tell_file("client-certificate", path, Need::All, findings);
        }
    }
    let inspection = match Inspection::new(config, refusals) {
        Ok(inspection) => inspection,
        Err(error) => {
            let advice = "Correct the file or the key that is named; the agent does not start with it.";
            findings.fail("controller", domain.name(), &error, advice);
            return false;
        }
    };
    let limit = config.connect_timeout_ms.duration();
    let account = config.keystone.as_ref().and_then(|keystone| keystone.account().ok());
    if let Some(auth_url) = account.and_then(|account| account.auth_url)
        && !server(&inspection, "Keystone", &auth_url, limit, findings).await
    {
        return false;
    }
    let from_catalogue = match inspection.account().await {
        None => None,
        Some(Err(failure)) => {
            let advice = "The line says what Keystone refuses. Correct the account and ask again.";
            findings.fail("keystone", domain.name(), &failure.reason, advice);
            return false;
        }
        Some(Ok(accepted)) => {
            let holder = accepted.holder.unwrap_or_else(|| "a token from a file".to_owned());
            findings.ok("keystone", domain.name(), &format!("the account is accepted: {holder}"));
            Some(accepted.endpoint)
        }
    };
    let endpoint = match (&config.endpoint, from_catalogue) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(Ok(endpoint))) => {
            findings.ok("catalogue", domain.name(), &format!("the service is at {}", endpoint.as_str()));
            endpoint
        }
        (None, Some(Err(reason))) => {
            let advice = "Correct region, interface or service_type, or set endpoint.";
            findings.fail("catalogue", domain.name(), &reason, advice);
            return false;
        }
        (None, None) => {
            let advice = "Set endpoint, or a keystone table whose catalogue has it.";
            findings.fail("catalogue", domain.name(), "nothing says where the service is", advice);
            return false;
        }
    };
    server(&inspection, "fm-rest-api", &endpoint, limit, findings).await
}

/// Whether a server can be reached and answers over HTTP, whatever it answers.
async fn server(
    inspection: &Inspection,
    name: &str,
    url: &HttpUrl,
    limit: Duration,
    findings: &mut Findings,
) -> bool {
    let shown = url.as_str();
    let Ok(parsed) = Url::parse(shown) else {
        findings.fail("controller", shown, "is no URL", "Correct it.");
        return false;
    };
    let host = parsed.host_str().unwrap_or_default();
    let port = parsed.port_or_known_default().unwrap_or_default();
    if !reach::check(host, port, limit, findings).await {
        return false;
    }
    let secure = parsed.scheme() == "https";
    let asked = Timestamp::now();
    match inspection.look(shown).await {
        Ok(Shown { status, date, certificate }) => {
            if secure {
                certificate_told(shown, certificate, findings);
            }
            findings.ok("http", shown, &format!("{name} answers (status {status})"));
            clock::tell(shown, date.as_deref(), middle(asked, Timestamp::now()), findings);
            true
        }
        Err(words) if secure && is_about_certificate(&words) => {
            findings.fail("certificate", shown, &words, &certificate_advice(&words));
            false
        }
        Err(words) => {
            let advice = if secure {
                "Does the port speak https? Else the server takes the connection and does not answer: look there."
            } else {
                "The server takes the connection and does not answer as HTTP: look at it and at its port."
            };
            findings.fail("http", shown, &format!("{name}: {words}"), advice);
            false
        }
    }
}

fn certificate_told(shown: &str, certificate: Option<Vec<u8>>, findings: &mut Findings) {
    match certificate {
        Some(der) => certificate::tell("certificate", shown, &der, findings),
        None => findings.skip("certificate", shown, "the server shows none"),
    }
}

fn is_about_certificate(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("certificate") || words.contains("unknownissuer")
}

fn certificate_advice(words: &str) -> String {
    let lower = words.to_lowercase();
    if lower.contains("expired") {
        "Have the server's certificate renewed, if this node's clock is right.".to_owned()
    } else if lower.contains("not valid for") {
        "Use the name that is in the certificate, or have one made for the name that is used.".to_owned()
    } else if lower.contains("issuer") || lower.contains("ca") {
        "Set ca_file to the authority that signed the server's certificate.".to_owned()
    } else {
        "Look at the certificates of both sides: ca_file, client_cert_file, and the server's.".to_owned()
    }
}

fn middle(from: Timestamp, to: Timestamp) -> Timestamp {
    Timestamp::from_micros(from.as_micros() + (to.as_micros() - from.as_micros()) / 2)
}

/// Whether the controller does for this account what delivery and reads need.
async fn used(
    domain: Domain,
    check: &'static str,
    config: &DomainConfig,
    ask_limit: Duration,
    refusals: &Refusals,
    findings: &mut Findings,
) {
    let link = match Link::new(domain, config, refusals) {
        Ok(link) => link,
        Err(error) => {
            findings.fail(check, domain.name(), &format!("{error:#}"), "Correct the configuration.");
            return;
        }
    };
    let Link::Controller(controller) = link else { return };
    if let Err(failure) = controller.backend.probe().await {
        let advice = "The line says what the controller wants; docs/operator.md, 'When a controller is away', lists \
                      the causes.";
        return findings.fail(check, domain.name(), &failure.reason, advice);
    }
    findings.ok(check, domain.name(), "the controller can be used with this account");
    let started = Instant::now();
    let listed = controller.backend.list(&question()).await;
    let millis = started.elapsed().as_millis();
    match listed {
        Err(failure) => {
            let advice =
                "Reads fail so, and what is in doubt cannot be asked about. The controller's log says more.";
            findings.fail("alarms", domain.name(), &failure.reason, advice);
        }
        Ok(_) if started.elapsed() > ask_limit => {
            let found = format!("a question is answered in {millis} ms");
            let advice = "Writes that have to ask do not wait so long (agent.ask_timeout_ms): clears of unknown alarms \
                          are then taken unchecked.";
            findings.warn("alarms", domain.name(), &found, advice);
        }
        Ok(_) => findings.ok("alarms", domain.name(), &format!("a question is answered in {millis} ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_suits_what_is_wrong_with_a_certificate() {
        for (words, advice) in [
            ("invalid peer certificate: certificate expired: verified at time 1", "renewed"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "Use the name"),
            ("invalid peer certificate: UnknownIssuer", "ca_file"),
        ] {
            assert!(is_about_certificate(words), "{words}");
            assert!(certificate_advice(words).contains(advice), "{words}");
        }
        assert!(!is_about_certificate("connection refused"));
    }
}
