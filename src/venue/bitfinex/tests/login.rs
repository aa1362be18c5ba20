//! The login, the settings, and what ends a connection.

use super::*;

#[test]
fn signatures_agree_with_another_implementation() {
    // Computed with Python's hmac and hashlib.
    let stream = "b843f3975c2474ae3cb9d1fc7aa27c0456f90d6876d0ecd3d0ee93a7e77fe6631a0361c6ccc97c4540daadd8b5b854b5";
    let rest = "fea1f830bd7779a3d8fc322d42728cc9aee98e502a71fa33b9eec4024c7ef8a140a78b39c1fca52d3514256b3cda2ba5";
    assert_eq!(auth::sign("s-test", "AUTH1763121358960000"), stream);
    assert_eq!(auth::sign("s-test", &auth::rest_payload("v2/auth/r/wallets", "1763121358960001", "{}")), rest);
    assert!(auth::verify("s-test", "AUTH1763121358960000", stream) && !auth::verify("s-test", "AUTH1", stream));
}

#[test]
fn login_is_signed_filtered_and_cancels_no_orders() {
    let duo = quiet();
    let login = &duo.sent[0];
    for part in [r#""event":"auth""#, r#""authNonce":"1763121358960000""#, r#""authPayload":"AUTH1763121358960000""#, "wallet"]
    {
        assert!(login.contains(part), "{part}");
    }
    assert!(!login.contains("dms") && !login.contains("bfx-sample-secret"));
}

#[test]
fn rows_are_live_only_after_the_snapshot() {
    let mut duo = Duo::with(&VENUE, |_| {}, option("reconcile_ms", 0));
    let events = said(&mut duo);
    assert_eq!(events[0], "facts 0 warnings");
    assert!(events[1].starts_with("snapshot Account [exchange BTC 1.61169184/1.61169184, "));
    assert_eq!(events[2..], ["synced"]);
}

#[test]
fn no_answer_to_auth_ends_in_a_sync_timeout() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["auth_ignored_once"])));
    duo.pass(9_999);
    assert!(duo.closed.is_none());
    duo.pass(1);
    assert_eq!(closed(&duo), (ErrorClass::Transient, ReasonCode::SyncTimeout));
}

#[test]
fn no_ws_after_auth_ends_in_a_sync_timeout() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["ws_withheld_once"])));
    duo.pass(5_000);
    duo.moves(&deposit("BTC", "1"));
    assert_eq!(said(&mut duo), ["facts 0 warnings", "rows [exchange BTC 2.61169184/2.61169184]"], "rows, but not live");
    duo.pass(5_000);
    assert_eq!(closed(&duo), (ErrorClass::Transient, ReasonCode::SyncTimeout));
}

#[test]
fn another_protocol_version_is_a_wrong_address() {
    let mut duo = quiet();
    duo.hear(r#"{"event":"info","version":1.1}"#);
    assert_eq!(closed(&duo), (ErrorClass::Configuration, ReasonCode::Configuration));
}

#[test]
fn new_credentials_and_an_operators_wish_reconnect() {
    let mut duo = quiet();
    let mut out = Out::default();
    duo.session.on_credentials(duo.now, &mut out);
    assert!(out.actions.is_empty(), "the same credentials change nothing");
    duo.session.resync(duo.now, &mut out);
    assert!(matches!(&out.actions[..], [Action::Close(closing)] if closing.class == ErrorClass::Restart));
    assert!(duo.session.deadline().is_none());

    let mut account = spec(&sample());
    account.credentials = Credentials::plain([("api_key", "k"), ("api_secret", "old")]);
    let mut session = connect(&account, &Shared::default()).unwrap_or_else(|_| panic!("valid")).session(1);
    session.on_open(Now::default(), &mut Out::default());
    let new = [("api_key", "k"), ("api_secret", "new")];
    account.credentials.replace(new.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect());
    let mut out = Out::default();
    session.on_credentials(Now::default(), &mut out);
    assert!(matches!(&out.actions[..], [Action::Close(closing)] if closing.class == ErrorClass::Restart));
}

#[test]
fn every_problem_is_told_at_once() {
    let mut account = spec(&sample());
    account.credentials = Credentials::plain([("api_key", "a b"), ("jwt", "x")]);
    account.ws_url = "https://api.bitfinex.com".into();
    account.rest_url = "https://api-pub.bitfinex.com/v2".into();
    account.wallets = vec![WalletSpec { address: "0x1".into(), assets: None }];
    account.options = Options::new(
        [("reconcile_ms", 5), ("livenes_ms", 1), ("sync_timeout_ms", -1)]
            .map(|(name, value)| (name.to_owned(), toml::Value::Integer(value)))
            .into_iter()
            .collect(),
    );
    let Err(problems) = connect(&account, &Shared::default()) else { panic!("nothing of this is valid") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "credentials.api_key",
            "credentials.api_secret",
            "credentials.jwt",
            "ws_url",
            "rest_url",
            "rest_url",
            "wallets",
            "options.sync_timeout_ms",
            "options.livenes_ms",
            "options.reconcile_ms",
        ]
    );
    assert!(problems.iter().all(|problem| !problem.message.contains("a b")));
}
