//! Tokens in, identity out: which user a bearer token names, until when, and which accounts that user may see.
//!
//! Nothing but this module looks into a token. It keeps no sessions, reads no clock and fetches nothing: the time is an
//! argument, and the keys come from the configuration.

mod error;
mod grant;
mod identity;
mod keys;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

use secrecy::SecretString;

use crate::model::UnixMs;
use keys::Key;

pub use error::AuthError;
pub use grant::{Directory, Grant, Listed};
pub use identity::{Identity, Pattern};
pub use keys::ALGORITHMS;
pub use sign::{Claims, SignError, sign};

/// The longest token looked at. Tokens of the common issuers hold 1 to 4 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The most keys configured at once: a token without `kid` is tried against each key of its algorithm.
pub const MAX_KEYS: usize = 32;
/// The longest subject, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 256;

/// What makes a token acceptable.
#[derive(Debug, Clone)]
pub struct Config {
    /// What `iss` must be. `None`: not checked.
    pub issuer: Option<String>,
    /// What `aud` must be or hold. `None`: not checked.
    pub audience: Option<String>,
    /// The name of the claim that lists account ids or patterns.
    pub accounts_claim: String,
    /// How far, in seconds, the issuer's clock and ours may differ.
    pub leeway_seconds: u64,
    /// At most [`MAX_KEYS`].
    pub keys: Vec<KeyConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self { issuer: None, audience: None, accounts_claim: "accounts".into(), leeway_seconds: 5, keys: Vec::new() }
    }
}

/// One key as configured, unchecked: [`Access::new`] checks it.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// One of [`ALGORITHMS`]. The key fixes the algorithm; what a token's header says must agree.
    pub algorithm: String,
    /// Chooses this key for tokens that name it. `None`: the key answers for any.
    pub kid: Option<String>,
    /// For the `HS…` algorithms.
    pub secret: Option<SecretString>,
    /// For all others: the public half, as PEM. Kept as a secret because a private key is pasted here sooner or later.
    pub public_key: Option<SecretString>,
}

/// The judge of tokens. Cheap to use from many tasks; replaced as a whole when the configuration changes.
pub struct Access {
    issuer: Option<String>,
    audience: Option<String>,
    accounts_claim: String,
    leeway_ms: i64,
    keys: Vec<Key>,
}

impl Access {
    /// Checks the configuration and makes the keys ready.
    ///
    /// # Errors
    /// Everything that is wrong: the key below `access` (`keys[0].secret`), and what is wrong with its cure.
    pub fn new(config: &Config) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        if config.accounts_claim.is_empty() {
            problems.push(("accounts_claim".to_owned(), "is empty; name a claim, such as \"accounts\"".to_owned()));
        }
        if config.keys.len() > MAX_KEYS {
            problems.push(("keys".to_owned(), format!("holds {} keys; at most {MAX_KEYS} are used", config.keys.len())));
        }
        let keys = keys::ready(&config.keys, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            accounts_claim: config.accounts_claim.clone(),
            leeway_ms: i64::try_from(config.leeway_seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000),
            keys,
        })
    }

    /// Whose token it is and what it grants at `now`.
    ///
    /// A token is accepted until its expiry plus the leeway; [`Identity::expires_at`] is the expiry itself.
    ///
    /// # Errors
    /// Why the token is refused. No error holds a part of the token.
    pub fn identify(&self, token: &str, now: UnixMs) -> Result<Identity, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::TooLarge);
        }
        let claims = verify::claims(&self.keys, token)?;
        self.judge(&claims, now)
    }
}

/// What deserves a warning: working, but weak. Each names its key below the root.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut found = keys::weak(&config.keys);
    if config.keys.is_empty() {
        found.push("access.keys: no key is configured, so nobody can log in; add [[access.keys]]".to_owned());
    }
    found
}
