//! One run of the gateway without its sockets: the real links, store, hub and access, driven by the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use balance_gateway::access::{self, Access, Claims, Directory, KeyConfig, Listed};
use balance_gateway::client::{Deps, Limits};
use balance_gateway::hub::Hub;
use balance_gateway::metrics::Metrics;
use balance_gateway::model::{AccountIdx, AccountKey, Balance, Channel, Filter, Mono, Now};
use balance_gateway::store::Store;
use balance_gateway::venue::link::{Link, LinkParts};
use balance_gateway::venue::sim::ConnId;
use balance_gateway::venue::{AccountSpec, CallId, Shared, Venue};

use super::witness::{History, Witness};

/// Most rows of one account in these worlds.
pub const MAX_ROWS: usize = 400;
/// Most orders the store keeps of one account.
pub const MAX_ORDERS: usize = 1_000;

/// One account as the operator configured it. Outlives the gateway's runs.
pub struct Account {
    pub spec: AccountSpec,
    pub venue: &'static Venue,
    /// Which of the world's venues.
    pub side: usize,
    pub owners: Vec<String>,
    /// A reload has taken it out of the configuration.
    pub is_removed: bool,
}

/// One account's link, and what the world knows of its connection.
pub struct Upstream {
    pub link: Link,
    pub idx: AccountIdx,
    pub conn: Option<ConnId>,
    /// Numbers the dials, so that a late answer to an earlier one is known.
    pub dial: u32,
    /// When anything last arrived on the connection.
    pub heard: Mono,
    /// The version of which everything was heard in this connection.
    pub floor: u64,
    /// When that was last raised, and what it was before: of what comes in the very instant a request leaves, either may be first.
    pub floor_before: (Mono, u64),
    /// The newest version anything heard spoke of.
    pub ceiling: u64,
    pub calls: BTreeSet<(ConnId, u32)>,
    /// By call under way, the version of which everything had been heard when it left. `None`: the session has its reasons not to heed it.
    pub sent: BTreeMap<u32, Option<u64>>,
    /// What REST said last on this connection: the version it told of, and that of which everything had been heard when it was asked.
    pub rest_said: Option<(u64, u64)>,
    /// When an answer out of its time last came to an account that was proven, and whether the last answer was one.
    pub late_at: Option<Mono>,
    pub was_late: bool,
}

/// One run.
pub struct Gateway {
    pub run: u32,
    pub store: Arc<Store>,
    pub hub: Arc<Hub>,
    pub deps: Arc<Deps>,
    pub directory: Arc<Directory>,
    pub upstreams: Vec<Upstream>,
    pub metrics: Arc<Metrics>,
    pub woken: u64,
    pub witness: Witness,
    pub history: History,
    shared: Shared,
    max_rows: usize,
}

