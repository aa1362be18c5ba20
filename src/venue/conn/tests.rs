//! One link over a real socket on a free port.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::*;
use crate::metrics::Metrics;
use crate::model::{AccountIdx, AccountState, Mono, Now, VenueEvent};
use crate::runtime::{Policy, Tasks};
use crate::store::Store;
use crate::store::tests::{key, list};
use crate::venue::link::LinkParts;
use crate::venue::{CallId, Connector, HostBudget, HostLimits, Out, Session, Shared, VENUES, Window};

/// The first session panics at its first frame; later ones take any frame as a complete list.
struct Fragile {
    url: String,
    sessions: AtomicUsize,
}

impl Connector for Fragile {
    fn handshake(&self) -> Handshake {
        Handshake { url: self.url.clone(), headers: Vec::new() }
    }
    fn session(&self, _: u64) -> Box<dyn Session> {
        Box::new(Strings { panics: self.sessions.fetch_add(1, Ordering::Relaxed) == 0 })
    }
    fn rest_url(&self) -> &'static str {
        "http://venue"
    }
}

struct Strings {
    panics: bool,
}

impl Session for Strings {
    fn on_open(&mut self, _: Now, out: &mut Out) {
        out.send("hello");
    }
    fn on_frame(&mut self, _: Now, _: Frame<'_>, out: &mut Out) {
        assert!(!self.panics, "on purpose");
        out.event(list(&["BTC 1/1/0"]));
        out.event(VenueEvent::Synced);
    }
    fn on_reply(&mut self, _: Now, _: CallId, _: Result<Reply<'_>, CallError>, _: &mut Out) {}
    fn on_timeout(&mut self, _: Now, _: &mut Out) {}
    fn resync(&mut self, _: Now, _: &mut Out) {}
    fn deadline(&self) -> Option<Mono> {
        None
    }
}

struct Rig {
    store: Arc<Store>,
    idx: AccountIdx,
    host: Arc<Mutex<HostBudget>>,
    listener: TcpListener,
    tasks: Tasks,
    metrics: Arc<Metrics>,
}

impl Rig {
    async fn new() -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let clock = Clock::start();
        let idx = store.add_account(key("main"), true, 10, clock.now());
        let window = Window { count: 100, per_ms: 1 };
        let host = Shared::default().host("ws://venue", HostLimits { connects: window, open: 1, calls: window });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::new(LinkParts {
            idx,
            account: "main".into(),
            venue: &VENUES[0],
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            connector: Arc::new(Fragile { url: format!("ws://{}", listener.local_addr().unwrap()), sessions: 0.into() }),
            host: Arc::clone(&host),
            seed: 7,
        });
        crate::runtime::install_crypto();
        let tasks = Tasks::new();
        let (_, asks) = mpsc::channel(1);
        let stop = tasks.stop_token().clone();
        tasks.spawn("link", Policy::Detached, run(link, clock, net(), asks, stop));
        Self { store, idx, host, listener, tasks, metrics }
    }

    async fn until(&self, state: AccountState) {
        let bell = self.store.bell();
        while self.store.record(self.idx).unwrap().state != state {
            bell.notified().await;
        }
    }
}

#[tokio::test]
async fn a_panic_in_a_session_is_survived_by_the_account() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        let (stream, _) = rig.listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        socket.send(Message::text("anything")).await.unwrap();
        if rig.metrics.process.caught.get() > 0 {
            rig.until(AccountState::Live).await;
            break;
        }
        while let Some(Ok(_)) = socket.next().await {}
    }
    assert_eq!((rig.metrics.process.caught.get(), rig.tasks.panics()), (1, 0));
    rig.tasks.stop();
    rig.tasks.wait().await;
}

#[tokio::test]
async fn stopping_during_a_dial_gives_the_hosts_place_back() {
    let rig = Rig::new().await;
    // The connection is taken by the operating system; nobody answers the handshake.
    rig.until(AccountState::Connecting).await;
    assert!(rig.host.lock().connect(Mono(u64::MAX / 2)).is_err(), "the one place is taken");
    rig.tasks.stop();
    rig.tasks.wait().await;
    rig.host.lock().connect(Mono(u64::MAX / 2)).unwrap();
}

/// Without an authority of its own: nothing here speaks TLS.
fn net() -> super::Net {
    crate::runtime::install_crypto();
    super::Net::new(crate::runtime::client_tls(None).expect("the system's roots")).expect("a client can be made")
}
