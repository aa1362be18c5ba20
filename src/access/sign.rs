//! Signs tokens with a configured symmetric key: for development and the demo, where there is no issuer.

use std::str::FromStr;

use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::identity::Pattern;
use super::{Config, KeyConfig, verify};
use crate::model::UnixMs;

/// What a token shall say.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// The subject.
    pub user: &'a str,
    /// Account ids or patterns. `None`: no accounts claim, so ownership decides. Empty: nothing is seen.
    pub accounts: Option<&'a [String]>,
    /// Rounded down to whole seconds.
    pub issued_at: UnixMs,
    /// From `issued_at`; rounded up to whole seconds.
    pub ttl_ms: u64,
}

/// Why no token was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("only keys with an HS… algorithm can sign; the others hold the public half alone")]
    Asymmetric,
    #[error("the subject must hold 1 to {} bytes and no control characters", super::MAX_SUBJECT_BYTES)]
    Subject,
    #[error("an account pattern must hold 1 to {} bytes", super::identity::MAX_PATTERN_BYTES)]
    Pattern,
    #[error("the cryptography refused to sign")]
    Failed,
}

/// Signs a token that the gateway accepts under the same `config`: with its issuer and audience, where it names them.
///
/// # Errors
/// The key is not symmetric, or the grant is none that a token can hold.
pub fn sign(config: &Config, key: &KeyConfig, grant: &Claims<'_>) -> Result<String, SignError> {
    let algorithm = Algorithm::from_str(&key.algorithm).map_err(|_| SignError::Asymmetric)?;
    let secret = match (algorithm.family(), &key.secret) {
        (AlgorithmFamily::Hmac, Some(secret)) => secret,
        _ => return Err(SignError::Asymmetric),
    };
    if !verify::is_subject(grant.user) {
        return Err(SignError::Subject);
    }
    if grant.accounts.is_some_and(|list| list.iter().any(|entry| Pattern::new(entry).is_none())) {
        return Err(SignError::Pattern);
    }
    let mut header = Header::new(algorithm);
    header.kid.clone_from(&key.kid);
    let encoding = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    encode(&header, &claims(config, grant), &encoding).map_err(|_| SignError::Failed)
}

fn claims(config: &Config, grant: &Claims<'_>) -> Map<String, Value> {
    let issued = grant.issued_at.0.div_euclid(1000);
    let ttl = i64::try_from(grant.ttl_ms.div_ceil(1000)).unwrap_or(i64::MAX);
    let mut claims = Map::new();
    claims.insert("sub".into(), grant.user.into());
    claims.insert("iat".into(), issued.into());
    claims.insert("exp".into(), issued.saturating_add(ttl).into());
    if let Some(issuer) = &config.issuer {
        claims.insert("iss".into(), issuer.clone().into());
    }
    if let Some(audience) = &config.audience {
        claims.insert("aud".into(), audience.clone().into());
    }
    if let Some(accounts) = grant.accounts {
        claims.insert(config.accounts_claim.clone(), accounts.to_vec().into());
    }
    claims
}
