//! What the gateway's links ask for, carried out: dials, frames, hang-ups, calls and their answers.

use balance_gateway::model::{Balance, Mono, Now};
use balance_gateway::venue::link::{Command, DialError};
use balance_gateway::venue::sim::{ConnId, SimOut, SimRequest};
use balance_gateway::venue::{Call, CallId, Reply};

use super::net::{Item, Owner};
use crate::venue_faults::WHOLE_REST;

use super::truth::known;
use super::{Answer, DIAL_TIMEOUT_MS, Event, World};

impl World {
    pub(super) fn carry_out(&mut self, link: usize, commands: Vec<Command>) {
        // What was to be read until now is judged by what had been said until now.
        self.witness();
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
                    let floor = if upstream.floor_before.0 == now { upstream.floor_before.1 } else { upstream.floor };
                    upstream.sent.insert(call.id.0, Some(floor));
                    let give_up = now.plus_ms(call.timeout_ms);
                    self.at(give_up, Event::Reply(owner, conn, call.id, Answer::none()));
                    self.at(at, Event::Ask(owner, conn, call));
                }
            }
        }
    }

    pub(super) fn send_up(&mut self, nth: usize, conn: Option<ConnId>, item: Item) {
        let Some(conn) = conn else { return };
        let arrival = self.sides[nth].send_up(self.now.mono, conn, item);
        self.arrivals(nth, arrival.into_iter().collect());
    }

    pub(super) fn hang_up(&mut self, link: usize) {
        let upstream = &mut self.gateway.upstreams[link];
        upstream.calls.clear();
        if let Some(conn) = upstream.conn.take()
            && let Some(pipe) = self.sides[self.accounts[link].side].pipes.get_mut(&conn)
        {
            pipe.gateway_done = true;
            pipe.down.clear();
        }
    }

    pub(super) fn dial(&mut self, owner: Owner, dial: u32, handshake: &balance_gateway::venue::Handshake) {
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

    pub(super) fn dialed(&mut self, owner: Owner, dial: u32, result: Result<ConnId, DialError>) {
        let nth = self.accounts[owner.link].side;
        let here = self.here();
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
            upstream.rest_said = None;
            upstream.sent.clear();
        }
        let mut commands = Vec::new();
        upstream.link.on_dialed(here, result.map(|_| ()), &mut commands);
        self.tell(|| format!("link {} dialed: {result:?}", owner.link));
        self.carry_out(owner.link, commands);
    }

    pub(super) fn ask(&mut self, owner: Owner, conn: ConnId, call: &Call) {
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
        let answer = Answer { reply: Ok(reply), version: side.log.version(), is_late: false };
        side.deliver(now, out, &mut arrivals);
        let answer = self.perhaps_late(owner.link, call, answer);
        self.tell(|| format!("venue {nth} is asked {} {}", call.method, call.path));
        self.arrivals(nth, arrivals);
        self.at(at, Event::Reply(owner, conn, call.id, answer));
    }

    /// The network may keep answers and give the one before in its place: an answer out of its time, as from a replica that lags.
    fn perhaps_late(&mut self, link: usize, call: &Call, answer: Answer) -> Answer {
        let Ok((200, body)) = &answer.reply else { return answer };
        let side = &mut self.sides[self.accounts[link].side];
        let path = call.path.split('?').next().unwrap_or_default().to_owned();
        let before = side.answers.insert((link, path), (body.clone(), answer.version));
        match before.filter(|_| side.net.rest_late > 0 && !self.gateway.upstreams[link].was_late) {
            Some((body, version)) => {
                side.net.rest_late -= 1;
                self.tell(|| format!("link {link} is given an earlier answer, of version {version}"));
                Answer { reply: Ok((200, body)), version, is_late: true }
            }
            None => answer,
        }
    }

    pub(super) fn reply(&mut self, owner: Owner, conn: ConnId, call: CallId, answer: Answer) {
        if owner.run != self.gateway.run || !self.gateway.awaits(owner.link, conn, call) {
            return;
        }
        let Answer { reply, version, is_late } = answer;
        let upstream = &mut self.gateway.upstreams[owner.link];
        upstream.ceiling = upstream.ceiling.max(version);
        if is_late || reply.is_ok() {
            upstream.was_late = is_late;
        }
        let asked = upstream.sent.remove(&call.0).flatten().filter(|_| !is_late);
        if let (Ok((200, body)), Some(floor)) = (&reply, asked)
            && WHOLE_REST.contains(&self.accounts[owner.link].venue.name)
            && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
        {
            upstream.rest_said = Some((version, floor));
        }
        if is_late {
            self.hear_late(owner.link, conn);
        }
        let (here, mut commands) = (self.here(), Vec::new());
        let upstream = &mut self.gateway.upstreams[owner.link];
        let given =
            reply.as_ref().map(|(status, body)| Reply { status: *status, body: body.as_bytes() }).map_err(|error| *error);
        upstream.link.on_reply(here, call, given, &mut commands);
        let text = reply.as_ref().map_or("nothing", |(_, body)| body);
        self.tell_text(("link", owner.link), text);
        self.carry_out(owner.link, commands);
    }

    /// What an answer out of its time may do: where nothing is proven it is believed, as any first answer is. Where the stream has
    /// spoken it may put in doubt and change nothing, so the rows are held to what was said.
    fn hear_late(&mut self, link: usize, conn: ConnId) {
        let upstream = &mut self.gateway.upstreams[link];
        upstream.late_at = Some(self.now.mono);
        let proven = self.gateway.store.record(upstream.idx).is_some_and(|record| record.state.is_proven());
        let side = &mut self.sides[self.accounts[link].side];
        // What a row does not know contradicts nothing: any answer fills it.
        let is_whole = |row: &Balance| known(row).iter().zip(side.tells).all(|(known, told)| *known || !told);
        let is_whole = self.gateway.rows(link).iter().all(|row| is_whole(row));
        if let Some(pipe) = side.pipes.get_mut(&conn).filter(|_| !(proven && is_whole)) {
            pipe.clean = false;
        }
    }
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
