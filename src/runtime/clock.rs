//! The one place that asks what time it is. Pure code is handed the [`Now`] made here and never reads a clock itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::{Mono, Now, UnixMs};

/// Both clocks of the process. Copies agree: [`Mono`] counts microseconds from the one [`Clock::start`].
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting at zero.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// This moment. A wall clock before 1970 reads as 1970.
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(), unix: UnixMs(unix.as_millis() as i64) }
    }

    /// How long it is since the start, for who does not ask the hour.
    pub fn mono(&self) -> Mono {
        Mono(self.start.elapsed().as_micros() as u64)
    }

    /// How far the wall clock is ahead of the monotonic one, in ms. It leaps where the machine slept (only the one goes on meanwhile), or
    /// where somebody sets the clock.
    pub fn wall_lead_ms(&self) -> i64 {
        let now = self.now();
        now.unix.0 - (now.mono.0 / 1000) as i64
    }

    /// The instant a timer must wait for, so that at its end `now().mono >= mono` holds. `None`: further away than the
    /// platform can tell, which is never.
    pub fn instant(&self, mono: Mono) -> Option<Instant> {
        self.start.checked_add(Duration::from_micros(mono.0))
    }

    /// Waits until the moment has come; forever where it never does. May be cancelled.
    pub async fn wait_until(&self, mono: Mono) {
        match self.instant(mono) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
