//! The store's rules, one case each: what a venue says, and what a reader then sees. [`Bench`] also serves the tests of later stages.

mod orders;
mod properties;
mod reconcile;
mod rows;
mod states;

use super::*;
use crate::model::*;

/// One account in a store, and the time.
pub(crate) struct Bench {
    pub store: Arc<Store>,
    pub metrics: Arc<Metrics>,
    pub idx: AccountIdx,
    pub now: Now,
}

impl Bench {
    /// An account of which nothing was heard.
    pub fn new() -> Self {
        Self::limited(1_000)
    }

    pub fn limited(max_rows: usize) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let now = Now::default().plus_ms(1_000_000);
        let idx = store.add_account(key("main"), true, max_rows, now);
        Self { store, metrics, idx, now }
    }

    /// An account whose connection stands.
    pub fn open() -> Self {
        let mut bench = Self::new();
        bench.reopen();
        bench
    }

    /// An account that is live with these rows.
    pub fn live(rows: &[&str]) -> Self {
        let mut bench = Self::open();
        bench.say([list(rows), VenueEvent::Synced]);
        bench
    }

    pub fn reopen(&mut self) {
        self.pass(1);
        self.store.connecting(self.idx, self.now);
        self.store.opened(self.idx, self.now);
    }

    pub fn lose(&mut self, state: AccountState) {
        self.pass(1);
        self.store.lost(self.idx, self.now, state, reason());
    }

    /// Applies one message's events, a millisecond later.
    pub fn say(&mut self, events: impl IntoIterator<Item = VenueEvent>) -> Option<Verdict> {
        self.pass(1);
        self.store.apply(self.idx, self.now, events)
    }

    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    pub fn since(&self, cursor: u64) -> Changes {
        self.store.changes_since(cursor, &[self.idx], &Filter::default(), Channel::Balances)
    }

    /// Every row as `asset total/available/locked state [basis]`.
    pub fn rows(&self) -> Vec<String> {
        self.since(0).balances.iter().map(|row| told(row)).collect()
    }

    pub fn row(&self, asset: &str) -> Arc<Balance> {
        self.since(0).balances.into_iter().find(|row| row.asset == asset).expect("the row is held")
    }

    pub fn state(&self) -> AccountState {
        self.record().state
    }

    pub fn record(&self) -> Arc<AccountRecord> {
        self.store.record(self.idx).expect("the account is held")
    }

    /// What the message told readers: rows and the number of account records; `None` where nothing was committed.
    pub fn told_by(&mut self, events: impl IntoIterator<Item = VenueEvent>) -> Option<(Vec<String>, usize)> {
        let before = self.store.gsn();
        self.say(events);
        let after = self.store.gsn();
        assert!(after <= before + 1, "one message is one commit");
        let changes = self.since(before);
        (after > before).then(|| (changes.balances.iter().map(|row| told(row)).collect(), changes.accounts.len()))
    }

    pub fn drift(&self) -> u64 {
        let counted = self.metrics.venue_drift_rows.get_or_create(&account_labels(&self.record().key)).get();
        assert_eq!(counted, self.record().drift_count, "the metric and the record count alike");
        counted
    }
}

pub(crate) fn key(account: &str) -> AccountKey {
    AccountKey { venue: "p99", account: account.into() }
}

pub(crate) fn reason() -> Reason {
    Reason::new(ReasonCode::UpstreamDisconnected, "gone")
}

fn told(row: &Balance) -> String {
    let n = |amount: &Option<Amount>| amount.as_ref().map_or("-".to_owned(), |a| a.to_string());
    let state = match row.state {
        RowState::Live => "live",
        RowState::Stale => "stale",
        RowState::Pending => "pending",
    };
    let basis: String = row.basis.iter().map(|origin| ["r", "d", "a"][*origin as usize]).collect();
    let basis = if basis == "rrr" { String::new() } else { format!(" {basis}") };
    format!("{} {}/{}/{} {state}{basis}", row.asset, n(&row.total), n(&row.available), n(&row.locked))
}

/// A row from `asset total/available/locked`: `-` is the venue's word for unknown, `=` is not carried, `~1` is derived. A wallet other
/// than `spot` stands before a colon.
pub(crate) fn update(text: &str) -> RowUpdate {
    let (name, numbers) = text.split_once(' ').expect("a name and numbers");
    let (wallet, asset) = name.split_once(':').unwrap_or(("spot", name));
    let mut fields = numbers.split('/').map(|number| match number {
        "-" => Field::Unknown,
        "=" => Field::Keep,
        _ => match number.strip_prefix('~') {
            Some(derived) => Field::Derived(derived.parse().expect("an amount")),
            None => Field::Is(number.parse().expect("an amount")),
        },
    });
    let mut next = || fields.next().unwrap_or(Field::Keep);
    RowUpdate { total: next(), available: next(), locked: next(), ..RowUpdate::new(wallet, asset) }
}

fn updates(rows: &[&str]) -> Vec<RowUpdate> {
    rows.iter().map(|row| update(row)).collect()
}

/// The stream's list of the whole account.
pub(crate) fn list(rows: &[&str]) -> VenueEvent {
    VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows: updates(rows) })
}

/// The stream's list of some wallets.
fn list_of(wallets: &[&str], rows: &[&str]) -> VenueEvent {
    let scope = Scope::Wallets(wallets.iter().map(|w| Name::from(*w)).collect());
    VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope, rows: updates(rows) })
}

/// REST's list, asked for at `sent`.
fn asked(sent: Mono, rows: &[&str]) -> VenueEvent {
    VenueEvent::Snapshot(Snapshot { freshness: Freshness::Asked { sent }, scope: Scope::Account, rows: updates(rows) })
}

pub(crate) fn push(rows: &[&str]) -> VenueEvent {
    VenueEvent::Rows(updates(rows))
}

fn unproven(assets: &[&str]) -> VenueEvent {
    VenueEvent::Unproven { wallet: "spot".into(), assets: assets.iter().map(|a| Name::from(*a)).collect() }
}

fn syncing() -> VenueEvent {
    VenueEvent::Unsynced(AccountPush::Syncing(reason()))
}
