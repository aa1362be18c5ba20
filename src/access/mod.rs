//! Tokens in, identity out: which user a bearer token names, until when, and which accounts that user may see.
//!
//! Nothing but this module looks into a token. It reads no clock and fetches nothing: the time is an argument, and keys come from the
//! configuration or from whoever fetches what the issuer publishes.

mod error;
mod grant;
mod identity;
mod jwks;
mod keys;
mod revoked;
mod seats;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::SecretString;

use crate::model::{Mono, UnixMs};
use keys::Key;

pub use error::AuthError;
pub use grant::{Directory, Grant, Listed};
pub use identity::{Identity, Pattern};
pub use jwks::{FETCH_TIMEOUT, Fresher, JwksConfig, JwksError, JwksSource, KeySet, MAX_JWKS_BYTES, check as check_jwks};
pub use keys::{ALGORITHMS, KeyMark, twins, weakness};
pub use revoked::{MAX_REVOCATIONS, Revocation, Revocations, RevokeError, Revoked};
pub use seats::{Seat, Seats};
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
    /// Where the issuer publishes its keys. `None`: nowhere, and `keys` are all there are.
    pub jwks: Option<JwksConfig>,
    /// Connections that one user may have open.
    pub max_connections_per_user: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            accounts_claim: "accounts".into(),
            leeway_seconds: 5,
            keys: Vec::new(),
            jwks: None,
            max_connections_per_user: 1_000,
        }
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
    jwks: Option<Arc<KeySet>>,
    revocations: Arc<Revocations>,
    seats: Seats<Arc<str>>,
    max_connections_per_user: usize,
    /// Which configuration of this process it is, from 1.
    number: u32,
}

/// What rights were judged by: a configuration, the keys its issuer publishes, and the revocations in force. Another one may judge
/// otherwise. The default is none's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Basis {
    configuration: u32,
    documents: u32,
    revocations: u32,
}

impl Access {
    /// Checks the configuration and makes the keys ready.
    ///
    /// # Errors
    /// Everything that is wrong: the key below `access` (`keys[0].secret`), and what is wrong with its cure.
    pub fn new(config: &Config) -> Result<Self, Vec<(String, String)>> {
        static LAST: AtomicU32 = AtomicU32::new(0);
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
            jwks: config.jwks.clone().map(|jwks| Arc::new(KeySet::new(jwks))),
            revocations: Arc::default(),
            seats: Seats::default(),
            max_connections_per_user: config.max_connections_per_user,
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
        })
    }

    /// The judge under another configuration: what was revoked stays so, who is connected is still counted, and keys that were
    /// fetched are kept if they would be fetched from the same place.
    ///
    /// # Errors
    /// As [`Access::new`].
    pub fn renewed(&self, config: &Config) -> Result<Self, Vec<(String, String)>> {
        let mut next = Self::new(config)?;
        (next.revocations, next.seats) = (Arc::clone(&self.revocations), self.seats.clone());
        if let (Some(old), Some(new)) = (&self.jwks, &config.jwks)
            && old.config() == new
        {
            next.jwks = Some(Arc::clone(old));
        }
        Ok(next)
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
        let published = self.jwks.as_ref().map(|jwks| jwks.keys());
        let keys = self.keys.iter().chain(published.iter().flat_map(|keys| keys.iter()));
        let (claims, signed_by) = match verify::claims(&keys.collect::<Vec<_>>(), token) {
            Err(error) if self.could_be_newer(token, &error).is_some_and(|(jwks, _)| !jwks.is_loaded()) => {
                return Err(AuthError::KeysUnavailable);
            }
            claims => claims?,
        };
        let identity = self.judge(&claims, signed_by, now)?;
        if self.revocations.covers(&identity) {
            return Err(AuthError::Revoked);
        }
        Ok(identity)
    }

    /// Fresher keys to try a refused token with, where the token's key may have been published since the last look and it is time
    /// to look again. Wait for it, then [`Access::identify`] once more.
    pub fn fresher(&self, token: &str, error: &AuthError, now: Mono) -> Option<Fresher> {
        let (jwks, kid) = self.could_be_newer(token, error)?;
        let known = |keys: &[Key]| kid.is_some() && keys.iter().any(|key| key.kid == kid);
        if known(&self.keys) || known(&jwks.keys()) { None } else { jwks.ask(now) }
    }

    /// Where a key may be published that is not known yet and signed this token, and the token's `kid`.
    fn could_be_newer(&self, token: &str, error: &AuthError) -> Option<(&Arc<KeySet>, Option<String>)> {
        let about_keys =
            matches!(error, AuthError::UnknownKey | AuthError::Signature | AuthError::Algorithm | AuthError::KeysUnavailable);
        let jwks = self.jwks.as_ref().filter(|_| about_keys)?;
        Some((jwks, verify::publishable(token)?))
    }

    /// The published keys, for whoever fetches them. `None`: none are configured.
    pub fn jwks(&self) -> Option<&Arc<KeySet>> {
        self.jwks.as_ref()
    }

    /// Was the token behind this identity revoked since, or the key withdrawn that signed it? A configured key is withdrawn by a
    /// configuration without it, a published one by a good document without it; a document that cannot be had or read withdraws none.
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        let mark = identity.signed_by;
        let holds = if mark.is_published {
            self.jwks.as_ref().is_some_and(|jwks| jwks.holds(mark))
        } else {
            self.keys.iter().any(|key| key.mark == mark)
        };
        !holds || self.revocations.covers(identity)
    }

    /// What [`Access::is_revoked`] judges by now. Read it before asking: what comes between is then found by the next look.
    pub fn basis(&self) -> Basis {
        let documents = self.jwks.as_ref().map_or(0, |jwks| jwks.documents());
        Basis { configuration: self.number, documents, revocations: self.revocations.count() }
    }

    /// What was revoked.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// One more connection of the user; `None` when all of the user's are taken.
    pub fn seat(&self, user: &Arc<str>) -> Option<Seat<Arc<str>>> {
        self.seats.take(user, self.max_connections_per_user)
    }
}
