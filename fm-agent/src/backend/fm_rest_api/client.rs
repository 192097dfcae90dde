//! Requests to fm-rest-api: address, token, and the one retry after a token was refused.
//!
//! Invariants: every request goes through [`Client::send_before`]; a token that the service refuses is replaced
//! once per request; a request that certainly had no effect fails without doubt.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};

use super::answer::{Outcome, interpret};
use crate::backend::http::{self, Broken, Connector};
use crate::backend::keystone::{Keystone, Refusals, Token};
use crate::backend::{Failure, FailureKind};
use crate::config::{FmRestApiConfig, HttpUrl};
use crate::failpoint::{self, Moment};

/// One service and the account used there.
pub(super) struct Client {
    http: Arc<Connector>,
    endpoint: Option<HttpUrl>,
    keystone: Option<Keystone>,
}

/// A request, relative to `/v1`.
#[derive(Clone)]
pub(super) struct Request<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None }
    }

    pub(super) fn delete(path: &'a [&'a str]) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub(super) fn post(path: &'a [&'a str], body: Vec<u8>) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    /// The request in words, for messages.
    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.method, self.path.join("/"))
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a filter. Which fields match how is said in `read`.
    pub(super) fn filter(self, field: &'static str, value: impl Into<String>) -> Self {
        self.with("q.field", field).with("q.op", "eq").with("q.value", value)
    }
}

impl Client {
    pub(super) fn new(config: &FmRestApiConfig, refusals: &Refusals) -> anyhow::Result<Self> {
        let http = Arc::new(Connector::new(config)?);
        let keystone = config.keystone.as_ref();
        let keystone =
            keystone.map(|account| Keystone::new(Arc::clone(&http), account, refusals)).transpose();
        let keystone = keystone.context("keystone")?;
        anyhow::ensure!(
            config.endpoint.is_some() || keystone.is_some(),
            "fm_rest_api needs endpoint, or keystone to find it in the catalogue"
        );
        Ok(Self { http, endpoint: config.endpoint.clone(), keystone })
    }

    /// Sends a request and says what its answer means.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Outcome, Failure> {
        let asked = request.describe();
        self.send_before(request, None)
            .await?
            .ok_or_else(|| Failure::retry(format!("{asked}: was not sent, it was too late for it")))
    }

    /// Sends a request unless this moment has come before it goes, however long a token takes. `None`: it has, and
    /// the service has not carried out anything.
    pub(super) async fn send_before(
        &self,
        request: Request<'_>,
        moment: Option<Instant>,
    ) -> Result<Option<Outcome>, Failure> {
        let asked = request.describe();
        let mut refused = false;
        loop {
            let token = match &self.keystone {
                Some(keystone) => Some(keystone.token().await?),
                None => None,
            };
            if request.method != Method::GET {
                failpoint::pass(Moment::BeforeRequest);
            }
            let prepared = self.build(&request, token.as_ref())?;
            let started = Instant::now();
            if moment.is_some_and(|moment| started >= moment) {
                return Ok(None);
            }
            let reply = http::exchange(prepared).await;
            let elapsed_ms = started.elapsed().as_millis();
            let reply = match reply {
                Ok(reply) => reply,
                Err(broken) => {
                    tracing::debug!(%asked, elapsed_ms, ?broken, "no answer");
                    return broken_outcome(&asked, broken).map(Some);
                }
            };
            tracing::debug!(%asked, elapsed_ms, status = reply.status.as_u16(), "answered");
            if reply.status != StatusCode::UNAUTHORIZED {
                let forbidden = reply.status == StatusCode::FORBIDDEN;
                let outcome = interpret(&asked, reply).map(Some);
                return if forbidden { outcome.map_err(|failure| held(failure, token)) } else { outcome };
            }
            match (&self.keystone, &token) {
                (Some(keystone), Some(token)) if !refused => keystone.invalidate(token),
                (Some(_), Some(token)) => {
                    return Err(Failure::unavailable(format!("{asked}: the service {}", token.refused())));
                }
                _ => {
                    return Err(Failure::unavailable(format!(
                        "{asked}: the service wants a token (401); add the keystone table"
                    )));
                }
            }
            refused = true;
        }
    }

    fn build(
        &self,
        request: &Request<'_>,
        token: Option<&Token>,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let base = match (&self.endpoint, token) {
            (Some(endpoint), _) => endpoint,
            (None, Some(token)) => token.endpoint.as_ref().map_err(Failure::unavailable)?,
            (None, None) => return Err(Failure::unavailable("neither endpoint nor keystone is configured")),
        };
        let mut url = address(base, request.path)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self.http.client().request(request.method.clone(), url);
        if let Some(token) = token {
            builder = builder.header("x-auth-token", token.value.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        Ok(builder)
    }
}

/// The failure with the words for whom the token is.
fn held(failure: Failure, token: Option<Token>) -> Failure {
    match token.and_then(|token| token.holder) {
        Some(holder) => {
            Failure { reason: format!("{}; the token is for {holder}", failure.reason), ..failure }
        }
        None => failure,
    }
}

fn broken_outcome(asked: &str, broken: Broken) -> Result<Outcome, Failure> {
    match broken {
        Broken::Unsent(words) => {
            Err(Failure::unavailable(format!("{asked}: fm-rest-api cannot be reached: {words}")))
        }
        Broken::Lost(words) => Ok(Outcome::Unclear(Failure {
            kind: FailureKind::Unavailable,
            reason: format!("{asked}: no complete answer of fm-rest-api: {words}"),
            in_doubt: true,
        })),
    }
}

/// The URL of a path below `/v1`; the base may end with it already.
fn address(base: &HttpUrl, path: &[&str]) -> Result<Url, Failure> {
    let unusable = || Failure::unavailable(format!("the endpoint '{}' is no usable URL", base.as_str()));
    let mut url = Url::parse(base.as_str()).map_err(|_| unusable())?;
    let version = (!base.as_str().ends_with("/v1")).then_some("v1");
    url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(version).extend(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_may_end_with_the_version() {
        for (base, expected) in [
            ("http://127.0.0.1:18002", "http://127.0.0.1:18002/v1/alarms/x"),
            ("http://127.0.0.1:18002/", "http://127.0.0.1:18002/v1/alarms/x"),
            ("http://[fd00::1]:18002/v1", "http://[fd00::1]:18002/v1/alarms/x"),
            ("https://fm.example/fault/v1/", "https://fm.example/fault/v1/alarms/x"),
        ] {
            let url = address(&HttpUrl::parse(base).unwrap(), &["alarms", "x"]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn awkward_values_stay_one_value() {
        let url = address(&HttpUrl::parse("http://h").unwrap(), &["alarms", "a/../b?c"]).unwrap();
        assert_eq!(url.path(), "/v1/alarms/a%2F..%2Fb%3Fc");
    }

    #[test]
    fn a_service_needs_an_address() {
        let error = Client::new(&FmRestApiConfig::default(), &Refusals::default()).err().unwrap();
        assert!(error.to_string().contains("endpoint"), "{error}");
    }
}
