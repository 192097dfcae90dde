//! stub
use super::Agent;
use super::args::Common;
use super::failure::Failure;
use super::out::Out;
pub(super) struct Options {
    pub(super) config: Option<std::path::PathBuf>,
    pub(super) min_free_mib: u64,
    pub(super) offline: bool,
}
pub(super) fn run(_: &Agent, _: &Common, _: &Options, _: &mut Out) -> Result<(), Failure> {
    Ok(())
}
