//! Looking into the agent: what waits, what this node holds, what passes. For administrators, as `admin`.
//!
//! Each answer is one bounded page; whoever wants all asks again behind the last of it. The JSON objects are
//! documented with the agent (`docs/fmctl.md`); keys are only ever added.

use super::admin::json;
use super::{Client, ClientError};
use crate::alarm::AlarmKey;
use crate::entity::canonical;
use crate::protocol::Request;

impl Client {
    /// The requests with a number above `after` that wait for the controller of this domain (empty: of any),
    /// in order, so many at most, as a JSON object.
    pub fn queue(&self, domain: &str, after: i64, most: u32) -> Result<String, ClientError> {
        self.read(&Request::Queue { domain: domain.to_owned(), after, most }).and_then(json)
    }

    /// This node's view of the alarms with this id (empty: any), of this entity and of what lies under it
    /// (empty: any), behind this one, ordered by id and entity, so many at most, as a JSON object.
    pub fn view(
        &self,
        alarm_id: &str,
        entity_instance_id: &str,
        after: Option<AlarmKey>,
        most: u32,
    ) -> Result<String, ClientError> {
        let entity_instance_id = canonical(entity_instance_id).to_owned();
        self.read(&Request::View { alarm_id: alarm_id.to_owned(), entity_instance_id, after, most })
            .and_then(json)
    }

    /// What has passed through this run of the agent after the event with this number, so many at most, as a
    /// JSON object. Waits until there is something, at most for the deadline of reads, less a tenth. With
    /// run 0: from now on.
    pub fn watch(&self, run: u64, after: u64, most: u32) -> Result<String, ClientError> {
        self.read(&Request::Watch { run, after, most }).and_then(json)
    }
}
