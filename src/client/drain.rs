//! How clients learn that the gateway goes away, and when each of them has to go: not all at once, or their return would be a storm.
//!
//! It closes nothing itself. Whoever serves a client asks for its share of the window once and closes the client at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

/// Clients that leave at this pace are no storm anywhere: where there are few, the window is as much shorter.
const PACE_MS: u64 = 5;

/// See the module. Clones are the same drain.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    shares: Arc<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    window_ms: AtomicU64,
    taken: AtomicU64,
}

impl Drain {
    /// Begins. About so many `clients` are to leave, spread over at most `spread_ms`.
    pub fn begin(&self, clients: usize, spread_ms: u64) {
        let window_ms = spread_ms.min(PACE_MS.saturating_mul(clients as u64));
        self.shares.window_ms.store(window_ms, Ordering::Relaxed);
        // What was stored is seen by whoever sees this.
        self.begun.cancel();
    }

    /// Has it begun?
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for its beginning. May be cancelled.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Fires at its beginning, for those who only stop then.
    pub fn token(&self) -> &CancellationToken {
        &self.begun
    }

    /// How long one more client may stay, in ms.
    pub fn share_ms(&self) -> u64 {
        // Multiples of the golden ratio, of which the fraction is taken: they fall evenly over the window, however many are asked for.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let turn = self.shares.taken.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let fraction = turn.wrapping_mul(GOLDEN) >> 32;
        // A window is far below 2^32 ms.
        self.shares.window_ms.load(Ordering::Relaxed).saturating_mul(fraction) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fall_evenly_over_the_window() {
        for clients in [1, 2, 7, 400, 5_000] {
            let drain = Drain::default();
            drain.begin(5_000, 4_000);
            let mut shares: Vec<u64> = (0..clients).map(|_| drain.share_ms()).collect();
            shares.sort_unstable();
            assert!(shares.iter().all(|share| *share < 4_000));
            let even = 4_000_u64.div_ceil(clients as u64);
            for ends in shares.windows(2) {
                assert!(ends[1] - ends[0] <= 3 * even + 1, "{clients} clients, then none for {ends:?}");
            }
            for tenth in 0..10 {
                let leave = shares.iter().filter(|share| **share / 400 == tenth).count();
                assert!(leave <= clients / 10 + 3, "{leave} of {clients} leave in one tenth");
            }
        }
    }

    #[test]
    fn few_clients_do_not_make_the_stop_long() {
        let drain = Drain::default();
        drain.begin(3, 5_000);
        assert!((0..3).all(|_| drain.share_ms() < 15));
        let none = Drain::default();
        none.begin(10_000, 0);
        assert!((0..100).all(|_| none.share_ms() == 0), "no spread: at once");
    }
}
