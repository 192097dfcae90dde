//! Which backend a domain's tables ask for.

use super::{DomainConfig, FmManagerConfig, FmRestApiConfig};

/// The backend of a domain, with its table. To add one: its table in [`DomainConfig`], a variant here; the
/// compiler then asks for its line in [`Link::new`](crate::backend::Link::new).
#[derive(Debug, Clone, Copy)]
pub enum BackendConfig<'a> {
    /// No table: the agent is the domain's store of record.
    Standalone,
    /// fm-rest-api.
    FmRestApi(&'a FmRestApiConfig),
    /// The central manager.
    FmManager(&'a FmManagerConfig),
}

impl DomainConfig {
    /// The one backend that the tables ask for.
    ///
    /// # Errors
    /// The key of a table that is one too many, and why.
    pub fn backend(&self) -> Result<BackendConfig<'_>, (&'static str, String)> {
        let tables = [
            self.fm_rest_api.as_ref().map(|table| ("fm_rest_api", BackendConfig::FmRestApi(table))),
            self.fm_manager.as_ref().map(|table| ("fm_manager", BackendConfig::FmManager(table))),
        ];
        let mut given = tables.into_iter().flatten();
        let Some((first, backend)) = given.next() else { return Ok(BackendConfig::Standalone) };
        match given.next() {
            None => Ok(backend),
            Some((second, _)) => Err((
                second,
                format!("{first} is given too: a domain has one controller, take one of them out"),
            )),
        }
    }
}
