//! What a venue told of and no row shows: why an account is not complete, and which later list shows it whole again.
//!
//! It judges no row; what could not be taken up, and which list was read whole, the ledger says.

use super::merge::within;
use crate::model::{Freshness, Mono, Name, Reason, Scope};

/// Assets told apart, and then wallets: a list of one of these alone shows it whole. Beyond them the whole account counts.
const MAX_ASSETS: usize = 256;
const MAX_WALLETS: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Omissions(Vec<Omission>);

#[derive(Debug)]
struct Omission {
    /// `None`: who knows of which.
    wallet: Option<Name>,
    /// `None`: more than one, or no name that a row can have.
    asset: Option<Name>,
    reason: Reason,
    /// When it was last told of.
    at: Mono,
    /// An asked list seems to show it gone; a second one must agree, for a single one may lag behind what was told.
    doubted: bool,
}

/// What a whole list did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// Something is left out no more.
    pub any: bool,
    /// How many await a second list.
    pub doubted: usize,
}

impl Omissions {
    /// Something was left out. Of no `wallet` that is known: only a list of the whole account shows it gone.
    pub(super) fn note(&mut self, wallet: Option<&Name>, asset: Option<&Name>, reason: Reason, at: Mono) {
        let same = |omission: &&mut Omission| (omission.wallet.as_ref(), omission.asset.as_ref()) == (wallet, asset);
        if let Some(known) = self.0.iter_mut().find(same) {
            // The first reason stays: two that take turns would be told again and again.
            return (known.at, known.doubted) = (at, false);
        }
        match (wallet, asset) {
            (Some(_), Some(_)) if self.0.len() >= MAX_ASSETS => self.note(wallet, None, reason, at),
            (Some(_), None) if self.0.len() >= MAX_WALLETS => self.note(None, None, reason, at),
            _ => self.0.push(Omission { wallet: wallet.cloned(), asset: asset.cloned(), reason, at, doubted: false }),
        }
    }

    /// A row shows the asset now. False: it was not left out.
    pub(super) fn show(&mut self, wallet: &Name, asset: &Name) -> bool {
        let before = self.0.len();
        self.0.retain(|omission| (omission.wallet.as_ref(), omission.asset.as_ref()) != (Some(wallet), Some(asset)));
        self.0.len() < before
    }

    /// Forgets what a list of `scope`, read whole, names again or shows gone. An asked one may be older than what was told since.
    pub(super) fn settle(&mut self, scope: &Scope, freshness: Freshness) -> Settled {
        let mut settled = Settled::default();
        self.0.retain_mut(|omission| {
            let covered = omission.wallet.as_ref().map_or(*scope == Scope::Account, |wallet| within(scope, wallet));
            let gone = match freshness {
                // What was heard in the very moment of asking is why it was asked.
                Freshness::Asked { sent } if omission.at > sent => return true,
                Freshness::Asked { .. } => std::mem::replace(&mut omission.doubted, covered),
                Freshness::Stream => true,
            };
            settled.any |= covered && gone;
            settled.doubted += usize::from(covered && !gone);
            !(covered && gone)
        });
        settled
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
