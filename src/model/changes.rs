//! What a reader of the store gets.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountRecord, Balance, Mono, Order};

/// Which rows a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Channel {
    #[serde(rename = "user:balances")]
    Balances,
    #[serde(rename = "user:orders")]
    Orders,
}

impl Channel {
    pub const ALL: [Self; 2] = [Self::Balances, Self::Orders];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balances => "user:balances",
            Self::Orders => "user:orders",
        }
    }
}

/// What a reader gets: the newest version of everything that changed after its cursor, up to and including commit `cut`.
#[derive(Debug, Default)]
pub struct Changes {
    pub cut: u64,
    /// Everything there is, not only what changed: the cursor was 0, or too old to be served.
    pub full: bool,
    /// No account in scope is unproven or has left something out.
    pub complete: bool,
    pub accounts: Vec<Arc<AccountRecord>>,
    pub balances: Vec<Arc<Balance>>,
    pub orders: Vec<Arc<Order>>,
    /// When the newest frame behind these changes was read.
    pub read_at: Mono,
    /// How many row versions the accounts in scope have seen so far: what grew more than was delivered was skipped.
    pub versions: u64,
}

impl Changes {
    /// Nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.balances.is_empty() && self.orders.is_empty()
    }
}
