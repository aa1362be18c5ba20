//! A simulated venue between its sockets: the pure simulator, who is connected, what is wrong with the network, who trades.
//!
//! Everything here happens under one short lock and without waiting; the sockets are in `conn.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Market;
use super::faults::{Burst, FaultError, NET_FAULTS, NetFault, Network};
use crate::model::{Mono, Now};
use crate::venue::sim::{ConnId, Move, Sim, SimAction, SimOut, SimReply, SimRequest};

/// Frames a connection may have waiting. A snapshot is a few frames and a busy market a few hundred a second, so a reader
/// this far behind is gone or broken.
pub(super) const QUEUE_FRAMES: usize = 4_096;

/// What `garbage` sends: no venue's frame, and not even JSON.
const GARBAGE: &str = "\u{7}{[garbage:::";

/// Something to write to a connection, not before `due`.
pub(super) struct Outgoing {
    pub due: Instant,
    pub what: What,
}

pub(super) enum What {
    Text(Utf8Bytes),
    Ping,
    Close(u16, &'static str),
}

/// A connection's end of its queue, kept by the socket.
pub(super) struct Line {
    pub conn: ConnId,
    pub queue: mpsc::Receiver<Outgoing>,
    /// Cancelled: drop the socket without a word.
    pub cut: CancellationToken,
}

struct Peer {
    queue: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
}

/// The simulated venue.
pub(super) struct Core {
    sim: Box<dyn Sim>,
    peers: BTreeMap<ConnId, Peer>,
    last_conn: u64,
    pub network: Network,
    markets: Vec<Market>,
    next_market: usize,
}

impl Core {
    pub fn new(sim: Box<dyn Sim>, markets: Vec<Market>) -> Self {
        Self { sim, peers: BTreeMap::new(), last_conn: 0, network: Network::default(), markets, next_market: 0 }
    }

    pub fn sim(&self) -> &dyn Sim {
        self.sim.as_ref()
    }

    pub fn connections(&self) -> usize {
        self.peers.len()
    }

    pub fn has_market(&self) -> bool {
        !self.markets.is_empty()
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.sim.deadline()
    }

    pub fn connect(&mut self, now: Now, request: &SimRequest) -> Result<Line, SimReply> {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let (queue, receiver) = mpsc::channel(QUEUE_FRAMES);
        let cut = CancellationToken::new();
        // Listed before the simulator hears of it: a venue may speak first.
        self.peers.insert(conn, Peer { queue, cut: cut.clone() });
        let mut out = SimOut::default();
        let judged = self.sim.on_connect(now, conn, request, &mut out);
        if judged.is_err() {
            self.peers.remove(&conn);
        }
        self.deliver(out);
        judged.map(|()| Line { conn, queue: receiver, cut })
    }

    pub fn frame(&mut self, now: Now, conn: ConnId, text: &str) {
        self.with(|sim, out| sim.on_frame(now, conn, text, out));
    }

    pub fn disconnected(&mut self, now: Now, conn: ConnId) {
        self.peers.remove(&conn);
        self.sim.on_disconnect(now, conn);
    }

    pub fn request(&mut self, now: Now, request: &SimRequest) -> SimReply {
        self.with(|sim, out| sim.on_request(now, request, out))
    }

    /// Fires the simulator's deadline if it has passed.
    pub fn tick(&mut self, now: Now) {
        if self.deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.with(|sim, out| sim.on_timeout(now, out));
        }
    }

    pub fn moves(&mut self, now: Now, mv: &Move) -> Result<(), String> {
        self.with(|sim, out| sim.on_move(now, mv, out))
    }

    /// One step of one market; they take turns.
    pub fn trade(&mut self, now: Now) {
        let Some(market) = self.markets.get_mut(self.next_market) else { return };
        let Some(book) = self.sim.book(market.account()) else { return };
        let mv = market.next(now, book);
        let turn = self.next_market;
        self.next_market = (turn + 1) % self.markets.len();
        if self.moves(now, &mv).is_err() {
            self.markets[turn].refused(&mv);
        }
    }

    /// Throws a fault. A venue's own goes before the network's of the same name, as the more exact one; `heal` goes to both.
    pub fn fault(&mut self, now: Now, text: &str) -> Result<(), FaultError> {
        let own = self.sim.faults().iter().any(|(name, _)| bare(name) == bare(text));
        let heals = text == "heal";
        if own {
            self.with(|sim, out| sim.on_fault(now, text, out)).map_err(FaultError::Refused)?;
        }
        if own && !heals {
            return Ok(());
        }
        let fault = NetFault::parse(text).ok_or(FaultError::Unknown)??;
        match self.network.throw(fault) {
            Burst::None => {}
            Burst::Disconnect => self.peers.values().for_each(|peer| peer.cut.cancel()),
            Burst::Garbage => {
                for conn in self.peers.keys().copied().collect::<Vec<_>>() {
                    self.push(conn, What::Text(Utf8Bytes::from_static(GARBAGE)));
                }
            }
        }
        Ok(())
    }

    /// Every fault that can be thrown here: the network's, but for those the venue has an own one for, then the venue's.
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let own = self.sim.faults();
        let shadowed = |name: &str| own.iter().any(|(other, _)| bare(other) == bare(name));
        NET_FAULTS.iter().filter(|(name, _)| !shadowed(name)).chain(own).copied().collect()
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut dyn Sim, &mut SimOut) -> T) -> T {
        let mut out = SimOut::default();
        let answer = ask(self.sim.as_mut(), &mut out);
        self.deliver(out);
        answer
    }

    fn deliver(&mut self, out: SimOut) {
        for action in out.actions {
            match action {
                SimAction::Send(conn, text) => {
                    let text = Utf8Bytes::from(text);
                    for _ in 0..self.network.copies() {
                        self.push(conn, What::Text(text.clone()));
                    }
                }
                SimAction::Ping(conn) => self.push(conn, What::Ping),
                SimAction::Close(conn, code, reason) => self.push(conn, What::Close(code, reason)),
            }
        }
    }

    /// Queues it. A full queue ends the connection: at once, or, where the network is half open and nobody may notice, after
    /// what is queued.
    fn push(&mut self, conn: ConnId, what: What) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let due = Instant::now() + Duration::from_millis(self.network.delay_ms);
        if peer.queue.try_send(Outgoing { due, what }).is_err() {
            if !self.network.half_open {
                peer.cut.cancel();
            }
            self.peers.remove(&conn);
        }
    }
}

/// A fault's name without its number: `delay:<ms>` and `delay:5` are both `delay`.
fn bare(fault: &str) -> &str {
    fault.split_once(':').map_or(fault, |(name, _)| name)
}
