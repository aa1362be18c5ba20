//! Commit, subscribe and wake under a model checker: the real store, hub, views, client sessions and connections, with the lock and the bell they share
//! replaced by ones that let any other thread run before each step.
//!
//! Needs the feature `model`: `cargo test --features model --test model`. A wake-up that is lost leaves a reader waiting for ever, which
//! the checker reports as a deadlock, with a schedule to replay.

use std::io::Read;
use std::sync::Arc;

use arc_swap::ArcSwap;
use balance_gateway::access::{self, Access, Claims, Directory, Identity, KeyConfig, Listed};
use balance_gateway::client::conn::{Line, serve};
use balance_gateway::client::{ClientOut, ClientSession, Deps, Drain, Limits, Socket, Stream};
use balance_gateway::hub::{Hub, Wake};
use balance_gateway::metrics::Metrics;
use balance_gateway::model::{AccountIdx, AccountKey, Field, Freshness, Now, RowUpdate, Scope, Snapshot, UnixMs, VenueEvent};
use balance_gateway::runtime::Clock;
use balance_gateway::store::Store;
use balance_gateway::sync::Mutex;
use bytes::Bytes;
use serde_json::Value;
use shuttle::future::{block_on, spawn};
use shuttle::thread;

/// Schedules tried of each story: half at random, half with few and well-placed switches.
const SCHEDULES: usize = 2_000;
/// Switches that the second half places.
const DEPTH: usize = 3;
/// Connections read the real clock: the token must be good then, too.
const CENTURY_MS: u64 = 100 * 365 * 24 * 3_600_000;
const SUBSCRIBE: &str = r#"{"type":"subscribe","channel":"user:balances"}"#;

fn check(story: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(story.clone(), SCHEDULES / 2);
    shuttle::check_pct(story, SCHEDULES / 2, DEPTH);
}

/// A gateway with one live account, whose rows A and B always hold the same number.
#[derive(Clone)]
struct Gateway {
    deps: Arc<Deps>,
    store: Arc<Store>,
    account: AccountIdx,
    identity: Identity,
}

const NOW: Now = Now { mono: balance_gateway::model::Mono(1_000_000), unix: UnixMs(1_763_121_358_000) };

/// Made once: the checker has no part in keys and tokens.
fn alice() -> (Arc<ArcSwap<Access>>, Identity) {
    balance_gateway::runtime::install_crypto();
    let secret = Some("a secret of the model, long enough for its algorithm".into());
    let key = KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None };
    let config = access::Config { keys: vec![key], ..access::Config::default() };
    let claims = Claims { user: "alice", accounts: None, issued_at: NOW.unix, ttl_ms: CENTURY_MS };
    let token = access::sign(&config, &config.keys[0], &claims).unwrap();
    let access = Access::new(&config).unwrap();
    let identity = access.identify(&token, NOW.unix).unwrap();
    (Arc::new(ArcSwap::from_pointee(access)), identity)
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

impl Gateway {
    fn new((access, identity): &(Arc<ArcSwap<Access>>, Identity)) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let key = AccountKey { venue: "venue", account: "main".into() };
        let account = store.add_account(key.clone(), true, 10, NOW);
        store.connecting(account, NOW);
        store.opened(account, NOW);
        let list = Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows: both(0) };
        store.apply(account, NOW, [VenueEvent::Snapshot(list), VenueEvent::Synced]);
        let directory = Arc::new(Directory::default());
        directory.replace(vec![Listed { idx: account, key, owners: vec!["alice".into()] }]);
        let deps = Deps {
            hub: Hub::new(Arc::clone(&store), Arc::clone(&metrics)),
            access: Arc::clone(access),
            directory,
            metrics,
            limits: limits(),
        };
        let gateway = Self { deps: Arc::new(deps), store, account, identity: identity.clone() };
        // Ends with the execution.
        drop(spawn(Arc::clone(&gateway.deps.hub).run(|| NOW)));
        gateway
    }

    /// One venue message: both rows.
    fn commit(&self, number: u64) {
        self.store.apply(self.account, NOW, [VenueEvent::Rows(both(number))]);
    }

    fn session(&self) -> ClientSession {
        ClientSession::with_identity(Arc::clone(&self.deps), self.identity.clone(), NOW, &mut ClientOut::default())
    }
}

