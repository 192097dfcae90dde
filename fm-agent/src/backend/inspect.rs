//! What a person has to know about the way to a controller, found out with the means that delivery uses.
//!
//! Invariant: nothing here changes anything at a controller, and no text holds a secret.

use std::sync::Arc;

use fm_common::AlarmKey;

use super::http::{self, Broken, Connector};
use super::keystone::{Keystone, Refusals};
use super::{Failure, Query};
use crate::config::{FmRestApiConfig, HttpUrl};

/// The way to one fm-rest-api and its Keystone.
pub struct Inspection {
    http: Arc<Connector>,
    keystone: Option<Keystone>,
}

impl std::fmt::Debug for Inspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspection").finish_non_exhaustive()
    }
}

/// What a server shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The status of its answer.
    pub status: u16,
    /// Its clock, as the `Date` of its answer has it.
    pub date: Option<String>,
    /// The certificate (DER) that it proved itself with, over https.
    pub certificate: Option<Vec<u8>>,
}

/// An account that Keystone has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Whom the token is for, in words, if that is known.
    pub holder: Option<String>,
    /// The service's URL from the catalogue, or why it does not give one.
    pub endpoint: Result<HttpUrl, String>,
}

impl Inspection {
    /// Reads the certificates and the account's settings; what has been refused is not offered again. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// A file that cannot be used, or an account that cannot prove itself, in words.
    pub fn new(config: &FmRestApiConfig, refusals: &Refusals) -> Result<Self, String> {
        let in_words = |error: anyhow::Error| format!("{error:#}");
        let http = Arc::new(Connector::new(config).map_err(in_words)?);
        let keystone = config.keystone.as_ref();
        let keystone = keystone.map(|account| Keystone::new(Arc::clone(&http), account, refusals));
        Ok(Self { http, keystone: keystone.transpose().map_err(in_words)? })
    }

    /// What the server at this address shows of itself.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub async fn look(&self, address: &str) -> Result<Shown, String> {
        let request = self.http.client().get(address);
        match http::look(request).await {
            Ok(shown) => {
                Ok(Shown { status: shown.status.as_u16(), date: shown.date, certificate: shown.certificate })
            }
            Err(Broken::Unsent(words) | Broken::Lost(words)) => Err(words),
        }
    }

    /// Asks Keystone for a token, once; `None` when no account is configured.
    pub async fn account(&self) -> Option<Result<Accepted, Failure>> {
        let keystone = self.keystone.as_ref()?;
        Some(keystone.token().await.map(|token| Accepted { holder: token.holder, endpoint: token.endpoint }))
    }
}

/// A question that a controller has to answer with nothing.
pub fn question() -> Query {
    Query::one(&AlarmKey::new("000.000", "fm-agent=probe"))
}
