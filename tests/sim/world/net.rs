//! One simulated venue and the network before it: connections that keep order, REST beside them, and what can be wrong with both.
//!
//! Nothing here knows the gateway: a connection has an owner, and what arrives for it is handed to whoever runs the world.

use std::collections::{BTreeMap, VecDeque};

use balance_gateway::model::{Mono, Now};
use balance_gateway::sim::Market;
use balance_gateway::venue::Venue;
use balance_gateway::venue::sim::{ConnId, Move, Sim, SimAction, SimOut};

use super::truth::{Key, Log, touched};
use crate::numbers::Count;

/// What travels on a connection.
#[derive(Debug, Clone)]
pub enum Item {
    Text(String),
    Binary,
    Ping,
    Pong,
    /// Closed by the venue with this code.
    Close(u16),
    /// The connection is broken, or closed by the gateway.
    End,
}

/// An item on its way.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub due: Mono,
    pub item: Item,
    /// The version of the book when it was said.
    pub version: u64,
    /// The last thing said of that version.
    pub last: bool,
}

/// The owner of a connection: a link of one run of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub run: u32,
    pub link: usize,
}

/// One connection, both ways.
pub struct Pipe {
    pub owner: Owner,
    pub up: VecDeque<Parcel>,
    pub down: VecDeque<Parcel>,
    /// The venue has closed it, or was told of its end.
    pub venue_done: bool,
    /// The gateway has hung up.
    pub gateway_done: bool,
    /// Nothing was lost or changed places on it, so each frame is what the venue said next.
    pub clean: bool,
    /// The version at which it was opened, or, where more is known to have been said, that of which all was said.
    pub opened: u64,
    /// By row, the versions of which the venue told.
    pub told: BTreeMap<Key, Vec<u64>>,
    /// What its messages' numbers prove, where the venue numbers them.
    pub count: Count,
    /// A frame held back to change places with the next.
    held: Option<Item>,
}

/// What is wrong with the network at present.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Nothing passes on any connection, and nothing tells so.
    pub half_open: bool,
    /// New connections get no answer.
    pub dial_hangs: bool,
    /// New connections are refused with 503.
    pub refuse: bool,
    pub delay_ms: u64,
    pub lose: u32,
    /// Connections live and pings are answered, but no text of the venue arrives: its stream has ended unsaid.
    pub deaf: bool,
    pub duplicate: u32,
    pub swap: u32,
    pub rest_down: bool,
    pub rest_lost: bool,
    pub rest_slow_ms: u64,
    /// So many requests get the answer that was given to the one before, never two of them in a row.
    pub rest_late: u32,
}

/// A venue with its network.
pub struct Side {
    pub venue: &'static Venue,
    pub sim: Box<dyn Sim>,
    pub account: String,
    pub market: Market,
    pub log: Log,
    pub net: Network,
    pub pipes: BTreeMap<ConnId, Pipe>,
    /// A fault was thrown after which the venue's frames need not be what it last said.
    pub rough: bool,
    /// By account and path: the last answer of status 200, and the version it told of.
    pub answers: BTreeMap<(usize, String), (String, u64)>,
    /// When each new connection was asked for.
    pub dials: Vec<Mono>,
    /// Which of total, available and locked the venue tells.
    pub tells: [bool; 3],
    /// Mean time between moves in ms; 0 stands still.
    pub pace_ms: u64,
    /// How much longer a REST answer takes than a frame, at most.
    pub rest_ms: u64,
    latency_ms: u64,
    last_conn: u64,
    rng: fastrand::Rng,
}

/// Which end of a connection something arrives at, and when.
pub struct Arrival {
    pub at: Mono,
    pub conn: ConnId,
    pub up: bool,
}

