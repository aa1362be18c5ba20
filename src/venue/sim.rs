//! The contract of a venue simulator: the same venue from the other side, as pure as a session.
//!
//! A simulator verifies credentials for real, keeps a [`Book`] of true balances, and speaks its venue's exact frames and REST
//! answers within the venue's limits. Sockets are put around it by [`crate::sim`]; money is moved by [`Move`]s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mono, Now, WalletSpec};
use crate::model::{Amount, Name};

/// One simulated venue.
pub trait Sim: Send {
    /// A WebSocket handshake. `Err` refuses it with that answer.
    ///
    /// # Errors
    /// The HTTP answer that refuses the connection (wrong path, too many connections).
    fn on_connect(&mut self, now: Now, conn: ConnId, request: &SimRequest, out: &mut SimOut) -> Result<(), SimReply>;
    /// A text frame from a client. Protocol pings are answered by whoever holds the socket.
    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut);
    /// A connection ended.
    fn on_disconnect(&mut self, now: Now, conn: ConnId);
    /// A REST request.
    fn on_request(&mut self, now: Now, request: &SimRequest, out: &mut SimOut) -> SimReply;
    /// [`Sim::deadline`] has passed.
    fn on_timeout(&mut self, now: Now, out: &mut SimOut);
    /// When to call [`Sim::on_timeout`]. `None`: never.
    fn deadline(&self) -> Option<Mono>;
    /// Money moves; the venue tells of it what it tells.
    ///
    /// # Errors
    /// What the book refuses: an unknown account or order, more than there is.
    fn on_move(&mut self, now: Now, mv: &Move, out: &mut SimOut) -> Result<(), String>;
    /// The venue's own faults: name and what it does.
    fn faults(&self) -> &'static [(&'static str, &'static str)];
    /// Throws one of [`Sim::faults`].
    ///
    /// # Errors
    /// An unknown name.
    fn on_fault(&mut self, now: Now, fault: &str, out: &mut SimOut) -> Result<(), String>;
    /// The true balances of an account.
    fn book(&self, account: &str) -> Option<&Book>;
}

/// One connection, as the holder of the sockets names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// What a simulator asks of whoever holds the sockets, in order.
#[derive(Debug, Default)]
pub struct SimOut {
    pub actions: Vec<SimAction>,
}

impl SimOut {
    pub fn send(&mut self, conn: ConnId, text: impl Into<String>) {
        self.actions.push(SimAction::Send(conn, text.into()));
    }
    pub fn close(&mut self, conn: ConnId, code: u16, reason: &'static str) {
        self.actions.push(SimAction::Close(conn, code, reason));
    }
}

/// One thing to do.
#[derive(Debug, Clone)]
pub enum SimAction {
    Send(ConnId, String),
    Ping(ConnId),
    Close(ConnId, u16, &'static str),
}

/// An HTTP request as a simulator sees it.
#[derive(Debug, Clone, Default)]
pub struct SimRequest {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl SimRequest {
    /// A header's value, or the empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct SimReply {
    pub status: u16,
    pub body: String,
}

impl SimReply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}

/// What a simulator is set up with.
#[derive(Debug, Clone, Default)]
pub struct SimSetup {
    pub accounts: Vec<SimAccount>,
    pub seed: u64,
}

/// One account at the simulated venue.
#[derive(Debug, Clone)]
pub struct SimAccount {
    /// The simulator's name for it; the demo uses the same name in the gateway.
    pub id: String,
    /// As in the gateway's configuration.
    pub credentials: BTreeMap<String, String>,
    pub book: Book,
}

/// An account for the demo and for conformance tests, both sides of it.
pub struct Sample {
    pub account: SimAccount,
    /// The gateway's side, where it needs addresses.
    pub wallets: Vec<WalletSpec>,
    /// Path of the stream, appended to the simulator's `ws://host:port`.
    pub ws_path: &'static str,
    /// Path of REST, appended to the simulator's `http://host:port`; may be empty.
    pub rest_path: &'static str,
    /// What the market trades: base and quote in one wallet.
    pub markets: Vec<Market>,
}

/// A pair the simulated market trades.
#[derive(Debug, Clone)]
pub struct Market {
    pub wallet: Name,
    pub base: Name,
    pub quote: Name,
    /// Quote for one base.
    pub price: Amount,
    /// Typical size of an order, in base.
    pub size: Amount,
}

/// A movement of money in one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "move", rename_all = "snake_case")]
pub enum Move {
    /// Money arrives from outside.
    Deposit { account: String, wallet: Name, asset: Name, amount: Amount },
    /// A withdrawal is asked for: available becomes locked.
    WithdrawRequest { account: String, wallet: Name, asset: Name, amount: Amount },
    /// A withdrawal is done: locked shrinks.
    WithdrawDone { account: String, wallet: Name, asset: Name, amount: Amount },
    /// The venue's staff credits (or, below zero, debits) an account.
    Adjust { account: String, wallet: Name, asset: Name, amount: Amount },
    /// An order locks what it spends.
    Place { account: String, wallet: Name, order: Name, spend: Name, amount: Amount },
    /// An order is filled, wholly or in part: `spent` leaves locked, `gained` (less `fee`, in the gained asset) arrives.
    Fill {
        account: String,
        wallet: Name,
        order: Name,
        spend: Name,
        spent: Amount,
        gain: Name,
        gained: Amount,
        fee: Amount,
        price: Amount,
        done: bool,
    },
    /// An order is cancelled: what is left of it becomes available again.
    Cancel { account: String, wallet: Name, order: Name, spend: Name, amount: Amount },
    /// The row is simply this from now on. For tests.
    Set { account: String, wallet: Name, asset: Name, available: Amount, locked: Amount },
}

impl Move {
    /// The account it concerns.
    pub fn account(&self) -> &str {
        match self {
            Self::Deposit { account, .. }
            | Self::WithdrawRequest { account, .. }
            | Self::WithdrawDone { account, .. }
            | Self::Adjust { account, .. }
            | Self::Place { account, .. }
            | Self::Fill { account, .. }
            | Self::Cancel { account, .. }
            | Self::Set { account, .. } => account,
        }
    }
}

/// What is truly held: (wallet, asset) → available and locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    pub rows: BTreeMap<(Name, Name), Holding>,
}

