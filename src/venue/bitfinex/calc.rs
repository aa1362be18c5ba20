//! Which wallets to ask `calc` for: the venue computes the available amount only now and then, and `null` means "ask me".
//!
//! Pure. Only rows in need are asked for, each once until it is answered or [`PATIENCE_MS`] have passed, within the venue's limits.
//! Source: docs.bitfinex.com/reference/ws-auth-input-calc.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Mono, Name};
use crate::venue::{Budget, Window};

/// Most items one message may hold.
pub(super) const MAX_ITEMS: usize = 30;
/// Calculations the venue does for one client. Whether it counts connections, keys or addresses is not said: all accounts of a host
/// share them.
pub(super) const RATE: Window = Window { count: 8, per_ms: 1000 };
/// How long an unanswered request counts as pending. Not documented; REST fills the row meanwhile.
const PATIENCE_MS: u64 = 30_000;
/// How long to stay silent after the venue refused.
const REFUSED_MS: u64 = 10_000;
/// Most rows in need at once. Those beyond wait for the next reconcile.
const MAX_ROWS: usize = 1024;

/// (wallet, currency).
type Key = (Name, Name);

/// Rows in need, in the order they fell into it.
#[derive(Debug)]
pub(super) struct Calc {
    budget: Arc<Mutex<Budget>>,
    /// Rows in need, and when they were asked for. Never more than [`MAX_ROWS`].
    needs: HashMap<Key, Option<Mono>>,
    /// Rows not asked for yet, and not before when. May hold rows no longer in need.
    queue: VecDeque<(Mono, Key)>,
    /// Rows asked for, oldest first; bounded by [`RATE`] × [`PATIENCE_MS`].
    asked: VecDeque<(Mono, Key)>,
    not_before: Mono,
}

impl Calc {
    pub fn new(budget: Arc<Mutex<Budget>>) -> Self {
        Self { budget, needs: HashMap::new(), queue: VecDeque::new(), asked: VecDeque::new(), not_before: Mono::default() }
    }

    /// The row's available amount is unknown: ask at `when`, unless it is settled by then.
    pub fn want(&mut self, wallet: &Name, currency: &Name, when: Mono) {
        let key = (wallet.clone(), currency.clone());
        if self.queue.len() < MAX_ROWS && self.needs.len() < MAX_ROWS && !self.needs.contains_key(&key) {
            self.needs.insert(key.clone(), None);
            self.queue.push_back((when, key));
        }
    }

    /// The row's available amount is known.
    pub fn settled(&mut self, wallet: &Name, currency: &Name) {
        if !self.needs.is_empty() {
            self.needs.remove(&(wallet.clone(), currency.clone()));
        }
    }

    /// A new snapshot: nothing is in need until it says so. What was spent of the budget stays spent.
    pub fn clear(&mut self) {
        self.needs.clear();
        self.queue.clear();
        self.asked.clear();
    }

    /// Is an answer outstanding?
    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The venue refused a request.
    pub fn refused(&mut self, now: Mono) {
        self.not_before = self.not_before.max(now.plus_ms(REFUSED_MS));
    }

    /// The frame to send now, if any.
    pub fn poll(&mut self, now: Mono) -> Option<String> {
        self.forget_unanswered(now);
        let mut items = String::new();
        let mut count = 0;
        while count < MAX_ITEMS && now >= self.not_before {
            let Some((when, key)) = self.queue.front() else { break };
            if self.needs.get(key) != Some(&None) {
                self.queue.pop_front();
                continue;
            }
            if *when > now {
                break;
            }
            if let Err(free) = self.budget.lock().take(now) {
                self.not_before = free;
                break;
            }
            let (_, key) = self.queue.pop_front().expect("the front was just looked at");
            let separator = if count == 0 { "" } else { "," };
            let name = serde_json::to_string(&format!("wallet_{}_{}", key.0, key.1)).expect("a string is always JSON");
            items.push_str(&format!("{separator}[{name}]"));
            self.needs.insert(key.clone(), Some(now));
            self.asked.push_back((now, key));
            count += 1;
        }
        if count == MAX_ITEMS {
            self.not_before = self.not_before.max(now.plus_ms(1));
        }
        (count > 0).then(|| format!(r#"[0,"calc",null,[{items}]]"#))
    }

    /// When to poll next.
    pub fn deadline(&self) -> Option<Mono> {
        let next = self.queue.front().map(|(when, _)| (*when).max(self.not_before));
        let stale = self.asked.front().map(|(at, _)| at.plus_ms(PATIENCE_MS));
        [next, stale].into_iter().flatten().min()
    }

    /// Rows whose answer stayed out and that are still in need go to the end of the queue.
    fn forget_unanswered(&mut self, now: Mono) {
        while self.asked.front().is_some_and(|(at, _)| at.plus_ms(PATIENCE_MS) <= now) {
            let Some((at, key)) = self.asked.pop_front() else { break };
            if self.needs.get(&key) == Some(&Some(at)) {
                self.needs.remove(&key);
                self.want(&key.0, &key.1, now);
            }
        }
    }
}
