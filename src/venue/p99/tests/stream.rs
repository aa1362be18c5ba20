//! The way to live, and what pushes and comparisons tell.

use super::*;

#[test]
fn it_logs_in_subscribes_seeds_and_compares() {
    let mut duo = Duo::new(&VENUE);
    let types = ["auth_token", "subscribe"];
    assert!(duo.sent.iter().zip(types).all(|(sent, kind)| sent.contains(kind)) && duo.sent.len() == 2);
    assert_eq!(duo.calls, ["GET /api/v1/spot/balances"]);
    let seed = book_line("snapshot", &duo);
    assert_eq!(told(&mut duo), [seed.as_str(), "synced"]);
    assert!(seed.contains("DF 10000+100=10100") && seed.contains("USDC 0+0=0"));
    duo.pass(2_400);
    assert_eq!(told(&mut duo), [book_line("reconcile", &duo)]);
}

#[test]
fn rest_is_compared_again_and_again_but_never_in_step() {
    let mut duo = live();
    let mut moments = Vec::new();
    for _ in 0..3_000 {
        duo.pass(100);
        if told(&mut duo).iter().any(|line| line.starts_with("reconcile")) {
            moments.push(duo.now.mono);
        }
    }
    let pauses: Vec<u64> = moments.windows(2).map(|w| w[1].since_ms(w[0])).collect();
    assert!(pauses.len() >= 7 && pauses.iter().all(|pause| (23_900..=36_100).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| pause.abs_diff(pauses[0]) > 200), "{pauses:?}");
}

#[test]
fn comparing_can_be_switched_off() {
    let mut duo = settled(Duo::with(&VENUE, |_| {}, options(&[("reconcile_ms", 0)])));
    duo.pass(300_000);
    assert_eq!(duo.calls.len(), 1);
}

// Edge case 2.
#[test]
fn a_pong_that_does_not_come_is_a_reason_to_compare() {
    let mut duo = settled(Duo::with(&VENUE, |_| {}, options(&[("reconcile_ms", 0)])));
    duo.pass(60_000);
    assert_eq!(duo.calls.len(), 1, "pongs come");
    duo.fault("drop_next_pong");
    duo.fault("drop_next_push");
    duo.moves(&adjust("DF", "1"));
    told(&mut duo);
    duo.pass(30_000);
    assert_eq!(duo.calls.len(), 2);
    assert_eq!(told(&mut duo), [book_line("reconcile", &duo)]);
}

// Edge case 1.
#[test]
fn a_push_during_the_seed_is_passed_on_and_the_seed_says_when_it_was_asked() {
    let mut hand = Hand::asking();
    let asked = hand.now.mono;
    hand.now = hand.now.plus_ms(300);
    assert_eq!(hand.push("DF", "7", OPENED_S), ["rows DF 7+0=7"]);
    hand.now = hand.now.plus_ms(300);
    let (id, mut out) = (hand.call.unwrap(), Out::default());
    let body = include_bytes!("../fixtures/rest_balances_object.json");
    hand.session.on_reply(hand.now, id, Ok(Reply { status: 200, body }), &mut out);
    let sent = out.actions.iter().find_map(|action| match action {
        Action::Event(VenueEvent::Snapshot(snapshot)) => Some(snapshot.freshness),
        _ => None,
    });
    assert_eq!(sent, Some(Freshness::Asked { sent: asked }));
}

#[test]
fn nothing_is_asked_before_the_subscription_stands() {
    let mut hand = Hand::new();
    hand.hear("garbage");
    hand.hear(r#"{"type":"auth_result","success":true}"#);
    hand.hear("garbage");
    assert!(hand.call.is_none());
    hand.hear(include_str!("../fixtures/subscribed.json"));
    assert!(hand.call.is_some());
}

#[test]
fn a_dropped_acknowledgement_is_asked_for_once_more() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("unsubscribe_all");
    assert_eq!(duo.sent.iter().filter(|text| text.contains("subscribe")).count(), 2);
    duo.pass(5_000);
    duo.drain();
    duo.fault("drop_next_ack");
    duo.fault("unsubscribe_all");
    assert_eq!(told(&mut duo), ["resynced unsubscribed", "syncing subscribe_refused"]);
    duo.pass(5_000);
    assert_eq!(told(&mut duo)[..2], [book_line("snapshot", &duo), "synced".to_owned()]);
}

