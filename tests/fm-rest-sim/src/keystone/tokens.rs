//! Users, tokens, and what the service remembers of tokens it has checked.
//!
//! Two memories are kept apart on purpose: Keystone's own, from which a revoked token is gone at
//! once, and the service's cache, which goes on trusting it for up to `token_cache`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use uuid::Uuid;

use crate::config::{Grant, SimConfig, User};
use crate::timestamp::now_us;

/// Who a token speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) project: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) audit_id: String,
    pub(crate) issued_at_us: i64,
    pub(crate) expires_at_us: i64,
}

impl Identity {
    pub(crate) fn user_id(&self) -> String {
        id_of("user", &self.user)
    }
}

/// What a client wants its token to be for.
#[derive(Debug)]
pub(crate) enum Scope<'a> {
    /// No scope given: the user's first project, as a default project would be.
    DefaultProject,
    /// No project at all.
    None,
    /// The project object of the request.
    Project(&'a Value),
}

/// What the service finds out about a token.
#[derive(Debug)]
pub(crate) enum TokenCheck {
    Valid(Identity),
    Invalid,
    /// Not known here, and Keystone does not answer.
    KeystoneDown,
}

#[derive(Debug, Default)]
struct Memory {
    users: Vec<User>,
    /// Keystone's tokens.
    issued: HashMap<String, Identity>,
    /// The service's cache: until when a token is trusted without asking.
    checked: HashMap<String, (Identity, i64)>,
}

/// Keystone's state and the service's token cache.
#[derive(Debug)]
pub(crate) struct Keystone {
    memory: Mutex<Memory>,
    down: AtomicBool,
    lifetime_us: i64,
    cache_us: i64,
    implied_roles: bool,
    validate_at: Option<SocketAddr>,
}

impl Keystone {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let micros = |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4);
        Self {
            memory: Mutex::new(Memory { users: config.users.clone(), ..Memory::default() }),
            down: AtomicBool::new(false),
            lifetime_us: micros(config.token_lifetime),
            cache_us: micros(config.token_cache),
            implied_roles: config.implied_roles,
            validate_at: config.validate_at,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// A new token for the user object of a password request; `None` is a 401.
    pub(crate) fn by_password(&self, user: &Value, scope: &Scope<'_>) -> Option<(String, Identity)> {
        let mut memory = self.lock();
        let password = user.get("password").and_then(Value::as_str)?;
        let found = memory
            .users
            .iter()
            .find(|known| names(user, "user", &known.name) && known.password == password)?
            .clone();
        self.issue(&mut memory, &found, scope)
    }

    /// A new token for the holder of another one; `None` is a 401.
    pub(crate) fn by_token(&self, token: &str, scope: &Scope<'_>) -> Option<(String, Identity)> {
        let holder = self.look_up(token)?.user;
        let mut memory = self.lock();
        let found = memory.users.iter().find(|known| known.name == holder)?.clone();
        self.issue(&mut memory, &found, scope)
    }

    fn issue(&self, memory: &mut Memory, user: &User, scope: &Scope<'_>) -> Option<(String, Identity)> {
        let grant: Option<&Grant> = match scope {
            Scope::None => None,
            Scope::DefaultProject => user.grants.first(),
            Scope::Project(project) => {
                Some(user.grants.iter().find(|grant| names(project, "project", &grant.project))?)
            }
        };
        let issued_at_us = now_us();
        let identity = Identity {
            user: user.name.clone(),
            project: grant.map(|grant| grant.project.clone()),
            roles: grant.map(|grant| self.with_implied(&grant.roles)).unwrap_or_default(),
            audit_id: Uuid::new_v4().simple().to_string(),
            issued_at_us,
            expires_at_us: issued_at_us.saturating_add(self.lifetime_us),
        };
        let token = format!("sim-{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        memory.issued.insert(token.clone(), identity.clone());
        Some((token, identity))
    }

    fn with_implied(&self, roles: &[String]) -> Vec<String> {
        let mut all = roles.to_vec();
        if self.implied_roles {
            let chain = ["admin", "manager", "member", "reader"];
            if let Some(first) = chain.iter().position(|role| roles.iter().any(|given| given == role)) {
                for role in &chain[first + 1..] {
                    if !all.iter().any(|given| given == role) {
                        all.push((*role).to_owned());
                    }
                }
            }
        }
        all
    }

    /// Keystone's own view of a token.
    pub(crate) fn look_up(&self, token: &str) -> Option<Identity> {
        self.lock().issued.get(token).filter(|identity| identity.expires_at_us > now_us()).cloned()
    }

    /// The service's view of a token: its cache first, then Keystone.
    pub(crate) fn check(&self, token: &str) -> TokenCheck {
        let now = now_us();
        let mut memory = self.lock();
        if let Some((identity, until)) = memory.checked.get(token) {
            if identity.expires_at_us <= now {
                return TokenCheck::Invalid;
            }
            if *until > now {
                return TokenCheck::Valid(identity.clone());
            }
        }
        if self.is_down() {
            return TokenCheck::KeystoneDown;
        }
        let answer = match self.validate_at {
            Some(address) => {
                drop(memory);
                let answer = super::remote::check(address, token);
                memory = self.lock();
                answer
            }
            None => match memory.issued.get(token).filter(|identity| identity.expires_at_us > now).cloned() {
                Some(identity) => TokenCheck::Valid(identity),
                None => TokenCheck::Invalid,
            },
        };
        if let TokenCheck::Valid(identity) = &answer {
            let until = now.saturating_add(self.cache_us);
            memory.checked.insert(token.to_owned(), (identity.clone(), until));
        }
        answer
    }

    /// Revokes one token: Keystone forgets it, the service's cache does not.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        self.lock().issued.remove(token).is_some()
    }

    /// Revokes every token; those the service has checked work on until its cache ends.
    pub(crate) fn revoke_all(&self) {
        self.lock().issued.clear();
    }

    /// Forgets every token on both sides: 401 until a new one is taken.
    pub(crate) fn invalidate_all(&self) {
        let mut memory = self.lock();
        memory.issued.clear();
        memory.checked.clear();
    }

    /// Forgets what the service has checked, as its restart does.
    pub(crate) fn forget_checked(&self) {
        self.lock().checked.clear();
    }

    /// Replaces the users; tokens already given keep their roles.
    pub(crate) fn set_users(&self, users: Vec<User>) {
        self.lock().users = users;
    }
}

/// A stable id of 32 digits for a name.
pub(crate) fn id_of(kind: &str, name: &str) -> String {
    let hash = |seed: u64| {
        kind.bytes()
            .chain([0])
            .chain(name.bytes())
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x8422_2325_cbf2_9ce4))
}

/// Whether a user or project object of a request means `name` of the domain Default: by id, or by
/// name with the domain's name or id.
fn names(object: &Value, kind: &str, name: &str) -> bool {
    if let Some(id) = object.get("id").and_then(Value::as_str) {
        return id == id_of(kind, name);
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let domain = text("/domain/name")
        .map(|domain| domain.eq_ignore_ascii_case("default"))
        .or_else(|| text("/domain/id").map(|domain| domain == "default"));
    text("/name") == Some(name) && domain == Some(true)
}
