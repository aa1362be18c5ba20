//! Rows of one account by key and by recency.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::recency::Recency;
use crate::model::{Balance, Order};

/// What a table asks of a row.
pub(super) trait Keyed {
    /// Unique within the account.
    fn key(&self) -> (&str, &str);
    /// The commit that last changed it.
    fn gsn(&self) -> u64;
}

impl Keyed for Balance {
    fn key(&self) -> (&str, &str) {
        (&self.wallet, &self.asset)
    }
    fn gsn(&self) -> u64 {
        self.gsn
    }
}

impl Keyed for Order {
    fn key(&self) -> (&str, &str) {
        (&self.order_id, "")
    }
    fn gsn(&self) -> u64 {
        self.gsn
    }
}

/// Rows with a private note `M` each. Rows are shared with readers and never change; a newer version takes the slot. The key
/// is kept once, in the row.
#[derive(Debug)]
pub(super) struct Table<R, M> {
    slots: Vec<(Arc<R>, M)>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    recency: Recency,
}

impl<R, M> Default for Table<R, M> {
    fn default() -> Self {
        Self { slots: Vec::new(), index: HashTable::new(), hasher: DefaultHashBuilder::default(), recency: Recency::default() }
    }
}

impl<R: Keyed, M> Table<R, M> {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a key.
    pub(super) fn find(&self, key: (&str, &str)) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |slot| self.slots[*slot as usize].0.key() == key).copied()
    }

    pub(super) fn row(&self, slot: u32) -> &Arc<R> {
        &self.slots[slot as usize].0
    }

    pub(super) fn note(&self, slot: u32) -> &M {
        &self.slots[slot as usize].1
    }

    pub(super) fn note_mut(&mut self, slot: u32) -> &mut M {
        &mut self.slots[slot as usize].1
    }

    /// Adds a row whose key is new.
    pub(super) fn insert(&mut self, row: R, note: M) -> u32 {
        let slot = self.recency.add();
        let hash = self.hasher.hash_one(row.key());
        self.slots.push((Arc::new(row), note));
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, slot, |slot| hasher.hash_one(slots[*slot as usize].0.key()));
        slot
    }

    /// Puts a newer version of the row into its slot.
    pub(super) fn replace(&mut self, slot: u32, row: R) {
        let place = &mut self.slots[slot as usize].0;
        debug_assert_eq!(place.key(), row.key());
        match Arc::get_mut(place) {
            Some(unshared) => *unshared = row,
            None => *place = Arc::new(row),
        }
        self.recency.touch(slot);
    }

    /// Gives a slot to another row: how a bounded table forgets.
    pub(super) fn reuse(&mut self, slot: u32, row: R, note: M) {
        let old = self.hasher.hash_one(self.slots[slot as usize].0.key());
        if let Ok(entry) = self.index.find_entry(old, |s| *s == slot) {
            entry.remove();
        }
        let hash = self.hasher.hash_one(row.key());
        self.slots[slot as usize] = (Arc::new(row), note);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, slot, |slot| hasher.hash_one(slots[*slot as usize].0.key()));
        self.recency.touch(slot);
    }

    /// Every slot, oldest change first.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = u32> + '_ {
        self.recency.oldest_first()
    }

    /// Every row, in order of first appearance.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<R>> {
        self.slots.iter().map(|(row, _)| row)
    }

    /// Rows changed after `cursor`, newest first. Costs what it yields.
    pub(super) fn changed_since(&self, cursor: u64) -> impl Iterator<Item = &Arc<R>> {
        self.recency.newest_first().map(|slot| self.row(slot)).take_while(move |row| row.gsn() > cursor)
    }
}
