//! From a seed to a world and to what befalls it. Everything is drawn from the seed, so a seed is a test case.

use std::collections::BTreeMap;

use balance_gateway::model::{Amount, Filter, Mono};
use balance_gateway::venue::sim::Move;
use balance_gateway::venue::{self, Venue};

use crate::venue_faults::{End, HABITS, Kind, OWN, Own, renewed};
use crate::wild::{self, Wild};
use crate::world::client::Wish;
use crate::world::net::Item;
use crate::world::{Stats, VenueWish, World};

/// Longest time a world may take to be exact again after its last fault: the longest wait a venue may ask for (a minute after 429), a
/// reconcile period that has just begun, its second opinion, and what a connection costs.
pub const SETTLE_MS: u64 = 240_000;
/// When the operator looks once more after the last fault has ended.
const MIND_MS: u64 = 45_000;
/// How long a settled world must stay exact.
const CALM_MS: u64 = 20_000;
/// Every user there is.
const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// No JSON of any venue, and not always JSON.
const GARBAGE: [&str; 8] = ["\u{7}{[garbage:::", "{", "[]", "null", "0", "\"\"", "{}", "[0,\"wu\"]"];

/// What one seed gave.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub fingerprint: u64,
    pub stats: Stats,
    /// How long it took to be exact again, in ms.
    pub settled_ms: u64,
    /// How long the world lived, in ms.
    pub lived_ms: u64,
}

/// Lives one world to its end.
///
/// # Errors
/// What went wrong.
pub fn live(
    seed: u64,
    list: &'static [Venue],
    knows: &dyn Fn(&Venue) -> [bool; 3],
    is_wild: bool,
    trace: bool,
) -> Result<Outcome, String> {
    let mut plan = Plan::new(seed, list, knows, is_wild.then(|| Wild::new(seed)));
    plan.world.trace = trace;
    if let Some(wild) = &mut plan.wild {
        wild.begin(&mut plan.world);
    }
    plan.befall();
    plan.end_faults();
    let settled_ms = match plan.world.settle(MIND_MS) {
        Ok(ms) => ms,
        Err(_) => {
            // What was under way may still have ended in what asks for the operator.
            plan.mind();
            MIND_MS + plan.world.settle(SETTLE_MS - MIND_MS)?
        }
    };
    let calm = plan.world.now.mono.plus_ms(CALM_MS);
    plan.world.run(calm);
    plan.world.settle(SETTLE_MS).map_err(|why| format!("exact once, and then not: {why}"))?;
    let world = &plan.world;
    let lived_ms = world.now.mono.since_ms(Mono(0));
    Ok(Outcome { fingerprint: world.fingerprint(), stats: world.stats, settled_ms, lived_ms })
}

struct Plan {
    world: World,
    rng: fastrand::Rng,
    /// `None`: a world without them.
    wild: Option<Wild>,
    /// Also faults after which the venue's frames are not simply what it last said.
    rough: bool,
    ends_at: Mono,
    /// By venue, own faults that last and how to end them.
    lasting: Vec<(usize, &'static Own)>,
}

impl Plan {
    fn new(seed: u64, list: &'static [Venue], knows: &dyn Fn(&Venue) -> [bool; 3], mut wild: Option<Wild>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let mut chosen: Vec<&'static Venue> = list.iter().collect();
        rng.shuffle(&mut chosen);
        chosen.truncate([1, 1, 1, 2, 2, 3, list.len()][rng.usize(0..7)]);
        let busy = rng.u64(400..4_000) * chosen.len() as u64;
        let venues: Vec<_> = chosen.iter().map(|venue| venue_wish(&mut rng, venue, busy)).collect();
        let ids: Vec<String> = chosen.iter().map(|venue| (venue.sample)().account.id).collect();
        let count = rng.usize(1..=3);
        let mut clients: Vec<Wish> = (0..count).map(|_| wish(&mut rng, &chosen, &ids)).collect();
        if let Some(wild) = &mut wild {
            clients.extend(wild.crowd(|rng| wish(rng, &chosen, &ids)));
        }
        let mut world = World::new(seed, &venues, clients, knows);
        for (venue, habit) in HABITS {
            let spoken = world.sides.iter().position(|side| side.venue.name == *venue);
            if let Some(nth) = spoken.filter(|_| rng.bool()) {
                world.fault(nth, habit);
            }
        }
        let rough = rng.u8(0..100) < 40;
        let ends_at = world.now.mono.plus_ms(rng.u64(20_000..110_000));
        Self { world, rng, wild, rough, ends_at, lasting: Vec::new() }
    }

