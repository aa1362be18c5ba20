//! How often memory is asked for on the hot path: a venue's frame, a commit, an update that many share, a delivery, a resume.
//!
//! Counts are exact and the same on every machine, so a bound that is passed fails the run. Times are the other benches' matter.

mod held;
mod pair;

use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use allocation_counter::measure;
use balance_gateway::access::{Access, Claims, Config, Directory, Identity, KeyConfig, Listed, sign};
use balance_gateway::client::conn::{Line, serve};
use balance_gateway::client::{Deps, Drain, Limits, Socket, Stream};
use balance_gateway::hub::Hub;
use balance_gateway::model::{AccountKey, Channel, Filter};
use balance_gateway::protocol::FrameKind;
use balance_gateway::runtime::{Clock, Policy, Tasks};
use balance_gateway::venue::{Frame, VENUES};
use bytes::Bytes;
use held::Held;
use pair::Pair;
use tokio::runtime::Runtime;

/// Each count is the mean of as many.
const TIMES: usize = 1_000;
const READERS: usize = 1_000;
/// Rows of an account; of the one that sockets are told, few enough that its snapshot fits into any of them.
const ROWS: usize = 1_000;
const TOLD_ROWS: usize = 60;

/// One line of the table.
struct Counted {
    what: String,
    allocations: f64,
    bytes: f64,
    /// Most allocations it may take. `None`: told only.
    bound: Option<f64>,
}

fn main() {
    if std::env::args().any(|arg| arg == "--list") {
        return; // a test runner asks what there is to run: nothing
    }
    _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let mut table = Vec::new();
    commits(&mut table);
    frames(&mut table);
    updates(&mut table);
    deliveries(&mut table);
    resumes(&mut table);
    println!("{:<60} {:>11} {:>9} {:>7}", "what", "allocations", "bytes", "bound");
    let mut broken = 0;
    for Counted { what, allocations, bytes, bound } in &table {
        let over = bound.is_some_and(|bound| *allocations > bound);
        broken += usize::from(over);
        let bound = bound.map(|bound| format!("{bound}")).unwrap_or_default();
        println!("{what:<60} {allocations:>11.2} {bytes:>9.0} {bound:>7}{}", if over { " PASSED" } else { "" });
    }
    assert_eq!(broken, 0, "a bound is passed");
}

/// The mean of [`TIMES`] runs of `work`, whose argument `prepare` makes uncounted.
fn count<T>(
    what: impl Into<String>,
    bound: impl Into<Option<f64>>,
    mut prepare: impl FnMut() -> T,
    mut work: impl FnMut(T),
) -> Counted {
    let (mut allocations, mut bytes) = (0, 0);
    for _ in 0..TIMES {
        let given = prepare();
        let used = measure(|| work(given));
        (allocations, bytes) = (allocations + used.count_total, bytes + used.bytes_total);
    }
    let mean = |sum: u64| sum as f64 / TIMES as f64;
    Counted { what: what.into(), allocations: mean(allocations), bytes: mean(bytes), bound: bound.into() }
}

fn commits(table: &mut Vec<Counted>) {
    for rows in [1, 100] {
        let held = std::cell::RefCell::new(Held::new(ROWS));
        let prepare = || held.borrow_mut().told(rows);
        table.push(count(format!("a commit of {rows} rows"), None, prepare, |rows| held.borrow().say(rows)));
    }
    let held = std::cell::RefCell::new(Held::new(ROWS));
    let prepare = || {
        let mut held = held.borrow_mut();
        (held.told(1), held.store.changes_since(0, &[held.idx], &Filter::default(), Channel::Balances))
    };
    table.push(count("a commit of 1 row whose last version a reader holds", None, prepare, |(rows, seen)| {
        held.borrow().say(rows);
        // Freeing what a reader held is not its matter either.
        black_box(seen);
    }));
}

