//! What caller and agent say to each other: plain data.
//!
//! Field and variant order is the wire format. A new kind goes to the end of its enumeration; nothing
//! else may change, be reordered or be removed.

use serde::{Deserialize, Serialize};

use crate::alarm::{Alarm, AlarmKey};
use crate::error::ErrorCode;
use crate::protocol::{MAGIC, VERSION};

/// Identifies one call across its retry, so that the agent takes it once.
pub type Token = [u8; 16];

/// The first frame of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Always [`MAGIC`].
    pub magic: [u8; 4],
    /// The protocol version that the caller speaks.
    pub version: u16,
    /// The caller's program name, for the agent's log. Not trusted.
    pub program: String,
}

impl Hello {
    /// The hello of this version.
    pub fn new(program: &str) -> Self {
        Self { magic: MAGIC, version: VERSION, program: program.chars().take(64).collect() }
    }
}

/// The agent's answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelloAnswer {
    /// Requests may follow.
    Welcome {
        /// The protocol version that both speak from here on.
        version: u16,
        /// The agent's own version, for messages.
        agent: String,
    },
    /// The agent closes the connection after this.
    Refused(Refusal),
}

/// What comes before each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHeader {
    /// The answer carries the same id. Unique among what is unanswered on the connection.
    pub id: u64,
    /// For how long the caller waits for the answer, in milliseconds.
    pub timeout_ms: u32,
    /// The caller does not look at the answer: the agent logs a failure, and asks no controller.
    pub detached: bool,
    /// Identifies the call: a write with a token that was taken before is not done again.
    pub token: Token,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Raise an alarm, clear it or record a log, as its state and severity say. Answered by
    /// [`Answer::Uuid`] for a raise or log, by [`Answer::Done`] for a clear.
    Set(Alarm),
    /// As [`Request::Set`] for each, all or nothing. Answered by [`Answer::Uuids`].
    SetList(Vec<Alarm>),
    /// Clear one alarm. Answered by [`Answer::Done`].
    Clear(AlarmKey),
    /// Clear every alarm of an entity and of what lies under it. Answered by [`Answer::Done`].
    ClearAll {
        /// The entity instance id; must not be empty.
        entity_instance_id: String,
    },
    /// Clear each; absent ones are no error. Answered by [`Answer::Done`].
    ClearList(Vec<AlarmKey>),
    /// The alarm with exactly this key. Answered by [`Answer::Alarm`].
    Get(AlarmKey),
    /// Alarms of an entity and of what lies under it. Answered by [`Answer::Alarms`].
    ListByEntity {
        /// The entity instance id.
        entity_instance_id: String,
    },
    /// Alarms with this id. Answered by [`Answer::Alarms`].
    ListById {
        /// The alarm id.
        alarm_id: String,
    },
    /// Alarms with this id, of the entity and of what lies under it. Answered by [`Answer::Alarms`].
    ListByIdAndEntity(AlarmKey),
    /// Answered by [`Answer::Done`] once everything sent before on this agent is on disk.
    Ping,
    /// How the agent and its domains are. Answered by [`Answer::Status`].
    Status,
    /// The requests that controllers refused for good and the agent keeps, by their number. For
    /// administrators, as are the kinds below. Answered by [`Answer::Json`].
    Rejected {
        /// Only those with a number above this; 0 is the beginning.
        after: i64,
        /// So many at most.
        most: u32,
    },
    /// Take a refused request again, as if it were made now. Answered by [`Answer::Done`].
    Replay {
        /// Its number.
        seq: i64,
    },
    /// Forget a refused request. Answered by [`Answer::Done`].
    Drop {
        /// Its number.
        seq: i64,
    },
    /// Which domain would get an alarm, and why. Answered by [`Answer::Json`].
    Explain {
        /// The alarm id.
        alarm_id: String,
        /// The entity type; when empty it is read off the entity instance id.
        entity_type_id: String,
        /// The entity instance id.
        entity_instance_id: String,
    },
    /// Compare the controller of a domain with what this node raised, and heal the difference. Answered by
    /// [`Answer::Json`].
    Resync {
        /// The domain's name.
        domain: String,
    },
    /// The requests that wait for controllers, in order. Answered by [`Answer::Json`].
    Queue {
        /// Only those of this domain; empty: of all.
        domain: String,
        /// Only those with a number above this; 0 is the beginning.
        after: i64,
        /// So many at most.
        most: u32,
    },
    /// This node's view of the alarms that its callers raised, ordered by alarm id and entity. Answered by
    /// [`Answer::Json`].
    View {
        /// Only alarms with this id; empty: all.
        alarm_id: String,
        /// Only alarms of this entity and of what lies under it; empty: all.
        entity_instance_id: String,
        /// Only those behind this one.
        after: Option<AlarmKey>,
        /// So many at most.
        most: u32,
    },
    /// What passes through the agent after an event, as soon as there is something, or nothing when the
    /// caller's deadline comes first. Answered by [`Answer::Json`].
    Watch {
        /// The run of the agent that `after` is of; 0: from now on.
        run: u64,
        /// The event's number.
        after: u64,
        /// So many at most.
        most: u32,
    },
}

impl Request {
    /// The kind in one word, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::SetList(_) => "set_list",
            Self::Clear(_) => "clear",
            Self::ClearAll { .. } => "clear_all",
            Self::ClearList(_) => "clear_list",
            Self::Get(_) => "get",
            Self::ListByEntity { .. } => "list_by_entity",
            Self::ListById { .. } => "list_by_id",
            Self::ListByIdAndEntity(_) => "list_by_id_and_entity",
            Self::Ping => "ping",
            Self::Status => "status",
            Self::Rejected { .. } => "rejected",
            Self::Replay { .. } => "replay",
            Self::Drop { .. } => "drop",
            Self::Explain { .. } => "explain",
            Self::Resync { .. } => "resync",
            Self::Queue { .. } => "queue",
            Self::View { .. } => "view",
            Self::Watch { .. } => "watch",
        }
    }

    /// Whether it is for administrators: taken on the agent's socket for them only.
    pub const fn is_administrative(&self) -> bool {
        match self {
            Self::Rejected { .. }
            | Self::Replay { .. }
            | Self::Drop { .. }
            | Self::Explain { .. }
            | Self::Resync { .. }
            | Self::Queue { .. }
            | Self::View { .. }
            | Self::Watch { .. } => true,
            Self::Set(_)
            | Self::SetList(_)
            | Self::Clear(_)
            | Self::ClearAll { .. }
            | Self::ClearList(_)
            | Self::Get(_)
            | Self::ListByEntity { .. }
            | Self::ListById { .. }
            | Self::ListByIdAndEntity(_)
            | Self::Ping
            | Self::Status => false,
        }
    }
}

/// The agent's answer to one request, under the request's id.
pub type Response = Result<Answer, Refusal>;

/// What a request that succeeded brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is on this node's disk.
    Done,
    /// It is on this node's disk, under this uuid.
    Uuid(String),
    /// They are on this node's disk, under these uuids, in the order of the request; a clear among
    /// them has the empty text.
    Uuids(Vec<String>),
    /// The alarm asked for.
    Alarm(Box<Alarm>),
    /// The alarms asked for, ordered by time raised; never empty (none is `EntityNotFound`).
    Alarms(Vec<Alarm>),
    /// A JSON object that describes the agent; its keys are documented with the agent.
    Status(String),
    /// A JSON object; its keys are documented with the agent.
    Json(String),
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// The error in the terms of the C interface.
    pub code: ErrorCode,
    /// What happened, to what, and what to do, for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with its reason in words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
