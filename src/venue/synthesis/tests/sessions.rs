//! What a session does with orders, lists in parts, unreadable content, silence and operators.

use super::*;

#[test]
fn only_filled_canceled_and_failed_are_final() {
    let mut lone = Lone::new(&[FIRST]);
    let statuses = ["OPEN", "ACTIVE", "MATCHED", "PARTIAL", "FILLED", "TRIGGERED", "CANCELED", "FAILED", "SETTLING"];
    let last = statuses.map(|status| {
        let events = lone.hear(&fixture!("order").replace("PARTIAL", status));
        let [VenueEvent::Orders(orders)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(orders[0].status, status);
        orders[0].is_final
    });
    assert_eq!(last, [false, false, false, false, true, false, true, true, false]);
}

#[test]
fn an_order_without_filled_is_unknown_not_zero() {
    let mut lone = Lone::new(&[FIRST]);
    assert_eq!(briefs(&lone.hear(&fixture!("order").replace("\"15.384\"", "null"))), ["orders: PARTIAL ?"]);
}

#[test]
fn a_canceled_order_frees_funds_without_a_balance_push() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.moves(&place(TOKEN, "5"));
    duo.drain();
    let (account, wallet, order, spend) = ("syn-main".into(), FIRST.into(), "0xo1".into(), TOKEN.into());
    duo.moves(&Move::Cancel { account, wallet, order, spend, amount: amount("5") });
    assert_eq!(briefs(&duo.drain()), ["orders: CANCELED 0"]);
}

#[test]
fn parts_sync_only_when_every_wallet_was_listed() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("snapshot_in_parts");
    duo.fault("unsubscribe");
    assert!(!briefs(&duo.drain()).contains(&"synced".to_owned()));
    duo.pass(399);
    assert!(!briefs(&duo.drain()).contains(&"synced".to_owned()));
    duo.pass(1);
    let last = duo.drain();
    assert_eq!(briefs(&last)[1..], ["synced", "duty well"]);
}

#[test]
fn a_wallet_that_one_list_leaves_out_is_missing_and_one_that_two_leave_out_is_empty() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    let first = listing(&[(FIRST, "{}")]);
    assert_eq!(briefs(&lone.hear(&first)), ["snapshot 0x74:"]);
    assert!(lone.pass(1_999).is_empty());
    assert_eq!(briefs(&lone.pass(1)), ["synced", "partial true", "duty protocol_error"]);
    lone.pass(1_500);
    assert_eq!(lone.sent.len(), 2, "it is asked for again");
    lone.hear(&first);
    assert_eq!(briefs(&lone.pass(2_000)), ["snapshot 0x12:", "partial false", "duty well"]);
}