fn frames(table: &mut Vec<Counted>) {
    for venue in VENUES {
        let mut pair = Pair::live(venue);
        let frames = pair.frames(TIMES as u64);
        let (mut next, mut commands) = (frames.iter().cycle(), Vec::with_capacity(TIMES));
        let name = format!("a frame of {}, from its text to the commit", venue.name);
        table.push(count(
            name,
            None,
            || next.next().expect("it goes round"),
            |text| {
                pair.link.on_frame(pair.now, Frame::Text(text), &mut commands);
            },
        ));
    }
}

fn updates(table: &mut Vec<Counted>) {
    let held = std::cell::RefCell::new(Held::new(ROWS));
    let (store, idx, now) = (Arc::clone(&held.borrow().store), held.borrow().idx, held.borrow().now.unix);
    let hub = Hub::new(Arc::clone(&store), Arc::clone(&held.borrow().metrics));
    let view = hub.view(&[idx], &Filter::default(), Channel::Balances);
    let _other = Arc::clone(&view); // an only reader shares with nobody
    let prepare = || {
        let cursor = store.gsn();
        held.borrow_mut().commit(1);
        cursor
    };
    let encode = |cursor| drop(black_box(view.update(cursor, cursor, now)));
    table.push(count("an update of 1 row, for its first reader", None, prepare, encode));
    let prepare = || {
        let cursor = prepare();
        encode(cursor);
        cursor
    };
    table.push(count("the same, for each reader after it", 0.0, prepare, encode));
}

fn resumes(table: &mut Vec<Counted>) {
    for rows in [1_000, 100_000] {
        let mut held = Held::new(rows);
        let hub = Hub::new(Arc::clone(&held.store), Arc::clone(&held.metrics));
        let view = hub.view(&[held.idx], &Filter::default(), Channel::Balances);
        let (cursor, now) = (held.store.gsn(), held.now.unix);
        held.commit(10);
        let name = format!("a resume of 10 changed rows among {rows}");
        table.push(count(name, None, || (), |()| drop(black_box(view.resume(view.epoch(), cursor, now)))));
    }
}

/// A gateway's inside and its readers, all in this thread.
struct Crowd {
    held: Held,
    deps: Arc<Deps>,
    runtime: Runtime,
    tasks: Tasks,
    readers: Vec<TcpStream>,
}

fn deliveries(table: &mut Vec<Counted>) {
    let mut crowd = Crowd::new();
    let held = measure(|| crowd.connect());
    let each = |sum: i64| sum as f64 / READERS as f64;
    let (allocations, bytes) = (each(held.count_current), each(held.bytes_current));
    let what = "an idle subscribed connection, what it holds".into();
    table.push(Counted { what, allocations, bytes, bound: None });
    // What grows once has grown after the first.
    let rows = crowd.held.told(1);
    crowd.tell(rows);
    crowd.read();
    for rows in [1, 8] {
        let told: Vec<_> = (0..10).map(|_| crowd.held.told(rows)).collect();
        let (mut allocations, mut bytes, deliveries) = (0, 0, (told.len() * READERS) as f64);
        for rows in told {
            let used = measure(|| crowd.tell(rows));
            (allocations, bytes) = (allocations + used.count_total, bytes + used.bytes_total);
            crowd.read();
        }
        let what = format!("a delivery of {rows} rows into a socket, of {READERS} to one account");
        let (allocations, bytes) = (allocations as f64 / deliveries, bytes as f64 / deliveries);
        table.push(Counted { what, allocations, bytes, bound: Some(1.0) });
    }
    crowd.tasks.stop();
}

