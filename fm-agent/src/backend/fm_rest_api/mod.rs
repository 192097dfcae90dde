//! Rest.
use super::*;
/// x
pub(super) struct FmRestApi;
impl FmRestApi {
    pub(super) fn new(_c: &crate::config::FmRestApiConfig) -> anyhow::Result<Self> {
        Ok(Self)
    }
}
impl Backend for FmRestApi {
    fn raise<'a>(&'a self, _r: &'a Raise) -> Answer<'a, Delivered> {
        loop {}
    }
    fn clear<'a>(&'a self, _r: &'a Clear) -> Answer<'a, Delivered> {
        loop {}
    }
    fn clear_all<'a>(&'a self, _r: &'a str, _u: EntityMatch) -> Answer<'a, Delivered> {
        loop {}
    }
    fn log<'a>(&'a self, _r: &'a Log) -> Answer<'a, Delivered> {
        loop {}
    }
    fn list<'a>(&'a self, _r: &'a Query) -> Answer<'a, Vec<Alarm>> {
        loop {}
    }
    fn probe(&self) -> Answer<'_, ()> {
        loop {}
    }
}
