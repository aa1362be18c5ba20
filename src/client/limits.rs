//! How much is too much: a token bucket for requests, places for connections.

use prometheus_client::metrics::gauge::Gauge;

use crate::model::Mono;

/// `per_second` on average, `burst` at once.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: u32,
    burst: u32,
    /// Thousandths of a request.
    level: u64,
    filled: Mono,
}

impl Bucket {
    pub fn new(per_second: u32, burst: u32, now: Mono) -> Self {
        Self { per_second, burst, level: u64::from(burst) * 1000, filled: now }
    }

    /// Would it hold its whole burst by `now`? Then forgetting it changes nothing.
    pub fn is_full(&self, now: Mono) -> bool {
        let earned = now.since_ms(self.filled).saturating_mul(u64::from(self.per_second));
        self.level.saturating_add(earned) >= u64::from(self.burst) * 1000
    }

    /// Takes one request; false when there is none.
    pub fn take(&mut self, now: Mono) -> bool {
        let earned = now.since_ms(self.filled).saturating_mul(u64::from(self.per_second));
        if earned > 0 {
            self.filled = now;
            self.level = (self.level + earned).min(u64::from(self.burst) * 1000);
        }
        let enough = self.level >= 1000;
        if enough {
            self.level -= 1000;
        }
        enough
    }
}

/// Places that are counted by a metric and given back. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Places(Gauge);

impl Places {
    pub fn counted_by(gauge: &Gauge) -> Self {
        Self(gauge.clone())
    }

    /// A place; `None` when `max` are taken.
    pub fn take(&self, max: usize) -> Option<Place> {
        let before = self.0.inc();
        let place = Place(self.0.clone());
        usize::try_from(before).is_ok_and(|before| before < max).then_some(place)
    }
}

/// One place, given back when dropped.
#[derive(Debug)]
pub struct Place(Gauge);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.dec();
    }
}