impl Crowd {
    /// Nobody is connected yet.
    fn new() -> Self {
        let held = Held::new(TOLD_ROWS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let hub = Hub::new(Arc::clone(&held.store), Arc::clone(&held.metrics));
        let directory = Arc::<Directory>::default();
        let key = AccountKey { venue: "bitfinex", account: "bfx-main".into() };
        directory.replace(vec![Listed { idx: held.idx, key, owners: vec!["load".into()] }]);
        let access = Arc::new(arc_swap::ArcSwap::from_pointee(access()));
        let deps = Deps { hub: Arc::clone(&hub), access, directory, metrics: Arc::clone(&held.metrics), limits: limits() };
        let tasks = Tasks::new();
        {
            let _entered = runtime.enter();
            let now = held.now;
            tasks.spawn("hub", Policy::Detached, hub.run(move || now));
        }
        Self { held, deps: Arc::new(deps), runtime, tasks, readers: Vec::with_capacity(READERS) }
    }

    /// [`READERS`] connections of one user subscribe and are told everything.
    fn connect(&mut self) {
        let clock = Clock::start();
        let drain = Drain::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        for _ in 0..READERS {
            let mut reader = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
            let (socket, _) = listener.accept().expect("it connected");
            socket.set_nonblocking(true).expect("a socket");
            let _entered = self.runtime.enter();
            let socket = tokio::net::TcpStream::from_std(socket).expect("a socket");
            let (answer, read) = (Bytes::new(), Bytes::new());
            let line = Line { stream: Stream::plain(Socket::new(socket), ()), answer, read, waiting: None };
            let (deps, drain) = (Arc::clone(&self.deps), drain.clone());
            let served = async move { serve(line, deps, Some(identity(clock)), clock, drain).await };
            self.tasks.spawn("client socket", Policy::Detached, served);
            reader.write_all(SUBSCRIBE).expect("a socket");
            reader.set_nonblocking(true).expect("a socket");
            self.readers.push(reader);
        }
        self.wait(FrameKind::Snapshot, READERS as u64);
        self.read();
    }

    /// Tells rows and has them delivered.
    fn tell(&mut self, rows: Vec<balance_gateway::model::RowUpdate>) {
        let before = self.told(FrameKind::Update);
        self.held.say(rows);
        self.wait(FrameKind::Update, before + READERS as u64);
    }

    fn told(&self, kind: FrameKind) -> u64 {
        let labels = balance_gateway::metrics::TypeLabels { r#type: kind.as_str() };
        self.held.metrics.client_frames.get_or_create(&labels).get()
    }

    fn wait(&mut self, kind: FrameKind, frames: u64) {
        while self.told(kind) < frames {
            self.runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Empties the readers' sockets.
    fn read(&mut self) {
        let mut bytes = vec![0; 1 << 20];
        for reader in &mut self.readers {
            loop {
                match reader.read(&mut bytes) {
                    Ok(n) => assert!(n > 0, "the gateway closed a connection"),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// A client's text frame under the mask of four zeros, which changes nothing.
const SUBSCRIBE: &[u8] = b"\x81\xae\0\0\0\0{\"type\":\"subscribe\",\"channel\":\"user:balances\"}";

fn config() -> Config {
    let secret = Some("a secret of this bench alone, long enough".to_owned().into());
    let key = KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None };
    Config { keys: vec![key], ..Config::default() }
}

fn access() -> Access {
    Access::new(&config()).expect("a good key")
}

/// Its token lasts for a day.
fn identity(clock: Clock) -> Identity {
    balance_gateway::runtime::install_crypto();
    let (config, now) = (config(), clock.now().unix);
    let claims = Claims { user: "load", accounts: None, issued_at: now, ttl_ms: 86_400_000 };
    let token = sign(&config, &config.keys[0], &claims).expect("a symmetric key signs");
    access().identify(&token, now).expect("a good token")
}

fn limits() -> Limits {
    const LONG_MS: u64 = 300_000;
    Limits {
        heartbeat_ms: LONG_MS,
        auth_timeout_ms: LONG_MS,
        ping_interval_ms: LONG_MS,
        write_stall_ms: LONG_MS,
        max_frame_bytes: 16_384,
        max_requests_per_second: 20,
        max_requests_burst: 100,
    }
}
