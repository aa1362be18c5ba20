//! Hundreds of clients at once: told to leave, cut off, and back again, at a bounded rate and without a lost change.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::client::{BALANCES, Came, Client, Held};
use crate::support::world::{World, given};
use crate::support::{poll, soon};

const CLIENTS: usize = 200;
/// Handshakes a second, and at once.
const RATE: (usize, usize) = (20, 100);
/// The last one cannot come earlier than that.
const LAST: Duration = Duration::from_millis(((CLIENTS - RATE.1) * 1_000 / RATE.0 - 100) as u64);
const SERVER: &str = "max_handshakes_per_second = 20\ndrain_ms = 100000\ndrain_spread_ms = 1000\nrefusal_delay_ms = 100";

/// What all of them do, seen from outside.
struct Swarm {
    addr: SocketAddr,
    token: String,
    /// Grows when every connection is to be dropped; its end is the end.
    cuts: watch::Sender<u32>,
    over: Cell<bool>,
    /// The number of each client's connection, once rows are in; 0 while there are none.
    at: RefCell<Vec<u32>>,
    held: RefCell<Vec<BTreeMap<String, Held>>>,
    handshakes: RefCell<Vec<Instant>>,
    refused: Cell<usize>,
    resumed: Cell<usize>,
    /// The share each was told, and when its socket was closed with 4300.
    leaves: RefCell<Vec<(u64, Instant)>>,
}

impl Swarm {
    fn new(world: &World) -> Self {
        Self {
            addr: world.addr,
            token: world.token("alice"),
            cuts: watch::Sender::new(0),
            over: Cell::new(false),
            at: RefCell::new(vec![0; CLIENTS]),
            held: RefCell::new(vec![BTreeMap::new(); CLIENTS]),
            handshakes: RefCell::default(),
            refused: Cell::new(0),
            resumed: Cell::new(0),
            leaves: RefCell::default(),
        }
    }

    /// Lets all of them live until the story ends.
    async fn live(&self, story: impl Future<Output = ()>) {
        let clients = join_all((0..CLIENTS).map(|i| self.one(i)));
        let story = async {
            story.await;
            self.over.set(true);
            self.cuts.send_modify(|cut| *cut += 1);
        };
        tokio::join!(clients, story);
    }

    /// A client by the rules: backs off when it is not let in, leaves as told, comes back with what it holds.
    async fn one(&self, i: usize) {
        let mut cuts = self.cuts.subscribe();
        let mut bound_ms = 50;
        while !self.over.get() {
            let Some(client) = Client::dial(self.addr, &self.token).await else {
                self.refused.set(self.refused.get() + 1);
                pause(fastrand::u64(bound_ms / 2..=bound_ms)).await;
                bound_ms = (bound_ms * 2).min(1_000);
                continue;
            };
            self.handshakes.borrow_mut().push(Instant::now());
            bound_ms = 50;
            cuts.mark_unchanged();
            let mut within_ms = 0;
            tokio::select! {
                () = self.converse(i, client, &mut within_ms) => pause(fastrand::u64(..=within_ms)).await,
                _ = cuts.changed() => {}
            }
            self.at.borrow_mut()[i] = 0;
        }
    }

    async fn converse(&self, i: usize, mut client: Client, within_ms: &mut u64) {
        client.held = self.held.borrow()[i].clone();
        let mut request = json!({ "type": "subscribe", "channel": BALANCES });
        if let Some(held) = client.held.get(BALANCES) {
            request["since"] = json!({ "epoch": held.epoch, "gsn": held.gsn });
        }
        client.send(request).await;
        loop {
            match client.next().await {
                Came::Frame(frame) => self.hear(i, &client, &frame, within_ms),
                Came::Close(code) => {
                    assert_eq!(code, Some(4300), "closed for another reason");
                    self.leaves.borrow_mut().push((*within_ms, Instant::now()));
                    return;
                }
            }
        }
    }

