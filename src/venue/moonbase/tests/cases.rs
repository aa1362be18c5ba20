//! The edge cases of this venue, numbered as in `docs/venues.md`.

use super::*;

#[test]
fn case_1_an_omitted_asset_is_doubted_until_a_snapshot_settles_it() {
    let mut solo = Solo::seeded();
    solo.hear(&[UPDATE]); // the manual's own: ETH is not in it
    assert_eq!(solo.sent().last(), Some(&UNSUB));
    let view = solo.view();
    assert_eq!(view.total("ETH"), Some("15.5"));
    assert!(!view.is_live("ETH") && view.is_live("VND") && view.is_live("BTC"));
    assert_eq!(view.resyncs, ["omitted_asset"]);
}

#[test]
fn case_1_an_asset_that_left_a_full_list_becomes_zero() {
    let mut duo = Duo::new(&VENUE);
    duo.moves(&set("ETH", "0", "0"));
    let view = View::of(&mut duo);
    assert_eq!(view.total("ETH"), Some("0"));
    assert_eq!(snapshots_asked(&duo), 1);
    view.assert_is(duo.book());
}

#[test]
fn case_1_partial_updates_are_recognized_after_two_proofs_and_remembered() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("updates_partial");
    for size in ["16", "17", "18", "19"] {
        duo.moves(&set("ETH", size, "0"));
        duo.pass(1_500);
    }
    assert_eq!(snapshots_asked(&duo), 2);
    View::of(&mut duo).assert_is(duo.book());
    // Another connection of the same account has nothing to find out.
    let mut next = duo.connector.session(2);
    let mut out = Out::default();
    next.on_open(duo.now, &mut out);
    for text in [AUTHENTICATED, SUBSCRIBED, SNAPSHOT, UPDATE] {
        next.on_frame(duo.now, Frame::Text(text), &mut out);
    }
    assert!(!out.actions.iter().any(|action| matches!(action, Action::Event(VenueEvent::Unproven { .. }))));
}

#[test]
fn case_1_an_asset_that_vanishes_in_silence_is_found_by_the_audit_and_trust_is_lost() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("updates_silent");
    for size in ["16", "17", "18"] {
        duo.moves(&set("ETH", size, "0"));
        duo.pass(1_500);
    }
    duo.moves(&set("SOL", "0", "0"));
    assert_eq!(snapshots_asked(&duo), 2, "believed to be partial by now");
    duo.pass(61_000);
    let view = View::of(&mut duo);
    assert_eq!(view.total("SOL"), Some("0"));
    view.assert_is(duo.book());
    let before = snapshots_asked(&duo);
    duo.moves(&set("ETH", "20", "0"));
    assert_eq!(snapshots_asked(&duo), before + 1, "omissions are doubted again");
}

#[test]
fn case_1_each_lost_trust_takes_twice_the_proof() {
    use crate::venue::moonbase::held::{Habit, Settled};
    let kept = Settled { kept: 1, ..Settled::default() };
    for lost in [Settled { gone: 1, ..Settled::default() }, Settled { untold: 1, ..Settled::default() }] {
        let mut habit = Habit::default();
        for needed in [2, 4, 8] {
            for _ in 0..needed {
                assert!(!habit.is_partial());
                habit.learn(&kept);
            }
            assert!(habit.is_partial());
            habit.learn(&lost);
        }
    }
}

#[test]
fn case_1_many_omissions_ask_for_one_snapshot_a_second() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("updates_partial");
    for step in 0..20 {
        duo.moves(&set(if step % 2 == 0 { "ETH" } else { "BTC" }, &format!("{}", 20 + step), "0"));
        duo.pass(10);
    }
    assert_eq!(snapshots_asked(&duo), 1);
    duo.pass(1_000);
    assert_eq!(snapshots_asked(&duo), 2);
    View::of(&mut duo).assert_is(duo.book());
}

#[test]
fn case_1_the_policy_can_be_chosen() {
    let mut duo = updates("full");
    duo.moves(&set("ETH", "0", "0"));
    assert_eq!(snapshots_asked(&duo), 0);
    View::of(&mut duo).assert_is(duo.book());
    let mut duo = updates("partial");
    duo.fault("updates_partial");
    duo.moves(&set("ETH", "1", "0"));
    assert_eq!(snapshots_asked(&duo), 0);
    View::of(&mut duo).assert_is(duo.book());
}

