//! The toy bank from its own side.

use std::collections::BTreeMap;

use balance_gateway::model::{Mono, Now};
use balance_gateway::venue::sim::{Book, ConnId, Holding, Move, Sim, SimAccount, SimOut, SimReply, SimRequest, SimSetup};
use serde_json::{Value, json};

const FAULTS: &[(&str, &str)] = &[
    ("lose_next_row", "the rows of the next move are not pushed"),
    ("kick", "every connection is closed"),
    ("mute", "nothing is said any more; again: ends it"),
];

pub struct Toy {
    accounts: Vec<SimAccount>,
    /// Who is connected, and as which account.
    conns: BTreeMap<ConnId, Option<usize>>,
    mute: bool,
    lose: bool,
}

impl Toy {
    pub fn new(setup: SimSetup) -> Self {
        Self { accounts: setup.accounts, conns: BTreeMap::new(), mute: false, lose: false }
    }
    fn send(&self, conn: ConnId, message: &Value, out: &mut SimOut) {
        if !self.mute {
            out.send(conn, message.to_string());
        }
    }
    fn list(&self, conn: ConnId, account: usize, out: &mut SimOut) {
        let rows = self.accounts[account].book.rows.iter().filter(|(_, holding)| !holding.is_zero());
        let rows: Vec<_> = rows.map(|((wallet, asset), holding)| row(wallet, asset, holding)).collect();
        self.send(conn, &json!({"all": rows}), out);
    }
}

fn row(wallet: &str, asset: &str, holding: &Holding) -> Value {
    json!([wallet, asset, holding.available, holding.locked])
}

impl Sim for Toy {
    fn on_connect(&mut self, _: Now, conn: ConnId, request: &SimRequest, _: &mut SimOut) -> Result<(), SimReply> {
        if request.path != "/stream" {
            return Err(SimReply::new(404, "no bank here"));
        }
        self.conns.insert(conn, None);
        Ok(())
    }
    fn on_frame(&mut self, _: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(key) = message["login"].as_str() {
            let known = self.accounts.iter().position(|account| account.credentials["key"] == key);
            self.conns.insert(conn, known);
            if known.is_none() {
                self.send(conn, &json!({"denied": true}), out);
            }
        }
        if let Some(Some(account)) = self.conns.get(&conn) {
            self.list(conn, *account, out);
        }
    }
    fn on_disconnect(&mut self, _: Now, conn: ConnId) {
        self.conns.remove(&conn);
    }
    fn on_request(&mut self, _: Now, _: &SimRequest, _: &mut SimOut) -> SimReply {
        SimReply::new(404, "the bank has no counter")
    }
    fn on_timeout(&mut self, _: Now, _: &mut SimOut) {}
    fn deadline(&self) -> Option<Mono> {
        None
    }
    fn on_move(&mut self, _: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        let nth = self.accounts.iter().position(|account| account.id == mv.account()).ok_or("no such account")?;
        let touched = self.accounts[nth].book.apply(mv)?;
        if std::mem::take(&mut self.lose) {
            return Ok(());
        }
        for (conn, _) in self.conns.iter().filter(|(_, account)| **account == Some(nth)) {
            for (wallet, asset) in &touched {
                let holding = self.accounts[nth].book.holding(wallet, asset);
                self.send(*conn, &json!({"row": row(wallet, asset, &holding)}), out);
            }
        }
        Ok(())
    }
    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        FAULTS
    }
    fn on_fault(&mut self, _: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        match fault {
            "lose_next_row" => self.lose = true,
            "kick" => self.conns.keys().for_each(|conn| out.close(*conn, 1001, "closing time")),
            "mute" => self.mute = !self.mute,
            _ => return Err(format!("no fault {fault:?}")),
        }
        Ok(())
    }
    fn book(&self, account: &str) -> Option<&Book> {
        self.accounts.iter().find(|known| known.id == account).map(|known| &known.book)
    }
}
