//! How rows merge: snapshots, pushes, what vanishes, what is left out.

use super::*;

#[test]
fn a_snapshot_replaces_what_was_there() {
    let mut b = Bench::live(&["BTC 1.10/1/0.10", "USD 5/5/0"]);
    assert_eq!(b.told_by([list(&["BTC 2.50/2.50/0", "USD 5/5/0"])]), Some((vec!["BTC 2.50/2.50/0 live".into()], 1)));
    assert_eq!(b.row("BTC").cause.as_ref().map(|c| c.kind), Some(CauseKind::Reconcile), "the stream had not told of it");
    assert_eq!(b.drift(), 1);
}

#[test]
fn a_vanished_asset_becomes_a_zero_row_once() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/-/-"]);
    let told = b.told_by([list(&[])]).expect("a commit").0;
    assert_eq!(told, ["BTC 0/0/0 live aaa", "USD 0/-/- live arr"], "what was unknown stays unknown");
    assert_eq!(b.row("BTC").cause.as_ref().map(|c| c.kind), Some(CauseKind::Absent));
    assert_eq!(b.told_by([list(&[])]), None, "said once");
    assert_eq!(b.told_by([push(&["BTC 0/0/0"])]).expect("a commit").0, ["BTC 0/0/0 live"], "now the venue says it itself");
}

#[test]
fn a_list_of_some_wallets_says_nothing_of_the_others() {
    let mut b = Bench::live(&["BTC 1", "margin:BTC 2", "margin:USD 3"]);
    b.say([list_of(&["margin"], &["margin:BTC 2"])]);
    assert_eq!(b.rows(), ["BTC 1/-/- live", "BTC 2/-/- live", "USD 0/-/- live arr"]);
}

#[test]
fn a_wallet_list_in_the_stream_is_news_and_not_drift() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.say([list_of(&["spot"], &["BTC 2/2/0"])]);
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 2/2/0 live".into(), "USD 0/0/0 live aaa".into()], 0));
    assert!(b.row("BTC").cause.is_none());
}

#[test]
fn equal_values_make_no_commit_and_keep_the_venues_digits() {
    let mut b = Bench::live(&["BTC 1.10/1.1/0"]);
    assert_eq!(b.told_by([push(&["BTC 1.1/1.100/0.0"])]), None);
    assert_eq!(b.rows(), ["BTC 1.10/1.1/0 live"]);
    assert_eq!(b.told_by([push(&["BTC 1.100000000000000000000000000000000000001/1.1/0"])]).expect("a commit").0.len(), 1);
}

#[test]
fn a_push_touches_only_what_it_carries() {
    let mut b = Bench::live(&["BTC 1/0.5/0.5"]);
    b.say([push(&["BTC 2/=/="])]);
    assert_eq!(b.rows(), ["BTC 2/0.5/0.5 live"]);
    b.say([push(&["BTC =/~1/="])]);
    assert_eq!(b.rows(), ["BTC 2/1/0.5 live rdr"]);
}

