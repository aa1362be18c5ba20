//! What a good token says: the user, until when, and which accounts.

use std::sync::Arc;

use super::keys::KeyMark;
use crate::model::UnixMs;

/// The longest pattern in an accounts claim, in bytes. Account ids hold at most 64.
pub const MAX_PATTERN_BYTES: usize = 128;
/// The most patterns in an accounts claim.
pub const MAX_PATTERNS: usize = 1_000;

/// Who holds a token, and what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`.
    pub user: Arc<str>,
    /// The token's `exp`, without leeway.
    pub expires_at: UnixMs,
    /// When what it opened must end: its `exp`, or, for a token shown within the leeway after that, the leeway's end.
    pub ends_at: UnixMs,
    /// The token's `iat`. `None`: the token has none.
    pub issued_at: Option<UnixMs>,
    /// The token's `jti`. `None`: the token has none.
    pub token_id: Option<String>,
    /// The accounts claim. `None`: the token has none, and ownership decides. An empty list sees nothing.
    pub accounts: Option<Vec<Pattern>>,
    /// The key that signed the token.
    pub signed_by: KeyMark,
}

impl Identity {
    /// May this user see the account? With an accounts claim, exactly where it matches; without one, where `owners` holds the
    /// user.
    pub fn sees(&self, account: &str, owners: &[String]) -> bool {
        match &self.accounts {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(account)),
            None => owners.iter().any(|owner| **owner == *self.user),
        }
    }
}

/// An account id in which each `*` stands for any run of characters, also an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// `None` where the text is empty or longer than `MAX_PATTERN_BYTES`.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_PATTERN_BYTES).then(|| Self(text.into()))
    }

    /// Does it match the whole of `text`? Case matters. The cost is bounded by the product of the two lengths: after a
    /// mismatch only the last `*` takes one more character.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut retry = None;
        while t < text.len() {
            if pattern.get(p) == Some(&b'*') {
                retry = Some((p, t));
                p += 1;
            } else if pattern.get(p) == Some(&text[t]) {
                p += 1;
                t += 1;
            } else if let Some((star, taken)) = retry {
                retry = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}
