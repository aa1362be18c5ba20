//! Nobody learns anything of an account without a right to it: random accounts, owners, claims, filters, requests and reloads, over the
//! WebSocket session and REST.
//!
//! Two properties. *No byte*: whatever an account holds (its id, assets, amounts, reasons) is marked, and no mark of an account that is
//! invisible at that moment is in anything said. *No difference*: a user is told the same, number for number but for positions in
//! the history, by a gateway that has other accounts and by one that never had them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::Request;
use balance_gateway::access::{self, Access, Claims, Directory, KeyConfig, Listed};
use balance_gateway::client::Drain;
use balance_gateway::client::{ClientOut, ClientSession, Deps, Limits};
use balance_gateway::hub::Hub;
use balance_gateway::metrics::Metrics;
use balance_gateway::model::{
    AccountIdx, AccountKey, AccountState, Field, Now, Reason, ReasonCode, RowUpdate, UnixMs, VenueEvent,
};
use balance_gateway::runtime::{Clock, Tasks, install_crypto};
use balance_gateway::server::{self, Config, DoorLimits, Doors, Front};
use balance_gateway::store::Store;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::kit::now_ms;

const ACCOUNTS: usize = 4;
const USERS: [&str; 3] = ["userMARKalice", "userMARKbob", "userMARKcarol"];

/// What stands in everything of the account and in nothing else.
fn mark(account: usize) -> String {
    format!("acct{account}x")
}

fn id(account: usize) -> String {
    format!("{}-{}", mark(account), ["a", "b"][account % 2])
}

/// A token's rights: whose it is and what its claim says.
#[derive(Debug, Clone)]
struct Holder {
    user: usize,
    claim: Option<Vec<String>>,
}

impl Holder {
    /// The rights by the contract's words, told apart from the gateway's own judgment.
    fn sees(&self, account: usize, owners: &Owners) -> bool {
        match &self.claim {
            None => owners[account].contains(&self.user),
            Some(list) => list.iter().any(|entry| match entry.strip_suffix('*') {
                Some(start) => id(account).starts_with(start),
                None => id(account) == *entry,
            }),
        }
    }
}

type Owners = Vec<BTreeSet<usize>>;

#[derive(Debug, Clone)]
enum Step {
    /// The venue says this of the account.
    Row {
        account: usize,
        amount: u32,
    },
    Synced {
        account: usize,
    },
    Lost {
        account: usize,
    },
    /// A holder's client sends a request.
    Ask {
        holder: usize,
        request: String,
    },
    /// A holder asks over REST.
    Get {
        holder: usize,
        path: String,
    },
    /// Other owners, or an account that goes and comes back.
    Owners(Owners),
    Replace {
        account: usize,
    },
}

fn owners() -> impl Strategy<Value = Owners> {
    prop::collection::vec(prop::collection::btree_set(0..USERS.len(), 0..3), ACCOUNTS)
}

fn holder() -> impl Strategy<Value = Holder> {
    let entry = prop_oneof![
        (0..ACCOUNTS).prop_map(id),
        (0..ACCOUNTS).prop_map(|account| format!("{}*", mark(account))),
        Just("nothing-*".to_owned()),
        Just("acct".to_owned()),
    ];
    let claim = prop::option::of(prop::collection::vec(entry, 0..3));
    (0..USERS.len(), claim).prop_map(|(user, claim)| Holder { user, claim })
}

fn filter() -> impl Strategy<Value = Value> {
    let account = prop_oneof![(0..ACCOUNTS).prop_map(|a| json!({"accounts": [id(a)]})), Just(json!({"accounts": ["absent"]}))];
    let other = prop_oneof![
        Just(json!({})),
        Just(json!({"nonzero": true})),
        Just(json!({"venues": ["bitfinex"]})),
        (0..ACCOUNTS).prop_map(|a| json!({"assets": [format!("{}coin", mark(a))]})),
        Just(json!({"accounts": []})),
        Just(json!(7)),
    ];
    prop_oneof![account, other]
}