#[test]
fn a_partial_push_after_a_reconnect_vouches_only_for_what_it_carries() {
    let mut b = Bench::live(&["BTC 1/0.5/0.5", "USD 7/7/0"]);
    b.lose(AccountState::Stale);
    b.reopen();
    b.say([push(&["BTC 2", "USD =/6/="]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 2/-/- live", "USD 7/6/- stale"]);
    assert_eq!(b.row("BTC").last_known.as_ref().map(|l| l.available.to_string()), Some("0.5".into()));
}

#[test]
fn a_withdrawn_available_is_unknown_and_its_last_value_is_kept_apart() {
    let mut b = Bench::live(&["BTC 1/0.5/0"]);
    let told_at = b.row("BTC").received_ts;
    b.say([push(&["BTC 2/-/0"])]);
    let row = b.row("BTC");
    assert_eq!(row.available, None);
    assert_eq!(row.last_known.as_deref(), Some(&LastKnown { available: "0.5".parse().unwrap(), ts: told_at }));
    b.say([push(&["BTC 3/-/0"])]);
    assert_eq!(b.row("BTC").last_known.as_ref().map(|l| l.ts), Some(told_at), "its age stays");
    b.say([push(&["BTC =/0.7/="])]);
    assert_eq!((b.rows(), b.row("BTC").last_known.is_none()), (vec!["BTC 3/0.7/0 live".to_owned()], true));
}

#[test]
fn cause_and_times_belong_to_the_last_change_of_a_number() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let trade = |text: &str| {
        let venue_ts = Some(UnixMs(77));
        VenueEvent::Rows(vec![RowUpdate { cause: Some(Cause::of(CauseKind::Trade)), venue_ts, ..update(text) }])
    };
    b.say([trade("BTC 2/2/0")]);
    let row = b.row("BTC");
    assert_eq!((row.changed_ts, row.received_ts, row.venue_ts), (b.now.unix, b.now.unix, Some(UnixMs(77))));
    assert_eq!((row.cause.as_ref().map(|c| c.kind), row.gsn, row.value_gsn), (Some(CauseKind::Trade), b.store.gsn(), row.gsn));
    b.lose(AccountState::Stale);
    let stale = b.row("BTC");
    assert_eq!((stale.changed_ts, stale.value_gsn, stale.cause.is_some()), (row.changed_ts, row.value_gsn, true));
    assert!(stale.gsn > row.gsn);
}

#[test]
fn an_answer_asked_for_before_a_push_does_not_overwrite_it() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.pass(1);
    let sent = b.now.mono;
    b.say([push(&["BTC 2/2/0", "ETH 4/4/0"])]);
    b.say([asked(sent, &["BTC 1/1/0", "USD 6/6/0"])]);
    assert_eq!(b.rows(), ["BTC 2/2/0 live", "USD 5/5/0 stale", "ETH 4/4/0 live"]);
    for _ in 0..2 {
        let sent = b.now.plus_ms(1).mono;
        b.pass(1);
        b.say([asked(sent, &["BTC 1/1/0"])]);
    }
    assert_eq!(b.rows(), ["BTC 1/1/0 live", "USD 0/0/0 live aaa", "ETH 0/0/0 live aaa"]);
}

#[test]
fn an_answer_asked_for_before_a_list_of_the_stream_does_not_overwrite_it() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.pass(1);
    let sent = b.now.mono;
    b.say([list(&["BTC 2/2/0"])]);
    b.say([asked(sent, &["BTC 1/1/0", "USD 5/5/0"])]);
    assert_eq!(b.rows(), ["BTC 2/2/0 live", "USD 0/0/0 live aaa"]);
}

#[test]
fn a_push_of_an_earlier_connection_shields_nothing() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.pass(1);
    let sent = b.now.mono;
    b.say([push(&["BTC 2/2/0"])]);
    b.lose(AccountState::Stale);
    b.reopen();
    b.say([asked(sent, &["BTC 3/3/0"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 3/3/0 live"]);
}

#[test]
fn a_list_with_an_unreadable_part_zeroes_nothing_and_is_not_complete() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.say([VenueEvent::Omitted(reason()), list(&["BTC 1/1/0"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live", "USD 5/5/0 stale"]);
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Degraded, false));
    b.say([list(&["BTC 1/1/0"])]);
    assert_eq!((b.rows()[1].as_str(), b.state(), b.since(0).complete), ("USD 0/0/0 live aaa", AccountState::Live, true));
}

#[test]
fn an_account_that_lacks_a_whole_wallet_is_not_complete() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.say([VenueEvent::Partial(true), VenueEvent::Duty(Some(reason()))]);
    assert_eq!((b.rows()[0].as_str(), b.state(), b.since(0).complete), ("BTC 1/1/0 live", AccountState::Degraded, false));
    b.say([VenueEvent::Partial(false), VenueEvent::Duty(None)]);
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Live, true));
    b.say([VenueEvent::Partial(true), VenueEvent::Duty(Some(reason()))]);
    b.reopen();
    b.say([list(&["BTC 1/1/0"]), VenueEvent::Synced]);
    assert!(b.since(0).complete, "another connection begins with nothing missing");
}

#[test]
fn rows_beyond_the_limit_are_refused_aloud_and_only_once() {
    let mut b = Bench::limited(2);
    b.reopen();
    b.say([list(&["A 1", "B 2", "C 3"]), VenueEvent::Synced]);
    assert_eq!((b.rows().len(), b.state(), b.since(0).complete), (2, AccountState::Degraded, false));
    assert_eq!(b.record().reason.as_ref().map(|r| r.code), Some(ReasonCode::RowLimit));
    let since = b.record().since;
    assert_eq!(b.told_by([list(&["A 1", "B 2", "C 3"])]), None, "nothing new");
    assert_eq!(b.told_by([push(&["D 1"])]), None);
    assert_eq!(b.record().since, since);
    b.say([list(&["A 1"])]);
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Live, true));
}

