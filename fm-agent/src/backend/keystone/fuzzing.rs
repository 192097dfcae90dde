//! The reader of token answers, opened to the fuzz targets: nothing of it is in the product.

use std::time::Duration;

use super::catalogue;
use crate::config::Account;

/// What a token answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How long the token lives; of a new one, and of one that was issued earlier.
    pub lifetimes: [Result<Duration, String>; 2],
    /// Whom it is for.
    pub holder: String,
    /// The URL of the account's service.
    pub endpoint: Result<String, String>,
}

/// Reads a token answer, or says what is wrong with it.
pub fn token(body: &[u8], account: &Account) -> Result<Told, String> {
    let body = catalogue::parse(body)?;
    Ok(Told {
        lifetimes: [body.lifetime(false), body.lifetime(true)],
        holder: body.holder(),
        endpoint: body.endpoint(account).map(|url| url.as_str().to_owned()),
    })
}
