//! A universe in virtual time: simulated venues with their books, the real links, store, hub, access and client sessions of one
//! gateway, and everything that can go wrong between them. No socket, no task, no clock: the same seed gives the same world.
//!
//! What is checked after every step, and why it is sound:
//!
//! - **Up or stale.** An account without a connection, or with one on which nothing has arrived for longer than the venue's liveness
//!   bound, is neither `live` nor `degraded`; a row is `live` only in an account that is.
//! - **Told of.** After a venue has said, unasked, that it tells nothing more, no row is live until the subscription stands again.
//! - **Said.** While a connection keeps order and loses nothing, a `live` row shows a holding of the book at some version between *low* and
//!   *high*. *High* is the newest version anything that arrived spoke of: nothing is known before it was said. *Low* is the newest version of
//!   that very row which the venue told on this connection and which has arrived in full, or the version at which the connection was
//!   opened: what was said is not forgotten. A move of which the venue says nothing (a deposit at a venue that pushes none) does not raise
//!   *low*; an answer of REST that gives every number does, for rows of which nothing was told since it was asked. Numbers that the row
//!   calls unknown agree with everything. Where the venue numbers its messages and the numbers prove that one is
//!   lost (`numbers.rs`), *low* is the version before the one that shows the loss. An answer of REST that is out of its time (a replica that
//!   lags) is believed where nothing was proven; it never excuses a row of an account that was.
//! - **Recent.** In a `live` account (not in a `degraded` one: its reason says that comparing fails), a `live` row shows a holding that the
//!   book had within the last [`World::recent_ms`], whatever was lost: liveness bound, reconcile period and the second opinion.
//! - **Nothing lacks.** What holds of a `live` row holds of a row that is not there: an account that is `live`, or that a reader is told is
//!   complete, lacks no asset of which the venue has told on this connection that it is held, nor one that was held all the time that
//!   *recent* gives. No row stands for zero there.
//! - **Nothing invented.** Every row, stale ones too, shows a holding that the book once had.
//! - **Readers.** Each client builds its picture by the published rules alone (`view.rs`). `gsn` grows, `prev` chains, parts come together,
//!   nothing precedes `subscribed`, no frame names an account outside the client's right. After each frame a client's picture is exactly the
//!   cut whose number it has, however long past; one to whom nothing is on its way equals the store, row by row.
//! - **Every cut.** The checks of rows hold for every state that was there to be read, not only after a step: a witness reads at each ring
//!   of the store's bell, in the middle of whatever the gateway does, as a reader on another thread may (`witness.rs`).
//! - **Whole.** One frame of a venue is one commit, so that readers get all of it or nothing.
//! - **Bounds.** Rows, orders, and the frames of one write.
//!
//! After the faults have ended, [`World::settle`] waits until every account is live and every client equals every book exactly, and fails when
//! that takes longer than it may.

mod checks;
pub mod client;
pub mod gateway;
mod links;
pub mod net;
mod operator;
mod time;
pub mod truth;
mod venues;
pub mod view;
mod witness;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use balance_gateway::access::Access;
use balance_gateway::model::{Mono, Now, UnixMs};
use balance_gateway::sim::Market;
use balance_gateway::venue::link::DialError;
use balance_gateway::venue::sim::{ConnId, Sim, SimSetup};
use balance_gateway::venue::{AccountSpec, Call, CallError, CallId, Credentials, Options, Venue};

use client::{Client, Wish};
use gateway::{Account, Gateway};
use net::{Arrival, Owner, Side};

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
    Reply(Owner, ConnId, CallId, Answer),
    /// Whoever planned the world wants to act.
    Planned(u64),
}

/// An answer to a call, and the version of the book it tells of.
struct Answer {
    reply: Result<(u16, String), CallError>,
    version: u64,
    /// It was given before, and a newer one exists.
    is_late: bool,
}

impl Answer {
    fn none() -> Self {
        Self { reply: Err(CallError::Timeout), version: 0, is_late: false }
    }
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
    /// Most rows the gateway keeps of one account.
    pub max_rows: usize,
    /// How far the gateway's wall clock is off.
    pub off_ms: i64,
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
                let owners = owners.clone();
                accounts.push(Account { spec, venue: wish.venue, side: nth, owners, is_removed: false });
            }
            let market = Market::new(&id, sample.markets, rng.u64(..));
            let sim = (wish.venue.simulate)(SimSetup { accounts: vec![sample.account], seed: rng.u64(..) });
            let mut side = Side::new(wish.venue, sim, id, market, now.mono, rng.u64(..));
            side.pace_ms = wish.pace_ms;
            sides.push(side);
        }
        let access = gateway::access();
        let gateway = Gateway::start(0, &accounts, &access, gateway::MAX_ROWS, rng.u64(..), now);
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
            max_rows: gateway::MAX_ROWS,
            off_ms: 0,
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
            world.sides[nth].tells = world.knows[nth];
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
}

/// The venue's own faults.
pub fn faults_of(venue: &Venue) -> &'static [(&'static str, &'static str)] {
    let sim: Box<dyn Sim> = (venue.simulate)(SimSetup { accounts: vec![(venue.sample)().account], seed: 1 });
    sim.faults()
}
