//! Synthesis from the other side: a public balance stream asked by address, order status, and nothing else.
//!
//! It pushes what the venue is documented to push: a total when it changes (so nothing when funds are only locked), order
//! status without an address, a protocol ping each 30 s. Where the documents are silent it takes the plain reading and offers
//! the other as a fault. It has no wallet ids and no positions route, so its REST knows no wallet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::wire::{self, Asked, Request};
use super::{MAX_ASSETS, MAX_WALLETS, PATHS};
use crate::model::{Amount, Mono, Name, Now};
use crate::venue::sim::{Book, ConnId, Move, Sim, SimAccount, SimAction, SimOut, SimReply, SimRequest, SimSetup};

/// The server's protocol pings (`api.synthesis.trade/docs/guides/websockets`).
const PING_MS: u64 = 30_000;
/// Between the parts of a list, with `snapshot_in_parts`.
const PART_MS: u64 = 200;
/// How late a list leaves, with `lagging_snapshot`.
const LAG_MS: u64 = 300;
/// Parts of lists on their way, and open orders, over all connections.
const MAX_LATER: usize = 5_000;
const MAX_ORDERS: usize = 10_000;
/// What trades are paid in; everything else is a position.
const CASH: [&str; 2] = ["USDC.e", "USDC"];
/// A valid address that nobody asks for.
const STRANGER: &str = "0x00000000000000000000000000000000deadbeef";

const FAULTS: &[(&str, &str)] = &[
    ("silence", "nothing is answered, pushed or pinged any more; again: ends it"),
    ("lose_next_update", "the next balance update is not pushed"),
    ("unreadable_next_update", "the next balance update carries no number"),
    ("snapshot_in_parts", "lists come one wallet a frame, 200 ms apart; again: ends it"),
    ("lagging_snapshot", "lists are sent 300 ms after they were made, so updates overtake them; again: ends it"),
    ("omit_empty_wallets", "lists leave out wallets that hold nothing; again: ends it"),
    ("empty_list", "lists name no wallet at all; again: ends it"),
    ("null_balances", "the next list has null for its first wallet's balances"),
    ("uppercase_addresses", "0x addresses come back in upper case; again: ends it"),
    ("no_resubscribe_snapshot", "a second subscribe of a connection is not answered; again: ends it"),
    ("resubscribe_replaces", "a second subscribe replaces the first instead of adding to it; again: ends it"),
    ("invalid_wallet", "the first wallet of the first account is called invalid; again: ends it"),
    ("rate_limit", "the next subscribe is answered \"Rate limit exceeded\""),
    ("odd_refusal", "the next subscribe is refused in undocumented words"),
    ("unknown_address_update", "every connection is pushed an update of an address it never asked for"),
    ("unsubscribe", "every subscription ends, with the acknowledgement of an unsubscribe nobody sent"),
];

/// Canonical address to assets and totals.
type Held = BTreeMap<String, Vec<(Name, Amount)>>;

/// The simulated venue.
pub(super) struct SynthesisSim {
    accounts: Vec<SimAccount>,
    conns: BTreeMap<ConnId, Conn>,
    /// Open orders, by account and order id.
    orders: BTreeMap<(String, Name), Ticket>,
    /// Frames on their way, soonest first.
    later: VecDeque<(Mono, ConnId, String)>,
    /// Faults in force.
    faults: BTreeSet<&'static str>,
}

struct Conn {
    /// By canonical address.
    wallets: BTreeMap<String, Subscription>,
    next_ping: Mono,
    answered: bool,
}

struct Subscription {
    /// As the client spelled it.
    address: String,
    /// `None`: every asset.
    assets: Option<Vec<Name>>,
}

struct Ticket {
    token: Name,
    side: &'static str,
    /// What the order may spend.
    amount: Amount,
    /// In shares.
    filled: Amount,
}

#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    response: T,
}

#[derive(Serialize)]
struct Wallets {
    wallets: Vec<Wallet>,
}

#[derive(Serialize)]
struct Wallet {
    chain_id: &'static str,
    address: String,
    balances: Option<BTreeMap<Name, String>>,
}

#[derive(Serialize)]
struct Update<'a> {
    address: &'a str,
    asset: &'a str,
    balance: &'a str,
}

#[derive(Serialize)]
struct Order<'a> {
    order_id: &'a str,
    token_id: &'a str,
    side: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    amount: &'a Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'a Amount>,
    filled: &'a Amount,
    status: &'a str,
}

