//! What the service knows: its alarm types, and whose database it stands on.
//!
//! The list of alarm types (`event_suppression`) is what the service checks alarm ids against. Both
//! questions are asked when an answer is needed, and the second one's answer is kept: a service does not
//! change its database.

use super::adapt::Database;
use super::client::Request;
use super::{FmRestApi, wire};
use crate::backend::Failure;

const PATH: &[&str] = &["event_suppression"];

impl FmRestApi {
    /// Every alarm id that the service accepts.
    pub(super) async fn alarm_types(&self) -> Result<Vec<String>, Failure> {
        self.read(Request::get(PATH), wire::alarm_types).await
    }

    /// Whether the service accepts this alarm id.
    pub(super) async fn accepts(&self, alarm_id: &str) -> Result<bool, Failure> {
        Ok(!self.types_equal_to(alarm_id).await?.is_empty())
    }

    /// The database behind the service. MariaDB takes `100.101` and `100.101 ` for equal, PostgreSQL does
    /// not. A service without any alarm type does not show it; what suits both is assumed then.
    pub(super) async fn database(&self) -> Result<Database, Failure> {
        if let Some(known) = self.database.get() {
            return Ok(*known);
        }
        let Some(id) = self.alarm_types().await?.into_iter().find(|id| !id.is_empty()) else {
            return Ok(Database::MariaDb);
        };
        let equal = self.types_equal_to(&format!("{id} ")).await?;
        let database = if equal.is_empty() { Database::PostgreSql } else { Database::MariaDb };
        tracing::debug!(?database, "asked the service for its database");
        Ok(*self.database.get_or_init(|| database))
    }

    /// The database, asked for only if something depends on it; without that any answer will do.
    pub(super) async fn database_if(&self, something_depends_on_it: bool) -> Result<Database, Failure> {
        if something_depends_on_it { self.database().await } else { Ok(Database::PostgreSql) }
    }

    async fn types_equal_to(&self, alarm_id: &str) -> Result<Vec<String>, Failure> {
        self.read(Request::get(PATH).filter("alarm_id", alarm_id), wire::alarm_types).await
    }
}
