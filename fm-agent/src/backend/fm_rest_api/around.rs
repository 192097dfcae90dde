//! Lists of a service that fails every list with one row in it that it cannot show.
//!
//! The service stores what it cannot show: a severity of its own, or an entity that it takes for a port and asks
//! about. Such a row fails each list that it is in, and no other. So what fails is asked for in parts.
//!
//! Invariants:
//! - Only what has been asked for and answered is told, with what has not been: who needs all of it is told that it
//!   is not there.
//! - The rows whose severity is none of the five are in no part. This node raises none of them.

use fm_common::Severity;

use super::FmRestApi;
use super::read::Filter;
use super::wire::Row;
use crate::backend::{Failure, FailureKind};

/// What an alarm's severity can be, other than by mistake.
const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::Major, Severity::Minor, Severity::Warning, Severity::Unranked];
/// Digits of a uuid by which a part that fails is split once more, at most: 256 parts, one of which is lost for
/// each row that cannot be shown.
const MOST_DIGITS: usize = 2;

/// What of a list can be read.
#[derive(Debug)]
pub(super) struct Readable {
    pub(super) rows: Vec<Row>,
    /// The parts that fail, too.
    pub(super) unread: Vec<Filter>,
}

impl FmRestApi {
    /// What can be read of a list that has failed, severity by severity.
    ///
    /// # Errors
    /// A list of everything that is shorter than the summary says fails as it did.
    pub(super) async fn by_severity(&self, filter: &Filter, failed: &Failure) -> Result<Readable, Failure> {
        let readable = self.each(SEVERITIES.map(|severity| filter.with_severity(severity))).await?;
        let countable = filter.means_everything() && readable.unread.is_empty();
        if countable && !self.complete(&readable.rows).await? {
            return Err(failed.clone());
        }
        Ok(readable)
    }

    /// What can be read of one key where its list fails. `known` is a uuid that may be one of its rows.
    pub(super) async fn around_one(
        &self,
        filter: &Filter,
        known: Option<&str>,
        failed: &Failure,
    ) -> Result<Vec<Row>, Failure> {
        let Readable { mut rows, unread } = self.by_severity(filter, failed).await?;
        if !unread.is_empty() {
            let row = match known {
                Some(uuid) => self.alarm(uuid).await?,
                None => None,
            };
            rows.push(row.ok_or_else(|| unlisted(failed))?);
        }
        self.tell_unshown(failed);
        Ok(rows)
    }

    /// As much of a list as can be read, for who cannot wait until all can.
    ///
    /// # Errors
    /// A service that fails every part.
    pub(super) async fn as_much_as_possible(&self, filter: &Filter) -> Result<Vec<Row>, Failure> {
        let failed = match self.rows(filter).await {
            Err(failure) if failure.kind == FailureKind::Retry => failure,
            rows => return rows,
        };
        let Readable { mut rows, mut unread } = self.by_severity(filter, &failed).await?;
        // What has nothing to hide is answered, though it be empty: so a service that fails all of them lists nothing.
        let mut lists = unread.len() < SEVERITIES.len();
        while unread.first().is_some_and(|part| part.digits() < MOST_DIGITS) {
            let parts: Vec<Filter> = unread.iter().flat_map(Filter::by_digit).collect();
            let asked = parts.len();
            let finer = self.each(parts).await?;
            lists |= finer.unread.len() < asked;
            rows.extend(finer.rows);
            unread = finer.unread;
        }
        if !lists {
            return Err(unlisted(&failed));
        }
        // Once more: a busy service fails now and then what it can show.
        rows.extend(self.each(unread).await?.rows);
        self.tell_unshown(&failed);
        Ok(rows)
    }

    /// Says that something is left out.
    pub(super) fn tell_unshown(&self, failed: &Failure) {
        if let Some(kept_back) = self.unshown.may() {
            tracing::warn!(
                reason = failed.reason,
                kept_back,
                "fm-rest-api cannot list its alarms because of one that it cannot show, such as one with an unknown \
                 severity; delete that one by its uuid. Going on with those that can be read"
            );
        }
    }

    /// Reads these parts.
    async fn each(&self, parts: impl IntoIterator<Item = Filter> + Send) -> Result<Readable, Failure> {
        let mut readable = Readable { rows: Vec::new(), unread: Vec::new() };
        for part in parts {
            match self.rows(&part).await {
                Ok(rows) => readable.rows.extend(rows),
                Err(failure) if failure.kind == FailureKind::Retry => readable.unread.push(part),
                Err(failure) => return Err(failure),
            }
        }
        Ok(readable)
    }
}

/// The failure of who needs what cannot be read.
pub(super) fn unlisted(failed: &Failure) -> Failure {
    Failure::retry(format!(
        "{}; an alarm that the service cannot show, such as one with an unknown severity, fails every list it is in: \
         delete it by its uuid",
        failed.reason
    ))
}
