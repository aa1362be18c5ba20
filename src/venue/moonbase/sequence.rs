//! What `gsn` can be trusted for: a step back or a repeat is always wrong, a step over more than one only where the number has
//! proven to count by ones. Called "global" and also "to detect missed messages", it may be either.
//!
//! Judges only; what to do about it is the session's business.

/// So many steps by one in a row make the number contiguous.
const PROVEN_AFTER: u32 = 8;
/// So many skips before that make it global: gaps are normal, and none is looked for any more in this connection.
const GLOBAL_AFTER: u32 = 3;

/// The last number of a connection, and what is known of the numbers.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: Option<u64>,
    /// Steps by one since the last skip.
    streak: u32,
    trust: Trust,
}

/// What the numbers have shown so far.
#[derive(Debug, Clone, Copy)]
enum Trust {
    Learning {
        skips: u32,
    },
    /// `gap_before`: it has skipped once since it was proven.
    Contiguous {
        gap_before: bool,
    },
    Global,
}

impl Default for Trust {
    fn default() -> Self {
        Self::Learning { skips: 0 }
    }
}

/// One update's place in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing wrong is known.
    Onward,
    /// The same number again: a message sent twice.
    Repeat,
    /// A lower number than before: an old message.
    Back,
    /// The numbers count by ones, and some are missing.
    Gap,
}

impl Sequence {
    /// A snapshot starts anew, wherever it stands. True when it stands lower than a message before it.
    pub fn restart(&mut self, gsn: u64) -> bool {
        self.last.replace(gsn).is_some_and(|last| gsn < last)
    }

    /// Judges an update. The number of a repeated or old one is not kept.
    pub fn step(&mut self, gsn: u64) -> Step {
        let by_one = match self.last {
            None => true,
            Some(last) if gsn == last => return Step::Repeat,
            Some(last) if gsn < last => return Step::Back,
            Some(last) => gsn == last + 1,
        };
        self.last = Some(gsn);
        if by_one { self.stepped() } else { self.skipped() }
    }

    fn stepped(&mut self) -> Step {
        self.streak = self.streak.saturating_add(1);
        if self.streak >= PROVEN_AFTER && matches!(self.trust, Trust::Learning { .. }) {
            self.trust = Trust::Contiguous { gap_before: false };
        }
        Step::Onward
    }

    fn skipped(&mut self) -> Step {
        let streak = std::mem::take(&mut self.streak);
        let (trust, step) = match self.trust {
            Trust::Learning { skips } if skips + 1 >= GLOBAL_AFTER => (Trust::Global, Step::Onward),
            Trust::Learning { skips } => (Trust::Learning { skips: skips + 1 }, Step::Onward),
            // A second skip soon after the first: the numbers are global after all.
            Trust::Contiguous { gap_before: true } if streak < PROVEN_AFTER => (Trust::Global, Step::Gap),
            Trust::Contiguous { .. } => (Trust::Contiguous { gap_before: true }, Step::Gap),
            Trust::Global => (Trust::Global, Step::Onward),
        };
        self.trust = trust;
        step
    }
}