impl Side {
    pub fn new(venue: &'static Venue, sim: Box<dyn Sim>, account: String, market: Market, now: Mono, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let log = Log::new(sim.book(&account).expect("the sample has a book"), now);
        let latency_ms = rng.u64(1..60);
        let rest_ms = [1, 1, 400, 2_500][rng.usize(0..4)];
        let (net, pipes, answers, dials) = Default::default();
        Self {
            venue,
            sim,
            account,
            market,
            log,
            net,
            pipes,
            rough: false,
            rest_ms,
            answers,
            dials,
            tells: [true; 3],
            pace_ms: 0,
            latency_ms,
            last_conn: 0,
            rng,
        }
    }

    /// How long something takes on its way, in µs so that two things seldom take equally long.
    pub fn latency(&mut self) -> u64 {
        self.latency_ms * 1000 + self.rng.u64(0..=self.latency_ms * 500)
    }

    /// How long a REST answer takes on its way: it may be overtaken by frames.
    pub fn rest_latency(&mut self) -> u64 {
        self.latency() + self.rng.u64(0..self.rest_ms * 1000) + self.net.rest_slow_ms * 1000
    }

    pub fn open(&mut self, owner: Owner) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let (up, down, told, count) = Default::default();
        let opened = self.log.version();
        let clean = !self.rough;
        let pipe = Pipe { owner, up, down, venue_done: false, gateway_done: false, clean, opened, told, count, held: None };
        self.pipes.insert(conn, pipe);
        conn
    }

    /// Sends something to the venue.
    pub fn send_up(&mut self, now: Mono, conn: ConnId, item: Item) -> Option<Arrival> {
        let latency = self.latency();
        let pipe = self.pipes.get_mut(&conn)?;
        let due = pipe.up.back().map_or(now, |last| last.due.max(now)).max(Mono(now.0 + latency));
        pipe.up.push_back(Parcel { due, item, version: 0, last: true });
        Some(Arrival { at: due, conn, up: true })
    }

    /// Sends something to the gateway, as the network lets it.
    pub fn send_down(&mut self, now: Mono, conn: ConnId, item: Item, version: u64, last: bool, arrivals: &mut Vec<Arrival>) {
        let latency = self.latency() + self.net.delay_ms * 1000;
        let net = &mut self.net;
        let Some(pipe) = self.pipes.get_mut(&conn).filter(|pipe| !pipe.gateway_done) else { return };
        let is_text = matches!(item, Item::Text(_));
        let mut items = vec![item];
        if is_text && (net.lose > 0 || net.deaf) {
            net.lose = net.lose.saturating_sub(1);
            pipe.clean = false;
            items.clear();
        } else if is_text && net.duplicate > 0 {
            net.duplicate -= 1;
            items.push(items[0].clone());
        } else if is_text && net.swap > 0 && pipe.held.is_none() {
            net.swap -= 1;
            pipe.clean = false;
            pipe.held = items.pop();
        } else {
            items.extend(pipe.held.take());
        }
        for item in items {
            let due = pipe.down.back().map_or(now, |last| last.due.max(now)).max(Mono(now.0 + latency));
            pipe.down.push_back(Parcel { due, item, version, last });
            arrivals.push(Arrival { at: due, conn, up: false });
        }
    }

    /// What the simulator asked for, stamped with the book it spoke of.
    pub fn deliver(&mut self, now: Now, out: SimOut, arrivals: &mut Vec<Arrival>) {
        let version = self.log.version();
        let target = |action: &SimAction| match action {
            SimAction::Send(conn, _) | SimAction::Ping(conn) | SimAction::Close(conn, ..) => *conn,
        };
        let mut left: BTreeMap<ConnId, usize> = BTreeMap::new();
        out.actions.iter().for_each(|action| *left.entry(target(action)).or_default() += 1);
        for action in out.actions {
            let conn = target(&action);
            let last = left.get_mut(&conn).is_some_and(|left| {
                *left -= 1;
                *left == 0
            });
            let item = match action {
                SimAction::Send(_, text) => Item::Text(text),
                SimAction::Ping(_) => Item::Ping,
                SimAction::Close(_, code, _) => Item::Close(code),
            };
            let closes = matches!(item, Item::Close(_));
            self.send_down(now.mono, conn, item, version, last, arrivals);
            if closes && let Some(pipe) = self.pipes.get_mut(&conn).filter(|pipe| !pipe.venue_done) {
                pipe.venue_done = true;
                self.sim.on_disconnect(now, conn);
            }
        }
    }

    /// Moves money, if the book allows it.
    pub fn moves(&mut self, now: Now, mv: &Move, arrivals: &mut Vec<Arrival>) -> bool {
        let mut out = SimOut::default();
        let numbers = |side: &Self, (wallet, asset): &Key| {
            let holding = side.sim.book(&side.account).expect("the sample has a book").holding(wallet, asset);
            let all = [holding.total(), holding.available, holding.locked];
            all.into_iter().zip(side.tells).filter_map(|(number, told)| told.then_some(number)).collect::<Vec<_>>()
        };
        let before: Vec<_> = touched(mv).into_iter().map(|key| (numbers(self, &key), key)).collect();
        if self.sim.on_move(now, mv, &mut out).is_err() {
            return false;
        }
        // A message that a move causes says nothing of a row whose told numbers it leaves as they are: an order's status, say.
        let changed: Vec<Key> =
            before.into_iter().filter(|(was, key)| *was != numbers(self, key)).map(|(_, key)| key).collect();
        self.log.note(now.mono, mv, self.sim.book(&self.account).expect("the sample has a book"));
        let version = self.log.version();
        for (conn, pipe) in &mut self.pipes {
            let is_told = out.actions.iter().any(|action| matches!(action, SimAction::Send(to, _) if to == conn));
            for key in changed.iter().filter(|_| is_told) {
                pipe.told.entry(key.clone()).or_default().push(version);
            }
        }
        self.deliver(now, out, arrivals);
        true
    }

    /// Breaks every connection: what is on its way is lost.
    pub fn cut(&mut self, now: Mono, arrivals: &mut Vec<Arrival>) {
        for (conn, pipe) in &mut self.pipes {
            for (queue, up) in [(&mut pipe.up, true), (&mut pipe.down, false)] {
                queue.clear();
                queue.push_back(Parcel { due: now, item: Item::End, version: 0, last: true });
                arrivals.push(Arrival { at: now, conn: *conn, up });
            }
        }
    }

    /// The network is well again: what was held back is on its way.
    pub fn heal(&mut self, now: Mono, arrivals: &mut Vec<Arrival>) {
        self.net = Network::default();
        let soon = Mono(now.0 + self.latency());
        for (conn, pipe) in &mut self.pipes {
            for (queue, up) in [(&mut pipe.up, true), (&mut pipe.down, false)] {
                for parcel in queue {
                    parcel.due = parcel.due.max(soon);
                    arrivals.push(Arrival { at: parcel.due, conn: *conn, up });
                }
            }
        }
        // A frame that waited for one to change places with goes alone.
        let version = self.log.version();
        let held: Vec<_> = self.pipes.iter_mut().filter_map(|(conn, pipe)| Some((*conn, pipe.held.take()?))).collect();
        for (conn, item) in held {
            self.send_down(now, conn, item, version, true, arrivals);
        }
    }

    /// Takes the next parcel that has arrived.
    pub fn take(&mut self, now: Mono, conn: ConnId, up: bool) -> Option<Parcel> {
        if self.net.half_open {
            return None;
        }
        let pipe = self.pipes.get_mut(&conn)?;
        let queue = if up { &mut pipe.up } else { &mut pipe.down };
        if queue.front()?.due > now { None } else { queue.pop_front() }
    }

    /// Forgets a connection whose both ends are done.
    pub fn tidy(&mut self, conn: ConnId) {
        if self.pipes.get(&conn).is_some_and(|pipe| pipe.venue_done && pipe.gateway_done) {
            self.pipes.remove(&conn);
        }
    }
}
