//! The vocabulary every stage speaks: amounts, rows, account records, orders, causes, times, and what a venue can say.
//!
//! Nothing here does anything: no clock is read, no socket opened, no lock taken.

mod account;
mod amount;
mod changes;
mod event;
mod filter;
mod row;
mod time;

pub use account::{AccountIdx, AccountKey, AccountRecord, AccountState, Facts, Fees, Proof, Reason, ReasonCode};
pub use amount::{Amount, AmountError};
pub use changes::{Changes, Channel};
pub use event::{
    Absence, AccountPush, Field, Freshness, OrderUpdate, Reconcile, RowUpdate, Scope, Snapshot, VenueEvent, Verdict,
};
pub use filter::{Filter, MAX_FILTER_ENTRIES};
pub use row::{Balance, Cause, CauseKind, Extra, LastKnown, MAX_ASSET_CHARS, Name, Order, Origin, RowState, cut_name, is_name};
pub use time::{Mono, Now, UnixMs};

#[cfg(test)]
mod tests;
