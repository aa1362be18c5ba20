//! A live account with rows, for benches of what follows a venue's word.
//!
//! It measures nothing.

use std::sync::Arc;

use balance_gateway::metrics::Metrics;
use balance_gateway::model::{
    AccountIdx, AccountKey, Amount, Field, Freshness, Name, Now, RowUpdate, Scope, Snapshot, UnixMs, VenueEvent,
};
use balance_gateway::store::Store;

/// A live account with `rows` rows.
pub struct Held {
    pub store: Arc<Store>,
    pub metrics: Arc<Metrics>,
    pub idx: AccountIdx,
    pub now: Now,
    n: u64,
}

impl Held {
    pub fn new(rows: usize) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let now = Now { unix: UnixMs(1_763_121_358_960), ..Now::default().plus_ms(1_000_000) };
        let key = AccountKey { venue: "bitfinex", account: "bfx-main".into() };
        let idx = store.add_account(key, true, 200_000, now);
        store.opened(idx, now);
        let rows = (0..rows).map(|i| row(i, 1)).collect();
        let list = Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows };
        store.apply(idx, now, [VenueEvent::Snapshot(list), VenueEvent::Synced]);
        Self { store, metrics, idx, now, n: 1 }
    }

    /// Commits `count` rows that change.
    pub fn commit(&mut self, count: usize) {
        let rows = self.told(count);
        self.say(rows);
    }

    /// `count` rows as the venue would tell them now; each differs from what is held.
    pub fn told(&mut self, count: usize) -> Vec<RowUpdate> {
        self.n += 1;
        (0..count).map(|i| row(i * 7, self.n)).collect()
    }

    /// Commits what the venue told.
    pub fn say(&self, rows: Vec<RowUpdate>) {
        self.store.apply(self.idx, self.now, [VenueEvent::Rows(rows)]);
    }
}

/// A row that was told for the `n`th time.
pub fn row(i: usize, n: u64) -> RowUpdate {
    let amount = |whole: u64| Field::Is(format!("{whole}.61169184").parse::<Amount>().expect("an amount"));
    RowUpdate {
        total: amount(n + 1),
        available: amount(n),
        locked: amount(1),
        ..RowUpdate::new("exchange", Name::from(format!("A{i}")))
    }
}
