//! The whole gateway without sockets, in virtual time, from seeds.
//!
//! `cargo test --test sim` lives 1,000 worlds and every seed of `seeds.txt`. `SEED=7 cargo test --test sim -- seeds` lives one and prints
//! what happens in it. `SIM_SEEDS=100000 cargo test --release --test sim -- --nocapture seeds` lives so many and tells the figures;
//! with `SIM_STOP=1` the first world that fails is the last, with `SIM_TAME=1` none is wild (`wild.rs`; those of `seeds.txt` say of
//! themselves which they are). `scripts/mutations` breaks safeguards one by one (`mutations.toml`).

mod conformance;
mod measured;
mod mutations;
mod numbers;
mod plan;
mod toy;
mod venue_faults;
mod wild;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};

use balance_gateway::venue::sim::Move;
use balance_gateway::venue::{VENUES, Venue};

use plan::{Outcome, live};
use world::client::Wish;
use world::{VenueWish, World, faults_of};

/// Seeds of the ordinary run.
const SEEDS: u64 = 1_000;

/// Every venue, and one more that lives in this folder alone.
pub static LIST: LazyLock<Vec<Venue>> = LazyLock::new(|| [VENUES, &[toy::VENUE]].concat());

/// By venue, which of total, available and locked a healthy gateway knows a minute after its start.
static KNOWS: LazyLock<BTreeMap<&'static str, [bool; 3]>> = LazyLock::new(|| {
    let knows = LIST.iter().map(|venue| {
        let wish = VenueWish { venue, options: BTreeMap::new(), owners: vec![Vec::new()], pace_ms: 0 };
        let mut world = World::new(1, &[wish], Vec::new(), |_| [false; 3]);
        let minute = world.now.mono.plus_ms(60_000);
        world.run(minute);
        assert_eq!(world.failure, None, "{} starts", venue.name);
        let rows = world.gateway.rows(0);
        let all = |nth: usize| rows.iter().filter(|row| !row.is_zero()).all(|row| world::truth::known(row)[nth]);
        (venue.name, [all(0), all(1), all(2)])
    });
    knows.collect()
});

pub fn knows(venue: &Venue) -> [bool; 3] {
    KNOWS[venue.name]
}

/// Every second seed is a world of its own kind: see [`wild`].
fn one(seed: u64, trace: bool) -> Result<Outcome, String> {
    let is_wild = seed % 2 == 1 && std::env::var_os("SIM_TAME").is_none();
    lived(seed, is_wild, trace)
}

fn lived(seed: u64, is_wild: bool, trace: bool) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed, &LIST, &knows, is_wild, trace))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("a panic: {:?}", text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))))
    })
}

