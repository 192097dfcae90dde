//! What goes into the store and comes out of it: plain data.

use std::sync::Arc;
use std::time::Duration;

use fm_common::entity::EntityMatch;
use fm_common::protocol::Token;
use fm_common::{Alarm, AlarmKey, Timestamp};

use crate::caller::Origin;
use crate::config::Domain;

/// Changes that belong together: all of them are taken, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Identifies the call; `None` for changes that are never repeated.
    pub token: Option<Token>,
    /// Who asked for them; `None` for what nobody asked for.
    pub origin: Option<Arc<Origin>>,
    /// The changes, in order.
    pub ops: Vec<Op>,
}

/// One change that a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Raise an alarm. It has a uuid and a timestamp.
    Raise {
        /// The owning domain.
        domain: Domain,
        /// The alarm.
        alarm: Box<Alarm>,
    },
    /// Record a log. It has a uuid and a timestamp.
    Log {
        /// The owning domain.
        domain: Domain,
        /// The log.
        alarm: Box<Alarm>,
    },
    /// Clear one alarm, in the domain recorded for it.
    Clear {
        /// Which.
        key: AlarmKey,
        /// What to do when this node does not know it.
        unknown: Unknown,
    },
    /// Clear every alarm of an entity and of what lies under it.
    ClearAll {
        /// The entity instance id.
        entity_instance_id: String,
        /// How it matches.
        rule: EntityMatch,
        /// What to do when this node knows none of them.
        unknown: Unknown,
        /// The domains that get the request.
        domains: Vec<Domain>,
    },
    /// Take a request that was refused again, as if it were made now.
    Replay {
        /// Its place in the order that it had.
        seq: i64,
    },
    /// Forget a request that was refused.
    Drop {
        /// Its place in the order that it had.
        seq: i64,
    },
}

impl Op {
    /// Whether it may bring something new to a controller.
    pub(super) const fn raises_or_logs(&self) -> bool {
        match self {
            Self::Raise { .. } | Self::Log { .. } | Self::Replay { .. } => true,
            Self::Clear { .. } | Self::ClearAll { .. } | Self::Drop { .. } => false,
        }
    }
}

/// What a clear does about alarms that this node does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing: the outcome is [`Outcome::Unknown`].
    Tell,
    /// Let the controller of this domain look for it.
    Deliver(Domain),
}

/// What became of one [`Op`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The alarm stands under this uuid.
    Raised(String),
    /// The log is recorded under this uuid.
    Logged(String),
    /// What had to be cleared is cleared or will be.
    Cleared,
    /// Nothing was changed: this node knows no such alarm, or no such request.
    Unknown,
    /// What was asked for is done.
    Done,
}

/// A request that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its place in the order; unique for the life of the store.
    pub seq: i64,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// What to do.
    pub kind: RequestKind,
}

impl Request {
    /// About the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        /// What an alarm takes beside its texts.
        const ALARM: usize = 512;
        size_of::<Self>()
            + match &self.kind {
                RequestKind::Raise { alarm, .. } | RequestKind::Log { alarm, .. } => {
                    ALARM + text_bytes(alarm)
                }
                RequestKind::Clear { key } | RequestKind::Remove { key, .. } => {
                    key.alarm_id.len() + key.entity_instance_id.len()
                }
                RequestKind::ClearAll { entity_instance_id, .. } => entity_instance_id.len(),
            }
    }
}

/// Bytes of what callers may write as they like.
pub(super) fn text_bytes(alarm: &Alarm) -> usize {
    [
        &alarm.alarm_id,
        &alarm.entity_instance_id,
        &alarm.entity_type_id,
        &alarm.reason_text,
        &alarm.proposed_repair_action,
    ]
    .into_iter()
    .map(String::len)
    .sum()
}

/// What a request asks of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKind {
    /// Raise this alarm.
    Raise {
        /// The alarm as the caller wrote it.
        alarm: Box<Alarm>,
        /// The uuid for it at the controller.
        uuid: String,
    },
    /// Clear the alarm with this key.
    Clear {
        /// The key.
        key: AlarmKey,
    },
    /// Clear every alarm of this entity and of what lies under it.
    ClearAll {
        /// The entity instance id.
        entity_instance_id: String,
        /// How it matches: as it did when the request was taken, whatever the configuration says since.
        rule: EntityMatch,
    },
    /// Record this log.
    Log {
        /// The log as the caller wrote it.
        alarm: Box<Alarm>,
        /// The uuid for it at the controller.
        uuid: String,
    },
    /// Remove one alarm of this key, and no other, that stands again although this node cleared it.
    Remove {
        /// The key.
        key: AlarmKey,
        /// Its uuid at the controller.
        uuid: String,
    },
}

impl RequestKind {
    /// The alarm that it is about; of a clear-all, the entity without an alarm id.
    pub fn key(&self) -> AlarmKey {
        match self {
            Self::Raise { alarm, .. } | Self::Log { alarm, .. } => alarm.key(),
            Self::Clear { key } | Self::Remove { key, .. } => key.clone(),
            Self::ClearAll { entity_instance_id, .. } => AlarmKey::new("", entity_instance_id),
        }
    }

