//! A frontend of these worlds: the real client session behind a connection with latency, a reader that may be slow, and the
//! picture it makes of what it reads.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker as TaskWaker};

use balance_gateway::client::{ClientOut, ClientSession};
use balance_gateway::hub::Waker;
use balance_gateway::model::{Amount, Balance, Channel, Filter, Mono, Now, Order, RowState, UnixMs};
use balance_gateway::protocol::CloseCode;
use serde_json::{Value, json};

use super::gateway::{Account, Gateway, token};
use super::truth::brief;
use super::view::{View, is_zero};
use super::witness::Seen;

/// Frames one write of the session may hold, at most: a snapshot in parts and the answers to a burst of requests.
const MAX_WRITE: usize = 64;
/// A client whose connection broke comes back after this time.
const BACK_MS: u64 = 700;
/// Tokens are renewed by coming back with another one.
const TOKEN_MS: u64 = 3_600_000;

/// What a client is like.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub user: String,
    /// The accounts claim of its tokens.
    pub claim: Option<Vec<String>>,
    pub filter: Filter,
    pub max_rate_hz: Option<f64>,
    pub orders: bool,
    /// How long a write takes.
    pub slow_ms: u64,
    pub latency_ms: u64,
    /// Comes back without a `since`.
    pub forgetful: bool,
}

/// See the module.
pub struct Client {
    pub wish: Wish,
    /// What it asked for last, until `subscribed` says that this is what it gets.
    asked: Option<Filter>,
    pub view: View,
    conn: Option<Conn>,
    /// Tokens issued until then are worth nothing.
    revoked_until: UnixMs,
    back_at: Option<Mono>,
    pub frames: u64,
    pub resumed: u64,
}

struct Conn {
    session: ClientSession,
    waker: Arc<Waker>,
    inbox: VecDeque<(Mono, Asked)>,
    outbox: VecDeque<(Mono, Told)>,
    /// A write is under way until then.
    writing: Option<Mono>,
    /// Its token was revoked.
    revoked: bool,
}

enum Asked {
    Text(String),
    /// An answer to a protocol ping.
    Pong,
}

enum Told {
    Text(String),
    Ping,
}

impl Client {
    pub fn new(wish: Wish) -> Self {
        let channel = if wish.orders { "user:orders" } else { "user:balances" };
        let view = View::new(channel, wish.filter.nonzero);
        Self { wish, asked: None, view, conn: None, revoked_until: UnixMs(0), back_at: Some(Mono(0)), frames: 0, resumed: 0 }
    }

    /// When something happens next without anybody's doing.
    pub fn next(&self, now: Now) -> Option<Mono> {
        let Some(conn) = &self.conn else { return self.back_at };
        let blocked = conn.writing;
        let asked = conn.inbox.front().map(|(at, _)| *at);
        let mine = blocked.or_else(|| [asked, Some(conn.session.deadline(now))].into_iter().flatten().min());
        [mine, conn.outbox.front().map(|(at, _)| *at)].into_iter().flatten().min()
    }

    /// Nothing is on its way to it, and nothing keeps the session from telling.
    pub fn is_idle(&self) -> bool {
        let Some(conn) = &self.conn else { return false };
        self.view.installed && self.asked.is_none() && conn.outbox.is_empty() && conn.inbox.is_empty() && conn.writing.is_none()
    }

    /// The connection breaks, or the gateway is gone.
    pub fn cut(&mut self, now: Mono) {
        if self.conn.take().is_some() {
            self.view.disconnected();
            self.asked = None;
            self.back_at = Some(now.plus_ms(BACK_MS));
        }
    }

    /// Its tokens issued until then were revoked.
    pub fn revoke(&mut self, until: UnixMs) {
        self.revoked_until = until;
        if let Some(conn) = &mut self.conn {
            conn.revoked = true;
        }
    }

    /// Asks for fresh frames of what it has.
    pub fn resync(&mut self, now: Mono) {
        let channel = self.view.channel;
        self.ask(now, json!({"type": "resync", "channel": channel}));
    }

    /// Asks for something else.
    pub fn refilter(&mut self, now: Mono, filter: Filter) {
        if self.is_idle() {
            self.wish.filter = filter;
            let request = self.subscription(None);
            self.asked = Some(self.wish.filter.clone());
            self.ask(now, request);
        }
    }

