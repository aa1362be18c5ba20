//! Moonbase from the other side: logins are verified, limits enforced, and exactly the frames of the manual are sent.
//!
//! Where the manual is silent, a fault switches between the possible readings (`updates_full`, `updates_partial`,
//! `gsn_global`, …). Orders cannot be placed over the socket; money is moved by [`Move`]s.

mod account;

use std::collections::{BTreeMap, VecDeque};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use self::account::{Account, PortfolioData, PortfolioMessage};
use super::connector::LIMIT_WINDOW_MS;
use super::wire;
use crate::model::{Mono, Name, Now};
use crate::venue::sim::{Book, ConnId, Move, Sim, SimOut, SimReply, SimRequest, SimSetup};

/// The secret with which the simulated venue signs its access tokens (HS256; `sub` is the account's id, `iat` and `exp` in seconds).
pub(super) const TOKEN_SECRET: &[u8] = b"moonbase-simulator-token-secret";
/// Not documented by the venue.
const SKEW_BOUND_S: i64 = 30;
/// docs.moonbase.vn/docs/guides/rate-limits, per address: new connections a minute, and at once.
const MAX_CONNECTIONS: usize = 10;

const FAULTS: &[(&str, &str)] = &[
    ("silence", "connections that stand now stay open and are sent nothing more"),
    ("kick", "every connection is closed (1001)"),
    ("garbage", "a frame that is no JSON"),
    ("bad_amount", "the next update holds an amount that is no number"),
    ("wrong_sum", "the next update states a balance that is not free + locked"),
    ("no_data", "the next update lacks its data"),
    ("empty_snapshot", "the next snapshot names no account"),
    ("empty_snapshot_twice", "the next snapshot names no account, and the same message is sent twice"),
    ("two_accounts", "every message names a second, empty account"),
    ("lose_next_update", "the next update takes its number and is not sent"),
    ("lose_next_snapshot", "the next snapshot is not sent"),
    ("repeat_update", "the last update is sent again"),
    ("gsn_back", "an update with a lower number than the last is sent"),
    ("gsn_restart", "numbers start low again, as after a restart of the server"),
    ("gsn_global", "numbers skip: other accounts take theirs in between"),
    ("gsn_contiguous", "numbers count by ones (as at the start)"),
    ("updates_full", "updates list everything held (as at the start)"),
    ("updates_partial", "updates list what changed, zero included"),
    ("updates_silent", "updates list what changed, but not what became zero"),
    ("stats_only", "an update in which only the statistics differ"),
    ("error_frame", "an error about the portfolio"),
    ("end_subscription", "subscriptions end with `unsubscribed`"),
    ("deny_portfolio", "from now on nobody may read the portfolio (403)"),
    ("expire_tokens", "access tokens given out until now are refused, and their sessions end"),
    ("revoke_keys", "API keys are refused from now on"),
];

/// Starts the venue.
pub(super) fn simulate(setup: SimSetup) -> Box<dyn Sim> {
    let accounts = setup.accounts.into_iter().enumerate().map(|(index, account)| Account::new(index, account)).collect();
    Box::new(Moonbase {
        accounts,
        conns: BTreeMap::new(),
        connects: VecDeque::new(),
        rng: fastrand::Rng::with_seed(setup.seed),
        updates: Updates::Full,
        faults: Faults::default(),
    })
}

/// What an update lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Updates {
    Full,
    Changed,
    ChangedNotZeroed,
}

/// Faults that last, or wait for their message.
#[derive(Debug, Default)]
struct Faults {
    bad_amount: bool,
    wrong_sum: bool,
    no_data: bool,
    empty_snapshot: bool,
    repeat_snapshot: bool,
    two_accounts: bool,
    lose_update: bool,
    lose_snapshot: bool,
    gsn_global: bool,
    deny_portfolio: bool,
    revoke_keys: bool,
    /// Tokens issued up to here (unix seconds) are refused.
    tokens_void_until: Option<i64>,
}