#[test]
fn case_1_a_full_list_of_one_account_says_nothing_of_another() {
    let mut solo = Solo::new(&[("api_key", "k"), ("api_secret", "s")]);
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.options = Options::new(BTreeMap::from([("updates".to_owned(), "full".into())]));
    solo.connector = (VENUE.connect)(&spec, &Shared::default()).unwrap();
    let other = UPDATE.replace("1000004", "1000099");
    solo.reconnect().hear(&[AUTHENTICATED, SUBSCRIBED, SNAPSHOT, &other]);
    let view = solo.view();
    assert_eq!(view.total("ETH"), Some("15.5"));
    assert!(view.rows.contains_key(&("1000099".into(), "BTC".into())));
}

#[test]
fn case_2_a_repeated_or_older_message_is_not_applied_but_counted() {
    for (fault, what) in [("repeat_update", "portfolio: gsn: repeated"), ("gsn_back", "portfolio: gsn: stepped back")] {
        let mut duo = Duo::new(&VENUE);
        duo.moves(&set("ETH", "16", "0"));
        duo.fault(fault);
        let view = View::of(&mut duo);
        assert_eq!(view.malformed, [what]);
        assert_eq!(snapshots_asked(&duo), 1);
        view.assert_is(duo.book());
    }
    let mut solo = Solo::seeded();
    let old = UPDATE.replace("105240184", "105240100").replace("850202477", "1");
    solo.hear(&[&old]);
    let view = solo.view();
    assert_eq!(view.total("VND"), Some("850102477.1110636"));
    assert!(!view.is_live("VND"));
    assert!(
        !view.is_live("ETH"),
        "where updates list all that is held, one after a restart of the count may say that it is gone"
    );
}

#[test]
fn case_2_a_gap_in_contiguous_numbers_asks_for_a_snapshot() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("updates_partial");
    for step in 0..10 {
        duo.moves(&set("ETH", &format!("{}", 20 + step), "0"));
        duo.pass(1_500);
    }
    let mut view = View::of(&mut duo);
    let before = snapshots_asked(&duo);
    duo.fault("lose_next_update");
    duo.moves(&set("BTC", "9", "0"));
    duo.pass(1_500);
    duo.moves(&set("ETH", "99", "0"));
    assert_eq!(snapshots_asked(&duo), before + 1);
    let events = duo.drain();
    assert!(events.iter().any(|event| matches!(event, VenueEvent::Unsynced(_))), "not proven in between");
    view.read(events);
    assert_eq!(view.resyncs.last(), Some(&"gsn_gap"));
    view.assert_is(duo.book());
}

#[test]
fn case_2_a_global_number_switches_gap_detection_off() {
    let mut duo = updates("partial");
    duo.fault("gsn_global");
    for step in 0..22 {
        duo.moves(&set("ETH", &format!("{}", 20 + step), "0"));
        duo.pass(1_000);
    }
    assert_eq!(snapshots_asked(&duo), 0);
    View::of(&mut duo).assert_is(duo.book());
}

#[test]
fn case_2_numbers_that_turn_out_global_stop_being_gaps() {
    use crate::venue::moonbase::sequence::{Sequence, Step};
    let mut sequence = Sequence::default();
    sequence.restart(100);
    let steps: Vec<_> = (101..=108).map(|gsn| sequence.step(gsn)).collect();
    assert!(steps.iter().all(|step| *step == Step::Onward));
    assert_eq!(sequence.step(110), Step::Gap);
    assert_eq!(sequence.step(113), Step::Gap);
    assert_eq!([115, 118, 119, 125].map(|gsn| sequence.step(gsn)), [Step::Onward; 4]);
    assert_eq!((sequence.step(125), sequence.step(124)), (Step::Repeat, Step::Back));
}

#[test]
fn case_2_numbers_that_skip_at_first_are_never_taken_for_contiguous() {
    use crate::venue::moonbase::sequence::{Sequence, Step};
    let mut sequence = Sequence::default();
    sequence.restart(100);
    for gsn in [102, 104, 107].into_iter().chain(108..=140).chain([150]) {
        assert_eq!(sequence.step(gsn), Step::Onward);
    }
}