    fn ask(&mut self, now: Mono, request: Value) {
        let latency = self.wish.latency_ms;
        if let Some(conn) = &mut self.conn {
            conn.inbox.push_back((now.plus_ms(latency), Asked::Text(request.to_string())));
        }
    }

    fn subscription(&self, since: Option<(String, u64)>) -> Value {
        let Wish { filter, max_rate_hz, .. } = &self.wish;
        let mut request = json!({"type": "subscribe", "channel": self.view.channel, "filter": filter});
        if let Some(rate) = max_rate_hz {
            request["max_rate_hz"] = json!(rate);
        }
        if let Some((epoch, gsn)) = since {
            request["since"] = json!({"epoch": epoch, "gsn": gsn});
        }
        request
    }

    fn connect(&mut self, now: Now, gateway: &Gateway) {
        self.back_at = None;
        let mut session = ClientSession::new(Arc::clone(&gateway.deps), now);
        let waker = session.waker();
        let (inbox, outbox) = Default::default();
        // Tokens tell the second.
        let revoked = now.unix.0 / 1000 * 1000 <= self.revoked_until.0;
        self.conn = Some(Conn { session, waker, inbox, outbox, writing: None, revoked });
        let token = token(&self.wish.user, self.wish.claim.as_deref(), now, TOKEN_MS);
        self.ask(now.mono, json!({"type": "auth_token", "token": token}));
        let since = self.view.since().filter(|_| !self.wish.forgetful);
        let request = self.subscription(since);
        self.asked = Some(self.wish.filter.clone());
        self.ask(now.mono, request);
    }

    /// Lets the session do all that is to be done now, and the client read all that has come.
    ///
    /// # Errors
    /// What breaks the protocol, or anybody's right.
    pub fn pump(
        &mut self,
        now: Now,
        gateway: &Gateway,
        accounts: &[Account],
        trace: &mut dyn FnMut(&str),
    ) -> Result<bool, String> {
        if self.conn.is_none() && self.back_at.is_some_and(|at| at <= now.mono) {
            self.connect(now, gateway);
        }
        let hidden: Vec<String> =
            accounts.iter().filter(|a| !self.sees(a)).map(|account| format!("\"{}\"", account.spec.id)).collect();
        let latency = self.wish.latency_ms;
        let mut read = false;
        for _ in 0..10_000 {
            let Some(conn) = &mut self.conn else { return Ok(read) };
            let mut out = ClientOut::default();
            if conn.writing.is_some_and(|until| until > now.mono) {
                // Nothing but reading what was written.
            } else if conn.writing.take().is_some() {
                conn.session.on_wake(now, &mut out);
            } else if conn.inbox.front().is_some_and(|(at, _)| *at <= now.mono) {
                match conn.inbox.pop_front() {
                    Some((_, Asked::Text(text))) => conn.session.on_text(now, &text, &mut out),
                    Some((_, Asked::Pong)) | None => conn.session.on_heard(now),
                }
            } else if is_woken(&conn.waker) {
                conn.session.on_wake(now, &mut out);
            } else if conn.session.deadline(now) <= now.mono {
                conn.session.on_timeout(now, &mut out);
            } else if conn.outbox.front().is_none_or(|(at, _)| *at > now.mono) {
                return Ok(read);
            }
            if conn.revoked && out.close.is_some_and(|(code, _)| code == CloseCode::TokenRevoked) {
                self.cut(now.mono);
                // The next token must be of a later second.
                self.back_at = Some(now.mono.plus_ms(BACK_MS + 1_000));
                return Ok(read);
            }
            if conn.revoked && !out.frames.is_empty() {
                return Err("something is told to a client whose token was revoked".into());
            }
            conn.write(now, out, latency, self.wish.slow_ms, &hidden)?;
            while let Some((_, told)) = self.conn.as_mut().and_then(|conn| pop_due(&mut conn.outbox, now.mono)) {
                read = true;
                self.read(now, told, trace)?;
            }
            let is_blocked = |conn: &Conn| conn.writing.is_some_and(|until| until > now.mono);
            let blocked = self.conn.as_ref().is_some_and(is_blocked);
            if blocked {
                return Ok(read);
            }
        }
        Err("the client session never rests".into())
    }

