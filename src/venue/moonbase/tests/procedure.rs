//! The session against the simulator: login, snapshot, updates, time-outs, faults, settings.

use super::*;

#[test]
fn rows_are_live_only_after_the_snapshot() {
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, UPDATE]);
    let view = solo.view();
    assert!(!view.synced && view.total("BTC") == Some("2.130511"));
}

#[test]
fn every_move_arrives_exactly() {
    let mut duo = Duo::new(&VENUE);
    let text = String::from;
    let (account, wallet) = (text("moon-main"), "1000004");
    duo.moves(&Move::Deposit {
        account: account.clone(),
        wallet: wallet.into(),
        asset: "PEPE".into(),
        amount: amount("420690000000000.123456789012345678"),
    });
    duo.moves(&Move::Place {
        account: account.clone(),
        wallet: wallet.into(),
        order: "1".into(),
        spend: "VND".into(),
        amount: amount("5420000.0000007"),
    });
    duo.moves(&Move::Fill {
        account,
        wallet: wallet.into(),
        order: "1".into(),
        spend: "VND".into(),
        spent: amount("5420000.0000007"),
        gain: "BTC".into(),
        gained: amount("0.002"),
        fee: amount("0.000001"),
        price: amount("2710000000"),
        done: true,
    });
    let view = View::of(&mut duo);
    view.assert_is(duo.book());
    assert_eq!(view.total("PEPE"), Some("420690000000000.123456789012345678"));
    assert!(view.malformed.is_empty());
}

#[test]
fn an_audit_finds_what_the_stream_lost() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("lose_next_update");
    duo.moves(&set("ETH", "99", "0"));
    duo.pass(61_000);
    let view = View::of(&mut duo);
    assert!(view.resyncs.is_empty(), "an audit is no incident");
    view.assert_is(duo.book());
}

#[test]
fn a_message_that_cannot_be_read_is_counted_and_mended() {
    for fault in ["garbage", "no_data", "bad_amount"] {
        let mut duo = Duo::new(&VENUE);
        duo.fault(fault);
        duo.moves(&set("ETH", "99", "0"));
        let mut view = View::of(&mut duo);
        assert_eq!(view.malformed.len(), 1, "{fault}");
        if fault == "bad_amount" {
            assert!(!view.is_live("BTC") && view.is_live("ETH") && view.total("BTC") == Some("2.130511"));
        }
        duo.pass(61_000);
        view.read(duo.drain());
        view.assert_is(duo.book());
    }
}

#[test]
fn an_asset_that_a_snapshot_names_without_numbers_keeps_what_was_known() {
    let mut solo = Solo::seeded();
    let bad = SNAPSHOT.replace("\"free\": \"2.058586\"", "\"free\": {}").replace("105240183", "105240184");
    solo.hear(&[&bad]);
    let view = solo.view();
    assert_eq!(view.total("BTC"), Some("2.130511"));
    assert!(!view.is_live("BTC") && view.is_live("ETH"));
}

#[test]
fn unreadable_snapshots_end_the_connection_at_the_third() {
    let bad = SNAPSHOT.replace("\"gsn\"", "\"x\"");
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, &bad]);
    solo.now = solo.now.plus_ms(2_000);
    solo.hear(&[UNSUBSCRIBED, SUBSCRIBED, &bad]);
    assert!(solo.closed().is_none());
    let Solo { session, now, out, .. } = &mut solo;
    *now = now.plus_ms(2_000);
    session.on_timeout(*now, out);
    solo.hear(&[UNSUBSCRIBED, SUBSCRIBED, &bad]);
    assert_eq!(solo.code(), Some(ReasonCode::ProtocolError));
}

#[test]
fn a_subscription_the_venue_ends_is_taken_up_again() {
    let mut duo = Duo::new(&VENUE);
    duo.pass(2_000);
    duo.fault("end_subscription");
    let events = duo.drain();
    assert!(events.iter().any(|event| matches!(event, VenueEvent::Unsynced(_))));
    duo.moves(&set("ETH", "99", "0"));
    let mut view = View::default();
    view.read(events);
    view.read(duo.drain());
    view.assert_is(duo.book());
}

#[test]
fn a_step_without_an_answer_ends_the_connection() {
    let steps: [&[&str]; 3] = [&[], &[AUTHENTICATED], &[AUTHENTICATED, SUBSCRIBED]];
    for frames in steps {
        let mut solo = Solo::signed();
        solo.hear(frames);
        solo.now = solo.now.plus_ms(9_999);
        let Solo { session, now, out, .. } = &mut solo;
        session.on_timeout(*now, out);
        assert!(!out.actions.iter().any(|action| matches!(action, Action::Close(_))));
        *now = now.plus_ms(1);
        session.on_timeout(*now, out);
        assert_eq!(solo.code(), Some(ReasonCode::SyncTimeout));
        assert_eq!(solo.session.deadline(), None);
    }
}

#[test]
fn a_lost_snapshot_ends_the_connection() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("lose_next_snapshot");
    duo.pass(75_000);
    assert_eq!(duo.closed.unwrap().reason.code, ReasonCode::SyncTimeout);
}

