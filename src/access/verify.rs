//! A token's signature and claims, judged.
//!
//! The library checks signatures and nothing else: its clock cannot be an argument, it has no word for a claim that is there but
//! malformed, and its checks of `iss` and `aud` pass where the claims are missing.

use std::sync::Arc;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{AlgorithmFamily, crypto, decode_header};
use serde_json::Value;

use super::identity::MAX_PATTERNS;
use super::keys::{Key, KeyMark};
use super::{Access, AuthError, Identity, MAX_SUBJECT_BYTES, Pattern};
use crate::model::UnixMs;

/// A token's payload.
type Claims = serde_json::Map<String, Value>;

/// An `iat` further ahead than this (plus leeway) is a wrong clock or a forgery aid, not drift.
const MAX_IAT_AHEAD_MS: i64 = 300_000;
/// Year 9999: dates beyond are refused rather than wrapped.
const MAX_DATE_SECONDS: i64 = 253_402_300_799;

/// The claims of a token that one of the keys signed, and which. Times, issuer and audience are not judged yet.
pub(super) fn claims(keys: &[&Key], token: &str) -> Result<(Claims, KeyMark), AuthError> {
    let header = decode_header(token).map_err(|error| match error.kind() {
        // A JSON object of the wrong shape: in practice an `alg` that is missing, `none` or unknown.
        ErrorKind::Json(json) if json.is_data() => AuthError::Algorithm,
        _ => AuthError::Malformed,
    })?;
    if header.crit.is_some() {
        // RFC 7515 §4.1.11: an extension that is not understood must be refused, and we understand none.
        return Err(AuthError::Malformed);
    }
    let mut candidates: Vec<&Key> = keys.iter().copied().filter(|key| key.kid.is_some() && key.kid == header.kid).collect();
    if candidates.is_empty() {
        candidates = keys.iter().copied().filter(|key| header.kid.is_none() || key.kid.is_none()).collect();
    }
    if candidates.is_empty() {
        return Err(AuthError::UnknownKey);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(AuthError::Malformed)?;
    let mut refusal = AuthError::Algorithm;
    for key in candidates.into_iter().filter(|key| key.algorithm == header.alg) {
        match crypto::verify(signature, signed.as_bytes(), &key.decoding, key.algorithm) {
            Ok(true) => {
                let claims = insecure_decode_claims(token).map_err(|_| AuthError::Malformed)?;
                return Ok((claims, key.mark));
            }
            Ok(false) => refusal = AuthError::Signature,
            Err(_) => return Err(AuthError::Malformed),
        }
    }
    Err(refusal)
}

/// The `kid` of a token that a published key may have signed. `None`: none can have; published keys are never symmetric.
pub(super) fn publishable(token: &str) -> Option<Option<String>> {
    let header = decode_header(token).ok()?;
    (header.alg.family() != AlgorithmFamily::Hmac).then_some(header.kid)
}

impl Access {
    /// Issuer and audience come before the times: a renewal does not mend them.
    pub(super) fn judge(&self, claims: &Claims, signed_by: KeyMark, now: UnixMs) -> Result<Identity, AuthError> {
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(AuthError::Issuer);
        }
        if let Some(audience) = &self.audience
            && !holds(claims.get("aud"), audience)
        {
            return Err(AuthError::Audience);
        }
        let expires_at = date(claims, "exp")?.ok_or_else(|| bad("exp", DATE))?;
        let latest = UnixMs(expires_at.0.saturating_add(self.leeway_ms));
        if now >= latest {
            return Err(AuthError::Expired);
        }
        // The leeway is for clocks that differ, not for sessions that stay on: a token that came in time ends at its `exp`.
        let ends_at = if now < expires_at { expires_at } else { latest };
        let issued_at = date(claims, "iat")?;
        let early = |date: Option<UnixMs>, ahead_ms: i64| {
            date.is_some_and(|date| date.0 > now.0.saturating_add(self.leeway_ms).saturating_add(ahead_ms))
        };
        if early(date(claims, "nbf")?, 0) || early(issued_at, MAX_IAT_AHEAD_MS) {
            return Err(AuthError::NotYetValid);
        }
        Ok(Identity {
            user: subject(claims)?,
            expires_at,
            ends_at,
            issued_at,
            token_id: token_id(claims)?,
            accounts: self.accounts(claims)?,
            signed_by,
        })
    }

    fn accounts(&self, claims: &Claims) -> Result<Option<Vec<Pattern>>, AuthError> {
        let Some(value) = claims.get(&self.accounts_claim) else { return Ok(None) };
        // Present but malformed is never "no claim": that could widen what the issuer meant to narrow.
        let refusal = || bad(&self.accounts_claim, "a list of account ids or patterns");
        let list = value.as_array().filter(|list| list.len() <= MAX_PATTERNS).ok_or_else(refusal)?;
        let patterns = list.iter().map(|entry| entry.as_str().and_then(Pattern::new).ok_or_else(refusal));
        patterns.collect::<Result<Vec<_>, _>>().map(Some)
    }
}

const DATE: &str = "a time in seconds since 1970";

fn bad(claim: &str, wants: &'static str) -> AuthError {
    AuthError::BadClaim { claim: claim.to_owned(), wants }
}

/// `aud` is one text or a list of texts (RFC 7519 §4.1.3).
fn holds(value: Option<&Value>, audience: &str) -> bool {
    match value {
        Some(Value::String(text)) => text == audience,
        Some(Value::Array(list)) => list.iter().any(|entry| entry.as_str() == Some(audience)),
        _ => false,
    }
}

/// Is this usable as a subject? Control characters would travel into logs.
pub(super) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SUBJECT_BYTES && !text.chars().any(char::is_control)
}

fn subject(claims: &Claims) -> Result<Arc<str>, AuthError> {
    claims.get("sub").and_then(Value::as_str).filter(|text| is_subject(text)).map(Arc::from).ok_or(AuthError::NoSubject)
}

fn token_id(claims: &Claims) -> Result<Option<String>, AuthError> {
    let Some(value) = claims.get("jti") else { return Ok(None) };
    value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| bad("jti", "a text"))
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, which may have a fraction. Absent is `None`; malformed is an error.
fn date(claims: &Claims, name: &'static str) -> Result<Option<UnixMs>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let ms = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) if (0..=MAX_DATE_SECONDS).contains(&seconds) => seconds * 1000,
        (None, Some(seconds)) if (0.0..=MAX_DATE_SECONDS as f64).contains(&seconds) => (seconds * 1000.0) as i64,
        _ => return Err(bad(name, DATE)),
    };
    Ok(Some(UnixMs(ms)))
}