#[test]
fn case_3_a_lower_gsn_after_a_reconnect_is_accepted() {
    let mut solo = Solo::seeded();
    let low = SNAPSHOT.replace("105240183", "7");
    solo.reconnect().hear(&[AUTHENTICATED, SUBSCRIBED, &low]);
    assert!(solo.closed().is_none());
    let view = solo.view();
    assert!(view.is_live("BTC") && view.malformed.is_empty());
}

#[test]
fn case_3_a_snapshot_older_than_an_update_is_believed_when_said_twice() {
    let mut duo = Duo::new(&VENUE);
    duo.moves(&set("ETH", "16", "0"));
    duo.fault("gsn_restart");
    duo.session.resync(duo.now, &mut Out::default());
    let mut out = Out::default();
    duo.session.on_frame(duo.now, Frame::Text(UNSUBSCRIBED), &mut out);
    duo.hear(SUBSCRIBED);
    duo.hear(&SNAPSHOT.replace("105240183", "1"));
    let mut view = View::of(&mut duo);
    assert!(!view.synced);
    duo.pass(1_500);
    view.read(duo.drain());
    view.assert_is(duo.book());
}

#[test]
fn case_4_nanoseconds_never_pass_through_a_float() {
    let text = SNAPSHOT.replace("1763121358960696000", "1763121358999999999");
    assert_eq!(portfolio(&text).at, UnixMs(1_763_121_358_999));
}

#[test]
fn case_5_an_update_of_statistics_alone_changes_no_balance_and_proves_life() {
    let mut duo = Duo::new(&VENUE);
    let mut view = View::of(&mut duo);
    let before = view.rows.clone();
    duo.fault("stats_only");
    let events = duo.drain();
    assert!(events.iter().any(|event| matches!(event, VenueEvent::Alive)));
    view.read(events);
    assert_eq!(view.rows, before);
    assert_eq!(view.facts.len(), 2, "fees and statistics at first, then new statistics");
    assert!(view.facts[1].stats.as_ref().unwrap().get().contains("\"total_orders\":\"47\""));
    assert_eq!(snapshots_asked(&duo), 0);
}

#[test]
fn case_6_a_sum_that_does_not_hold_is_told_and_not_repaired() {
    let text = SNAPSHOT.replace("\"balance\": \"2.130511\"", "\"balance\": \"2.1305110000000000000000000000000000001\"");
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, &text]);
    let view = solo.view();
    assert_eq!(view.malformed, ["portfolio: data[0].asset_balances[1]: balance is not free + locked"]);
    assert_eq!(view.total("BTC"), Some("2.1305110000000000000000000000000000001"));
    assert!(view.is_live("BTC"));
}

#[test]
fn case_6_the_simulators_wrong_sum_arrives_as_it_was_said() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("wrong_sum");
    duo.moves(&set("ETH", "16", "0"));
    let view = View::of(&mut duo);
    assert_eq!(view.total("BTC"), Some("92.130511"));
    assert_eq!(view.malformed.len(), 1);
}

#[test]
fn case_7_amounts_in_vnd_are_exact_beyond_a_float() {
    let read = |free: &str| {
        let mut solo = Solo::signed();
        let text = SNAPSHOT.replace("850102477.1110636", "99850102477.1110637").replace("724006849.6121439", free);
        solo.hear(&[AUTHENTICATED, SUBSCRIBED, &text]);
        solo.view()
    };
    let exact = read("99724006849.6121440");
    assert_eq!(exact.total("VND"), Some("99850102477.1110637"));
    assert!(exact.malformed.is_empty());
    // A double holds these to five decimals and would call the sums equal.
    assert_eq!(read("99724006849.6121439").malformed.len(), 1);
}

#[test]
fn case_8_a_snapshot_without_an_account_is_not_believed_at_once() {
    let mut duo = Duo::new(&VENUE);
    let mut view = View::of(&mut duo);
    duo.pass(1_500);
    duo.fault("empty_snapshot");
    duo.fault("error_frame"); // asks for a snapshot
    view.read(duo.drain());
    assert_eq!(view.total("BTC"), Some("2.130511"), "unknown is never zero");
    assert!(!view.synced);
    duo.pass(1_500);
    view.read(duo.drain());
    view.assert_is(duo.book());
}

