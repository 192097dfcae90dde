//! The log of requests received, kept in memory for tests and demos to look at.
//!
//! It holds no token and no password: bodies are kept for the service only, headers never.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::faults::{FaultKind, Service};
use crate::timestamp::now_us;

/// Requests remembered; the oldest go first.
const REMEMBERED: usize = 200_000;
/// Characters of a body remembered.
const BODY_CHARS: usize = 4096;

/// One request that was read completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Number of the request, from 1.
    pub id: u64,
    /// Which service it came to.
    pub service: Service,
    /// The client's port: tells connections apart.
    pub client_port: u16,
    /// The method.
    pub method: String,
    /// The path with the query, as sent.
    pub path: String,
    /// The body, for the service only; the first 4096 characters.
    pub body: String,
    /// When it had been read, microseconds since the epoch.
    pub received_at: i64,
    /// When the answer was ready, microseconds since the epoch; `None` as long as there is none.
    pub answered_at: Option<i64>,
    /// The status answered; `None` for none yet, a hang and a reset.
    pub status: Option<u16>,
    /// The fault that decided it.
    pub fault: Option<FaultKind>,
}

/// The remembered requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    records: VecDeque<RequestRecord>,
    last_id: u64,
}

impl RequestLog {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request and returns its number.
    pub(crate) fn begin(
        &self,
        service: Service,
        client_port: u16,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> u64 {
        let body = match service {
            Service::Fm => String::from_utf8_lossy(body).chars().take(BODY_CHARS).collect(),
            Service::Keystone => String::new(),
        };
        let mut memory = self.lock();
        memory.last_id += 1;
        let id = memory.last_id;
        memory.records.push_back(RequestRecord {
            id,
            service,
            client_port,
            method: method.to_owned(),
            path: path.to_owned(),
            body,
            received_at: now_us(),
            answered_at: None,
            status: None,
            fault: None,
        });
        if memory.records.len() > REMEMBERED {
            memory.records.pop_front();
        }
        id
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, id: u64, status: Option<u16>, fault: Option<FaultKind>) {
        let mut memory = self.lock();
        let Some(first) = memory.records.front().map(|record| record.id) else { return };
        let index = id.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(record) = index.and_then(|index| memory.records.get_mut(index)) {
            record.status = status;
            record.fault = fault;
            record.answered_at = status.map(|_| now_us());
        }
    }

    /// The requests with a number above `after`.
    pub(crate) fn after(&self, after: u64) -> Vec<RequestRecord> {
        self.lock().records.iter().filter(|record| record.id > after).cloned().collect()
    }

    /// Forgets the requests; numbers go on.
    pub(crate) fn clear(&self) {
        self.lock().records.clear();
    }
}
