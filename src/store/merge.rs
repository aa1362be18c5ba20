//! How one row takes up what one message says of it. Pure: no row is kept here, and whose statement is believed is the ledger's matter.

use std::sync::Arc;

use crate::model::{
    AccountKey, Amount, Balance, Cause, CauseKind, Field, LastKnown, Name, Origin, RowState, RowUpdate, Scope, UnixMs,
};

pub(super) fn within(scope: &Scope, wallet: &Name) -> bool {
    match scope {
        Scope::Account => true,
        Scope::Wallets(wallets) => wallets.contains(wallet),
    }
}

pub(super) fn number(field: &Field) -> Option<Amount> {
    match field {
        Field::Is(amount) | Field::Derived(amount) => Some(amount.clone()),
        Field::Absent => Some(Amount::ZERO),
        Field::Keep | Field::Unknown => None,
    }
}

pub(super) fn same(a: &Option<Amount>, b: &Option<Amount>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_value(b),
        (None, None) => true,
        _ => false,
    }
}

pub(super) fn same_numbers(a: &[Option<Amount>; 3], b: &[Option<Amount>; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Zero wherever a number was known; what was unknown stays unknown, the total excepted.
pub(super) fn zero(row: &Balance, kind: CauseKind) -> RowUpdate {
    let known = |amount: &Option<Amount>| if amount.is_some() { Field::Absent } else { Field::Keep };
    RowUpdate {
        total: Field::Absent,
        available: known(&row.available),
        locked: known(&row.locked),
        cause: Some(Cause::of(kind)),
        ..RowUpdate::new(row.wallet.clone(), row.asset.clone())
    }
}

/// For a row that is not proven: what the message leaves out of it becomes unknown instead of being kept. False where that is the total,
/// which is kept; the row stays unproven then.
pub(super) fn withdraw(row: &Balance, update: &mut RowUpdate) -> bool {
    for (field, held) in [(&mut update.available, &row.available), (&mut update.locked, &row.locked)] {
        if *field == Field::Keep && held.is_some() {
            *field = Field::Unknown;
        }
    }
    update.total != Field::Keep || row.total.is_none()
}

/// Does anything differ that a reader can see?
pub(super) fn differs(a: &Balance, b: &Balance) -> bool {
    a.state != b.state
        || a.basis != b.basis
        || a.last_known != b.last_known
        || a.extra != b.extra
        || [(&a.total, &b.total), (&a.available, &b.available), (&a.locked, &b.locked)].into_iter().any(|(a, b)| !same(a, b))
}

/// The row after an update, and whether one of its numbers changed. Numbers that are equal keep their text.
pub(super) fn merge(key: &Arc<AccountKey>, old: Option<&Balance>, update: RowUpdate, gsn: u64, now: UnixMs) -> (Balance, bool) {
    let mut row = old.cloned().unwrap_or_else(|| Balance {
        key: Arc::clone(key),
        wallet: update.wallet,
        asset: update.asset,
        total: None,
        available: None,
        locked: None,
        basis: [Origin::Reported; 3],
        state: RowState::Stale,
        gsn,
        value_gsn: gsn,
        venue_ts: update.venue_ts,
        received_ts: now,
        changed_ts: now,
        last_known: None,
        cause: None,
        extra: None,
    });
    let withdrawn = row.available.clone().filter(|_| update.available == Field::Unknown);
    let mut changed = old.is_none();
    let fields = [(&mut row.total, update.total), (&mut row.available, update.available), (&mut row.locked, update.locked)];
    for ((held, field), origin) in fields.into_iter().zip(&mut row.basis) {
        let (next, from) = match field {
            Field::Keep => continue,
            Field::Unknown => (None, Origin::Reported),
            Field::Is(amount) => (Some(amount), Origin::Reported),
            Field::Derived(amount) => (Some(amount), Origin::Derived),
            Field::Absent => (Some(Amount::ZERO), Origin::Absent),
        };
        *origin = from;
        if !same(held, &next) {
            *held = next;
            changed = true;
        }
    }
    if let Some(available) = withdrawn {
        row.last_known = Some(Box::new(LastKnown { available, ts: row.received_ts }));
    } else if row.available.is_some() {
        row.last_known = None;
    }
    if update.extra.is_some() {
        row.extra = update.extra;
    }
    if changed {
        row.value_gsn = gsn;
        row.changed_ts = now;
        row.venue_ts = update.venue_ts;
        row.cause = update.cause.map(Arc::new);
    }
    (row, changed)
}
