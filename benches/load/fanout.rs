//! All clients see one account: the cost of a delivery, of a connection, of its memory, and of everybody's return.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use balance_gateway::access::Access;
use balance_gateway::model::UnixMs;

use crate::Scale;
use crate::child::pause;
use crate::config::{self, Gateway};
use crate::floor::{Floor, SUBSCRIBE};
use crate::stats::{Goal, Row, median, number, ratios};
use crate::swarm::{Swarm, framed};
use crate::venue::Venue;

const ASSETS: usize = 16;
/// Updates that wait for a client at once.
const WAITING: usize = 8;
const USER: &str = "load";

struct Pair {
    gateway: Gateway,
    swarm: Swarm,
    floor: Floor,
    token: String,
    /// Rows that did not come, or came twice.
    lost: u64,
}

pub fn run(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut pair = connect(scale.crowd, &mut rows)?;
    let before = pair.gateway.process.resident_bytes();
    rows.push(pair.compare("CPU per delivery, one account, 1 in flight", 1, scale, 1.15)?);
    rows.push(pair.compare("CPU per delivery, one account, 8 waiting", WAITING, scale, 0.22)?);
    let grown = pair.gateway.process.resident_bytes() - before;
    let note = "grown since the clients were idle";
    rows.push(Row::new("memory per connection after activity", None, grown / scale.crowd as f64 / 1024.0, "KiB", note));
    pair.writes(scale, &mut rows)?;
    let note = "every round checks that each client got each row once";
    rows.push(Row::new("rows lost or doubled", Some(Goal::AtMost(0.0)), pair.lost as f64, "", note).strict());
    let closed = pair.gateway.metric("balance_gateway_client_closes_total")?;
    rows.push(Row::new("connections dropped", Some(Goal::AtMost(0.0)), closed, "", "client_closes_total").strict());
    rows.push(pair.storm(scale)?);
    Ok(rows)
}

/// Both servers with all of their clients; what a connection costs goes into the table. The floor's come between the halves of ours: the
/// kernel finds the socket of a segment the later the more that were opened after it share its place in the table.
fn connect(count: usize, rows: &mut Vec<Row>) -> anyhow::Result<Pair> {
    let mut gateway = Gateway::start(Venue::bind(1, ASSETS)?, |_| USER.into())?;
    let token = config::token(USER)?;
    let (mut cpu, mut memory) = (-gateway.process.cpu_seconds(), -gateway.process.resident_bytes());
    let mut swarm = Swarm::connect(gateway.listen, count / 2, |_| token.clone(), SUBSCRIBE)?;
    pause(Duration::from_millis(200));
    (cpu, memory) = (cpu + gateway.process.cpu_seconds(), memory + gateway.process.resident_bytes());
    // One update tells how long a frame is.
    gateway.venue.push(0, 0)?;
    gateway.venue.flush(0)?;
    swarm.clients[0].set_waiting(true)?;
    let frame_bytes = framed(&swarm.clients[0].read_frame()?);
    swarm.clients[0].set_waiting(false)?;
    swarm.wait(1..count / 2, 1)?;
    let floor = Floor::start(count, swarm.answer_bytes, frame_bytes)?;
    (cpu, memory) = (cpu - gateway.process.cpu_seconds(), memory - gateway.process.resident_bytes());
    swarm.join(Swarm::connect(gateway.listen, count - count / 2, |_| token.clone(), SUBSCRIBE)?);
    pause(Duration::from_millis(200));
    (cpu, memory) = (cpu + gateway.process.cpu_seconds(), memory + gateway.process.resident_bytes());
    swarm.reset();
    let (each, signature) = (cpu / count as f64 * 1e6, signature_micros(&token)?);
    let bare = floor.process.cpu_seconds() / count as f64 * 1e6;
    let note = format!("{} with the signature's {}, floor {}, N = {count}", number(each), number(signature), number(bare));
    let name = "CPU to accept, authenticate and subscribe, less the signature";
    rows.push(Row::new(name, Some(Goal::AtMost(60.0)), each - signature, "µs", note));
    let each = memory / count as f64 / 1024.0;
    let note = format!("N = {count}, subscribed; update frames of {frame_bytes} bytes");
    rows.push(Row::new("process memory per idle connection", Some(Goal::AtMost(4.0)), each, "KiB", note));
    Ok(Pair { gateway, swarm, floor, token, lost: 0 })
}

