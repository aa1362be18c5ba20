//! How many of something each holder has open: connections by user, sockets by address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts by holder. Only holders that have one are kept, so it is as bounded as what it counts.
#[derive(Debug, Clone)]
pub struct Seats<K: Hash + Eq + Clone>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Hash + Eq + Clone> Default for Seats<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Clone> Seats<K> {
    /// A seat for the holder; `None` when `max` are taken.
    pub fn take(&self, holder: &K, max: usize) -> Option<Seat<K>> {
        let mut taken = self.0.lock();
        let count = taken.get(holder).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        taken.insert(holder.clone(), count + 1);
        Some(Seat { seats: self.clone(), holder: holder.clone() })
    }
}

/// One of a holder's, given back when dropped.
#[derive(Debug)]
pub struct Seat<K: Hash + Eq + Clone> {
    seats: Seats<K>,
    holder: K,
}

impl<K: Hash + Eq + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.seats.0.lock().entry(self.holder.clone()) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}