impl Sim for SynthesisSim {
    fn on_connect(&mut self, now: Now, conn: ConnId, request: &SimRequest, _: &mut SimOut) -> Result<(), SimReply> {
        let path = request.path.split('?').next().unwrap_or_default();
        if !PATHS.contains(&path) {
            return Err(SimReply::new(404, frame(false, "Not found")));
        }
        if !self.knows(request) {
            return Err(SimReply::new(401, frame(false, "Unauthorized")));
        }
        let next_ping = now.mono.plus_ms(PING_MS);
        self.conns.insert(conn, Conn { wallets: BTreeMap::new(), next_ping, answered: false });
        Ok(())
    }

    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        if self.on("silence") {
            return;
        }
        let Ok(request) = serde_json::from_str::<Request<'_>>(text) else {
            return out.send(conn, frame(false, "Invalid request"));
        };
        match &*request.kind {
            "subscribe" => self.subscribe(now, conn, &request.wallets, out),
            "unsubscribe" => {
                let Some(conn_state) = self.conns.get_mut(&conn) else { return };
                for asked in &request.wallets {
                    conn_state.wallets.remove(&*wire::canonical(&asked.address));
                }
                out.send(conn, frame(true, "Unsubscribed"));
            }
            _ => out.send(conn, frame(false, "Invalid request")),
        }
    }

    fn on_disconnect(&mut self, _: Now, conn: ConnId) {
        self.conns.remove(&conn);
        self.later.retain(|(_, to, _)| *to != conn);
    }

    fn on_request(&mut self, _: Now, request: &SimRequest, _: &mut SimOut) -> SimReply {
        if !self.knows(request) {
            return SimReply::new(401, frame(false, "Unauthorized"));
        }
        SimReply::new(404, frame(false, "Wallet not found"))
    }

    fn on_timeout(&mut self, now: Now, out: &mut SimOut) {
        let silent = self.on("silence");
        for (id, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.next_ping <= now.mono) {
            conn.next_ping = now.mono.plus_ms(PING_MS);
            if !silent {
                out.actions.push(SimAction::Ping(*id));
            }
        }
        while self.later.front().is_some_and(|(at, ..)| *at <= now.mono) {
            if let Some((_, conn, text)) = self.later.pop_front().filter(|_| !silent) {
                out.send(conn, text);
            }
        }
    }

    fn deadline(&self) -> Option<Mono> {
        let pings = self.conns.values().map(|conn| conn.next_ping);
        pings.chain(self.later.front().map(|(at, ..)| *at)).min()
    }

    fn on_move(&mut self, _: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        let opens = matches!(mv, Move::Place { .. });
        if opens && self.orders.len() >= MAX_ORDERS {
            return Err(format!("the venue holds {MAX_ORDERS} open orders at most"));
        }
        let account = self.accounts.iter_mut().find(|account| account.id == mv.account());
        let book = &mut account.ok_or_else(|| format!("no account {:?}", mv.account()))?.book;
        // What is only locked or freed does not change a total, and is not told.
        let mut told = !matches!(mv, Move::Place { .. } | Move::WithdrawRequest { .. } | Move::Cancel { .. });
        if let Move::Set { wallet, asset, available, locked, .. } = mv {
            told = !book.holding(wallet, asset).total().same_value(&available.plus(locked));
        }
        let mut changed = Vec::new();
        for (wallet, asset) in book.apply(mv)?.into_iter().filter(|_| told) {
            let total = book.holding(&wallet, &asset).total();
            changed.push((wallet, asset, total));
        }
        self.order_before(mv, out);
        for (wallet, asset, total) in &changed {
            self.push_update(wallet, asset, total, out);
        }
        self.order_after(mv, out);
        Ok(())
    }

    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        FAULTS
    }

    fn on_fault(&mut self, _: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        let known = FAULTS.iter().map(|(name, _)| *name).find(|name| *name == fault);
        match known.ok_or_else(|| format!("no fault {fault:?} at this venue"))? {
            "unknown_address_update" => {
                let text = frame(true, Update { address: STRANGER, asset: "USDC.e", balance: "1" });
                self.conns.keys().for_each(|conn| out.send(*conn, text.clone()));
            }
            "unsubscribe" => {
                for (id, conn) in &mut self.conns {
                    conn.wallets.clear();
                    out.send(*id, frame(true, "Unsubscribed"));
                }
            }
            name => {
                if !self.faults.remove(name) {
                    self.faults.insert(name);
                }
            }
        }
        Ok(())
    }

    fn book(&self, account: &str) -> Option<&Book> {
        self.accounts.iter().find(|candidate| candidate.id == account).map(|account| &account.book)
    }
}

impl SynthesisSim {
    pub(super) fn new(setup: SimSetup) -> Self {
        let (conns, orders, later, faults) = Default::default();
        Self { accounts: setup.accounts, conns, orders, later, faults }
    }

    fn on(&self, fault: &'static str) -> bool {
        self.faults.contains(fault)
    }