struct Moonbase {
    accounts: Vec<Account>,
    conns: BTreeMap<ConnId, Conn>,
    /// Connections of the last minute.
    connects: VecDeque<Mono>,
    rng: fastrand::Rng,
    updates: Updates,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Conn {
    /// Logged in as this account.
    account: Option<usize>,
    by_token: bool,
    is_subscribed: bool,
    is_silent: bool,
}

#[derive(Deserialize)]
struct Request {
    op: String,
    channel: Option<String>,
    data: Option<Login>,
}

/// Either form of a login. The venue takes the timestamp as an integer and as text.
#[derive(Deserialize)]
struct Login {
    key: Option<String>,
    timestamp: Option<serde_json::Value>,
    signature: Option<String>,
    access_token: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    iat: i64,
    exp: i64,
}

impl Moonbase {
    fn login(&self, now: Now, login: &Login) -> Option<usize> {
        let seconds = now.unix.0.div_euclid(1000);
        if let Some(token) = &login.access_token {
            return self.token_login(seconds, token);
        }
        let (key, signature) = (login.key.as_deref()?, login.signature.as_deref()?);
        let timestamp: i64 = match login.timestamp.as_ref()? {
            serde_json::Value::String(text) => text.parse().ok()?,
            other => other.as_i64()?,
        };
        let is_fresh = (seconds - timestamp).abs() <= SKEW_BOUND_S;
        let found = self.accounts.iter().position(|account| {
            account.credential("api_key") == Some(key)
                && account.credential("api_secret").is_some_and(|secret| wire::signature(key, secret, timestamp) == signature)
        });
        found.filter(|_| is_fresh && !self.faults.revoke_keys)
    }

    fn token_login(&self, seconds: i64, token: &str) -> Option<usize> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The simulated clock judges, not the machine's.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let data = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(TOKEN_SECRET), &validation).ok()?;
        let is_valid = data.claims.exp > seconds && self.faults.tokens_void_until.is_none_or(|until| data.claims.iat > until);
        self.accounts.iter().position(|account| account.id == data.claims.sub).filter(|_| is_valid)
    }

    fn on_login(&mut self, now: Now, conn: ConnId, login: Option<&Login>, out: &mut SimOut) {
        let account = login.and_then(|login| self.login(now, login));
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.account = account;
        state.by_token = login.is_some_and(|login| login.access_token.is_some());
        let answer = match account {
            Some(_) => r#"{"channel":"auth","type":"authenticated"}"#,
            None => r#"{"channel":"auth","type":"error","message":"invalid auth access","code":401}"#,
        };
        self.send(conn, answer.to_owned(), out);
    }

