//! From the venue's words to the gateway's: one portfolio message as rows, doubts and facts.
//!
//! What to make of an asset that is not named is the session's business.

use super::wire::{self, Portfolio};
use crate::model::{Facts, Name, RowUpdate};
use crate::venue::Out;

/// A message may have as many problems as rows; so many of them are told.
const MAX_PROBLEMS_TOLD: usize = 8;

/// What one portfolio message says, in the gateway's words.
#[derive(Default)]
pub(super) struct Said {
    pub rows: Vec<RowUpdate>,
    /// By wallet, the assets that are named without readable numbers, or by a name that no row can have.
    pub unproven: Vec<(Name, Vec<Name>)>,
    /// Of the first account: the gateway's account has one record, and the manual keeps further ones for a later day.
    pub facts: Facts,
}

impl Said {
    /// Translates; what is wrong with single rows is counted on the way.
    pub fn of(portfolio: Portfolio<'_>, out: &mut Out) -> Self {
        let mut said = Self::default();
        said.rows.reserve(portfolio.accounts.iter().map(|account| account.assets.len()).sum());
        let mut told = 0;
        let mut tell = |problem: Option<String>, out: &mut Out| {
            if let Some(problem) = problem.filter(|_| told < MAX_PROBLEMS_TOLD) {
                told += 1;
                out.malformed(format!("{}: {problem}", wire::CHANNEL));
            }
        };
        for (index, account) in portfolio.accounts.into_iter().enumerate() {
            if index == 0 {
                said.facts = Facts { fees: account.fees, stats: account.stats.map(ToOwned::to_owned), ..Facts::default() };
            }
            tell(account.problem, out);
            // No row can have that name: the store says that the account lacks something.
            let mut unproven = Vec::from_iter(account.nameless);
            for asset in account.assets {
                tell(asset.problem, out);
                if asset.unreadable {
                    unproven.push(asset.name.clone());
                }
                said.rows.push(RowUpdate {
                    total: asset.balance,
                    available: asset.free,
                    locked: asset.locked,
                    venue_ts: Some(portfolio.at),
                    ..RowUpdate::new(account.id.clone(), asset.name)
                });
            }
            said.unproven.push((account.id, unproven));
        }
        said
    }
}
