//! Reading alarms exactly from a service that matches loosely.
//!
//! Invariants:
//! - A filter sent to the service is a superset of what is meant; what is meant is decided here.
//! - A list is complete or a failure: the service gives at most 2000 alarms at a time and no working way
//!   to the next page, and hides masked alarms after it has cut the page, so that a short page may be cut, too. So
//!   a page that is more than half full is split until none is, and a list of everything is checked against the
//!   sum. What stays open is a filter under which more than a thousand alarms are masked.
//! - Reading changes nothing at the service: no failure here is in doubt.

use std::collections::{BTreeMap, HashSet};

use fm_common::entity::canonical;
use fm_common::{Alarm, AlarmKey, Severity};

use super::adapt::{self, Database};
use super::answer::Outcome;
use super::client::Request;
use super::wire::{Row, Summary};
use super::{FmRestApi, around, wire};
use crate::backend::{Failure, FailureKind, Query};

/// Alarms in a full page.
const PAGE: usize = 2000;
/// A page that is shorter is taken for complete. The service hides masked alarms of a page that it has cut
/// already, so that one with room left may not be all there is.
const TRUSTED: usize = PAGE / 2;
/// Characters of what several entities begin with, at most: the service holds longer ones shortened.
const MOST_COMMON: usize = 200;
/// The length of a uuid.
const UUID_CHARS: usize = 36;
/// Digits of a uuid by which a page is split, at most: 65,536 pages.
const MOST_DIGITS: usize = 4;
/// Attempts at a complete list while alarms come and go.
const ATTEMPTS: usize = 3;

/// What the service is asked for: every given text must be in the row.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    alarm_id: Option<String>,
    entity: Option<String>,
    severity: Option<Severity>,
    /// The first digits of the uuid.
    uuid: String,
    suppressed: bool,
}

impl Filter {
    fn new(alarm_id: Option<&str>, entity: Option<&str>, suppressed: bool) -> Self {
        let value = |text: &str| Some(adapt::filter(text)).filter(|value| !value.is_empty());
        Self {
            alarm_id: alarm_id.and_then(value),
            entity: entity.map(canonical).and_then(value),
            suppressed,
            ..Self::default()
        }
    }

    /// What covers a query.
    pub(super) fn of(query: &Query) -> Self {
        Self::new(query.alarm_id.as_deref(), query.entity_instance_id.as_deref(), query.include_suppressed)
    }

    fn key(key: &AlarmKey) -> Self {
        Self::new(Some(&key.alarm_id), Some(&key.entity_instance_id), true)
    }

    /// What all of these keys have in common, in the callers' form.
    pub(super) fn common(keys: &[AlarmKey]) -> Self {
        let same = |one: &&AlarmKey| keys.iter().all(|other| other.alarm_id == one.alarm_id);
        let alarm_id = keys.first().filter(same).map(|key| key.alarm_id.as_str());
        let entities = keys.iter().map(|key| canonical(&key.entity_instance_id));
        let beginning = entities.reduce(|one, other| {
            let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
            &one[..same.map(|(c, _)| c.len_utf8()).sum()]
        });
        let beginning: Option<String> = beginning.map(|text| text.chars().take(MOST_COMMON).collect());
        Self::new(alarm_id, beginning.as_deref(), true)
    }

    /// The part of it with one severity.
    pub(super) fn with_severity(&self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self.clone() }
    }

    /// The parts of it that one more digit of the uuid makes.
    pub(super) fn by_digit(&self) -> impl Iterator<Item = Self> {
        "0123456789abcdef".chars().map(|digit| Self { uuid: format!("{}{digit}", self.uuid), ..self.clone() })
    }

    /// How many digits of the uuid make this part.
    pub(super) fn digits(&self) -> usize {
        self.uuid.len()
    }

    /// What must be in the alarm id and in the entity, as the values of filters.
    pub(super) fn texts(&self) -> [Option<&str>; 2] {
        [self.alarm_id.as_deref(), self.entity.as_deref()]
    }

    pub(super) fn means_everything(&self) -> bool {
        self.alarm_id.is_none() && self.entity.is_none()
    }

    fn request(&self) -> Request<'static> {
        let mut request = Request::get(&["alarms"]);
        // Any value, 'false' too, would mean true.
        if self.suppressed {
            request = request.with("include_suppress", "1");
        }
        if !self.uuid.is_empty() {
            request = request.filter("uuid", format!("{:_<UUID_CHARS$}", self.uuid));
        }
        let texts = [
            ("alarm_id", self.alarm_id.as_deref()),
            ("entity_instance_id", self.entity.as_deref()),
            ("severity", self.severity.as_ref().map(Severity::as_str)),
        ];
        for (field, value) in texts {
            if let Some(value) = value {
                request = request.filter(field, value);
            }
        }
        request
    }
}

