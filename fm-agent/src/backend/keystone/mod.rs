//! Tokens from Keystone v3, and the service's endpoint from its catalogue.
//!
//! Invariants:
//! - One renewal at a time: who needs a token meanwhile waits for it and shares its outcome, a failure
//!   too. One call makes at most one request; whoever calls decides when to try again.
//! - A token is renewed before it ends, and dropped when the service refuses it: that token only, not
//!   the one somebody else has just brought.
//! - Secrets and tokens appear in no error, no log line and no Debug output.
//!
//! It knows nothing of alarms.

mod catalogue;
mod request;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::Failure;
use super::http::{self, Broken, Reply};
use crate::config::{HttpUrl, KeystoneConfig, KeystoneCredential};

const SUBJECT_TOKEN: &str = "x-subject-token";

/// The most time before its end at which a token is renewed.
const MOST_MARGIN: Duration = Duration::from_mins(2);

/// A token and what came with it.
#[derive(Clone)]
pub(super) struct Token {
    /// For the header; marked sensitive.
    pub(super) value: HeaderValue,
    /// The service's base URL, or why the catalogue does not give one.
    pub(super) endpoint: Result<HttpUrl, String>,
    /// Tells this token from those before and after it.
    number: u64,
    renew_at: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("number", &self.number)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// One account at one Keystone.
pub(super) struct Keystone {
    client: Client,
    config: KeystoneConfig,
    credential: KeystoneCredential,
    /// Renewals that have ended, whatever came of them.
    renewals: AtomicU64,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    token: Option<Token>,
    /// What the last renewal came to, when it failed.
    failure: Option<Failure>,
}

impl Keystone {
    /// A source of tokens for the account. Nothing is requested yet.
    ///
    /// # Errors
    /// The configuration does not say how the account proves itself.
    pub(super) fn new(client: Client, config: &KeystoneConfig) -> anyhow::Result<Self> {
        let credential = config.credential().map_err(anyhow::Error::msg)?;
        Ok(Self {
            client,
            config: config.clone(),
            credential,
            renewals: AtomicU64::new(0),
            present: Mutex::default(),
        })
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self) -> Result<Token, Failure> {
        let seen = self.renewals.load(Ordering::Acquire);
        let mut present = self.present.lock().await;
        if let Some(token) = present.token.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let ended = self.renewals.load(Ordering::Acquire);
        if let Some(failure) = present.failure.as_ref().filter(|_| ended != seen) {
            return Err(failure.clone());
        }
        let outcome = self.request(ended + 1).await;
        self.renewals.store(ended + 1, Ordering::Release);
        match outcome {
            Ok(token) => {
                tracing::debug!(auth_url = self.config.auth_url.as_str(), "new Keystone token");
                *present = Present { token: Some(token.clone()), failure: None };
                Ok(token)
            }
            Err(reason) => {
                let failure = Failure::unavailable(reason);
                *present = Present { token: None, failure: Some(failure.clone()) };
                Err(failure)
            }
        }
    }

    /// Drops a token that the service has refused, unless it has been replaced already.
    pub(super) async fn invalidate(&self, refused: &Token) {
        let mut present = self.present.lock().await;
        if present.token.as_ref().is_some_and(|token| token.number == refused.number) {
            present.token = None;
        }
    }

    async fn request(&self, number: u64) -> Result<Token, String> {
        let body = request::body(&self.config, &self.credential).map_err(|error| self.says(&error))?;
        let request = self
            .client
            .post(format!("{}/auth/tokens", self.config.auth_url.as_str()))
            .header(CONTENT_TYPE, "application/json")
            .body(body.expose_secret().to_owned());
        let asked = Instant::now();
        let reply = http::exchange(request).await.map_err(|broken| match broken {
            Broken::Unsent(words) => self.says(&format!("cannot be reached: {words}")),
            Broken::Lost(words) => self.says(&format!("gave no answer: {words}")),
        })?;
        if reply.status != StatusCode::CREATED {
            return Err(self.refusal(reply.status));
        }
        self.read(&reply, asked, number)
            .map_err(|error| self.says(&format!("gave an answer without use: {error}")))
    }

    fn read(&self, reply: &Reply, asked: Instant, number: u64) -> Result<Token, String> {
        let mut value =
            reply.headers.get(SUBJECT_TOKEN).cloned().ok_or("it has no X-Subject-Token header")?;
        value.set_sensitive(true);
        let body = catalogue::parse(&reply.body)?;
        let lifetime = body.lifetime()?;
        Ok(Token {
            value,
            endpoint: body.endpoint(&self.config),
            number,
            renew_at: asked + lifetime.saturating_sub(margin(lifetime)),
        })
    }

    fn refusal(&self, status: StatusCode) -> String {
        let account = request::account(&self.config, &self.credential);
        match status.as_u16() {
            401 => self.says(&format!(
                "refuses {account}: wrong name, secret, domain or project, or the account is disabled or locked"
            )),
            403 => self.says(&format!("does not let {account} have a token (403)")),
            404 => self.says("has no /auth/tokens there (404): auth_url must end with the version, such as /v3"),
            300..=399 => self.says(&format!("answers with a redirect ({status}): correct auth_url")),
            _ => self.says(&format!("answers {status} instead of a token for {account}")),
        }
    }

    fn says(&self, what: &str) -> String {
        format!("Keystone at {}: {what}", self.config.auth_url.as_str())
    }
}

/// How long before its end a token is renewed: a tenth of its life, so that short-lived ones are used too.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 10).min(MOST_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_suits_long_and_short_lives() {
        assert_eq!(margin(Duration::from_hours(24)), MOST_MARGIN);
        assert_eq!(margin(Duration::from_mins(10)), Duration::from_mins(1));
        assert_eq!(margin(Duration::from_millis(500)), Duration::from_millis(50));
    }
}
