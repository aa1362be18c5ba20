//! One entry per row: the row, what it is found and ordered by, and what it was since the view was opened. It draws nothing.

use std::collections::{HashMap, VecDeque};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::wire::{Row, RowKey};
use crate::model::Amount;

/// Earlier totals kept of one row: one column of the line each.
pub(super) const HISTORY: usize = 10;
/// Rows of which a history is kept. The view must not grow for as long as it is open.
const HISTORIES: usize = 20_000;
/// Steps of the line's height.
const LEVELS: u8 = 7;

/// How an amount changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
    /// From or to unknown.
    Changed,
}

/// The last change of a row's numbers that we saw.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// When we saw it, in the view's time.
    pub at: i64,
    /// Total, available, locked.
    pub turns: [Option<Turn>; 3],
    /// By how much the total changed; absent where one of both is unknown or nothing changed.
    pub delta: Option<Amount>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub row: Row,
    /// What a search looks through, in lower case.
    pub text: String,
    /// Total, available, locked, where they can be ordered quickly.
    pub order: [Option<Decimal>; 3],
    pub change: Option<Change>,
    /// Totals since the view was opened, oldest first; empty before the first change.
    past: VecDeque<Decimal>,
}

impl Entry {
    fn new(row: Row) -> Self {
        let text = [&row.asset, &row.wallet, &row.account, &row.venue].map(|name| name.to_lowercase()).join(" ");
        let order = orders(&row);
        Self { row, text, order, change: None, past: VecDeque::new() }
    }

    /// The line of totals: a level from 0 to 7 for each, oldest first. Empty where there was no change.
    pub(super) fn line(&self) -> Vec<u8> {
        let (Some(low), Some(high)) = (self.past.iter().min(), self.past.iter().max()) else { return Vec::new() };
        let step =
            high.checked_sub(*low).and_then(|span| span.checked_div(Decimal::from(LEVELS))).filter(|step| !step.is_zero());
        let level = |total: &Decimal| {
            let share = total.checked_sub(*low)?.checked_div(step?)?;
            share.round().to_u8().map(|level| level.min(LEVELS))
        };
        self.past.iter().map(|total| level(total).unwrap_or(LEVELS / 2)).collect()
    }
}

fn orders(row: &Row) -> [Option<Decimal>; 3] {
    row.amounts().map(|amount| amount.and_then(Amount::decimal))
}

/// All entries. Their places in the list are stable until the next whole snapshot.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub all: Vec<Entry>,
    places: HashMap<RowKey, usize>,
    histories: usize,
}

impl Entries {
    /// Takes rows in; with `whole`, what is not among them is gone.
    pub(super) fn take(&mut self, rows: Vec<Row>, whole: bool, now: i64) {
        if !whole {
            rows.into_iter().for_each(|row| self.put(row, now));
            return;
        }
        let mut before = std::mem::take(self);
        let mut earlier: Vec<Option<Entry>> = before.all.drain(..).map(Some).collect();
        for row in rows {
            let key = row.key();
            // What was there keeps its past.
            if let Some(entry) = before.places.get(&key).and_then(|place| earlier[*place].take()) {
                self.histories += usize::from(!entry.past.is_empty());
                self.places.insert(key, self.all.len());
                self.all.push(entry);
            }
            self.put(row, now);
        }
    }

    fn put(&mut self, row: Row, now: i64) {
        let key = row.key();
        let Some(place) = self.places.get(&key).copied() else {
            self.places.insert(key, self.all.len());
            self.all.push(Entry::new(row));
            return;
        };
        let entry = &mut self.all[place];
        let before = std::mem::replace(&mut entry.row, row);
        let first = entry.past.is_empty();
        let was = std::mem::replace(&mut entry.order, orders(&entry.row));
        let Some(change) = compare(&before, &entry.row, now) else { return };
        entry.change = Some(change);
        if first {
            if self.histories == HISTORIES {
                return;
            }
            self.histories += 1;
            entry.past.extend(was[0]);
        }
        entry.past.extend(entry.order[0]);
        if entry.past.len() > HISTORY {
            entry.past.pop_front();
        }
    }
}

/// What changed of the numbers, if anything.
fn compare(before: &Row, after: &Row, now: i64) -> Option<Change> {
    let (was, is) = (before.amounts(), after.amounts());
    let turns = std::array::from_fn(|i| turn(was[i], is[i]));
    let delta = match (was[0], is[0]) {
        (Some(was), Some(is)) if !was.same_value(is) => Some(is.minus(was)),
        _ => None,
    };
    turns.iter().any(Option::is_some).then_some(Change { at: now, turns, delta })
}

fn turn(was: Option<&Amount>, is: Option<&Amount>) -> Option<Turn> {
    match (was, is) {
        (Some(was), Some(is)) if was.same_value(is) => None,
        (Some(was), Some(is)) => Some(if is.compare(was).is_gt() { Turn::Up } else { Turn::Down }),
        (None, None) => None,
        _ => Some(Turn::Changed),
    }
}
