//! Who wants to be woken for which account.
//!
//! Readers are woken in batches: the list is locked only to copy a batch, never while a reader works.

use std::hint::black_box;
use std::sync::{Arc, Weak};

use crate::model::{AccountIdx, Now};
use crate::sync::{Mutex, Notify};

/// Readers woken between two looks at the list.
pub(super) const BATCH: usize = 64;

/// Somebody who reads a view when told that it may have changed.
pub trait Wake: Send + Sync {
    /// Reads, or remembers to. Must not block for long and must not register or drop a [`Watch`] of another reader. `now` is the time a
    /// moment ago; `None`: ask for it.
    fn wake(&self, now: Option<Now>);

    /// Looks at the memory that a wake will read, where that can be done at once.
    fn warm(&self) {}
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
    fn wake(&self, _: Option<Now>) {
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
    /// By index: accounts are numbered from zero.
    by_account: Mutex<Vec<Shared>>,
    everybody: Shared,
}

impl Watches {
    pub(super) fn add(&self, accounts: &[AccountIdx], reader: &Weak<dyn Wake>) -> Watch {
        let mut places = Vec::with_capacity(accounts.len() + 1);
        {
            let mut by_account = self.by_account.lock();
            for idx in accounts {
                let at = idx.0 as usize;
                if by_account.len() <= at {
                    by_account.resize_with(at + 1, Shared::default);
                }
                places.push((Arc::clone(&by_account[at]), 0));
            }
        }
        places.push((Arc::clone(&self.everybody), 0));
        for (list, slot) in &mut places {
            *slot = list.lock().add(Weak::clone(reader));
        }
        Watch { places: places.into() }
    }

    /// The readers of an account (`None`: all), batch by batch.
    pub(super) fn of(&self, idx: Option<AccountIdx>) -> Batches {
        let list = match idx {
            Some(idx) => self.by_account.lock().get(idx.0 as usize).map(Arc::clone),
            None => Some(Arc::clone(&self.everybody)),
        };
        Batches { list, at: 0 }
    }
}

/// The readers woken together. Used again, it takes no memory anew.
pub(super) type Batch = Vec<Arc<dyn Wake>>;

/// See [`Watches::of`]. A reader that registers meanwhile may be passed over: it reads by itself after registering.
pub(super) struct Batches {
    list: Option<Shared>,
    at: usize,
}

impl Batches {
    /// Puts the next readers in the place of those in `batch`. False: there are no more.
    pub(super) fn next(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        let Some(list) = &self.list else { return false };
        let readers = list.lock();
        let end = readers.slots.len().min(self.at + BATCH);
        let Some(slots) = readers.slots.get(self.at..end).filter(|slots| !slots.is_empty()) else { return false };
        self.at = end;
        // Readers lie all over the memory. Looked at without waiting for each, they come to the processor together; taking hold of one
        // does wait for it.
        black_box(slots.iter().flatten().map(Weak::strong_count).sum::<usize>());
        batch.extend(slots.iter().flatten().filter_map(Weak::upgrade));
        drop(readers);
        if batch.len() > 1 {
            batch.iter().for_each(|reader| reader.warm());
        }
        true
    }

    /// Wakes them all at once.
    pub(super) fn wake(mut self) {
        let mut batch = Batch::new();
        while self.next(&mut batch) {
            batch.iter().for_each(|reader| reader.wake(None));
        }
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