    fn read(&mut self, now: Now, told: Told, trace: &mut dyn FnMut(&str)) -> Result<(), String> {
        let text = match told {
            Told::Text(text) => text,
            Told::Ping => {
                let latency = self.wish.latency_ms;
                if let Some(conn) = &mut self.conn {
                    conn.inbox.push_back((now.mono.plus_ms(latency), Asked::Pong));
                }
                return Ok(());
            }
        };
        self.frames += 1;
        trace(&text);
        let frame: Value = serde_json::from_str(&text).map_err(|error| format!("no JSON ({error}): {text}"))?;
        self.take(frame).map_err(|fault| format!("{fault}; reading {text}"))
    }

    fn take(&mut self, frame: Value) -> Result<(), String> {
        match frame["type"].as_str().unwrap_or_default() {
            "auth_result" if frame["success"] == true => Ok(()),
            "heartbeat" => match frame["gsn"][self.view.channel].as_u64() {
                Some(gsn) if self.view.installed && gsn != self.view.gsn => {
                    Err(format!("a heartbeat at {gsn}, holding {}", self.view.gsn))
                }
                _ => Ok(()),
            },
            "subscribed" => {
                if let Some(filter) = self.asked.take() {
                    self.view.nonzero = filter.nonzero;
                }
                self.resumed += u64::from(frame["resumed"] == true);
                self.view.take(frame)
            }
            "snapshot" | "update" => self.view.take(frame),
            _ => Err("an unexpected frame".into()),
        }
    }

    /// May this client's user see the account?
    pub fn sees(&self, account: &Account) -> bool {
        if account.is_removed {
            return false;
        }
        match &self.wish.claim {
            Some(claim) => claim.iter().any(|id| **id == *account.spec.id),
            None => account.owners.contains(&self.wish.user),
        }
    }

    /// Does what it holds equal what the store holds for it now?
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, gateway: &Gateway, accounts: &[Account]) -> Result<(), String> {
        let filter = &self.wish.filter;
        let listed = |list: &Option<Vec<String>>, name: &str| list.as_ref().is_none_or(|list| list.iter().any(|n| n == name));
        let mine = accounts.iter().zip(&gateway.upstreams).filter(|(account, _)| {
            self.sees(account) && listed(&filter.venues, account.venue.name) && listed(&filter.accounts, &account.spec.id)
        });
        let idxs: Vec<_> = mine.map(|(_, up)| up.idx).collect();
        let channel = if self.wish.orders { Channel::Orders } else { Channel::Balances };
        let all = gateway.store.changes_since(0, &idxs, &Filter::default(), channel);
        let mut left = self.view.rows.clone();
        if self.view.nonzero {
            left.retain(|_, row| !is_zero(row));
        }
        for row in all.balances.iter().filter(|row| listed(&filter.assets, &row.asset)) {
            if filter.nonzero && row.is_zero() {
                continue;
            }
            let Balance { key, wallet, asset, .. } = &**row;
            let key = [key.venue.to_owned(), key.account.to_string(), wallet.to_string(), asset.to_string()];
            let held = left.remove(&key).unwrap_or_default();
            if !is_same(&held, row) {
                return Err(format!("at gsn {} the client holds {held}, the store {}", self.view.gsn, brief(row)));
            }
        }
        for order in all.orders.iter().filter(|order| listed(&filter.assets, &order.asset)) {
            let Order { key, order_id, .. } = &**order;
            let key = [key.venue.to_owned(), key.account.to_string(), order_id.to_string(), String::new()];
            let held = left.remove(&key).unwrap_or_default();
            let status = held["status"] == order.status.as_str() && held["final"] == order.is_final;
            if !status || held["gsn"] != order.gsn || held["state"] != word(order.state) {
                return Err(format!("at gsn {} the client holds {held}, the store {order:?}", self.view.gsn));
            }
        }
        if let Some((key, _)) = left.first_key_value() {
            return Err(format!("the client holds {key:?}, the store does not"));
        }
        if self.view.complete != all.complete || self.view.accounts.len() != all.accounts.len() {
            return Err(format!("complete: the client holds {}, the store {}", self.view.complete, all.complete));
        }
        for record in &all.accounts {
            let held = &self.view.accounts[&[record.key.venue.to_owned(), record.key.account.to_string()]];
            if held["state"] != record.state.as_str() {
                return Err(format!(
                    "the client holds {} as {}, the store as {:?}",
                    record.key.account, held["state"], record.state
                ));
            }
        }
        Ok(())
    }
}

