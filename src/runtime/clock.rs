//! The one place that asks what time it is. Pure code is handed the [`Now`] made here and never reads a clock itself.

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, Sleep};

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

/// A timer whose moment is set anew all the time, and nearly always to a later one: then it is left as it stands, and set when it ends
/// too early.
pub struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    /// Made inside the runtime that it is to wait in.
    pub fn new(clock: Clock) -> Self {
        // When is no matter: it is set by the first wait.
        Self { clock, sleep: Box::pin(tokio::time::sleep(Duration::from_secs(86_400))) }
    }

    /// Waits until the moment has come; forever for `None`. May be cancelled.
    pub async fn wait_until(&mut self, mono: Option<Mono>) {
        let Some(at) = mono.and_then(|mono| self.clock.instant(mono)) else { return std::future::pending().await };
        loop {
            if self.sleep.deadline() > at || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(at);
            }
            self.sleep.as_mut().await;
            if self.sleep.deadline() >= at {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_ends_at_its_moment_wherever_it_was_set_before() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let at = |seconds: u64| Mono(seconds * 1_000_000);
        let now = || clock.mono().0 / 1_000_000;
        alarm.wait_until(Some(at(5))).await;
        assert_eq!(now(), 5);
        for set in [10, 30, 20] {
            let early = tokio::time::timeout(Duration::from_millis(1), alarm.wait_until(Some(at(set)))).await;
            assert!(early.is_err(), "{set}");
        }
        alarm.wait_until(Some(at(20))).await;
        assert_eq!(now(), 20, "later, then earlier, then as it was");
        alarm.wait_until(Some(at(200_000))).await;
        assert_eq!(now(), 200_000, "further than it was made for");
        alarm.wait_until(Some(at(1))).await;
        assert_eq!(now(), 200_000, "a moment that has passed");
        let never = tokio::time::timeout(Duration::from_secs(1_000_000), alarm.wait_until(None)).await;
        assert!(never.is_err());
    }
}
