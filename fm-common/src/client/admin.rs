//! Calls for administrators: root, the user that runs the agent, and whom its configuration names. Others are
//! refused with `InvalidRequest`. They go over the agent's socket for administrators
//! ([`client_admin_socket`](crate::paths::client_admin_socket)).
//!
//! The JSON objects that some give are documented with the agent (`docs/delivery.md`); keys are only ever
//! added.

use super::{Client, ClientError, done, unexpected};
use crate::protocol::{Answer, Request};

impl Client {
    /// The requests with a number above `after` that controllers refused for good and the agent keeps, so
    /// many at most, as a JSON object.
    pub fn rejected(&self, after: i64, most: u32) -> Result<String, ClientError> {
        self.read(&Request::Rejected { after, most }).and_then(json)
    }

    /// Takes a refused request again, as if it were made now. `EntityNotFound` when there is none with
    /// this number.
    pub fn replay(&self, seq: i64) -> Result<(), ClientError> {
        self.write(&Request::Replay { seq }).and_then(done)
    }

    /// Forgets a refused request. `EntityNotFound` when there is none with this number.
    pub fn drop_rejected(&self, seq: i64) -> Result<(), ClientError> {
        self.write(&Request::Drop { seq }).and_then(done)
    }

    /// Which domain would get an alarm, and why, as a JSON object. An empty entity type is read off the
    /// entity instance id.
    pub fn explain(
        &self,
        alarm_id: &str,
        entity_type_id: &str,
        entity_instance_id: &str,
    ) -> Result<String, ClientError> {
        self.read(&Request::Explain {
            alarm_id: alarm_id.to_owned(),
            entity_type_id: entity_type_id.to_owned(),
            entity_instance_id: entity_instance_id.to_owned(),
        })
        .and_then(json)
    }

    /// Compares the controller of a domain with what this node raised and heals the difference; what came
    /// of it as a JSON object. `NoConnect` when the controller cannot be asked.
    pub fn resync(&self, domain: &str) -> Result<String, ClientError> {
        self.read(&Request::Resync { domain: domain.to_owned() }).and_then(json)
    }
}

pub(super) fn json(answer: Answer) -> Result<String, ClientError> {
    match answer {
        Answer::Json(text) => Ok(text),
        other => Err(unexpected(&other)),
    }
}