fn step() -> impl Strategy<Value = Step> {
    let channel = prop_oneof![Just("user:balances"), Just("user:orders"), Just("user:other")];
    let request = prop_oneof![
        4 => (channel.clone(), filter(), any::<bool>()).prop_map(|(channel, filter, since)| {
            let since = since.then(|| json!({"epoch": "e-0", "gsn": 3}));
            json!({"type": "subscribe", "channel": channel, "filter": filter, "since": since})
        }),
        1 => channel.clone().prop_map(|channel| json!({"type": "resync", "channel": channel})),
        1 => channel.prop_map(|channel| json!({"type": "unsubscribe", "channel": channel})),
        1 => (0..ACCOUNTS).prop_map(|account| json!({"type": id(account), "id": 1})),
    ];
    let path = prop_oneof![
        Just("/v1/balances".to_owned()),
        Just("/v1/accounts".to_owned()),
        Just("/v1/orders".to_owned()),
        (0..ACCOUNTS).prop_map(|a| format!("/v1/balances?accounts={}", id(a))),
        (0..ACCOUNTS).prop_map(|a| format!("/v1/accounts?accounts={}", id(a))),
        (0..ACCOUNTS).prop_map(|a| format!("/v1/balances?assets={}coin", mark(a))),
        (0..ACCOUNTS).prop_map(|a| format!("/v1/balances?nonzero={}", id(a))),
        (0..ACCOUNTS).prop_map(|a| format!("/v1/{}", id(a))),
    ];
    prop_oneof![
        6 => (0..ACCOUNTS, 0..4_u32).prop_map(|(account, amount)| Step::Row { account, amount }),
        3 => (0..ACCOUNTS).prop_map(|account| Step::Synced { account }),
        1 => (0..ACCOUNTS).prop_map(|account| Step::Lost { account }),
        6 => (0..HOLDERS, request).prop_map(|(holder, request)| Step::Ask { holder, request: request.to_string() }),
        4 => (0..HOLDERS, path).prop_map(|(holder, path)| Step::Get { holder, path }),
        2 => owners().prop_map(Step::Owners),
        1 => (0..ACCOUNTS).prop_map(|account| Step::Replace { account }),
    ]
}

const HOLDERS: usize = 3;

/// A gateway without sockets, and one client for each holder.
struct World {
    store: Arc<Store>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    routes: axum::Router,
    runtime: Runtime,
    now: Now,
    idx: Vec<Option<AccountIdx>>,
    owners: Owners,
    holders: Vec<Holder>,
    tokens: Vec<String>,
    sessions: Vec<ClientSession>,
}

