//! What an operator does to a gateway: restart it, put secrets in place, ask for fresh rows, change whose an account is.

use std::collections::BTreeMap;

use super::World;
use super::gateway::Gateway;
use super::net::Item;

impl World {
    /// The gateway dies and comes up again: a new history, new connections. Clients come back by themselves.
    pub fn restart_gateway(&mut self) {
        self.tell(|| "the gateway RESTARTS".into());
        for link in 0..self.accounts.len() {
            let conn = self.gateway.upstreams[link].conn;
            self.send_up(self.accounts[link].side, conn, Item::End);
            self.hang_up(link);
        }
        let run = self.gateway.run + 1;
        self.gateway = Gateway::start(run, &self.accounts, &self.access, self.rng.u64(..), self.now);
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
        let mut commands = Vec::new();
        self.gateway.upstreams[link].sent.values_mut().for_each(|floor| *floor = None);
        self.gateway.upstreams[link].link.on_credentials(self.now, &mut commands);
        self.carry_out(link, commands);
    }

    /// The operator asks for a fresh snapshot.
    pub fn resync(&mut self, link: usize) {
        let mut commands = Vec::new();
        self.gateway.upstreams[link].sent.values_mut().for_each(|floor| *floor = None);
        self.gateway.upstreams[link].link.resync(self.now, &mut commands);
        self.tell(|| format!("link {link} RESYNC"));
        self.carry_out(link, commands);
    }

    /// The operator changes whose an account is.
    pub fn give(&mut self, account: usize, owners: Vec<String>) {
        self.tell(|| format!("account {account} now belongs to {owners:?}"));
        self.accounts[account].owners = owners;
        self.gateway.list(&self.accounts);
    }
}