#[test]
fn a_venue_that_never_acknowledges_is_left() {
    let mut hand = Hand::new();
    hand.hear(r#"{"type":"auth_result","success":true}"#);
    let (after, _) = hand.until_call(60_000);
    let closed = hand.closed.expect("it closes");
    assert_eq!((after, closed.class, closed.reason.code), (10_000, ErrorClass::Transient, ReasonCode::SyncTimeout));
    assert_eq!(hand.session.deadline(), None);
}

// ---- pushes ----

// Edge case 2.
#[test]
fn a_deposit_is_never_pushed_and_found_by_the_next_comparison() {
    let mut duo = live();
    duo.moves(&deposit("BNB", "0.000000000000000001"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    let told = told(&mut duo);
    assert_eq!(told, [book_line("reconcile", &duo)]);
    assert!(told[0].contains("BNB 3.141592653589793239+0"));
}

#[test]
fn a_withdrawal_is_never_pushed() {
    let mut duo = live();
    let (account, wallet, asset, amount): (String, Name, Name, Amount) =
        ("p99-main".into(), "spot".into(), "DF".into(), amount("5"));
    let (w, a, n) = (wallet.clone(), asset.clone(), amount.clone());
    duo.moves(&Move::WithdrawRequest { account: account.clone(), wallet: w, asset: a, amount: n });
    duo.moves(&Move::WithdrawDone { account, wallet, asset, amount });
    assert_eq!(told(&mut duo), [""; 0]);
}

#[test]
fn a_dropped_push_is_found_by_the_next_comparison() {
    let mut duo = live();
    duo.fault("drop_next_push");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("DF 10001+100=10101"));
}

#[test]
fn a_silent_refund_is_found_by_the_next_comparison() {
    let mut duo = live();
    duo.fault("silent_cancel");
    duo.moves(&cancel("USDT", "1200.5"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("USDT 26201.25+0=26201.25"));
}

#[test]
fn an_order_pushes_the_token_it_freezes() {
    let mut duo = live();
    duo.moves(&place("USDT", "0.75"));
    duo.moves(&cancel("USDT", "0.75"));
    assert_eq!(told(&mut duo), ["rows USDT 25000+1201.25=26201.25", "rows USDT 25000.75+1200.5=26201.25"]);
    duo.moves(&adjust("DF", "-1"));
    assert_eq!(told(&mut duo), ["rows DF 9999+100=10099"]);
}

// Edge case 3.
#[test]
fn a_bare_list_is_as_good_as_the_object() {
    let mut duo = live();
    duo.fault("rest_array");
    duo.pass(36_000);
    assert_eq!(told(&mut duo), [book_line("reconcile", &duo)]);
}

// Edge case 4.
#[test]
fn a_token_at_zero_is_told_and_the_list_claims_to_be_whole() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    let (id, mut out) = (hand.call.unwrap(), Out::default());
    let body = br#"{"balances":[{"token":"DF","available":"0","frozen":"0"}]}"#;
    hand.session.on_reply(hand.now, id, Ok(Reply { status: 200, body }), &mut out);
    let Some(Action::Event(VenueEvent::Reconcile(reconcile))) = out.actions.first() else { panic!("a comparison") };
    assert_eq!(reconcile.absence, crate::model::Absence::Zero);
    assert_eq!(reconcile.scope, crate::model::Scope::Account);
    assert_eq!(row_line(&reconcile.rows[0]), "DF 0+0=0");
}

// Edge case 5.
#[test]
fn the_same_push_twice_says_the_same_twice() {
    let mut duo = live();
    duo.fault("repeat_push");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), ["rows DF 10001+100=10101"; 2]);
}

// Edge case 6.
#[test]
fn equal_time_stamps_apply_in_order_of_arrival() {
    let mut hand = Hand::live();
    assert_eq!(hand.push("DF", "1", OPENED_S), ["rows DF 1+0=1"]);
    assert_eq!(hand.push("DF", "2", OPENED_S), ["rows DF 2+0=2"]);
}

// Edge case 6.
#[test]
fn a_lower_time_stamp_is_not_applied_but_asked_about() {
    let mut duo = live();
    duo.moves(&adjust("DF", "1"));
    duo.drain();
    duo.fault("lower_ts");
    duo.moves(&adjust("DF", "1"));
    let reconcile = book_line("reconcile", &duo);
    assert_eq!(told(&mut duo), ["unproven DF", &reconcile]);
    assert!(reconcile.contains("DF 10002"));
}

#[test]
fn each_token_has_its_own_time() {
    let mut hand = Hand::live();
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("USDT", "1", OPENED_S - 60), ["rows USDT 1+0=1"]);
}

