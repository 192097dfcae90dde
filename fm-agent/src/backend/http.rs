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
//!
//! It knows no token, no retry and no meaning of a status.

use std::error::Error as _;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, redirect};

use crate::config::FmRestApiConfig;

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

/// Makes the client of one controller.
///
/// # Errors
/// `ca_file` cannot be read or holds no certificate.
pub(super) fn client(config: &FmRestApiConfig) -> anyhow::Result<Client> {
    let extra = match &config.ca_file {
        None => Vec::new(),
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("ca_file {}", path.display()))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("ca_file {} is no PEM file", path.display()))?;
            anyhow::ensure!(!certificates.is_empty(), "ca_file {} holds no certificate", path.display());
            certificates
        }
    };
    match builder(config).tls_certs_merge(extra.clone()).build() {
        Ok(client) => Ok(client),
        // A minimal container image has no certificates of its own, and plain http needs none.
        Err(error) if extra.is_empty() => {
            tracing::warn!(
                "no certificates are trusted, https endpoints will fail: {}; install the system's or set ca_file",
                words(&error)
            );
            builder(config).tls_certs_only(extra).build().context("HTTP client")
        }
        Err(error) => Err(error).context("HTTP client with the certificates of ca_file"),
    }
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
