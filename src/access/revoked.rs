//! What was revoked: single tokens by `jti`, and whole users by the time their tokens were issued.
//!
//! Bounded, and never forgetful on its own: an entry goes only when the token it names has expired. When it is full, the next one
//! is refused aloud.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::{Identity, MAX_SUBJECT_BYTES, verify};
use crate::model::UnixMs;

/// The most entries of each kind.
pub const MAX_REVOCATIONS: usize = 100_000;
/// The longest `jti`, in bytes.
pub const MAX_TOKEN_ID_BYTES: usize = 256;

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub what: Revoked,
    /// When the last token it concerns has expired, so that it may be forgotten. `None`: not known, so never.
    pub until: Option<UnixMs>,
}

/// What a [`Revocation`] concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// False until the first one: most gateways never see any.
    any: AtomicBool,
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
        self.any.store(true, Ordering::Release);
        Ok(held.tokens.len() + held.users.len())
    }

    /// Is the token behind this identity revoked?
    pub fn covers(&self, identity: &Identity) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let held = self.held.read();
        let by_id = identity.token_id.as_ref().is_some_and(|id| held.tokens.contains_key(id));
        let by_user = held.users.get(&*identity.user);
        by_id || by_user.is_some_and(|(before, _)| identity.issued_at.is_none_or(|issued| issued <= *before))
    }
}

fn is_needed(until: Option<UnixMs>, now: UnixMs) -> bool {
    until.is_none_or(|until| until > now)
}

fn later(a: Option<UnixMs>, b: Option<UnixMs>) -> Option<UnixMs> {
    Some(a?.max(b?))
}
