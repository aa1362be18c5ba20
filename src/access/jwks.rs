//! The keys an issuer publishes (JWKS): read from its document, and kept while nothing better is known.
//!
//! It fetches nothing. Whoever does tells when a fetch begins and what came of it; whoever meets an unknown key asks for fresher ones
//! and waits. A `kid` is any attacker's choice, so those asks share one fetch and start another at most once an interval.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, OctetKeyPairParameters, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use super::MAX_KEYS;
use super::keys::{Key, KeyMark, P256_BYTES, P384_BYTES, is_short_rsa};
use crate::model::Mono;

/// The largest document read. The large identity services publish 2 to 12 KiB.
pub const MAX_JWKS_BYTES: usize = 64 << 10;
/// A fetch gives up after [`FETCH_TIMEOUT`]; who waits for it waits a little longer than that.
const WAIT_TIMEOUT: Duration = Duration::from_secs(6);
/// Longest time for one fetch.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the published keys are, and how often to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksConfig {
    pub source: JwksSource,
    /// Seconds between fetches from an address while all is well.
    pub refresh_seconds: u64,
    /// Seconds that must lie between two fetches that unknown keys cause.
    pub min_refetch_seconds: u64,
}

/// See [`JwksConfig`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// `https://`, or `http://` to this machine itself.
    Url(String),
    /// Looked at every few seconds.
    File(PathBuf),
}

/// Why a document gives no keys. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("it is no JSON object with a list `keys`")]
    NotJwks,
    #[error("it holds no public key for signatures that can be used here")]
    NoKey,
    #[error("it holds more than {MAX_KEYS} usable keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The usable keys of a document. Entries of other kinds, for other uses, or malformed are passed over, as RFC 7517 §5 asks.
pub(super) fn parse(document: &[u8]) -> Result<Vec<Key>, JwksError> {
    let document: Document = serde_json::from_slice(document).map_err(|_| JwksError::NotJwks)?;
    let keys: Vec<Key> = document.keys.iter().filter_map(|entry| key(&serde_json::from_str(entry.get()).ok()?)).collect();
    match keys.len() {
        0 => Err(JwksError::NoKey),
        1..=MAX_KEYS => Ok(keys),
        _ => Err(JwksError::TooMany),
    }
}

/// Is the document good? For checking a configuration.
///
/// # Errors
/// What is wrong with it.
pub fn check(document: &[u8]) -> Result<(), JwksError> {
    parse(document).map(drop)
}

fn key(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let to_verify = match &common.public_key_use {
        Some(purpose) => *purpose == PublicKeyUse::Signature,
        None => common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify)),
    };
    let algorithm = algorithm(jwk).filter(|_| to_verify)?;
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    let bytes = decoding.try_get_as_bytes().map_or(0, <[u8]>::len);
    let sound = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => !is_short_rsa(&rsa.n),
        AlgorithmParameters::EllipticCurve(_) if algorithm == Algorithm::ES256 => bytes == P256_BYTES,
        AlgorithmParameters::EllipticCurve(_) => bytes == P384_BYTES,
        _ => true,
    };
    let mark = KeyMark::published(algorithm, &serde_json::to_string(&jwk.algorithm).ok()?);
    let kid = common.key_id.clone().filter(|kid| !kid.is_empty());
    sound.then_some(Key { algorithm, kid, decoding, mark })
}

/// The key's one algorithm: its `alg`, where that goes with its kind, or else the one its kind implies. A symmetric key (`oct`) has none
/// here: whoever can read the document could sign with it.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let named = match jwk.common.key_algorithm {
        Some(named) => Some(Algorithm::try_from(named).ok()?),
        None => None,
    };
    let implied = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => {
            use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
            let named = named.unwrap_or(RS256);
            return [RS256, RS384, RS512, PS256, PS384, PS512].contains(&named).then_some(named);
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters { curve: EllipticCurve::Ed25519, .. }) => Algorithm::EdDSA,
        _ => return None,
    };
    named.is_none_or(|named| named == implied).then_some(implied)
}

/// The published keys as last read, and the state of fetching them.
pub struct KeySet {
    config: JwksConfig,
    keys: ArcSwap<Vec<Key>>,
    state: Mutex<State>,
    /// Counts the good documents.
    documents: AtomicU32,
    /// Counts fetches that ended.
    rounds: watch::Sender<u64>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    /// A fetch runs or is about to.
    running: bool,
    began: Option<Mono>,
    loaded: bool,
}

impl KeySet {
    pub(super) fn new(config: JwksConfig) -> Self {
        let (keys, state, asked) = Default::default();
        Self { config, keys, state, documents: AtomicU32::new(0), rounds: watch::Sender::new(0), asked }
    }

    pub fn config(&self) -> &JwksConfig {
        &self.config
    }

    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        self.keys.load_full()
    }

    /// Was a good document ever read?
    pub fn is_loaded(&self) -> bool {
        self.state.lock().loaded
    }

    /// Does the last good document hold this key? Before the first nobody knows.
    pub(super) fn holds(&self, mark: KeyMark) -> bool {
        // In this order: the keys are in place before they count as loaded.
        !self.is_loaded() || self.keys.load().iter().any(|key| key.mark == mark)
    }

    /// How many good documents there were: after another one, another key may be withdrawn.
    pub(super) fn documents(&self) -> u32 {
        self.documents.load(Ordering::Acquire)
    }

    /// Which keys are known now, in the order of the document.
    pub fn marks(&self) -> Vec<KeyMark> {
        self.keys.load().iter().map(|key| key.mark).collect()
    }

    /// The keys known now.
    pub fn len(&self) -> usize {
        self.keys.load().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the wish for fresher keys. For the one who fetches. May be cancelled; a wish is not lost by that.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// A fetch begins.
    pub fn begin(&self, now: Mono) {
        let mut state = self.state.lock();
        (state.running, state.began) = (true, Some(now));
    }

    /// The fetch ended: with a document, or with nothing. What is not good changes nothing.
    ///
    /// # Errors
    /// Why the document gives no keys.
    pub fn end(&self, document: Option<&[u8]>) -> Result<(), JwksError> {
        let parsed = document.map(parse).transpose();
        let mut state = self.state.lock();
        let result = parsed.map(|keys| {
            if let Some(keys) = keys {
                self.keys.store(Arc::new(keys));
                state.loaded = true;
                self.documents.fetch_add(1, Ordering::Release);
            }
        });
        state.running = false;
        drop(state);
        self.rounds.send_modify(|round| *round += 1);
        result
    }

    /// Fresher keys, where they can be had: from the fetch under way, or from a new one if the last began long enough ago.
    pub(super) fn ask(&self, now: Mono) -> Option<Fresher> {
        let mut state = self.state.lock();
        let wait_ms = self.config.min_refetch_seconds.saturating_mul(1000);
        if !state.running {
            if state.began.is_some_and(|began| now.since_ms(began) < wait_ms) {
                return None;
            }
            (state.running, state.began) = (true, Some(now));
            self.asked.notify_one();
        }
        // Subscribed under the lock: the end of this very fetch is not missed.
        Some(Fresher(self.rounds.subscribe()))
    }
}

/// The end of a fetch of keys.
pub struct Fresher(watch::Receiver<u64>);

impl Fresher {
    /// Waits until the fetch has ended, well or not, for a bounded time. May be cancelled.
    pub async fn wait(mut self) {
        // Neither a closed channel nor the timeout changes what comes next: the token is looked at again.
        _ = tokio::time::timeout(WAIT_TIMEOUT, self.0.changed()).await;
    }
}
