//! What was revoked: single tokens by `jti`, and whole users by the time their tokens were issued.
//!
//! Bounded, and never forgetful on its own: an entry goes only when the token it names has long expired. When it is full, the next
//! one is refused aloud. Where they are kept past a restart is the matter of who runs the gateway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::{Identity, MAX_SUBJECT_BYTES, verify};
use crate::model::UnixMs;

/// The most entries of each kind.
pub const MAX_REVOCATIONS: usize = 100_000;
/// The longest `jti`, in bytes.
pub const MAX_TOKEN_ID_BYTES: usize = 256;

/// How long an entry stays after the tokens it concerns have expired, in ms: they are accepted a little longer where clocks differ, and
/// a clock may be set back. A day is far more than either.
const LINGER_MS: i64 = 86_400_000;

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub what: Revoked,
    /// When the last token it concerns has expired, so that it may be forgotten. `None`: not known, so never.
    pub until: Option<UnixMs>,
}

/// What a [`Revocation`] concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// The token with this `jti`.
    Token(String),
    /// Every token of the user issued at this time or earlier, and those that do not say when.
    User { user: String, issued_before: UnixMs },
}

/// Why something could not be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    #[error("jti wants 1 to {MAX_TOKEN_ID_BYTES} bytes")]
    TokenId,
    #[error("user wants 1 to {MAX_SUBJECT_BYTES} bytes without control characters")]
    User,
    #[error(
        "{MAX_REVOCATIONS} revocations are held, which is all there is room for; revoke by user, or change the signing key"
    )]
    Full,
}

/// Every revocation in force.
#[derive(Debug, Default)]
pub struct Revocations {
    /// How many were put in force, again or anew. Most gateways never see any.
    count: AtomicU32,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tokens: HashMap<String, Option<UnixMs>>,
    users: HashMap<String, (UnixMs, Option<UnixMs>)>,
}

impl Revocations {
    /// Puts one in force; tells how many there are.
    ///
    /// # Errors
    /// It names nothing that a token can hold, or there is no room.
    pub fn add(&self, revocation: Revocation, now: UnixMs) -> Result<usize, RevokeError> {
        let mut held = self.held.write();
        let Revocation { what, until } = revocation;
        match what {
            Revoked::Token(id) => {
                if id.is_empty() || id.len() > MAX_TOKEN_ID_BYTES {
                    return Err(RevokeError::TokenId);
                }
                if held.tokens.len() >= MAX_REVOCATIONS && !held.tokens.contains_key(&id) {
                    held.tokens.retain(|_, until| is_needed(*until, now));
                    if held.tokens.len() >= MAX_REVOCATIONS {
                        return Err(RevokeError::Full);
                    }
                }
                let entry = held.tokens.entry(id).or_insert(until);
                *entry = later(*entry, until);
            }
            Revoked::User { user, issued_before } => {
                if !verify::is_subject(&user) {
                    return Err(RevokeError::User);
                }
                if held.users.len() >= MAX_REVOCATIONS && !held.users.contains_key(&user) {
                    held.users.retain(|_, (_, until)| is_needed(*until, now));
                    if held.users.len() >= MAX_REVOCATIONS {
                        return Err(RevokeError::Full);
                    }
                }
                let entry = held.users.entry(user).or_insert((issued_before, until));
                *entry = (entry.0.max(issued_before), later(entry.1, until));
            }
        }
        self.count.fetch_add(1, Ordering::Release);
        Ok(held.tokens.len() + held.users.len())
    }

    /// Every one that is still needed, to be put in force again by [`Revocations::add`]. In no order.
    pub fn needed(&self, now: UnixMs) -> Vec<Revocation> {
        let mut held = self.held.write();
        held.tokens.retain(|_, until| is_needed(*until, now));
        held.users.retain(|_, (_, until)| is_needed(*until, now));
        let tokens = held.tokens.iter().map(|(id, until)| Revocation { what: Revoked::Token(id.clone()), until: *until });
        let users = held.users.iter().map(|(user, (issued_before, until))| Revocation {
            what: Revoked::User { user: user.clone(), issued_before: *issued_before },
            until: *until,
        });
        tokens.chain(users).collect()
    }

    /// How many were put in force so far.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Is the token behind this identity revoked?
    pub fn covers(&self, identity: &Identity) -> bool {
        if self.count() == 0 {
            return false;
        }
        let held = self.held.read();
        let by_id = identity.token_id.as_ref().is_some_and(|id| held.tokens.contains_key(id));
        let by_user = held.users.get(&*identity.user);
        by_id || by_user.is_some_and(|(before, _)| identity.issued_at.is_none_or(|issued| issued <= *before))
    }
}

fn is_needed(until: Option<UnixMs>, now: UnixMs) -> bool {
    until.is_none_or(|until| until.0.saturating_add(LINGER_MS) > now.0)
}

fn later(a: Option<UnixMs>, b: Option<UnixMs>) -> Option<UnixMs> {
    Some(a?.max(b?))
}