impl Gateway {
    pub fn start(run: u32, accounts: &[Account], access: &Arc<ArcSwap<Access>>, max_rows: usize, seed: u64, now: Now) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new(format!("e{run}"), Arc::clone(&metrics));
        let hub = Hub::new(Arc::clone(&store), Arc::clone(&metrics));
        let shared = Shared::default();
        let make = |(account, nth)| {
            upstream(account, (&store, &metrics), &shared, max_rows, seed.wrapping_mul(31).wrapping_add(nth), now)
        };
        let upstreams: Vec<Upstream> = accounts.iter().zip(0..).map(make).collect();
        let witness = Witness::new(&store, upstreams.iter().map(|up| up.idx).collect());
        let directory = Arc::new(Directory::default());
        let deps = Deps {
            hub: Arc::clone(&hub),
            access: Arc::clone(access),
            directory: Arc::clone(&directory),
            metrics: Arc::clone(&metrics),
            limits: limits(),
        };
        let (deps, history) = (Arc::new(deps), History::default());
        let woken = 0;
        let gateway = Self { run, store, hub, deps, directory, upstreams, metrics, woken, witness, history, shared, max_rows };
        gateway.list(accounts);
        gateway
    }

    /// Tells access whose the accounts are.
    pub fn list(&self, accounts: &[Account]) {
        let listed = accounts.iter().zip(&self.upstreams).filter(|(account, _)| !account.is_removed);
        let listed = listed.map(|(account, up)| Listed { idx: up.idx, key: key(account), owners: account.owners.clone() });
        self.directory.replace(listed.collect());
        self.hub.wake_all();
    }

    /// Takes an account out, as a reload does. Its connection is hung up by whoever has it.
    pub fn remove(&mut self, nth: usize) {
        let upstream = &mut self.upstreams[nth];
        upstream.link.stop(&mut Vec::new());
        upstream.dial += 1;
        self.store.remove_account(upstream.idx);
    }

    /// Puts an account in, as a reload does: as one that nothing was heard of.
    pub fn add(&mut self, nth: usize, account: &Account, seed: u64, now: Now) {
        let made = upstream(account, (&self.store, &self.metrics), &self.shared, self.max_rows, seed, now);
        self.witness.follow(made.idx);
        // Answers to what the earlier one asked for are not for this one.
        self.upstreams[nth] = Upstream { dial: self.upstreams[nth].dial + 1, ..made };
    }

    /// All rows of an account.
    pub fn rows(&self, nth: usize) -> Vec<Arc<Balance>> {
        let idx = self.upstreams[nth].idx;
        self.store.changes_since(0, &[idx], &Filter::default(), Channel::Balances).balances
    }

    /// Is a call still awaited?
    pub fn awaits(&mut self, nth: usize, conn: ConnId, call: CallId) -> bool {
        let upstream = &mut self.upstreams[nth];
        upstream.conn == Some(conn) && upstream.calls.remove(&(conn, call.0))
    }
}

fn upstream(
    account: &Account,
    (store, metrics): (&Arc<Store>, &Arc<Metrics>),
    shared: &Shared,
    max_rows: usize,
    seed: u64,
    now: Now,
) -> Upstream {
    let idx = store.add_account(key(account), true, max_rows, now);
    let connector = (account.venue.connect)(&account.spec, shared).expect("the account was checked");
    let link = Link::new(LinkParts {
        idx,
        account: account.spec.id.to_string(),
        venue: account.venue,
        store: Arc::clone(store),
        metrics: Arc::clone(metrics),
        connector,
        host: shared.host(&account.spec.ws_url, account.venue.limits),
        seed,
    });
    let (conn, calls, sent, rest_said) = Default::default();
    Upstream {
        link,
        idx,
        conn,
        dial: 0,
        heard: now.mono,
        floor: 0,
        floor_before: (now.mono, 0),
        ceiling: 0,
        calls,
        sent,
        rest_said,
        late_at: None,
        was_late: false,
    }
}

fn key(account: &Account) -> AccountKey {
    AccountKey { venue: account.venue.name, account: Arc::clone(&account.spec.id) }
}

/// The daemon's defaults.
fn limits() -> Limits {
    Limits {
        heartbeat_ms: 15_000,
        auth_timeout_ms: 10_000,
        ping_interval_ms: 20_000,
        write_stall_ms: 10_000,
        max_frame_bytes: 65_536,
        max_requests_per_second: 20,
        max_requests_burst: 40,
    }
}

fn access_config() -> access::Config {
    let secret = Some("a secret of these worlds, long enough for its algorithm".into());
    let key = KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None };
    access::Config { keys: vec![key], ..access::Config::default() }
}

pub fn access() -> Arc<ArcSwap<Access>> {
    Arc::new(ArcSwap::from_pointee(Access::new(&access_config()).expect("a good key")))
}

/// A user's token. `accounts`: the accounts claim.
pub fn token(user: &str, accounts: Option<&[String]>, now: Now, ttl_ms: u64) -> String {
    let config = access_config();
    let claims = Claims { user, accounts, issued_at: now.unix, ttl_ms };
    access::sign(&config, &config.keys[0], &claims).expect("a symmetric key signs")
}
