//! What a client is sent. Snapshots and updates stand here as their encoders write them; the other frames are written from here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::literal;
use super::rows::{Account, Balance, Order};
use super::{Always, Id};
use crate::model::{Channel, UnixMs};
use crate::protocol::{ErrorCode, Retry};

/// Why a snapshot was sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotReason {
    /// The answer to a subscribe.
    Subscribe,
    /// Asked for, or the cursor was too old.
    Resync,
    /// What the user may see changed.
    Grant,
    /// The update would have been too large.
    Bulk,
    /// An answer over HTTP.
    Request,
}

macro_rules! state_frames {
    ($snapshot:ident, $update:ident, $channel:ident, $rows:ident: $row:ident) => {
        /// Everything there is, as of `gsn`. It replaces all that the client holds of the channel. A large one comes in parts, to be
        /// installed together.
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        pub struct $snapshot {
            pub r#type: literal::Snapshot,
            pub channel: literal::$channel,
            pub reason: SnapshotReason,
            /// The history in which gsn values compare.
            pub epoch: String,
            /// Always 0.
            pub prev: u64,
            /// Everything up to this commit that concerns the subscription is in; nothing later is.
            pub gsn: u64,
            /// 1, 2, … of `parts`. Absent: the snapshot is whole.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub part: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub parts: Option<u64>,
            /// When the frame was written.
            pub ts: UnixMs,
            /// False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out.
            pub complete: bool,
            pub accounts: Vec<Account>,
            pub $rows: Vec<$row>,
        }

        /// What changed since the frame before: whole rows and records.
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        pub struct $update {
            pub r#type: literal::Update,
            pub channel: literal::$channel,
            /// The history in which gsn values compare.
            pub epoch: String,
            /// The gsn of the frame before on this subscription. Where it is another than the client holds, the client asks for a resync.
            pub prev: u64,
            /// Everything up to this commit that concerns the subscription is in; nothing later is.
            pub gsn: u64,
            /// When the frame was written.
            pub ts: UnixMs,
            /// False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out.
            pub complete: bool,
            pub accounts: Vec<Account>,
            pub $rows: Vec<$row>,
        }
    };
}

state_frames!(BalancesSnapshot, BalancesUpdate, Balances, balances: Balance);
state_frames!(OrdersSnapshot, OrdersUpdate, Orders, orders: Order);

/// The token is good. Comes unasked, without an id, where the token came with the upgrade.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuthAccepted<'a> {
    pub r#type: literal::AuthResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub success: Always<true>,
    /// The token's `sub`.
    pub user: &'a str,
    /// When the token ends.
    pub expires_at: UnixMs,
    /// After so long without another frame a heartbeat comes.
    pub heartbeat_ms: u64,
}

/// The token is refused; the socket closes with 4101.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuthRefused<'a> {
    pub r#type: literal::AuthResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub success: Always<false>,
    pub error: Refusal<'a>,
}

/// Why a token is refused: a code to branch on, a text for people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal<'a> {
    pub code: ErrorCode,
    /// For people.
    pub message: &'a str,
}

/// The token ends soon: send a new one of the same subject.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuthExpiring {
    pub r#type: literal::AuthExpiring,
    /// When the token ends.
    pub expires_at: UnixMs,
}

/// A subscription stands. A snapshot follows; where `resumed`, one update with what changed since.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subscribed<'a> {
    pub r#type: literal::Subscribed,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub channel: Channel,
    pub epoch: &'a str,
    pub gsn: u64,
    pub resumed: bool,
}

/// A subscription ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unsubscribed<'a> {
    pub r#type: literal::Unsubscribed,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub channel: Channel,
}

/// Nothing else was sent for a while.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heartbeat {
    pub r#type: literal::Heartbeat,
    pub ts: UnixMs,
    pub gsn: Gsns,
}

/// The gsn of the last frame of each subscription. Another than the client holds: it missed one.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Gsns {
    #[serde(rename = "user:balances", skip_serializing_if = "Option::is_none")]
    pub balances: Option<u64>,
    #[serde(rename = "user:orders", skip_serializing_if = "Option::is_none")]
    pub orders: Option<u64>,
}

/// The answer to a ping.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pong<'a> {
    pub r#type: literal::Pong,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub ts: UnixMs,
}

/// A request was refused. The socket stays open.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorFrame<'a> {
    pub r#type: literal::Error,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a Id>,
    pub code: ErrorCode,
    /// For people.
    pub message: &'a str,
    pub retry: Retry,
}

/// The gateway goes away: reconnect at a random moment within this time, with `since`. The socket closes with 4300.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Draining {
    pub r#type: literal::Draining,
    pub reconnect_within_ms: u64,
}