#[test]
fn names_that_are_empty_or_endless_are_refused_aloud() {
    for name in [String::new(), "x".repeat(MAX_ASSET_CHARS + 1)] {
        let mut b = Bench::live(&["BTC 1/1/0"]);
        b.say([VenueEvent::Rows(vec![RowUpdate { asset: name.as_str().into(), ..update("X 1") }])]);
        assert_eq!((b.rows().len(), b.state()), (1, AccountState::Degraded));
    }
    let mut b = Bench::live(&[]);
    b.say([VenueEvent::Rows(vec![RowUpdate { asset: "💰".repeat(MAX_ASSET_CHARS).as_str().into(), ..update("X 1") }])]);
    assert_eq!(b.rows().len(), 1, "the bound is in characters");
}

#[test]
fn an_asset_without_a_row_that_could_not_be_read_makes_the_account_incomplete_until_its_wallet_is_listed() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let whole = |b: &Bench| (b.state(), b.since(0).complete);
    b.say([unproven(&["BTC"])]);
    assert_eq!((b.rows()[0].as_str(), whole(&b)), ("BTC 1/1/0 stale", (AccountState::Live, true)), "its row says so itself");
    b.say([push(&["BTC 1/1/0"]), unproven(&["BTC", "NEW"])]);
    assert_eq!(whole(&b), (AccountState::Degraded, false));
    assert_eq!(b.record().reason.as_ref().map(|reason| reason.code), Some(ReasonCode::ProtocolError));
    let since = b.record().since;
    // An answer as of an earlier moment, and a list of another wallet, say nothing of it.
    let before = Mono(b.now.mono.0 - 1);
    let compared = |sent, scope, absence| {
        let rows = vec![update("BTC 1/1/0")];
        VenueEvent::Reconcile(Reconcile { sent, scope, absence, rows })
    };
    b.say([compared(before, Scope::Account, Absence::Zero)]);
    b.say([compared(b.now.mono, Scope::Wallets(vec!["other".into()]), Absence::Zero)]);
    b.say([compared(b.now.mono, Scope::Account, Absence::Nothing)]);
    assert_eq!(whole(&b), (AccountState::Degraded, false));
    // A list that still holds it changes nothing, not even for a moment.
    b.say([list(&["BTC 1/1/0"]), unproven(&["NEW"])]);
    assert_eq!((whole(&b), b.record().since), ((AccountState::Degraded, false), since));
    // A single answer may lag behind what was not understood: it asks for another.
    let verdict = b.say([compared(b.now.mono, Scope::Account, Absence::Zero)]).unwrap();
    assert_eq!((verdict.doubted, whole(&b)), (1, (AccountState::Degraded, false)));
    b.say([compared(b.now.mono, Scope::Account, Absence::Zero)]);
    assert_eq!(whole(&b), (AccountState::Live, true));
    // The stream's own list does not lag, and a push shows what was lacking.
    for shown in [list(&["BTC 1/1/0"]), push(&["NEW 3/3/0"])] {
        b.say([unproven(&["NEW"])]);
        assert_eq!(whole(&b), (AccountState::Degraded, false));
        b.say([shown]);
        assert_eq!(whole(&b), (AccountState::Live, true));
    }
}

