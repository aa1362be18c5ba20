//! Many users, an account each: the cost of an update that concerns one of them, and whether it grows with their number.
//!
//! Each update also has to be read from its own venue connection, which no fan-out measured elsewhere includes. So the cost is
//! told twice: whole, and less what the same updates cost while nobody is connected.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context;

use crate::Scale;
use crate::child::pause;
use crate::config::{self, Gateway};
use crate::floor::{Floor, SUBSCRIBE};
use crate::stats::{Goal, Row, median, number, ratios};
use crate::swarm::{Swarm, framed};
use crate::venue::Venue;

/// Updates under way at once.
const IN_FLIGHT: usize = 64;
/// Updates of one round, about.
const UPDATES: usize = 8_000;
/// Files of this process besides the larger crowd's.
const OTHER_FILES: usize = 3_600;

struct Crowd {
    gateway: Gateway,
    swarm: Swarm,
    /// µs of CPU per update while nobody is connected, in rounds.
    unseen: Vec<f64>,
    /// Rows that did not come, or came twice.
    lost: u64,
    count: usize,
}

pub fn run(scale: Scale, files: usize) -> anyhow::Result<Vec<Row>> {
    // A user takes a client, a venue's end and a fifth of a port here, and two sockets in the daemon.
    let many = scale.users[1].min(files.saturating_sub(OTHER_FILES) * 10 / 22);
    let (mut few, mut floor) = Crowd::connect(scale.users[0], true)?;
    let (mut many, _) = Crowd::connect(many, false)?;
    let floor = floor.as_mut().context("it was asked for")?;
    let (mut floors, mut ours, mut larger) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        floors.push(floor_round(floor)?);
        ours.push(few.round()?);
        larger.push(many.round()?);
    }
    floors.push(floor_round(floor)?);
    let (upstream, upstream_many) = (few.upstream()?, many.upstream()?);
    let net: Vec<_> = ours.iter().map(|cpu| cpu - upstream).collect();
    let note = format!("{} µs, of which reading the venue {}", number(median(&ours)), number(upstream));
    let name = format!("CPU per update, a user each, 64 in flight, N = {}", scale.users[0]);
    let goal = Some(Goal::AtMost(1.2));
    let whole = Row::new(format!("{name}, whole"), None, median(&ratios(&floors, &ours)), "x", note);
    let note = format!("{} µs against the floor's {}", number(median(&net)), number(median(&floors)));
    let net = Row::new(format!("{name}, delivery"), goal, median(&ratios(&floors, &net)), "x", note);
    let growth: Vec<_> = larger.iter().zip(&ours).map(|(larger, ours)| larger / ours).collect();
    let note = format!("{} µs, of which reading the venue {}", number(median(&larger)), number(upstream_many));
    let name = format!("the same, whole, with {} users, against {}", many.count, scale.users[0]);
    let growth = Row::new(name, Some(Goal::AtMost(1.1)), median(&growth), "x", note);
    let lost = (few.lost + many.lost) as f64;
    let lost = Row::new("rows lost or doubled, a user each", Some(Goal::AtMost(0.0)), lost, "", "every round, every client");
    Ok(vec![whole, net, growth, lost.strict()])
}

impl Crowd {
    /// The floor's clients, where one is wanted, come between the halves of ours (see `fanout`).
    fn connect(count: usize, with_floor: bool) -> anyhow::Result<(Self, Option<Floor>)> {
        let mut gateway = Gateway::start(Venue::bind(count, 1)?, |user| format!("u{user}"))?;
        let tokens = (0..count).map(|user| config::token(&format!("u{user}"))).collect::<anyhow::Result<Vec<_>>>()?;
        let unseen = unseen(&mut gateway, count)?;
        let half = count / 2;
        let mut swarm = Swarm::connect(gateway.listen, half, |user| tokens[user].clone(), SUBSCRIBE)?;
        gateway.venue.push(0, 0)?;
        gateway.venue.flush(0)?;
        swarm.clients[0].set_waiting(true)?;
        let frame_bytes = framed(&swarm.clients[0].read_frame()?);
        swarm.clients[0].set_waiting(false)?;
        let floor = with_floor.then(|| Floor::start(count, swarm.answer_bytes, frame_bytes)).transpose()?;
        swarm.join(Swarm::connect(gateway.listen, count - half, |user| tokens[half + user].clone(), SUBSCRIBE)?);
        Ok((Self { gateway, swarm, unseen, lost: 0, count }, floor))
    }

    /// µs of CPU per update while nobody is connected: before all others came, and again after they have left.
    fn upstream(&mut self) -> anyhow::Result<f64> {
        self.swarm.clients.clear();
        while self.gateway.metric("balance_gateway_client_connections")? > 0.0 {
            pause(Duration::from_millis(20));
        }
        self.unseen.extend(unseen(&mut self.gateway, self.count)?);
        Ok(median(&self.unseen))
    }

    /// µs of CPU per update.
    fn round(&mut self) -> anyhow::Result<f64> {
        let Self { gateway, swarm, .. } = self;
        swarm.reset();
        let cpu = gateway.process.cpu_seconds();
        let (mut updates, mut each) = (0, 0);
        for (users, turn) in turns(swarm.clients.len()) {
            push(gateway, users.clone())?;
            updates += users.len();
            each = turn;
            swarm.wait(users, turn)?;
        }
        // Those beyond the last full group are told nothing.
        let told = swarm.clients.len() / IN_FLIGHT.min(swarm.clients.len()) * IN_FLIGHT.min(swarm.clients.len());
        self.lost += swarm.clients[..told].iter().map(|client| client.rows.abs_diff(each)).sum::<u64>();
        Ok((gateway.process.cpu_seconds() - cpu) * 1e6 / updates as f64)
    }
}

/// Who gets an update together, and the how manieth of the round it is to them.
fn turns(count: usize) -> impl Iterator<Item = (Range<usize>, u64)> {
    let (size, groups) = (IN_FLIGHT.min(count), count / IN_FLIGHT.min(count));
    let rounds = UPDATES.div_ceil(groups * size).max(1);
    (1..=rounds as u64).flat_map(move |turn| (0..groups).map(move |group| (group * size..(group + 1) * size, turn)))
}

fn push(gateway: &mut Gateway, users: Range<usize>) -> anyhow::Result<()> {
    users.clone().try_for_each(|user| gateway.venue.push(user, 0))?;
    users.into_iter().try_for_each(|user| gateway.venue.flush(user).map(drop))
}

/// µs of CPU per update that nobody is told of, in three rounds.
fn unseen(gateway: &mut Gateway, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let (cpu, mut updates) = (gateway.process.cpu_seconds(), 0);
        for (users, _) in turns(count) {
            updates += users.len();
            push(gateway, users)?;
            pause(Duration::from_micros(700)); // about as long as it takes to serve them
        }
        pause(Duration::from_millis(50));
        rounds.push((gateway.process.cpu_seconds() - cpu) * 1e6 / updates as f64);
    }
    Ok(rounds)
}

fn floor_round(floor: &mut Floor) -> anyhow::Result<f64> {
    floor.swarm.reset();
    let (cpu, mut updates) = (floor.process.cpu_seconds(), 0);
    for (users, turn) in turns(floor.swarm.clients.len()) {
        floor.send_each(users.clone())?;
        updates += users.len();
        floor.swarm.wait(users, turn)?;
    }
    Ok((floor.process.cpu_seconds() - cpu) * 1e6 / updates as f64)
}
