//! Who sees what: views of the store, the frames their readers share, and the wake-ups between.
//!
//! A view is a set of accounts, a filter and a channel; connections with the same view share one, and with it every encoded
//! frame. The hub does not know venues, tokens or sockets.

mod view;
mod wake;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use dashmap::DashMap;

use crate::metrics::Metrics;
use crate::model::{AccountIdx, Channel, Filter, Now, UnixMs};
use crate::store::Store;

pub use view::{Frames, View};
pub use wake::{Wake, Waker, Watch};

/// See the module.
pub struct Hub {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    views: DashMap<ViewKey, Weak<View>>,
    watches: wake::Watches,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ViewKey {
    channel: Channel,
    accounts: Vec<AccountIdx>,
    filter: Filter,
}

impl Hub {
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { store, metrics, views: DashMap::new(), watches: wake::Watches::default() })
    }

    /// The view of those of `visible` that the filter admits. `visible` is what the reader has a right to, in ascending order.
    pub fn view(&self, visible: &[AccountIdx], filter: &Filter, channel: Channel) -> Arc<View> {
        let admitted = |idx: &AccountIdx| self.store.record(*idx).is_some_and(|record| filter.admits_account(&record.key));
        let accounts: Vec<_> = visible.iter().copied().filter(admitted).collect();
        let key = ViewKey { channel, accounts, filter: filter.clone() };
        let mut entry = self.views.entry(key).or_default();
        if let Some(view) = entry.upgrade() {
            return view;
        }
        let epoch = self.epoch(visible, filter);
        let view = Arc::new(View::new(
            Arc::clone(&self.store),
            Arc::clone(&self.metrics),
            epoch,
            channel,
            entry.key().accounts.clone(),
            filter.clone(),
        ));
        *entry = Arc::downgrade(&view);
        drop(entry);
        if self.views.len() > 64 && self.views.len().is_power_of_two() {
            self.views.retain(|_, view| view.strong_count() > 0);
        }
        view
    }

    /// The history in which a reader's numbers compare: this run, what the reader may see, and its filter. Another right or another
    /// filter is another history, so a `since` from before cannot hide rows that the reader never got.
    fn epoch(&self, visible: &[AccountIdx], filter: &Filter) -> String {
        let mut hasher = DefaultHasher::new();
        (visible, filter).hash(&mut hasher);
        format!("{}-{:08x}", self.store.epoch(), hasher.finish() as u32)
    }

    /// Wakes watchers after commits, until dropped. Run it as one task.
    pub async fn run(self: Arc<Self>, now: impl Fn() -> Now) {
        let bell = self.store.bell();
        let (mut cursor, mut accounts, mut batch, mut woken) = (0, Vec::new(), wake::Batch::new(), 0);
        loop {
            cursor = self.store.accounts_changed_since(cursor, &mut accounts);
            let mut flush = self.metrics.traces.flushing(cursor);
            for idx in &accounts {
                let mut readers = self.watches.of(Some(*idx));
                while readers.next(&mut batch) {
                    if let Some(flush) = &mut flush {
                        flush.readers += batch.len() as u64;
                    }
                    let now = Some(now());
                    batch.iter().for_each(|reader| reader.wake(now));
                    // Thousands of readers are no reason to keep others of this runtime waiting.
                    woken += batch.len();
                    if woken >= wake::BATCH {
                        woken = 0;
                        tokio::task::yield_now().await;
                    }
                }
            }
            batch.clear(); // keeps nobody alive who leaves
            if let Some(flush) = flush {
                self.metrics.traces.flushed(flush);
            }
            // The bell hangs since before the first look, and keeps a ring while nobody waits: no commit is missed.
            bell.notified().await;
        }
    }

    /// Wakes whoever watches an account that changed after `cursor`, at once; tells the next cursor.
    pub fn wake_since(&self, cursor: u64) -> u64 {
        let mut accounts = Vec::new();
        let cut = self.store.accounts_changed_since(cursor, &mut accounts);
        accounts.into_iter().for_each(|idx| self.watches.of(Some(idx)).wake());
        cut
    }

    /// Lets go what nobody can be given any more. Call it now and then.
    pub fn forget(&self, now: UnixMs) {
        let views: Vec<_> = self.views.iter().filter_map(|view| view.upgrade()).collect();
        views.iter().for_each(|view| view.forget(now));
    }

    /// Wakes everybody: rights may have changed.
    pub fn wake_all(&self) {
        self.watches.of(None).wake();
    }

    /// Registers a reader for changes of rights alone, until the watch is dropped.
    pub fn enroll(&self, reader: &Weak<dyn Wake>) -> Watch {
        self.watches.add(&[], reader)
    }

    /// Registers a reader for a view until the watch is dropped. It is woken for every commit that begins after this call returns.
    pub fn watch(&self, view: &View, reader: &Weak<dyn Wake>) -> Watch {
        self.watches.add(view.accounts(), reader)
    }
}

#[cfg(test)]
mod tests;
