//! Tokens: what is accepted, what is refused and under which name, and who sees what.

mod published;

use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

pub(super) const NOW: UnixMs = UnixMs(1_763_121_000_000);
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn hs(algorithm: &str, kid: Option<&str>, secret: &str) -> KeyConfig {
    let (kid, secret) = (kid.map(str::to_owned), Some(SecretString::from(secret)));
    KeyConfig { algorithm: algorithm.to_owned(), kid, secret, public_key: None }
}

fn public(algorithm: &str, pem: &str) -> KeyConfig {
    KeyConfig { algorithm: algorithm.to_owned(), kid: None, secret: None, public_key: Some(SecretString::from(pem)) }
}

fn config(keys: Vec<KeyConfig>) -> Config {
    Config { keys, ..Config::default() }
}

fn access(keys: Vec<KeyConfig>) -> Access {
    Access::new(&config(keys)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A token with exactly these header fields and claims, signed with `secret` by HS256 whatever the header says.
pub(super) fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let text = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..=chunk.len() {
            text.push(DIGITS[(word >> (18 - 6 * digit) & 63) as usize] as char);
        }
    }
    text
}

/// Claims that are good at [`NOW`], with some of them replaced; `null` takes one out.
pub(super) fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "alice", "exp": 1_763_125_000});
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// What a gateway with one HS256 key says to these claims.
fn judged(changes: Value) -> Result<Identity, AuthError> {
    let token = token(&json!({"alg": "HS256"}), &claims(changes), SECRET);
    access(vec![hs("HS256", None, SECRET)]).identify(&token, NOW)
}

fn bad_claim(result: Result<Identity, AuthError>, name: &str) {
    let error = result.unwrap_err();
    assert!(matches!(&error, AuthError::BadClaim { claim, .. } if claim == name), "{error:?} is not about {name}");
    assert_eq!((error.code(), error.reason()), ("TOKEN_INVALID", "bad_claim"));
}

#[test]
fn a_good_token_names_its_user_and_times() {
    let identity = judged(json!({"iat": 1_763_120_000, "jti": "t-1"})).unwrap();
    assert_eq!(&*identity.user, "alice");
    assert_eq!(identity.expires_at, UnixMs(1_763_125_000_000));
    assert_eq!(identity.issued_at, Some(UnixMs(1_763_120_000_000)));
    assert_eq!(identity.token_id.as_deref(), Some("t-1"));
    assert_eq!(identity.accounts, None);
}

#[test]
fn a_token_lives_until_its_expiry_plus_the_leeway() {
    assert!(judged(json!({"exp": NOW.0 / 1000 - 4})).is_ok());
    let error = judged(json!({"exp": NOW.0 / 1000 - 5})).unwrap_err();
    assert_eq!((error.code(), error.reason()), ("TOKEN_EXPIRED", "expired"));
}

#[test]
fn a_fraction_of_a_second_in_a_date_counts() {
    assert_eq!(judged(json!({"exp": 1_763_125_000.25})).unwrap().expires_at, UnixMs(1_763_125_000_250));
}

#[test]
fn a_token_without_a_usable_expiry_is_refused() {
    for exp in [Value::Null, json!("1763125000"), json!(-1), json!(1e300), json!(9_223_372_036_854_775_807_i64), json!([1])] {
        bad_claim(judged(json!({ "exp": exp })), "exp");
    }
}

#[test]
fn a_token_from_the_future_is_not_valid_yet() {
    let soon = NOW.0 / 1000;
    assert!(judged(json!({"nbf": soon + 5})).is_ok());
    assert_eq!(judged(json!({"nbf": soon + 6})), Err(AuthError::NotYetValid));
    assert!(judged(json!({"iat": soon + 305})).is_ok());
    assert_eq!(judged(json!({"iat": soon + 306})), Err(AuthError::NotYetValid));
    bad_claim(judged(json!({"nbf": "tomorrow"})), "nbf");
    bad_claim(judged(json!({"iat": {}})), "iat");
}

