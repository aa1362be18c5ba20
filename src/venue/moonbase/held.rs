//! Which assets were last said to be held, and what it has meant so far when an update did not name one of them.
//!
//! Names only, never numbers: the balances are the store's. The manual leaves open whether an update lists all that is held or
//! only what changed; this is the bookkeeping that finds out without guessing.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::Account;
use crate::model::Name;

/// Most names remembered. The assets of one account number a few hundred; beyond the bound an omission goes unnoticed until the
/// next periodic snapshot.
pub(super) const MAX_HELD: usize = 10_000;

/// The names last seen with something held, by wallet.
#[derive(Debug, Default)]
pub(super) struct Held {
    wallets: BTreeMap<Name, BTreeMap<Name, Mark>>,
    count: usize,
    round: u64,
}

#[derive(Debug)]
struct Mark {
    /// The update that last named it.
    round: u64,
    /// An update left it out, and no later message has named it.
    omitted: bool,
}

/// What a snapshot says of the names we remembered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Left out by an update, and held all the same.
    pub kept: usize,
    /// Left out by an update, and gone.
    pub gone: usize,
    /// Never left out since, and gone: no update told of it.
    pub untold: usize,
}

impl Held {
    /// Takes an update in. Returns, by wallet, what was held and is left out for the first time since it was named.
    /// A wallet that the update does not name at all is not left out: it is not spoken of.
    pub fn update(&mut self, accounts: &[Account<'_>]) -> Vec<(Name, Vec<Name>)> {
        self.round += 1;
        accounts.iter().for_each(|account| self.note(account));
        let mut left_out = Vec::new();
        for account in accounts {
            let Some(wallet) = self.wallets.get_mut(&account.id) else { continue };
            let unnamed = wallet.iter_mut().filter(|(_, mark)| mark.round != self.round && !mark.omitted);
            let names: Vec<Name> = unnamed
                .map(|(name, mark)| {
                    mark.omitted = true;
                    name.clone()
                })
                .collect();
            if !names.is_empty() {
                left_out.push((account.id.clone(), names));
            }
        }
        left_out
    }

    /// By wallet that a message speaks of, what is held and not named in it. Remembers nothing of the message.
    pub fn unnamed(&self, accounts: &[Account<'_>]) -> Vec<(Name, Vec<Name>)> {
        let of = |account: &Account<'_>| {
            let named: BTreeSet<&Name> = account.assets.iter().map(|asset| &asset.name).collect();
            let held = self.wallets.get(&account.id).into_iter().flat_map(BTreeMap::keys);
            (account.id.clone(), held.filter(|name| !named.contains(name)).cloned().collect())
        };
        accounts.iter().map(of).collect()
    }

    /// Takes a snapshot in: it is complete, so nothing else is held any more.
    pub fn snapshot(&mut self, accounts: &[Account<'_>]) -> Settled {
        let before = std::mem::take(&mut self.wallets);
        (self.count, self.round) = (0, self.round + 1);
        accounts.iter().for_each(|account| self.note(account));
        let mut settled = Settled::default();
        for (wallet, names) in &before {
            for (name, mark) in names {
                match (self.wallets.get(wallet).is_some_and(|now| now.contains_key(name)), mark.omitted) {
                    (true, true) => settled.kept += 1,
                    (false, true) => settled.gone += 1,
                    (false, false) => settled.untold += 1,
                    (true, false) => {}
                }
            }
        }
        settled
    }

    fn note(&mut self, account: &Account<'_>) {
        for asset in &account.assets {
            if asset.is_zero {
                let gone = self.wallets.get_mut(&account.id).and_then(|wallet| wallet.remove(&asset.name));
                self.count -= usize::from(gone.is_some());
                continue;
            }
            let mark = Mark { round: self.round, omitted: false };
            if let Some(known) = self.wallets.get_mut(&account.id).and_then(|wallet| wallet.get_mut(&asset.name)) {
                *known = mark;
            } else if self.count < MAX_HELD {
                self.wallets.entry(account.id.clone()).or_default().insert(asset.name.clone(), mark);
                self.count += 1;
            }
        }
        if self.wallets.get(&account.id).is_some_and(BTreeMap::is_empty) {
            self.wallets.remove(&account.id);
        }
    }
}

/// What leaving an asset out of an update has meant so far. Belongs to the account and survives its connections.
#[derive(Debug)]
pub(super) struct Habit {
    proofs: u8,
    needed: u8,
}

impl Default for Habit {
    /// One proof could be a coin sold and bought back between the update and the snapshot; two in a row hardly are.
    fn default() -> Self {
        Self { proofs: 0, needed: 2 }
    }
}

impl Habit {
    /// Updates name only what changed: an asset left out is as it was.
    pub fn is_partial(&self) -> bool {
        self.proofs >= self.needed
    }

    /// Learns from a snapshot that was asked for because of omissions, or to audit.
    pub fn learn(&mut self, settled: &Settled) {
        if self.is_partial() && settled.untold + settled.gone > 0 {
            // Believed, and yet an asset vanished in silence: believe less readily from now on.
            *self = Self { proofs: 0, needed: self.needed.saturating_mul(2) };
        } else if settled.gone > 0 {
            self.proofs = 0;
        } else if settled.kept > 0 {
            self.proofs = self.proofs.saturating_add(1);
        }
    }
}
