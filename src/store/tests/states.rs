//! States of accounts and rows: what a connection proves, and what is left of it.

use super::*;

#[test]
fn an_account_goes_from_pending_to_live_and_back() {
    let mut b = Bench::new();
    assert_eq!(b.state(), AccountState::Pending);
    b.store.connecting(b.idx, b.now);
    assert_eq!(b.state(), AccountState::Connecting);
    b.store.opened(b.idx, b.now);
    assert_eq!(b.state(), AccountState::Syncing);
    assert!(!b.since(0).complete);
    b.say([list(&["BTC 1/1/0"]), VenueEvent::Synced]);
    assert_eq!((b.state(), b.record().reason.clone()), (AccountState::Live, None));
    assert!(b.since(0).complete);
    b.lose(AccountState::Stale);
    assert_eq!((b.state(), b.record().since), (AccountState::Stale, b.now.unix));
    b.reopen();
    assert_eq!(b.state(), AccountState::Stale, "a connection alone proves nothing");
    b.say([list(&["BTC 1/1/0"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live"]);
}

#[test]
fn a_first_connection_that_fails_leaves_no_stale_account_without_rows() {
    let mut b = Bench::open();
    b.lose(AccountState::Stale);
    assert_eq!(b.state(), AccountState::Connecting);
    b.lose(AccountState::AuthFailed);
    assert_eq!(b.state(), AccountState::AuthFailed);
    b.reopen();
    assert_eq!(b.state(), AccountState::AuthFailed, "until the venue has taken the key");
}

#[test]
fn a_disabled_account_is_told_as_such_and_never_complete() {
    let store = Store::new("e", Arc::default());
    let idx = store.add_account(key("off"), false, 10, Now::default());
    let changes = store.changes_since(0, &[idx], &Filter::default(), Channel::Balances);
    assert_eq!((changes.accounts[0].state, changes.complete), (AccountState::Disabled, false));
}

#[test]
fn rows_come_before_the_account_is_live_but_read_stale_until_then() {
    let mut b = Bench::open();
    b.say([list(&["BTC 1/1/0"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 stale"]);
    b.say([VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live"]);
}

#[test]
fn losing_the_venue_makes_every_row_stale_in_one_commit() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    let before = b.store.gsn();
    b.lose(AccountState::Maintenance);
    assert_eq!(b.store.gsn(), before + 1);
    let changes = b.since(before);
    assert_eq!((changes.balances.len(), changes.accounts.len(), changes.complete), (2, 1, false));
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 stale"]);
    assert!(changes.balances.iter().all(|row| row.changed_ts < b.now.unix), "no number changed");
}

#[test]
fn synced_makes_no_row_live_that_this_connection_did_not_name() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.lose(AccountState::Stale);
    b.reopen();
    b.say([push(&["BTC 2/2/0"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 2/2/0 live", "USD 5/5/0 stale"]);
}

#[test]
fn what_is_unproven_in_a_message_stays_so_whatever_else_it_says() {
    let mut b = Bench::open();
    b.say([list(&["BTC 1/1/0", "USD 5/5/0"]), VenueEvent::Synced, unproven(&["BTC"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 live"]);
    b.say([unproven(&["USD", "never heard of"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 stale"]);
    b.say([push(&["BTC 1/1/0"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live", "USD 5/5/0 stale"]);
}

#[test]
fn unsynced_rows_need_a_new_statement_each() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.say([syncing()]);
    assert_eq!((b.state(), b.rows()), (AccountState::Stale, vec!["BTC 1/1/0 stale".into(), "USD 5/5/0 stale".into()]));
    b.say([push(&["BTC 3/3/0"])]);
    assert_eq!(b.row("BTC").state, RowState::Stale, "the account is not proven");
    b.say([VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 3/3/0 live", "USD 5/5/0 stale"]);
    b.say([VenueEvent::Unsynced(AccountPush::Maintenance(reason()))]);
    assert_eq!(b.state(), AccountState::Maintenance);
}

#[test]
fn an_unsynced_first_connection_is_syncing_again() {
    let mut b = Bench::open();
    b.say([syncing()]);
    assert_eq!(b.state(), AccountState::Syncing);
}

#[test]
fn a_failing_duty_degrades_a_live_account_and_leaves_its_rows_live() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let failing = Reason::new(ReasonCode::RestUnauthorized, "401");
    b.say([VenueEvent::Duty(Some(failing.clone()))]);
    assert_eq!((b.state(), b.record().reason.clone()), (AccountState::Degraded, Some(failing)));
    assert_eq!((b.rows(), b.since(0).complete), (vec!["BTC 1/1/0 live".to_owned()], true));
    b.say([VenueEvent::Duty(None)]);
    assert_eq!(b.state(), AccountState::Live);
}

#[test]
fn a_duty_that_failed_before_the_sync_is_not_forgotten_by_it() {
    let mut b = Bench::open();
    b.say([VenueEvent::Duty(Some(reason()))]);
    assert_eq!(b.state(), AccountState::Syncing);
    b.say([list(&[]), VenueEvent::Synced]);
    assert_eq!(b.state(), AccountState::Degraded);
    b.lose(AccountState::Stale);
    b.reopen();
    b.say([list(&[]), VenueEvent::Synced]);
    assert_eq!(b.state(), AccountState::Live, "each connection has its own duties");
}

#[test]
fn the_late_word_of_a_connection_that_is_gone_changes_nothing() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.lose(AccountState::Stale);
    assert_eq!(b.told_by([list(&["BTC 9/9/0"]), VenueEvent::Synced]), None);
    assert_eq!((b.state(), b.rows()), (AccountState::Stale, vec!["BTC 1/1/0 stale".to_owned()]));
}

#[test]
fn a_connection_made_while_another_counts_as_live_begins_unproven() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.reopen();
    assert_eq!((b.state(), b.rows()), (AccountState::Stale, vec!["BTC 1/1/0 stale".to_owned()]));
}

#[test]
fn restored_rows_read_stale_until_the_venue_confirms_them() {
    let mut old = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    old.pass(5);
    let rows = || old.since(0).balances.iter().map(|row| Balance::clone(row)).collect::<Vec<_>>();
    let mut b = Bench::new();
    b.store.restore(b.idx, b.now, rows());
    assert_eq!((b.state(), b.rows()), (AccountState::Stale, vec!["BTC 1/1/0 stale".into(), "USD 5/5/0 stale".into()]));
    assert_eq!(b.record().last_confirmed, None, "not in this run");
    b.reopen();
    b.say([list(&["BTC 1/1/0"]), VenueEvent::Synced]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live", "USD 0/0/0 live aaa"]);
    let before = b.store.gsn();
    b.store.restore(b.idx, b.now, rows());
    assert_eq!((b.store.gsn(), b.state()), (before, AccountState::Live), "too late to restore anything");
}

#[test]
fn restoring_keeps_the_row_limit_and_the_metrics() {
    let old = Bench::live(&["A 1", "B 2", "C 3"]);
    let rows: Vec<_> = old.since(0).balances.iter().map(|row| Balance::clone(row)).collect();
    let b = Bench::limited(2);
    b.store.restore(b.idx, b.now, rows);
    assert_eq!((b.rows().len(), b.metrics.store_rows.get()), (2, 2));
}

#[test]
fn each_confirmation_is_told_but_not_each_of_many() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let first = b.record().last_confirmed.expect("the sync confirms");
    assert_eq!(b.told_by([list(&["BTC 1/1/0"])]), None);
    b.pass(10_000);
    assert_eq!(b.told_by([list(&["BTC 1/1/0"])]), Some((vec![], 1)));
    assert_eq!(b.record().last_confirmed, Some(b.now.unix));
    assert!(first < b.now.unix);
}

#[test]
fn the_state_metric_follows_the_account_and_goes_with_it() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let set = |b: &Bench| {
        let states = AccountState::ALL.into_iter();
        let on = states.filter(|s| b.metrics.venue_state.get_or_create(&state_labels(&key("main"), *s)).get() == 1);
        on.collect::<Vec<_>>()
    };
    assert_eq!(set(&b), [AccountState::Live]);
    b.lose(AccountState::Stale);
    assert_eq!((set(&b), b.metrics.store_rows.get()), (vec![AccountState::Stale], 1));
    b.store.remove_account(b.idx);
    assert_eq!((set(&b), b.metrics.store_rows.get()), (vec![], 0));
}

#[test]
fn a_removed_account_is_silent_and_takes_nothing_more() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let other = b.store.add_account(key("other"), true, 10, b.now);
    b.store.remove_account(b.idx);
    let gsn = b.store.gsn();
    assert_eq!(b.say([push(&["BTC 2/2/0"])]), None);
    b.store.lost(b.idx, b.now, AccountState::Stale, reason());
    assert_eq!((b.store.gsn(), b.since(0).accounts.len(), b.store.record(b.idx).is_some()), (gsn, 0, false));
    let mut changed = Vec::new();
    b.store.accounts_changed_since(0, &mut changed);
    assert_eq!(changed, [other]);
    let again = b.store.add_account(key("main"), true, 10, b.now);
    assert_ne!(again, b.idx, "an index is never used twice");
}
