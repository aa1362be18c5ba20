//! Who wants to be woken for which account.
//!
//! Readers are woken in batches: the list is locked only to copy a batch, never while a reader works.

use std::sync::{Arc, Weak};

use dashmap::DashMap;

use crate::model::AccountIdx;
use crate::sync::{Mutex, Notify};

/// Readers woken between two looks at the list.
const BATCH: usize = 64;

/// Somebody who reads a view when told that it may have changed.
pub trait Wake: Send + Sync {
    /// Reads, or remembers to. Must not block for long and must not register or drop a [`Watch`] of another reader.
    fn wake(&self);
}

/// A reader that waits in a task of its own. A wake while it does not wait is kept.
#[derive(Debug, Default)]
pub struct Waker(Notify);

impl Waker {
    /// Waits for a wake. May be cancelled; a wake is not lost by that.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

impl Wake for Waker {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// Readers in slots; a free slot is used again.
#[derive(Default)]
struct Readers {
    slots: Vec<Option<Weak<dyn Wake>>>,
    free: Vec<u32>,
}

impl Readers {
    fn add(&mut self, reader: Weak<dyn Wake>) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(reader);
            return slot;
        }
        self.slots.push(Some(reader));
        (self.slots.len() - 1) as u32
    }

    fn remove(&mut self, slot: u32) {
        self.slots[slot as usize] = None;
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            *self = Self::default();
        }
    }
}

type Shared = Arc<Mutex<Readers>>;

#[derive(Default)]
pub(super) struct Watches {
    by_account: DashMap<AccountIdx, Shared>,
    everybody: Shared,
}

impl Watches {
    pub(super) fn add(&self, accounts: &[AccountIdx], reader: &Weak<dyn Wake>) -> Watch {
        let lists = accounts.iter().map(|idx| Arc::clone(&self.by_account.entry(*idx).or_default()));
        let lists = lists.chain([Arc::clone(&self.everybody)]);
        let places = lists.map(|list| {
            let slot = list.lock().add(Weak::clone(reader));
            (list, slot)
        });
        Watch { places: places.collect() }
    }

    /// The readers of an account (`None`: all), batch by batch.
    pub(super) fn batches(&self, idx: Option<AccountIdx>) -> Batches {
        let list = match idx {
            Some(idx) => self.by_account.get(&idx).map(|list| Arc::clone(&list)),
            None => Some(Arc::clone(&self.everybody)),
        };
        Batches { list, at: 0 }
    }
}

/// See [`Watches::batches`]. A reader that registers meanwhile may be passed over: it reads by itself after registering.
pub(super) struct Batches {
    list: Option<Shared>,
    at: usize,
}

impl Iterator for Batches {
    type Item = Vec<Arc<dyn Wake>>;

    fn next(&mut self) -> Option<Self::Item> {
        let readers = self.list.as_ref()?.lock();
        let end = readers.slots.len().min(self.at + BATCH);
        let slots = readers.slots.get(self.at..end).filter(|slots| !slots.is_empty())?;
        self.at = end;
        Some(slots.iter().flatten().filter_map(Weak::upgrade).collect())
    }
}

/// A registration; dropping it ends it.
pub struct Watch {
    places: Box<[(Shared, u32)]>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (list, slot) in &self.places {
            list.lock().remove(*slot);
        }
    }
}
