//! Rows and account records as they stand on the wire. Descriptions here are what clients' programmers read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{AccountState, Amount, CauseKind, Fees, Reason, RowState, UnixMs};

/// One balance, keyed by venue, account, wallet and asset. Whole: it replaces the row of the same key; there are no deltas. Each number
/// is `null` where the venue has not said; `"0"` is *the venue said zero*.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    pub venue: String,
    pub account: String,
    /// A compartment inside the account: `spot`, `exchange`, a chain address.
    pub wallet: String,
    /// The venue's own identifier, verbatim.
    pub asset: String,
    pub total: Option<Amount>,
    pub available: Option<Amount>,
    pub locked: Option<Amount>,
    /// Absent: all numbers are plainly reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    pub state: RowState,
    /// The commit that last changed anything of the row.
    pub gsn: u64,
    /// The venue's own time; `null` where it sends none.
    pub venue_ts: Option<UnixMs>,
    /// When the frame holding these numbers was read.
    pub received_ts: UnixMs,
    /// When one of the numbers last changed.
    pub changed_ts: UnixMs,
    /// Present where the venue withdrew a value that it had given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_known: Option<LastKnown>,
    /// Further words of the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, String>>,
    /// Why the numbers last changed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Marks the numbers of a row that were not plainly reported.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<BasisWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<BasisWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<BasisWord>,
}

/// Where a number comes from that was not plainly reported.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BasisWord {
    /// Computed from the two others by an identity that the venue documents.
    Derived,
    /// Zero, because a complete list of the venue no longer names the asset.
    Absent,
}

/// What was known before the venue withdrew it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LastKnown {
    pub available: Amount,
    /// When it was last reported.
    pub ts: UnixMs,
}

/// Why a row changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    #[serde(rename = "type")]
    pub kind: CauseKind,
    /// The venue's own words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The venue's own JSON, verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Value>,
}

/// One order, keyed by venue, account and order id, as far as a balance stream tells of it. Whole, as a balance is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    pub venue: String,
    pub account: String,
    pub order_id: String,
    /// The venue's own identifier, verbatim.
    pub asset: String,
    /// `null` where the venue has not said.
    pub filled: Option<Amount>,
    /// The venue's word.
    pub status: String,
    /// No further change is to come.
    #[serde(rename = "final")]
    pub is_final: bool,
    pub state: RowState,
    /// The commit that last changed anything of the row.
    pub gsn: u64,
    pub received_ts: UnixMs,
    pub changed_ts: UnixMs,
    /// Further words of the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, String>>,
}

/// What is known of an account besides its rows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    pub venue: String,
    pub account: String,
    pub state: AccountState,
    /// When `state` was entered.
    pub since: UnixMs,
    /// Present where `state` is not `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fees: Option<Fees>,
    /// Trading statistics, in the venue's own JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<BTreeMap<String, Value>>,
    /// What the key may do, in the venue's own JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<BTreeMap<String, Value>>,
    /// For people: a key that may withdraw, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Rows that a reconcile had to correct since the gateway started.
    pub drift_count: u64,
    /// Connections made after the first, since the gateway started. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_count: Option<u64>,
    /// Snapshots that had to be asked for anew on a standing connection, since the gateway started. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync_count: Option<u64>,
    /// When a complete list of the venue last confirmed the rows. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_confirmed_ts: Option<UnixMs>,
    /// When the account's upstream last proved to be alive; `null`: not yet. As of the writing of the frame: it moves without a gsn, and
    /// no update is sent for it alone.
    pub proven_ts: Option<UnixMs>,
}
