//! A universe in virtual time: simulated venues with their books, the real links, store, hub, access and client sessions of one
//! gateway, and everything that can go wrong between them. No socket, no task, no clock: the same seed gives the same world.
//!
//! What is checked after every step, and why it is sound:
//!
//! - **Up or stale.** An account without a connection, or with one on which nothing has arrived for longer than the venue's liveness
//!   bound, is neither `live` nor `degraded`; a row is `live` only in an account that is.
//! - **Said.** While a connection keeps order and loses nothing, a `live` row shows a holding of the book at some version between *low* and
//!   *high*. *High* is the newest version anything that arrived spoke of: nothing is known before it was said. *Low* is the newest version of
//!   that very row which the venue told on this connection and which has arrived in full, or the version at which the connection was
//!   opened: what was said is not forgotten. A move of which the venue says nothing (a deposit at a venue that pushes none) does not raise
//!   *low*. Numbers that the row calls unknown agree with everything.
//! - **Recent.** In a `live` account (not in a `degraded` one: its reason says that comparing fails), a `live` row shows a holding that the
//!   book had within the last [`World::recent_ms`], whatever was lost: liveness bound, reconcile period and the second opinion.
//! - **Nothing invented.** Every row, stale ones too, shows a holding that the book once had.
//! - **Readers.** Each client builds its picture by the published rules alone (`view.rs`). `gsn` grows, `prev` chains, parts come together,
//!   nothing precedes `subscribed`, no frame names an account outside the client's right. A client to whom nothing is on its way equals the
//!   store, row by row; a throttled one does once its gsn has reached the newest change.
//! - **Whole.** One frame of a venue is one commit, so that readers get all of it or nothing.
//! - **Bounds.** Rows, orders, and the frames of one write.
//!
//! After the faults have ended, [`World::settle`] waits until every account is live and every client equals every book exactly, and fails when
//! that takes longer than it may.

pub mod client;
pub mod gateway;
pub mod net;
pub mod truth;
pub mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use balance_gateway::access::Access;
use balance_gateway::model::{AccountState, Channel, Filter, Mono, Now, RowState, UnixMs};
use balance_gateway::sim::Market;
use balance_gateway::venue::link::{Command, DialError};
use balance_gateway::venue::sim::{ConnId, Move, Sim, SimOut, SimRequest, SimSetup};
use balance_gateway::venue::{AccountSpec, Call, CallError, CallId, Credentials, Frame, Options, Reply, Venue};

use client::{Client, Wish};
use gateway::{Account, Gateway, MAX_ORDERS, MAX_ROWS};
use net::{Arrival, Item, Owner, Side};

/// When worlds begin.
const BEGIN: UnixMs = UnixMs(1_763_121_358_960);
/// How long a dial may hang, as the driver has it.
const DIAL_TIMEOUT_MS: u64 = 10_000;
/// Longest default reconcile period with its jitter, the second opinion, and the slowest REST answer.
const RECONCILE_MS: u64 = 66_000 + 3_000 + 10_000;
/// Steps at one instant after which the world is stuck.
const MAX_STEPS_AT_ONCE: u32 = 20_000;

/// One venue of a world, with the gateway's accounts there.
#[derive(Clone)]
pub struct VenueWish {
    pub venue: &'static Venue,
    pub options: BTreeMap<String, toml::Value>,
    /// Owners of each of the gateway's accounts; every account follows the same simulated one.
    pub owners: Vec<Vec<String>>,
    pub pace_ms: u64,
}

/// What happens at a moment.
enum Event {
    Arrive(usize, ConnId, bool),
    Move(usize),
    Dialed(Owner, u32, Result<ConnId, DialError>),
    /// A dial reaches the venue.
    Dial(Owner, u32, balance_gateway::venue::Handshake),
    Ask(Owner, ConnId, Call),
    Reply(Owner, ConnId, CallId, Result<(u16, String), CallError>, u64),
    /// Whoever planned the world wants to act.
    Planned(u64),
}

struct Queued(Mono, u64, Event);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Counts over a world's life.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    pub steps: u64,
    pub moves: u64,
    pub heard: u64,
    pub checks: u64,
}

