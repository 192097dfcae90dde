//! Tokens from Keystone v3, and the service's endpoint from its catalogue.
//!
//! Invariants:
//! - One renewal at a time: who needs a token meanwhile waits for it and shares its outcome, a failure
//!   too. One call makes at most one request; whoever calls decides when to try again, but a credential
//!   that Keystone has refused is not offered again before a pause.
//! - A token is renewed before it ends, and dropped when the service refuses it: that token only, not
//!   the one somebody else has just brought.
//! - Each renewal reads the account's files anew: a secret is exchanged without a restart.
//! - Secrets and tokens appear in no error, no log line and no Debug output.
//!
//! It knows nothing of alarms.

mod catalogue;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod refusal;
mod request;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use self::refusal::Refusals;
use self::request::Order;
use super::Failure;
use super::files::Stamp;
use super::http::{self, Broken, Connector, Reply};
use crate::config::{Account, HttpUrl, KeystoneConfig};

const SUBJECT_TOKEN: &str = "x-subject-token";
const AUTH_TOKEN: &str = "x-auth-token";

/// The most time before its end at which a token is renewed.
const MOST_MARGIN: Duration = Duration::from_mins(2);
/// The least, where the token lives long enough: Keystone's tokens carry whole seconds, so one may end up to
/// a second before its lifetime is over.
const LEAST_MARGIN: Duration = Duration::from_millis(1_200);

/// A token and what came with it.
#[derive(Clone)]
pub(super) struct Token {
    /// For the header; marked sensitive.
    pub(super) value: HeaderValue,
    /// The service's base URL, or why the catalogue does not give one.
    pub(super) endpoint: Result<HttpUrl, String>,
    /// Whom it is for, in words, if that is known.
    pub(super) holder: Option<String>,
    /// Tells this token from those before and after it.
    number: u64,
    renew_at: Option<Instant>,
    /// The file it was taken from, as it was then.
    file: Option<(PathBuf, Stamp)>,
}

impl Token {
    /// What to make of it that the service refuses this token, though it is fresh.
    pub(super) fn refused(&self) -> String {
        match &self.file {
            Some((path, _)) => format!(
                "refuses the token in {} (401): it has ended, or is another Keystone's; write a new one there",
                path.display()
            ),
            None => "refuses a token that Keystone has just issued (401); do the two use the same Keystone?"
                .to_owned(),
        }
    }

    fn is_good(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
            && self.file.as_ref().is_none_or(|(path, stamp)| Stamp::of(path) == *stamp)
    }
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
    http: Arc<Connector>,
    config: KeystoneConfig,
    /// Renewals that have ended, whatever came of them.
    renewals: AtomicU64,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    token: Option<Token>,
    /// What the last renewal came to, when it failed.
    failure: Option<Failure>,
    refusals: Refusals,
}

