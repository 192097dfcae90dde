//! Tokens from Keystone v3, and the service's endpoint from its catalogue.
//!
//! Invariants:
//! - One renewal at a time: who needs a token meanwhile waits for it and shares its outcome, a failure
//!   too. One call makes at most one request; whoever calls decides when to try again, but a credential
//!   that Keystone has refused is not offered again before a pause, whichever domain or configuration asks.
//! - A renewal is a task of its own: it ends by its own deadlines, not with the patience of those who wait for it.
//!   Once nobody can wait for it any more it offers nothing, and only learns what became of what it has offered.
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
mod renewal;
mod request;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::HeaderValue;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::refusal::Refusals;
use self::renewal::Renewal;
use super::Failure;
use super::files::Stamp;
use super::http::Connector;
use crate::config::{HttpUrl, KeystoneConfig};

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
    shared: Arc<Shared>,
    /// Ends with this.
    ended: CancellationToken,
    _end: DropGuard,
}

/// What a renewal that is under way has, too.
struct Shared {
    renewal: Renewal,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    token: Option<Token>,
    /// Renewals that have begun.
    begun: u64,
    /// The one that is under way.
    under_way: Option<Outcome>,
}

/// What a renewal comes to, once it has ended.
type Outcome = watch::Receiver<Option<Result<Token, Failure>>>;

impl Keystone {
    /// A source of tokens for the account, which respects and notes what was refused. Nothing is requested yet.
    ///
    /// # Errors
    /// The configuration does not say how the account proves itself.
    pub(super) fn new(
        http: Arc<Connector>,
        config: &KeystoneConfig,
        refusals: &Refusals,
    ) -> anyhow::Result<Self> {
        config.account().map_err(anyhow::Error::msg)?;
        let renewal = Renewal { http, config: config.clone(), refusals: refusals.clone() };
        let ended = CancellationToken::new();
        let shared = Arc::new(Shared { renewal, present: Mutex::default() });
        Ok(Self { shared, _end: ended.clone().drop_guard(), ended })
    }

    /// A token that is good for a while. Who stops waiting stops no renewal.
    pub(super) async fn token(&self) -> Result<Token, Failure> {
        let mut outcome = {
            let mut present = self.shared.present();
            if let Some(token) = present.token.as_ref().filter(|token| token.is_good()) {
                return Ok(token.clone());
            }
            // One that has come to nothing, by a fault of the agent, is not waited for.
            let under_way = present.under_way.as_ref().filter(|outcome| outcome.has_changed().is_ok());
            under_way.cloned().unwrap_or_else(|| self.begin(&mut present))
        };
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        ended.unwrap_or_else(|| {
            Err(Failure::unavailable("the renewal of the Keystone token was broken off; the log says why"))
        })
    }

    /// Drops a token that the service has refused, unless it has been replaced already.
    pub(super) fn invalidate(&self, refused: &Token) {
        let mut present = self.shared.present();
        if present.token.as_ref().is_some_and(|token| token.number == refused.number) {
            present.token = None;
        }
    }

    fn begin(&self, present: &mut Present) -> Outcome {
        let (tell, outcome) = watch::channel(None);
        present.begun += 1;
        present.under_way = Some(outcome.clone());
        let (shared, ended, number) = (Arc::clone(&self.shared), self.ended.clone(), present.begun);
        tokio::spawn(async move {
            let renewed = shared.renewal.run(number, &ended).await.map_err(Failure::unavailable);
            let mut present = shared.present();
            (present.token, present.under_way) = (renewed.as_ref().ok().cloned(), None);
            drop(present);
            tell.send_replace(Some(renewed));
        });
        outcome
    }
}

impl Shared {
    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