impl World {
    /// Only `present` accounts exist.
    fn new(start: UnixMs, holders: &[Holder], owners: &Owners, present: &dyn Fn(usize) -> bool) -> Self {
        install_crypto();
        let key = KeyConfig {
            algorithm: "HS256".into(),
            kid: None,
            secret: Some("0123456789abcdef0123456789abcdef".into()),
            public_key: None,
        };
        let config = access::Config { keys: vec![key], ..access::Config::default() };
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let hub = Hub::new(Arc::clone(&store), Arc::clone(&metrics));
        let directory = Arc::new(Directory::default());
        let access = Access::new(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
        let limits = Limits {
            heartbeat_ms: 15_000,
            auth_timeout_ms: 10_000,
            ping_interval_ms: 30_000,
            write_stall_ms: 10_000,
            max_frame_bytes: 16_384,
            max_requests_per_second: 100_000,
            max_requests_burst: 100_000,
        };
        let access = Arc::new(ArcSwap::from_pointee(access));
        let (hub_, directory_, metrics_) = (Arc::clone(&hub), Arc::clone(&directory), Arc::clone(&metrics));
        let deps = Arc::new(Deps { hub: hub_, access, directory: directory_, metrics: metrics_, limits });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = runtime.block_on(async { Clock::start() });
        let settings = Config { max_requests_per_second: 100_000, request_burst: 100_000, ..Config::default() };
        let settings = Config { refusal_delay_ms: 0, ..settings };
        let doors = DoorLimits { max_sockets: 1, max_per_address: 1, trusted_proxies: Vec::new() };
        let drain = Drain::default();
        let doors = Arc::new(Doors::new(doors, None));
        let front = Front::new(Arc::clone(&deps), settings, clock, Tasks::new(), drain, doors);
        let now = Now { unix: start, ..Now::default() };
        let mut world = Self {
            store,
            directory,
            metrics,
            hub,
            routes: server::routes(Arc::new(front)),
            runtime,
            now,
            idx: vec![None; ACCOUNTS],
            owners: owners.clone(),
            holders: holders.to_vec(),
            tokens: Vec::new(),
            sessions: Vec::new(),
        };
        for account in (0..ACCOUNTS).filter(|account| present(*account)) {
            world.add(account);
        }
        world.list();
        for holder in holders {
            let claims = Claims {
                user: USERS[holder.user],
                accounts: holder.claim.as_deref(),
                issued_at: world.now.unix,
                ttl_ms: 3_600_000,
            };
            let token = access::sign(&config, &config.keys[0], &claims).unwrap();
            let mut session = ClientSession::new(Arc::clone(&deps), world.now);
            let frame = json!({"type": "auth_token", "token": token}).to_string();
            session.on_text(world.now, &frame, &mut ClientOut::default());
            world.tokens.push(token);
            world.sessions.push(session);
        }
        world
    }

    fn add(&mut self, account: usize) {
        let venue = ["bitfinex", "p99"][account % 2];
        let key = AccountKey { venue, account: id(account).into() };
        self.idx[account] = Some(self.store.add_account(key, true, 100, self.now));
    }

    fn list(&self) {
        let listed = (0..ACCOUNTS).filter_map(|account| {
            let idx = self.idx[account]?;
            let owners = self.owners[account].iter().map(|user| USERS[*user].to_owned()).collect();
            Some(Listed { idx, key: self.store.record(idx).unwrap().key.clone(), owners })
        });
        self.directory.replace(listed.collect());
    }

    /// Does one step; gives what each holder was told by it.
    fn step(&mut self, step: &Step) -> Vec<(usize, String)> {
        self.now = self.now.plus_ms(7);
        let now = self.now;
        let mut told = Vec::new();
        match step {
            Step::Row { account, amount } => {
                let mut row = RowUpdate::new(format!("{}wallet", mark(*account)), format!("{}coin", mark(*account)));
                row.total = Field::Is(amount.to_string().parse().unwrap());
                self.apply(*account, vec![VenueEvent::Rows(vec![row])]);
            }
            Step::Synced { account } => {
                if let Some(idx) = self.idx[*account] {
                    self.store.connecting(idx, now);
                    self.store.opened(idx, now);
                }
                self.apply(*account, vec![VenueEvent::Synced]);
            }
            Step::Lost { account } => {
                if let Some(idx) = self.idx[*account] {
                    let reason = Reason::new(ReasonCode::OperatorResync, format!("{} is gone", mark(*account)));
                    self.store.lost(idx, now, AccountState::Stale, reason);
                }
            }
            Step::Ask { holder, request } => {
                let mut out = ClientOut::default();
                self.sessions[*holder].on_text(now, request, &mut out);
                assert!(out.close.is_none());
                told.extend(out.frames.iter().map(|frame| (*holder, frame.text().to_owned())));
            }
            Step::Get { holder, path } => told.push((*holder, self.get(*holder, path))),
            Step::Owners(owners) => {
                self.owners.clone_from(owners);
                self.list();
            }
            Step::Replace { account } => {
                if let Some(idx) = self.idx[*account] {
                    self.store.remove_account(idx);
                    self.add(*account);
                    self.list();
                }
            }
        }
        if matches!(step, Step::Owners(_) | Step::Replace { .. }) {
            // The wake is still on its way: what is asked meanwhile must be answered by the new rights already.
            return told;
        }
        self.hub.wake_since(0);
        for (holder, session) in self.sessions.iter_mut().enumerate() {
            let mut out = ClientOut::default();
            session.on_wake(now, &mut out);
            told.extend(out.frames.iter().map(|frame| (holder, frame.text().to_owned())));
        }
        told
    }

    fn apply(&self, account: usize, events: Vec<VenueEvent>) {
        if let Some(idx) = self.idx[account] {
            self.store.apply(idx, self.now, events);
        }
    }

    /// Status, headers and body.
    fn get(&self, holder: usize, path: &str) -> String {
        let bearer = format!("Bearer {}", self.tokens[holder]);
        let request = Request::get(path).header("authorization", bearer).body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let response = self.routes.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            format!("{} {:?}\n{}", parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
        })
    }
}