/// See the module.
pub struct World {
    pub now: Now,
    pub sides: Vec<Side>,
    pub accounts: Vec<Account>,
    pub gateway: Gateway,
    pub clients: Vec<Client>,
    pub stats: Stats,
    pub planned: Vec<u64>,
    /// What went wrong first.
    pub failure: Option<String>,
    /// Print every step.
    pub trace: bool,
    /// [`World::settle`] looks after each event instead of each second.
    pub precise: bool,
    pub recent_ms: u64,
    knows: Vec<[bool; 3]>,
    access: Arc<ArcSwap<Access>>,
    queue: BinaryHeap<Reverse<Queued>>,
    serial: u64,
    hash: DefaultHasher,
    rng: fastrand::Rng,
    at_once: u32,
    /// Accounts to look at after this step.
    touched: Vec<usize>,
    seen: u64,
}

impl World {
    /// `knows`: by venue's name, which of total, available and locked a row of it gives in the end.
    pub fn new(seed: u64, venues: &[VenueWish], clients: Vec<Wish>, knows: impl Fn(&Venue) -> [bool; 3]) -> Self {
        let now = Now { mono: Mono(1_000_000), unix: BEGIN };
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut sides, mut accounts) = (Vec::new(), Vec::new());
        for (wish, nth) in venues.iter().zip(0..) {
            let sample = (wish.venue.sample)();
            let id = sample.account.id.clone();
            for (owners, twin) in wish.owners.iter().zip(0..) {
                let name = if twin == 0 { id.clone() } else { format!("twin{twin}-of-{id}") };
                let secrets = sample.account.credentials.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let spec = AccountSpec {
                    id: name.as_str().into(),
                    ws_url: format!("ws://{}.sim{}", wish.venue.name, sample.ws_path),
                    rest_url: format!("http://{}.sim{}", wish.venue.name, sample.rest_path),
                    credentials: Credentials::plain(secrets),
                    wallets: sample.wallets.clone(),
                    options: Options::new(wish.options.clone()),
                };
                accounts.push(Account { spec, venue: wish.venue, side: nth, owners: owners.clone() });
            }
            let market = Market::new(&id, sample.markets, rng.u64(..));
            let sim = (wish.venue.simulate)(SimSetup { accounts: vec![sample.account], seed: rng.u64(..) });
            let mut side = Side::new(wish.venue, sim, id, market, now.mono, rng.u64(..));
            side.pace_ms = wish.pace_ms;
            sides.push(side);
        }
        let access = gateway::access();
        let gateway = Gateway::start(0, &accounts, &access, rng.u64(..), now);
        let bound = venues.iter().map(|wish| wish.venue.liveness_bound_ms).max().unwrap_or(0);
        let mut world = Self {
            now,
            knows: venues.iter().map(|wish| knows(wish.venue)).collect(),
            sides,
            accounts,
            gateway,
            clients: clients.into_iter().map(Client::new).collect(),
            stats: Stats::default(),
            planned: Vec::new(),
            failure: None,
            trace: false,
            precise: false,
            recent_ms: bound + RECONCILE_MS,
            access,
            queue: BinaryHeap::new(),
            serial: 0,
            hash: DefaultHasher::new(),
            rng,
            at_once: 0,
            touched: Vec::new(),
            seen: 0,
        };
        for nth in 0..world.sides.len() {
            world.next_move(nth);
        }
        world
    }

    /// A number that differs where anything that happened differs.
    pub fn fingerprint(&self) -> u64 {
        self.hash.finish()
    }

    /// Wakes the planner at a moment, with a number of its own.
    pub fn plan(&mut self, at: Mono, what: u64) {
        self.at(at, Event::Planned(what));
    }

    fn at(&mut self, at: Mono, event: Event) {
        self.serial += 1;
        self.queue.push(Reverse(Queued(at, self.serial, event)));
    }

    fn arrivals(&mut self, side: usize, arrivals: Vec<Arrival>) {
        for Arrival { at, conn, up } in arrivals {
            self.at(at, Event::Arrive(side, conn, up));
        }
    }

    fn next_move(&mut self, side: usize) {
        let pace = self.sides[side].pace_ms;
        if pace > 0 {
            let wait = self.rng.u64(pace * 200..=pace * 1800);
            self.at(Mono(self.now.mono.0 + wait), Event::Move(side));
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.now.mono;
        self.hash.write_u64(now.0);
        if self.trace {
            eprintln!("{:>12.3} ms  {}", now.0 as f64 / 1000.0, what());
        }
    }

    fn tell_text(&mut self, who: (&str, usize), text: &str) {
        self.hash.write(text.as_bytes());
        self.tell(|| format!("{} {} hears {text}", who.0, who.1));
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        if self.failure.is_none() {
            let why = why.into();
            self.tell(|| format!("FAILED: {why}"));
            self.failure = Some(why);
        }
    }

    // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Lets time pass until `end`, until something planned is due, or until something is wrong.
    pub fn run(&mut self, end: Mono) {
        while self.failure.is_none() && self.planned.is_empty() {
            if !self.step(end) {
                self.set_time(end);
                return;
            }
        }
    }

    fn set_time(&mut self, at: Mono) {
        if at > self.now.mono {
            self.at_once = 0;
            self.now = Now { mono: at, unix: UnixMs(BEGIN.0 + (at.0 / 1000) as i64 - 1_000) };
        }
        self.at_once += 1;
        if self.at_once > MAX_STEPS_AT_ONCE {
            self.fail("time stands still");
        }
    }

    fn step(&mut self, end: Mono) -> bool {
        let queued = self.queue.peek().map(|Reverse(Queued(at, ..))| *at);
        let timer = self.next_timer();
        let next = [queued, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(at) = next.filter(|at| *at <= end) else { return false };
        self.set_time(at);
        self.stats.steps += 1;
        if queued == Some(at) {
            let Some(Reverse(Queued(_, _, event))) = self.queue.pop() else { return false };
            self.happen(event);
        } else if let Some((_, timer)) = timer {
            self.fire(timer);
        }
        self.look();
        true
    }

    fn next_timer(&self) -> Option<(Mono, Timer)> {
        let sides = self.sides.iter().zip(0..).filter_map(|(side, nth)| Some((side.sim.deadline()?, Timer::Sim(nth))));
        let links = self.gateway.upstreams.iter().zip(0..);
        let links = links.filter_map(|(up, nth)| Some((up.link.deadline()?, Timer::Link(nth))));
        let clients = self.clients.iter().filter_map(|client| Some((client.next(self.now)?, Timer::Clients)));
        sides.chain(links).chain(clients).min_by_key(|(at, _)| *at)
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Sim(nth) => {
                let (side, now) = (&mut self.sides[nth], self.now);
                let mut out = SimOut::default();
                side.sim.on_timeout(now, &mut out);
                let mut arrivals = Vec::new();
                side.deliver(now, out, &mut arrivals);
                self.tell(|| format!("venue {nth} timer"));
                self.arrivals(nth, arrivals);
            }
            Timer::Link(nth) => {
                self.tell(|| format!("link {nth} timer"));
                let mut commands = Vec::new();
                self.gateway.upstreams[nth].link.on_timer(self.now, &mut commands);
                self.carry_out(nth, commands);
            }
            Timer::Clients => {} // `look` lets them do what is due
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(side, conn, true) => self.arrive_up(side, conn),
            Event::Arrive(side, conn, false) => self.arrive_down(side, conn),
            Event::Move(nth) => {
                if self.sides[nth].pace_ms > 0 {
                    self.trade(nth);
                    self.next_move(nth);
                }
            }
            Event::Dial(owner, dial, handshake) => self.dial(owner, dial, &handshake),
            Event::Dialed(owner, dial, result) => self.dialed(owner, dial, result),
            Event::Ask(owner, conn, call) => self.ask(owner, conn, &call),
            Event::Reply(owner, conn, call, reply, version) => self.reply(owner, conn, call, reply, version),
            Event::Planned(what) => self.planned.push(what),
        }
    }

    // ── the venues ────────────────────────────────────────────────────────────────────────────────────────────────────

    fn trade(&mut self, nth: usize) {
        let (side, now) = (&mut self.sides[nth], self.now);
        let Some(book) = side.sim.book(&side.account) else { return };
        let mv = side.market.next(now, book);
        self.moves(nth, &mv);
    }

    /// Lets a venue's market begin that stood still.
    pub fn begin_moving(&mut self, nth: usize) {
        self.next_move(nth);
    }

    /// Moves money at a venue.
    pub fn moves(&mut self, nth: usize, mv: &Move) {
        let mut arrivals = Vec::new();
        let (side, now) = (&mut self.sides[nth], self.now);
        if side.moves(now, mv, &mut arrivals) {
            self.stats.moves += 1;
            let version = self.sides[nth].log.version();
            self.tell(|| format!("venue {nth} version {version}: {mv:?}"));
        } else {
            side.market.refused(mv);
        }
        self.arrivals(nth, arrivals);
    }

    /// Throws one of the venue's own faults.
    pub fn fault(&mut self, nth: usize, name: &str) {
        let (side, now) = (&mut self.sides[nth], self.now);
        let (mut out, mut arrivals) = (SimOut::default(), Vec::new());
        if let Err(why) = side.sim.on_fault(now, name, &mut out) {
            self.fail(format!("{name}: {why}"));
            return;
        }
        side.deliver(now, out, &mut arrivals);
        self.tell(|| format!("venue {nth} FAULT {name}"));
        self.arrivals(nth, arrivals);
    }

    /// From now on the venue's frames need not be what it last said.
    pub fn roughen(&mut self, nth: usize) {
        self.sides[nth].rough = true;
        self.sides[nth].pipes.values_mut().for_each(|pipe| pipe.clean = false);
    }

    /// Alters a venue's network.
    pub fn network(&mut self, nth: usize, what: &str, change: impl FnOnce(&mut net::Network)) {
        change(&mut self.sides[nth].net);
        self.tell(|| format!("venue {nth} NETWORK {what}"));
    }

    /// Breaks all connections of a venue.
    pub fn cut(&mut self, nth: usize) {
        let mut arrivals = Vec::new();
        self.sides[nth].cut(self.now.mono, &mut arrivals);
        self.tell(|| format!("venue {nth} NETWORK cut"));
        self.arrivals(nth, arrivals);
    }

    /// Puts something no venue says before its gateway.
    pub fn inject(&mut self, nth: usize, item: &Item) {
        let side = &mut self.sides[nth];
        let (version, mut arrivals) = (side.log.version(), Vec::new());
        for conn in side.pipes.keys().copied().collect::<Vec<_>>() {
            side.send_down(self.now.mono, conn, item.clone(), version, true, &mut arrivals);
        }
        self.tell(|| format!("venue {nth} NETWORK garbage"));
        self.arrivals(nth, arrivals);
    }

    /// Ends everything that is wrong with a venue's network.
    pub fn heal(&mut self, nth: usize) {
        let mut arrivals = Vec::new();
        self.sides[nth].heal(self.now.mono, &mut arrivals);
        self.tell(|| format!("venue {nth} NETWORK healed"));
        self.arrivals(nth, arrivals);
    }

    fn arrive_up(&mut self, nth: usize, conn: ConnId) {
        let now = self.now;
        while let Some(parcel) = self.sides[nth].take(now.mono, conn, true) {
            let side = &mut self.sides[nth];
            let (mut out, mut arrivals) = (SimOut::default(), Vec::new());
            let Some(pipe) = side.pipes.get_mut(&conn) else { return };
            match parcel.item {
                _ if pipe.venue_done => {}
                Item::Text(text) => {
                    side.sim.on_frame(now, conn, &text, &mut out);
                    self.tell_text(("venue", nth), &text);
                }
                Item::Ping => {
                    let version = side.log.version();
                    side.send_down(now.mono, conn, Item::Pong, version, true, &mut arrivals);
                }
                Item::End | Item::Close(_) => {
                    pipe.venue_done = true;
                    side.sim.on_disconnect(now, conn);
                }
                Item::Binary | Item::Pong => {}
            }
            let side = &mut self.sides[nth];
            side.deliver(now, out, &mut arrivals);
            side.tidy(conn);
            self.arrivals(nth, arrivals);
        }
    }

    fn arrive_down(&mut self, nth: usize, conn: ConnId) {
        while let Some(parcel) = self.sides[nth].take(self.now.mono, conn, false) {
            let Some(owner) = self.sides[nth].pipes.get(&conn).map(|pipe| pipe.owner) else { return };
            if owner.run == self.gateway.run && self.gateway.upstreams[owner.link].conn == Some(conn) {
                self.hear(nth, conn, owner.link, parcel);
            }
            self.sides[nth].tidy(conn);
        }
    }

    fn hear(&mut self, nth: usize, conn: ConnId, link: usize, parcel: net::Parcel) {
        self.stats.heard += 1;
        let now = self.now;
        let mut commands = Vec::new();
        let upstream = &mut self.gateway.upstreams[link];
        upstream.heard = now.mono;
        upstream.ceiling = upstream.ceiling.max(parcel.version);
        if parcel.last {
            upstream.floor = upstream.floor.max(parcel.version);
        } else {
            upstream.floor = upstream.floor.max(parcel.version.saturating_sub(1));
        }
        let before = self.gateway.store.gsn();
        match parcel.item {
            Item::Text(text) => {
                upstream.link.on_frame(now, Frame::Text(&text), &mut commands);
                let commits = self.gateway.store.gsn() - before;
                let hangs_up = commands.iter().any(|command| matches!(command, Command::Hangup));
                self.tell_text(("link", link), &text);
                if commits > 1 + u64::from(hangs_up) {
                    self.fail(format!("one frame gave {commits} commits"));
                }
            }
            Item::Binary => upstream.link.on_frame(now, Frame::Binary(&[7, 0, 255]), &mut commands),
            Item::Ping => upstream.link.on_frame(now, Frame::Ping, &mut commands),
            Item::Pong => upstream.link.on_frame(now, Frame::Pong, &mut commands),
            Item::Close(_) | Item::End => {
                upstream.conn = None;
                upstream.calls.clear();
                let code = if let Item::Close(code) = parcel.item { Some(code) } else { None };
                upstream.link.on_closed(now, code);
                if let Some(pipe) = self.sides[nth].pipes.get_mut(&conn) {
                    pipe.gateway_done = true;
                }
                self.tell(|| format!("link {link} is disconnected ({code:?})"));
            }
        }
        self.touched.push(link);
        self.carry_out(link, commands);
    }

    // ── the links ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn carry_out(&mut self, link: usize, commands: Vec<Command>) {
        self.touched.push(link);
        let (now, nth) = (self.now.mono, self.accounts[link].side);
        let owner = Owner { run: self.gateway.run, link };
        for command in commands {
            let conn = self.gateway.upstreams[link].conn;
            match command {
                Command::Dial(handshake) => {
                    self.gateway.upstreams[link].dial += 1;
                    let at = Mono(now.0 + self.sides[nth].latency());
                    let dial = self.gateway.upstreams[link].dial;
                    self.at(at, Event::Dial(owner, dial, handshake));
                }
                Command::Send(text) => self.send_up(nth, conn, Item::Text(text)),
                Command::Ping => self.send_up(nth, conn, Item::Ping),
                Command::Hangup => {
                    self.send_up(nth, conn, Item::End);
                    self.hang_up(link);
                }
                Command::Call(call) => {
                    let Some(conn) = conn else { continue };
                    let at = Mono(now.0 + self.sides[nth].latency());
                    let upstream = &mut self.gateway.upstreams[link];
                    upstream.calls.insert((conn, call.id.0));
                    let give_up = now.plus_ms(call.timeout_ms);
                    self.at(give_up, Event::Reply(owner, conn, call.id, Err(CallError::Timeout), 0));
                    self.at(at, Event::Ask(owner, conn, call));
                }
            }
        }
    }

    fn send_up(&mut self, nth: usize, conn: Option<ConnId>, item: Item) {
        let Some(conn) = conn else { return };
        let arrival = self.sides[nth].send_up(self.now.mono, conn, item);
        self.arrivals(nth, arrival.into_iter().collect());
    }

    fn hang_up(&mut self, link: usize) {
        let upstream = &mut self.gateway.upstreams[link];
        upstream.calls.clear();
        if let Some(conn) = upstream.conn.take()
            && let Some(pipe) = self.sides[self.accounts[link].side].pipes.get_mut(&conn)
        {
            pipe.gateway_done = true;
            pipe.down.clear();
        }
    }

    fn dial(&mut self, owner: Owner, dial: u32, handshake: &balance_gateway::venue::Handshake) {
        let (now, nth) = (self.now, self.accounts[owner.link].side);
        let side = &mut self.sides[nth];
        side.dials.push(now.mono);
        let back = Mono(now.mono.0 + side.latency());
        if side.net.dial_hangs {
            return self.at(now.mono.plus_ms(DIAL_TIMEOUT_MS), Event::Dialed(owner, dial, Err(DialError::Unreachable)));
        }
        if side.net.refuse {
            return self.at(back, Event::Dialed(owner, dial, Err(DialError::Refused(503))));
        }
        let conn = side.open(owner);
        let request = request("GET", path(&handshake.url), &handshake.headers, "");
        let mut out = SimOut::default();
        let result = match side.sim.on_connect(now, conn, &request, &mut out) {
            Ok(()) => Ok(conn),
            Err(refusal) => {
                side.pipes.remove(&conn);
                Err(DialError::Refused(refusal.status))
            }
        };
        // The handshake's answer goes before anything said on the connection.
        self.at(back, Event::Dialed(owner, dial, result));
        let mut arrivals = Vec::new();
        let later = Now { mono: back, ..now };
        self.sides[nth].deliver(later, out, &mut arrivals);
        self.arrivals(nth, arrivals);
    }

    fn dialed(&mut self, owner: Owner, dial: u32, result: Result<ConnId, DialError>) {
        let nth = self.accounts[owner.link].side;
        let current = owner.run == self.gateway.run && self.gateway.upstreams[owner.link].dial == dial;
        if !current {
            if let Ok(conn) = result {
                self.send_up(nth, Some(conn), Item::End);
                if let Some(pipe) = self.sides[nth].pipes.get_mut(&conn) {
                    pipe.gateway_done = true;
                }
            }
            return;
        }
        let upstream = &mut self.gateway.upstreams[owner.link];
        upstream.conn = result.ok();
        upstream.heard = self.now.mono;
        if let Some(pipe) = upstream.conn.and_then(|conn| self.sides[nth].pipes.get(&conn)) {
            (upstream.floor, upstream.ceiling) = (pipe.opened, pipe.opened);
        }
        let mut commands = Vec::new();
        upstream.link.on_dialed(self.now, result.map(|_| ()), &mut commands);
        self.tell(|| format!("link {} dialed: {result:?}", owner.link));
        self.carry_out(owner.link, commands);
    }

    fn ask(&mut self, owner: Owner, conn: ConnId, call: &Call) {
        if owner.run != self.gateway.run {
            return;
        }
        let (now, nth) = (self.now, self.accounts[owner.link].side);
        let base = self.gateway.upstreams[owner.link].link.rest_url().to_owned();
        let side = &mut self.sides[nth];
        if side.net.half_open || side.net.rest_lost {
            return;
        }
        let at = Mono(now.mono.0 + side.rest_latency());
        let (mut out, mut arrivals) = (SimOut::default(), Vec::new());
        let reply = if side.net.rest_down {
            (500, "the network's own words".to_owned())
        } else {
            let request = request(call.method, &format!("{}{}", path(&base), call.path), &call.headers, &call.body);
            let reply = side.sim.on_request(now, &request, &mut out);
            (reply.status, reply.body)
        };
        let version = side.log.version();
        side.deliver(now, out, &mut arrivals);
        self.tell(|| format!("venue {nth} is asked {} {}", call.method, call.path));
        self.arrivals(nth, arrivals);
        self.at(at, Event::Reply(owner, conn, call.id, Ok(reply), version));
    }

    fn reply(&mut self, owner: Owner, conn: ConnId, call: CallId, reply: Result<(u16, String), CallError>, version: u64) {
        if owner.run != self.gateway.run || !self.gateway.awaits(owner.link, conn, call) {
            return;
        }
        let upstream = &mut self.gateway.upstreams[owner.link];
        upstream.ceiling = upstream.ceiling.max(version);
        let mut commands = Vec::new();
        let given =
            reply.as_ref().map(|(status, body)| Reply { status: *status, body: body.as_bytes() }).map_err(|error| *error);
        upstream.link.on_reply(self.now, call, given, &mut commands);
        let text = reply.as_ref().map_or("nothing", |(_, body)| body);
        self.tell_text(("link", owner.link), text);
        self.carry_out(owner.link, commands);
    }

    // ── the gateway ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// The gateway dies and comes up again: a new history, new connections. Clients come back by themselves.
    pub fn restart_gateway(&mut self) {
        self.tell(|| "the gateway RESTARTS".into());
        for link in 0..self.accounts.len() {
            let conn = self.gateway.upstreams[link].conn;
            self.send_up(self.accounts[link].side, conn, Item::End);
            self.hang_up(link);
        }
        let run = self.gateway.run + 1;
        self.gateway = Gateway::start(run, &self.accounts, &self.access, self.rng.u64(..), self.now);
        self.seen = 0;
        let now = self.now.mono;
        self.clients.iter_mut().for_each(|client| client.cut(now));
    }

    /// The operator puts other secrets in place.
    pub fn rekey(&mut self, nth: usize, secrets: &BTreeMap<String, String>) {
        for link in 0..self.accounts.len() {
            let account = &self.accounts[link];
            if account.side == nth {
                let secrets = secrets.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
                account.spec.credentials.replace(secrets.collect());
                self.tell(|| format!("account {link} is REKEYED"));
                self.mind_credentials(link);
            }
        }
    }

    /// The operator says that the credentials are to be looked at again.
    pub fn mind_credentials(&mut self, link: usize) {
        let mut commands = Vec::new();
        self.gateway.upstreams[link].link.on_credentials(self.now, &mut commands);
        self.carry_out(link, commands);
    }

    /// The operator asks for a fresh snapshot.
    pub fn resync(&mut self, link: usize) {
        let mut commands = Vec::new();
        self.gateway.upstreams[link].link.resync(self.now, &mut commands);
        self.tell(|| format!("link {link} RESYNC"));
        self.carry_out(link, commands);
    }

    /// The operator changes whose an account is.
    pub fn give(&mut self, account: usize, owners: Vec<String>) {
        self.tell(|| format!("account {account} now belongs to {owners:?}"));
        self.accounts[account].owners = owners;
        self.gateway.list(&self.accounts);
    }

    // ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// After each step: wakes readers, lets clients do what they can, and checks.
    fn look(&mut self) {
        self.gateway.woken = self.gateway.hub.wake_since(self.gateway.woken);
        let gsn = self.gateway.store.gsn();
        let committed = gsn != std::mem::replace(&mut self.seen, gsn);
        for nth in 0..self.clients.len() {
            let (hash, now, trace) = (&mut self.hash, self.now, self.trace);
            let mut note = |text: &str| {
                hash.write(text.as_bytes());
                if trace {
                    eprintln!("{:>12.3} ms  client {nth} reads {text}", now.mono.0 as f64 / 1000.0);
                }
            };
            let client = &mut self.clients[nth];
            let result = client.pump(now, &self.gateway, &self.accounts, &mut note).and_then(|read| {
                let newest = self.gateway.store.gsn();
                let unthrottled = client.wish.max_rate_hz.is_none() || client.view.gsn >= newest;
                if client.is_idle() && (read || committed) && unthrottled {
                    self.stats.checks += 1;
                    client.compare(&self.gateway, &self.accounts)?;
                }
                Ok(())
            });
            if let Err(why) = result {
                self.fail(format!("client {nth}: {why}"));
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for nth in 0..self.accounts.len() {
            self.check_alive(nth);
            if touched.contains(&nth) {
                self.check_rows(nth);
            }
        }
        touched.clear();
        self.touched = touched;
    }

    fn check_alive(&mut self, nth: usize) {
        let upstream = &self.gateway.upstreams[nth];
        let bound = self.accounts[nth].venue.liveness_bound_ms;
        let silent = self.now.mono > upstream.heard.plus_ms(bound);
        if upstream.conn.is_some() && !silent {
            return;
        }
        let record = self.gateway.store.record(upstream.idx);
        if let Some(record) = record.filter(|record| record.state.is_proven()) {
            let id = &self.accounts[nth].spec.id;
            let why = if silent { "silent beyond its bound" } else { "not connected" };
            self.fail(format!("{id} is {:?}, though it is {why}", record.state));
        }
    }

    fn check_rows(&mut self, nth: usize) {
        let upstream = &self.gateway.upstreams[nth];
        let side = &self.sides[self.accounts[nth].side];
        let changes = self.gateway.store.changes_since(0, &[upstream.idx], &Filter::default(), Channel::Balances);
        let Some(state) = changes.accounts.first().map(|record| record.state) else { return };
        let pipe = upstream.conn.and_then(|conn| side.pipes.get(&conn));
        let recent = side.log.version_at(Mono(self.now.mono.0.saturating_sub(self.recent_ms * 1000)));
        let mut why = None;
        for row in &changes.balances {
            let live = row.state == RowState::Live;
            if live && !state.is_proven() {
                why = Some(format!("a row is live in an account that is {state:?}"));
            }
            if !side.log.allows(row, 0, side.log.version()) {
                why = Some("a row shows what was never held".into());
            }
            let Some(pipe) = pipe.filter(|_| live) else { continue };
            if pipe.clean {
                let told = pipe.told.get(&(row.wallet.clone(), row.asset.clone()));
                let told = told.and_then(|told| told.iter().rfind(|version| **version <= upstream.floor));
                let low = told.copied().unwrap_or(pipe.opened);
                if !side.log.allows(row, low, upstream.ceiling) {
                    why = Some(format!("a live row is not what was said last (versions {low} to {})", upstream.ceiling));
                }
            }
            if state == AccountState::Live && !side.log.allows(row, recent, side.log.version()) {
                why = Some(format!("a live row is not what was held in the last {} ms", self.recent_ms));
            }
            if why.is_some() {
                why = why.map(|why| format!("{why}: {}", truth::brief(row)));
                break;
            }
        }
        if changes.balances.len() > MAX_ROWS.min(side.log.keys()) {
            why = Some(format!("{} rows, of {} ever held", changes.balances.len(), side.log.keys()));
        }
        let orders = self.gateway.store.changes_since(0, &[upstream.idx], &Filter::default(), Channel::Orders).orders.len();
        if orders > MAX_ORDERS {
            why = Some(format!("{orders} orders"));
        }
        if let Some(why) = why {
            let id = Arc::clone(&self.accounts[nth].spec.id);
            self.fail(format!("{id}: {why}"));
        }
    }

    /// What keeps an account from being live and exactly its book. `None`: nothing.
    pub fn unsettled(&self, nth: usize) -> Option<String> {
        let side = &self.sides[self.accounts[nth].side];
        let record = self.gateway.store.record(self.gateway.upstreams[nth].idx)?;
        let id = &self.accounts[nth].spec.id;
        if record.state != AccountState::Live {
            return Some(format!("{id} is {:?}: {:?}", record.state, record.reason));
        }
        let rows = self.gateway.rows(nth);
        if let Some(row) = rows.iter().find(|row| row.state != RowState::Live) {
            return Some(format!("{id}: a row is not live: {}", truth::brief(row)));
        }
        let found = truth::differences(&rows, &side.log, self.knows[self.accounts[nth].side]);
        found.first().map(|difference| format!("{id}: {difference}"))
    }

    /// What keeps a client from showing exactly what its accounts' books hold.
    fn uninformed(&self, nth: usize) -> Option<String> {
        let client = &self.clients[nth];
        if !client.is_idle() {
            return Some(format!("client {nth} awaits something"));
        }
        client.compare(&self.gateway, &self.accounts).err().map(|why| format!("client {nth}: {why}"))
    }

    /// Waits until everything is exact again; tells how many ms that took.
    ///
    /// # Errors
    /// What is still wrong after `bound_ms`, or whatever went wrong on the way.
    pub fn settle(&mut self, bound_ms: u64) -> Result<u64, String> {
        let (begin, end) = (self.now.mono, self.now.mono.plus_ms(bound_ms));
        loop {
            if let Some(why) = &self.failure {
                return Err(why.clone());
            }
            let unsettled = (0..self.accounts.len()).find_map(|nth| self.unsettled(nth));
            let unsettled = unsettled.or_else(|| (0..self.clients.len()).find_map(|nth| self.uninformed(nth)));
            let Some(why) = unsettled else { return Ok(self.now.mono.since_ms(begin)) };
            if self.now.mono >= end {
                return Err(format!("not settled after {bound_ms} ms: {why}"));
            }
            let next = if self.precise { end } else { self.now.mono.plus_ms(1_000).min(end) };
            if self.precise {
                if !self.step(next) {
                    self.set_time(next);
                }
            } else {
                self.run(next);
            }
            self.planned.clear();
        }
    }
}

#[derive(Clone, Copy)]
enum Timer {
    Sim(usize),
    Link(usize),
    Clients,
}

fn request(method: &str, path: &str, headers: &[(&'static str, String)], body: &str) -> SimRequest {
    let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    SimRequest { method: method.into(), path: path.into(), headers, body: body.into() }
}

/// What follows the host in an address.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The venue's own faults.
pub fn faults_of(venue: &Venue) -> &'static [(&'static str, &'static str)] {
    let sim: Box<dyn Sim> = (venue.simulate)(SimSetup { accounts: vec![(venue.sample)().account], seed: 1 });
    sim.faults()
}