#[test]
fn a_subject_must_be_a_usable_name() {
    for sub in [Value::Null, json!(""), json!(7), json!("a".repeat(257)), json!("al\nice")] {
        assert_eq!(judged(json!({ "sub": sub })), Err(AuthError::NoSubject), "{sub}");
    }
    assert!(judged(json!({"sub": "a".repeat(256)})).is_ok());
}

#[test]
fn issuer_and_audience_are_required_where_configured() {
    let mut config = config(vec![hs("HS256", None, SECRET)]);
    config.issuer = Some("https://id.example.com".into());
    config.audience = Some("balance-gateway".into());
    let access = Access::new(&config).unwrap_or_else(|p| panic!("{p:?}"));
    let judge = |changes| access.identify(&token(&json!({"alg": "HS256"}), &claims(changes), SECRET), NOW);
    let (iss, aud) = ("https://id.example.com", "balance-gateway");
    assert!(judge(json!({"iss": iss, "aud": aud})).is_ok());
    assert!(judge(json!({"iss": iss, "aud": ["other", aud]})).is_ok());
    assert_eq!(judge(json!({"aud": aud})), Err(AuthError::Issuer));
    assert_eq!(judge(json!({"iss": "https://evil.example.com", "aud": aud})), Err(AuthError::Issuer));
    assert_eq!(judge(json!({"iss": [iss], "aud": aud})), Err(AuthError::Issuer));
    assert_eq!(judge(json!({"iss": iss})), Err(AuthError::Audience));
    assert_eq!(judge(json!({"iss": iss, "aud": ["other"]})), Err(AuthError::Audience));
    assert_eq!(judge(json!({"iss": iss, "aud": {aud: true}})), Err(AuthError::Audience));
}

#[test]
fn claims_that_are_not_configured_are_ignored() {
    assert!(judged(json!({"iss": 5, "aud": "elsewhere", "scope": {"x": 1}})).is_ok());
}

