//! How many requests and handshakes are let through, and how refusals are slowed when they come in storms.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::client::{Bucket, Place, Places};
use crate::model::Mono;

/// Users or addresses counted at once. Beyond, those who did not ask lately are forgotten.
const MAX_COUNTED: usize = 10_000;
/// Refusals a second, and at once, that are answered without a pause.
const PROMPT_REFUSALS: (u32, u32) = (20, 50);
/// Refusals held back at the same time; more are answered at once, for waiting costs memory too.
const MAX_HELD_BACK: usize = 1_000;

/// What each user, or each address, asks for. What one asks for too much is no other's loss.
#[derive(Debug)]
pub(super) struct Shares<K>(Mutex<HashMap<K, Bucket>>);

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// Takes one of the asker's; false when there is none.
    pub(super) fn take(&self, asker: &K, per_second: u32, burst: u32, now: Mono) -> bool {
        let mut buckets = self.0.lock();
        if buckets.len() >= MAX_COUNTED && !buckets.contains_key(asker) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MAX_COUNTED {
                return false;
            }
        }
        buckets.entry(asker.clone()).or_insert_with(|| Bucket::new(per_second, burst, now)).take(now)
    }
}

/// Holds back refusals when there are many: a client that tries again at once is slowed, and nobody learns anything by speed.
#[derive(Debug)]
pub(super) struct Refusals {
    prompt: Mutex<Bucket>,
    held_back: Places,
}

impl Refusals {
    pub(super) fn new(now: Mono) -> Self {
        Self { prompt: Bucket::new(PROMPT_REFUSALS.0, PROMPT_REFUSALS.1, now).into(), held_back: Places::default() }
    }

    /// How long to wait before answering, and the place held meanwhile. `None`: answer now.
    pub(super) fn pause(&self, delay_ms: u64, now: Mono) -> Option<(Duration, Place)> {
        if delay_ms == 0 || self.prompt.lock().take(now) {
            return None;
        }
        let place = self.held_back.take(MAX_HELD_BACK)?;
        // Spread, so that those held back do not come back together.
        Some((Duration::from_millis(fastrand::u64(delay_ms / 2..=delay_ms)), place))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn one_users_requests_do_not_spend_anothers() {
        let requests = Shares::<Arc<str>>::default();
        let (alice, bob): (Arc<str>, Arc<str>) = ("alice".into(), "bob".into());
        let now = Mono(1_000_000);
        let taken = (0..10).filter(|_| requests.take(&alice, 1, 3, now)).count();
        assert_eq!(taken, 3);
        assert!(requests.take(&bob, 1, 3, now));
        assert!(!requests.take(&alice, 1, 3, now.plus_ms(999)) && requests.take(&alice, 1, 3, now.plus_ms(1_000)));
    }

    #[test]
    fn users_are_forgotten_only_when_their_bucket_is_full_again() {
        let requests = Shares::<Arc<str>>::default();
        let now = Mono(1_000_000);
        for n in 0..MAX_COUNTED {
            assert!(requests.take(&n.to_string().into(), 1, 1, now));
        }
        let late: Arc<str> = "late".into();
        assert!(!requests.take(&late, 1, 1, now));
        assert!(requests.take(&late, 1, 1, now.plus_ms(1_000)));
        assert!(requests.0.lock().len() < 10);
    }

    #[test]
    fn only_a_storm_of_refusals_is_slowed_and_what_waits_is_bounded() {
        let now = Mono(1_000_000);
        let refusals = Refusals::new(now);
        let prompt = (0..PROMPT_REFUSALS.1).filter(|_| refusals.pause(500, now).is_none()).count();
        assert_eq!(prompt, PROMPT_REFUSALS.1 as usize);
        let held: Vec<_> = (0..MAX_HELD_BACK).map(|_| refusals.pause(500, now).unwrap()).collect();
        assert!(held.iter().all(|(pause, _)| (250..=500).contains(&pause.as_millis())));
        assert!(refusals.pause(500, now).is_none(), "no more than the bound waits");
        drop(held);
        assert!(refusals.pause(500, now).is_some());
        assert!(refusals.pause(0, now).is_none());
    }
}