    /// Is the fault in force? It is over then.
    fn once(&mut self, fault: &'static str) -> bool {
        self.faults.remove(fault)
    }

    /// The stream is public; a credential that is sent all the same must be some account's.
    fn knows(&self, request: &SimRequest) -> bool {
        super::HEADERS.iter().all(|(name, header)| {
            let sent = request.header(&header.to_lowercase());
            let sent = sent.strip_prefix("Bearer ").unwrap_or(sent);
            sent.is_empty() || self.accounts.iter().any(|account| account.credentials.get(*name).is_some_and(|c| c == sent))
        })
    }

    fn subscribe(&mut self, now: Now, id: ConnId, asked: &[Asked<'_>], out: &mut SimOut) {
        if self.once("rate_limit") {
            return out.send(id, frame(false, "Rate limit exceeded"));
        }
        if self.once("odd_refusal") {
            return out.send(id, frame(false, "Please try again"));
        }
        let replaces = self.on("resubscribe_replaces");
        let Some(conn) = self.conns.get(&id) else { return };
        let held = conn.wallets.keys().map(String::as_str).filter(|_| !replaces);
        let wallets: BTreeSet<_> = asked.iter().map(|a| wire::canonical(&a.address)).collect();
        let wallet_count = held.filter(|held| !wallets.contains(*held)).count() + wallets.len();
        let asset_count: usize = asked.iter().filter_map(|a| a.assets.as_ref()).map(Vec::len).sum();
        let valid = |a: &Asked<'_>| wire::chain_of(&a.address).is_some() && !self.is_called_invalid(&a.address);
        // One bad address refuses the whole request, and no address is named.
        if wallet_count > MAX_WALLETS || asset_count > MAX_ASSETS || asked.is_empty() || !asked.iter().all(valid) {
            return out.send(id, frame(false, "Invalid wallets"));
        }
        let silent = conn.answered && self.on("no_resubscribe_snapshot");
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.answered = true;
        if replaces {
            conn.wallets.clear();
        }
        for a in asked {
            let subscription = Subscription { address: a.address.to_string(), assets: a.assets.clone() };
            conn.wallets.insert(wire::canonical(&a.address).into_owned(), subscription);
        }
        if !silent {
            self.answer(now, id, asked, out);
        }
    }

    /// The current balances of the wallets asked for, as one frame or as the faults in force want it.
    fn answer(&mut self, now: Now, id: ConnId, asked: &[Asked<'_>], out: &mut SimOut) {
        let held = self.held();
        let mut wallets: Vec<Wallet> = asked.iter().map(|asked| self.wallet(&held, asked)).collect();
        if self.on("omit_empty_wallets") {
            wallets.retain(|wallet| wallet.balances.as_ref().is_some_and(|balances| !balances.is_empty()));
        }
        if self.on("empty_list") {
            wallets.clear();
        }
        if self.once("null_balances") {
            wallets.iter_mut().take(1).for_each(|wallet| wallet.balances = None);
        }
        let in_parts = self.on("snapshot_in_parts") && !wallets.is_empty();
        let parts = if in_parts { wallets.into_iter().map(|wallet| vec![wallet]).collect() } else { vec![wallets] };
        let lag = if self.on("lagging_snapshot") { LAG_MS } else { 0 };
        for (wait, wallets) in (0..).map(|part| lag + part * PART_MS).zip(parts) {
            let text = frame(true, Wallets { wallets });
            if wait == 0 {
                out.send(id, text);
            } else if self.later.len() >= MAX_LATER {
                return out.close(id, 1008, "too many requests");
            } else {
                let at = now.mono.plus_ms(wait);
                let place = self.later.partition_point(|(other, ..)| *other <= at);
                self.later.insert(place, (at, id, text));
            }
        }
    }

    fn wallet(&self, held: &Held, asked: &Asked<'_>) -> Wallet {
        let wanted = |asset: &Name| asked.assets.as_ref().is_none_or(|assets| assets.contains(asset));
        let rows = held.get(&*wire::canonical(&asked.address)).into_iter().flatten().filter(|(asset, _)| wanted(asset));
        Wallet {
            chain_id: wire::chain_of(&asked.address).unwrap_or_default(),
            address: self.spell(&asked.address),
            balances: Some(rows.map(|(asset, total)| (asset.clone(), total.to_string())).collect()),
        }
    }

    /// What every address holds. What is zero is not held.
    fn held(&self) -> Held {
        let mut held = Held::new();
        for ((wallet, asset), holding) in self.accounts.iter().flat_map(|account| &account.book.rows) {
            let total = holding.total();
            if !total.is_zero() {
                held.entry(wire::canonical(wallet).into_owned()).or_default().push((asset.clone(), total));
            }
        }
        held
    }

    fn push_update(&mut self, wallet: &str, asset: &Name, total: &Amount, out: &mut SimOut) {
        if self.once("lose_next_update") {
            return;
        }
        let unreadable = self.once("unreadable_next_update");
        // A position that is gone is told as "0", however many decimals it had.
        let zero = total.is_zero().then_some("0");
        let balance = if unreadable { "n/a" } else { zero.unwrap_or(total.as_str()) };
        for (id, subscription) in self.listeners(wallet) {
            if subscription.assets.as_ref().is_none_or(|assets| assets.contains(asset)) {
                out.send(id, frame(true, Update { address: &self.spell(&subscription.address), asset, balance }));
            }
        }
    }

    /// What is told of an order before the balances change.
    fn order_before(&mut self, mv: &Move, out: &mut SimOut) {
        match mv {
            Move::Place { account, wallet, order, spend, amount } => {
                let (token, side) = if CASH.contains(&spend.as_str()) {
                    // A move names what is spent only; what is bought shows at the first fill.
                    (self.first_position(wallet), "BUY")
                } else {
                    (spend.clone(), "SELL")
                };
                let ticket = Ticket { token, side, amount: amount.clone(), filled: Amount::ZERO };
                self.push_order(wallet, order, &ticket, None, "OPEN", out);
                self.orders.insert((account.clone(), order.clone()), ticket);
            }
            Move::Fill { account, wallet, order, spend, spent, gain, gained, price, .. } => {
                let buys = CASH.contains(&spend.as_str());
                let (token, side, shares) = if buys { (gain, "BUY", gained) } else { (spend, "SELL", spent) };
                let key = (account.clone(), order.clone());
                let (amount, filled) = match self.orders.remove(&key) {
                    Some(ticket) => (ticket.amount, ticket.filled),
                    None => (spent.clone(), Amount::ZERO),
                };
                let mut ticket = Ticket { token: token.clone(), side, amount, filled };
                self.push_order(wallet, order, &ticket, Some(price), "MATCHED", out);
                ticket.filled = ticket.filled.plus(shares);
                self.orders.insert(key, ticket);
            }
            _ => {}
        }
    }

    /// What is told of an order once the balances have changed.
    fn order_after(&mut self, mv: &Move, out: &mut SimOut) {
        let (account, wallet, order, price, status) = match mv {
            Move::Fill { account, wallet, order, price, done, .. } => {
                (account, wallet, order, Some(price), if *done { "FILLED" } else { "PARTIAL" })
            }
            Move::Cancel { account, wallet, order, .. } => (account, wallet, order, None, "CANCELED"),
            _ => return,
        };
        let key = (account.clone(), order.clone());
        let Some(ticket) = self.orders.remove(&key) else { return };
        self.push_order(wallet, order, &ticket, price, status, out);
        if status == "PARTIAL" {
            self.orders.insert(key, ticket);
        }
    }

    fn push_order(&self, wallet: &str, id: &str, ticket: &Ticket, price: Option<&Amount>, status: &str, out: &mut SimOut) {
        let Ticket { token, side, amount, filled } = ticket;
        let order = Order { order_id: id, token_id: token, side, kind: "LIMIT", amount, price, filled, status };
        let text = frame(true, order);
        self.listeners(wallet).for_each(|(conn, _)| out.send(conn, text.clone()));
    }

    /// Connections that follow a wallet.
    fn listeners(&self, wallet: &str) -> impl Iterator<Item = (ConnId, &Subscription)> {
        let wallet = wire::canonical(wallet).into_owned();
        let heard = !self.on("silence");
        self.conns.iter().filter_map(move |(id, conn)| Some((*id, conn.wallets.get(&wallet).filter(|_| heard)?)))
    }

    fn first_position(&self, wallet: &str) -> Name {
        let keys = self.accounts.iter().flat_map(|account| account.book.rows.keys());
        let mut positions = keys.filter(|(owner, asset)| owner == wallet && !CASH.contains(&asset.as_str()));
        positions.next().map_or_else(|| "0".into(), |(_, asset)| asset.clone())
    }

    fn is_called_invalid(&self, address: &str) -> bool {
        let first = self.accounts.first().and_then(|account| account.book.rows.keys().next());
        self.on("invalid_wallet") && first.is_some_and(|(wallet, _)| wire::canonical(wallet) == wire::canonical(address))
    }

    fn spell(&self, address: &str) -> String {
        match address.strip_prefix("0x").filter(|_| self.on("uppercase_addresses")) {
            Some(digits) => format!("0x{}", digits.to_uppercase()),
            None => address.to_owned(),
        }
    }
}

fn frame(success: bool, response: impl Serialize) -> String {
    serde_json::to_string(&Envelope { success, response }).expect("strings, amounts and maps of strings are JSON")
}
