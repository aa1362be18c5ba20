//! How long to wait before trying again: twice as long each time, never in step with others. It waits for nothing itself.

/// Exponential delays with jitter, between two bounds.
#[derive(Debug, Clone)]
pub struct Backoff {
    min_ms: u64,
    max_ms: u64,
    ceiling_ms: u64,
}

impl Backoff {
    /// `min_ms`: the first ceiling (at least 1); `max_ms`: the last one, raised to `min_ms` where it is below.
    pub fn new(min_ms: u64, max_ms: u64) -> Self {
        let min_ms = min_ms.max(1);
        Self { min_ms, max_ms: max_ms.max(min_ms), ceiling_ms: min_ms }
    }

    /// The next delay in ms, drawn evenly between half the ceiling and the ceiling, so that clients that failed together do
    /// not return together. Doubles the ceiling.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> u64 {
        let ceiling = self.ceiling_ms;
        self.ceiling_ms = ceiling.saturating_mul(2).min(self.max_ms);
        rng.u64(ceiling.div_ceil(2)..=ceiling)
    }

    /// The attempt succeeded: start from the least delay again.
    pub fn reset(&mut self) {
        self.ceiling_ms = self.min_ms;
    }
}
