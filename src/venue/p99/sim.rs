//! P99 from the other side: the socket, `GET /spot/balances` and listen keys, over books of true balances.
//!
//! It verifies tokens, keys and signatures for real, and it is as silent as the venue: deposits and withdrawals are never
//! pushed, a full queue drops frames without a word, a token that expires takes REST away but not the socket.
//! It trades nothing itself, and knows no EIP-712 login.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::auth;
use super::wire::{CHANNEL, WALLET};
use crate::model::{Amount, Mono, Now, UnixMs};
use crate::venue::sim::{Book, ConnId, Move, Sim, SimAccount, SimOut, SimReply, SimRequest, SimSetup};

/// Connections taken at once. The venue documents no limit; this one only bounds memory.
const MAX_CONNS: usize = 1_000;
/// A listen key's life. The venue also prolongs it while a socket is open; here it must be renewed.
const LISTEN_KEY_MS: i64 = 3_600_000;
/// How far ahead of the venue's clock a signed request may be.
const AHEAD_MS: i64 = 1_000;
/// The widest `recvWindow`.
const MAX_RECV_WINDOW_MS: i64 = 60_000;

/// Sets the venue up.
pub(super) fn simulate(setup: SimSetup) -> Box<dyn Sim> {
    let accounts = setup.accounts.into_iter().map(Account::new).collect();
    let rng = fastrand::Rng::with_seed(setup.seed);
    Box::new(P99Sim { accounts, conns: BTreeMap::new(), rng, expired_before: UnixMs(0), next: Next::default() })
}

/// What a token claims. The venue puts the wallet address into `sub`; simulated accounts use their name, unless their
/// credentials hold an `address`.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    /// Seconds.
    #[serde(default)]
    iat: i64,
    exp: i64,
}

/// Signs a token as the venue's login would. Times in seconds.
pub(super) fn token(secret: &str, sub: &str, iat: i64, exp: i64) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    let claims = Claims { sub: sub.into(), iat, exp };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("HS256 signs any claims")
}

/// What the venue signs an account's tokens with. It is the venue's own: no part of what a gateway is told.
pub(super) fn signing_secret(id: &str) -> String {
    format!("{id}: the venue's signing secret")
}

/// An account that logs in with a token, good until the year 2100.
pub(super) fn account(id: &str, book: Book) -> SimAccount {
    let jwt = token(&signing_secret(id), id, 1_700_000_000, 4_102_444_800);
    SimAccount { id: id.into(), credentials: [("jwt".into(), jwt)].into(), book }
}

struct Account {
    id: String,
    /// Lower case: addresses are the same in any case.
    address: String,
    /// `None`: the account logs in with a key.
    jwt_secret: Option<String>,
    api_key: Option<String>,
    api_secret: String,
    book: Book,
    /// As `book` was before the last move.
    before: Book,
    listen_key: Option<(String, UnixMs)>,
}

impl Account {
    fn new(account: SimAccount) -> Self {
        let mut secrets = account.credentials;
        Self {
            address: secrets.remove("address").unwrap_or_else(|| account.id.clone()).to_lowercase(),
            jwt_secret: secrets.contains_key("jwt").then(|| signing_secret(&account.id)),
            api_key: secrets.remove("api_key"),
            api_secret: secrets.remove("api_secret").unwrap_or_default(),
            before: account.book.clone(),
            book: account.book,
            listen_key: None,
            id: account.id,
        }
    }
}

/// A connection. A later login replaces the earlier one.
#[derive(Default)]
struct Conn {
    /// Index of the account.
    login: Option<usize>,
    subscribed: bool,
    /// By token, the last two readable pushes with their time stamps, the older one first.
    pushed: BTreeMap<String, [(i64, String); 2]>,
}

impl Conn {
    fn push_old(&self, id: ConnId, out: &mut SimOut) {
        let old = self.pushed.values().filter(|[old, last]| self.subscribed && old.0 < last.0 && !old.1.is_empty());
        old.for_each(|[old, _]| out.send(id, old.1.as_str()));
    }
}

/// Faults that wait for their occasion: how often each will still strike.
#[derive(Default)]
struct Next {
    drop_push: u32,
    drop_ack: u32,
    drop_pong: u32,
    repeat_push: u32,
    lower_ts: u32,
    old_push: u32,
    cut_push: u32,
    swap_fill: u32,
    silent_cancel: u32,
    rest_500: u32,
    rest_busy: u32,
    rest_401: u32,
    rest_cut: u32,
    rest_behind: u32,
    rest_429: u32,
    /// From now on.
    bare_list: bool,
}

