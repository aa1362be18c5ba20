//! What is known now: rows and account records, numbered by commits, read by cursor.
//!
//! Every change gets a `gsn`. [`Store::changes_since`] is the only way anything is read: the first snapshot is that call with
//! cursor 0, resume is that call with a client's number, live delivery is that call after a wake-up. A commit (all that one
//! venue message changed in one account) becomes visible whole and in gsn order, because commits and reads share one short
//! lock; nothing is encoded, awaited or called back under it. The store does not know clients.

mod ledger;
mod merge;
mod omissions;
mod recency;
mod table;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::metrics::{AccountLabels, Metrics, StateLabels, VenueLabels};
use crate::model::{
    AccountIdx, AccountKey, AccountRecord, AccountState, Balance, Changes, Channel, Filter, Now, Reason, VenueEvent, Verdict,
};
use crate::sync::{AtomicU64, Mutex, Notify};
use ledger::{Commit, Ledger};
use recency::Recency;

/// The balances of every account.
pub struct Store {
    epoch: String,
    inner: Mutex<Inner>,
    /// The newest commit once more, for whoever only asks whether there was one.
    newest: AtomicU64,
    bells: Mutex<Vec<Arc<Notify>>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Inner {
    gsn: u64,
    /// Removed accounts leave a hole.
    accounts: Vec<Option<Ledger>>,
    recency: Recency,
}

impl Store {
    /// An empty store. `epoch` names the history in which its numbers compare; it must differ from that of every earlier run.
    pub fn new(epoch: impl Into<String>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            epoch: epoch.into(),
            inner: Mutex::default(),
            newest: AtomicU64::new(0),
            bells: Mutex::default(),
            metrics,
        })
    }

    /// The name of this history.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The newest commit.
    pub fn gsn(&self) -> u64 {
        self.inner.lock().gsn
    }

    /// A bell that rings after every commit. A ring while nobody waits is kept for the next wait.
    pub fn bell(&self) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.bells.lock().push(Arc::clone(&bell));
        bell
    }

    // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Adds an account without rows: `pending`, or `disabled`.
    pub fn add_account(&self, key: AccountKey, enabled: bool, max_rows: usize, now: Now) -> AccountIdx {
        let idx = {
            let mut inner = self.inner.lock();
            inner.gsn += 1;
            let gsn = inner.gsn;
            self.newest.store(gsn, Ordering::Release);
            let idx = inner.recency.add();
            inner.accounts.push(Some(Ledger::new(key, enabled, max_rows, gsn, now.unix)));
            AccountIdx(idx)
        };
        if let Some(record) = self.record(idx) {
            // From the start at zero: an alert on their increase must see the first.
            _ = self.metrics.venue_drift_rows.get_or_create(&account_labels(&record.key));
            _ = self.metrics.venue_decode_errors.get_or_create(&VenueLabels { venue: record.key.venue });
        }
        self.publish_state(idx, None);
        self.ring();
        idx
    }

    /// Forgets an account and its rows. Who could see it must be given a new view.
    pub fn remove_account(&self, idx: AccountIdx) {
        let removed = self.inner.lock().accounts.get_mut(idx.0 as usize).and_then(Option::take);
        if let Some(ledger) = removed {
            self.metrics.store_rows.dec_by(ledger.balances.len() as i64);
            for state in AccountState::ALL {
                self.metrics.venue_state.remove(&state_labels(&ledger.key, state));
            }
            self.metrics.venue_age_seconds.remove(&account_labels(&ledger.key));
            self.metrics.venue_drift_rows.remove(&account_labels(&ledger.key));
        }
        self.ring();
    }

    /// A connection is being made.
    pub fn connecting(&self, idx: AccountIdx, now: Now) {
        self.commit(idx, now, |ledger, c| ledger.connecting(c));
    }

    /// A connection stands; its rows await proof.
    pub fn opened(&self, idx: AccountIdx, now: Now) {
        self.commit(idx, now, |ledger, c| ledger.opened(c));
    }

    /// The connection is gone: every row of the account reads `stale`.
    pub fn lost(&self, idx: AccountIdx, now: Now, state: AccountState, reason: Reason) {
        self.commit(idx, now, |ledger, c| ledger.lost(c, state, reason));
    }

    /// Rows of an earlier run, shown as `stale` until the venue confirms them.
    pub fn restore(&self, idx: AccountIdx, now: Now, rows: Vec<Balance>) {
        self.commit(idx, now, |ledger, c| ledger.restore(c, rows));
    }

    /// Applies all that one venue message said, as one commit; does nothing while no connection stands. The verdict answers all
    /// reconciles among the events; `None`: there were none.
    pub fn apply(&self, idx: AccountIdx, now: Now, events: impl IntoIterator<Item = VenueEvent>) -> Option<Verdict> {
        let mut verdict: Option<Verdict> = None;
        self.commit(idx, now, |ledger, c| {
            for one in events.into_iter().filter_map(|event| ledger.apply(c, event)) {
                let sum = verdict.get_or_insert_default();
                (sum.doubted, sum.corrected) = (sum.doubted + one.doubted, sum.corrected + one.corrected);
            }
            ledger.finish(c);
        });
        verdict
    }

    fn commit(&self, idx: AccountIdx, now: Now, change: impl FnOnce(&mut Ledger, &mut Commit)) {
        let traced = self.metrics.traces.picks();
        let (before, drift, rows, key, gsn) = {
            let mut inner = self.inner.lock();
            let inner = &mut *inner;
            let Some(ledger) = inner.accounts.get_mut(idx.0 as usize).and_then(Option::as_mut) else { return };
            let mut c = Commit::new(inner.gsn + 1, now);
            let (before, rows) = (ledger.record.state, ledger.balances.len());
            change(ledger, &mut c);
            if !c.changed {
                return;
            }
            inner.gsn = c.gsn;
            self.newest.store(c.gsn, Ordering::Release);
            (ledger.last_gsn, ledger.read_at) = (c.gsn, now.mono);
            inner.recency.touch(idx.0);
            let state = (ledger.record.state != before).then_some(before);
            let key = (state.is_some() || c.drift > 0 || traced).then(|| Arc::clone(&ledger.key));
            (state, c.drift, ledger.balances.len() - rows, key, c.gsn)
        };
        self.metrics.store_commits.inc();
        self.metrics.store_rows.inc_by(rows as i64);
        if let (Some(key), true) = (&key, drift > 0) {
            _ = self.metrics.venue_drift_rows.get_or_create(&account_labels(key)).inc_by(drift);
        }
        if let (Some(key), true) = (&key, traced) {
            self.metrics.traces.committed(now.mono.0, gsn, key.venue, &key.account);
        }
        if before.is_some() {
            self.publish_state(idx, before);
        }
        self.ring();
    }

    fn publish_state(&self, idx: AccountIdx, before: Option<AccountState>) {
        let Some(record) = self.record(idx) else { return };
        let states = &self.metrics.venue_state;
        match before {
            Some(before) => _ = states.get_or_create(&state_labels(&record.key, before)).set(0),
            None => AccountState::ALL.into_iter().for_each(|s| _ = states.get_or_create(&state_labels(&record.key, s)).set(0)),
        }
        states.get_or_create(&state_labels(&record.key, record.state)).set(1);
    }

    fn ring(&self) {
        for bell in &*self.bells.lock() {
            bell.notify_one();
        }
    }

    // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The newest version of everything in `accounts` that changed after `cursor` and passes `filter`. Costs what changed (and, for
    /// cursor 0, what exists). Account records are told on every channel.
    pub fn changes_since(&self, cursor: u64, accounts: &[AccountIdx], filter: &Filter, channel: Channel) -> Changes {
        let inner = self.inner.lock();
        let ledgers = || accounts.iter().filter_map(|idx| inner.accounts.get(idx.0 as usize).and_then(Option::as_ref));
        let orders_forgotten = channel == Channel::Orders && ledgers().any(|l| cursor < l.orders_floor);
        // Before the first commit there is nothing that a reader at 0 lacks: it would be given the same nothing again and again.
        let full = (cursor == 0 && inner.gsn > 0) || cursor > inner.gsn || orders_forgotten;
        let mut changes = Changes { cut: inner.gsn, full, complete: true, ..Changes::default() };
        for ledger in ledgers() {
            changes.complete &= ledger.is_complete();
            changes.versions += ledger.versions;
            if full {
                changes.take_all(ledger, filter, channel);
            } else if ledger.last_gsn > cursor {
                changes.take_changed(ledger, cursor, filter, channel);
            }
        }
        changes
    }

    /// Puts the accounts that changed after `cursor` in the place of what is in `accounts`; tells the cut up to which that is so. For
    /// whoever wakes readers.
    pub fn accounts_changed_since(&self, cursor: u64, accounts: &mut Vec<AccountIdx>) -> u64 {
        let inner = self.inner.lock();
        let changed = inner.recency.newest_first().filter_map(|i| inner.accounts[i as usize].as_ref().map(|l| (i, l.last_gsn)));
        accounts.clear();
        accounts.extend(changed.take_while(|(_, gsn)| *gsn > cursor).map(|(i, _)| AccountIdx(i)));
        inner.gsn
    }

    /// Did no commit touch one of `accounts` after `gsn`?
    pub fn is_newest_of(&self, accounts: &[AccountIdx], gsn: u64) -> bool {
        // Mostly there was no commit at all, which is seen without the lock.
        self.newest.load(Ordering::Acquire) <= gsn || self.newest_of(accounts) <= gsn
    }

    /// The newest commit that touched one of `accounts`.
    pub fn newest_of(&self, accounts: &[AccountIdx]) -> u64 {
        let inner = self.inner.lock();
        let ledgers = accounts.iter().filter_map(|idx| inner.accounts.get(idx.0 as usize).and_then(Option::as_ref));
        ledgers.map(|ledger| ledger.last_gsn).max().unwrap_or(0)
    }

    /// Rows of `accounts`, of all channels.
    pub fn rows_of(&self, accounts: &[AccountIdx]) -> usize {
        let inner = self.inner.lock();
        let ledgers = accounts.iter().filter_map(|idx| inner.accounts.get(idx.0 as usize).and_then(Option::as_ref));
        ledgers.map(|ledger| ledger.balances.len() + ledger.orders.len()).sum()
    }

    /// An account's record.
    pub fn record(&self, idx: AccountIdx) -> Option<Arc<AccountRecord>> {
        self.inner.lock().accounts.get(idx.0 as usize)?.as_ref().map(|ledger| Arc::clone(&ledger.record))
    }
}

