//! Frames of the gateway as this client reads them: the fields it shows, and no more. Names and texts are safe to show from here on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::text::Text;
use crate::model::Amount;

/// Any frame. Fields of other kinds are absent.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    pub r#type: String,
    pub id: Option<Value>,
    pub channel: Option<String>,
    pub epoch: Option<String>,
    /// A number, but in a heartbeat an object: channel → number.
    pub gsn: Option<Value>,
    pub prev: Option<u64>,
    pub ts: Option<i64>,
    pub part: Option<u32>,
    pub parts: Option<u32>,
    pub complete: Option<bool>,
    #[serde(default)]
    pub accounts: Vec<Account>,
    #[serde(default)]
    pub balances: Vec<Row>,
    pub success: Option<bool>,
    pub heartbeat_ms: Option<u64>,
    pub error: Option<Refusal>,
    pub code: Option<Text>,
    pub message: Option<Text>,
    pub retry: Option<String>,
    pub reconnect_within_ms: Option<u64>,
}

/// Why a token was refused.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub code: Text,
    pub message: Text,
}

/// An account record.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub venue: Text,
    pub account: Text,
    pub state: Text,
    #[serde(default)]
    pub since: i64,
    pub reason: Option<Reason>,
    #[serde(default)]
    pub warnings: Vec<Text>,
    pub fees: Option<Fees>,
    pub drift_count: Option<u64>,
    pub reconnect_count: Option<u64>,
    pub resync_count: Option<u64>,
    pub last_confirmed_ts: Option<i64>,
}

impl Account {
    /// True where its rows may be live.
    pub(super) fn is_proven(&self) -> bool {
        matches!(&*self.state, "live" | "degraded")
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reason {
    pub text: Text,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Fees {
    pub maker: Option<Text>,
    pub taker: Option<Text>,
}

/// A balance. `None` is: the venue has not said.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub venue: Text,
    pub account: Text,
    pub wallet: Text,
    pub asset: Text,
    pub total: Option<Amount>,
    pub available: Option<Amount>,
    pub locked: Option<Amount>,
    #[serde(default)]
    pub basis: BTreeMap<Text, Text>,
    pub state: Text,
    pub venue_ts: Option<i64>,
    #[serde(default)]
    pub received_ts: i64,
    #[serde(default)]
    pub changed_ts: i64,
    pub last_known: Option<LastKnown>,
    #[serde(default)]
    pub extra: BTreeMap<Text, Text>,
    pub cause: Option<Cause>,
}

/// Which row. Made of the names as they came.
pub(super) type RowKey = [Box<str>; 4];

impl Row {
    pub(super) fn key(&self) -> RowKey {
        [&self.venue, &self.account, &self.wallet, &self.asset].map(|name| name.raw().into())
    }

    /// Total, available, locked.
    pub(super) fn amounts(&self) -> [Option<&Amount>; 3] {
        [self.total.as_ref(), self.available.as_ref(), self.locked.as_ref()]
    }

    /// The same of what the venue withdrew.
    pub(super) fn last_amounts(&self) -> [Option<&Amount>; 3] {
        let last = self.last_known.as_ref();
        [last.and_then(|l| l.total.as_ref()), last.and_then(|l| l.available.as_ref()), last.and_then(|l| l.locked.as_ref())]
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastKnown {
    pub total: Option<Amount>,
    pub available: Option<Amount>,
    pub locked: Option<Amount>,
    pub ts: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Cause {
    pub r#type: Text,
    pub description: Option<Text>,
}

impl Cause {
    /// The venue's words, or the kind.
    pub(super) fn text(&self) -> &str {
        self.description.as_ref().unwrap_or(&self.r#type)
    }
}