/// Does the fault strike now?
fn strikes(left: &mut u32) -> bool {
    let strikes = *left > 0;
    *left = left.saturating_sub(1);
    strikes
}

const FAULTS: &[(&str, &str)] = &[
    ("drop_next_push", "the next push is dropped silently, as from a full queue"),
    ("drop_next_ack", "the next `subscribed` is dropped silently"),
    ("drop_next_pong", "the next `pong` is dropped silently"),
    ("repeat_push", "the next push is sent twice"),
    ("lower_ts", "the next push carries a time stamp a minute older"),
    (
        "old_push",
        "of each token the push before the last is sent again, where its time stamp is lower; and once more at the next ping",
    ),
    ("cut_push", "the next push lacks its `available`"),
    ("swap_fill_order", "the two pushes of the next fill come the other way round"),
    ("silent_cancel", "the next cancel is not pushed, as the refund of an immediate-or-cancel order"),
    ("perp_noise", "messages of other products and unknown types arrive on every connection"),
    ("garbage", "something that is no JSON arrives on every connection"),
    ("unsubscribe_all", "every subscription is ended by the venue"),
    ("forget_logins", "every connection is told AUTH_REQUIRED and is logged out"),
    ("restart", "every connection is closed"),
    ("expire_tokens", "tokens issued until now have expired: REST answers 401, logins fail, sockets live on"),
    ("rest_500", "the next three REST answers are 500"),
    ("rest_busy", "the next two REST answers are 503 ENGINE_BUSY"),
    ("rest_401", "the next REST answer is 401 with an empty body"),
    ("rest_429", "the next REST answer is 429"),
    ("rest_cut", "the next REST answer ends before its end"),
    ("rest_behind", "the next REST answer shows the book before its last move"),
    ("rest_array", "balances are answered as a bare list from now on"),
];

struct P99Sim {
    accounts: Vec<Account>,
    conns: BTreeMap<ConnId, Conn>,
    rng: fastrand::Rng,
    /// Tokens issued before this have expired.
    expired_before: UnixMs,
    next: Next,
}

impl Sim for P99Sim {
    fn on_connect(&mut self, _: Now, conn: ConnId, request: &SimRequest, _: &mut SimOut) -> Result<(), SimReply> {
        if split(&request.path).0 != "/ws" {
            return Err(SimReply::new(404, ""));
        }
        if self.conns.len() >= MAX_CONNS {
            return Err(SimReply::new(503, ""));
        }
        self.conns.insert(conn, Conn::default());
        Ok(())
    }

    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Message {
            #[serde(rename = "type")]
            kind: String,
            token: Option<String>,
            listen_key: Option<String>,
            channel: Option<String>,
        }
        let Ok(message) = serde_json::from_str::<Message>(text) else {
            return error(out, conn, "INVALID_MESSAGE", "Failed to parse message");
        };
        let token = message.token.as_deref();
        match message.kind.as_str() {
            "auth_token" => {
                let login = token.and_then(|token| self.by_token(now, token));
                self.log_in(conn, login, "Invalid or expired token", out);
            }
            "auth" => {
                let login = message.listen_key.as_deref().map(|key| self.by_listen_key(now, key));
                let text = if login.is_some() { "Invalid or expired listenKey" } else { "Missing required fields: listenKey" };
                self.log_in(conn, login.flatten(), text, out);
            }
            "subscribe" => {
                let login = token.and_then(|token| self.by_token(now, token));
                self.subscribe(conn, login, message.channel.as_deref().unwrap_or_default(), out);
            }
            "unsubscribe" => {
                let channel = message.channel.unwrap_or_default();
                if let Some(conn) = self.conns.get_mut(&conn).filter(|_| channel == CHANNEL) {
                    conn.subscribed = false;
                }
                out.send(conn, serde_json::json!({"type": "unsubscribed", "channel": channel}).to_string());
            }
            "ping" if strikes(&mut self.next.drop_pong) => {}
            "ping" => {
                out.send(conn, r#"{"type":"pong"}"#);
                if strikes(&mut self.next.old_push) {
                    self.all(out, |id, conn, out| conn.push_old(id, out));
                }
            }
            _ => error(out, conn, "INVALID_MESSAGE", "Unknown message type"),
        }
    }

