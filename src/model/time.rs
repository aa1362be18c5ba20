//! Time as an argument: pure code is told what time it is and never asks a clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds on a clock that never steps back. Zero is the start of the process (or of the simulation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// The instant `ms` milliseconds later.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }
    /// Milliseconds from `earlier` to here; zero when `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

/// One moment on both clocks: `mono` for durations and order, `unix` for what people and venues read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    pub mono: Mono,
    pub unix: UnixMs,
}

impl Now {
    /// The moment `ms` milliseconds later on both clocks: how simulated time moves.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self { mono: self.mono.plus_ms(ms), unix: UnixMs(self.unix.0 + ms as i64) }
    }
}
