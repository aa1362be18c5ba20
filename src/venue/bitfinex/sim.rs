//! Bitfinex from the other side: it checks keys, signatures and nonces, keeps true balances, and tells of them as the venue does.
//!
//! What it pushes: `ws` after `auth`, `wu` for each change of a wallet (a fill gives one for the amount gained, one for the amount
//! spent, one for the fee), `hb` after 15 s of silence. `ws` and REST list what is not zero. It knows no prices, so no `bu`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::calc::{MAX_ITEMS, RATE};
use super::{HEARTBEAT_MS, VENUE, auth, reconcile};
use crate::model::{Amount, Mono, Name, Now};
use crate::venue::sim::{Book, ConnId, Holding, Move, Sim, SimOut, SimReply, SimRequest, SimSetup};
use crate::venue::{Budget, Window};

/// REST requests a minute as documented today; the gateway keeps to the older, smaller number.
const CALLS: Window = Window { count: 90, per_ms: 60_000 };
/// How long an address is shut out after it overran them.
const BLOCK_MS: u64 = 60_000;
/// Flags of `conf`. Source: docs.bitfinex.com/reference/ws-config.
const DEC_S: u64 = 8;
const TIMESTAMP: u64 = 32_768;
const SEQ_ALL: u64 = 65_536;

/// The venue's own faults. Those that last, last until `heal`.
const FAULTS: &[(&str, &str)] = &[
    ("maintenance_begin", "info 20060: pushes pause, authentication and REST are refused"),
    ("maintenance_end", "info 20061: maintenance is over, subscriptions are gone"),
    ("restart", "info 20051 to every connection"),
    ("silence", "neither hb nor pushes, while the sockets stay; lasts"),
    ("null_available", "ws and wu carry null for the available amount; lasts"),
    ("calc_silence", "calc is never answered; lasts"),
    ("quiet_orders", "placing and cancelling orders pushes nothing; lasts"),
    ("no_wallets_permission", "keys may not read wallets; lasts"),
    ("withdraw_permission", "keys may withdraw; lasts"),
    ("trade_permission", "keys may place orders; lasts"),
    ("caps_as_string", "caps comes as a JSON-encoded string; lasts"),
    ("wide_rows", "wallet rows have two more fields; lasts"),
    ("rest_down", "REST answers 503 without JSON; lasts"),
    ("heal", "ends every fault that lasts"),
    ("nonce_small_once", "another program has used each key with a nonce 30 s ahead of the clock"),
    ("apikey_invalid_once", "the next auth is refused with 10100, though the key is good"),
    ("auth_ignored_once", "the next auth is never answered"),
    ("ws_withheld_once", "the next auth is answered, but no ws follows"),
    ("rest_rate_limit", "the address is shut out of REST for a minute"),
    ("ws_again", "ws once more on every connection"),
    ("lose_next_wu", "the next wu is lost"),
    ("cut_next_wu", "the next wu has four fields"),
    ("short_row", "a wu with four fields, to every connection"),
    ("garbage", "a frame that is no JSON, to every connection"),
];

/// The simulator of [`super::VENUE`].
pub(super) fn simulate(setup: SimSetup) -> Box<dyn Sim> {
    let accounts = setup.accounts.into_iter().map(|account| {
        let secret = |name: &str| account.credentials.get(name).cloned().unwrap_or_default();
        let (key, secret) = (secret("api_key"), secret("api_secret"));
        (account.id, Account { key, secret, nonce: 0, book: account.book })
    });
    Box::new(Bitfinex {
        accounts: accounts.collect(),
        conns: BTreeMap::new(),
        connects: Budget::new(VENUE.limits.connects),
        calls: Budget::new(CALLS),
        blocked_until: Mono::default(),
        maintenance: false,
        lasting: Vec::new(),
        pending: Vec::new(),
        serial: 34_988_418_651,
    })
}