impl Client {
    /// Does the picture show exactly the cut whose number it has? That cut may be long past where the client is slow or throttled.
    ///
    /// # Errors
    /// What differs from what every reader of that cut was to be told.
    pub fn compare_past(&self, gateway: &Gateway, accounts: &[Account]) -> Result<(), String> {
        let View { epoch, gsn, .. } = &self.view;
        let is_present = epoch.split('-').next() == Some(gateway.store.epoch());
        if !self.view.installed || self.asked.is_some() || self.wish.orders || !is_present {
            return Ok(());
        }
        for (account, up) in accounts.iter().zip(&gateway.upstreams) {
            let name = [account.venue.name.to_owned(), account.spec.id.to_string()];
            let (Some(held), Some(seen)) = (self.view.accounts.get(&name), gateway.history.at(up.idx, *gsn)) else {
                continue;
            };
            let Seen { record, complete, rows } = seen;
            if self.view.complete && !complete {
                return Err(format!("at gsn {gsn} the client held all for complete, and {} was not", name[1]));
            }
            if held["state"] != record.state.as_str() {
                return Err(format!(
                    "at gsn {gsn} the client held {} as {}, it was {:?}",
                    name[1], held["state"], record.state
                ));
            }
            let assets = &self.wish.filter.assets;
            let mut known = 0;
            for row in rows.iter().filter(|row| assets.as_ref().is_none_or(|list| list.iter().any(|name| row.asset == *name))) {
                let key = [name[0].clone(), name[1].clone(), row.wallet.to_string(), row.asset.to_string()];
                let held = self.view.rows.get(&key);
                known += usize::from(held.is_some());
                let is_left_out = self.view.nonzero && row.is_zero();
                if !is_left_out && !held.is_some_and(|held| is_same(held, row)) {
                    return Err(format!("at gsn {gsn} the client held {held:?}, the store {}", brief(row)));
                }
            }
            let held = self.view.rows.keys().filter(|key| key[..2] == name).count();
            if held != known {
                return Err(format!("at gsn {gsn} the client held {held} rows of {}, of which the store had {known}", name[1]));
            }
        }
        Ok(())
    }
}

/// Does a row as a client holds it say what the store's does?
fn is_same(held: &Value, row: &Balance) -> bool {
    let number = |name: &str, wanted: &Option<Amount>| held[name].as_str() == wanted.as_ref().map(Amount::as_str);
    let numbers = number("total", &row.total) && number("available", &row.available) && number("locked", &row.locked);
    numbers && held["gsn"] == row.gsn && held["state"] == word(row.state)
}

impl Conn {
    fn write(&mut self, now: Now, out: ClientOut, latency_ms: u64, slow_ms: u64, hidden: &[String]) -> Result<(), String> {
        if out.is_empty() {
            return Ok(());
        }
        if out.frames.len() > MAX_WRITE {
            return Err(format!("{} frames in one write", out.frames.len()));
        }
        let done = now.mono.plus_ms(slow_ms);
        if !out.frames.is_empty() {
            self.writing = Some(done);
        }
        let at = done.plus_ms(latency_ms);
        for frame in out.frames {
            let text = frame.text();
            if let Some(id) = hidden.iter().find(|id| text.contains(*id)) {
                return Err(format!("a frame names {id}, which the client may not see: {text}"));
            }
            self.outbox.push_back((at, Told::Text(text.to_owned())));
        }
        if out.ping {
            self.outbox.push_back((at, Told::Ping));
        }
        if let Some((code, reason)) = out.close {
            // No client of these worlds breaks a rule or lets its token end.
            return Err(format!("the gateway closes with {code:?}: {reason}"));
        }
        Ok(())
    }
}

fn pop_due<T>(queue: &mut VecDeque<(Mono, T)>, now: Mono) -> Option<(Mono, T)> {
    if queue.front()?.0 <= now { queue.pop_front() } else { None }
}

fn word(state: RowState) -> &'static str {
    match state {
        RowState::Live => "live",
        RowState::Stale => "stale",
        RowState::Pending => "pending",
    }
}

/// Was the reader woken since the last look?
fn is_woken(waker: &Waker) -> bool {
    pin!(waker.woken()).poll(&mut Context::from_waker(TaskWaker::noop())).is_ready()
}