/// Lives many worlds on all processors. Tells what each gave, in the order of seeds.
fn many(seeds: &[u64], one: impl Fn(u64, bool) -> Result<Outcome, String> + Sync) -> Vec<(u64, Result<Outcome, String>)> {
    let (next, results) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let stops = std::env::var_os("SIM_STOP").is_some();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    LazyLock::force(&KNOWS);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let result = one(*seed, false);
                    if stops && result.is_err() {
                        next.store(seeds.len() as u64, Ordering::Relaxed);
                    }
                    results.lock().unwrap().push((*seed, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_unstable_by_key(|(seed, _)| *seed);
    results
}

/// Fails with every seed that failed; tells the figures of the others.
fn judge(results: &[(u64, Result<Outcome, String>)], took: std::time::Duration) {
    let failed: Vec<_> = results.iter().filter_map(|(seed, result)| Some((seed, result.as_ref().err()?))).collect();
    let fine: Vec<_> = results.iter().filter_map(|(_, result)| result.as_ref().ok()).collect();
    let sum = |of: fn(&Outcome) -> u64| fine.iter().map(|outcome| of(outcome)).sum::<u64>();
    let steps = sum(|outcome| outcome.stats.steps);
    println!(
        "{} worlds, {} failed: {:.1} simulated hours, {steps} events ({:.0} a second), {} moves of money, {} venue frames, {} comparisons of a \
         client with the store; exact again after {} ms at most",
        results.len(),
        failed.len(),
        sum(|outcome| outcome.lived_ms) as f64 / 3_600_000.0,
        steps as f64 / took.as_secs_f64(),
        sum(|outcome| outcome.stats.moves),
        sum(|outcome| outcome.stats.heard),
        sum(|outcome| outcome.stats.checks),
        fine.iter().map(|outcome| outcome.settled_ms).max().unwrap_or(0),
    );
    for (seed, why) in failed.iter().take(20) {
        println!("SEED={seed} cargo test --test sim -- --nocapture seeds\n    {why}");
    }
    assert!(failed.is_empty(), "{} of {} worlds failed; the first is seed {}", failed.len(), results.len(), failed[0].0);
}

#[test]
fn seeds_keep_every_promise() {
    if let Some(seed) = number("SEED") {
        let outcome = one(seed, true);
        println!("{outcome:?}");
        return assert!(outcome.is_ok(), "seed {seed}");
    }
    let begun = std::time::Instant::now();
    let first = number("SIM_FIRST").unwrap_or(0);
    let seeds: Vec<u64> = (first..first + number("SIM_SEEDS").unwrap_or(SEEDS)).collect();
    let results = many(&seeds, one);
    judge(&results, begun.elapsed());
}

#[test]
fn seeds_that_once_failed_do_not_fail_again() {
    let begun = std::time::Instant::now();
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let words = |line: &'static str| line.split_once(' ').expect("a seed, and what it found");
    let (wild, tame): (Vec<_>, Vec<_>) = lines.map(words).partition(|(_, found)| found.starts_with("wild: "));
    for (seeds, is_wild) in [(wild, true), (tame, false)] {
        let seeds: Vec<u64> = seeds.into_iter().map(|(seed, _)| seed.parse().unwrap()).collect();
        judge(&many(&seeds, |seed, trace| lived(seed, is_wild, trace)), begun.elapsed());
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..12 {
        let (first, second) = (one(seed, false).unwrap(), one(seed, false).unwrap());
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
    }
    assert_ne!(one(1, false).unwrap().fingerprint, one(2, false).unwrap().fingerprint);
}

#[test]
fn a_snapshot_too_large_for_a_frame_is_put_together_from_its_parts() {
    for venue in LIST.iter() {
        let wish = VenueWish { venue, options: BTreeMap::new(), owners: vec![vec!["alice".into()]], pace_ms: 0 };
        let client = Wish { user: "alice".into(), latency_ms: 5, ..Wish::default() };
        let slow = Wish { slow_ms: 200, max_rate_hz: Some(2.0), ..client.clone() };
        let mut world = World::new(11, &[wish], vec![client, slow], knows);
        let account = world.sides[0].account.clone();
        let (wallet, _) = world.sides[0].sim.book(&account).unwrap().rows.keys().next().unwrap().clone();
        for nth in 0..320 {
            let (wallet, amount) = (wallet.clone(), format!("{nth}.25").parse().unwrap());
            let asset = format!("A{nth}").into();
            world.moves(0, &Move::Deposit { account: account.clone(), wallet, asset, amount });
        }
        for round in 0..6 {
            world.settle(60_000).unwrap_or_else(|why| panic!("{}: {why}", venue.name));
            let now = world.now.mono;
            match round % 3 {
                0 => world.cut(0),
                1 => world.clients.iter_mut().for_each(|client| client.resync(now)),
                _ => world.clients.iter_mut().for_each(|client| client.cut(now)),
            }
            let soon = now.plus_ms(3_000);
            world.run(soon);
        }
        assert_eq!(world.failure, None, "{}", venue.name);
        assert!(world.clients.iter().all(|client| client.view.in_parts > 0), "{}: nothing came in parts", venue.name);
    }
}

#[test]
fn an_answer_that_lags_behind_the_stream_is_doubted_and_not_believed() {
    let venue = LIST.iter().find(|venue| venue.name == "p99").unwrap();
    let wish = VenueWish { venue, options: BTreeMap::new(), owners: vec![Vec::new()], pace_ms: 0 };
    let mut world = World::new(5, &[wish], Vec::new(), knows);
    world.settle(30_000).unwrap();
    let (account, wallet, asset) = ("p99-main".to_owned(), "spot".into(), "USDT".into());
    world.moves(0, &Move::Adjust { account, wallet, asset, amount: "12.5".parse().unwrap() });
    world.fault(0, "rest_behind");
    let minute = world.now.mono.plus_ms(60_000);
    world.run(minute);
    // What the stream has told is held against every live row after every step.
    assert_eq!(world.failure, None);
    world.settle(0).unwrap();
}

#[test]
fn every_fault_of_every_venue_is_known_to_the_worlds() {
    for venue in LIST.iter() {
        let names: Vec<_> = faults_of(venue).iter().map(|(name, _)| *name).collect();
        let mut known: Vec<_> = venue_faults::OWN.iter().filter(|own| own.venue == venue.name).map(|own| own.name).collect();
        let missing: Vec<_> = names.iter().filter(|name| !known.contains(name)).collect();
        assert!(missing.is_empty(), "{} has faults that tests/sim/venue_faults.rs does not name: {missing:?}", venue.name);
        known.retain(|name| !names.contains(name));
        assert!(known.is_empty(), "{} has no faults {known:?}", venue.name);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} wants a number")))
}