struct Bitfinex {
    accounts: BTreeMap<String, Account>,
    conns: BTreeMap<ConnId, Conn>,
    connects: Budget,
    calls: Budget,
    blocked_until: Mono,
    maintenance: bool,
    /// Faults that last.
    lasting: Vec<&'static str>,
    /// Faults that strike once and have not yet.
    pending: Vec<&'static str>,
    /// Numbers for what the venue numbers: orders of the other side, ledger entries.
    serial: u64,
}

struct Account {
    key: String,
    secret: String,
    /// The highest nonce seen, over the stream and REST.
    nonce: u64,
    book: Book,
}

/// One connection.
struct Conn {
    /// The account it is authenticated for.
    account: Option<String>,
    filter: Vec<String>,
    flags: u64,
    sequence: u64,
    next_hb: Mono,
    calc: Budget,
}

impl Sim for Bitfinex {
    fn on_connect(&mut self, now: Now, conn: ConnId, request: &SimRequest, out: &mut SimOut) -> Result<(), SimReply> {
        if request.path.split('?').next() != Some("/ws/2") {
            return Err(SimReply::new(404, "Not Found"));
        }
        self.connects.take(now.mono).map_err(|_| SimReply::new(429, r#"{"error":"ERR_RATE_LIMIT"}"#))?;
        let (account, filter, flags, sequence, calc) = (None, Vec::new(), 0, 0, Budget::new(RATE));
        self.conns.insert(conn, Conn { account, filter, flags, sequence, next_hb: now.mono, calc });
        let status = u8::from(!self.maintenance);
        let server = "9a1d2e3f-0000-4000-8000-5a1b2c3d4e5f";
        out.send(conn, format!(r#"{{"event":"info","version":2,"serverId":"{server}","platform":{{"status":{status}}}}}"#));
        Ok(())
    }

    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        if !self.conns.contains_key(&conn) {
            return;
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return out.send(conn, error(10001, "json: invalid"));
        };
        match message["event"].as_str() {
            Some("auth") => self.on_auth(now, conn, &message, out),
            Some("conf") => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.flags = message["flags"].as_u64().unwrap_or(0);
                }
                out.send(conn, r#"{"event":"conf","status":"OK"}"#);
            }
            Some("ping") => {
                let cid = &message["cid"];
                out.send(conn, format!(r#"{{"event":"pong","ts":{},"cid":{cid}}}"#, now.unix.0));
            }
            Some(_) => out.send(conn, error(10000, "event: unknown")),
            None if message[0] == 0 && message[1] == "calc" => self.on_calc(now, conn, &message[3], out),
            None => out.send(conn, error(10001, "request: invalid")),
        }
    }

    fn on_disconnect(&mut self, _now: Now, conn: ConnId) {
        self.conns.remove(&conn);
    }

    fn on_request(&mut self, now: Now, request: &SimRequest, _out: &mut SimOut) -> SimReply {
        if self.has("rest_down") {
            return SimReply::new(503, "<html>Service Unavailable</html>");
        }
        if now.mono < self.blocked_until {
            return SimReply::new(429, r#"["error",11010,"ratelimit: error"]"#);
        }
        if self.calls.take(now.mono).is_err() {
            self.blocked_until = now.mono.plus_ms(BLOCK_MS);
            return SimReply::new(429, r#"["error",11010,"ratelimit: error"]"#);
        }
        if (request.method.as_str(), request.path.trim_start_matches('/')) != ("POST", reconcile::PATH) {
            return SimReply::new(404, r#"["error",10020,"path: invalid"]"#);
        }
        if self.maintenance {
            return SimReply::new(503, r#"["error",20060,"maintenance"]"#);
        }
        match self.check_request(request) {
            Ok(account) => SimReply::new(200, self.list(&account, 0, true)),
            Err((code, text)) => SimReply::new(500, format!(r#"["error",{code},"{text}"]"#)),
        }
    }

    fn on_timeout(&mut self, now: Now, out: &mut SimOut) {
        if self.has("silence") {
            return;
        }
        let due = self.conns.iter().filter(|(_, conn)| conn.account.is_some() && conn.next_hb <= now.mono);
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.push(now, id, r#""hb""#, out);
        }
    }

    fn deadline(&self) -> Option<Mono> {
        let beats = self.conns.values().filter(|conn| conn.account.is_some()).map(|conn| conn.next_hb);
        if self.has("silence") { None } else { beats.min() }
    }

    fn on_move(&mut self, now: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        let account = self.accounts.get_mut(mv.account()).ok_or("no such account")?;
        account.book.apply(mv)?;
        self.serial += 1;
        let hidden = matches!(mv, Move::Place { .. } | Move::Cancel { .. }) && self.has("quiet_orders");
        for entry in if hidden { Vec::new() } else { self.entries(mv) } {
            let row = self.row(&entry.holding, &entry, self.has("null_available"));
            self.push_row(now, mv.account(), &entry, &row, out);
        }
        Ok(())
    }

    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        FAULTS
    }

    fn on_fault(&mut self, now: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        let (name, what) = FAULTS.iter().find(|(name, _)| *name == fault).ok_or_else(|| format!("no fault {fault:?}"))?;
        match *name {
            "maintenance_begin" => {
                self.maintenance = true;
                self.broadcast(r#"{"event":"info","code":20060,"msg":"Entering in maintenance mode"}"#, out);
            }
            "maintenance_end" => {
                self.maintenance = false;
                self.conns.values_mut().for_each(|conn| conn.account = None);
                self.broadcast(
                    r#"{"event":"info","code":20061,"msg":"Maintenance ended. You can resume normal activity"}"#,
                    out,
                );
            }
            "restart" => self.broadcast(
                r#"{"event":"info","code":20051,"msg":"Stopping/Restarting websocket server. Please try to reconnect"}"#,
                out,
            ),
            "heal" => self.lasting.clear(),
            "nonce_small_once" => {
                let ahead = (now.unix.0.max(0) as u64 + 30_000) * 1000;
                self.accounts.values_mut().for_each(|account| account.nonce = account.nonce.max(ahead));
            }
            "rest_rate_limit" => self.blocked_until = now.mono.plus_ms(BLOCK_MS),
            "ws_again" => {
                for id in self.conns.keys().copied().collect::<Vec<_>>() {
                    self.push_snapshot(now, id, out);
                }
            }
            "short_row" => self.broadcast(r#"[0,"wu",["exchange","BTC",1.61169184,0]]"#, out),
            "garbage" => self.broadcast(r#"[0,"wu",["exchange","BTC",1.6"#, out),
            _ if what.ends_with("; lasts") && !self.has(name) => self.lasting.push(name),
            _ if what.ends_with("; lasts") => {}
            _ => self.pending.push(name),
        }
        Ok(())
    }

    fn book(&self, account: &str) -> Option<&Book> {
        self.accounts.get(account).map(|account| &account.book)
    }
}

/// What one `wu` tells besides the numbers.
struct Entry {
    wallet: Name,
    asset: Name,
    holding: Holding,
    description: String,
    /// JSON, or empty.
    meta: String,
    /// The available amount is not calculated at this moment.
    uncalculated: bool,
}

/// Refusals: the venue's code and text.
type Refusal = (u32, &'static str);

/// Keys, signatures, nonces.
impl Bitfinex {
    fn on_auth(&mut self, now: Now, conn: ConnId, message: &Value, out: &mut SimOut) {
        let verdict = self.check_auth(message);
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        match verdict {
            Ok(None) => {}
            Ok(Some(account)) => {
                connection.account = Some(account);
                connection.next_hb = now.mono.plus_ms(HEARTBEAT_MS);
                let filter = message["filter"].as_array().into_iter().flatten();
                connection.filter = filter.filter_map(|word| word.as_str().map(str::to_owned)).collect();
                let caps = self.caps();
                out.send(
                    conn,
                    format!(r#"{{"event":"auth","status":"OK","chanId":0,"userId":1,"auth_id":"5a1b2c3d","caps":{caps}}}"#),
                );
                if !self.strikes("ws_withheld_once") {
                    self.push_snapshot(now, conn, out);
                }
            }
            Err((code, text)) => {
                out.send(conn, format!(r#"{{"event":"auth","status":"FAILED","chanId":0,"code":{code},"msg":"{text}"}}"#))
            }
        }
    }

    /// `None`: the fault that leaves it unanswered.
    fn check_auth(&mut self, message: &Value) -> Result<Option<String>, Refusal> {
        if self.strikes("auth_ignored_once") {
            return Ok(None);
        }
        if self.maintenance {
            return Err((11000, "not ready, try later"));
        }
        if self.strikes("apikey_invalid_once") {
            return Err((10100, "apikey: invalid"));
        }
        let text = |name: &str| message[name].as_str().unwrap_or("").to_owned();
        // Documented as a numeric string; clients also send a number.
        let nonce = message["authNonce"].as_str().map_or_else(|| message["authNonce"].to_string(), str::to_owned);
        let payload = text("authPayload");
        if !payload.starts_with("AUTH") {
            return Err((10111, "auth: payload invalid"));
        }
        self.check_key(&text("apiKey"), &nonce, &payload, &text("authSig")).map(Some)
    }

    fn check_request(&mut self, request: &SimRequest) -> Result<String, Refusal> {
        let nonce = request.header("bfx-nonce").to_owned();
        let payload = auth::rest_payload(request.path.trim_start_matches('/'), &nonce, &request.body);
        let account = self.check_key(request.header("bfx-apikey"), &nonce, &payload, request.header("bfx-signature"))?;
        if self.has("no_wallets_permission") { Err((10100, "apikey: permission invalid")) } else { Ok(account) }
    }

    /// One line of nonces per key, whatever it comes over.
    fn check_key(&mut self, key: &str, nonce: &str, payload: &str, signature: &str) -> Result<String, Refusal> {
        let found = self.accounts.iter_mut().find(|(_, account)| !key.is_empty() && account.key == key);
        let (id, account) = found.ok_or((10100, "apikey: invalid"))?;
        if !auth::verify(&account.secret, payload, signature) {
            return Err((10112, "auth: signature invalid"));
        }
        match nonce.parse() {
            Ok(nonce) if nonce > account.nonce && nonce <= auth::MAX_NONCE => account.nonce = nonce,
            _ => return Err((10114, "nonce: small")),
        }
        Ok(id.clone())
    }

    fn caps(&self) -> String {
        let read = u8::from(!self.has("no_wallets_permission"));
        let withdraw = u8::from(self.has("withdraw_permission"));
        let trade = u8::from(self.has("trade_permission"));
        let areas = [("orders", 0, trade), ("account", 1, 0), ("funding", 0, 0), ("history", 1, 0), ("wallets", read, 0)];
        let areas = areas.into_iter().chain([("withdraw", 0, withdraw), ("positions", 1, 0)]);
        let areas: Vec<_> = areas.map(|(area, r, w)| format!(r#""{area}":{{"read":{r},"write":{w}}}"#)).collect();
        let caps = format!("{{{}}}", areas.join(","));
        if self.has("caps_as_string") { Value::String(caps).to_string() } else { caps }
    }
}

/// Frames.
impl Bitfinex {
    fn on_calc(&mut self, now: Now, conn: ConnId, items: &Value, out: &mut SimOut) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let Some(account) = connection.account.clone() else { return out.send(conn, error(10100, "auth: missing")) };
        let names: Vec<_> = items.as_array().into_iter().flatten().filter_map(|item| item[0].as_str()).collect();
        if names.len() > MAX_ITEMS {
            return out.send(conn, error(10020, "calc: too many items"));
        }
        if !names.iter().all(|_| connection.calc.take(now.mono).is_ok()) {
            return out.send(conn, error(11010, "calc: ratelimit"));
        }
        if self.has("calc_silence") {
            return;
        }
        for name in names {
            let Some((wallet, asset)) = name.strip_prefix("wallet_").and_then(|name| name.split_once('_')) else { continue };
            if self.accounts[&account].book.rows.contains_key(&(wallet.into(), asset.into())) {
                let entry = self.entry(&account, wallet, asset, String::new(), String::new());
                let row = self.row(&entry.holding, &entry, false);
                self.push_to(now, conn, &entry, &row, out);
            }
        }
    }

    /// The `wu` a movement gives, in order.
    fn entries(&self, mv: &Move) -> Vec<Entry> {
        let account = mv.account();
        let one = |wallet: &Name, asset: &Name, text: String| vec![self.entry(account, wallet, asset, text, String::new())];
        match mv {
            Move::Deposit { wallet, asset, .. } => {
                one(wallet, asset, format!("Deposit ({asset}) #{} on wallet {wallet}", self.serial))
            }
            Move::WithdrawDone { wallet, asset, .. } => {
                one(wallet, asset, format!("{asset} Withdrawal #{} on wallet {wallet}", self.serial))
            }
            Move::Adjust { wallet, asset, .. } => one(wallet, asset, format!("Adjustment on wallet {wallet}")),
            // Nothing is booked, so there is no ledger entry to describe.
            Move::WithdrawRequest { wallet, asset, .. }
            | Move::Place { wallet, spend: asset, .. }
            | Move::Cancel { wallet, spend: asset, .. }
            | Move::Set { wallet, asset, .. } => one(wallet, asset, String::new()),
            Move::Fill { wallet, order, spend, gain, gained, fee, price, .. } => {
                let order = order.parse::<u64>().unwrap_or(self.serial);
                let meta = format!(
                    r#"{{"reason":"TRADE","order_id":{order},"order_id_oppo":{},"trade_price":"{price}","trade_amount":"{gained}"}}"#,
                    self.serial + 1
                );
                let text = format!("Exchange {gained} {gain} for {spend} @ {price}");
                let mut gross = self.entry(account, wallet, gain, text.clone(), meta.clone());
                let spent = self.entry(account, wallet, spend, text, meta);
                if fee.is_zero() {
                    return vec![gross, spent];
                }
                gross.holding.available = gross.holding.available.plus(fee);
                gross.uncalculated = true;
                let text = format!("Trading fees for {gained} {gain} ({gain}{spend}) @ {price} on BFX");
                vec![gross, spent, self.entry(account, wallet, gain, text, String::new())]
            }
        }
    }

    fn entry(&self, account: &str, wallet: &str, asset: &str, description: String, meta: String) -> Entry {
        let holding = self.accounts.get(account).map(|account| account.book.holding(wallet, asset)).unwrap_or_default();
        Entry { wallet: wallet.into(), asset: asset.into(), holding, description, meta, uncalculated: false }
    }

    /// A row; the numbers stay as JSON numbers until the connection's flags are known.
    fn row(&self, holding: &Holding, entry: &Entry, null: bool) -> Vec<Cell> {
        let text = |text: &str| Cell::Json(Value::String(text.into()).to_string());
        let or_null = |cell: &str, full: Cell| if cell.is_empty() { Cell::Json("null".into()) } else { full };
        let available = holding.available.clone();
        let mut row = vec![
            text(&entry.wallet),
            text(&entry.asset),
            Cell::Number(holding.total()),
            Cell::Number(Amount::ZERO),
            if null || entry.uncalculated { Cell::Json("null".into()) } else { Cell::Number(available) },
            or_null(&entry.description, text(&entry.description)),
            or_null(&entry.meta, Cell::Json(entry.meta.clone())),
        ];
        if self.has("wide_rows") {
            row.extend([Cell::Json("null".into()), text("a field of tomorrow")]);
        }
        row
    }

    fn list(&self, account: &str, flags: u64, calculated: bool) -> String {
        let null = !calculated && self.has("null_available");
        let rows = self.accounts[account].book.rows.iter().filter(|(_, holding)| !holding.is_zero());
        let rows = rows.map(|((wallet, asset), holding)| {
            let entry = self.entry(account, wallet, asset, String::new(), String::new());
            write(&self.row(holding, &entry, null), flags)
        });
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    }

    fn push_snapshot(&mut self, now: Now, id: ConnId, out: &mut SimOut) {
        let Some(conn) = self.conns.get(&id) else { return };
        let Some(account) = conn.account.clone() else { return };
        let wants = |area: &str| conn.filter.is_empty() || conn.filter.iter().any(|word| word.starts_with(area));
        let (trading, wallets) = (wants("trading"), wants("wallet"));
        let list = self.list(&account, conn.flags, false);
        if trading {
            self.push(now, id, r#""ps",[]"#, out);
        }
        if wallets {
            self.push(now, id, &format!(r#""ws",{list}"#), out);
        }
        if trading {
            self.push(now, id, r#""os",[]"#, out);
        }
    }

    fn push_row(&mut self, now: Now, account: &str, entry: &Entry, row: &[Cell], out: &mut SimOut) {
        if self.maintenance || self.strikes("lose_next_wu") {
            return;
        }
        let row = if self.strikes("cut_next_wu") { &row[..4] } else { row };
        let of_account = self.conns.iter().filter(|(_, conn)| conn.account.as_deref() == Some(account));
        for id in of_account.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.push_to(now, id, entry, row, out);
        }
    }

    fn push_to(&mut self, now: Now, id: ConnId, entry: &Entry, row: &[Cell], out: &mut SimOut) {
        let Some(conn) = self.conns.get(&id) else { return };
        let own = format!("wallet-{}-{}", entry.wallet, entry.asset);
        if conn.filter.is_empty() || conn.filter.iter().any(|word| *word == "wallet" || *word == own) {
            let body = format!(r#""wu",{}"#, write(row, conn.flags));
            self.push(now, id, &body, out);
        }
    }

    /// A frame on channel 0, with what the connection's flags append.
    fn push(&mut self, now: Now, id: ConnId, body: &str, out: &mut SimOut) {
        if self.has("silence") {
            return;
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.next_hb = now.mono.plus_ms(HEARTBEAT_MS);
        let mut frame = format!("[0,{body}");
        if conn.flags & SEQ_ALL != 0 {
            conn.sequence += 1;
            frame.push_str(&format!(",{},{}", conn.sequence, conn.sequence));
        }
        if conn.flags & TIMESTAMP != 0 {
            frame.push_str(&format!(",{}", now.unix.0));
        }
        frame.push(']');
        out.send(id, frame);
    }

    fn broadcast(&self, text: &str, out: &mut SimOut) {
        self.conns.keys().for_each(|id| out.send(*id, text));
    }

    fn has(&self, fault: &str) -> bool {
        self.lasting.contains(&fault)
    }

    /// Takes one pending strike of a fault.
    fn strikes(&mut self, fault: &str) -> bool {
        let at = self.pending.iter().position(|pending| *pending == fault);
        at.map(|at| self.pending.remove(at)).is_some()
    }
}

/// One field of a row: an amount, which `DEC_S` turns into a string, or any other JSON.
enum Cell {
    Number(Amount),
    Json(String),
}

fn write(row: &[Cell], flags: u64) -> String {
    let cells = row.iter().map(|cell| match cell {
        Cell::Number(amount) if flags & DEC_S != 0 => format!(r#""{amount}""#),
        Cell::Number(amount) => amount.to_string(),
        Cell::Json(json) => json.clone(),
    });
    format!("[{}]", cells.collect::<Vec<_>>().join(","))
}

fn error(code: u32, text: &str) -> String {
    format!(r#"{{"event":"error","code":{code},"msg":"{text}"}}"#)
}