impl Keystone {
    /// A source of tokens for the account. Nothing is requested yet.
    ///
    /// # Errors
    /// The configuration does not say how the account proves itself.
    pub(super) fn new(http: Arc<Connector>, config: &KeystoneConfig) -> anyhow::Result<Self> {
        config.account().map_err(anyhow::Error::msg)?;
        Ok(Self { http, config: config.clone(), renewals: AtomicU64::new(0), present: Mutex::default() })
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self) -> Result<Token, Failure> {
        let seen = self.renewals.load(Ordering::Acquire);
        let mut present = self.present.lock().await;
        if let Some(token) = present.token.as_ref().filter(|token| token.is_good()) {
            return Ok(token.clone());
        }
        let ended = self.renewals.load(Ordering::Acquire);
        if let Some(failure) = present.failure.as_ref().filter(|_| ended != seen) {
            return Err(failure.clone());
        }
        let outcome = self.renew(&mut present.refusals, ended + 1).await;
        self.renewals.store(ended + 1, Ordering::Release);
        match outcome {
            Ok(token) => {
                (present.token, present.failure) = (Some(token.clone()), None);
                Ok(token)
            }
            Err(reason) => {
                let failure = Failure::unavailable(reason);
                (present.token, present.failure) = (None, Some(failure.clone()));
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

    async fn renew(&self, refusals: &mut Refusals, number: u64) -> Result<Token, String> {
        let account = self.config.account().map_err(|error| format!("the Keystone account: {error}"))?;
        // Before it is read: a file that changes meanwhile is read once more.
        let file = account.token_file().map(|path| (path.to_owned(), Stamp::of(path)));
        let order = Order::of(&account).map_err(|error| format!("the Keystone account: {error}"))?;
        let token = match (&account.auth_url, order) {
            (Some(auth_url), order) => {
                Asking { http: &self.http, account: &account, auth_url, number }.ask(order, refusals).await?
            }
            (None, Order::Ready(token, path)) => Token {
                value: header(&token, &path)?,
                endpoint: account.endpoint.clone().ok_or_else(|| {
                    "a token from a file comes without a catalogue: set endpoint or auth_url".to_owned()
                }),
                holder: None,
                number,
                renew_at: None,
                file: None,
            },
            (None, Order::New(_)) => return Err("the Keystone account: auth_url is missing".to_owned()),
        };
        Ok(Token { file, ..token })
    }
}

/// One request to Keystone.
struct Asking<'a> {
    http: &'a Connector,
    account: &'a Account,
    auth_url: &'a HttpUrl,
    number: u64,
}

impl Asking<'_> {
    async fn ask(&self, order: Order, refusals: &mut Refusals) -> Result<Token, String> {
        match order {
            Order::New(body) => {
                let credential = format!("{} {}", self.auth_url.as_str(), body.expose_secret());
                let credential = SecretString::from(credential);
                if let Some(reason) = refusals.standing(credential.expose_secret(), Instant::now()) {
                    return Err(reason.to_owned());
                }
                let request = self
                    .request(Method::POST)
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.expose_secret().to_owned());
                let (reply, asked) = self.exchange(request).await?;
                if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    let reason = self.refusal(reply.status);
                    refusals.add(credential.expose_secret(), Instant::now(), &reason);
                    return Err(reason);
                }
                if reply.status != StatusCode::CREATED {
                    return Err(self.refusal(reply.status));
                }
                refusals.clear();
                let value = reply.headers.get(SUBJECT_TOKEN).cloned();
                self.read(value.ok_or("it has no X-Subject-Token header".to_owned()), &reply, asked)
            }
            Order::Ready(token, path) => {
                let value = header(&token, &path)?;
                let request = self
                    .request(Method::GET)
                    .header(AUTH_TOKEN, value.clone())
                    .header(SUBJECT_TOKEN, value.clone());
                let (reply, asked) = self.exchange(request).await?;
                match reply.status.as_u16() {
                    200 => self.read(Ok(value), &reply, asked),
                    // Its own absence, as Keystone puts it, or that it may not be looked at.
                    401 | 403 | 404 => Err(self.says(&format!(
                        "does not know {} ({}): it has ended, was revoked, or is another Keystone's; write a new \
                         one there",
                        request::words(self.account),
                        reply.status.as_u16()
                    ))),
                    _ => Err(self.refusal(reply.status)),
                }
            }
        }
    }

    fn request(&self, method: Method) -> RequestBuilder {
        self.http.client().request(method, format!("{}/auth/tokens", self.auth_url.as_str()))
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<(Reply, Instant), String> {
        let asked = Instant::now();
        let reply = http::exchange(request).await.map_err(|broken| match broken {
            Broken::Unsent(words) => self.says(&format!("cannot be reached: {words}")),
            Broken::Lost(words) => self.says(&format!("gave no answer: {words}")),
        })?;
        Ok((reply, asked))
    }

    fn read(
        &self,
        value: Result<HeaderValue, String>,
        reply: &Reply,
        asked: Instant,
    ) -> Result<Token, String> {
        let useless = |error: String| self.says(&format!("gave an answer without use: {error}"));
        let mut value = value.map_err(useless)?;
        value.set_sensitive(true);
        let body = catalogue::parse(&reply.body).map_err(useless)?;
        let lifetime = body.lifetime(self.account.token_file().is_some()).map_err(useless)?;
        let holder = body.holder();
        tracing::debug!(
            auth_url = self.auth_url.as_str(),
            holder,
            lifetime_s = lifetime.as_secs(),
            "new Keystone token"
        );
        Ok(Token {
            value,
            endpoint: self.account.endpoint.clone().map_or_else(|| body.endpoint(self.account), Ok),
            holder: Some(holder),
            number: self.number,
            renew_at: Some(asked + lifetime.saturating_sub(margin(lifetime))),
            file: None,
        })
    }

    fn refusal(&self, status: StatusCode) -> String {
        let account = request::words(self.account);
        let later =
            "The same is offered again only after a pause, lest the account be locked; a changed one at once";
        match status.as_u16() {
            401 => self.says(&format!(
                "refuses {account} (401): wrong name, secret, domain or project, no role in the project, or the \
                 account is disabled or locked. {later}"
            )),
            403 => self.says(&format!("does not let {account} have a token (403). {later}")),
            404 => self.says("has no identity API v3 there (404): correct auth_url"),
            300..=399 => self.says(&format!("answers with a redirect ({status}): correct auth_url")),
            _ => self.says(&format!("answers {status} instead of a token for {account}")),
        }
    }

    fn says(&self, what: &str) -> String {
        format!("Keystone at {}: {what}", self.auth_url.as_str())
    }
}

fn header(token: &SecretString, path: &std::path::Path) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
        format!("the token's file {} holds no token: write it alone on the first line", path.display())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long before its end a token is renewed: a tenth of its life, so that short-lived ones are used too.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 10).clamp(LEAST_MARGIN.min(lifetime / 2), MOST_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_suits_long_and_short_lives() {
        assert_eq!(margin(Duration::from_hours(24)), MOST_MARGIN);
        assert_eq!(margin(Duration::from_mins(10)), Duration::from_mins(1));
        assert_eq!(margin(Duration::from_secs(4)), LEAST_MARGIN);
        assert_eq!(margin(Duration::from_millis(500)), Duration::from_millis(250));
    }
}