#[test]
fn a_part_that_comes_late_makes_the_account_whole() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    lone.hear(&listing(&[(FIRST, "{}")]));
    lone.pass(2_500);
    let events = lone.hear(&listing(&[(SECOND, r#"{"USDC":"1"}"#)]));
    assert_eq!(briefs(&events), ["snapshot 0x12: 0x12/USDC=1", "partial false", "duty well"]);
}

/// An account of two wallets, of which each connection is told with a list of the first alone; then it breaks.
fn of_two_wallets() -> Arc<dyn Connector> {
    connected(|spec| {
        spec.wallets = [FIRST, SECOND].map(|address| WalletSpec { address: address.into(), assets: None }).into();
        spec.options = options_of(&[("reconcile_ms", 0.into())]);
    })
}

#[test]
fn after_a_reconnect_two_lists_must_leave_a_wallet_out_again() {
    let connector = of_two_wallets();
    let first = listing(&[(FIRST, "{}")]);
    for _ in 0..3 {
        let mut lone = Lone::of(&*connector);
        lone.hear(&first);
        assert_eq!(briefs(&lone.pass(2_000)), ["synced", "partial true", "duty protocol_error"]);
        lone.pass(1_500);
        lone.hear(&first);
        assert_eq!(briefs(&lone.pass(2_000)), ["snapshot 0x12:", "partial false", "duty well"]);
    }
}

#[test]
fn a_subscription_made_anew_needs_two_lists_as_well() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    lone.hear(&listing(&[(FIRST, "{}")]));
    lone.pass(2_000);
    lone.hear(r#"{"success":true,"response":"Unsubscribed"}"#);
    lone.hear(&listing(&[(FIRST, "{}")]));
    assert_eq!(briefs(&lone.pass(2_000))[..2], ["synced", "duty protocol_error"]);
}

#[test]
fn where_a_subscribe_is_never_answered_twice_the_next_connection_brings_the_second_list() {
    let connector = of_two_wallets();
    let first = listing(&[(FIRST, "{}")]);
    let mut lone = Lone::of(&*connector);
    lone.hear(&first);
    lone.pass(2_000);
    for _ in 0..9 {
        lone.pass(5_000);
    }
    assert_eq!(lone.closed.unwrap().reason.code, ReasonCode::ReconcileFailed);
    let mut lone = Lone::of(&*connector);
    lone.hear(&first);
    assert_eq!(briefs(&lone.pass(2_000)), ["snapshot 0x12:", "synced", "duty well"]);
    // It is settled; what comes after a break begins anew.
    let mut lone = Lone::of(&*connector);
    lone.hear(&first);
    assert_eq!(briefs(&lone.pass(2_000)), ["synced", "partial true", "duty protocol_error"]);
}

#[test]
fn an_audit_that_tells_nothing_of_a_wallet_does_not_count_for_it() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    let balances = r#"{"USDC":"1"}"#;
    lone.hear(&listing(&[(FIRST, balances), (SECOND, "{}")]));
    lone.pass(66_000);
    let events = lone.hear(&listing(&[(FIRST, "null"), (SECOND, "{}")]));
    assert_eq!(briefs(&events).last().unwrap(), "duty reconcile_failed");
    lone.pass(2_000);
    let events = lone.hear(&listing(&[(FIRST, balances), (SECOND, "{}")]));
    assert_eq!(briefs(&events).last().unwrap(), "duty well");
}

#[test]
fn each_part_starts_the_grace_anew() {
    let mut lone = Lone::new(&[FIRST, SECOND, SOLANA]);
    lone.hear(&listing(&[(FIRST, "{}")]));
    lone.pass(1_500);
    lone.hear(&listing(&[(SECOND, "{}")]));
    assert!(lone.pass(1_999).is_empty());
    assert_eq!(briefs(&lone.pass(1))[0], "synced");
}

#[test]
fn a_list_without_any_wallet_proves_nothing_unless_trusted() {
    let mut lone = Lone::new(&[FIRST]);
    assert!(lone.hear(&listing(&[])).is_empty());
    assert!(lone.pass(10_000).is_empty());
    assert_eq!(lone.closed.unwrap().reason.code, ReasonCode::SyncTimeout);
    let mut lone = Lone::with(&[FIRST], &[("trust_empty_list", true.into())]);
    assert!(lone.hear(&listing(&[])).is_empty());
    assert_eq!(briefs(&lone.pass(2_000)), ["snapshot 0x74:", "synced", "duty well"]);
}

#[test]
fn an_audit_answered_by_an_empty_list_zeroes_nothing() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("empty_list");
    duo.drain();
    duo.pass(150_000);
    assert!(duo.drain().iter().all(|e| matches!(e, VenueEvent::Alive | VenueEvent::Duty(Some(_)))));
}

#[test]
fn an_emptied_wallet_left_out_of_an_audit_is_held_against_its_rows() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    duo.fault("omit_empty_wallets");
    for asset in ["USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"] {
        duo.fault("lose_next_update");
        duo.moves(&set(SOLANA, asset, "0"));
    }
    ledger.take(&duo.drain());
    duo.pass(66_000 + 2_000);
    ledger.take(&duo.drain());
    assert_eq!(ledger.corrected, 2);
    ledger.assert_true_to(duo.book());
}

#[test]
fn a_wallet_without_readable_balances_is_never_empty() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("null_balances");
    duo.fault("unsubscribe");
    let events = duo.drain();
    let duty = events.iter().rev().find_map(|e| if let VenueEvent::Duty(reason) = e { Some(reason) } else { None });
    let reason = duty.unwrap().as_ref().unwrap();
    assert!(reason.code == ReasonCode::ProtocolError && reason.text.contains(FIRST), "{reason:?}");
    let scopes = events.iter().filter_map(|e| if let VenueEvent::Snapshot(s) = e { Some(&s.scope) } else { None });
    for scope in scopes.skip(1) {
        assert_eq!(scope, &Scope::Wallets(vec![SECOND.into(), SOLANA.into()]));
    }
    // The next audit reads it.
    duo.pass(66_000);
    let events = briefs(&duo.drain());
    assert!(events.iter().any(|e| e.starts_with("snapshot 0x74:")), "{events:?}");
    assert_eq!(events.last().unwrap(), "duty well");
}