/// What judging a token costs here.
fn signature_micros(token: &str) -> anyhow::Result<f64> {
    const TIMES: u32 = 2_000;
    let access = Access::new(&config::keys()).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let now = UnixMs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64);
    let started = Instant::now();
    for _ in 0..TIMES {
        access.identify(token, now)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

impl Pair {
    /// CPU per delivery against the floor's, in interleaved rounds. Every row must arrive.
    fn compare(&mut self, name: &str, waiting: usize, scale: Scale, goal: f64) -> anyhow::Result<Row> {
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        let updates = (scale.updates / waiting).max(3);
        self.floor_round(1, waiting)?;
        self.our_round(1, waiting)?;
        for _ in 0..scale.rounds {
            floor.push(self.floor_round(updates, waiting)?);
            ours.push(self.our_round(updates, waiting)?);
        }
        floor.push(self.floor_round(updates, waiting)?);
        let ratios = ratios(&floor, &ours);
        let note = format!(
            "{} µs against the floor's {}, N = {}, median of {} rounds of {} updates",
            number(median(&ours)),
            number(median(&floor)),
            scale.crowd,
            scale.rounds,
            updates
        );
        Ok(Row::new(name, Some(Goal::AtMost(goal)), median(&ratios), "x", note))
    }

    /// µs of CPU per delivery.
    fn our_round(&mut self, updates: usize, waiting: usize) -> anyhow::Result<f64> {
        let (all, cpu) = (0..self.swarm.clients.len(), self.gateway.process.cpu_seconds());
        self.swarm.reset();
        for update in 0..updates {
            for asset in 0..waiting {
                self.gateway.venue.push(0, update + asset)?;
            }
            self.gateway.venue.flush(0)?;
            self.swarm.wait(all.clone(), ((update + 1) * waiting) as u64)?;
        }
        let cpu = self.gateway.process.cpu_seconds() - cpu;
        self.lost += self.swarm.off_by((updates * waiting) as u64)?;
        Ok(cpu * 1e6 / (updates * waiting * all.len()) as f64)
    }

    fn floor_round(&mut self, updates: usize, waiting: usize) -> anyhow::Result<f64> {
        let (all, cpu) = (0..self.floor.swarm.clients.len(), self.floor.process.cpu_seconds());
        self.floor.swarm.reset();
        for update in 0..updates {
            self.floor.send_all(waiting)?;
            self.floor.swarm.wait(all.clone(), ((update + 1) * waiting) as u64)?;
        }
        let cpu = self.floor.process.cpu_seconds() - cpu;
        Ok(cpu * 1e6 / (updates * waiting * all.len()) as f64)
    }

    /// Socket writes per delivery.
    fn writes(&mut self, scale: Scale, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        for (waiting, goal) in [(1, 1.01), (16, 0.125)] {
            let Self { gateway, swarm, .. } = self;
            let Gateway { process, venue, dir, .. } = gateway;
            let (updates, all) = (4, 0..swarm.clients.len());
            let counted = process.socket_writes(dir.path(), || {
                swarm.reset();
                for update in 0..updates {
                    for asset in 0..waiting {
                        venue.push(0, asset)?;
                    }
                    venue.flush(0)?;
                    swarm.wait(all.clone(), ((update + 1) * waiting) as u64)?;
                }
                Ok(())
            })?;
            let name = format!("socket writes per delivery, {waiting} waiting");
            match counted {
                Some(writes) => {
                    let each = writes as f64 / (updates * waiting * scale.crowd) as f64;
                    rows.push(Row::new(name, Some(Goal::AtMost(goal)), each, "", "counted by strace"));
                }
                None => eprintln!("{name}: not measured, strace cannot be used here"),
            }
        }
        Ok(())
    }

    /// Seconds until the floor has accepted everybody anew, and µs of its CPU for each.
    fn floor_returns(&mut self, count: usize) -> anyhow::Result<(f64, f64)> {
        let Self { floor, token, .. } = self;
        floor.swarm.clients.clear();
        pause(Duration::from_millis(500));
        let (began, before) = (Instant::now(), floor.process.cpu_seconds());
        floor.swarm = Swarm::connect(floor.addr, count, |_| token.clone(), SUBSCRIBE)?;
        Ok((began.elapsed().as_secs_f64(), (floor.process.cpu_seconds() - before) * 1e6 / count as f64))
    }

    /// Everybody comes back at once, holding what they had before a few updates.
    fn storm(&mut self, scale: Scale) -> anyhow::Result<Row> {
        let (mut floor, mut ours, mut cpu) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        let count = scale.crowd;
        for _ in 0..scale.rounds.min(5) {
            let (seconds, micros) = self.floor_returns(count)?;
            floor.push(seconds);
            cpu[0].push(micros);

            let held: serde_json::Value = serde_json::from_str(&self.swarm.last[0])?;
            self.swarm.clients.clear();
            while self.gateway.metric("balance_gateway_client_connections")? > 0.0 {
                pause(Duration::from_millis(20));
            }
            for asset in 0..3 {
                self.gateway.venue.push(0, asset)?;
            }
            self.gateway.venue.flush(0)?;
            let since = serde_json::json!({ "epoch": held["epoch"], "gsn": held["gsn"] });
            let subscribe = format!(r#"{{"type":"subscribe","channel":"user:balances","since":{since}}}"#);
            let (began, before) = (Instant::now(), self.gateway.process.cpu_seconds());
            self.swarm = Swarm::connect(self.gateway.listen, count, |_| self.token.clone(), &subscribe)?;
            ours.push(began.elapsed().as_secs_f64());
            cpu[1].push((self.gateway.process.cpu_seconds() - before) * 1e6 / count as f64);
            anyhow::ensure!(self.swarm.last[0].contains("\"resumed\":true"), "not resumed: {}", self.swarm.last[0]);
        }
        floor.push(self.floor_returns(count)?.0);
        let ratios = ratios(&floor, &ours);
        let note = format!(
            "{} s against {} s, CPU {} µs against {} µs each, N = {}",
            number(median(&ours)),
            number(median(&floor)),
            number(median(&cpu[1])),
            number(median(&cpu[0])),
            scale.crowd
        );
        Ok(Row::new("time until all are back with since", Some(Goal::AtMost(1.5)), median(&ratios), "x", note))
    }
}