#[test]
fn an_operators_resync_takes_a_fresh_snapshot() {
    let mut duo = Duo::new(&VENUE);
    duo.pass(2_000);
    let mut out = Out::default();
    duo.session.resync(duo.now, &mut out);
    assert!(out.actions.iter().any(|action| matches!(action, Action::Send(text) if text == UNSUB)));
}

#[test]
fn a_kicked_connection_is_over() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("kick");
    assert!(duo.closed.is_some());
}

#[test]
fn a_key_that_may_not_read_says_so() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("deny_portfolio");
    duo.pass(61_000);
    let closing = duo.closed.unwrap();
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::Credential, ReasonCode::MissingPermission));
}

#[test]
fn an_access_token_logs_in_and_its_end_is_told() {
    let now = 1_763_121_358;
    let mut duo = by_token(&token(now - 60, now + 30));
    View::of(&mut duo).assert_is(duo.book());
    duo.pass(31_000);
    let told = |event: &VenueEvent| matches!(event, VenueEvent::Duty(Some(reason)) if reason.code == ReasonCode::TokenExpired);
    assert!(duo.drain().iter().any(told));
    let duo = by_token(&token(now - 60, now - 1));
    let closing = duo.closed.unwrap();
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::Credential, ReasonCode::TokenExpired));
    let duo = by_token(&token(now - 60, now + 9)[1..]);
    assert_eq!(duo.closed.unwrap().reason.code, ReasonCode::AuthUncertain);
}

#[test]
fn a_session_the_venue_ends_is_no_silent_death() {
    let now = 1_763_121_358;
    let mut duo = by_token(&token(now - 60, now + 3_600));
    duo.fault("expire_tokens");
    assert_eq!(duo.closed.unwrap().reason.code, ReasonCode::AuthUncertain);
}

#[test]
fn new_secrets_take_a_new_connection_and_the_same_ones_do_not() {
    let mut solo = Solo::signed();
    let credentials = Credentials::plain([("api_key", "k"), ("api_secret", "s")]);
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.credentials = credentials.clone();
    solo.connector = (VENUE.connect)(&spec, &Shared::default()).unwrap();
    solo.reconnect();
    let Solo { session, now, out, .. } = &mut solo;
    session.on_credentials(*now, out);
    assert!(solo.closed().is_none());
    let secrets = [("api_key", "k"), ("api_secret", "other")];
    credentials.replace(secrets.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
    let Solo { session, now, out, .. } = &mut solo;
    session.on_credentials(*now, out);
    assert_eq!(solo.closed().unwrap().class, ErrorClass::Restart);
}

#[test]
fn every_problem_of_the_settings_is_told_at_once() {
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.credentials = Credentials::plain([("api_key", ""), ("jwt", "x")]);
    spec.wallets = vec![crate::venue::WalletSpec { address: "0x1".into(), assets: None }];
    spec.ws_url = "http://127.0.0.1".into();
    let options = [("updates", toml::Value::from("some")), ("livenes_ms", 3.into()), ("sync_timeout_ms", 0.into())];
    spec.options = Options::new(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let Err(problems) = (VENUE.connect)(&spec, &Shared::default()) else { panic!("accepted") };
    let keys: BTreeSet<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let want = [
        "credentials.api_key",
        "credentials.api_secret",
        "credentials.jwt",
        "options.livenes_ms",
        "options.sync_timeout_ms",
        "options.updates",
        "wallets",
        "ws_url",
    ];
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), want);
}

#[test]
fn several_accounts_see_only_their_own() {
    let account = |id: &str, key: &str, wallet: &str| SimAccount {
        id: id.into(),
        credentials: BTreeMap::from([("api_key".into(), key.into()), ("api_secret".into(), "s".into())]),
        book: Book { rows: BTreeMap::from([((wallet.into(), "BTC".into()), Holding::default())]) },
    };
    let setup = SimSetup { accounts: vec![account("a", "ka", "1"), account("b", "kb", "2")], seed: 1 };
    let mut sim = (VENUE.simulate)(setup);
    let (now, request) = (Now::default().plus_ms(1_000), SimRequest { path: "/ws".into(), ..SimRequest::default() });
    for (conn, key) in [(1, "ka"), (2, "kb"), (3, "kb")] {
        sim.on_connect(now, ConnId(conn), &request, &mut SimOut::default()).unwrap();
        sim.on_frame(now, ConnId(conn), &wire::signed_login(key, "s", 1, false), &mut SimOut::default());
        sim.on_frame(now, ConnId(conn), "sub portfolio", &mut SimOut::default());
    }
    let mut out = SimOut::default();
    let amount = amount("1");
    sim.on_move(now, &Move::Deposit { account: "b".into(), wallet: "2".into(), asset: "BTC".into(), amount }, &mut out)
        .unwrap();
    let told: Vec<_> = out.actions.iter().map(|a| if let SimAction::Send(conn, _) = a { conn.0 } else { 0 }).collect();
    assert_eq!(told, [2, 3]);
}

#[test]
fn every_fault_of_the_simulator_is_known_to_it() {
    let mut sim = (VENUE.simulate)(SimSetup { accounts: vec![(VENUE.sample)().account], seed: 1 });
    for (fault, what) in sim.faults() {
        assert!(!what.is_empty());
        sim.on_fault(Now::default(), fault, &mut SimOut::default()).unwrap();
    }
    assert!(sim.on_fault(Now::default(), "no such", &mut SimOut::default()).is_err());
}
