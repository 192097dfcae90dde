//! One renewal of a token: the account's files read, Keystone asked, its answer understood.
//!
//! Invariants:
//! - A renewal makes at most one request, within the connection's and the request's deadlines.
//! - A credential is offered in the account's turn only, and not before the pause after its last refusal is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusals;
use super::request::{self, Order};
use super::{Token, catalogue};
use crate::backend::files::Stamp;
use crate::backend::http::{self, Broken, Connector, Reply};
use crate::config::{Account, HttpUrl, KeystoneConfig};

const SUBJECT_TOKEN: &str = "x-subject-token";
const AUTH_TOKEN: &str = "x-auth-token";

/// The most time before its end at which a token is renewed.
const MOST_MARGIN: Duration = Duration::from_mins(2);
/// The least, where the token lives long enough: Keystone's tokens carry whole seconds, so one may end up to
/// a second before its lifetime is over.
const LEAST_MARGIN: Duration = Duration::from_millis(1_200);

/// What a renewal needs.
pub(super) struct Renewal {
    pub(super) http: Arc<Connector>,
    pub(super) config: KeystoneConfig,
    pub(super) refusals: Refusals,
}

impl Renewal {
    /// A new token with this number, or why there is none. Once `ended`, nothing more is offered; what has been is
    /// waited for, to know whether it was refused.
    pub(super) async fn run(&self, number: u64, ended: &CancellationToken) -> Result<Token, String> {
        let account = self.config.account().map_err(|error| format!("the Keystone account: {error}"))?;
        // Before it is read: a file that changes meanwhile is read once more.
        let file = account.token_file().map(|path| (path.to_owned(), Stamp::of(path)));
        let order = Order::of(&account).map_err(|error| format!("the Keystone account: {error}"))?;
        let token = match (&account.auth_url, order) {
            (Some(auth_url), order) => {
                let asking = Asking { renewal: self, account: &account, auth_url, number };
                asking.ask(order, ended).await?
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
            (None, Order::New(..)) => return Err("the Keystone account: auth_url is missing".to_owned()),
        };
        Ok(Token { file, ..token })
    }
}

/// One request to Keystone.
struct Asking<'a> {
    renewal: &'a Renewal,
    account: &'a Account,
    auth_url: &'a HttpUrl,
    number: u64,
}

impl Asking<'_> {
    async fn ask(&self, order: Order, ended: &CancellationToken) -> Result<Token, String> {
        match order {
            Order::New(name, body) => {
                let mut turn = tokio::select! {
                    biased;
                    () = ended.cancelled() => return Err(self.says("is asked no more: nobody waits for it")),
                    turn = self.renewal.refusals.turn(self.auth_url.as_str(), &name) => turn,
                };
                if let Some(status) = turn.standing(&body, Instant::now()) {
                    return Err(self.refusal(status));
                }
                let request = self
                    .request(Method::POST)
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.expose_secret().to_owned());
                let (reply, asked) = self.exchange(request).await?;
                if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    turn.refused(&body, Instant::now(), reply.status);
                }
                if reply.status != StatusCode::CREATED {
                    return Err(self.refusal(reply.status));
                }
                turn.taken();
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
        self.renewal.http.client().request(method, format!("{}/auth/tokens", self.auth_url.as_str()))
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
