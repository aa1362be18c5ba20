//! What a subscription asks for. A filter narrows what a user may see; it never grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountKey, Balance, MAX_ASSET_CHARS, Order};

/// Most entries one list of a filter may hold.
pub const MAX_FILTER_ENTRIES: usize = 500;

/// Narrows what a user may see, never grants. OR inside a list, AND between lists. A list that is not given does not narrow; an
/// empty one is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Names of venues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_FILTER_ENTRIES), inner(length(max = MAX_ASSET_CHARS)))]
    pub venues: Option<Vec<String>>,
    /// Names of accounts. One that the user may not see matches nothing, as one that does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_FILTER_ENTRIES), inner(length(max = MAX_ASSET_CHARS)))]
    pub accounts: Option<Vec<String>>,
    /// The venues' own identifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_FILTER_ENTRIES), inner(length(max = MAX_ASSET_CHARS)))]
    pub assets: Option<Vec<String>>,
    /// Leaves out rows that hold nothing. A row that becomes zero is still told once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<bool>")]
    pub nonzero: bool,
}

impl Filter {
    /// Sorts and dedupes the lists, so that equal filters are equal values.
    pub fn normalize(&mut self) {
        for list in [&mut self.venues, &mut self.accounts, &mut self.assets].into_iter().flatten() {
            list.sort_unstable();
            list.dedup();
        }
    }

    /// Does the filter let this account through?
    pub fn admits_account(&self, key: &AccountKey) -> bool {
        contains(&self.venues, key.venue) && contains(&self.accounts, &key.account)
    }

    /// Does the row belong to a snapshot?
    pub fn admits(&self, row: &Balance) -> bool {
        contains(&self.assets, &row.asset) && !(self.nonzero && row.is_zero())
    }

    /// Does the row belong to an update for a reader who has seen everything up to `cursor`? With `nonzero`, a row that became
    /// zero since is told, so that the reader does not keep its old value.
    pub fn admits_change(&self, row: &Balance, cursor: u64) -> bool {
        contains(&self.assets, &row.asset) && !(self.nonzero && row.is_zero() && row.value_gsn <= cursor)
    }

    /// Does the order belong to a snapshot or update?
    pub fn admits_order(&self, order: &Order) -> bool {
        contains(&self.assets, &order.asset)
    }
}

fn contains(list: &Option<Vec<String>>, name: &str) -> bool {
    // Sorted by `normalize`.
    list.as_ref().is_none_or(|list| list.binary_search_by(|entry| entry.as_str().cmp(name)).is_ok())
}
