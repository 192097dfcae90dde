//! What the service knows: its alarm types, and whose database it stands on.
//!
//! The list of alarm types (`event_suppression`) is what the service checks alarm ids against. Both
//! questions are asked when an answer is needed, and the second one's answer is kept: a service does not
//! change its database.

use super::adapt::Database;
use super::client::Request;
use super::wire::AlarmKind;
use super::{FmRestApi, wire};
use crate::backend::Failure;

const PATH: &[&str] = &["event_suppression"];

/// Characters of a description that is asked for, at most: it has to fit into a URL.
const MOST_CHARS: usize = 255;

impl FmRestApi {
    /// Every alarm type that the service accepts.
    pub(super) async fn alarm_types(&self) -> Result<Vec<AlarmKind>, Failure> {
        self.read(Request::get(PATH), wire::alarm_types).await
    }

    /// Whether the service accepts this alarm id.
    ///
    /// # Errors
    /// A service that has no alarm types accepts none, but not for good: its database has not been filled yet.
    pub(super) async fn accepts(&self, alarm_id: &str) -> Result<bool, Failure> {
        let equal = self.read(Request::get(PATH).filter("alarm_id", alarm_id), wire::alarm_types).await?;
        if !equal.is_empty() {
            return Ok(true);
        }
        let types = self.alarm_types().await?;
        if types.is_empty() {
            let reason = "fm-rest-api takes no alarm: it has no alarm types at all, its event_suppression table is \
                          empty; fill it (fm-dbsync does), what waits goes then";
            if let Some(kept_back) = self.untyped.may() {
                tracing::warn!(alarm_id, kept_back, "{reason}");
            }
            return Err(Failure::retry(reason));
        }
        // It may have come since the first question.
        Ok(types.iter().any(|kind| kind.alarm_id == alarm_id))
    }

    /// The database behind the service: MariaDB takes texts for equal that differ in case, PostgreSQL does
    /// not. A service without any alarm type does not show it; what suits both is assumed then.
    pub(super) async fn database(&self) -> Result<Database, Failure> {
        if let Some(known) = self.database.get() {
            return Ok(*known);
        }
        let types = self.alarm_types().await?;
        let Some(example) = types.iter().find(|kind| tells_case(&kind.description)) else {
            return Ok(Database::MariaDb);
        };
        let request = Request::get(PATH)
            .filter("alarm_id", example.alarm_id.as_str())
            .filter("description", other_case(&example.description));
        let equal = self.read(request, wire::alarm_types).await?;
        let database = if equal.is_empty() { Database::PostgreSql } else { Database::MariaDb };
        tracing::debug!(?database, "asked the service for its database");
        Ok(*self.database.get_or_init(|| database))
    }

    /// The database, asked for only if something depends on it; without that any answer will do.
    pub(super) async fn database_if(&self, something_depends_on_it: bool) -> Result<Database, Failure> {
        if something_depends_on_it { self.database().await } else { Ok(Database::PostgreSql) }
    }
}

/// Whether only its case decides if the text equals itself in the other case.
fn tells_case(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_alphabetic()) && text == text.trim() && text.chars().count() <= MOST_CHARS
}

fn other_case(text: &str) -> String {
    let other =
        |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(other).collect()
}