/// One holding. The total is the sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holding {
    pub available: Amount,
    pub locked: Amount,
}

impl Default for Holding {
    fn default() -> Self {
        Self { available: Amount::ZERO, locked: Amount::ZERO }
    }
}

impl Holding {
    pub fn total(&self) -> Amount {
        self.available.plus(&self.locked)
    }
    pub fn is_zero(&self) -> bool {
        self.available.is_zero() && self.locked.is_zero()
    }
}

impl Book {
    /// A book from (wallet, asset, available, locked) texts.
    ///
    /// # Panics
    /// On a text that is no amount: the caller writes them by hand.
    pub fn of(rows: &[(&str, &str, &str, &str)]) -> Self {
        let amount = |text: &str| text.parse().expect("a hand-written amount");
        let rows = rows.iter().map(|(wallet, asset, available, locked)| {
            ((Name::from(*wallet), Name::from(*asset)), Holding { available: amount(available), locked: amount(locked) })
        });
        Self { rows: rows.collect() }
    }

    /// The holding, zero where there is none.
    pub fn holding(&self, wallet: &str, asset: &str) -> Holding {
        self.rows.get(&(wallet.into(), asset.into())).cloned().unwrap_or_default()
    }

    /// Applies a movement and names the rows it touched, in the order a venue would tell them.
    ///
    /// # Errors
    /// More spent than there is.
    pub fn apply(&mut self, mv: &Move) -> Result<Vec<(Name, Name)>, String> {
        match mv {
            Move::Deposit { wallet, asset, amount, .. } | Move::Adjust { wallet, asset, amount, .. } => {
                self.shift(wallet, asset, amount, &Amount::ZERO).map(|key| vec![key])
            }
            Move::WithdrawRequest { wallet, asset, amount, .. } | Move::Place { wallet, spend: asset, amount, .. } => {
                self.shift(wallet, asset, &amount.negated(), amount).map(|key| vec![key])
            }
            Move::WithdrawDone { wallet, asset, amount, .. } => {
                self.shift(wallet, asset, &Amount::ZERO, &amount.negated()).map(|key| vec![key])
            }
            Move::Cancel { wallet, spend, amount, .. } => {
                self.shift(wallet, spend, amount, &amount.negated()).map(|key| vec![key])
            }
            Move::Fill { wallet, spend, spent, gain, gained, fee, .. } => {
                // Both legs or neither.
                let before = self.holding(wallet, spend);
                let spend = self.shift(wallet, spend, &Amount::ZERO, &spent.negated())?;
                let gain = self.shift(wallet, gain, &gained.minus(fee), &Amount::ZERO);
                if gain.is_err() {
                    self.rows.insert(spend.clone(), before);
                }
                Ok(vec![gain?, spend])
            }
            Move::Set { wallet, asset, available, locked, .. } => {
                let key = (wallet.clone(), asset.clone());
                self.rows.insert(key.clone(), Holding { available: available.clone(), locked: locked.clone() });
                Ok(vec![key])
            }
        }
    }

    fn shift(&mut self, wallet: &Name, asset: &Name, available: &Amount, locked: &Amount) -> Result<(Name, Name), String> {
        let key = (wallet.clone(), asset.clone());
        let holding = self.rows.get(&key).cloned().unwrap_or_default();
        let next = Holding { available: holding.available.plus(available), locked: holding.locked.plus(locked) };
        if (next.available.is_negative() && available.is_negative()) || next.locked.is_negative() {
            return Err(format!("{wallet} {asset} does not hold that much"));
        }
        self.rows.insert(key.clone(), next);
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_that_cannot_pay_its_fee_changes_nothing() {
        let mut book = Book::of(&[("spot", "USD", "0", "10"), ("spot", "BTC", "0.1", "0")]);
        let before = book.clone();
        let amount = |text: &str| text.parse().unwrap();
        let fill = |fee: &str| Move::Fill {
            account: "a".into(),
            wallet: "spot".into(),
            order: "1".into(),
            spend: "USD".into(),
            spent: amount("10"),
            gain: "BTC".into(),
            gained: amount("1"),
            fee: amount(fee),
            price: amount("10"),
            done: true,
        };
        book.apply(&fill("1.2")).unwrap_err();
        assert_eq!(book, before);
        book.apply(&fill("1.1")).unwrap();
        assert_eq!((book.holding("spot", "USD").total(), book.holding("spot", "BTC").total()), (amount("0"), amount("0.0")));
    }
}
