//! What a subscription asks for. A filter narrows what a user may see; it never grants.

use serde::{Deserialize, Serialize};

use super::{AccountKey, Balance, Order};

/// Most entries one list of a filter may hold.
pub const MAX_FILTER_ENTRIES: usize = 500;

/// OR inside a list, AND between lists. `None` does not narrow; an empty list never occurs (it is refused on the way in).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venues: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<Vec<String>>,
    /// Leaves out rows that hold nothing. A row that becomes zero is still told once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
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
