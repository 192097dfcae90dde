//! One HTTP exchange: deadlines, TLS, and what a broken one means.
//!
//! Invariants:
//! - A request that could not have reached the server is told apart from one that may have.
//! - No redirect is followed: a token would be shown to whoever the redirect names, and a POST would
//!   become a GET.
//! - No proxy is used, whatever the environment says: controllers are on the node's own networks, and a
//!   proxy set for downloads would take the alarms elsewhere.
//! - Bodies are sent whole, with their length: fm-rest-api reads a chunked body as an empty one.
//! - No error text holds a header or a body that was sent.
//! - Certificates and keys are read anew when their files change; as long as a changed file cannot be used,
//!   what was read before goes on.
//!
//! It knows no token, no retry and no meaning of a status.

use std::error::Error as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, StatusCode, redirect};

use super::files::Stamp;
use crate::config::{FmRestApiConfig, Tls};

/// The longest answer read, in bytes. A full page of 2000 alarms has about 560 KB.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How long an unused connection is kept. The service closes them after 900 s.
const IDLE: Duration = Duration::from_mins(1);

/// A complete answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An exchange without a complete answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// The server has not seen the request.
    Unsent(String),
    /// The server may have seen the request, and may still be at it.
    Lost(String),
}

/// The HTTP client of one controller and its Keystone, with the certificates as they are now.
pub(super) struct Connector {
    config: FmRestApiConfig,
    tls: Tls,
    present: Mutex<(Client, Vec<Stamp>)>,
}

/// What a server shows of itself, whatever it answers.
pub(super) struct Shown {
    /// The status of its answer.
    pub(super) status: StatusCode,
    /// Its clock, as its answer has it.
    pub(super) date: Option<String>,
    /// The certificate that it proved itself with (DER), over https.
    pub(super) certificate: Option<Vec<u8>>,
}

impl Connector {
    /// Reads the certificates. Nothing is connected yet.
    ///
    /// # Errors
    /// A certificate file cannot be read or holds no certificate, or the account does not say which.
    pub(super) fn new(config: &FmRestApiConfig) -> anyhow::Result<Self> {
        let tls = config.tls().map_err(anyhow::Error::msg)?;
        let stamps = stamps(&tls);
        let present = Mutex::new((client(config, &tls)?, stamps));
        Ok(Self { config: config.clone(), tls, present })
    }

    /// The client to send the next request with.
    pub(super) fn client(&self) -> Client {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.tls);
        if present.1 != stamps {
            present.1 = stamps;
            match client(&self.config, &self.tls) {
                Ok(client) => {
                    tracing::info!("certificates have changed and were read anew");
                    present.0 = client;
                }
                Err(error) => {
                    tracing::warn!("changed certificates cannot be used, the earlier ones go on: {error:#}");
                }
            }
        }
        present.0.clone()
    }
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = [&tls.ca_file, &tls.client_cert_file, &tls.client_key_file];
    files.into_iter().flatten().map(|path| Stamp::of(path)).collect()
}

fn client(config: &FmRestApiConfig, tls: &Tls) -> anyhow::Result<Client> {
    let authorities = tls.ca_file.as_deref().map(authorities).transpose()?;
    let identity = tls
        .client_cert_file
        .as_deref()
        .map(|certificate| identity(certificate, tls.client_key_file.as_deref()))
        .transpose()?;
    let named = authorities.is_some() || identity.is_some();
    let mut wanted = builder(config).tls_certs_merge(authorities.unwrap_or_default());
    if let Some(identity) = identity {
        wanted = wanted.identity(identity);
    }
    match wanted.build() {
        Ok(client) => Ok(client),
        // A minimal container image has no certificates of its own, and plain http needs none.
        Err(error) if !named => {
            tracing::warn!(
                "no certificates are trusted, https endpoints will fail: {}; install the system's or set ca_file",
                words(&error)
            );
            builder(config).tls_certs_only([]).build().context("HTTP client")
        }
        Err(error) => Err(error).context("HTTP client with the certificates of ca_file and client_cert_file"),
    }
}

fn authorities(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let pem = std::fs::read(path).with_context(|| format!("ca_file {}", path.display()))?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .with_context(|| format!("ca_file {} is no PEM file", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "ca_file {} holds no certificate", path.display());
    Ok(certificates)
}

fn identity(certificate: &Path, key: Option<&Path>) -> anyhow::Result<Identity> {
    let mut pem =
        std::fs::read(certificate).with_context(|| format!("client_cert_file {}", certificate.display()))?;
    if let Some(key) = key {
        pem.push(b'\n');
        pem.extend(std::fs::read(key).with_context(|| format!("client_key_file {}", key.display()))?);
    }
    Identity::from_pem(&pem).with_context(|| {
        format!(
            "client_cert_file {} needs a certificate and a key without a passphrase, both PEM; the key may be in \
             client_key_file",
            certificate.display()
        )
    })
}

fn builder(config: &FmRestApiConfig) -> ClientBuilder {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    Client::builder()
        .user_agent(concat!("fm-agent/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(config.connect_timeout_ms.duration())
        .timeout(config.request_timeout_ms.duration())
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        // For `look`: whose certificate it was is not to be asked for again.
        .tls_info(true)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
}

/// Sends a request and reads its whole answer.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Reply, Broken> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Broken::Lost(words(&error)))? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Broken::Lost(format!("the answer has more than {MAX_BODY_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body })
}

/// Asks for an address as `exchange` does, for what the server shows of itself.
pub(super) async fn look(request: RequestBuilder) -> Result<Shown, Broken> {
    let response = request.send().await.map_err(|error| broken(&error))?;
    let certificate = response.extensions().get::<reqwest::tls::TlsInfo>();
    Ok(Shown {
        status: response.status(),
        date: response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned),
        certificate: certificate.and_then(|info| info.peer_certificate()).map(<[u8]>::to_vec),
    })
}

fn broken(error: &reqwest::Error) -> Broken {
    if error.is_connect() || error.is_builder() {
        return Broken::Unsent(words(error));
    }
    Broken::Lost(if error.is_timeout() {
        "no answer within request_timeout_ms".to_owned()
    } else {
        words(error)
    })
}

/// The innermost cause says what happened ('connection refused'); the outer ones only where.
fn words(error: &reqwest::Error) -> String {
    if error.is_connect() && error.is_timeout() {
        return "no connection within connect_timeout_ms".to_owned();
    }
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    match causes.as_slice() {
        [] => "the request failed".to_owned(),
        [.., outer, inner] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [.., last] => last.clone(),
    }
}
