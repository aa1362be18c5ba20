//! A reader faster than any client: it reads at each ring of the store's bell, so also between two commits of one step, as a reader
//! on another thread may. And the history it makes of that: what every cut of one run of the gateway showed.
//!
//! It only reads and remembers; whether a cut is true is judged in `checks.rs`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use balance_gateway::model::{AccountIdx, AccountRecord, Balance, Changes, Channel, Filter};
use balance_gateway::store::Store;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::truth::Key;

/// See the module. One run of the gateway has one.
pub struct Witness(Arc<Reader>);

struct Reader {
    store: Arc<Store>,
    accounts: Mutex<Vec<AccountIdx>>,
    bell: Arc<Notify>,
    state: Mutex<State>,
}

/// One reading.
pub struct Cut {
    pub changes: Changes,
    /// By account, in the order of the witness's list: would a reader of it alone be told that nothing is left out?
    complete: Vec<(AccountIdx, bool)>,
}

#[derive(Default)]
struct State {
    cursor: u64,
    /// What each reading gave since the world last took it.
    cuts: Vec<Cut>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

impl Reader {
    fn read(&self) {
        let mut state = self.state.lock().expect("no reading panics");
        let accounts = self.accounts.lock().expect("no reading panics");
        let changes = self.store.changes_since(state.cursor, &accounts, &Filter::default(), Channel::Balances);
        if changes.cut > state.cursor {
            state.cursor = changes.cut;
            // Nobody writes meanwhile: a world has one thread.
            let alone = |idx| self.store.changes_since(changes.cut, &[idx], &Filter::default(), Channel::Balances).complete;
            let complete = accounts.iter().map(|idx| (*idx, alone(*idx))).collect();
            state.cuts.push(Cut { changes, complete });
        }
    }

    fn wait(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let rung = self.state.lock().expect("no reading panics").waiting.take();
        if let Some(mut rung) = rung {
            // A ring that was not taken before its future is dropped would be handed on.
            _ = rung.as_mut().poll(&mut context);
        }
        loop {
            let mut waiting = Box::pin(Arc::clone(&self.bell).notified_owned());
            if waiting.as_mut().poll(&mut context) == Poll::Pending {
                self.state.lock().expect("no reading panics").waiting = Some(waiting);
                return;
            }
            self.read();
        }
    }
}

impl Wake for Reader {
    /// Called in the middle of [`Store::apply`], after its lock: exactly where another thread may read.
    fn wake(self: Arc<Self>) {
        self.read();
        self.wait();
    }
}

impl Witness {
    pub fn new(store: &Arc<Store>, accounts: Vec<AccountIdx>) -> Self {
        let accounts = Mutex::new(accounts);
        let reader = Reader { store: Arc::clone(store), accounts, bell: store.bell(), state: Mutex::default() };
        let reader = Arc::new(reader);
        reader.read();
        reader.wait();
        Self(reader)
    }

    /// Reads this account, too: it is new.
    pub fn follow(&self, idx: AccountIdx) {
        self.0.accounts.lock().expect("no reading panics").push(idx);
        // The bell has rung for it, when nobody knew it.
        let changes = self.0.store.changes_since(0, &[idx], &Filter::default(), Channel::Balances);
        let complete = vec![(idx, changes.complete)];
        self.0.state.lock().expect("no reading panics").cuts.push(Cut { changes, complete });
    }

    /// Everything read since the last time, in order.
    pub fn take(&self) -> Vec<Cut> {
        std::mem::take(&mut self.0.state.lock().expect("no reading panics").cuts)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // The future holds a waker that holds the reader.
        let waiting = self.0.state.lock().expect("no reading panics").waiting.take();
        drop(waiting);
    }
}

/// What every cut of one run showed.
#[derive(Default)]
pub struct History {
    accounts: BTreeMap<AccountIdx, Past>,
}

/// One account's versions, each with the gsn from which it held.
#[derive(Default)]
struct Past {
    /// Only where it changes.
    complete: Vec<(u64, bool)>,
    records: Vec<Arc<AccountRecord>>,
    rows: BTreeMap<Key, Vec<Arc<Balance>>>,
}

impl History {
    /// Adds a cut. Cuts come in order.
    pub fn note(&mut self, idx_of: impl Fn(&str) -> AccountIdx, cut: &Cut) {
        let Cut { changes, complete } = cut;
        for (idx, complete) in complete {
            let past = &mut self.accounts.entry(*idx).or_default().complete;
            if past.last().is_none_or(|(_, last)| last != complete) {
                past.push((changes.cut, *complete));
            }
        }
        for record in &changes.accounts {
            let past = self.accounts.entry(idx_of(&record.key.account)).or_default();
            past.records.push(Arc::clone(record));
        }
        for row in &changes.balances {
            let past = self.accounts.entry(idx_of(&row.key.account)).or_default();
            past.rows.entry((row.wallet.clone(), row.asset.clone())).or_default().push(Arc::clone(row));
        }
    }

    /// An account as a reader at `gsn` has it.
    pub fn at(&self, idx: AccountIdx, gsn: u64) -> Option<Seen<'_>> {
        let past = self.accounts.get(&idx)?;
        let record = past.records.iter().rfind(|record| record.gsn <= gsn)?;
        let row = |versions: &Vec<Arc<Balance>>| versions.iter().rfind(|row| row.gsn <= gsn).cloned();
        let complete = past.complete.iter().rfind(|(since, _)| *since <= gsn).is_some_and(|(_, complete)| *complete);
        Some(Seen { record, complete, rows: past.rows.values().filter_map(row).collect() })
    }
}

/// One account in one cut.
pub struct Seen<'a> {
    pub record: &'a Arc<AccountRecord>,
    /// Nothing is left out of it.
    pub complete: bool,
    /// In the order of their keys.
    pub rows: Vec<Arc<Balance>>,
}
