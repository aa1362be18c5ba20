//! The first of a session's three clocks: is the transport alive? A quiet connection is healthy only if a probe says so.

use crate::model::Mono;

/// Watches one connection: any frame is proof of life, silence asks for a probe, silence beyond the bound is death.
#[derive(Debug, Clone)]
pub struct Liveness {
    bound_ms: u64,
    probe_after_ms: u64,
    last_proof: Mono,
    last_probe: Mono,
}

/// What silence asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    Fine,
    /// Send a ping now.
    Probe,
    /// The bound has passed: close.
    Dead,
}

impl Liveness {
    /// `bound_ms`: silence that means death. A probe goes out after each third of it, so a single lost answer proves nothing.
    pub fn new(now: Mono, bound_ms: u64) -> Self {
        Self { bound_ms, probe_after_ms: (bound_ms / 3).max(1), last_proof: now, last_probe: now }
    }

    /// A frame came.
    pub fn proof(&mut self, now: Mono) {
        self.last_proof = self.last_proof.max(now);
    }

    /// Call at [`Liveness::deadline`], or any time.
    pub fn check(&mut self, now: Mono) -> Pulse {
        if now >= self.last_proof.plus_ms(self.bound_ms) {
            return Pulse::Dead;
        }
        if now >= self.next_probe() {
            self.last_probe = now;
            return Pulse::Probe;
        }
        Pulse::Fine
    }

    /// When to call [`Liveness::check`] next.
    pub fn deadline(&self) -> Mono {
        self.next_probe().min(self.last_proof.plus_ms(self.bound_ms))
    }

    fn next_probe(&self) -> Mono {
        self.last_proof.max(self.last_probe).plus_ms(self.probe_after_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_asks_twice_then_means_death() {
        let at = |ms| Mono::default().plus_ms(ms);
        let mut l = Liveness::new(at(0), 30_000);
        assert_eq!(l.deadline(), at(10_000));
        assert_eq!(l.check(at(9_999)), Pulse::Fine);
        assert_eq!(l.check(at(10_000)), Pulse::Probe);
        assert_eq!(l.check(at(20_000)), Pulse::Probe);
        assert_eq!(l.deadline(), at(30_000));
        assert_eq!(l.check(at(30_000)), Pulse::Dead);
    }

    #[test]
    fn any_frame_starts_the_bound_anew() {
        let at = |ms| Mono::default().plus_ms(ms);
        let mut l = Liveness::new(at(0), 30_000);
        l.proof(at(29_999));
        assert_eq!(l.check(at(30_000)), Pulse::Fine);
        assert_eq!(l.check(at(59_998)), Pulse::Probe);
        assert_eq!(l.check(at(59_999)), Pulse::Dead);
    }
}