    fn on_disconnect(&mut self, _: Now, conn: ConnId) {
        self.conns.remove(&conn);
    }

    fn on_request(&mut self, now: Now, request: &SimRequest, _: &mut SimOut) -> SimReply {
        if strikes(&mut self.next.rest_500) {
            return SimReply::new(500, r#"{"error":"internal error"}"#);
        }
        if strikes(&mut self.next.rest_429) {
            return SimReply::new(429, "");
        }
        match (request.method.as_str(), split(&request.path).0) {
            ("GET", "/api/v1/spot/balances") => self.balances(now, request),
            (_, "/fapi/v1/listenKey") => self.listen_key(now, request),
            (_, "/api/v1/spot/balances") => SimReply::new(405, ""),
            _ => SimReply::new(404, ""),
        }
    }

    fn on_timeout(&mut self, _: Now, _: &mut SimOut) {}

    /// The venue does nothing of its own accord.
    fn deadline(&self) -> Option<Mono> {
        None
    }

    fn on_move(&mut self, now: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        let index = self.accounts.iter().position(|account| account.id == mv.account()).ok_or("no such account")?;
        let account = &mut self.accounts[index];
        let before = account.book.clone();
        let mut touched = account.book.apply(mv)?;
        account.before = before;
        let pushed = match mv {
            // Not in the manual's table of triggers, and not pushed.
            Move::Deposit { .. } | Move::WithdrawRequest { .. } | Move::WithdrawDone { .. } => false,
            Move::Cancel { .. } => !strikes(&mut self.next.silent_cancel),
            Move::Fill { .. } => {
                if strikes(&mut self.next.swap_fill) {
                    touched.reverse();
                }
                true
            }
            // `Set` is a test's word for "the row changed somehow": told as an administrator's credit would be.
            Move::Adjust { .. } | Move::Place { .. } | Move::Set { .. } => true,
        };
        if pushed {
            for (wallet, token) in touched.iter().filter(|(wallet, _)| wallet == WALLET) {
                let holding = self.accounts[index].book.holding(wallet, token);
                self.push(now, index, token, &holding.available, &holding.locked, out);
            }
        }
        Ok(())
    }

    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        FAULTS
    }

