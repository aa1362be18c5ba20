//! The downstream protocol in its own words: requests in, frames out, error and close codes. `docs/protocol.md` is its text.
//!
//! Pure: no socket, no clock, no right is checked here.

mod codes;
mod frame;
mod request;
pub mod shape;
mod wire;

pub use codes::{CloseCode, ErrorCode, Retry};
pub use frame::{
    FrameKind, PART_BYTES, SnapshotHead, UpdateHead, account_json, auth_expiring, auth_refused, auth_result, balance_json,
    draining, error, heartbeat, listing, order_json, pong, snapshot, snapshot_whole, subscribed, unsubscribed, update,
};
pub use request::{Id, Refusal, Request, Since, Subscribe, parse};
pub use wire::{WireText, frame as wire_frame};

/// The WebSocket subprotocol a client may offer.
pub const SUBPROTOCOL: &str = "balances.v1";

#[cfg(test)]
mod tests;
