//! Signatures and nonces: what proves to the venue who speaks, on the stream and over REST.
//!
//! Pure. It knows neither frames nor replies, and keeps no secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha384;

use crate::venue::Nonce;

/// Highest nonce the venue takes: `Number.MAX_SAFE_INTEGER`. Source: docs.bitfinex.com/docs/ws-auth.
pub(super) const MAX_NONCE: u64 = 9_007_199_254_740_991;

/// How far, in microseconds, each further attempt goes ahead after the venue called a nonce too small: a minute, an hour, a day.
/// A key shared with a program whose clock runs ahead is caught up with; a key whose line is burnt for good is not.
const NONCE_LEAPS_US: [u64; 3] = [60_000_000, 3_600_000_000, 86_400_000_000];

/// Hex HMAC-SHA384 of `payload`. Source: docs.bitfinex.com/docs/ws-auth and docs.bitfinex.com/docs/rest-auth.
pub(super) fn sign(secret: &str, payload: &str) -> String {
    hex::encode(mac(secret, payload).finalize().into_bytes())
}

/// Compares in constant time.
pub(super) fn verify(secret: &str, payload: &str, signature: &str) -> bool {
    hex::decode(signature).is_ok_and(|bytes| mac(secret, payload).verify_slice(&bytes).is_ok())
}

/// What a REST request signs. `path` has no leading slash: `v2/auth/r/wallets`.
pub(super) fn rest_payload(path: &str, nonce: &str, body: &str) -> String {
    format!("/api/{path}{nonce}{body}")
}

fn mac(secret: &str, payload: &str) -> Hmac<Sha384> {
    let mut mac = Hmac::<Sha384>::new_from_slice(secret.as_bytes()).expect("an HMAC key may have any length");
    mac.update(payload.as_bytes());
    mac
}

/// Goes ahead on the key's line of nonces for attempt number `attempt` (from 0). False when no attempt is left.
pub(super) fn leap(nonce: &Nonce, attempt: usize) -> bool {
    let Some(floor) = NONCE_LEAPS_US.get(attempt).and_then(|step| nonce.high_water().checked_add(*step)) else { return false };
    let fits = floor < MAX_NONCE;
    if fits {
        nonce.raise(floor);
    }
    fits
}