#[test]
fn case_8_a_snapshot_without_an_account_is_believed_when_nothing_else_is_said_for_long() {
    let empty = r#"{"channel":"portfolio","type":"snapshot","data":[],"timestamp":"1763121358960696000","gsn":1}"#;
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, empty]);
    for _ in 0..9 {
        assert_eq!(solo.sent().last(), Some(&UNSUB));
        solo.hear(&[UNSUBSCRIBED, SUBSCRIBED, empty]);
        assert!(!solo.view().synced, "it may be a fault of the moment");
        solo.pass(1_050);
    }
    solo.pass(1_050);
    solo.hear(&[UNSUBSCRIBED, SUBSCRIBED, empty]);
    let view = solo.view();
    assert!(view.synced && view.rows.is_empty());
}

#[test]
fn case_8_an_update_of_an_account_contradicts_that_there_is_none() {
    let empty = r#"{"channel":"portfolio","type":"snapshot","data":[],"timestamp":"1763121358960696000","gsn":1}"#;
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, empty]);
    solo.pass(9_000);
    solo.hear(&[UPDATE, UNSUBSCRIBED]);
    solo.pass(1_500);
    solo.hear(&[SUBSCRIBED, empty]);
    assert!(!solo.view().synced);
}

#[test]
fn case_8_a_snapshot_without_an_account_that_came_twice_is_one_statement() {
    let empty = r#"{"channel":"portfolio","type":"snapshot","data":[],"timestamp":"1763121358960696000","gsn":1}"#;
    let mut duo = Duo::new(&VENUE);
    let mut view = View::of(&mut duo);
    duo.hear(empty);
    duo.hear(empty);
    view.read(duo.drain());
    assert_eq!(view.total("BTC"), Some("2.130511"), "unknown is never zero");
    duo.pass(1_500);
    view.read(duo.drain());
    view.assert_is(duo.book());
}

#[test]
fn case_8_two_accounts_are_two_wallets() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("two_accounts");
    duo.moves(&set("ETH", "16", "0"));
    View::of(&mut duo).assert_is(duo.book());
    let twice = SNAPSHOT.replacen(r#""data": ["#, &format!(r#""data": [{},"#, ACCOUNT_99), 1);
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, &twice]);
    let view = solo.view();
    assert_eq!(view.rows[&("1000099".into(), "BTC".into())][0], Some(amount("7")));
    assert_eq!(view.total("BTC"), Some("2.130511"));
}

const ACCOUNT_99: &str = r#"{"id":"1000099","maker_fee_rate":"0","taker_fee_rate":"0","stats":{},
    "asset_balances":[{"asset":"BTC","balance":"7","free":"7","locked":"0"}]}"#;

#[test]
fn case_8_an_account_that_holds_nothing_is_live_and_empty() {
    let empty = ACCOUNT_99.replace(r#"{"asset":"BTC","balance":"7","free":"7","locked":"0"}"#, "");
    let text =
        format!(r#"{{"gsn":3,"timestamp":"1763121358960696000","data":[{empty}],"type":"snapshot","channel":"portfolio"}}"#);
    let mut solo = Solo::signed();
    solo.hear(&[AUTHENTICATED, SUBSCRIBED, &text]);
    let view = solo.view();
    assert!(view.synced && view.rows.is_empty() && view.malformed.is_empty());
}

#[test]
fn case_9_the_greeting_answers_nothing() {
    let mut solo = Solo::signed();
    solo.hear(&[GREETING]);
    assert_eq!(solo.sent().len(), 1, "the login, and no subscription before it is accepted");
    solo.hear(&[AUTHENTICATED, GREETING]);
    assert_eq!(solo.sent().len(), 2);
    assert!(!solo.view().synced);
}

#[test]
fn case_10_the_eleventh_connection_of_a_minute_is_refused_and_waits_a_minute() {
    let sample = (VENUE.sample)();
    let mut sim = (VENUE.simulate)(SimSetup { accounts: vec![sample.account], seed: 1 });
    let request = SimRequest { method: "GET".into(), path: "/ws".into(), ..SimRequest::default() };
    let now = Now::default().plus_ms(1_000_000);
    for conn in 0..10 {
        sim.on_connect(now, ConnId(conn), &request, &mut SimOut::default()).unwrap();
        sim.on_disconnect(now, ConnId(conn));
    }
    let refused = sim.on_connect(now.plus_ms(59_999), ConnId(11), &request, &mut SimOut::default()).unwrap_err();
    assert_eq!(refused.status, 429);
    let closing = Solo::signed().connector.refused(429).unwrap();
    assert_eq!(closing.class, ErrorClass::RateLimited { wait_ms: 60_000 });
    sim.on_connect(now.plus_ms(60_000), ConnId(12), &request, &mut SimOut::default()).unwrap();
    let limits = VENUE.limits;
    assert!(limits.connects.count <= 10 && limits.connects.per_ms > 60_000 && limits.open <= 10);
}

#[test]
fn case_10_ten_connections_at_once_are_the_most() {
    let mut sim = (VENUE.simulate)(SimSetup::default());
    let request = SimRequest { path: "/ws".into(), ..SimRequest::default() };
    for conn in 0..10 {
        let now = Now::default().plus_ms(1_000_000 + conn * 61_000);
        sim.on_connect(now, ConnId(conn), &request, &mut SimOut::default()).unwrap();
    }
    let now = Now::default().plus_ms(10_000_000);
    assert_eq!(sim.on_connect(now, ConnId(10), &request, &mut SimOut::default()).unwrap_err().status, 429);
}

#[test]
fn case_11_a_refused_key_names_both_possible_reasons() {
    let mut solo = Solo::signed();
    solo.hear(&[REFUSED]);
    let closing = solo.closed().unwrap();
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain));
    assert!(closing.reason.text.contains("secret") && closing.reason.text.contains("clock"));
}