    /// The alarm or log as the caller wrote it, where it has one.
    pub fn alarm(&self) -> Option<&Alarm> {
        match self {
            Self::Raise { alarm, .. } | Self::Log { alarm, .. } => Some(alarm),
            Self::Clear { .. } | Self::Remove { .. } | Self::ClearAll { .. } => None,
        }
    }
}

/// What is known of a request just before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It still waits. The controller holds its alarm under this uuid, as far as this node knows.
    Waits(Option<String>),
    /// It waits no more.
    Gone,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The controller has taken the request.
    Done {
        /// Which.
        seq: i64,
        /// For a raise: the uuid under which the alarm stands at the controller; `None` when it does not: somebody
        /// removed it again, or another's was kept in its place.
        uuid: Option<String>,
    },
    /// The controller refuses the request for good.
    Rejected {
        /// Which.
        seq: i64,
        /// What the controller said.
        answer: String,
    },
    /// The controller of this domain does not hold the alarm under this uuid any more: the raise that was to
    /// change it is still to be reported.
    Gone {
        /// The domain.
        domain: Domain,
        /// The alarm's key.
        key: AlarmKey,
        /// The uuid that it had there.
        uuid: String,
    },
    /// Requests of this domain up to this place may be sent from now on.
    Begun {
        /// The domain.
        domain: Domain,
        /// The place.
        up_to: i64,
    },
}

/// A clear-all that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingClearAll {
    /// The domain it waits for.
    pub domain: Domain,
    /// The entity instance id.
    pub entity_instance_id: String,
    /// How it matches.
    pub rule: EntityMatch,
}

impl WaitingClearAll {
    /// Whether it is about to clear an alarm of this domain on this entity.
    pub fn covers(&self, domain: Domain, entity_instance_id: &str) -> bool {
        self.domain == domain && self.rule.covers(&self.entity_instance_id, entity_instance_id)
    }
}

/// What this node holds of one alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The alarm's key.
    pub key: AlarmKey,
    /// The domain recorded for it.
    pub domain: Domain,
    /// Whether it stands, as far as this node's callers have said.
    pub standing: Standing,
    /// A request about it still waits.
    pub pending: bool,
    /// The uuid under which the controller holds it, once that is known.
    pub controller_uuid: Option<String>,
}

/// Whether an alarm stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Raised: the alarm as last written here, with the uuid that its callers know.
    Raised(Box<Alarm>),
    /// Cleared; it is forgotten as soon as the controller knows.
    Cleared,
}

/// What waits for one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Requests that wait.
    pub requests: u64,
    /// When the oldest of them was taken.
    pub oldest: Option<Timestamp>,
    /// Requests that the controller refused for good.
    pub rejected: u64,
}

/// An alarm that a controller holds for this node, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The alarm's key.
    pub key: AlarmKey,
    /// Its uuid at the controller.
    pub uuid: String,
    /// Since when the controller holds it under this uuid, by this node's clock.
    pub since: Timestamp,
}

/// An alarm that a controller held for this node until this node cleared or replaced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// The alarm's key.
    pub key: AlarmKey,
    /// Its uuid at the controller.
    pub uuid: String,
}

/// What was found about one alarm of a domain when its controller was compared with this node. It is
/// passed over when the alarm has changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The alarm's key.
    pub key: AlarmKey,
    /// The uuid at the controller that it is about.
    pub uuid: String,
    /// What was found.
    pub what: Found,
}

/// How a controller differs from what this node made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It has lost the alarm: the alarm is raised again.
    Lost,
    /// Somebody has removed the alarm there: it is forgotten here.
    Removed,
    /// The alarm stands although this node cleared it: it is removed.
    Back,
}

/// Who did something to an alarm, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who.
    pub origin: Origin,
    /// When it was taken, by this node's clock.
    pub at: Timestamp,
}

/// Who is known to have acted on an alarm that this node holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signed {
    /// Who raised it, when it did not stand.
    pub raised: Option<Signature>,
    /// Who set or cleared it last.
    pub changed: Option<Signature>,
}

/// A request that a controller refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The domain whose controller it was.
    pub domain: Domain,
    /// The request.
    pub request: Result<Request, Unreadable>,
    /// When it was refused.
    pub rejected_at: Timestamp,
    /// What the controller said.
    pub answer: String,
    /// Who asked for it.
    pub origin: Option<Origin>,
}

/// A request that was set aside because it cannot be read: what can be shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its place in the order.
    pub seq: i64,
    /// When it was taken, by what stands there.
    pub taken_at: Timestamp,
    /// The kind, the alarm id, the entity instance id and the alarm as they stand there; bytes that are no text are
    /// shown as `U+FFFD`.
    pub texts: [String; 4],
}

/// How many refused requests are kept, and for how long. The oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepRejected {
    /// So many at most.
    pub most: u32,
    /// So long at most.
    pub age: Duration,
}