#[test]
fn after_rest_has_settled_a_doubt_the_new_time_counts() {
    let mut hand = Hand::live();
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("DF", "2", OPENED_S - 60), ["unproven DF"]);
    hand.until_call(2_000);
    hand.answer(200, r#"{"balances":[{"token":"DF","available":"2.0","frozen":"0"}]}"#);
    assert_eq!(hand.push("DF", "3", OPENED_S - 59), ["rows DF 3+0=3"], "REST says what the push said: the clock stepped back");
}

#[test]
fn a_late_push_begins_no_new_count_of_times() {
    let mut hand = Hand::live();
    hand.push("DF", "2", OPENED_S);
    for late in [OPENED_S - 60, OPENED_S - 30] {
        assert_eq!(hand.push("DF", "1", late), ["unproven DF"]);
        hand.until_call(2_000);
        hand.answer(200, r#"{"balances":[{"token":"DF","available":"2","frozen":"0"}]}"#);
    }
    assert_eq!(hand.push("DF", "3", OPENED_S), ["rows DF 3+0=3"]);
}

// Edge case 6.
#[test]
fn a_push_of_the_old_count_shows_that_it_goes_on() {
    let mut hand = Hand::live();
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("DF", "2", OPENED_S - 60), ["unproven DF"]);
    hand.until_call(2_000);
    hand.push("DF", "3", OPENED_S + 1);
    hand.push("DF", "4", OPENED_S + 2);
    // As of a moment when the one that was not applied was the newest.
    hand.answer(200, r#"{"balances":[{"token":"DF","available":"2","frozen":"0"}]}"#);
    assert_eq!(hand.push("DF", "3", OPENED_S + 1), ["unproven DF"], "a late one");
}

#[test]
fn an_answer_asked_before_the_doubt_does_not_settle_it() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("DF", "2", OPENED_S - 60), ["unproven DF"]);
    let told = hand.answer(200, include_str!("../fixtures/rest_balances_object.json"));
    assert_eq!((told.len(), told[1].as_str()), (2, "unproven DF"));
    let (after, _) = hand.until_call(10_000);
    assert!(after <= 2_000, "{after}");
    assert_eq!(hand.answer(200, include_str!("../fixtures/rest_balances_object.json")).len(), 1);
}

// Edge case 7.
#[test]
fn the_two_pushes_of_a_fill_come_in_any_order() {
    let mut duo = live();
    duo.moves(&fill());
    let (df, usdt) = ("rows DF 10030+100=10130", "rows USDT 25000.75+1185.5=26186.25");
    assert_eq!(told(&mut duo), [df, usdt]);
    let mut duo = live();
    duo.fault("swap_fill_order");
    duo.moves(&fill());
    assert_eq!(told(&mut duo), [usdt, df]);
}

// Edge case 12.
#[test]
fn what_belongs_to_other_products_is_ignored() {
    let mut duo = live();
    duo.fault("perp_noise");
    assert_eq!(told(&mut duo), [""; 0]);
    assert!(duo.closed.is_none());
}

#[test]
fn what_cannot_be_read_is_counted_and_the_stream_goes_on() {
    let mut duo = live();
    duo.pass(20_000);
    duo.drain();
    duo.fault("garbage");
    assert_eq!(told(&mut duo)[0], "malformed");
    duo.moves(&adjust("DF", "1"));
    assert!(told(&mut duo).contains(&"rows DF 10001+100=10101".to_owned()));
}

#[test]
fn a_flood_of_garbage_does_not_eat_the_hosts_budget() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.answer(200, "[]");
    hand.until_call(100_000);
    hand.answer(200, "[]");
    let mut calls = 0;
    for _ in 0..190 {
        hand.now = hand.now.plus_ms(100);
        hand.hear("garbage");
        if hand.call.is_some() {
            calls += 1;
            hand.answer(200, "[]");
        }
    }
    assert_eq!(calls, 1, "in 19 s");
}

#[test]
fn a_push_without_an_amount_puts_its_token_in_doubt() {
    let mut duo = live();
    duo.fault("cut_push");
    duo.moves(&adjust("DF", "1"));
    let reconcile = book_line("reconcile", &duo);
    assert_eq!(told(&mut duo), ["malformed", "unproven DF", &reconcile]);
}

#[test]
fn a_push_without_a_token_puts_everything_in_doubt() {
    let mut duo = live();
    duo.hear(r#"{"type":"spot_user_balance","channel":"spot:user:balances","data":{"available":"1"}}"#);
    let seed = book_line("snapshot", &duo);
    let expected = ["malformed", "resynced unreadable_push", "syncing protocol_error", &seed, "synced", "duty fine"];
    assert_eq!(told(&mut duo), expected);
}
