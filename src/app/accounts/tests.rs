//! What a changed configuration does to accounts and their rows. Nothing is dialed here.

use super::*;
use crate::model::{RowState, VenueEvent};
use crate::store::tests::list;
use crate::venue::{AccountSpec, Credentials, VENUES, WalletSpec, find};

fn config(id: &str, key: &str, addresses: &[&str]) -> AccountConfig {
    let wallets = addresses.iter().map(|address| WalletSpec { address: (*address).into(), assets: None }).collect();
    let spec = AccountSpec {
        id: id.into(),
        ws_url: "ws://127.0.0.1:1/ws".into(),
        rest_url: "http://127.0.0.1:1".into(),
        credentials: Credentials::plain([("api_key", key)]),
        wallets,
        options: Default::default(),
    };
    let venue = find(VENUES, "synthesis").expect("in the list");
    AccountConfig { id: id.into(), venue, owners: vec!["alice".into()], enabled: true, spec, secrets: BTreeMap::new() }
}

struct Rig {
    accounts: Accounts,
    store: Arc<Store>,
}

impl Rig {
    fn new() -> Self {
        crate::runtime::install_crypto();
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let accounts = Accounts::new(Clock::start(), Arc::clone(&store), metrics, Tasks::new(), net());
        Self { accounts, store }
    }

    /// The account `main` with keys `k` and two addresses, live with one row.
    fn live() -> (Self, AccountIdx) {
        let rig = Self::new();
        let idx = rig.apply(config("main", "k", &["0xa", "0xb"]));
        rig.store.opened(idx, rig.accounts.clock.now());
        rig.store.apply(idx, rig.accounts.clock.now(), [list(&["BTC 1/1/0"]), VenueEvent::Synced]);
        (rig, idx)
    }

    fn apply(&self, config: AccountConfig) -> AccountIdx {
        let listed = self.accounts.apply(vec![config]);
        assert_eq!(listed.len(), 1);
        listed[0].idx
    }

    fn rows(&self, idx: AccountIdx) -> Vec<RowState> {
        let all = self.store.changes_since(0, &[idx], &Filter::default(), Channel::Balances);
        all.balances.iter().map(|row| row.state).collect()
    }
}

#[test]
fn an_accounts_counters_begin_at_zero_and_go_with_it() {
    let rig = Rig::new();
    let begun = |id: &str| {
        let text = rig.accounts.metrics.render();
        let of = |name: &str, reason: &str| {
            let series = format!("{name}_total{{venue=\"synthesis\",account=\"{id}\",reason=\"{reason}\"}} 0\n");
            text.contains(&series)
        };
        let reconnects = of("venue_reconnects", "upstream_disconnected") && of("venue_reconnects", "token_expired");
        let resyncs = of("venue_resyncs", "operator") && of("venue_resyncs", "audit_unanswered");
        assert_eq!(text.contains(&format!("account=\"{id}\"")), reconnects, "{text}");
        assert_eq!(reconnects, resyncs, "{text}");
        reconnects
    };
    rig.apply(config("main", "k", &["0xa"]));
    assert!(begun("main") && !begun("other"));
    rig.apply(config("other", "k", &["0xa"]));
    assert!(begun("other") && !begun("main"), "nothing is left of an account that is gone");
}

#[test]
fn the_same_settings_touch_nothing_but_owners() {
    let (rig, idx) = Rig::live();
    let gsn = rig.store.gsn();
    let mut same = config("main", "k", &["0xa", "0xb"]);
    same.owners = vec!["bob".into()];
    assert_eq!((rig.apply(same), rig.store.gsn(), rig.rows(idx)), (idx, gsn, vec![RowState::Live]));
}

#[test]
fn new_keys_keep_the_rows_as_stale() {
    let (rig, idx) = Rig::live();
    assert_eq!((rig.apply(config("main", "other", &["0xa", "0xb"])), rig.rows(idx)), (idx, vec![RowState::Stale]));
    // The old connection's late word, from another thread.
    rig.store.apply(idx, rig.accounts.clock.now(), [VenueEvent::Synced]);
    assert_eq!(rig.rows(idx), [RowState::Stale]);
}

#[test]
fn rows_that_are_no_longer_asked_for_are_gone_and_not_zero() {
    let (rig, idx) = Rig::live();
    let next = rig.apply(config("main", "k", &["0xa"]));
    assert_ne!(next, idx);
    assert_eq!((rig.rows(idx), rig.rows(next)), (vec![], vec![]));
    assert_eq!(rig.store.record(next).map(|record| record.state), Some(AccountState::Pending));
}

#[test]
fn another_address_of_the_venue_starts_anew() {
    let (rig, idx) = Rig::live();
    let mut moved = config("main", "k", &["0xa", "0xb"]);
    moved.spec.ws_url = "ws://127.0.0.1:2/ws".into();
    assert_ne!(rig.apply(moved), idx);
}

#[test]
fn an_account_that_is_gone_or_off_shows_no_rows() {
    let (rig, idx) = Rig::live();
    let off = rig.apply(AccountConfig { enabled: false, ..config("main", "k", &["0xa", "0xb"]) });
    assert_eq!((rig.rows(idx), rig.store.record(off).map(|record| record.state)), (vec![], Some(AccountState::Disabled)));
    assert!(rig.accounts.apply(vec![]).is_empty() && rig.store.record(off).is_none());
}

#[test]
fn rows_that_may_have_changed_hands_are_not_shown_to_the_new_owner() {
    let (rig, idx) = Rig::live();
    let mut sold = config("main", "other", &["0xa", "0xb"]);
    sold.owners = vec!["bob".into()];
    let next = rig.apply(sold);
    assert_ne!(next, idx);
    assert!(rig.rows(next).is_empty());
}

#[test]
fn a_warm_start_shows_rows_only_to_the_account_and_owners_they_came_from() {
    let (rig, _) = Rig::live();
    let kept = |rig: &Rig| State { rows: rig.accounts.keep().rows, ..rig.accounts.keep() };
    let mut others = config("main", "k", &["0xa", "0xb"]);
    others.owners = vec!["bob".into()];
    let mut elsewhere = config("main", "k", &["0xa", "0xb"]);
    elsewhere.spec.ws_url = "ws://127.0.0.1:2/ws".into();
    let rekeyed = config("main", "the next day's token", &["0xa", "0xb"]);
    for (config, shown) in [(others, 0), (elsewhere, 0), (config("main", "k", &["0xc"]), 0), (rekeyed, 1)] {
        let next = Rig::new();
        let idx = next.apply(config);
        next.accounts.recall(kept(&rig), true);
        assert_eq!(next.rows(idx), vec![RowState::Stale; shown]);
    }
}

/// Without an authority of its own: nothing here speaks TLS.
fn net() -> crate::venue::conn::Net {
    crate::runtime::install_crypto();
    crate::venue::conn::Net::new(crate::runtime::client_tls(None).expect("the system's roots")).expect("a client can be made")
}