    fn hear(&self, i: usize, client: &Client, frame: &Value, within_ms: &mut u64) {
        match frame["type"].as_str().unwrap() {
            "subscribed" if frame["resumed"] == true => self.resumed.set(self.resumed.get() + 1),
            "draining" => *within_ms = frame["reconnect_within_ms"].as_u64().unwrap(),
            "snapshot" | "update" => {
                self.at.borrow_mut()[i] = *self.cuts.borrow() + 1;
                self.held.borrow_mut()[i] = client.held.clone();
            }
            _ => {}
        }
    }

    /// Waits until every one of them is connected since the last cut, and holds this row.
    async fn settled(&self, asset: &str, total: &str) {
        let row = ("moon-main".to_owned(), "1000004".to_owned(), asset.to_owned());
        let all = async || {
            let connected = self.at.borrow().iter().all(|at| *at == *self.cuts.borrow() + 1);
            let rows = |held: &BTreeMap<String, Held>| held[BALANCES].rows.get(&row).is_some_and(|row| row["total"] == total);
            (connected && self.held.borrow().iter().all(rows)).then_some(())
        };
        poll("everybody holds the newest row", all).await;
    }

    /// Were handshakes admitted at the rate, from `start` on?
    fn at_a_bounded_rate(&self, start: Instant) {
        let mut handshakes = self.handshakes.take();
        handshakes.sort_unstable();
        assert_eq!(handshakes.len(), CLIENTS, "nobody had to come twice");
        for (i, at) in handshakes.iter().enumerate() {
            let most = RATE.1 as f64 + RATE.0 as f64 * (*at - start).as_secs_f64();
            assert!((i + 1) as f64 <= most + 1.0, "{} handshakes within {:?}", i + 1, *at - start);
        }
        assert!(handshakes[CLIENTS - 1] > start + LAST, "the last ones had to wait");
    }
}

/// A client's own wait between two attempts.
async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test]
async fn clients_cut_off_together_return_at_a_bounded_rate_and_resume() {
    let world = World::new(SERVER, vec![given("moonbase")]).await;
    world.ready().await;
    let swarm = Swarm::new(&world);
    let start = Instant::now();
    let story = async {
        world.set("1000004", "ETH", "1.5");
        swarm.settled("ETH", "1.5").await;
        swarm.at_a_bounded_rate(start);
        // The network breaks for all of them, and money moves while they are away.
        let before = world.metric("client_frames_total{type=\"snapshot\"}").await;
        let cut = Instant::now();
        swarm.cuts.send_modify(|cut| *cut += 1);
        world.set("1000004", "ETH", "2.25");
        swarm.settled("ETH", "2.25").await;
        swarm.at_a_bounded_rate(cut);
        assert_eq!(swarm.resumed.get(), CLIENTS, "each is told what changed, and no more");
        assert_eq!(world.metric("client_frames_total{type=\"snapshot\"}").await, before);
        assert!(world.metric("client_refusals_total{limit=\"handshakes\"}").await > 0.0);
    };
    soon("the story", swarm.live(story)).await;
    assert!(swarm.refused.get() > 0);
}

#[tokio::test]
async fn a_drain_and_a_restart_are_no_storm_and_lose_nothing() {
    let mut world = World::new(SERVER, vec![given("moonbase")]).await;
    world.ready().await;
    let swarm = Swarm::new(&world);
    let story = async {
        world.set("1000004", "ETH", "1.5");
        swarm.settled("ETH", "1.5").await;
        let drain = Instant::now();
        let restarted = world.restart().await;
        {
            let mut leaves = swarm.leaves.borrow_mut();
            assert_eq!(leaves.len(), CLIENTS, "everybody is told, and closed with 4300");
            for (share, at) in &*leaves {
                assert!(*at >= drain + Duration::from_millis(*share), "closed before its time");
            }
            leaves.sort_unstable();
            for tenth in 0..10 {
                let of = leaves.iter().filter(|(share, _)| share / 100 == tenth).count();
                assert!((CLIENTS / 20..=CLIENTS / 7).contains(&of), "{of} of {CLIENTS} leave in one tenth of the window");
            }
        }
        swarm.handshakes.take();
        world.set("1000004", "ETH", "3.125");
        swarm.settled("ETH", "3.125").await;
        swarm.at_a_bounded_rate(restarted);
    };
    soon("the story", swarm.live(story)).await;
    assert_eq!(swarm.resumed.get(), 0, "another run is another history");
}