/// Without positions in the history and times of day: what is left must not depend on what cannot be seen.
fn comparable(text: &str) -> String {
    let (head, body) = text.split_once('\n').unwrap_or(("", text));
    let status = head.split(' ').next().unwrap_or_default();
    let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {text}"));
    strip(&mut body);
    format!("{status} {body}")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !["gsn", "prev", "epoch", "ts"].contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_byte_of_an_invisible_account_reaches_anyone(
        holders in prop::collection::vec(holder(), HOLDERS),
        first in owners(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(UnixMs(now_ms()), &holders, &first, &|_| true);
        for step in &steps {
            for (holder, text) in world.step(step) {
                for account in 0..ACCOUNTS {
                    let visible = world.holders[holder].sees(account, &world.owners);
                    prop_assert!(visible || !text.contains(&mark(account)), "{step:?} tells {holder} of {account}: {text}");
                }
                prop_assert!(!text.contains("userMARK"), "{text}");
            }
        }
        let metrics = world.metrics.render();
        prop_assert!(!metrics.contains("userMARK") && world.tokens.iter().all(|token| !metrics.contains(token.as_str())));
    }

    #[test]
    fn a_gateway_without_the_invisible_accounts_says_the_same(
        holder in holder(),
        owners in owners(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let holders = vec![holder.clone(); HOLDERS];
        let visible = |account| holder.sees(account, &owners);
        let start = UnixMs(now_ms());
        let mut full = World::new(start, &holders, &owners, &|_| true);
        let mut bare = World::new(start, &holders, &owners, &visible);
        for step in steps.iter().filter(|step| !matches!(step, Step::Owners(_))) {
            let say = |world: &mut World| {
                world.step(step).iter().map(|(holder, text)| (*holder, comparable(text))).collect::<Vec<_>>()
            };
            prop_assert_eq!(say(&mut full), say(&mut bare), "{:?}", step);
        }
    }
}

#[test]
fn the_properties_look_at_something() {
    let owners: Owners = vec![[0].into(), [1].into(), [].into(), [].into()];
    let alice = Holder { user: 0, claim: None };
    let mut world = World::new(UnixMs(now_ms()), &vec![alice; HOLDERS], &owners, &|_| true);
    let subscribe = json!({"type": "subscribe", "channel": "user:balances"}).to_string();
    let told = world.step(&Step::Ask { holder: 0, request: subscribe });
    assert!(told.iter().any(|(_, text)| text.contains("snapshot") && text.contains(&mark(0))), "{told:?}");
    for account in [0, 1] {
        world.step(&Step::Synced { account });
    }
    let told = world.step(&Step::Row { account: 0, amount: 3 });
    assert!(told.iter().any(|(holder, text)| *holder == 0 && text.contains("acct0xcoin")), "{told:?}");
    assert!(world.step(&Step::Row { account: 1, amount: 3 }).is_empty());
    let told = world.step(&Step::Get { holder: 1, path: "/v1/balances".into() });
    assert!(told[0].1.starts_with("200") && told[0].1.contains("acct0xcoin"), "{told:?}");
    // What is taken away is gone with the next word.
    assert!(world.step(&Step::Owners(vec![[1].into(), [0].into(), [].into(), [].into()])).is_empty());
    let told = world.step(&Step::Ask { holder: 0, request: json!({"type": "ping"}).to_string() });
    assert!(told.iter().all(|(_, text)| !text.contains(&mark(0))), "{told:?}");
    assert!(told.iter().any(|(_, text)| text.contains("\"grant\"") && text.contains("acct1xcoin")), "{told:?}");
}

#[test]
fn a_subscriber_hears_one_snapshot_of_a_gateway_that_has_nothing_yet() {
    let owners: Owners = vec![BTreeSet::new(); ACCOUNTS];
    let holders = vec![Holder { user: 0, claim: None }; HOLDERS];
    let mut world = World::new(UnixMs(now_ms()), &holders, &owners, &|_| false);
    let subscribe = json!({"type": "subscribe", "channel": "user:balances"}).to_string();
    let told = world.step(&Step::Ask { holder: 0, request: subscribe });
    assert_eq!(told.iter().filter(|(_, text)| text.contains("snapshot")).count(), 1, "{told:?}");
    assert!(world.step(&Step::Row { account: 0, amount: 1 }).is_empty());
}
