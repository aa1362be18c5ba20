//! What a venue allows from one address, shared by all accounts: connections, requests, one rising nonce per key.
//!
//! Pure: time comes in as an argument. Nothing here waits; it says when to come back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Mono, UnixMs};

/// At most `count` in any `per_ms` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub count: usize,
    pub per_ms: u64,
}

/// What one host allows from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// New connections.
    pub connects: Window,
    /// Connections open at once.
    pub open: usize,
    /// REST requests.
    pub calls: Window,
}

/// A sliding window that is never overrun, not even by a burst across its edge. Memory: `count` instants.
#[derive(Debug)]
pub struct Budget {
    window: Window,
    taken: VecDeque<Mono>,
}

impl Budget {
    pub fn new(window: Window) -> Self {
        Self { window, taken: VecDeque::with_capacity(window.count) }
    }

    /// Takes one, or says when to ask again.
    ///
    /// # Errors
    /// The earliest instant at which one is free.
    pub fn take(&mut self, now: Mono) -> Result<(), Mono> {
        if let Some(when) = self.blocked_until(now) {
            return Err(when);
        }
        self.taken.push_back(now);
        Ok(())
    }

    /// Nothing is free until the venue's whole window has passed: for when the venue itself says we overran.
    pub fn exhaust(&mut self, now: Mono) {
        self.taken.clear();
        self.taken.resize(self.window.count, now);
    }

    fn blocked_until(&mut self, now: Mono) -> Option<Mono> {
        while self.taken.front().is_some_and(|&t| t.plus_ms(self.window.per_ms) <= now) {
            self.taken.pop_front();
        }
        if self.taken.len() < self.window.count {
            return None;
        }
        Some(self.taken.front().map_or(now.plus_ms(self.window.per_ms), |t| t.plus_ms(self.window.per_ms)))
    }
}

/// One host's budgets.
#[derive(Debug)]
pub struct HostBudget {
    connects: Budget,
    calls: Budget,
    open: usize,
    open_limit: usize,
}

impl HostBudget {
    fn new(limits: HostLimits) -> Self {
        Self { connects: Budget::new(limits.connects), calls: Budget::new(limits.calls), open: 0, open_limit: limits.open }
    }

    /// Takes a connection; give it back with [`HostBudget::closed`].
    ///
    /// # Errors
    /// When to ask again.
    pub fn connect(&mut self, now: Mono) -> Result<(), Mono> {
        if self.open >= self.open_limit {
            return Err(now.plus_ms(1_000));
        }
        self.connects.take(now)?;
        self.open += 1;
        Ok(())
    }

    /// A connection taken with [`HostBudget::connect`] has ended, or was never made.
    pub fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Takes a REST request.
    ///
    /// # Errors
    /// When to ask again.
    pub fn call(&mut self, now: Mono) -> Result<(), Mono> {
        self.calls.take(now)
    }

    /// The venue said 429 to a request.
    pub fn calls_overrun(&mut self, now: Mono) {
        self.calls.exhaust(now);
    }

    /// The venue said 429 to a connection.
    pub fn connects_overrun(&mut self, now: Mono) {
        self.connects.exhaust(now);
    }
}

/// One strictly rising number per key, over all transports. Microseconds since the epoch, so that it also rises across restarts
/// where the clock does; a high-water mark kept by the caller covers a clock that stepped back.
#[derive(Debug, Default)]
pub struct Nonce {
    last: Mutex<u64>,
}

impl Nonce {
    /// The next number: above every earlier one, and near the present microsecond.
    pub fn next(&self, now: UnixMs) -> u64 {
        let mut last = self.last.lock();
        *last = (*last + 1).max(now.0.max(0) as u64 * 1000);
        *last
    }

    /// Continues above `floor`, for instance after the venue called a nonce too small.
    pub fn raise(&self, floor: u64) {
        let mut last = self.last.lock();
        *last = (*last).max(floor);
    }

    /// The highest number given out.
    pub fn high_water(&self) -> u64 {
        *self.last.lock()
    }
}

/// What accounts share: one budget per venue host, one nonce per key.
#[derive(Debug, Default)]
pub struct Shared {
    hosts: Mutex<HashMap<String, Arc<Mutex<HostBudget>>>>,
    nonces: Mutex<HashMap<String, Arc<Nonce>>>,
    /// A venue's further limits, by host and the venue's word for what is limited.
    others: Mutex<HashMap<(String, &'static str), Arc<Mutex<Budget>>>>,
}

impl Shared {
    /// The budget of the host in `url`. The first caller's limits hold.
    pub fn host(&self, url: &str, limits: HostLimits) -> Arc<Mutex<HostBudget>> {
        let mut hosts = self.hosts.lock();
        Arc::clone(hosts.entry(authority(url)).or_insert_with(|| Arc::new(Mutex::new(HostBudget::new(limits)))))
    }

