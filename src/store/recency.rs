//! An order of slots by when they last changed: a doubly linked list over indices.
//!
//! This is what makes a read cost what changed instead of what exists: walking back from the newest slot stops at the
//! reader's cursor. Both touching and adding cost a constant.

const NONE: u32 = u32::MAX;

/// Slots `0..len`, the most recently touched last.
#[derive(Debug)]
pub(super) struct Recency {
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    older: u32,
    newer: u32,
}

impl Default for Recency {
    fn default() -> Self {
        Self { links: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Recency {
    /// Adds the next slot, as the newest, and returns its index.
    pub(super) fn add(&mut self) -> u32 {
        let slot = u32::try_from(self.links.len()).expect("the row limit keeps slots below 2^32");
        self.links.push(Link { older: NONE, newer: NONE });
        self.append(slot);
        slot
    }

    /// Makes `slot` the newest.
    pub(super) fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.detach(slot);
            self.append(slot);
        }
    }

    /// From the newest to the oldest.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(some(self.newest), |slot| some(self.links[*slot as usize].older))
    }

    /// From the oldest to the newest.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(some(self.oldest), |slot| some(self.links[*slot as usize].newer))
    }

    fn append(&mut self, slot: u32) {
        self.links[slot as usize] = Link { older: self.newest, newer: NONE };
        match some(self.newest) {
            Some(newest) => self.links[newest as usize].newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    fn detach(&mut self, slot: u32) {
        let Link { older, newer } = self.links[slot as usize];
        match some(older) {
            Some(older) => self.links[older as usize].newer = newer,
            None => self.oldest = newer,
        }
        match some(newer) {
            Some(newer) => self.links[newer as usize].older = older,
            None => self.newest = older,
        }
    }
}

fn some(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_that_moves_the_touched_slot_to_its_end(
            steps in proptest::collection::vec(proptest::option::of(0usize..12), 1..200)
        ) {
            let (mut recency, mut model) = (Recency::default(), Vec::<u32>::new());
            for step in steps {
                match step {
                    Some(i) if i < model.len() => {
                        let slot = i as u32;
                        model.retain(|s| *s != slot);
                        model.push(slot);
                        recency.touch(slot);
                    }
                    _ => model.push(recency.add()),
                }
                prop_assert_eq!(recency.oldest_first().collect::<Vec<_>>(), model.clone());
                prop_assert_eq!(recency.newest_first().collect::<Vec<_>>(), model.iter().rev().copied().collect::<Vec<_>>());
            }
        }
    }
}