    /// Faults, one after the other, until the time of faults is over.
    fn befall(&mut self) {
        while self.world.now.mono < self.ends_at && self.world.failure.is_none() {
            let pause = self.rng.u64(100..9_000);
            let next = self.world.now.mono.plus_ms(pause).min(self.ends_at);
            self.world.run(next);
            for what in std::mem::take(&mut self.world.planned) {
                // The network heals by itself after a while.
                self.world.heal(what as usize);
            }
            if let Some(wild) = &mut self.wild {
                wild.befall(&mut self.world, &USERS);
            }
            let venue = self.rng.usize(0..self.world.sides.len());
            match self.rng.u8(0..100) {
                0..45 => self.network(venue),
                45..75 => self.own(venue),
                75..88 => self.client(),
                88..94 => self.money(venue),
                94..97 => self.operator(),
                _ => self.world.restart_gateway(),
            }
        }
    }

    fn network(&mut self, venue: usize) {
        let rng = &mut self.rng;
        let (number, count) = (rng.u64(50..6_000), rng.u32(1..4));
        let kind = rng.u8(0..if self.rough { 16 } else { 13 });
        let lasts = rng.u64(500..50_000);
        let world = &mut self.world;
        match kind {
            0 | 1 => world.cut(venue),
            2 => world.network(venue, "half open", |net| net.half_open = true),
            3 => world.network(venue, "half open, dials hang", |net| (net.half_open, net.dial_hangs) = (true, true)),
            4 => {
                world.network(venue, "cut, refuses", |net| net.refuse = true);
                world.cut(venue);
            }
            5 => world.network(venue, "delay", |net| net.delay_ms = number),
            6 => world.network(venue, "duplicate", |net| net.duplicate = count),
            7 => {
                let nth = self.rng.usize(0..=GARBAGE.len());
                let item = GARBAGE.get(nth).map_or(Item::Binary, |text| Item::Text((*text).to_owned()));
                world.inject(venue, &item);
            }
            8 => world.network(venue, "rest down", |net| net.rest_down = true),
            9 => world.network(venue, "rest lost", |net| net.rest_lost = true),
            10 => world.network(venue, "rest slow", |net| net.rest_slow_ms = number),
            11 => {
                world.network(venue, "cut, dials hang", |net| net.dial_hangs = true);
                world.cut(venue);
            }
            12 => world.network(venue, "rest late", |net| net.rest_late = count),
            13 => world.network(venue, "lose", |net| net.lose = count),
            14 => world.network(venue, "deaf", |net| net.deaf = true),
            _ => world.network(venue, "swap", |net| net.swap = count),
        }
        let heals = self.world.now.mono.plus_ms(lasts);
        self.world.plan(heals, venue as u64);
    }

    fn own(&mut self, venue: usize) {
        let name = self.world.sides[venue].venue.name;
        let allowed = |own: &&Own| own.venue == name && (own.kind == Kind::Honest || (own.kind == Kind::Rough && self.rough));
        let faults: Vec<&'static Own> = OWN.iter().filter(allowed).collect();
        if faults.is_empty() {
            return;
        }
        let own = faults[self.rng.usize(0..faults.len())];
        if own.kind == Kind::Rough {
            self.world.roughen(venue);
        }
        self.world.fault(venue, own.name);
        match own.end {
            // Thrown a second time it has ended.
            End::Again => match self.lasting.iter().position(|known| *known == (venue, own)) {
                Some(at) => drop(self.lasting.remove(at)),
                None => self.lasting.push((venue, own)),
            },
            End::Itself => {}
            End::Fault(_) | End::Token => self.lasting.push((venue, own)),
        }
        if !self.lasting.is_empty() && self.rng.u8(0..100) < 30 {
            let at = self.rng.usize(0..self.lasting.len());
            let (venue, own) = self.lasting.remove(at);
            self.end_own(venue, own);
        }
    }

    fn end_own(&mut self, venue: usize, own: &'static Own) {
        match own.end {
            End::Itself => {}
            End::Fault(name) => {
                if OWN.iter().any(|end| (end.venue, end.name, end.kind) == (own.venue, name, Kind::Rough)) {
                    self.world.roughen(venue);
                }
                self.world.fault(venue, name);
            }
            End::Again => self.world.fault(venue, own.name),
            End::Token => {
                let account = (self.world.sides[venue].venue.sample)().account;
                let secrets = renewed(&account, self.world.now);
                self.world.rekey(venue, &secrets);
            }
        }
    }

    fn client(&mut self) {
        let (rng, world) = (&mut self.rng, &mut self.world);
        let nth = rng.usize(0..world.clients.len());
        let now = world.now.mono;
        match rng.u8(0..4) {
            0 | 1 => world.clients[nth].cut(now),
            2 => world.clients[nth].resync(now),
            _ => {
                let venues: Vec<_> = world.sides.iter().map(|side| side.venue).collect();
                let ids: Vec<_> = world.accounts.iter().map(|account| account.spec.id.to_string()).collect();
                let filter = filter(rng, &venues, &ids);
                world.clients[nth].refilter(now, filter);
            }
        }
    }

