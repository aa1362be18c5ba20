//! What a venue told of and no row shows: why an account is not complete, and which later list shows it whole again.
//!
//! It judges no row; what could not be taken up, and which list was read whole, the ledger says.

use super::merge::within;
use crate::model::{Freshness, Mono, Name, Reason, Scope};

/// Wallets told apart: a list of one of them alone shows it whole. Beyond it the whole account counts.
const MAX_WALLETS: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Omissions(Vec<Omission>);

#[derive(Debug)]
struct Omission {
    /// `None`: who knows of which.
    wallet: Option<Name>,
    reason: Reason,
    /// When it was last told of.
    at: Mono,
}

impl Omissions {
    /// Something was left out. Of no `wallet` that is known: only a list of the whole account shows it gone.
    pub(super) fn note(&mut self, wallet: Option<&Name>, reason: Reason, at: Mono) {
        let same = |omission: &&mut Omission| omission.wallet.as_ref() == wallet;
        if let Some(known) = self.0.iter_mut().find(same) {
            return known.at = at; // the first reason stays: two that take turns would be told again and again
        }
        if wallet.is_none() || self.0.len() < MAX_WALLETS {
            self.0.push(Omission { wallet: wallet.cloned(), reason, at });
        } else {
            self.note(None, reason, at);
        }
    }

    /// Forgets what a list of `scope`, read whole, names again or shows gone. An asked one may be older than what was told since. False:
    /// there was nothing to forget.
    pub(super) fn settle(&mut self, scope: &Scope, freshness: Freshness) -> bool {
        // What was heard in the very moment of asking is why it was asked.
        let is_older = |at: Mono| !matches!(freshness, Freshness::Asked { sent } if at > sent);
        let covers = |wallet: &Option<Name>| match wallet {
            Some(wallet) => within(scope, wallet),
            None => *scope == Scope::Account,
        };
        let before = self.0.len();
        self.0.retain(|omission| !(covers(&omission.wallet) && is_older(omission.at)));
        self.0.len() < before
    }

    /// A new connection tells everything anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The reason of the first.
    pub(super) fn reason(&self) -> Option<&Reason> {
        self.0.first().map(|omission| &omission.reason)
    }
}
