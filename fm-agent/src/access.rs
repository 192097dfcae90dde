//! Who may do what: the operator's rules on the kernel's word about a caller.
//!
//! Invariants:
//! - Root and the agent's own user may do everything. Whoever may administer may read and write.
//! - Names are looked up off the threads that serve sockets: at the start, at a reload, and when they are used
//!   and were looked up a while ago. A refusal is never older than that; a name that cannot be looked up keeps
//!   what it meant before, and lets nobody in if it never meant anything.
//!
//! It knows no request: it is told what is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use fm_common::protocol::Refusal;
use nix::errno::Errno;
use nix::unistd::{Group, User, geteuid};
use tokio::task;
use tokio::time::timeout;

use crate::caller::{Caller, Door};
use crate::config::{AccessConfig, Principal};

/// For how long what names mean is taken as known.
const FRESH: Duration = Duration::from_mins(1);
/// How long a caller waits for a name to be looked up, at most.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing but a connection.
    Nothing,
    /// To read alarms and the agent's status.
    Read,
    /// To set, clear and log.
    Write,
    /// To administer the agent, over the socket for that.
    Admin,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "connect",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "administer",
        })
    }
}

/// What was refused, by what was needed for it.
#[derive(Debug, Default)]
pub struct AccessCounters {
    /// Reads.
    pub refused_reads: AtomicU64,
    /// Sets, clears and logs.
    pub refused_writes: AtomicU64,
    /// Administrators' requests, those over the wrong socket among them.
    pub refused_admin: AtomicU64,
}

type LookUp = Box<dyn Fn(&Principal) -> Result<Option<u32>, Errno> + Send + Sync>;

/// The rules.
pub struct Access {
    rules: AccessConfig,
    own_uid: u32,
    names: Mutex<Names>,
    /// Held while names are looked up.
    looking: tokio::sync::Mutex<()>,
    look_up: LookUp,
    counters: AccessCounters,
}

/// What the names in the rules mean.
#[derive(Debug, Default)]
struct Names {
    meaning: BTreeMap<Principal, u32>,
    at: Option<Instant>,
    /// Those that mean nothing, told once.
    unknown: BTreeSet<Principal>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("rules", &self.rules)
            .field("own_uid", &self.own_uid)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// The rules, for an agent of this process's user. Looks the names up, which may take as long as the
    /// system's user database takes.
    pub fn new(rules: AccessConfig) -> Self {
        Self::with(rules, geteuid().as_raw(), Box::new(in_system))
    }

    fn with(rules: AccessConfig, own_uid: u32, look_up: LookUp) -> Self {
        let access = Self {
            rules,
            own_uid,
            names: Mutex::default(),
            looking: tokio::sync::Mutex::new(()),
            look_up,
            counters: AccessCounters::default(),
        };
        access.look_names_up();
        access
    }

    /// What was refused so far.
    pub fn counters(&self) -> &AccessCounters {
        &self.counters
    }

