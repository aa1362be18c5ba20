//! What a venue session can say, once translated: the only language between a venue and the store.
//!
//! A session emits events and keeps no balances. Merging, staleness, zeroing of vanished assets and drift live in the store.

use super::{Amount, Cause, Extra, Facts, Mono, Name, Reason, UnixMs};

/// One normalised statement of a venue. All events that one venue message gives are applied as one commit.
#[derive(Debug)]
pub enum VenueEvent {
    /// A complete list of what is held within a scope.
    Snapshot(Snapshot),
    /// Whole or partial rows pushed by the venue.
    Rows(Vec<RowUpdate>),
    /// Rows that can no longer be called proven (named by something that may be a partial list, or by a suspicious message).
    /// They read `stale` until a later statement covers them. No `assets`: every row of the wallet. Where an asset has no row, or one without
    /// a total, or a name that no row can have, the account is `degraded` and not complete until a whole list of its wallet is read.
    Unproven { wallet: Name, assets: Vec<Name> },
    /// Everything the account holds is known in this connection: rows may now be `live`.
    Synced,
    /// The connection stands but its rows are not proven any more (maintenance, a lost subscription).
    Unsynced(AccountPush),
    /// A comparison with the venue's REST answer; the store replies with a [`Verdict`].
    Reconcile(Reconcile),
    /// A duty besides the stream fails (`Some`) or works again (`None`).
    Duty(Option<Reason>),
    /// What the venue says of the account.
    Facts(Facts),
    /// Order status, for `user:orders`.
    Orders(Vec<OrderUpdate>),
    /// Part of what the venue told could not be read, and nobody knows which row it was of. The account is `degraded` and not complete
    /// until a list of all of it is read whole; rows that a list in the same message seems to lack read `stale` instead of zero. Comes
    /// before the [`VenueEvent::Snapshot`] it concerns. Where at least the asset is known, [`VenueEvent::Unproven`] says more.
    Omitted(Reason),
    /// Whether nothing complete is known of some of the account's wallets: then the account is not complete.
    Partial(bool),
    /// Proof that the connection lives.
    Alive,
    /// A message that could not be decoded: `what` names the place, never the content.
    Malformed { what: String },
    /// The session threw away and refetched its state for a reason worth counting.
    Resynced { reason: &'static str },
}

/// A state the session itself declares while its connection stands.
#[derive(Debug, Clone)]
pub enum AccountPush {
    /// Waiting for a fresh snapshot.
    Syncing(Reason),
    /// The venue announced maintenance.
    Maintenance(Reason),
}

/// A complete list of rows.
#[derive(Debug)]
pub struct Snapshot {
    pub freshness: Freshness,
    pub scope: Scope,
    pub rows: Vec<RowUpdate>,
}

/// How a list is ordered against pushes of the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Sent in the stream: newer than everything before it.
    Stream,
    /// A REST answer: as of some moment after its request left at `sent`. A row pushed since is newer.
    Asked { sent: Mono },
}

/// What a list claims to be complete for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole account.
    Account,
    /// These wallets.
    Wallets(Vec<Name>),
}

/// A row as one message gives it. Fields not carried keep what was known.
#[derive(Debug, Clone)]
pub struct RowUpdate {
    pub wallet: Name,
    pub asset: Name,
    pub total: Field,
    pub available: Field,
    pub locked: Field,
    pub venue_ts: Option<UnixMs>,
    pub cause: Option<Cause>,
    /// `None` keeps what was known.
    pub extra: Option<Extra>,
}

impl RowUpdate {
    /// A row of which nothing is said yet.
    pub fn new(wallet: impl Into<Name>, asset: impl Into<Name>) -> Self {
        Self {
            wallet: wallet.into(),
            asset: asset.into(),
            total: Field::Keep,
            available: Field::Keep,
            locked: Field::Keep,
            venue_ts: None,
            cause: None,
            extra: None,
        }
    }

    /// Does it name the row without saying anything of it? Where a list does so, it holds what could not be read.
    pub fn is_silent(&self) -> bool {
        [&self.total, &self.available, &self.locked].into_iter().all(|field| *field == Field::Keep)
    }
}

/// One number of a row in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Not carried: what was known stays.
    Keep,
    /// The venue says it does not know (Bitfinex `null`).
    Unknown,
    /// The venue's number.
    Is(Amount),
    /// Computed by an identity the venue documents.
    Derived(Amount),
    /// Zero, because a complete list does not name the row. Only the store says this; a session sends the list.
    Absent,
}

/// A REST answer held against the rows.
#[derive(Debug)]
pub struct Reconcile {
    /// When the request left. Rows pushed since are not touched.
    pub sent: Mono,
    pub scope: Scope,
    /// What it means when a row we hold is not in `rows`.
    pub absence: Absence,
    pub rows: Vec<RowUpdate>,
}

/// What an asset's absence from a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The list does not cover it: nothing.
    Nothing,
    /// The list is complete: zero.
    Zero,
}

/// How a [`Reconcile`] went, told to the session so that it can ask again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Rows that differ and await a second answer.
    pub doubted: usize,
    /// Rows corrected, because two answers in a row agreed against them.
    pub corrected: usize,
}

/// An order's status as one message gives it.
#[derive(Debug, Clone)]
pub struct OrderUpdate {
    pub order_id: Name,
    pub asset: Name,
    pub filled: Option<Amount>,
    pub status: Name,
    pub is_final: bool,
    pub extra: Option<Extra>,
}
