//! Liveness, listen keys, the simulator itself and the settings.

use super::*;

#[test]
fn a_deaf_connection_is_dead_within_the_bound() {
    let mut duo = live();
    duo.fault("perp_noise");
    duo.deaf = true;
    duo.sent.clear();
    duo.pass(29_999);
    assert!(duo.closed.is_none());
    assert!(duo.sent.iter().filter(|text| text.contains("ping")).count() >= 2);
    duo.pass(1);
    let closed = duo.closed.expect("dead");
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::LivenessTimeout));
}

#[test]
fn a_quiet_connection_lives_and_a_single_missing_pong_is_no_death() {
    let mut duo = live();
    for _ in 0..5 {
        duo.fault("drop_next_pong");
        duo.pass(60_000);
    }
    assert!(duo.closed.is_none());
}

#[test]
fn the_venue_hears_a_ping_every_thirty_seconds_however_busy_the_stream() {
    let mut duo = live();
    duo.sent.clear();
    for _ in 0..60 {
        duo.pass(1_000);
        duo.moves(&adjust("DF", "1"));
    }
    assert_eq!(duo.sent.iter().filter(|text| text.contains("ping")).count(), 2);
}

// ---- keys ----

#[test]
fn a_key_buys_a_listen_key_and_signs_its_requests() {
    let mut duo = Duo::new(&KEYED);
    let path = |call: &String| call.split('?').next().unwrap().to_owned();
    assert_eq!(duo.calls.iter().map(path).collect::<Vec<_>>(), ["POST /fapi/v1/listenKey", "GET /api/v1/spot/balances"]);
    assert!(duo.sent[0].contains(r#""type":"auth","listenKey":""#));
    assert_eq!(told(&mut duo), [book_line("snapshot", &duo), "synced".to_owned()]);
    duo.pass(36_000);
    assert!(told(&mut duo).iter().all(|line| line.starts_with("reconcile")));
}

#[test]
fn a_listen_key_is_renewed_before_its_hour_is_over() {
    let mut duo = Duo::with(&KEYED, |_| {}, options(&[("reconcile_ms", 0)]));
    duo.calls.clear();
    duo.pass(3_500_000);
    assert_eq!(duo.calls.len(), 1);
    assert!(duo.calls[0].starts_with("PUT /fapi/v1/listenKey"));
    duo.fault("rest_500");
    duo.pass(300_000);
    assert!(duo.calls.len() >= 4, "asked again each minute while it fails");
}

fn key_refused(alter: impl FnOnce(&mut AccountSpec), skew_ms: i64) -> (ErrorClass, ReasonCode) {
    let spec = {
        let mut spec = testkit::spec(&keyed_sample());
        alter(&mut spec);
        spec
    };
    let mut session = (VENUE.connect)(&spec, &Shared::default()).unwrap().session(1);
    let setup = crate::venue::sim::SimSetup { accounts: vec![keyed_sample().account], seed: 1 };
    let mut sim = (VENUE.simulate)(setup);
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let mut out = Out::default();
    session.on_open(now, &mut out);
    let Some(Action::Call(call)) = out.actions.pop() else { panic!("a request for a listen key") };
    let headers = call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let request = SimRequest { method: call.method.into(), path: call.path, headers, body: call.body };
    let theirs = Now { unix: UnixMs(now.unix.0 + skew_ms), ..now };
    let reply = sim.on_request(theirs, &request, &mut crate::venue::sim::SimOut::default());
    session.on_reply(now, call.id, Ok(Reply { status: reply.status, body: reply.body.as_bytes() }), &mut out);
    match out.actions.pop() {
        Some(Action::Close(closing)) => (closing.class, closing.reason.code),
        _ => panic!("it closes"),
    }
}

#[test]
fn a_wrong_secret_a_wrong_clock_and_a_wrong_path_are_told_apart() {
    let secret = |spec: &mut AccountSpec| spec.credentials = Credentials::plain([("api_key", "k"), ("api_secret", "x")]);
    assert_eq!(key_refused(secret, 0), (ErrorClass::Credential, ReasonCode::WrongKey));
    let key = |spec: &mut AccountSpec| spec.credentials = Credentials::plain([("api_key", "x"), ("api_secret", "s")]);
    assert_eq!(key_refused(key, 0), (ErrorClass::Credential, ReasonCode::WrongKey));
    assert_eq!(key_refused(|_| {}, 5_001), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
    assert_eq!(key_refused(|_| {}, -1_001), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
    let path = |spec: &mut AccountSpec| {
        let path = BTreeMap::from([("listen_key_path".to_owned(), toml::Value::String("/elsewhere".into()))]);
        spec.options = Options::new(path);
    };
    assert_eq!(key_refused(path, 0), (ErrorClass::Configuration, ReasonCode::Configuration));
}

#[test]
fn a_refused_listen_key_is_worth_another_try() {
    assert_eq!(auth::refused_login("Invalid or expired listenKey", None, UnixMs(0)).0, ErrorClass::CredentialMaybe);
}

#[test]
fn the_signature_is_hex_hmac_sha256() {
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(auth::sign("Jefe", "what do ya want for nothing?"), expected);
}

// ---- the simulator and the settings ----

// Edge case 11.
#[test]
fn an_address_in_any_case_is_the_same_user() {
    let token = sim::token(&secret(), "P99-MAIN", 1_700_000_000, OPENED_S + 1_000);
    let duo = Duo::with(&VENUE, |spec| jwt(spec, &token), BTreeMap::new());
    assert!(duo.closed.is_none());
}

#[test]
fn every_fault_of_the_simulator_is_known_to_it_and_none_ends_the_session_for_good() {
    let names: Vec<_> = Duo::new(&VENUE).sim.faults().iter().map(|(name, _)| *name).collect();
    for name in names {
        let mut duo = live();
        duo.fault(name);
        duo.moves(&fill());
        duo.pass(200_000);
        let ends = ["restart", "forget_logins"].contains(&name);
        assert_eq!(duo.closed.is_some(), ends, "{name}");
    }
    let mut duo = live();
    assert!(duo.sim.on_fault(duo.now, "no such fault", &mut crate::venue::sim::SimOut::default()).is_err());
}

#[test]
fn the_simulator_refuses_in_the_venues_words_and_keeps_the_socket_open() {
    use crate::venue::sim::{ConnId, SimAction, SimOut, SimSetup};
    let mut venue = sim::simulate(SimSetup { accounts: vec![(VENUE.sample)().account], seed: 1 });
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let connect = |path: &str| SimRequest { path: path.into(), ..SimRequest::default() };
    assert_eq!(venue.on_connect(now, ConnId(9), &connect("/ws/2"), &mut SimOut::default()).unwrap_err().status, 404);
    venue.on_connect(now, ConnId(1), &connect("/ws"), &mut SimOut::default()).unwrap();
    let inline = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S + 9);
    let inline = format!(r#"{{"type":"subscribe","channel":"spot:user:balances","token":"{inline}"}}"#);
    let expired = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S);
    let says = [
        ("nonsense", "INVALID_MESSAGE"),
        (r#"{"type":"nonsense"}"#, "INVALID_MESSAGE"),
        (r#"{"type":"subscribe","channel":"spot:nothing"}"#, "INVALID_CHANNEL"),
        (wire::SUBSCRIBE, "AUTH_REQUIRED"),
        (r#"{"type":"subscribe","channel":"spot:user:balances","token":"bad"}"#, "AUTH_REQUIRED"),
        (&wire::auth_token(&expired), "Invalid or expired token"),
        (&wire::auth_listen_key("unknown"), "Invalid or expired listenKey"),
        (r#"{"type":"auth","wallet":"0x"}"#, "Missing required fields"),
        (&inline, r#""type":"subscribed""#),
        (wire::SUBSCRIBE, r#""type":"subscribed""#),
        (r#"{"type":"unsubscribe","channel":"spot:user:balances"}"#, r#""type":"unsubscribed""#),
        (wire::PING, "pong"),
    ];
    for (text, expected) in says {
        let mut out = SimOut::default();
        venue.on_frame(now, ConnId(1), text, &mut out);
        let [SimAction::Send(ConnId(1), answer)] = out.actions.as_slice() else { panic!("one answer to {text}") };
        assert!(answer.contains(expected), "{text}: {answer}");
    }
}

#[test]
fn a_listen_key_is_one_per_user_and_gone_after_its_hour() {
    use crate::venue::sim::{SimOut, SimSetup};
    let mut venue = sim::simulate(SimSetup { accounts: vec![keyed_sample().account], seed: 1 });
    let credentials = Credentials::plain([("api_key", "k"), ("api_secret", "s")]);
    let mut ask = |method: &str, at_s: i64| {
        let now = Now { mono: Mono(1), unix: UnixMs(at_s * 1000) };
        let proven = auth::signed("/fapi/v1/listenKey".into(), &credentials, now.unix);
        let headers = proven.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let request = SimRequest { method: method.into(), path: proven.path, headers, body: String::new() };
        venue.on_request(now, &request, &mut SimOut::default())
    };
    let key = ask("POST", 0).body;
    assert_eq!(ask("POST", 3_000).body, key);
    assert_eq!(ask("PUT", 6_599).status, 200);
    assert_eq!(ask("GET", 6_600).status, 405);
    let gone = ask("PUT", 6_599 + 3_600);
    assert!(gone.status == 400 && gone.body.contains("-1125"));
    assert_ne!(ask("POST", 10_200).body, key);
    assert_eq!(ask("DELETE", 10_201).status, 200);
    assert_eq!(ask("DELETE", 10_202).status, 400);
}

#[test]
fn accounts_and_connections_do_not_hear_of_each_other() {
    use crate::venue::sim::{ConnId, SimAction, SimOut, SimSetup};
    let accounts = ["a", "b"].map(|id| sim::account(id, Book::of(&[("spot", "DF", "1", "0")])));
    let tokens = accounts.clone().map(|account| account.credentials["jwt"].clone());
    let mut venue = sim::simulate(SimSetup { accounts: accounts.into(), seed: 1 });
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let request = SimRequest { path: "/ws".into(), ..SimRequest::default() };
    for (conn, token) in [(1, &tokens[0]), (2, &tokens[0]), (3, &tokens[1])] {
        let mut out = SimOut::default();
        venue.on_connect(now, ConnId(conn), &request, &mut out).unwrap();
        venue.on_frame(now, ConnId(conn), &wire::auth_token(token), &mut out);
        venue.on_frame(now, ConnId(conn), wire::SUBSCRIBE, &mut out);
    }
    let mut out = SimOut::default();
    let set = Move::Set {
        account: "a".into(),
        wallet: "spot".into(),
        asset: "DF".into(),
        available: amount("2.50"),
        locked: amount("0"),
    };
    venue.on_move(now, &set, &mut out).unwrap();
    let heard: Vec<_> =
        out.actions.iter().filter_map(|a| if let SimAction::Send(c, t) = a { Some((c.0, t)) } else { None }).collect();
    assert_eq!(heard.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [1, 2]);
    assert!(heard[0].1.contains(r#""available":"2.5","frozen":"0""#), "no trailing zeros");
}

#[test]
fn every_wrong_setting_is_told_at_once_with_its_key() {
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.credentials = Credentials::plain([("api_key", "k\n")]);
    spec.ws_url = "http://h".into();
    spec.rest_url = "h".into();
    spec.wallets = vec![WalletSpec { address: "0x".into(), assets: None }];
    spec.options = Options::new(BTreeMap::from([
        ("liveness".to_owned(), toml::Value::Integer(5)),
        ("reconcile_ms".to_owned(), toml::Value::Integer(999)),
        ("listen_key_path".to_owned(), toml::Value::String("x".into())),
    ]));
    let Err(problems) = (VENUE.connect)(&spec, &Shared::default()) else { panic!("refused") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "credentials.api_secret",
        "credentials.api_key",
        "ws_url",
        "rest_url",
        "wallets",
        "options.liveness",
        "options.listen_key_path",
        "options.reconcile_ms",
    ];
    assert_eq!(keys, expected);
    assert!(problems[5].message.contains("liveness_ms"));
    spec.credentials = Credentials::default();
    let Err(problems) = (VENUE.connect)(&spec, &Shared::default()) else { panic!("refused") };
    assert_eq!(problems[0].key, "credentials.jwt");
}