    fn on_fault(&mut self, now: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        let next = &mut self.next;
        match fault {
            "drop_next_push" => next.drop_push += 1,
            "drop_next_ack" => next.drop_ack += 1,
            "drop_next_pong" => next.drop_pong += 1,
            "repeat_push" => next.repeat_push += 1,
            "lower_ts" => next.lower_ts += 1,
            "old_push" => {
                next.old_push += 1;
                self.all(out, |id, conn, out| conn.push_old(id, out));
            }
            "cut_push" => next.cut_push += 1,
            "swap_fill_order" => next.swap_fill += 1,
            "silent_cancel" => next.silent_cancel += 1,
            "rest_500" => next.rest_500 = 3,
            "rest_busy" => next.rest_busy = 2,
            "rest_401" => next.rest_401 = 1,
            "rest_429" => next.rest_429 = 1,
            "rest_cut" => next.rest_cut = 1,
            "rest_behind" => next.rest_behind = 1,
            "rest_array" => next.bare_list = true,
            "expire_tokens" => self.expired_before = now.unix,
            "perp_noise" => self.all(out, |conn, _, out| PERP_NOISE.iter().for_each(|text| out.send(conn, *text))),
            "garbage" => self.all(out, |conn, _, out| out.send(conn, "{\"type\":\"spot_user_bal")),
            "unsubscribe_all" => self.all(out, |id, conn, out| {
                if std::mem::take(&mut conn.subscribed) {
                    out.send(id, format!(r#"{{"type":"unsubscribed","channel":"{CHANNEL}"}}"#));
                }
            }),
            "forget_logins" => self.all(out, |id, conn, out| {
                *conn = Conn::default();
                error(out, id, "AUTH_REQUIRED", "Authentication required");
            }),
            "restart" => self.all(out, |id, _, out| out.close(id, 1001, "server restart")),
            _ => return Err(format!("p99 has no fault {fault:?}")),
        }
        Ok(())
    }

    fn book(&self, account: &str) -> Option<&Book> {
        self.accounts.iter().find(|a| a.id == account).map(|a| &a.book)
    }
}

/// What else may arrive on a socket that perpetuals share.
const PERP_NOISE: [&str; 3] = [
    r#"{"type":"unified_account","channel":"user:unified_account","data":{"equity":"1","ts":1778400000123}}"#,
    r#"{"type":"depth","channel":"spot:depth","data":[["0.5","10"]],"message":{"a":1}}"#,
    r#"{"type":"subscribed","channel":"spot:ticker"}"#,
];

impl P99Sim {
    fn all(&mut self, out: &mut SimOut, mut each: impl FnMut(ConnId, &mut Conn, &mut SimOut)) {
        for (id, conn) in &mut self.conns {
            each(*id, conn, out);
        }
    }

    // ---- who is it? ----

    /// The account whose signing secret made this token, if the token is in force.
    fn by_token(&self, now: Now, token: &str) -> Option<usize> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Time is an argument here, never a clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        self.accounts.iter().position(|account| {
            let Some(secret) = &account.jwt_secret else { return false };
            let key = DecodingKey::from_secret(secret.as_bytes());
            let Ok(data) = jsonwebtoken::decode::<Claims>(token, &key, &validation) else { return false };
            let claims = data.claims;
            let issued = claims.iat.saturating_mul(1000);
            let in_force = claims.exp.saturating_mul(1000) > now.unix.0 && issued >= self.expired_before.0;
            in_force && claims.sub.to_lowercase() == account.address
        })
    }

    fn by_listen_key(&self, now: Now, key: &str) -> Option<usize> {
        self.accounts
            .iter()
            .position(|account| account.listen_key.as_ref().is_some_and(|(known, until)| known == key && *until > now.unix))
    }

    /// The account whose key signed this request, over query plus body.
    fn by_signature(&self, now: Now, request: &SimRequest) -> Result<usize, SimReply> {
        let refuse = |status, code, text| SimReply::new(status, format!(r#"{{"code":{code},"msg":"{text}"}}"#));
        let key = request.header("x-mbx-apikey");
        let index = self.accounts.iter().position(|account| account.api_key.as_deref() == Some(key) && !key.is_empty());
        let index = index.ok_or_else(|| refuse(401, -2015, "Invalid API-key, IP, or permissions for action."))?;
        let query = split(&request.path).1;
        let (payload, signature) = query.rsplit_once("&signature=").unwrap_or((query, ""));
        if auth::sign(&self.accounts[index].api_secret, &format!("{payload}{}", request.body)) != signature {
            return Err(refuse(401, -1022, "Signature for this request is not valid."));
        }
        let number = |name| {
            let mut pairs = payload.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse::<i64>().ok())
        };
        let window = number("recvWindow").unwrap_or(auth::RECV_WINDOW_MS).min(MAX_RECV_WINDOW_MS);
        match number("timestamp") {
            Some(sent) if (now.unix.0 - window..=now.unix.0 + AHEAD_MS).contains(&sent) => Ok(index),
            _ => Err(refuse(400, auth::INVALID_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")),
        }
    }

    // ---- the socket ----

    fn log_in(&mut self, conn: ConnId, login: Option<usize>, refusal: &str, out: &mut SimOut) {
        match (login, self.conns.get_mut(&conn)) {
            (Some(_), Some(state)) => {
                state.login = login;
                out.send(conn, r#"{"type":"auth_result","success":true}"#);
            }
            // The socket stays open, as the venue leaves it.
            _ => out.send(conn, format!(r#"{{"type":"auth_result","success":false,"message":"{refusal}"}}"#)),
        }
    }

    /// `login` is that of an inline token: used only where there is none yet, and ignored silently where it is bad.
    fn subscribe(&mut self, conn: ConnId, login: Option<usize>, channel: &str, out: &mut SimOut) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if channel != CHANNEL {
            return error(out, conn, "INVALID_CHANNEL", "Unknown channel");
        }
        state.login = state.login.or(login);
        if state.login.is_none() {
            return error(out, conn, "AUTH_REQUIRED", "Authentication required");
        }
        state.subscribed = true;
        if !strikes(&mut self.next.drop_ack) {
            out.send(conn, format!(r#"{{"type":"subscribed","channel":"{CHANNEL}"}}"#));
        }
    }

    fn push(&mut self, now: Now, index: usize, token: &str, available: &Amount, frozen: &Amount, out: &mut SimOut) {
        if strikes(&mut self.next.drop_push) {
            return;
        }
        let ts = now.unix.0 / 1000 - if strikes(&mut self.next.lower_ts) { 60 } else { 0 };
        let (quoted, frozen) = (serde_json::json!(token), stripped(frozen));
        let is_cut = strikes(&mut self.next.cut_push);
        let given = if is_cut { String::new() } else { format!(r#""available":"{}","#, stripped(available)) };
        let data = format!(r#"{{"token":{quoted},{given}"frozen":"{frozen}","ts":{ts}}}"#);
        let text = format!(r#"{{"type":"spot_user_balance","channel":"{CHANNEL}","data":{data}}}"#);
        let times = if strikes(&mut self.next.repeat_push) { 2 } else { 1 };
        for (conn, state) in &mut self.conns {
            if state.subscribed && state.login == Some(index) {
                (0..times).for_each(|_| out.send(*conn, text.as_str()));
                if !is_cut {
                    let kept = state.pushed.entry(token.to_owned()).or_default();
                    kept.swap(0, 1);
                    kept[1] = (ts, text.clone());
                }
            }
        }
    }

    // ---- REST ----

    fn balances(&mut self, now: Now, request: &SimRequest) -> SimReply {
        if strikes(&mut self.next.rest_busy) {
            return SimReply::new(503, r#"{"error":"ENGINE_BUSY"}"#);
        }
        if strikes(&mut self.next.rest_401) {
            return SimReply::new(401, "");
        }
        let login = match request.header("authorization").strip_prefix("Bearer ") {
            Some(token) => self.by_token(now, token),
            None => match self.by_signature(now, request) {
                Err(reply) if reply.status == 400 => return reply,
                login => login.ok(),
            },
        };
        let Some(index) = login else { return SimReply::new(401, "") };
        let account = &self.accounts[index];
        let book = if strikes(&mut self.next.rest_behind) { &account.before } else { &account.book };
        let rows = book.rows.iter().filter(|((wallet, _), _)| wallet == WALLET).map(|((_, token), holding)| {
            let (available, frozen) = (stripped(&holding.available), stripped(&holding.locked));
            format!(r#"{{"token":{},"available":"{available}","frozen":"{frozen}"}}"#, serde_json::json!(token))
        });
        let list = format!("[{}]", rows.collect::<Vec<_>>().join(","));
        let mut body = if self.next.bare_list { list } else { format!(r#"{{"balances":{list}}}"#) };
        if strikes(&mut self.next.rest_cut) {
            body.pop();
        }
        SimReply::new(200, body)
    }

    /// One key per user; a repeated `POST` gives the same and, as `PUT`, prolongs it.
    fn listen_key(&mut self, now: Now, request: &SimRequest) -> SimReply {
        let index = match self.by_signature(now, request) {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        if !["POST", "PUT", "DELETE"].contains(&request.method.as_str()) {
            return SimReply::new(405, "");
        }
        let until = UnixMs(now.unix.0 + LISTEN_KEY_MS);
        let held = &mut self.accounts[index].listen_key;
        let alive = held.take_if(|(_, until)| *until > now.unix).map(|(key, _)| key);
        match (request.method.as_str(), alive) {
            ("POST", alive) => {
                let rng = &mut self.rng;
                let key = alive.unwrap_or_else(|| std::iter::repeat_with(|| rng.alphanumeric()).take(64).collect());
                *held = Some((key.clone(), until));
                SimReply::new(200, format!(r#"{{"listenKey":"{key}"}}"#))
            }
            ("PUT", Some(key)) => {
                *held = Some((key, until));
                SimReply::new(200, "{}")
            }
            (_, Some(_)) => SimReply::new(200, "{}"),
            (_, None) => {
                SimReply::new(400, format!(r#"{{"code":{},"msg":"This listenKey does not exist."}}"#, auth::NO_LISTEN_KEY))
            }
        }
    }
}

fn error(out: &mut SimOut, conn: ConnId, code: &str, message: &str) {
    out.send(conn, format!(r#"{{"type":"error","code":"{code}","message":"{message}"}}"#));
}

/// Path and query.
fn split(path: &str) -> (&str, &str) {
    path.split_once('?').unwrap_or((path, ""))
}

/// The venue writes no trailing zeros.
fn stripped(amount: &Amount) -> &str {
    let text = amount.as_str();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