    fn on_subscribe(&mut self, now: Now, conn: ConnId, out: &mut SimOut) {
        let account = self.conns.get(&conn).and_then(|state| state.account);
        let refusal = match account {
            None => Some(r#"{"channel":"portfolio","type":"error","message":"unauthorized","code":401}"#),
            Some(_) if self.faults.deny_portfolio => {
                Some(r#"{"channel":"portfolio","type":"error","message":"permission denied","code":403}"#)
            }
            Some(_) => None,
        };
        let (Some(account), None) = (account, refusal) else {
            return self.send(conn, refusal.unwrap_or_default().to_owned(), out);
        };
        if let Some(state) = self.conns.get_mut(&conn) {
            state.is_subscribed = true;
        }
        self.send(conn, r#"{"channel":"portfolio","type":"subscribed"}"#.to_owned(), out);
        if std::mem::take(&mut self.faults.lose_snapshot) {
            return;
        }
        let mut data = self.accounts[account].portfolio(|_, holding| !holding.is_zero());
        if std::mem::take(&mut self.faults.empty_snapshot) {
            data.clear();
        }
        let text = self.message(now, "snapshot", account, Some(data));
        if std::mem::take(&mut self.faults.repeat_snapshot) {
            self.send(conn, text.clone(), out);
        }
        self.send(conn, text, out);
    }

    fn message(&self, now: Now, kind: &'static str, account: usize, mut data: Option<Vec<PortfolioData>>) -> String {
        let account = &self.accounts[account];
        if let Some(data) = data.as_mut().filter(|data| self.faults.two_accounts && !data.is_empty()) {
            data.push(account.element(&"1000099".into(), Vec::new()));
        }
        // Nanoseconds, as text.
        let timestamp = format!("{}000000", now.unix.0);
        let message = PortfolioMessage { channel: wire::CHANNEL, kind, data, timestamp, gsn: account.gsn };
        serde_json::to_string(&message).expect("names and texts always encode")
    }

    /// Tells every subscriber of an account of a change.
    fn push(&mut self, now: Now, account: usize, touched: &[(Name, Name)], out: &mut SimOut) {
        self.accounts[account].gsn += if self.faults.gsn_global { self.rng.u64(2..40) } else { 1 };
        let updates = self.updates;
        let mut data = self.accounts[account].portfolio(|key, holding| match updates {
            Updates::Full => !holding.is_zero(),
            Updates::Changed => touched.contains(key),
            Updates::ChangedNotZeroed => touched.contains(key) && !holding.is_zero(),
        });
        if let Some(row) = data.iter_mut().find_map(|element| element.asset_balances.first_mut()) {
            if std::mem::take(&mut self.faults.bad_amount) {
                row.free = "n/a".into();
            }
            if std::mem::take(&mut self.faults.wrong_sum) {
                row.balance.insert(0, '9');
            }
        }
        let data = (!std::mem::take(&mut self.faults.no_data)).then_some(data);
        let text = self.message(now, "update", account, data);
        self.accounts[account].last_update = Some(text.clone());
        if !std::mem::take(&mut self.faults.lose_update) {
            self.send_to_subscribers(account, &text, out);
        }
    }

    fn send_to_subscribers(&self, account: usize, text: &str, out: &mut SimOut) {
        for (conn, state) in &self.conns {
            if state.account == Some(account) && state.is_subscribed {
                self.send(*conn, text.to_owned(), out);
            }
        }
    }

    fn send(&self, conn: ConnId, text: String, out: &mut SimOut) {
        if self.conns.get(&conn).is_some_and(|state| !state.is_silent) {
            out.send(conn, text);
        }
    }

    /// The same to all subscribers.
    fn broadcast(&self, text: &str, out: &mut SimOut) {
        (0..self.accounts.len()).for_each(|account| self.send_to_subscribers(account, text, out));
    }

    /// Pushes an update in which no balance changed.
    fn push_statistics(&mut self, now: Now, out: &mut SimOut) {
        for account in 0..self.accounts.len() {
            self.accounts[account].orders += 1;
            self.push(now, account, &[], out);
        }
    }

    /// Sends an update whose number lies before the last one's.
    fn push_backwards(&mut self, now: Now, out: &mut SimOut) {
        for account in 0..self.accounts.len() {
            let gsn = self.accounts[account].gsn;
            self.accounts[account].gsn = gsn.saturating_sub(3);
            let data = self.accounts[account].portfolio(|_, holding| !holding.is_zero());
            let text = self.message(now, "update", account, Some(data));
            self.accounts[account].gsn = gsn;
            self.send_to_subscribers(account, &text, out);
        }
    }

    fn end_tokens(&mut self, now: Now, out: &mut SimOut) {
        self.faults.tokens_void_until = Some(now.unix.0.div_euclid(1000));
        let error = r#"{"channel":"auth","type":"error","message":"invalid auth access","code":401}"#;
        let ended: Vec<ConnId> = self.conns.iter().filter(|(_, state)| state.by_token).map(|(conn, _)| *conn).collect();
        for conn in ended {
            self.send(conn, error.to_owned(), out);
            if let Some(state) = self.conns.get_mut(&conn) {
                (state.account, state.is_subscribed) = (None, false);
            }
        }
    }

    fn end_subscriptions(&mut self, out: &mut SimOut) {
        self.broadcast(r#"{"type":"unsubscribed","channel":"portfolio"}"#, out);
        self.conns.values_mut().for_each(|state| state.is_subscribed = false);
    }
}

impl Sim for Moonbase {
    fn on_connect(&mut self, now: Now, conn: ConnId, request: &SimRequest, out: &mut SimOut) -> Result<(), SimReply> {
        if request.path.split('?').next() != Some("/ws") {
            return Err(SimReply::new(404, r#"{"error":{"code":"E0404","message":"not found"}}"#));
        }
        while self.connects.front().is_some_and(|at| at.plus_ms(LIMIT_WINDOW_MS) <= now.mono) {
            self.connects.pop_front();
        }
        if self.connects.len() >= MAX_CONNECTIONS || self.conns.len() >= MAX_CONNECTIONS {
            return Err(SimReply::new(429, r#"{"error":{"code":"E0429","message":"too many connections"}}"#));
        }
        self.connects.push_back(now.mono);
        self.conns.insert(conn, Conn::default());
        out.send(conn, format!(r#"{{"type":"message","connection_id":"{:016x}","internal":false}}"#, conn.0));
        Ok(())
    }

    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        // The manual's "friendly" form has no braces: `sub portfolio`.
        let request = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).ok(),
            false => text.split_once(' ').or(Some((text, ""))).map(|(op, channel)| Request {
                op: op.into(),
                channel: Some(channel.trim().to_owned()).filter(|channel| !channel.is_empty()),
                data: None,
            }),
        };
        let Some(request) = request else {
            return self.send(conn, r#"{"error":{"code":"E0400","message":"malformed request"}}"#.to_owned(), out);
        };
        match (request.op.as_str(), request.channel.as_deref()) {
            ("auth", _) => self.on_login(now, conn, request.data.as_ref(), out),
            ("sub", Some(wire::CHANNEL)) => self.on_subscribe(now, conn, out),
            ("unsub", Some(wire::CHANNEL)) => {
                if let Some(state) = self.conns.get_mut(&conn) {
                    state.is_subscribed = false;
                }
                self.send(conn, r#"{"type":"unsubscribed","channel":"portfolio"}"#.to_owned(), out);
            }
            ("sub" | "unsub", _) => {
                let text = r#"{"error":{"code":"E0404","message":"this simulator has the portfolio channel only"}}"#;
                self.send(conn, text.to_owned(), out);
            }
            ("ping", _) => self.send(conn, r#"{"type":"pong"}"#.to_owned(), out),
            ("bye", _) => {
                self.conns.remove(&conn);
                out.close(conn, 1000, "bye");
            }
            _ => self.send(conn, r#"{"error":{"code":"E0400","message":"unknown operation"}}"#.to_owned(), out),
        }
    }

    fn on_disconnect(&mut self, _: Now, conn: ConnId) {
        self.conns.remove(&conn);
    }

    /// `GET /accounts/{id}` with the raw secret in a header, as documented.
    fn on_request(&mut self, _: Now, request: &SimRequest, _: &mut SimOut) -> SimReply {
        let refusal = |status, code| SimReply::new(status, format!(r#"{{"error":{{"code":"{code}","message":"refused"}}}}"#));
        let Some(id) = request.path.strip_prefix("/accounts/").filter(|_| request.method == "GET") else {
            return refusal(404, "E0404");
        };
        let (key, secret) = (request.header("nova-key"), request.header("nova-secret"));
        let known =
            |account: &&Account| account.credential("api_key") == Some(key) && account.credential("api_secret") == Some(secret);
        let Some(account) = self.accounts.iter().find(known).filter(|_| !self.faults.revoke_keys) else {
            return refusal(401, "E0101_UNAUTHENTICATED");
        };
        let elements = account.portfolio(|_, holding| !holding.is_zero());
        match elements.into_iter().find(|element| element.id == id) {
            Some(element) => {
                let text = serde_json::to_string(&element).expect("names and texts always encode");
                SimReply::new(200, format!(r#"{{"account":{text}}}"#))
            }
            None => refusal(403, "E0103_FORBIDDEN"),
        }
    }

    fn on_timeout(&mut self, _: Now, _: &mut SimOut) {}

    fn deadline(&self) -> Option<Mono> {
        None
    }

    fn on_move(&mut self, now: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        let index = self.accounts.iter().position(|account| account.id == mv.account()).ok_or("no such account")?;
        let touched = self.accounts[index].book.apply(mv)?;
        self.accounts[index].count(mv);
        self.push(now, index, &touched, out);
        Ok(())
    }

    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        FAULTS
    }

    fn on_fault(&mut self, now: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        match fault {
            "silence" => self.conns.values_mut().for_each(|state| state.is_silent = true),
            "kick" => std::mem::take(&mut self.conns).into_keys().for_each(|conn| out.close(conn, 1001, "going away")),
            "garbage" => self.broadcast("{\"channel\":\"portfolio\",\"type\":\"upd", out),
            "bad_amount" => self.faults.bad_amount = true,
            "wrong_sum" => self.faults.wrong_sum = true,
            "no_data" => self.faults.no_data = true,
            "empty_snapshot" => self.faults.empty_snapshot = true,
            "empty_snapshot_twice" => (self.faults.empty_snapshot, self.faults.repeat_snapshot) = (true, true),
            "two_accounts" => self.faults.two_accounts = true,
            "lose_next_update" => self.faults.lose_update = true,
            "lose_next_snapshot" => self.faults.lose_snapshot = true,
            "repeat_update" => {
                for account in 0..self.accounts.len() {
                    if let Some(text) = &self.accounts[account].last_update {
                        self.send_to_subscribers(account, text, out);
                    }
                }
            }
            "gsn_back" => self.push_backwards(now, out),
            "gsn_restart" => self.accounts.iter_mut().for_each(|account| account.gsn = 1),
            "gsn_global" => self.faults.gsn_global = true,
            "gsn_contiguous" => self.faults.gsn_global = false,
            "updates_full" => self.updates = Updates::Full,
            "updates_partial" => self.updates = Updates::Changed,
            "updates_silent" => self.updates = Updates::ChangedNotZeroed,
            "stats_only" => self.push_statistics(now, out),
            "error_frame" => {
                self.broadcast(r#"{"channel":"portfolio","type":"error","message":"internal error","code":500}"#, out);
            }
            "end_subscription" => self.end_subscriptions(out),
            "deny_portfolio" => self.faults.deny_portfolio = true,
            "expire_tokens" => self.end_tokens(now, out),
            "revoke_keys" => self.faults.revoke_keys = true,
            _ => return Err("no fault of this venue".into()),
        }
        Ok(())
    }

    fn book(&self, account: &str) -> Option<&Book> {
        self.accounts.iter().find(|known| known.id == account).map(|account| &account.book)
    }
}