impl FmRestApi {
    /// Asks a question whose answer is a document.
    pub(super) async fn read<T>(
        &self,
        request: Request<'_>,
        parse: fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<T, Failure> {
        let asked = request.describe();
        match self.find(request, parse).await? {
            Some(document) => Ok(document),
            None => Err(missing(&asked)),
        }
    }

    /// Asks for a document that need not be there.
    async fn find<T>(
        &self,
        request: Request<'_>,
        parse: fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<Option<T>, Failure> {
        let asked = request.describe();
        match self.client.send(request).await {
            Ok(Outcome::NotFound) => Ok(None),
            Ok(Outcome::Done(body)) => parse(&body).map(Some).map_err(|error| foreign(&asked, &error)),
            Ok(Outcome::Unclear(failure)) | Err(failure) => {
                Err(self.whose_fault(failure.in_doubt(false)).await)
            }
        }
    }

    /// The alarm with this uuid, suppressed or not; masked ones are not shown.
    pub(super) async fn alarm(&self, uuid: &str) -> Result<Option<Row>, Failure> {
        self.find(Request::get(&["alarms", uuid]), wire::alarm).await
    }

    /// The event with this uuid.
    pub(super) async fn event(&self, uuid: &str) -> Result<Option<wire::Event>, Failure> {
        self.find(Request::get(&["event_log", uuid]), wire::event).await
    }

    /// How many alarms stand: the cheapest question that the database has to answer. What fails it fails
    /// every request.
    pub(super) async fn summary(&self) -> Result<Summary, Failure> {
        let request = Request::get(&["alarms", "summary"]);
        let asked = request.describe();
        match self.client.send(request).await {
            Ok(Outcome::Done(body)) => wire::summary(&body).map_err(|error| foreign(&asked, &error)),
            Ok(Outcome::NotFound) => Err(missing(&asked)),
            Ok(Outcome::Unclear(failure)) | Err(failure) => {
                Err(Failure { kind: FailureKind::Unavailable, in_doubt: false, ..failure })
            }
        }
    }

    /// Whether a question failed by itself or because the service answers none, as without its database. That a
    /// question is refused refuses nothing: no alarm was sent.
    pub(super) async fn whose_fault(&self, failure: Failure) -> Failure {
        match failure.kind {
            FailureKind::Retry | FailureKind::Rejected => {
                self.summary().await.err().unwrap_or(Failure { kind: FailureKind::Retry, ..failure })
            }
            FailureKind::Unavailable | FailureKind::Waits => failure,
        }
    }

    /// Every row with exactly this key, in the service's form. `known` is a uuid that may be one of them:
    /// it helps where the service cannot list.
    pub(super) async fn standing(&self, key: &AlarmKey, known: Option<&str>) -> Result<Vec<Row>, Failure> {
        let filter = Filter::key(key);
        let mut rows = match self.rows(&filter).await {
            Err(failure) if failure.kind == FailureKind::Retry => {
                self.around_one(&filter, known, &failure).await?
            }
            other => other?,
        };
        rows.retain(|row| row.alarm.key() == *key);
        Ok(rows)
    }

    /// Those of these keys under which nothing stands, if one page tells.
    pub(super) async fn not_standing(&self, keys: &[AlarmKey]) -> Result<HashSet<AlarmKey>, Failure> {
        let by_database = keys.iter().any(|key| adapt::entity_depends_on_database(&key.entity_instance_id));
        let database = self.database_if(by_database).await?;
        let held = |key: &AlarmKey| {
            AlarmKey::new(key.alarm_id.as_str(), &adapt::hold_entity(&key.entity_instance_id, database))
        };
        let filter = Filter::common(keys);
        if filter.means_everything() {
            // Everybody's alarms are more than a question is worth.
            return Ok(HashSet::new());
        }
        let page = self.read(filter.request(), wire::alarms).await?;
        if page.len() >= TRUSTED {
            return Ok(HashSet::new());
        }
        let standing: HashSet<AlarmKey> = page.iter().map(|row| row.alarm.key()).collect();
        Ok(keys.iter().filter(|key| !standing.contains(&held(key))).cloned().collect())
    }

    /// The alarms that a query means, in the callers' form; where some cannot be shown, those that can, if any: that
    /// there is none cannot be said then.
    pub(super) async fn matching(&self, query: &Query) -> Result<Vec<Alarm>, Failure> {
        match self.readable(query).await? {
            (alarms, Some(failed)) if alarms.is_empty() => Err(around::unlisted(&failed)),
            (alarms, _) => Ok(alarms),
        }
    }

    /// The alarms that a query means, in the callers' form. With a failure if the service fails the list for a row
    /// of another writer whose severity is none of the five; such rows are missing.
    pub(super) async fn readable(&self, query: &Query) -> Result<(Vec<Alarm>, Option<Failure>), Failure> {
        let filter = Filter::of(query);
        let (rows, failed) = match self.rows(&filter).await {
            Err(failed) if failed.kind == FailureKind::Retry => {
                let parts = self.by_severity(&filter, &failed).await?;
                if !parts.unread.is_empty() {
                    return Err(around::unlisted(&failed));
                }
                self.tell_unshown(&failed);
                (parts.rows, Some(failed))
            }
            rows => (rows?, None),
        };
        Ok((self.meant(query, rows).await?, failed))
    }

    /// Those of these rows that the query means, in the callers' form.
    pub(super) async fn meant(&self, query: &Query, rows: Vec<Row>) -> Result<Vec<Alarm>, Failure> {
        let by_database = query.entity_instance_id.as_deref().is_some_and(adapt::entity_depends_on_database)
            || rows.iter().any(|row| adapt::entity_depends_on_database(&row.alarm.entity_instance_id));
        let database = self.database_if(by_database).await?;
        Ok(rows.into_iter().filter_map(|row| meant(query, row.alarm, database)).collect())
    }

    /// Every row that matches, however many.
    pub(super) async fn rows(&self, filter: &Filter) -> Result<Vec<Row>, Failure> {
        // Only the sum over everything can be checked.
        let counted = filter.means_everything() && filter.severity.is_none();
        for _ in 0..ATTEMPTS {
            let page = self.page(filter).await?;
            if page.len() >= if counted { PAGE } else { TRUSTED } {
                break;
            }
            if !counted || self.complete(&page).await? {
                return Ok(page);
            }
        }
        for attempt in 0..ATTEMPTS {
            let rows = self.split(self.parts(filter, attempt).await?).await?;
            if !counted || self.complete(&rows).await? {
                return Ok(rows);
            }
        }
        Err(Failure::retry(
            "GET alarms: fewer alarms can be read than the summary counts; some have uuids or alarm ids that \
             fm-rest-api does not list",
        ))
    }

    /// What to split a list into: by alarm id, which is little to ask; where that has not shown everything, for
    /// masked alarms fill the page of one, by the first digits of the uuid.
    async fn parts(&self, filter: &Filter, attempt: usize) -> Result<Vec<Filter>, Failure> {
        if filter.alarm_id.is_some() {
            return Ok(filter.by_digit().collect());
        }
        if attempt > 0 {
            return Ok(filter.by_digit().flat_map(|part| part.by_digit().collect::<Vec<_>>()).collect());
        }
        let types = self.alarm_types().await?;
        Ok(types.into_iter().map(|kind| Filter { alarm_id: Some(kind.alarm_id), ..filter.clone() }).collect())
    }

    /// Reads page after page, each split by digits of the uuid as long as it may have been cut.
    async fn split(&self, mut waiting: Vec<Filter>) -> Result<Vec<Row>, Failure> {
        // 'Contains' may give a row to more than one page.
        let mut rows = BTreeMap::new();
        while let Some(part) = waiting.pop() {
            let page = self.page(&part).await?;
            let splittable = part.digits() < MOST_DIGITS;
            if page.len() < if splittable { TRUSTED } else { PAGE } {
                rows.extend(page.into_iter().map(|row| (row.uuid.clone(), row)));
            } else if splittable {
                waiting.extend(part.by_digit());
            } else {
                return Err(Failure::retry(format!(
                    "GET alarms: over {PAGE} alarms whose uuids begin with {}: they cannot be listed",
                    part.uuid
                )));
            }
        }
        Ok(rows.into_values().collect())
    }

    /// Whether the rows are no fewer than the service counts. The summary leaves out suppressed alarms
    /// and those of severity `none`.
    pub(super) async fn complete(&self, rows: &[Row]) -> Result<bool, Failure> {
        let counted =
            rows.iter().filter(|row| !row.suppressed && row.alarm.severity != Severity::Unranked).count();
        let total = self.summary().await?.total();
        Ok(u64::try_from(counted).is_ok_and(|counted| counted >= total))
    }

    async fn page(&self, filter: &Filter) -> Result<Vec<Row>, Failure> {
        self.read(filter.request().with("expand", "1"), wire::alarms).await
    }
}

/// The alarm in the callers' form, if the query means it.
fn meant(query: &Query, held: Alarm, database: Database) -> Option<Alarm> {
    let restored = adapt::restore_entity(&held.entity_instance_id, database);
    let alarm = match &query.entity_instance_id {
        // Whatever had to be done to this entity, the caller knows it as it was asked for.
        Some(entity) if query.exact && held.entity_instance_id == adapt::hold_entity(entity, database) => {
            Alarm { entity_instance_id: canonical(entity).to_owned(), ..held }
        }
        _ => Alarm { entity_instance_id: restored, ..held },
    };
    query.means(&alarm.key()).then_some(alarm)
}

fn missing(asked: &str) -> Failure {
    Failure::unavailable(format!("{asked}: not found (404); correct the endpoint"))
}

fn foreign(asked: &str, error: &serde_json::Error) -> Failure {
    Failure::unavailable(format!(
        "{asked}: the answer is not fm-rest-api's ({error}); check the endpoint and what is before it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::entity::EntityMatch;
    use fm_common::{AlarmType, ProbableCause};

    fn held(entity: &str) -> Alarm {
        Alarm::new("1.1", "host", entity, Severity::Minor, AlarmType::Equipment, ProbableCause::Unknown)
    }

    fn exactly(entity: &str) -> Query {
        Query::one(&AlarmKey::new("1.1", entity))
    }

    #[test]
    fn an_exact_query_gets_its_own_entity_back() {
        let long = format!("host={}", "x".repeat(400));
        let row = held(&adapt::hold_entity(&long, Database::PostgreSql));
        let alarm = meant(&exactly(&long), row.clone(), Database::PostgreSql).unwrap();
        assert_eq!(alarm.entity_instance_id, long);
        assert_eq!(meant(&exactly("host=x"), row, Database::PostgreSql), None);
    }

    #[test]
    fn a_rewritten_port_lies_under_its_host() {
        let query =
            Query { exact: false, entity_instance_id: Some("host=c0.port=eth0".into()), ..exactly("") };
        let row = held("host=c0.port:eth0");
        let alarm = meant(&query, row.clone(), Database::MariaDb).unwrap();
        assert_eq!(alarm.entity_instance_id, "host=c0.port=eth0");
        assert_eq!(meant(&query, row, Database::PostgreSql), None);
        assert_eq!(query.rule, EntityMatch::Component);
    }

    #[test]
    fn a_split_covers_every_uuid_once() {
        let parts: Vec<Filter> = Filter { uuid: "a".into(), ..Filter::default() }.by_digit().collect();
        assert_eq!(parts.len(), 16);
        assert!(parts.iter().all(|part| part.uuid.len() == 2 && part.uuid.starts_with('a')));
    }
}
