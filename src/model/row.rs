//! Rows: one balance, one order.

use std::sync::Arc;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{AccountKey, Amount, UnixMs};

/// Longest asset or wallet identifier taken from a venue, in characters.
pub const MAX_ASSET_CHARS: usize = 128;

/// A short text of the venue's: wallet, asset, order id, status.
pub type Name = CompactString;

/// May a row's asset or wallet be called so? It has 1 to [`MAX_ASSET_CHARS`] characters.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && (text.len() <= MAX_ASSET_CHARS || text.chars().nth(MAX_ASSET_CHARS).is_none())
}

/// A name as a venue wrote it. One that no row may have is cut, and stays such a one: nobody can make us keep it whole.
pub fn cut_name(text: &str) -> Name {
    match text.char_indices().nth(MAX_ASSET_CHARS + 1) {
        Some((end, _)) => Name::from(&text[..end]),
        None => Name::from(text),
    }
}

/// How far one row can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// What the venue last said, on a connection that is proven.
    Live,
    /// What the venue last said, now unproven.
    Stale,
    /// Nothing received yet.
    Pending,
}

impl RowState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Pending => "pending",
        }
    }
}

/// Where one of a row's numbers comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// The venue sent it.
    #[default]
    Reported,
    /// Computed from two others by an identity the venue documents.
    Derived,
    /// Zero, because the venue's complete list no longer names the asset.
    Absent,
}

/// A number that was known before the venue withdrew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastKnown {
    pub available: Amount,
    /// When it was last reported.
    pub ts: UnixMs,
}

/// Further words of the venue about a row, each a string.
pub type Extra = Arc<[(&'static str, CompactString)]>;

/// One balance. Whole: a client replaces the row, there are no deltas. Each number is `None` where the venue has not said.
#[derive(Debug, Clone)]
pub struct Balance {
    pub key: Arc<AccountKey>,
    pub wallet: Name,
    pub asset: Name,
    pub total: Option<Amount>,
    pub available: Option<Amount>,
    pub locked: Option<Amount>,
    /// Origins of total, available, locked.
    pub basis: [Origin; 3],
    pub state: RowState,
    /// The commit that last changed anything of this row.
    pub gsn: u64,
    /// The commit that last changed one of the numbers.
    pub value_gsn: u64,
    /// The venue's own time. `None`: it sends none.
    pub venue_ts: Option<UnixMs>,
    /// When the frame holding these numbers was read.
    pub received_ts: UnixMs,
    /// When one of the numbers last changed.
    pub changed_ts: UnixMs,
    pub last_known: Option<Box<LastKnown>>,
    pub cause: Option<Arc<Cause>>,
    pub extra: Option<Extra>,
}

impl Balance {
    /// True when nothing is held, as far as the venue has said. Unknown is not zero.
    pub fn is_zero(&self) -> bool {
        let zero = |a: &Option<Amount>| a.as_ref().is_some_and(Amount::is_zero);
        match &self.total {
            Some(total) => total.is_zero() && self.available.as_ref().is_none_or(Amount::is_zero),
            None => zero(&self.available) && zero(&self.locked),
        }
    }
}

/// Why a row changed, in one vocabulary, with the venue's own words kept.
#[derive(Debug, Clone)]
pub struct Cause {
    pub kind: CauseKind,
    pub description: Option<Box<str>>,
    /// The venue's own JSON, verbatim.
    pub venue: Option<Box<RawValue>>,
}

impl Cause {
    pub fn of(kind: CauseKind) -> Self {
        Self { kind, description: None, venue: None }
    }
}

/// The closed vocabulary of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// Something was bought or sold.
    Trade,
    /// A fee was taken.
    Fee,
    /// An order was placed, changed or canceled: what is locked changed.
    Order,
    /// Something came in from outside the venue.
    Deposit,
    /// Something left the venue.
    Withdrawal,
    /// Something moved between wallets or accounts of the venue.
    Transfer,
    /// A payment for a position that is held.
    Funding,
    /// Interest was paid or earned.
    Interest,
    /// The venue corrected something.
    Adjustment,
    /// The stream had missed or misstated this; the venue's REST answer corrected it.
    Reconcile,
    /// A complete snapshot no longer names the asset.
    Absent,
    /// The venue gave a reason that is none of the above.
    Other,
}

/// One order, as far as a balance stream tells of it.
#[derive(Debug, Clone)]
pub struct Order {
    pub key: Arc<AccountKey>,
    pub order_id: Name,
    pub asset: Name,
    /// `None`: the venue has not said.
    pub filled: Option<Amount>,
    /// The venue's word.
    pub status: Name,
    /// No further change is to come.
    pub is_final: bool,
    pub state: RowState,
    pub gsn: u64,
    pub received_ts: UnixMs,
    pub changed_ts: UnixMs,
    pub extra: Option<Extra>,
}
