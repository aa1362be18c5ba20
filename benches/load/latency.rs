//! From a venue's frame written to a client's frame read; and what one silent client does to the others.

use std::time::{Duration, Instant};

use crate::Scale;
use crate::child::pause;
use crate::config::{self, Gateway};
use crate::floor::{Floor, SUBSCRIBE};
use crate::stats::{Goal, Row, median, number, percentile};
use crate::swarm::{Swarm, framed};
use crate::venue::Venue;

const UPDATES_PER_SECOND: u64 = 40;
/// Rows of the busy account; all of them change a hundred times a second.
const BUSY_ROWS: usize = 100;
/// Readers beside the silent one.
const READERS: usize = 10;
const USER: &str = "load";

pub fn run(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut rows = broadcast(scale)?;
    rows.extend(silence(scale)?);
    Ok(rows)
}

fn broadcast(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut gateway = Gateway::start(Venue::bind(1, 4)?, |_| USER.into())?;
    let token = config::token(USER)?;
    let mut swarm = Swarm::connect(gateway.listen, scale.watchers, |_| token.clone(), SUBSCRIBE)?;
    gateway.venue.push(0, 0)?;
    gateway.venue.flush(0)?;
    swarm.clients[0].set_waiting(true)?;
    let frame_bytes = framed(&swarm.clients[0].read_frame()?);
    swarm.clients[0].set_waiting(false)?;
    swarm.wait(1..scale.watchers, 1)?;
    let mut floor = Floor::start(scale.watchers, swarm.answer_bytes, frame_bytes)?;
    let rounds = scale.rounds.min(5);
    let window = scale.window / rounds as u32;
    let mut percentiles: [[Vec<f64>; 3]; 2] = Default::default();
    for _ in 0..rounds {
        let send = |floor: &mut Floor| {
            let now = Instant::now();
            floor.send_all(1).map(|()| now)
        };
        let mut seen = paced(window, &mut floor, |floor| &mut floor.swarm, send)?;
        note(&mut percentiles[0], &mut seen);
        let mut ours = (&mut gateway, &mut swarm);
        let send = |ours: &mut (&mut Gateway, &mut Swarm)| {
            ours.0.venue.push(0, 1)?;
            ours.0.venue.flush(0)
        };
        let mut seen = paced(window, &mut ours, |ours| ours.1, send)?;
        note(&mut percentiles[1], &mut seen);
    }
    let table = ["p50", "p99", "p99.9"].into_iter().enumerate().map(|(at, name)| {
        let (floor, ours) = (&percentiles[0][at], &percentiles[1][at]);
        let ratios: Vec<_> = ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect();
        let from = format!("{} ms against {} ms, N = {}", number(median(ours)), number(median(floor)), scale.watchers);
        let goal = (at < 2).then_some(Goal::AtMost(1.25));
        Row::new(format!("{name} of venue frame to client frame, 40 updates/s"), goal, median(&ratios), "x", from)
    });
    Ok(table.collect())
}

fn note(percentiles: &mut [Vec<f64>; 3], seen: &mut [f64]) {
    for (into, percent) in percentiles.iter_mut().zip([50.0, 99.0, 99.9]) {
        into.push(percentile(seen, percent));
    }
}

/// Sends at the pace and spins over the clients; milliseconds from each send to each read.
fn paced<S>(
    window: Duration,
    server: &mut S,
    swarm: impl Fn(&mut S) -> &mut Swarm,
    send: impl Fn(&mut S) -> anyhow::Result<Instant>,
) -> anyhow::Result<Vec<f64>> {
    let updates = window.as_millis() as u64 * UPDATES_PER_SECOND / 1_000;
    let period = Duration::from_micros(1_000_000 / UPDATES_PER_SECOND);
    let mut seen = Vec::with_capacity(updates as usize * swarm(server).clients.len());
    swarm(server).reset();
    for update in 1..=updates {
        let began = Instant::now();
        let sent = send(server)?;
        while swarm(server).sweep(update, |_| seen.push(sent.elapsed().as_secs_f64() * 1e3))? > 0 {
            anyhow::ensure!(sent.elapsed() < Duration::from_secs(30), "an update did not reach everybody");
        }
        pause(period.saturating_sub(began.elapsed()));
    }
    Ok(seen)
}

/// One client reads nothing while 10,000 rows change each second: memory stays, the others' time stays, and it catches up.
fn silence(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut gateway = Gateway::start(Venue::bind(1, BUSY_ROWS)?, |_| USER.into())?;
    let token = config::token(USER)?;
    let mut swarm = Swarm::connect(gateway.listen, READERS, |_| token.clone(), SUBSCRIBE)?;
    busy(&mut gateway, &mut swarm, Duration::from_secs(1))?;
    let mut alone = busy(&mut gateway, &mut swarm, scale.window)?;
    let mut silent = Swarm::connect(gateway.listen, 1, |_| token.clone(), SUBSCRIBE)?;
    busy(&mut gateway, &mut swarm, scale.window / 4)?;
    let before = gateway.process.resident_bytes();
    let mut beside = busy(&mut gateway, &mut swarm, scale.window * 4)?;
    let grown = (gateway.process.resident_bytes() - before) / 1024.0;
    let (alone, beside) = (percentile(&mut alone, 99.0), percentile(&mut beside, 99.0));
    let last = gateway.venue.last_pushed();
    silent.clients[0].set_waiting(true)?;
    while !silent.clients[0].read_frame()?.contains(&last) {}
    let conflated = gateway.metric("balance_gateway_client_rows_conflated_total")?;
    let note =
        format!("{} s at 10,000 changes/s; {conflated} row versions skipped; then it caught up", scale.window.as_secs() * 4);
    let p99 = format!("{} ms against {} ms without it, {READERS} readers", number(beside), number(alone));
    Ok(vec![
        Row::new("memory grown beside a silent client", Some(Goal::AtMost(512.0)), grown, "KiB", note),
        Row::new("the others' p99 beside a silent client", Some(Goal::AtMost(1.25)), beside / alone, "x", p99),
    ])
}

/// All rows change every 10 ms; milliseconds until each reader has seen them.
fn busy(gateway: &mut Gateway, swarm: &mut Swarm, window: Duration) -> anyhow::Result<Vec<f64>> {
    let period = Duration::from_millis(10);
    let bursts = window.as_millis() as u64 / 10;
    let mut seen = Vec::with_capacity(bursts as usize * READERS);
    swarm.reset();
    for burst in 1..=bursts {
        let began = Instant::now();
        (0..BUSY_ROWS).try_for_each(|row| gateway.venue.push(0, row))?;
        let sent = gateway.venue.flush(0)?;
        let rows = burst * BUSY_ROWS as u64;
        while swarm.sweep(rows, |client| {
            if client.rows >= rows {
                seen.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        })? > 0
        {
            anyhow::ensure!(sent.elapsed() < Duration::from_secs(30), "a burst did not reach everybody");
        }
        pause(period.saturating_sub(began.elapsed()));
    }
    Ok(seen)
}
