//! Published keys: which are taken, when fresher ones are asked for, and that a failing issuer takes none away. And what is revoked.

use futures_util::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};

use super::super::*;
use super::{NOW, SECRET, base64url, claims, hs, token as hs_token};

/// A key of the issuer's.
struct Issued(KeyPair);

impl Issued {
    fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    /// As published, with some members replaced; `null` takes one out.
    fn jwk(&self, kid: &str, changes: Value) -> Value {
        let point = &self.0.public_key_raw()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y), "kid": kid, "use": "sig"});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                jwk.as_object_mut().unwrap().remove(name);
            } else {
                jwk[name] = value.clone();
            }
        }
        jwk
    }

    fn token(&self, kid: Option<&str>) -> String {
        self.signed(kid, Algorithm::ES256)
    }

    fn signed(&self, kid: Option<&str>, algorithm: Algorithm) -> String {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, &claims(json!({})), &EncodingKey::from_ec_der(self.0.serialized_der())).unwrap()
    }
}

fn document(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

/// A gateway that looks for keys at most every ten seconds, and has these of its own.
fn access(keys: Vec<KeyConfig>) -> Access {
    let source = JwksSource::Url("https://id.example.com/jwks".into());
    let jwks = JwksConfig { source, refresh_seconds: 300, min_refetch_seconds: 10 };
    let config = Config { keys, jwks: Some(jwks), ..Config::default() };
    Access::new(&config).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn publish(access: &Access, keys: &[Value]) -> Result<(), JwksError> {
    access.jwks().unwrap().end(Some(&document(keys)))
}

const START: Mono = Mono(1_000_000_000);

#[test]
fn a_published_key_is_used_only_if_it_is_public_for_signatures_and_strong() {
    let key = Issued::new();
    let good = [json!({}), json!({"alg": "ES256"}), json!({"use": null}), json!({"use": null, "key_ops": ["verify"]})];
    for changes in good {
        let access = access(Vec::new());
        publish(&access, &[key.jwk("a", changes.clone())]).unwrap();
        assert!(access.identify(&key.token(Some("a")), NOW).is_ok(), "{changes}");
    }
    let rsa = |bits: usize| {
        let n = base64url(&[&[0xC1][..], &vec![7; bits / 8 - 1]].concat());
        json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "a"})
    };
    let bad = [
        key.jwk("a", json!({"use": "enc"})),
        key.jwk("a", json!({"use": null, "key_ops": ["sign"]})),
        key.jwk("a", json!({"alg": "ES384"})),
        key.jwk("a", json!({"alg": "HS256"})),
        key.jwk("a", json!({"alg": "RS256"})),
        key.jwk("a", json!({"alg": "none"})),
        key.jwk("a", json!({"crv": "P-384"})),
        key.jwk("a", json!({"crv": "secp256k1"})),
        key.jwk("a", json!({"x": null})),
        key.jwk("a", json!({"x": "!"})),
        json!({"kty": "oct", "k": base64url(SECRET.as_bytes()), "kid": "a", "use": "sig", "alg": "HS256"}),
        json!({"kty": "oct", "k": base64url(SECRET.as_bytes())}),
        json!({"kty": "AKP", "pub": "x"}),
        rsa(1024),
        json!({}),
        json!(7),
    ];
    for jwk in bad {
        assert_eq!(check_jwks(&document(std::slice::from_ref(&jwk))), Err(JwksError::NoKey), "{jwk}");
        // Beside a good one it does no harm.
        assert_eq!(check_jwks(&document(&[jwk, key.jwk("b", json!({}))])), Ok(()));
    }
    assert_eq!(check_jwks(&document(&[rsa(2048)])), Ok(()));
    for text in ["", "[]", "{}", "{\"keys\": {}}", "<html>"] {
        assert_eq!(check_jwks(text.as_bytes()), Err(JwksError::NotJwks), "{text}");
    }
    let many: Vec<_> = (0..=MAX_KEYS).map(|n| key.jwk(&n.to_string(), json!({}))).collect();
    assert_eq!((check_jwks(&document(&many)), check_jwks(&document(&many[1..]))), (Err(JwksError::TooMany), Ok(())));
}

