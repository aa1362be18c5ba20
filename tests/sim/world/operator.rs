//! What an operator does to a gateway: restart it, put secrets in place, ask for fresh rows, change whose an account is.

use std::collections::BTreeMap;

use balance_gateway::access::{Revocation, Revoked};
use balance_gateway::model::{Now, UnixMs};

use super::World;
use super::gateway::Gateway;
use super::net::Item;

/// A leap ahead of the wall clock that the daemon takes for sleep.
const SLEEP_MS: i64 = 5_000;

impl World {
    /// The gateway dies and comes up again: a new history, new connections. Clients come back by themselves.
    pub fn restart_gateway(&mut self) {
        self.tell(|| "the gateway RESTARTS".into());
        for link in 0..self.accounts.len() {
            let conn = self.gateway.upstreams[link].conn;
            self.send_up(self.accounts[link].side, conn, Item::End);
            self.hang_up(link);
        }
        self.accounts.iter_mut().for_each(|account| account.is_removed = false);
        let run = self.gateway.run + 1;
        self.gateway = Gateway::start(run, &self.accounts, &self.access, self.max_rows, self.rng.u64(..), self.here());
        self.seen = 0;
        let now = self.now.mono;
        self.clients.iter_mut().for_each(|client| client.cut(now));
    }

    /// The operator puts other secrets in place.
    pub fn rekey(&mut self, nth: usize, secrets: &BTreeMap<String, String>) {
        for link in 0..self.accounts.len() {
            let account = &self.accounts[link];
            if account.side == nth {
                let secrets = secrets.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
                account.spec.credentials.replace(secrets.collect());
                self.tell(|| format!("account {link} is REKEYED"));
                self.mind_credentials(link);
            }
        }
    }

    /// The operator says that the credentials are to be looked at again.
    pub fn mind_credentials(&mut self, link: usize) {
        let (here, mut commands) = (self.here(), Vec::new());
        self.gateway.upstreams[link].sent.values_mut().for_each(|floor| *floor = None);
        self.gateway.upstreams[link].link.on_credentials(here, &mut commands);
        self.carry_out(link, commands);
    }

    /// The operator asks for a fresh snapshot.
    pub fn resync(&mut self, link: usize) {
        let (here, mut commands) = (self.here(), Vec::new());
        self.gateway.upstreams[link].sent.values_mut().for_each(|floor| *floor = None);
        self.gateway.upstreams[link].link.resync(here, &mut commands);
        self.tell(|| format!("link {link} RESYNC"));
        self.carry_out(link, commands);
    }

    /// The operator changes whose an account is.
    pub fn give(&mut self, account: usize, owners: Vec<String>) {
        self.tell(|| format!("account {account} now belongs to {owners:?}"));
        self.accounts[account].owners = owners;
        self.gateway.list(&self.accounts);
    }

    /// A reload takes an account away.
    pub fn remove(&mut self, link: usize) {
        if std::mem::replace(&mut self.accounts[link].is_removed, true) {
            return;
        }
        self.tell(|| format!("account {link} is REMOVED"));
        self.witness();
        let conn = self.gateway.upstreams[link].conn;
        self.send_up(self.accounts[link].side, conn, Item::End);
        self.hang_up(link);
        self.gateway.remove(link);
        self.gateway.list(&self.accounts);
    }

    /// A reload puts an account back that was taken away.
    pub fn restore(&mut self, link: usize) {
        if !std::mem::replace(&mut self.accounts[link].is_removed, false) {
            return;
        }
        self.tell(|| format!("account {link} is RESTORED"));
        self.witness();
        let (seed, here) = (self.rng.u64(..), self.here());
        self.gateway.add(link, &self.accounts[link], seed, here);
        self.gateway.list(&self.accounts);
    }

    /// Every token of a user that was issued until now is worth nothing.
    pub fn revoke(&mut self, user: &str) {
        let issued_before = self.here().unix;
        let what = Revoked::User { user: user.into(), issued_before };
        let revocation = Revocation { what, until: None };
        self.access.load().revocations().add(revocation, issued_before).expect("there is room");
        self.tell(|| format!("{user} is REVOKED"));
        self.clients.iter_mut().filter(|client| client.wish.user == user).for_each(|client| client.revoke(issued_before));
        self.gateway.hub.wake_all();
    }

    /// Somebody sets the gateway's wall clock, so far from the right time. A leap ahead looks as if the machine had slept.
    pub fn set_clock(&mut self, off_ms: i64) {
        let leap_ms = off_ms - std::mem::replace(&mut self.off_ms, off_ms);
        self.tell(|| format!("the clock is SET by {leap_ms} ms"));
        // A token on its way is dated by the clock as it was.
        let now = self.now.mono;
        self.clients.iter_mut().filter(|client| leap_ms != 0 && !client.is_idle()).for_each(|client| client.cut(now));
        for link in 0..self.accounts.len() {
            if leap_ms > SLEEP_MS && self.gateway.upstreams[link].conn.is_some() {
                let (here, mut commands) = (self.here(), Vec::new());
                self.gateway.upstreams[link].link.on_slept(here, &mut commands);
                self.carry_out(link, commands);
            }
        }
    }

    /// The gateway comes up anew, and keeps so many rows of an account.
    pub fn limit_rows(&mut self, max_rows: usize) {
        self.max_rows = max_rows;
        self.restart_gateway();
    }

    /// The time as the gateway has it.
    pub fn here(&self) -> Now {
        Now { unix: UnixMs(self.now.unix.0 + self.off_ms), ..self.now }
    }
}
