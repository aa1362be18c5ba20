//! How P99 knows us: a JWT, or an API key that signs requests and buys a listen key; and what a refusal means.
//!
//! Verifies nothing itself and keeps no secret: it reads them from [`Credentials`] at the moment of use.

use std::hash::{DefaultHasher, Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

use crate::model::{ReasonCode, UnixMs};
use crate::venue::{Credentials, ErrorClass};

/// How far a signed request may be old, in ms: the venue's default.
pub(super) const RECV_WINDOW_MS: i64 = 5_000;
/// The signed interface's code for a timestamp out of its window.
pub(super) const INVALID_TIMESTAMP: i64 = -1021;
/// The signed interface's code for a listen key that does not exist.
pub(super) const NO_LISTEN_KEY: i64 = -1125;

/// The account's JWT. `None`: it signs with a key.
pub(super) fn token(credentials: &Credentials) -> Option<SecretString> {
    credentials.get("jwt")
}

/// When a JWT says it expires. Nothing is verified: that is the venue's part. `None`: no JWT, or one that does not say.
pub(super) fn expiry(token: &SecretString) -> Option<UnixMs> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<i64>,
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token.expose_secret()).ok()?;
    claims.exp?.checked_mul(1000).map(UnixMs)
}

/// Tells tokens apart without keeping one.
pub(super) fn fingerprint(token: &SecretString) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.expose_secret().hash(&mut hasher);
    hasher.finish().max(1)
}

/// Hex HMAC-SHA256: over query plus body, for P99.
pub(super) fn sign(secret: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A path and headers that prove who asks.
pub(super) struct Proven {
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
}

/// Proves a request by JWT.
pub(super) fn bearer(path: String, token: &SecretString) -> Proven {
    Proven { path, headers: vec![("Authorization", format!("Bearer {}", token.expose_secret()))] }
}

/// Proves a request without a body by API key and signature.
pub(super) fn signed(path: String, credentials: &Credentials, now: UnixMs) -> Proven {
    let secret = |name| credentials.get(name).unwrap_or_default();
    let query = format!("timestamp={}&recvWindow={RECV_WINDOW_MS}", now.0);
    let signature = sign(secret("api_secret").expose_secret(), &query);
    let headers = vec![("X-MBX-APIKEY", secret("api_key").expose_secret().to_owned())];
    Proven { path: format!("{path}?{query}&signature={signature}"), headers }
}

/// What is known of a token the venue refuses.
pub(super) struct Suspect {
    /// `None`: the token does not say.
    pub expires: Option<UnixMs>,
    /// The venue has taken this very token before.
    pub accepted_before: bool,
}

/// What `auth_result` with `success:false` means. The venue's texts say little ("Invalid or expired token"), so what the token
/// says of itself, and whether it once worked, decide between the two. `token` is `None` for a listen key.
pub(super) fn refused_login(message: &str, token: Option<Suspect>, now: UnixMs) -> (ErrorClass, ReasonCode, &'static str) {
    let message = message.to_ascii_lowercase();
    if message.contains("timestamp") {
        return (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew, "the venue finds our clock out of its range");
    }
    let Some(token) = token else {
        return (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, "the venue refuses the listen key it has just given");
    };
    let passed = token.expires.is_some_and(|at| at <= now);
    let says = |word| message.contains(word);
    let (code, text) = if passed || token.accepted_before || (says("expired") && !says("invalid")) {
        (ReasonCode::TokenExpired, "the token has expired; put a new one in credentials.jwt")
    } else if says("expired") && token.expires.is_none() {
        (ReasonCode::WrongKey, "the venue calls the token invalid or expired; put a new one in credentials.jwt")
    } else {
        (ReasonCode::WrongKey, "the venue refuses the token; check credentials.jwt and the venue's address")
    };
    (ErrorClass::Credential, code, text)
}

/// What a refused request for a listen key means.
pub(super) fn refused_key(status: u16, code: Option<i64>) -> (ErrorClass, ReasonCode, &'static str) {
    match (status, code) {
        (_, Some(INVALID_TIMESTAMP)) => {
            (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew, "the venue finds our clock out of its range")
        }
        (403, _) => (ErrorClass::Credential, ReasonCode::MissingPermission, "the key may not have a listen key"),
        (404 | 405, _) => (
            ErrorClass::Configuration,
            ReasonCode::Configuration,
            "no listen keys here; check rest_url and options.listen_key_path",
        ),
        (418 | 429, _) => {
            (ErrorClass::RateLimited { wait_ms: 60_000 }, ReasonCode::RateLimited, "the venue limits our requests")
        }
        (400..=499, _) => (
            ErrorClass::Credential,
            ReasonCode::WrongKey,
            "the venue refuses the key; check credentials.api_key and api_secret",
        ),
        _ => (ErrorClass::Transient, ReasonCode::ConnectFailed, "the venue gives no listen key"),
    }
}
