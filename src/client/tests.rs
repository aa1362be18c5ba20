//! A client's whole conversation, in virtual time: what it says, what passes, what it is told.

mod conversation;
mod delivery;
mod limits;
mod properties;
mod tokens;

use serde_json::Value;

use super::*;
use crate::access::{Claims, Config, Identity, KeyConfig, Listed, Revocation, Revoked, sign};
use crate::model::{AccountIdx, Now, UnixMs};
use crate::protocol::CloseCode;
use crate::store::tests::{Bench, key, push};

/// One connection to a gateway with the accounts `main` (owned by alice) and `other` (owned by bob).
struct Client {
    b: Bench,
    deps: Arc<Deps>,
    other: AccountIdx,
    session: ClientSession,
    out: ClientOut,
    config: Config,
}

fn limits() -> Limits {
    Limits {
        heartbeat_ms: 15_000,
        auth_timeout_ms: 10_000,
        ping_interval_ms: 30_000,
        write_stall_ms: 10_000,
        max_frame_bytes: 16_384,
        max_requests_per_second: 20,
        max_requests_burst: 100,
    }
}

fn config(leeway_seconds: u64) -> Config {
    let secret = Some("0123456789abcdef0123456789abcdef".to_owned().into());
    let key = KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None };
    Config { leeway_seconds, keys: vec![key], ..Config::default() }
}

impl Client {
    /// Connected, and nothing said yet.
    fn new() -> Self {
        Self::with_leeway(0)
    }

    fn with_leeway(seconds: u64) -> Self {
        crate::runtime::install_crypto();
        let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
        // Whole seconds, as tokens count.
        b.now.unix = UnixMs(1_763_121_358_000);
        let other = b.store.add_account(key("other"), true, 10, b.now);
        let config = config(seconds);
        let deps = Arc::new(Deps {
            hub: Hub::new(Arc::clone(&b.store), Arc::clone(&b.metrics)),
            access: Arc::new(arc_swap::ArcSwap::from_pointee(Access::new(&config).expect("a good key"))),
            directory: Arc::default(),
            metrics: Arc::clone(&b.metrics),
            limits: limits(),
        });
        let session = ClientSession::new(Arc::clone(&deps), b.now);
        let client = Self { b, deps, other, session, out: ClientOut::default(), config };
        client.list(&[("main", &["alice"]), ("other", &["bob"])]);
        client
    }

    /// Known as alice for an hour.
    fn alice() -> Self {
        let mut client = Self::new();
        client.auth("alice", None, 3_600_000);
        client
    }

    /// Alice, with the whole channel subscribed.
    fn subscribed() -> Self {
        let mut client = Self::alice();
        client.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
        client
    }

    fn list(&self, owners: &[(&str, &[&str])]) {
        let listed = owners.iter().map(|(account, owners)| Listed {
            idx: if *account == "main" { self.b.idx } else { self.other },
            key: key(account),
            owners: owners.iter().map(|o| (*o).to_owned()).collect(),
        });
        self.deps.directory.replace(listed.collect());
    }

    fn token(&self, user: &str, accounts: Option<&[&str]>, ttl_ms: u64) -> String {
        let accounts: Option<Vec<String>> = accounts.map(|list| list.iter().map(|a| (*a).to_owned()).collect());
        let claims = Claims { user, accounts: accounts.as_deref(), issued_at: self.b.now.unix, ttl_ms };
        sign(&self.config, &self.config.keys[0], &claims).expect("the key signs")
    }

    fn auth(&mut self, user: &str, accounts: Option<&[&str]>, ttl_ms: u64) -> Vec<Value> {
        let token = self.token(user, accounts, ttl_ms);
        self.say(&format!(r#"{{"type":"auth_token","token":"{token}"}}"#))
    }

    /// Says a frame, and takes what comes of it.
    fn say(&mut self, text: &str) -> Vec<Value> {
        self.session.on_text(self.b.now, text, &mut self.out);
        self.take()
    }

    fn wake(&mut self) -> Vec<Value> {
        self.session.on_wake(self.b.now, &mut self.out);
        self.take()
    }

    /// What was put out so far.
    fn take(&mut self) -> Vec<Value> {
        let frames = std::mem::take(&mut self.out.frames);
        frames.iter().map(|frame| serde_json::from_str(frame.text()).expect("a frame is JSON")).collect()
    }

    /// Lets time pass, firing each deadline at its moment, and takes what was said; stops at a close.
    fn pass(&mut self, ms: u64) -> Vec<Value> {
        let end = self.b.now.plus_ms(ms);
        let mut said = Vec::new();
        while self.out.close.is_none() {
            let at = self.session.deadline(self.b.now);
            if at > end.mono {
                break;
            }
            let step = at.0.saturating_sub(self.b.now.mono.0).div_ceil(1000);
            self.b.now = self.b.now.plus_ms(step);
            self.session.on_timeout(self.b.now, &mut self.out);
            said.extend(self.take());
            let next = self.session.deadline(self.b.now);
            assert!(self.out.close.is_some() || next > self.b.now.mono, "a deadline moves on when it fires");
        }
        if self.out.close.is_none() {
            self.b.now = end;
        }
        said
    }

    fn closed(&self) -> Option<CloseCode> {
        self.out.close.map(|(code, _)| code)
    }

    fn push(&mut self, rows: &[&str]) {
        self.b.say([push(rows)]);
    }
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().expect("every frame has a type")).collect()
}

/// `asset total` of each row.
fn rows(frame: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let rows = frame["balances"].as_array().expect("rows").iter();
    rows.map(|row| format!("{} {}", text(&row["asset"]), text(&row["total"]))).collect()
}