    /// Rows that vanish, come anew, or hold odd digits.
    fn money(&mut self, venue: usize) {
        let side = &self.world.sides[venue];
        let Some(book) = side.sim.book(&side.account) else { return };
        let nth = self.rng.usize(0..book.rows.len());
        let Some((wallet, asset)) = book.rows.keys().nth(nth).cloned() else { return };
        let account = side.account.clone();
        let available: Amount = match self.rng.u8(0..4) {
            0 | 1 => Amount::ZERO,
            2 => format!("{}.{:018}", self.rng.u64(..), self.rng.u64(..1_000_000_000_000_000_000)).parse().expect("digits"),
            _ => format!("0.{:018}", self.rng.u64(1..1_000_000)).parse().expect("digits"),
        };
        self.world.moves(venue, &Move::Set { account, wallet, asset, available, locked: Amount::ZERO });
    }

    fn operator(&mut self) {
        let account = self.rng.usize(0..self.world.accounts.len());
        if self.rng.bool() {
            self.world.resync(account);
        } else {
            let owners = owners(&mut self.rng);
            self.world.give(account, owners);
        }
    }

    /// Everything is well again, and the market rests.
    fn end_faults(&mut self) {
        wild::end(&mut self.world);
        for (venue, own) in std::mem::take(&mut self.lasting) {
            self.end_own(venue, own);
        }
        self.world.planned.clear();
        for venue in 0..self.world.sides.len() {
            self.world.heal(venue);
            self.world.sides[venue].pace_ms = 0;
        }
        self.mind();
    }

    /// The operator looks after what asks for one: refused credentials, and what the venue called invalid.
    fn mind(&mut self) {
        for account in 0..self.world.accounts.len() {
            let idx = self.world.gateway.upstreams[account].idx;
            let state = self.world.gateway.store.record(idx).map(|record| record.state);
            match state {
                Some(balance_gateway::model::AccountState::AuthFailed) => self.world.mind_credentials(account),
                Some(balance_gateway::model::AccountState::Degraded) => self.world.resync(account),
                _ => {}
            }
        }
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        (self.venue, self.name) == (other.venue, other.name)
    }
}

fn venue_wish(rng: &mut fastrand::Rng, venue: &'static Venue, busy_ms: u64) -> VenueWish {
    let twins = if rng.u8(0..5) == 0 { 2 } else { 1 };
    let hasty = rng.u8(0..3) == 0 && venue::VENUES.iter().any(|known| known.name == venue.name);
    let options =
        if hasty { BTreeMap::from([("reconcile_ms".to_owned(), toml::Value::from(12_000))]) } else { BTreeMap::new() };
    VenueWish { venue, options, owners: (0..twins).map(|_| owners(rng)).collect(), pace_ms: busy_ms }
}

fn owners(rng: &mut fastrand::Rng) -> Vec<String> {
    USERS.iter().filter(|_| rng.u8(0..3) < 2).map(|user| (*user).to_owned()).collect()
}

fn wish(rng: &mut fastrand::Rng, venues: &[&'static Venue], ids: &[String]) -> Wish {
    let claim = (rng.u8(0..4) == 0).then(|| ids.iter().filter(|_| rng.bool()).cloned().collect());
    Wish {
        user: USERS[rng.usize(0..USERS.len())].into(),
        claim,
        filter: filter(rng, venues, ids),
        max_rate_hz: [None, None, None, Some(0.5), Some(3.0)][rng.usize(0..5)],
        orders: rng.u8(0..5) == 0,
        slow_ms: [0, 0, 0, 40, 3_000][rng.usize(0..5)],
        latency_ms: rng.u64(0..80),
        forgetful: rng.u8(0..5) == 0,
    }
}

fn filter(rng: &mut fastrand::Rng, venues: &[&'static Venue], ids: &[String]) -> Filter {
    let mut filter = Filter::default();
    if rng.u8(0..2) == 0 {
        return filter;
    }
    if rng.u8(0..4) == 0 {
        filter.venues = Some(vec![venues[rng.usize(0..venues.len())].name.to_owned()]);
    }
    if rng.u8(0..4) == 0 {
        filter.accounts = Some(vec![ids[rng.usize(0..ids.len())].clone(), "nobody".into()]);
    }
    if rng.u8(0..3) == 0 {
        filter.assets = Some(vec!["BTC".into(), "USDT".into(), "USD".into(), "USDC.e".into(), "VND".into(), "DF".into()]);
    }
    filter.nonzero = rng.u8(0..2) == 0;
    filter
}
