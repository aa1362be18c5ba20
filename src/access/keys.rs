//! Keys: from what was configured to what a signature is checked with.
//!
//! A key fixes its algorithm. No key is ever used with an algorithm that a token asks for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use secrecy::{ExposeSecret, SecretString};

use super::KeyConfig;

/// The names an `algorithm` may have.
pub const ALGORITHMS: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// The shortest modulus accepted for RSA, in bytes: 2048 bits, below which the cryptography refuses to verify.
const MIN_RSA_BYTES: usize = 256;
/// Uncompressed points: one byte of form, two coordinates.
pub(super) const P256_BYTES: usize = 65;
pub(super) const P384_BYTES: usize = 97;

/// Is this modulus, in base64url, of fewer than 2048 bits?
pub(super) fn is_short_rsa(modulus: &str) -> bool {
    modulus.trim_end_matches('=').len() * 3 / 4 < MIN_RSA_BYTES
}

/// A key ready for use.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) decoding: DecodingKey,
    pub(super) mark: KeyMark,
}

/// Which key it is: equal for the same key under another `kid`, in another configuration or document. Shows nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyMark {
    hash: u64,
    /// The issuer publishes it.
    pub(super) is_published: bool,
}

impl KeyMark {
    /// The key is the operator's, so nobody looks for a second one of the same hash.
    fn of(config: &KeyConfig) -> Self {
        let mut hasher = DefaultHasher::new();
        config.algorithm.hash(&mut hasher);
        for text in [&config.secret, &config.public_key].into_iter().flatten() {
            text.expose_secret().hash(&mut hasher);
        }
        Self { hash: hasher.finish(), is_published: false }
    }

    /// The mark of a published key. The issuer's keys are its own, too.
    pub(super) fn published(algorithm: Algorithm, parameters: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (format!("{algorithm:?}"), parameters).hash(&mut hasher);
        Self { hash: hasher.finish(), is_published: true }
    }
}

impl std::fmt::Debug for KeyMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyMark")
    }
}

/// Makes every key ready, adding what is wrong to `problems`.
pub(super) fn ready(configs: &[KeyConfig], problems: &mut Vec<(String, String)>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::with_capacity(configs.len());
    for (index, config) in configs.iter().enumerate() {
        let key = match read(config) {
            Ok(key) => key,
            Err((field, message)) => {
                problems.push((format!("keys[{index}].{field}"), message));
                continue;
            }
        };
        keys.push(key);
    }
    for index in twins(configs) {
        problems.push((format!("keys[{index}].kid"), "another key of this algorithm has the same kid".to_owned()));
    }
    keys
}

fn read(config: &KeyConfig) -> Result<Key, (&'static str, String)> {
    let algorithm = Algorithm::from_str(&config.algorithm)
        .map_err(|_| ("algorithm", format!("unknown algorithm; use one of {}", ALGORITHMS.join(", "))))?;
    if config.kid.as_deref() == Some("") {
        return Err(("kid", "is empty; name the key or leave kid out".to_owned()));
    }
    let decoding = match (algorithm.family(), &config.secret, &config.public_key) {
        (AlgorithmFamily::Hmac, Some(secret), None) => symmetric(secret)?,
        (AlgorithmFamily::Hmac, None, _) => return Err(("secret", "is missing; the HS… algorithms need `secret`".to_owned())),
        (AlgorithmFamily::Hmac, Some(_), Some(_)) => {
            return Err(("public_key", "has no use with the HS… algorithms; remove it".to_owned()));
        }
        (_, None, Some(pem)) => asymmetric(algorithm, pem).map_err(|message| ("public_key", message))?,
        (_, _, None) => {
            return Err(("public_key", format!("is missing; {} needs the issuer's public key as PEM", config.algorithm)));
        }
        (_, Some(_), Some(_)) => {
            return Err(("secret", format!("has no use with {}; remove it", config.algorithm)));
        }
    };
    Ok(Key { algorithm, kid: config.kid.clone(), decoding, mark: KeyMark::of(config) })
}

fn symmetric(secret: &SecretString) -> Result<DecodingKey, (&'static str, String)> {
    if secret.expose_secret().is_empty() {
        return Err(("secret", "is empty; anybody could sign with it".to_owned()));
    }
    Ok(DecodingKey::from_secret(secret.expose_secret().as_bytes()))
}

fn asymmetric(algorithm: Algorithm, pem: &SecretString) -> Result<DecodingKey, String> {
    let pem = pem.expose_secret();
    if pem.contains("PRIVATE KEY") {
        return Err("is a private key; give the public half (openssl pkey -pubout)".to_owned());
    }
    let (read, kind) = match algorithm.family() {
        AlgorithmFamily::Rsa => (DecodingKey::from_rsa_pem(pem.as_bytes()), "an RSA key"),
        AlgorithmFamily::Ec => (DecodingKey::from_ec_pem(pem.as_bytes()), "an elliptic-curve key"),
        AlgorithmFamily::Ed => (DecodingKey::from_ed_pem(pem.as_bytes()), "an Ed25519 key"),
        AlgorithmFamily::Hmac => return Err("the HS… algorithms have no public key".to_owned()),
    };
    // The library's own message may quote the input.
    let key = read.map_err(|_| format!("is not {kind} in PEM (-----BEGIN PUBLIC KEY-----), as {algorithm:?} needs"))?;
    let bytes = key.try_get_as_bytes().map_or(0, <[u8]>::len);
    match algorithm {
        Algorithm::ES256 if bytes != P256_BYTES => Err("ES256 needs a key on the curve P-256".to_owned()),
        Algorithm::ES384 if bytes != P384_BYTES => Err("ES384 needs a key on the curve P-384".to_owned()),
        _ if key.family() == AlgorithmFamily::Rsa && bytes < MIN_RSA_BYTES => {
            Err("is shorter than 2048 bits; use a longer RSA key".to_owned())
        }
        _ => Ok(key),
    }
}

/// What is weak about a key that works, for a warning below its `secret`. RFC 7518 §3.2 asks symmetric keys for at least as many bytes
/// as their hash has.
pub fn weakness(config: &KeyConfig) -> Option<String> {
    let wanted = hash_bytes(&config.algorithm)?;
    let short = config.secret.as_ref()?.expose_secret().len() < wanted;
    short.then(|| {
        format!(
            "is shorter than {wanted} bytes, which {} asks for; make one with `openssl rand -hex {wanted}`",
            config.algorithm
        )
    })
}

/// Places of the keys that share algorithm and `kid` with an earlier one. What else is wrong with a key does not matter.
pub fn twins(configs: &[KeyConfig]) -> Vec<usize> {
    let same = |a: &KeyConfig, b: &KeyConfig| a.kid.is_some() && a.kid == b.kid && a.algorithm == b.algorithm;
    let twin = |at: &usize| configs[..*at].iter().any(|earlier| same(earlier, &configs[*at]));
    (0..configs.len()).filter(twin).collect()
}

fn hash_bytes(algorithm: &str) -> Option<usize> {
    match algorithm {
        "HS256" => Some(32),
        "HS384" => Some(48),
        "HS512" => Some(64),
        _ => None,
    }
}