    /// A further budget of the host in `url`, for what the venue limits besides connections and requests.
    pub fn other(&self, url: &str, what: &'static str, window: Window) -> Arc<Mutex<Budget>> {
        let mut others = self.others.lock();
        Arc::clone(others.entry((authority(url), what)).or_insert_with(|| Arc::new(Mutex::new(Budget::new(window)))))
    }

    /// The nonce of a key. `key` is the public half: no secret is kept here.
    pub fn nonce(&self, key: &str) -> Arc<Nonce> {
        Arc::clone(self.nonces.lock().entry(key.to_owned()).or_default())
    }

    /// High-water marks of all nonces, for the state file.
    pub fn nonce_marks(&self) -> Vec<(String, u64)> {
        self.nonces.lock().iter().map(|(key, nonce)| (key.clone(), nonce.high_water())).collect()
    }
}

/// `host:port` of a URL, written one way: two spellings of a host are one address to the venue.
fn authority(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
    let port = match scheme.to_ascii_lowercase().as_str() {
        "wss" | "https" => ":443",
        "ws" | "http" => ":80",
        _ => "",
    };
    host.strip_suffix(port).unwrap_or(&host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_is_never_overrun() {
        let mut budget = Budget::new(Window { count: 5, per_ms: 15_000 });
        let start = Mono(1);
        for _ in 0..5 {
            budget.take(start).unwrap();
        }
        let when = budget.take(start.plus_ms(14_999)).unwrap_err();
        assert_eq!(when, start.plus_ms(15_000));
        budget.take(when).unwrap();
    }

    #[test]
    fn one_budget_serves_all_accounts_of_a_host() {
        let shared = Shared::default();
        let limits =
            HostLimits { connects: Window { count: 2, per_ms: 1000 }, open: 9, calls: Window { count: 1, per_ms: 1000 } };
        let a = shared.host("wss://api.example.com/ws/2", limits);
        let b = shared.host("wss://API.example.com:443/other?x=1", limits);
        a.lock().connect(Mono(1)).unwrap();
        b.lock().connect(Mono(1)).unwrap();
        assert!(a.lock().connect(Mono(1)).is_err());
        let elsewhere = shared.host("wss://api.example.com:8443/ws/2", limits);
        elsewhere.lock().connect(Mono(1)).unwrap();
    }

    #[test]
    fn what_a_venue_limits_besides_is_shared_by_the_accounts_of_a_host_too() {
        let shared = Shared::default();
        let window = Window { count: 1, per_ms: 1000 };
        let [a, b] = [0; 2].map(|_| shared.other("https://h/x", "calc", window));
        a.lock().take(Mono(1)).unwrap();
        assert!(b.lock().take(Mono(1)).is_err());
        shared.other("https://h/x", "else", window).lock().take(Mono(1)).unwrap();
    }

    #[test]
    fn open_connections_are_bounded_until_one_closes() {
        let shared = Shared::default();
        let limits = HostLimits { connects: Window { count: 9, per_ms: 1 }, open: 1, calls: Window { count: 1, per_ms: 1 } };
        let host = shared.host("ws://h", limits);
        host.lock().connect(Mono(1)).unwrap();
        assert!(host.lock().connect(Mono::default().plus_ms(500)).is_err());
        host.lock().closed();
        host.lock().connect(Mono::default().plus_ms(501)).unwrap();
    }

    proptest! {
        #[test]
        fn a_nonce_only_rises(times in proptest::collection::vec(-5i64..1_000_000, 1..200)) {
            let nonce = Nonce::default();
            let mut last = 0;
            for t in times {
                let next = nonce.next(UnixMs(t));
                prop_assert!(next > last);
                last = next;
            }
        }

        #[test]
        fn no_span_of_the_window_holds_more_than_its_count(gaps in proptest::collection::vec(0u64..400, 1..300)) {
            let window = Window { count: 8, per_ms: 1000 };
            let mut budget = Budget::new(window);
            let (mut now, mut granted) = (Mono(1), Vec::new());
            for gap in gaps {
                now = now.plus_ms(gap);
                match budget.take(now) {
                    Ok(()) => granted.push(now),
                    Err(when) => prop_assert!(when > now),
                }
            }
            for w in granted.windows(window.count + 1) {
                prop_assert!(w[window.count].since_ms(w[0]) >= window.per_ms);
            }
        }
    }
}
