//! When the state file is written: soon after a venue's rows are known for the first time, then a few seconds after a change, and not at
//! all while nothing changes. What is written is `state`'s matter.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::state::StateFile;
use crate::model::Mono;

/// How often it is looked whether something changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between the first account whose rows are whole and the first writing: others follow it closely.
const SETTLE_MS: u64 = 750;
/// At least so long between two writings; and where they are not shown after a restart, but might be after the one that follows.
const REST_MS: u64 = 5_000;
const COLD_REST_MS: u64 = 30_000;
/// A writing is followed by a rest of so many times what it took, however many rows there are.
const RESTS: u64 = 20;
/// Nonces that moved are written after this long, even alone: the mark is written 120 s ahead.
const NONCES_MS: u64 = 30_000;

/// Highest nonces by key.
type Marks = Vec<(String, u64)>;

/// Keeps the state until the gateway stops, and once more then.
pub(super) async fn run(gateway: Arc<Gateway>, file: StateFile) {
    let rest_ms = if gateway.started.warm_start { REST_MS } else { COLD_REST_MS };
    // As it was written when everything was made.
    let mut pace = Pace::new(gateway.clock.now().mono, rest_ms, gateway.store.gsn(), gateway.accounts.nonces());
    let mut last = None;
    loop {
        tokio::select! {
            () = gateway.core.stopping() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let ending = gateway.core.is_stopping();
        let (now, gsn, nonces) = (gateway.clock.now().mono, gateway.store.gsn(), gateway.accounts.nonces());
        if !pace.due(now, gsn, &nonces, || gateway.accounts.any_whole()) && !ending {
            continue;
        }
        let kept = keep(&gateway, file.clone(), last).await;
        last = kept.or(last);
        let seen = kept.is_some().then_some((gsn, nonces));
        pace.looked(gateway.clock.now().mono, now, seen);
        if ending {
            return;
        }
    }
}

/// Writes the state, unless it is the one of this digest. The digest of what the file holds now; `None`: it could not be written.
/// Reading the rows takes long where they are many, so that is not done on the event loop either.
pub(super) async fn keep(gateway: &Arc<Gateway>, file: StateFile, last: Option<u64>) -> Option<u64> {
    let gateway = Arc::clone(gateway);
    let kept = tokio::task::spawn_blocking(move || {
        let state = gateway.accounts.keep();
        let digest = state.digest();
        if last != Some(digest) {
            file.write(state)?;
        }
        anyhow::Ok(digest)
    });
    match kept.await {
        Ok(Ok(digest)) => Some(digest),
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "state file not written");
            None
        }
        Err(_) => None, // a panic, which is counted and told elsewhere
    }
}

/// When it is time to write.
struct Pace {
    /// What the file tells of.
    gsn: u64,
    nonces: Marks,
    /// The end of the last writing, and the rest that follows it.
    at: Mono,
    rest_ms: u64,
    least_rest_ms: u64,
    /// When the rows of an account were first found whole.
    whole: Option<Mono>,
}

impl Pace {
    fn new(now: Mono, least_rest_ms: u64, gsn: u64, nonces: Marks) -> Self {
        Self { gsn, nonces, at: now, rest_ms: 0, least_rest_ms, whole: None }
    }

    /// Is it time? `any_whole` is asked until it says yes.
    fn due(&mut self, now: Mono, gsn: u64, nonces: &Marks, any_whole: impl FnOnce() -> bool) -> bool {
        if self.whole.is_none() && gsn != self.gsn && any_whole() {
            self.whole = Some(now);
        }
        let since = now.since_ms(self.at);
        let settled = self.whole.is_some_and(|whole| now.since_ms(whole) >= SETTLE_MS);
        (gsn != self.gsn && settled && since >= self.rest_ms) || (nonces != &self.nonces && since >= NONCES_MS)
    }

    /// It was written, from `begun` until `now`, what was `seen`; `None`: that failed, and is tried again after the rest.
    fn looked(&mut self, now: Mono, begun: Mono, seen: Option<(u64, Marks)>) {
        self.at = now;
        self.rest_ms = self.least_rest_ms.max(RESTS * now.since_ms(begun));
        if let Some(seen) = seen {
            (self.gsn, self.nonces) = seen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    fn marks(mark: u64) -> Marks {
        vec![("k".to_owned(), mark)]
    }

    /// When it is due first, looked at every 50 ms from `from` for a minute.
    fn first_due(pace: &mut Pace, from: u64, gsn: u64, mark: u64, whole: bool) -> Option<u64> {
        (from..from + 60_000).step_by(50).find(|ms| pace.due(at(*ms), gsn, &marks(mark), || whole))
    }

    #[test]
    fn rows_are_written_within_a_second_of_the_first_whole_account_and_then_five_seconds_apart() {
        let mut pace = Pace::new(at(0), REST_MS, 4, marks(1));
        assert_eq!(first_due(&mut pace, 0, 5, 1, false), None, "what is not whole is worth nothing");
        assert_eq!(first_due(&mut pace, 60_000, 6, 1, true), Some(60_750));
        pace.looked(at(60_760), at(60_750), Some((6, marks(1))));
        assert_eq!(first_due(&mut pace, 60_800, 7, 1, true), Some(65_800), "a change at once waits");
        pace.looked(at(65_810), at(65_800), Some((7, marks(1))));
        assert_eq!(first_due(&mut pace, 90_000, 8, 1, true), Some(90_000), "one after a quiet time does not");
    }

    #[test]
    fn nothing_is_written_while_nothing_changes() {
        let mut pace = Pace::new(at(0), REST_MS, 4, marks(1));
        pace.whole = Some(at(0));
        assert_eq!(first_due(&mut pace, 0, 4, 1, true), None);
        assert_eq!(first_due(&mut pace, 60_000, 4, 2, true), Some(60_000), "a nonce that moved is a change");
        pace.looked(at(60_010), at(60_000), Some((4, marks(2))));
        assert_eq!(first_due(&mut pace, 60_050, 4, 3, true), Some(90_050), "alone, half a minute apart");
    }

    #[test]
    fn a_slow_writing_is_followed_by_a_long_rest_and_one_that_failed_is_repeated() {
        let mut pace = Pace::new(at(0), REST_MS, 4, marks(1));
        pace.whole = Some(at(0));
        pace.looked(at(2_000), at(1_000), Some((5, marks(1))));
        assert_eq!(first_due(&mut pace, 2_000, 6, 1, true), Some(22_000), "twenty times what it took");
        pace.looked(at(22_010), at(22_000), None);
        assert_eq!(first_due(&mut pace, 22_050, 6, 1, true), Some(27_050));
    }
}