fn both(number: u64) -> Vec<RowUpdate> {
    let total = |asset| RowUpdate { total: Field::Is(number.into()), ..RowUpdate::new("spot", asset) };
    vec![total("A"), total("B")]
}

/// What a client holds, and what it checks while it takes frames in.
#[derive(Default)]
struct Held {
    subscribed: bool,
    gsn: u64,
    number: u64,
}

impl Held {
    fn take(&mut self, out: ClientOut) {
        for frame in &out.frames {
            let frame: Value = serde_json::from_str(frame.text()).unwrap();
            match frame["type"].as_str().unwrap() {
                "subscribed" => self.subscribed = true,
                "unsubscribed" => self.subscribed = false,
                "snapshot" => self.install(&frame),
                "update" => {
                    assert_eq!(frame["prev"], self.gsn, "a frame is missing");
                    self.install(&frame);
                }
                _ => {}
            }
        }
    }

    fn install(&mut self, frame: &Value) {
        assert!(self.subscribed, "a frame of the channel without a subscription: {frame}");
        let gsn = frame["gsn"].as_u64().unwrap();
        assert!(gsn >= self.gsn, "gsn falls");
        let numbers: Vec<u64> =
            frame["balances"].as_array().unwrap().iter().map(|row| row["total"].as_str().unwrap().parse().unwrap()).collect();
        if let [a, b] = numbers[..] {
            assert!(a == b && a >= self.number, "half a message, or an old one: {frame}");
            self.number = a;
        } else {
            assert!(numbers.is_empty(), "half a message: {frame}");
        }
        self.gsn = gsn;
    }
}