#[test]
fn case_11_a_clock_that_was_set_wrong_is_told_from_a_wrong_key() {
    let mut solo = Solo::seeded();
    solo.hear(&[UPDATE]);
    // An hour passes; the machine's clock says it was two.
    solo.now = solo.now.plus_ms(3_600_000);
    solo.now.unix.0 += 3_600_000;
    solo.reconnect().hear(&[REFUSED]);
    assert_eq!(solo.code(), Some(ReasonCode::ClockSkew));
    assert_eq!(solo.closed().unwrap().class, ErrorClass::CredentialMaybe);
    solo.now.unix.0 -= 3_600_000;
    solo.reconnect().hear(&[REFUSED]);
    assert_eq!(solo.code(), Some(ReasonCode::WrongKey));
    assert_eq!(solo.closed().unwrap().class, ErrorClass::Credential);
}

#[test]
fn case_11_the_other_form_of_the_timestamp_is_tried_after_a_refusal() {
    let mut solo = Solo::signed();
    assert!(solo.sent()[0].contains(r#""timestamp":1763121360,"#));
    solo.hear(&[REFUSED]).reconnect();
    assert!(solo.sent()[0].contains(r#""timestamp":"1763121360","#));
    // What was accepted once stays.
    solo.hear(&[AUTHENTICATED, REFUSED]).reconnect();
    assert!(solo.sent()[0].contains(r#""timestamp":"1763121360","#));
}

#[test]
fn case_11_the_simulator_refuses_a_clock_that_is_off_and_takes_both_forms() {
    let sample = (VENUE.sample)();
    let mut sim = (VENUE.simulate)(SimSetup { accounts: vec![sample.account], seed: 1 });
    let request = SimRequest { path: "/ws".into(), ..SimRequest::default() };
    let now = Now { unix: UnixMs(1_763_121_360_000), ..Now::default().plus_ms(1_000) };
    sim.on_connect(now, ConnId(1), &request, &mut SimOut::default()).unwrap();
    let mut accepts = |secret: &str, seconds: i64, as_text: bool| {
        let mut out = SimOut::default();
        sim.on_frame(now, ConnId(1), &wire::signed_login("moonbase-sample-key", secret, seconds, as_text), &mut out);
        matches!(&out.actions[..], [SimAction::Send(_, text)] if text.contains("authenticated"))
    };
    let secret = "moonbase-sample-secret";
    assert!(accepts(secret, 1_763_121_330, false) && accepts(secret, 1_763_121_390, true));
    assert!(!accepts(secret, 1_763_121_329, false) && !accepts(secret, 1_763_121_391, false));
    assert!(!accepts("wrong", 1_763_121_360, false));
}

#[test]
fn case_12_a_quiet_account_lives_by_pongs() {
    let mut duo = with(&[("reconcile_ms", 0.into())]);
    duo.pass(3_600_000);
    assert!(duo.closed.is_none());
    assert!(duo.drain().iter().any(|event| matches!(event, VenueEvent::Alive)));
    duo.deaf = true;
    duo.pass(VENUE.liveness_bound_ms);
    assert_eq!(duo.closed.unwrap().reason.code, ReasonCode::LivenessTimeout);
}

#[test]
fn case_12_a_stream_that_fell_silent_is_found_by_the_audit() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("silence");
    duo.pass(75_000);
    assert!(duo.drain().iter().any(|event| matches!(event, VenueEvent::Unsynced(_))), "unproven before it is given up");
    assert_eq!(duo.closed.unwrap().reason.code, ReasonCode::SyncTimeout);
}

#[test]
fn case_13_the_bare_secret_is_never_sent() {
    let mut duo = Duo::new(&VENUE);
    duo.pass(200_000);
    assert!(duo.calls.is_empty());
    assert!(duo.sent.iter().all(|text| !text.contains("moonbase-sample-secret")));
}

#[test]
fn case_13_the_simulators_rest_answers_as_the_stream_does() {
    let mut duo = Duo::new(&VENUE);
    let headers = [("nova-key", "moonbase-sample-key"), ("nova-secret", "moonbase-sample-secret")];
    let headers = BTreeMap::from(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut request = SimRequest { method: "GET".into(), path: "/accounts/1000004".into(), headers, body: String::new() };
    let reply = duo.sim.on_request(duo.now, &request, &mut SimOut::default());
    assert_eq!(reply.status, 200);
    let inner = reply.body.strip_prefix(r#"{"account":"#).and_then(|text| text.strip_suffix('}')).unwrap();
    assert!(duo.heard.last().unwrap().contains(inner));
    request.path = "/accounts/1000005".into();
    assert_eq!(duo.sim.on_request(duo.now, &request, &mut SimOut::default()).status, 403);
    request.headers.insert("nova-secret".into(), "wrong".into());
    assert_eq!(duo.sim.on_request(duo.now, &request, &mut SimOut::default()).status, 401);
}

#[test]
fn case_14_errors_are_matched_by_channel_and_state() {
    let after = |frames: &[&str]| {
        let mut solo = Solo::signed();
        solo.hear(frames);
        solo.code()
    };
    let coded = include_str!("../fixtures/error_coded.json");
    let flat = include_str!("../fixtures/error_flat.json");
    let busy = r#"{"channel":"portfolio","type":"error","message":"busy","code":503}"#;
    let foreign = r#"{"channel":"orders","type":"error","message":"no","code":401}"#;
    let limit = r#"{"error":{"code":429,"message":"slow down"}}"#;
    assert_eq!(after(&[coded]), Some(ReasonCode::AuthUncertain));
    assert_eq!(after(&[limit]), Some(ReasonCode::RateLimited));
    assert_eq!(after(&[r#"{"channel":"auth","type":"error","code":503}"#]), Some(ReasonCode::ConnectFailed));
    assert_eq!(after(&[AUTHENTICATED, flat]), Some(ReasonCode::MissingPermission));
    assert_eq!(after(&[AUTHENTICATED, busy]), Some(ReasonCode::SubscribeRefused));
    assert_eq!(after(&[AUTHENTICATED, foreign]), None);
    assert_eq!(after(&[AUTHENTICATED, SUBSCRIBED, SNAPSHOT, flat]), None);
    assert_eq!(after(&[AUTHENTICATED, SUBSCRIBED, SNAPSHOT, busy]), None);
    assert_eq!(after(&[AUTHENTICATED, SUBSCRIBED, SNAPSHOT, REFUSED]), Some(ReasonCode::AuthUncertain));
}

#[test]
fn case_14_an_error_in_answer_to_unsub_does_not_stop_the_refresh() {
    let mut solo = Solo::seeded();
    let Solo { session, now, out, .. } = &mut solo;
    session.resync(*now, out);
    solo.hear(&[r#"{"channel":"portfolio","type":"error","message":"not subscribed","code":400}"#]);
    assert_eq!(solo.sent().last(), Some(&wire::SUBSCRIBE));
    assert!(solo.closed().is_none());
}
