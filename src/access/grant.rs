//! From an identity to the accounts it may see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::Identity;
use crate::model::{AccountIdx, AccountKey};

/// The accounts a user may see now. Evaluated once; renewed when the directory changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    accounts: Arc<[AccountIdx]>,
    generation: u64,
}

impl Grant {
    /// In ascending order.
    pub fn accounts(&self) -> &[AccountIdx] {
        &self.accounts
    }
}

/// One account and who owns it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub idx: AccountIdx,
    pub key: AccountKey,
    pub owners: Vec<String>,
}

/// Every configured account. Replaced whole when the configuration changes.
#[derive(Debug, Default)]
pub struct Directory {
    accounts: ArcSwap<Vec<Listed>>,
    generation: AtomicU64,
}

impl Directory {
    /// Puts another list in place. Grants made before are outdated from now on.
    pub fn replace(&self, mut accounts: Vec<Listed>) {
        accounts.sort_by_key(|listed| listed.idx);
        self.accounts.store(Arc::new(accounts));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// What the identity may see: with an accounts claim exactly what matches it, without one the accounts it owns.
    pub fn grant(&self, identity: &Identity) -> Grant {
        // The generation is read first: a list that is replaced in between makes this grant outdated, never too long-lived.
        let generation = self.generation.load(Ordering::Acquire);
        let accounts = self.accounts.load();
        let visible = accounts.iter().filter(|listed| identity.sees(&listed.key.account, &listed.owners));
        Grant { accounts: visible.map(|listed| listed.idx).collect(), generation }
    }

    /// Was the list replaced since the grant was made?
    pub fn is_newer_than(&self, grant: &Grant) -> bool {
        self.generation.load(Ordering::Acquire) != grant.generation
    }

    /// Everything, for whoever runs the accounts.
    pub fn all(&self) -> Arc<Vec<Listed>> {
        self.accounts.load_full()
    }
}