    /// Whether a caller may have what it needs; `what` it asks for is for the refusal's words.
    pub async fn admit(self: &Arc<Self>, need: Need, what: &str, caller: &Caller) -> Result<(), Refusal> {
        let allowed = self.allows(need, caller);
        if !self.is_trusted(caller) && self.is_stale(need) {
            let looked_up = tokio::spawn(Arc::clone(self).refresh());
            if !allowed {
                // What is not known in time is not known.
                let _late = timeout(LOOK_UP_LIMIT, looked_up).await;
            }
        }
        if !allowed && !self.allows(need, caller) {
            return Err(self.refused(need, what, caller));
        }
        if need == Need::Admin && caller.door == Door::Main {
            self.counters.refused_admin.fetch_add(1, Ordering::Relaxed);
            let message = format!(
                "'{what}' is taken on the agent's socket for administrators only (agent.admin_socket): \
                 name that one in FM_AGENT_ADMIN_SOCKET"
            );
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        Ok(())
    }

    /// Looks all names up again.
    pub async fn reload(self: &Arc<Self>) {
        self.names().at = None;
        Arc::clone(self).refresh().await;
    }

    fn refused(&self, need: Need, what: &str, caller: &Caller) -> Refusal {
        let (counter, key) = match need {
            Need::Nothing | Need::Read => (&self.counters.refused_reads, "read"),
            Need::Write => (&self.counters.refused_writes, "write"),
            Need::Admin => (&self.counters.refused_admin, "admin"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let listed: Vec<String> = self.listed(need).iter().map(Principal::to_string).collect();
        let message = format!(
            "'{what}' is refused: {} gid {} may not {need}. access.{key} allows [{}], root and the agent's user \
             (uid {}): add uid:{} or a group of the process there",
            caller.origin,
            caller.origin.gid,
            listed.join(", "),
            self.own_uid,
            caller.origin.uid
        );
        Refusal::new(ErrorCode::InvalidRequest, message)
    }

    fn allows(&self, need: Need, caller: &Caller) -> bool {
        let uid = caller.origin.uid;
        if need == Need::Nothing || self.is_trusted(caller) {
            return true;
        }
        let listed = self.listed(need);
        if listed.contains(&Principal::Everyone) {
            return true;
        }
        let names = self.names();
        let has_group = |gid| caller.origin.gid == gid || caller.groups.contains(&gid);
        listed.iter().chain(&self.rules.admin).any(|principal| match principal {
            Principal::Everyone => true,
            Principal::Uid(listed) => *listed == uid,
            Principal::Gid(listed) => has_group(*listed),
            Principal::User(_) => names.meaning.get(principal) == Some(&uid),
            Principal::Group(_) => names.meaning.get(principal).is_some_and(|gid| has_group(*gid)),
        })
    }

    /// Whom the rules name for this need, administrators aside.
    fn listed(&self, need: Need) -> &[Principal] {
        match need {
            Need::Nothing => &[],
            Need::Read => &self.rules.read,
            Need::Write => &self.rules.write,
            Need::Admin => &self.rules.admin,
        }
    }

    fn is_trusted(&self, caller: &Caller) -> bool {
        caller.origin.uid == 0 || caller.origin.uid == self.own_uid
    }

    /// Whether names decide on this need and were looked up too long ago.
    fn is_stale(&self, need: Need) -> bool {
        let listed = self.listed(need);
        need != Need::Nothing
            && !listed.contains(&Principal::Everyone)
            && listed.iter().chain(&self.rules.admin).any(is_name)
            && self.names().at.is_none_or(|at| at.elapsed() > FRESH)
    }

    async fn refresh(self: Arc<Self>) {
        let _looking = self.looking.lock().await;
        if self.names().at.is_some_and(|at| at.elapsed() <= FRESH) {
            return;
        }
        let access = Arc::clone(&self);
        if task::spawn_blocking(move || access.look_names_up()).await.is_err() {
            tracing::error!("looking up the names in the access table failed");
        }
    }

    /// The names in the rules.
    fn named(&self) -> impl Iterator<Item = &Principal> {
        let rules = [&self.rules.read, &self.rules.write, &self.rules.admin];
        rules.into_iter().flatten().filter(|principal| is_name(principal))
    }

    /// Blocks for as long as the system's user database takes.
    fn look_names_up(&self) {
        let found: Vec<(Principal, Result<Option<u32>, Errno>)> =
            self.named().map(|principal| (principal.clone(), (self.look_up)(principal))).collect();
        let mut names = self.names();
        for (principal, found) in found {
            match found {
                Ok(Some(id)) => {
                    names.unknown.remove(&principal);
                    names.meaning.insert(principal, id);
                }
                Ok(None) => {
                    names.meaning.remove(&principal);
                    if names.unknown.insert(principal.clone()) {
                        tracing::warn!(%principal, "the access table names somebody whom this node does not know");
                    }
                }
                Err(error) => {
                    tracing::warn!(%principal, %error, "a name in the access table could not be looked up");
                }
            }
        }
        names.at = Some(Instant::now());
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(principal: &Principal) -> bool {
    matches!(principal, Principal::User(_) | Principal::Group(_))
}

fn in_system(principal: &Principal) -> Result<Option<u32>, Errno> {
    match principal {
        Principal::User(name) => Ok(User::from_name(name)?.map(|user| user.uid.as_raw())),
        Principal::Group(name) => Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())),
        Principal::Everyone | Principal::Uid(_) | Principal::Gid(_) => Ok(None),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