#[test]
fn what_many_wallets_lack_is_over_wallet_by_wallet() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let wallets: Vec<Name> = (0..500).map(|n| format!("w{n}").as_str().into()).collect();
    b.say(wallets.iter().map(|wallet| VenueEvent::Unproven { wallet: wallet.clone(), assets: vec!["X".into(), "Y".into()] }));
    assert!(!b.since(0).complete);
    let (last, rest) = wallets.split_last().unwrap();
    let compared = |b: &mut Bench, wallets: &[Name]| {
        for _ in 0..2 {
            let scope = Scope::Wallets(wallets.to_vec());
            b.say([VenueEvent::Reconcile(Reconcile { sent: b.now.mono, scope, absence: Absence::Zero, rows: Vec::new() })]);
        }
    };
    compared(&mut b, rest);
    assert!(!b.since(0).complete);
    compared(&mut b, std::slice::from_ref(last));
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Live, true));
}

#[test]
fn an_asset_listed_twice_is_as_the_list_says_last() {
    let mut b = Bench::open();
    b.say([list(&["BTC 1", "BTC 2"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 2/-/- live"]);
}

#[test]
fn facts_add_up_and_are_told_only_when_they_change() {
    let mut b = Bench::live(&[]);
    let fees = |maker: &str| Fees { maker: maker.parse().unwrap(), taker: "0.002".parse().unwrap() };
    let told = |fees: Fees| VenueEvent::Facts(Facts { fees: Some(fees), ..Facts::default() });
    let warned = VenueEvent::Facts(Facts { warnings: Some(vec!["may withdraw".into()]), ..Facts::default() });
    assert_eq!(b.told_by([told(fees("0.001"))]), Some((vec![], 1)));
    assert_eq!(b.told_by([told(fees("0.001"))]), None);
    assert_eq!(b.told_by([warned]), Some((vec![], 1)));
    assert_eq!(
        (b.record().facts.fees.clone(), b.record().facts.warnings.as_ref().map(Vec::len)),
        (Some(fees("0.001")), Some(1))
    );
}

#[test]
fn versions_count_what_readers_could_have_seen() {
    let mut b = Bench::open();
    b.say([list(&["A 1", "B 2"]), VenueEvent::Synced]); // written as stale, then made live, in one commit
    assert_eq!(b.since(0).versions, 2);
    b.say([push(&["A 2", "A 3"])]);
    assert_eq!(b.since(0).versions, 3);
    b.say([push(&["A 4"])]);
    b.say([push(&["A 4"])]);
    assert_eq!(b.since(0).versions, 4);
}

#[test]
fn a_cursor_from_the_future_or_from_nothing_gets_everything() {
    let b = Bench::live(&["BTC 1/1/0"]);
    for cursor in [0, b.store.gsn() + 1, u64::MAX] {
        let changes = b.since(cursor);
        assert_eq!((changes.full, changes.balances.len(), changes.accounts.len()), (true, 1, 1), "{cursor}");
    }
    let changes = b.since(b.store.gsn());
    assert!(!changes.full && changes.is_empty() && changes.cut == b.store.gsn());
}

#[test]
fn a_bell_keeps_a_ring_that_nobody_waited_for() {
    use futures_util::FutureExt;
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let bell = b.store.bell();
    assert!(bell.notified().now_or_never().is_none());
    b.say([push(&["BTC 2/2/0"])]);
    assert!(bell.notified().now_or_never().is_some());
    b.say([push(&["BTC 2/2/0"])]);
    assert!(bell.notified().now_or_never().is_none(), "nothing changed, nothing rings");
}

#[test]
fn a_row_without_numbers_is_unknown_and_never_zero() {
    let b = Bench::live(&["BTC =/=/="]);
    assert_eq!((b.rows(), b.row("BTC").is_zero()), (vec!["BTC -/-/- live".to_owned()], false));
}