#[test]
fn each_asymmetric_algorithm_verifies_what_another_program_signed() {
    let (rsa, p256) = (include_str!("fixtures/rsa.pub.pem"), include_str!("fixtures/p256.pub.pem"));
    let (p384, ed) = (include_str!("fixtures/p384.pub.pem"), include_str!("fixtures/ed.pub.pem"));
    let mut seen = 0;
    for line in include_str!("fixtures/tokens.txt").lines() {
        let (algorithm, token) = line.split_once(' ').unwrap();
        let pem = match algorithm {
            "ES256" => p256,
            "ES384" => p384,
            "EdDSA" => ed,
            _ => rsa,
        };
        let access = access(vec![public(algorithm, pem)]);
        assert_eq!(access.identify(token, NOW).map(|i| i.user.to_string()), Ok("alice".into()), "{algorithm}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{signed}.{first}{}", &signature[1..]);
        assert_eq!(access.identify(&forged, NOW), Err(AuthError::Signature), "{algorithm}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn the_key_fixes_the_algorithm() {
    // Signed with the public key's text as if it were an HMAC secret: the classic confusion.
    let pem = include_str!("fixtures/rsa.pub.pem");
    let forged = token(&json!({"alg": "HS256"}), &claims(json!({})), pem);
    assert_eq!(access(vec![public("RS256", pem)]).identify(&forged, NOW), Err(AuthError::Algorithm));
    let access = access(vec![hs("HS512", None, SECRET)]);
    for alg in ["HS256", "none", "None", "HS1024"] {
        let token = token(&json!({ "alg": alg }), &claims(json!({})), SECRET);
        assert_eq!(access.identify(&token, NOW), Err(AuthError::Algorithm), "{alg}");
    }
    let unsigned = token(&json!({"alg": "none"}), &claims(json!({})), SECRET);
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    assert_eq!(access.identify(&format!("{unsigned}."), NOW), Err(AuthError::Algorithm));
}

#[test]
fn a_kid_chooses_its_key_and_no_other() {
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    let access = access(vec![hs("HS256", Some("one"), &one), hs("HS256", Some("two"), &two)]);
    let judge = |header: Value, secret: &str| access.identify(&token(&header, &claims(json!({})), secret), NOW);
    assert!(judge(json!({"alg": "HS256", "kid": "one"}), &one).is_ok());
    assert!(judge(json!({"alg": "HS256", "kid": "two"}), &two).is_ok());
    assert_eq!(judge(json!({"alg": "HS256", "kid": "one"}), &two), Err(AuthError::Signature));
    assert_eq!(judge(json!({"alg": "HS256", "kid": "three"}), &one), Err(AuthError::UnknownKey));
    assert!(judge(json!({"alg": "HS256"}), &two).is_ok(), "without a kid every key is tried");
    assert_eq!(judge(json!({"alg": "HS256"}), SECRET), Err(AuthError::Signature));
}

#[test]
fn a_key_without_a_kid_answers_for_any_kid_that_has_no_key() {
    let named = "n".repeat(32);
    let access = access(vec![hs("HS256", None, SECRET), hs("HS256", Some("named"), &named)]);
    let judge = |kid: &str, secret: &str| {
        access.identify(&token(&json!({"alg": "HS256", "kid": kid}), &claims(json!({})), secret), NOW)
    };
    assert!(judge("rotated-by-the-issuer", SECRET).is_ok());
    assert_eq!(judge("rotated-by-the-issuer", &named), Err(AuthError::Signature));
    assert_eq!(judge("named", SECRET), Err(AuthError::Signature));
    let without = token(&json!({"alg": "HS256"}), &claims(json!({})), &named);
    assert!(access.identify(&without, NOW).is_ok(), "a token without a kid may be signed by a key that has one");
}

#[test]
fn without_keys_every_token_is_refused() {
    let token = token(&json!({"alg": "HS256"}), &claims(json!({})), SECRET);
    assert_eq!(access(Vec::new()).identify(&token, NOW), Err(AuthError::UnknownKey));
}

#[test]
fn a_token_that_asks_for_extensions_is_refused() {
    let token = token(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims(json!({})), SECRET);
    assert_eq!(access(vec![hs("HS256", None, SECRET)]).identify(&token, NOW), Err(AuthError::Malformed));
}

#[test]
fn what_is_no_token_is_malformed() {
    let access = access(vec![hs("HS256", None, SECRET)]);
    let good = token(&json!({"alg": "HS256"}), &claims(json!({})), SECRET);
    let list = token(&json!({"alg": "HS256"}), &json!(["alice"]), SECRET);
    for text in ["", ".", "..", "a.b", "a.b.c", "{}", &good[1..], &format!("{good}.x"), &format!(" {good}"), &list] {
        let error = access.identify(text, NOW).unwrap_err();
        assert_eq!(error, AuthError::Malformed, "{text}");
        assert_eq!(error.code(), "TOKEN_INVALID");
    }
}

#[test]
fn a_token_over_the_bound_is_not_even_read() {
    let access = access(vec![hs("HS256", None, SECRET)]);
    assert_eq!(access.identify(&"a".repeat(MAX_TOKEN_BYTES + 1), NOW), Err(AuthError::TooLarge));
    assert_eq!(access.identify(&"a".repeat(MAX_TOKEN_BYTES), NOW), Err(AuthError::Malformed));
}

#[test]
fn no_refusal_repeats_the_token() {
    let access = access(vec![hs("HS256", None, SECRET)]);
    let claims = claims(json!({"accounts": "MARKER", "exp": "MARKER", "kid": "MARKER"}));
    for header in [json!({"alg": "MARKER"}), json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "MARKER"})] {
        let error = access.identify(&token(&header, &claims, SECRET), NOW).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
}

#[test]
fn a_claim_of_accounts_grants_exactly_what_matches() {
    let owners = ["alice".to_owned()];
    let sees = |accounts: Value, account: &str| judged(json!({ "accounts": accounts })).unwrap().sees(account, &owners);
    assert!(sees(json!(["bfx-*"]), "bfx-main"));
    assert!(!sees(json!(["bfx-*"]), "p99-main"), "ownership does not widen a claim");
    assert!(sees(json!(["p99-main", "*"]), "anything"));
    assert!(!sees(json!([]), "bfx-main"), "an empty list sees nothing");
    let unclaimed = judged(json!({})).unwrap();
    assert!(unclaimed.sees("bfx-main", &owners));
    assert!(!unclaimed.sees("bfx-main", &["alicia".to_owned(), "*".to_owned()]));
    assert!(!unclaimed.sees("bfx-main", &[]));
}

#[test]
fn a_malformed_claim_of_accounts_is_no_missing_one() {
    for accounts in [json!("*"), json!(null), json!({"a": 1}), json!([1]), json!(["a", null]), json!([""]), json!(true)] {
        let mut claims = claims(json!({}));
        claims["accounts"] = accounts;
        let token = token(&json!({"alg": "HS256"}), &claims, SECRET);
        bad_claim(access(vec![hs("HS256", None, SECRET)]).identify(&token, NOW), "accounts");
    }
    bad_claim(judged(json!({"accounts": ["a".repeat(129)]})), "accounts");
    bad_claim(judged(json!({"accounts": vec!["a"; 1001]})), "accounts");
    assert!(judged(json!({"accounts": vec!["a"; 1000]})).is_ok());
}

#[test]
fn the_claim_of_accounts_has_the_configured_name() {
    let config = Config { accounts_claim: "https://x/desks".into(), ..config(vec![hs("HS256", None, SECRET)]) };
    let access = Access::new(&config).unwrap_or_else(|p| panic!("{p:?}"));
    let claims = claims(json!({"accounts": ["*"], "https://x/desks": ["a"]}));
    let identity = access.identify(&token(&json!({"alg": "HS256"}), &claims, SECRET), NOW).unwrap();
    assert!(identity.sees("a", &[]) && !identity.sees("b", &[]));
}

#[test]
fn a_star_stands_for_any_run() {
    let cases = [
        ("*", "", true),
        ("*", "x", true),
        ("a", "a", true),
        ("a", "A", false),
        ("a", "ab", false),
        ("a*", "a", true),
        ("*-main", "bfx-main", true),
        ("*-main", "bfx-main2", false),
        ("b*m*n", "bfx-main", true),
        ("b*m*z", "bfx-main", false),
        ("*a*b*c*", "xxaxxbxxcxx", true),
        ("*ab", "aab", true),
        ("**", "x", true),
        ("a**b", "ab", true),
        ("?", "x", false),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(Pattern::new(pattern).unwrap().matches(text), wanted, "{pattern} {text}");
    }
}

proptest! {
    #[test]
    fn a_pattern_matches_as_the_plain_recursive_definition_does(pattern in "[ab*]{1,8}", text in "[ab]{0,8}") {
        fn plain(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) if plain(rest, text) => true,
                (Some((b'*', _)), Some((_, tail))) => plain(pattern, tail),
                (Some((p, rest)), Some((t, tail))) => p == t && plain(rest, tail),
                _ => false,
            }
        }
        prop_assert_eq!(Pattern::new(&pattern).unwrap().matches(&text), plain(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn nothing_but_a_signed_token_gets_in(text in "[ -~]{0,200}") {
        prop_assert!(access(vec![hs("HS256", None, SECRET)]).identify(&text, NOW).is_err());
    }
}

#[test]
fn everything_wrong_with_the_keys_is_told_at_once() {
    let (p256, p384) = (include_str!("fixtures/p256.pub.pem"), include_str!("fixtures/p384.pub.pem"));
    let private = "-----BEGIN PRIVATE KEY-----\nMARKER\n-----END PRIVATE KEY-----";
    let mut both = hs("HS256", None, "MARKER");
    both.public_key = Some(SecretString::from("MARKER"));
    let cases = [
        (hs("HS2567", None, "MARKER"), "algorithm"),
        (hs("HS256", None, ""), "secret"),
        (hs("HS256", Some(""), "MARKER"), "kid"),
        (hs("RS256", None, "MARKER"), "public_key"),
        (public("HS256", "MARKER"), "secret"),
        (both, "public_key"),
        (public("ES256", p384), "public_key"),
        (public("ES384", p256), "public_key"),
        (public("RS256", p256), "public_key"),
        (public("EdDSA", "MARKER"), "public_key"),
        (public("EdDSA", private), "public_key"),
        (public("PS256", include_str!("fixtures/rsa1024.pub.pem")), "public_key"),
    ];
    let (keys, fields): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut config = config(keys);
    config.accounts_claim = String::new();
    let problems = Access::new(&config).err().unwrap();
    let named: Vec<_> = problems.iter().map(|(key, _)| key.clone()).collect();
    let wanted = fields.iter().enumerate().map(|(index, field)| format!("keys[{index}].{field}"));
    assert_eq!(named, std::iter::once("accounts_claim".to_owned()).chain(wanted).collect::<Vec<_>>());
    let told = |part: &str| problems.iter().filter(|(_, message)| message.contains(part)).count();
    assert_eq!((told("give the public half"), told("P-256"), told("P-384"), told("2048 bits")), (1, 1, 1, 1), "{problems:?}");
    assert!(!format!("{problems:?} {config:?}").contains("MARKER"));
}

#[test]
fn two_keys_of_one_name_and_algorithm_are_refused() {
    let twice = config(vec![hs("HS256", Some("a"), "x"), hs("HS384", Some("a"), "y"), hs("HS256", Some("a"), "z")]);
    let problems = Access::new(&twice).err().unwrap();
    assert_eq!(problems.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["keys[2].kid"]);
}

#[test]
fn the_number_of_keys_is_bounded() {
    let keys = |count| config(vec![hs("HS256", None, SECRET); count]);
    assert!(Access::new(&keys(MAX_KEYS)).is_ok());
    assert_eq!(Access::new(&keys(MAX_KEYS + 1)).err().unwrap()[0].0, "keys");
}

#[test]
fn a_secret_shorter_than_its_hash_is_weak() {
    assert_eq!(weakness(&hs("HS256", None, SECRET)), None);
    for weak in [hs("HS256", None, &SECRET[1..]), hs("HS512", None, SECRET)] {
        let told = weakness(&weak).unwrap();
        assert!(told.contains("is shorter than") && !told.contains(&SECRET[1..]), "{told}");
    }
}

#[test]
fn what_is_signed_here_is_accepted_here() {
    let mut config = config(vec![hs("HS384", Some("dev"), SECRET)]);
    config.issuer = Some("me".into());
    config.audience = Some("you".into());
    let accounts = ["bfx-*".to_owned()];
    let grant = Claims { user: "bob", accounts: Some(&accounts), issued_at: NOW, ttl_ms: 1_500 };
    let token = sign(&config, &config.keys[0], &grant).unwrap();
    let access = Access::new(&config).unwrap_or_else(|p| panic!("{p:?}"));
    let identity = access.identify(&token, NOW).unwrap();
    assert_eq!(&*identity.user, "bob");
    assert_eq!(identity.expires_at, UnixMs(NOW.0 + 2_000));
    assert!(identity.sees("bfx-main", &[]) && !identity.sees("p99-main", &[]));
    let unclaimed = sign(&config, &config.keys[0], &Claims { accounts: None, ..grant }).unwrap();
    assert_eq!(access.identify(&unclaimed, NOW).unwrap().accounts, None);
    let nothing = sign(&config, &config.keys[0], &Claims { accounts: Some(&[]), ..grant }).unwrap();
    assert_eq!(access.identify(&nothing, NOW).unwrap().accounts, Some(vec![]));
}

#[test]
fn only_what_would_be_accepted_is_signed() {
    let config = config(vec![hs("HS256", None, SECRET), public("RS256", include_str!("fixtures/rsa.pub.pem"))]);
    let grant = Claims { user: "bob", accounts: None, issued_at: NOW, ttl_ms: 1 };
    assert_eq!(sign(&config, &config.keys[1], &grant), Err(SignError::Asymmetric));
    assert_eq!(sign(&config, &config.keys[0], &Claims { user: "", ..grant }), Err(SignError::Subject));
    let accounts = [String::new()];
    assert_eq!(sign(&config, &config.keys[0], &Claims { accounts: Some(&accounts), ..grant }), Err(SignError::Pattern));
}