trait Take {
    fn take_all(&mut self, ledger: &Ledger, filter: &Filter, channel: Channel);
    fn take_changed(&mut self, ledger: &Ledger, cursor: u64, filter: &Filter, channel: Channel);
}

impl Take for Changes {
    fn take_all(&mut self, ledger: &Ledger, filter: &Filter, channel: Channel) {
        self.accounts.push(Arc::clone(&ledger.record));
        self.read_at = self.read_at.max(ledger.read_at);
        match channel {
            Channel::Balances => self.balances.extend(ledger.balances.rows().filter(|r| filter.admits(r)).cloned()),
            Channel::Orders => self.orders.extend(ledger.orders.rows().filter(|o| filter.admits_order(o)).cloned()),
        }
    }

    fn take_changed(&mut self, ledger: &Ledger, cursor: u64, filter: &Filter, channel: Channel) {
        let before = (self.balances.len(), self.orders.len(), self.accounts.len());
        if ledger.record.gsn > cursor {
            self.accounts.push(Arc::clone(&ledger.record));
        }
        match channel {
            Channel::Balances => {
                let rows = ledger.balances.changed_since(cursor).filter(|r| filter.admits_change(r, cursor));
                self.balances.extend(rows.cloned());
                self.balances[before.0..].reverse();
            }
            Channel::Orders => {
                let rows = ledger.orders.changed_since(cursor).filter(|o| filter.admits_order(o));
                self.orders.extend(rows.cloned());
                self.orders[before.1..].reverse();
            }
        }
        if before != (self.balances.len(), self.orders.len(), self.accounts.len()) {
            self.read_at = self.read_at.max(ledger.read_at);
        }
    }
}

fn account_labels(key: &AccountKey) -> AccountLabels {
    AccountLabels { venue: key.venue, account: key.account.to_string() }
}

fn state_labels(key: &AccountKey, state: AccountState) -> StateLabels {
    StateLabels { venue: key.venue, account: key.account.to_string(), state: state.as_str() }
}

#[cfg(test)]
pub(crate) mod tests;