#[test]
fn a_published_key_fixes_its_algorithm() {
    let (p256, p384) = (Issued::new(), Issued(KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()));
    let access = access(Vec::new());
    publish(&access, &[p256.jwk("a", json!({})), p384.jwk("b", json!({"crv": "P-384"}))]).unwrap();
    assert!(access.identify(&p384.signed(Some("b"), Algorithm::ES384), NOW).is_ok());
    // A secret that everybody can read: the public key's own text.
    for secret in [p256.0.public_key_pem(), base64url(p256.0.public_key_raw()), p256.jwk("a", json!({})).to_string()] {
        let forged = hs_token(&json!({"alg": "HS256", "kid": "a"}), &claims(json!({})), &secret);
        assert_eq!(access.identify(&forged, NOW), Err(AuthError::Algorithm));
        assert!(access.fresher(&forged, &AuthError::Algorithm, START).is_none(), "no fetch could make it good");
    }
    let none =
        format!("{}.{}.", base64url(br#"{"alg":"none","kid":"a"}"#), base64url(claims(json!({})).to_string().as_bytes()));
    assert_eq!(access.identify(&none, NOW), Err(AuthError::Algorithm));
    assert!(access.fresher(&none, &AuthError::Algorithm, START).is_none());
}

#[tokio::test]
async fn fresher_keys_are_asked_for_once_an_interval_and_shared() {
    let (old, new) = (Issued::new(), Issued::new());
    let access = access(Vec::new());
    let set = access.jwks().unwrap();
    set.begin(START);
    publish(&access, &[old.jwk("old", json!({}))]).unwrap();
    let token = new.token(Some("new"));
    let error = access.identify(&token, NOW).unwrap_err();
    assert_eq!(error, AuthError::UnknownKey);
    assert!(access.fresher(&token, &error, START.plus_ms(9_999)).is_none(), "too early");
    let first = access.fresher(&token, &error, START.plus_ms(10_000)).unwrap();
    let second = access.fresher(&token, &error, START.plus_ms(10_001)).unwrap();
    assert!(set.asked().now_or_never().is_some() && set.asked().now_or_never().is_none(), "one fetch for both");
    set.begin(START.plus_ms(10_002));
    publish(&access, &[new.jwk("new", json!({}))]).unwrap();
    assert!(first.wait().now_or_never().is_some() && second.wait().now_or_never().is_some());
    assert!(access.identify(&token, NOW).is_ok());
    assert_eq!(access.identify(&old.token(Some("old")), NOW), Err(AuthError::UnknownKey), "what is published no more");
    assert!(access.fresher(&old.token(Some("old")), &AuthError::UnknownKey, START.plus_ms(10_500)).is_none());
}

#[test]
fn a_known_key_or_a_bad_signature_causes_no_fetch() {
    let (key, thief) = (Issued::new(), Issued::new());
    let access = access(vec![hs("HS256", None, SECRET)]);
    publish(&access, &[key.jwk("a", json!({}))]).unwrap();
    let forged = thief.token(Some("a"));
    let error = access.identify(&forged, NOW).unwrap_err();
    assert_eq!(error, AuthError::Signature);
    assert!(access.fresher(&forged, &error, START).is_none());
    // Our own key without a name answers for every kid; that must not hide a key just published.
    let unknown = thief.token(Some("b"));
    let error = access.identify(&unknown, NOW).unwrap_err();
    assert!(access.fresher(&unknown, &error, START).is_some());
    let ours = hs_token(&json!({"alg": "HS256"}), &claims(json!({})), SECRET);
    assert!(access.identify(&ours, NOW).is_ok());
    let expired = hs_token(&json!({"alg": "HS256"}), &claims(json!({"exp": 1})), SECRET);
    assert!(access.fresher(&expired, &access.identify(&expired, NOW).unwrap_err(), START.plus_ms(60_000)).is_none());
}

#[test]
fn a_failing_issuer_takes_no_key_away() {
    let key = Issued::new();
    let access = access(Vec::new());
    let token = key.token(Some("a"));
    assert_eq!(access.identify(&token, NOW), Err(AuthError::KeysUnavailable));
    assert_eq!(AuthError::KeysUnavailable.code(), "INTERNAL");
    publish(&access, &[key.jwk("a", json!({}))]).unwrap();
    let set = access.jwks().unwrap();
    assert_eq!(set.end(None), Ok(()));
    for bad in [&b"<html>gateway timeout</html>"[..], b"{\"keys\":[]}", b""] {
        assert!(set.end(Some(bad)).is_err());
        assert!(access.identify(&token, NOW).is_ok());
    }
}

#[test]
fn a_withdrawn_key_ends_what_it_opened_and_nothing_else_does() {
    let (old, new) = (Issued::new(), Issued::new());
    let access = access(vec![hs("HS256", None, SECRET)]);
    publish(&access, &[old.jwk("old", json!({})), new.jwk("new", json!({}))]).unwrap();
    let identities =
        [old.token(Some("old")), new.token(Some("new")), hs_token(&json!({"alg": "HS256"}), &claims(json!({})), SECRET)]
            .map(|token| access.identify(&token, NOW).unwrap());
    let revoked = |access: &Access| identities.each_ref().map(|identity| access.is_revoked(identity));
    let set = access.jwks().unwrap();
    assert_eq!(set.end(None), Ok(()));
    for bad in [&b"<html>"[..], b"{\"keys\":[]}", b""] {
        assert!(set.end(Some(bad)).is_err());
    }
    publish(&access, &[old.jwk("renamed", json!({})), new.jwk("new", json!({}))]).unwrap();
    assert_eq!(revoked(&access), [false; 3], "the same key under another name is not withdrawn");
    // Another key under the old one's name.
    publish(&access, &[Issued::new().jwk("old", json!({})), new.jwk("new", json!({}))]).unwrap();
    assert_eq!(revoked(&access), [true, false, false]);
    publish(&access, &[old.jwk("old", json!({}))]).unwrap();
    assert_eq!(revoked(&access), [false, true, false]);
    // Keys are looked for elsewhere: until they were fetched there, nobody knows. Or nowhere at all.
    let elsewhere = JwksConfig { source: JwksSource::Url("https://other.example/".into()), ..set.config().clone() };
    let with = |jwks, keys| access.renewed(&Config { jwks, keys, ..Config::default() }).unwrap_or_else(|p| panic!("{p:?}"));
    let moved = with(Some(elsewhere), Vec::new());
    assert_eq!(revoked(&moved), [false, false, true], "a configured key is not looked for there");
    publish(&moved, &[new.jwk("new", json!({}))]).unwrap();
    assert_eq!(revoked(&moved), [true, false, true]);
    assert_eq!(revoked(&with(None, vec![hs("HS256", None, SECRET)])), [true, true, false]);
}

#[test]
fn a_renewed_configuration_keeps_what_was_fetched_revoked_and_counted() {
    let key = Issued::new();
    let first = access(Vec::new());
    publish(&first, &[key.jwk("a", json!({}))]).unwrap();
    let user: Arc<str> = "alice".into();
    let _seat = first.seat(&user).unwrap();
    let what = Revoked::User { user: "bob".into(), issued_before: NOW };
    first.revocations().add(Revocation { what, until: None }, NOW).unwrap();
    let jwks = Some(first.jwks().unwrap().config().clone());
    let same = Config { jwks, keys: vec![hs("HS256", None, SECRET)], max_connections_per_user: 1, ..Config::default() };
    let renewed = first.renewed(&same).unwrap_or_else(|p| panic!("{p:?}"));
    assert!(renewed.identify(&key.token(Some("a")), NOW).is_ok());
    assert!(renewed.seat(&user).is_none(), "alice has hers already");
    let bobs = hs_token(&json!({"alg": "HS256"}), &claims(json!({"sub": "bob"})), SECRET);
    assert_eq!(renewed.identify(&bobs, NOW), Err(AuthError::Revoked));
    let elsewhere = JwksConfig { source: JwksSource::Url("https://other.example/".into()), ..same.jwks.clone().unwrap() };
    let moved = renewed.renewed(&Config { jwks: Some(elsewhere), ..same }).unwrap_or_else(|p| panic!("{p:?}"));
    assert_eq!(moved.identify(&key.token(Some("a")), NOW), Err(AuthError::KeysUnavailable));
}

#[test]
fn revocations_reach_what_they_name_and_nothing_else() {
    let access =
        Access::new(&Config { keys: vec![hs("HS256", None, SECRET)], ..Config::default() }).unwrap_or_else(|_| panic!());
    let iat = NOW.0 / 1000 - 100;
    let judge = |changes| access.identify(&hs_token(&json!({"alg": "HS256"}), &claims(changes), SECRET), NOW);
    let revoke = |what| access.revocations().add(Revocation { what, until: None }, NOW);
    assert_eq!(revoke(Revoked::Token("t-1".into())), Ok(1));
    assert_eq!(judge(json!({"jti": "t-1"})), Err(AuthError::Revoked));
    assert!(judge(json!({"jti": "t-2"})).is_ok() && judge(json!({})).is_ok());
    let at = |ms| Revoked::User { user: "alice".into(), issued_before: UnixMs(ms) };
    assert_eq!(revoke(at(iat * 1000)), Ok(2));
    assert_eq!(judge(json!({"iat": iat})), Err(AuthError::Revoked), "issued in that very second");
    assert_eq!(judge(json!({})), Err(AuthError::Revoked), "who knows when it was issued");
    assert!(judge(json!({"iat": iat + 1})).is_ok() && judge(json!({"sub": "bob", "iat": iat})).is_ok());
    revoke(at(iat * 1000 - 50_000)).unwrap();
    assert_eq!(judge(json!({"iat": iat})), Err(AuthError::Revoked), "an earlier date takes nothing back");
    for bad in [Revoked::Token(String::new()), Revoked::Token("x".repeat(257))] {
        assert_eq!(revoke(bad), Err(RevokeError::TokenId));
    }
    let nobody = Revoked::User { user: "a\nb".into(), issued_before: NOW };
    assert_eq!(revoke(nobody), Err(RevokeError::User));
}

#[test]
fn a_revocation_is_forgotten_only_when_it_is_not_needed_and_room_is() {
    let revocations = Revocations::default();
    let add = |id: String, until, now| revocations.add(Revocation { what: Revoked::Token(id), until }, now);
    for n in 0..MAX_REVOCATIONS {
        add(n.to_string(), (n % 2 == 0).then_some(UnixMs(NOW.0 + 10)), NOW).unwrap();
    }
    assert_eq!(add("one more".into(), None, NOW), Err(RevokeError::Full));
    assert_eq!(add("1".into(), None, NOW), Ok(MAX_REVOCATIONS), "one that is held already needs no room");
    // A day past the expiry, when no clock in doubt would let the token in any more.
    let day = 86_400_000;
    assert_eq!(add("one more".into(), None, UnixMs(NOW.0 + 9 + day)), Err(RevokeError::Full));
    assert_eq!(add("one more".into(), None, UnixMs(NOW.0 + 10 + day)), Ok(MAX_REVOCATIONS / 2 + 1));
}

#[test]
fn a_users_seats_are_counted_and_given_back() {
    let config = Config { keys: vec![hs("HS256", None, SECRET)], max_connections_per_user: 2, ..Config::default() };
    let access = Access::new(&config).unwrap_or_else(|_| panic!());
    let (alice, bob): (Arc<str>, Arc<str>) = ("alice".into(), "bob".into());
    let seats = [access.seat(&alice).unwrap(), access.seat(&alice).unwrap()];
    assert!(access.seat(&alice).is_none() && access.seat(&bob).is_some());
    drop(seats);
    assert!(access.seat(&alice).is_some());
}
