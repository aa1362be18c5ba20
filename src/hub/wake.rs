//! Who wants to be woken for which account.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::model::AccountIdx;

/// One reader's waker. A wake while it does not wait is kept.
#[derive(Debug, Default)]
pub struct Waker(Notify);

impl Waker {
    /// Waits for a wake. May be cancelled; a wake is not lost by that.
    pub async fn woken(&self) {
        self.0.notified().await;
    }

    fn wake(&self) {
        self.0.notify_one();
    }
}

type Readers = HashMap<u64, Arc<Waker>>;

#[derive(Debug, Default)]
pub(super) struct Watches {
    next: AtomicU64,
    by_account: Arc<DashMap<AccountIdx, Readers>>,
    everybody: Arc<DashMap<u64, Arc<Waker>>>,
}

impl Watches {
    pub(super) fn add(&self, accounts: &[AccountIdx], waker: &Arc<Waker>) -> Watch {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        for idx in accounts {
            self.by_account.entry(*idx).or_default().insert(id, Arc::clone(waker));
        }
        self.everybody.insert(id, Arc::clone(waker));
        Watch {
            id,
            accounts: accounts.into(),
            by_account: Arc::clone(&self.by_account),
            everybody: Arc::clone(&self.everybody),
        }
    }

    pub(super) fn wake(&self, idx: AccountIdx) {
        if let Some(readers) = self.by_account.get(&idx) {
            readers.values().for_each(|waker| waker.wake());
        }
    }

    pub(super) fn wake_all(&self) {
        self.everybody.iter().for_each(|entry| entry.value().wake());
    }
}

/// A registration; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    id: u64,
    accounts: Box<[AccountIdx]>,
    by_account: Arc<DashMap<AccountIdx, Readers>>,
    everybody: Arc<DashMap<u64, Arc<Waker>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        for idx in &self.accounts {
            if let Some(mut readers) = self.by_account.get_mut(idx) {
                readers.remove(&self.id);
            }
        }
        self.everybody.remove(&self.id);
    }
}
