//! What is looked at after each step of a world, and the wait for a world to be exact. Why each check is sound stands in the parent.

use std::hash::Hasher;
use std::sync::Arc;

use balance_gateway::model::{AccountState, Channel, Filter, Mono, ReasonCode, RowState};

use super::gateway::{MAX_ORDERS, Upstream};
use super::net::Pipe;
use super::witness::Seen;
use super::{World, truth};

/// The oldest version that a live row, or the lack of one, may show: of that key the venue has said so much on this connection.
fn said_since(upstream: &Upstream, pipe: &Pipe, key: &truth::Key) -> u64 {
    let told = pipe.told.get(key);
    let heard = told.and_then(|told| told.iter().rfind(|version| **version <= upstream.floor));
    let low = heard.copied().unwrap_or_default().max(pipe.opened);
    // What no message told of since REST was asked is what REST said, or in doubt.
    let newest = told.and_then(|told| told.last());
    match upstream.rest_said {
        Some((said, floor)) if newest.is_none_or(|told| *told <= floor) => low.max(said),
        _ => low,
    }
}

impl World {
    /// After each step: wakes readers, lets clients do what they can, and checks.
    pub(super) fn look(&mut self) {
        self.witness();
        self.gateway.woken = self.gateway.hub.wake_since(self.gateway.woken);
        let gsn = self.gateway.store.gsn();
        let committed = gsn != std::mem::replace(&mut self.seen, gsn);
        for nth in 0..self.clients.len() {
            let now = self.here();
            let (hash, trace) = (&mut self.hash, self.trace);
            let mut note = |text: &str| {
                hash.write(text.as_bytes());
                if trace {
                    eprintln!("{:>12.3} ms  client {nth} reads {text}", now.mono.0 as f64 / 1000.0);
                }
            };
            let client = &mut self.clients[nth];
            let result = client.pump(now, &self.gateway, &self.accounts, &mut note).and_then(|read| {
                if read {
                    client.compare_past(&self.gateway, &self.accounts)?;
                }
                let newest = self.gateway.store.gsn();
                let unthrottled = client.wish.max_rate_hz.is_none() || client.view.gsn >= newest;
                if client.is_idle() && (read || committed) && unthrottled {
                    self.stats.checks += 1;
                    client.compare(&self.gateway, &self.accounts)?;
                }
                Ok(())
            });
            if let Err(why) = result {
                self.fail(format!("client {nth}: {why}"));
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for nth in 0..self.accounts.len() {
            self.check_alive(nth);
            if touched.contains(&nth) {
                self.check_rows(nth, gsn);
            }
        }
        touched.clear();
        self.touched = touched;
    }

    fn check_alive(&mut self, nth: usize) {
        let upstream = &self.gateway.upstreams[nth];
        let bound = self.accounts[nth].venue.liveness_bound_ms;
        let silent = self.now.mono > upstream.heard.plus_ms(bound);
        if upstream.conn.is_some() && !silent {
            return;
        }
        let record = self.gateway.store.record(upstream.idx);
        if let Some(record) = record.filter(|record| record.state.is_proven()) {
            let id = &self.accounts[nth].spec.id;
            let why = if silent { "silent beyond its bound" } else { "not connected" };
            self.fail(format!("{id} is {:?}, though it is {why}", record.state));
        }
    }

    /// Judges every cut that was there to be read since the last look, as if a client had read it.
    pub(super) fn witness(&mut self) {
        for cut in self.gateway.witness.take() {
            let idx_of = |id: &str| {
                let nth = self.accounts.iter().position(|account| &*account.spec.id == id);
                self.gateway.upstreams[nth.expect("a row belongs to an account")].idx
            };
            self.gateway.history.note(idx_of, &cut);
            let cut = cut.changes;
            let records = cut.accounts.iter().map(|record| &record.key.account);
            let mut changed: Vec<_> = records.chain(cut.balances.iter().map(|row| &row.key.account)).collect();
            changed.dedup();
            let touched = |id: &Arc<str>| changed.contains(&id);
            let nths: Vec<usize> = (0..self.accounts.len()).filter(|nth| touched(&self.accounts[*nth].spec.id)).collect();
            nths.into_iter().for_each(|nth| self.check_rows(nth, cut.cut));
        }
    }

    fn check_rows(&mut self, nth: usize, gsn: u64) {
        if self.accounts[nth].is_removed {
            return; // whether anybody is still told of it, `hidden` tells
        }
        let upstream = &self.gateway.upstreams[nth];
        let side = &self.sides[self.accounts[nth].side];
        let Some(Seen { record, complete, rows }) = self.gateway.history.at(upstream.idx, gsn) else { return };
        let state = record.state;
        let pipe = upstream.conn.and_then(|conn| side.pipes.get(&conn));
        let recent_ms = self.recent_ms(nth);
        let recent = side.log.version_at(Mono(self.now.mono.0.saturating_sub(recent_ms * 1000)));
        let mut why = None;
        for row in &rows {
            let live = row.state == RowState::Live;
            if live && !state.is_proven() {
                why = Some(format!("a row is live in an account that is {state:?}"));
            }
            if !side.log.allows(row, 0, side.log.version()) {
                why = Some("a row shows what was never held".into());
            }
            let Some(pipe) = pipe.filter(|_| live) else { continue };
            if pipe.ended {
                why = Some("a row is live, though the venue has ended the subscription".into());
            }
            if pipe.clean {
                let low = said_since(upstream, pipe, &(row.wallet.clone(), row.asset.clone()));
                if !side.log.allows(row, low, upstream.ceiling) {
                    why = Some(format!("a live row is not what was said last (versions {low} to {})", upstream.ceiling));
                }
            }
            if state == AccountState::Live && !side.log.allows(row, recent, side.log.version()) {
                why = Some(format!("a live row is not what was held in the last {recent_ms} ms"));
            }
            if why.is_some() {
                why = why.map(|why| format!("{why}: {}", truth::brief(row)));
                break;
            }
        }
        if why.is_none() && (state == AccountState::Live || complete) {
            why = side.log.without_row(&rows).find_map(|key| {
                let low = pipe.filter(|pipe| pipe.clean).map(|pipe| said_since(upstream, pipe, key));
                if low.is_some_and(|low| !side.log.allows_none(key, low, upstream.ceiling)) {
                    return Some(format!("a whole account lacks {key:?}, of which the venue has told"));
                }
                let is_old = state == AccountState::Live && !side.log.allows_none(key, recent, side.log.version());
                is_old.then(|| format!("a live account lacks {key:?}, which was held all the last {recent_ms} ms"))
            });
        }
        if rows.len() > self.max_rows.min(side.log.keys()) {
            why = Some(format!("{} rows, of {} ever held", rows.len(), side.log.keys()));
        }
        let orders = self.gateway.store.changes_since(0, &[upstream.idx], &Filter::default(), Channel::Orders).orders.len();
        if orders > MAX_ORDERS {
            why = Some(format!("{orders} orders"));
        }
        if let Some(why) = why {
            let id = Arc::clone(&self.accounts[nth].spec.id);
            self.fail(format!("{id}: {why}"));
        }
    }

    /// How old a live row's number may be. An answer out of its time may agree with what a newer one would have corrected: then the
    /// comparison after it finds it. Until there is one, the answer may be of any age.
    fn recent_ms(&self, nth: usize) -> u64 {
        if self.gateway.upstreams[nth].was_late {
            return self.now.mono.0 / 1000;
        }
        let late = self.gateway.upstreams[nth].late_at;
        let is_recent = late.is_some_and(|at| self.now.mono.since_ms(at) <= 2 * self.recent_ms);
        if is_recent { 2 * self.recent_ms } else { self.recent_ms }
    }

    /// What keeps an account from being live and exactly its book. `None`: nothing.
    pub fn unsettled(&self, nth: usize) -> Option<String> {
        let side = &self.sides[self.accounts[nth].side];
        let record = self.gateway.store.record(self.gateway.upstreams[nth].idx)?;
        let id = &self.accounts[nth].spec.id;
        // With more held than it may have rows, it shows a part, and says so.
        let limited = record.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::RowLimit);
        let is_part = self.max_rows < side.log.keys() && record.state == AccountState::Degraded && limited;
        if record.state != AccountState::Live && !is_part {
            return Some(format!("{id} is {:?}: {:?}", record.state, record.reason));
        }
        let rows = self.gateway.rows(nth);
        if let Some(row) = rows.iter().find(|row| row.state != RowState::Live) {
            return Some(format!("{id}: a row is not live: {}", truth::brief(row)));
        }
        let mut found = truth::differences(&rows, &side.log, self.knows[self.accounts[nth].side]);
        found.retain(|difference| !(is_part && difference.ends_with(truth::NO_ROW)));
        found.first().map(|difference| format!("{id}: {difference}"))
    }

    /// What keeps a client from showing exactly what its accounts' books hold.
    fn uninformed(&self, nth: usize) -> Option<String> {
        let client = &self.clients[nth];
        if !client.is_idle() {
            return Some(format!("client {nth} awaits something"));
        }
        client.compare(&self.gateway, &self.accounts).err().map(|why| format!("client {nth}: {why}"))
    }

    /// Waits until everything is exact again; tells how many ms that took.
    ///
    /// # Errors
    /// What is still wrong after `bound_ms`, or whatever went wrong on the way.
    pub fn settle(&mut self, bound_ms: u64) -> Result<u64, String> {
        let (begin, end) = (self.now.mono, self.now.mono.plus_ms(bound_ms));
        loop {
            if let Some(why) = &self.failure {
                return Err(why.clone());
            }
            let unsettled = (0..self.accounts.len()).find_map(|nth| self.unsettled(nth));
            let unsettled = unsettled.or_else(|| (0..self.clients.len()).find_map(|nth| self.uninformed(nth)));
            let Some(why) = unsettled else { return Ok(self.now.mono.since_ms(begin)) };
            if self.now.mono >= end {
                return Err(format!("not settled after {bound_ms} ms: {why}"));
            }
            let next = if self.precise { end } else { self.now.mono.plus_ms(1_000).min(end) };
            if self.precise {
                if !self.step(next) {
                    self.set_time(next);
                }
            } else {
                self.run(next);
            }
            self.planned.clear();
        }
    }
}