#[test]
fn an_unreadable_amount_spoils_its_row_alone() {
    let mut lone = Lone::new(&[FIRST]);
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"1","A":null,"B":"x","C":[1],"D":"2"}"#)]));
    let expected = [
        "malformed response.wallets.balances: not a decimal number",
        "malformed response.wallets.balances: not a decimal number",
        "malformed response.wallets.balances: not a decimal number",
        "snapshot 0x74: 0x74/USDC=1 0x74/A=kept 0x74/B=kept 0x74/C=kept 0x74/D=2",
        "unproven 0x74/A,B,C",
        "synced",
        "duty well",
    ];
    assert_eq!(briefs(&events), expected);
}

#[test]
fn an_unreadable_update_makes_its_row_stale_and_brings_an_audit_near() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    ledger.take(&duo.drain());
    duo.fault("unreadable_next_update");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(briefs(&duo.drain()), ["unproven 0x74/USDC.e", "malformed response.balance: not a decimal number"]);
    duo.pass(1_500);
    ledger.take(&duo.drain());
    ledger.assert_true_to(duo.book());
    for text in [r#""balance":null"#, r#""balance":{}"#, r#""other":"1""#] {
        duo.hear(&update(FIRST, "USDC", "1").replace(r#""balance":"1""#, text));
        assert_eq!(briefs(&duo.drain())[0], "unproven 0x74/USDC", "{text}");
    }
}

#[test]
fn a_dead_transport_is_known_within_the_bound() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.pass(600_000);
    assert!(duo.closed.is_none(), "quiet is healthy while pings are answered");
    duo.deaf = true;
    duo.pass(44_999);
    assert!(duo.closed.is_none());
    duo.pass(1 + 15_000); // the last pong came up to a probe's interval before
    let closed = duo.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::LivenessTimeout));
    assert_eq!(duo.session.deadline(), None);
}

#[test]
fn a_silent_venue_is_noticed_by_its_audits() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("silence");
    duo.pass(240_000);
    assert_eq!(duo.closed.as_ref().unwrap().reason.code, ReasonCode::ReconcileFailed);
}

#[test]
fn a_resync_takes_live_away_and_asks_for_everything() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    lone.act(|session, now, out| session.resync(now, out));
    assert_eq!(briefs(&lone.drain()), ["resynced operator", "syncing operator_resync"]);
    assert_eq!(lone.sent[0], lone.sent[1]);
    assert_eq!(briefs(&lone.hear(fixture!("snapshot")))[1..], ["synced", "duty well"]);
    // Whether a repetition is answered is not documented: without an answer, a new connection is made.
    lone.act(|session, now, out| session.resync(now, out));
    lone.pass(10_000);
    assert_eq!(lone.closed.unwrap().class, ErrorClass::Restart);
}

#[test]
fn a_subscription_that_ends_unasked_is_taken_up_again() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("unsubscribe");
    let events = briefs(&duo.drain());
    assert_eq!(events[..2], ["resynced unsubscribed", "syncing protocol_error"]);
    assert_eq!(events[3..], ["synced", "duty well"]);
}

#[test]
fn a_refusal_with_nothing_asked_is_counted() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    assert_eq!(briefs(&lone.hear(fixture!("invalid_wallets"))), ["malformed success: false, with nothing asked"]);
    assert!(lone.closed.is_none());
}

#[test]
fn every_frame_proves_life_but_a_closed_session_hears_nothing() {
    let mut session = connected(|_| {}).session(1);
    let mut out = Out::default();
    session.on_open(Now::default(), &mut out);
    for frame in [Frame::Ping, Frame::Pong, Frame::Binary(b"x"), Frame::Text("x")] {
        let mut out = Out::default();
        session.on_frame(Now::default(), frame, &mut out);
        assert!(matches!(out.actions[0], Action::Event(VenueEvent::Alive)), "{frame:?}");
    }
    session.on_timeout(Now::default().plus_ms(60_000), &mut Out::default());
    let mut out = Out::default();
    session.on_frame(Now::default(), Frame::Text(fixture!("snapshot")), &mut out);
    assert!(out.actions.is_empty());
}
