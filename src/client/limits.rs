//! How many requests a client may make: a token bucket, pure.

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
