//! How time passes in a world: the next thing due, and what it sets in motion.

use balance_gateway::model::{Mono, Now, UnixMs};
use balance_gateway::venue::sim::SimOut;

use super::{BEGIN, Event, MAX_STEPS_AT_ONCE, Queued, World};
use std::cmp::Reverse;

#[derive(Clone, Copy)]
pub(super) enum Timer {
    Sim(usize),
    Link(usize),
    Clients,
}

impl World {
    /// Lets time pass until `end`, until something planned is due, or until something is wrong.
    pub fn run(&mut self, end: Mono) {
        while self.failure.is_none() && self.planned.is_empty() {
            if !self.step(end) {
                self.set_time(end);
                return;
            }
        }
    }

    pub(super) fn set_time(&mut self, at: Mono) {
        if at > self.now.mono {
            self.at_once = 0;
            self.now = Now { mono: at, unix: UnixMs(BEGIN.0 + (at.0 / 1000) as i64 - 1_000) };
        }
        self.at_once += 1;
        if self.at_once > MAX_STEPS_AT_ONCE {
            self.fail("time stands still");
        }
    }

    pub(super) fn step(&mut self, end: Mono) -> bool {
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

    pub(super) fn next_timer(&self) -> Option<(Mono, Timer)> {
        let sides = self.sides.iter().zip(0..).filter_map(|(side, nth)| Some((side.sim.deadline()?, Timer::Sim(nth))));
        let links = self.gateway.upstreams.iter().zip(0..);
        let links = links.filter_map(|(up, nth)| Some((up.link.deadline()?, Timer::Link(nth))));
        let clients = self.clients.iter().filter_map(|client| Some((client.next(self.here())?, Timer::Clients)));
        sides.chain(links).chain(clients).min_by_key(|(at, _)| *at)
    }

    pub(super) fn fire(&mut self, timer: Timer) {
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
                let (here, mut commands) = (self.here(), Vec::new());
                self.gateway.upstreams[nth].link.on_timer(here, &mut commands);
                self.carry_out(nth, commands);
            }
            Timer::Clients => {} // `look` lets them do what is due
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
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
            Event::Reply(owner, conn, call, answer) => self.reply(owner, conn, call, answer),
            Event::Planned(what) => self.planned.push(what),
        }
    }
}