/// Follows until the number is reached, as a connection with a task of its own does: asks until there is nothing, then waits.
fn follow(gateway: &Gateway, since: Option<u64>, until: u64) -> Held {
    let mut session = gateway.session();
    let waker = session.waker();
    let (mut held, mut out) = (Held::default(), ClientOut::default());
    session.on_text(NOW, SUBSCRIBE, &mut out);
    held.take(out);
    if let (Some(gsn), Some((epoch, _))) = (since, session.position(balance_gateway::model::Channel::Balances)) {
        // Subscribes anew, from a place in the past.
        let mut out = ClientOut::default();
        let resume = format!(r#"{},"since":{{"epoch":"{epoch}","gsn":{gsn}}}}}"#, SUBSCRIBE.trim_end_matches('}'));
        held = Held { gsn, ..Held::default() };
        session.on_text(NOW, &resume, &mut out);
        held.take(out);
    }
    while held.number < until {
        let mut out = ClientOut::default();
        session.on_wake(NOW, &mut out);
        if out.is_empty() {
            block_on(waker.woken());
        }
        held.take(out);
    }
    held
}

#[test]
fn a_reader_that_subscribes_among_commits_reaches_the_last_one() {
    let alice = alice();
    check(move || {
        let gateway = Gateway::new(&alice);
        let writer = gateway.clone();
        let writer = thread::spawn(move || (1..=2).for_each(|number| writer.commit(number)));
        let other = gateway.clone();
        let other = thread::spawn(move || follow(&other, None, 2).gsn);
        let held = follow(&gateway, None, 2);
        writer.join().unwrap();
        assert_eq!(other.join().unwrap(), held.gsn);
        assert_eq!(held.gsn, gateway.store.gsn());
    });
}

#[test]
fn a_reader_that_resumes_among_commits_reaches_the_last_one() {
    let alice = alice();
    check(move || {
        let gateway = Gateway::new(&alice);
        let start = gateway.store.gsn();
        let writer = gateway.clone();
        let writer = thread::spawn(move || (1..=3).for_each(|number| writer.commit(number)));
        let held = follow(&gateway, Some(start), 3);
        writer.join().unwrap();
        assert_eq!(held.gsn, gateway.store.gsn());
    });
}

/// A reader that reads in the thread of whoever wakes it, as a connection with a socket does; `None` once it has left.
struct Direct(Mutex<Option<(ClientSession, Held)>>);

impl Wake for Direct {
    fn wake(&self, _: Option<Now>) {
        if let Some((session, held)) = &mut *self.0.lock() {
            let mut out = ClientOut::default();
            session.on_wake(NOW, &mut out);
            held.take(out);
        }
    }
}

impl Direct {
    fn new(gateway: &Gateway) -> Arc<Self> {
        let direct = Arc::new(Self(Mutex::new(None)));
        let mut session = gateway.session();
        let reader: Arc<dyn Wake> = Arc::clone(&direct) as Arc<dyn Wake>;
        session.set_reader(Arc::downgrade(&reader));
        *direct.0.lock() = Some((session, Held::default()));
        direct
    }

    fn say(&self, text: &str) {
        if let Some((session, held)) = &mut *self.0.lock() {
            let mut out = ClientOut::default();
            session.on_text(NOW, text, &mut out);
            held.take(out);
        }
    }
}

#[test]
fn a_reader_woken_in_anothers_thread_is_told_the_last_commit() {
    let alice = alice();
    check(move || {
        let gateway = Gateway::new(&alice);
        let direct = Direct::new(&gateway);
        let writer = gateway.clone();
        let writer = thread::spawn(move || (1..=2).for_each(|number| writer.commit(number)));
        direct.say(SUBSCRIBE);
        writer.join().unwrap();
        // Nobody asks it: the hub alone brings it there.
        while direct.0.lock().as_ref().is_some_and(|(_, held)| held.number < 2) {
            thread::yield_now();
        }
    });
}

#[test]
fn subscribing_leaving_and_closing_race_with_wake_ups_without_harm() {
    let alice = alice();
    check(move || {
        let gateway = Gateway::new(&alice);
        let direct = Direct::new(&gateway);
        let writer = gateway.clone();
        let writer = thread::spawn(move || (1..=2).for_each(|number| writer.commit(number)));
        let hub = Arc::clone(&gateway.deps.hub);
        let rights = thread::spawn(move || hub.wake_all());
        direct.say(SUBSCRIBE);
        direct.say(SUBSCRIBE);
        direct.say(r#"{"type":"unsubscribe","channel":"user:balances"}"#);
        direct.say(SUBSCRIBE);
        let left = direct.0.lock().take();
        drop(left);
        drop(direct);
        writer.join().unwrap();
        rights.join().unwrap();
        assert_eq!(follow(&gateway, None, 2).number, 2, "those who stay are served");
    });
}

/// A client's side of a socket, read without waiting.
struct Peer(std::net::TcpStream, Vec<u8>);

impl Peer {
    /// The gateway's side, and the client's.
    fn pair(runtime: &tokio::runtime::Runtime) -> (Stream, Self) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        peer.set_nonblocking(true).unwrap();
        let socket = tokio::net::TcpStream::from_std(socket).unwrap();
        runtime.block_on(socket.writable()).unwrap(); // it stays so: little is written
        (Stream::plain(Socket::new(socket), ()), Self(peer, Vec::new()))
    }

    /// Was this text told so far?
    fn heard(&mut self, text: &str) -> bool {
        self.is_over();
        self.1.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    /// Reads what is there. Is there nothing more to come?
    fn is_over(&mut self) -> bool {
        self.0.read_to_end(&mut self.1).is_ok()
    }
}

/// A request as a client's frame, under a mask of zeros.
fn masked(text: &str) -> Bytes {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short request");
    [&[0x81, 0x80 | length, 0, 0, 0, 0][..], text.as_bytes()].concat().into()
}

#[test]
fn a_connection_woken_while_its_own_task_holds_it_is_told_the_last_commit() {
    let alice = alice();
    // Sockets and timers want a runtime to be registered with. Nobody drives it: no socket becomes readable, and no time passes.
    let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let (registered, _entered) = (Arc::clone(&runtime), runtime.enter());
    check(move || {
        let gateway = Gateway::new(&alice);
        let (stream, mut peer) = Peer::pair(&registered);
        let line = Line { stream, answer: Bytes::new(), read: masked(SUBSCRIBE), waiting: None };
        let identity = Some(gateway.identity.clone());
        // The real connection: its task answers the request and looks for news, while the hub wakes it for the commits.
        let drain = Drain::default();
        drop(spawn(serve(line, Arc::clone(&gateway.deps), identity, Clock::start(), drain.clone())));
        let writer = gateway.clone();
        let writer = thread::spawn(move || (1..=2).for_each(|number| writer.commit(number)));
        writer.join().unwrap();
        // Nobody asks it: what comes, comes by a wake-up.
        while !peer.heard(r#""total":"2""#) {
            thread::yield_now();
        }
        // Its session must be gone before the checker is: it touches the hub's lists when it goes.
        drain.begin(1, 0);
        while !peer.is_over() {
            thread::yield_now();
        }
    });
}
