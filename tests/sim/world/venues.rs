//! What happens at the venues and on the network before them.

use balance_gateway::venue::Frame;
use balance_gateway::venue::link::Command;
use balance_gateway::venue::sim::{ConnId, Move, SimOut};

use super::World;
use super::net::{self, Item};
use crate::numbers::{number, subscription};

impl World {
    pub(super) fn trade(&mut self, nth: usize) {
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

    pub(super) fn arrive_up(&mut self, nth: usize, conn: ConnId) {
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

    pub(super) fn arrive_down(&mut self, nth: usize, conn: ConnId) {
        while let Some(parcel) = self.sides[nth].take(self.now.mono, conn, false) {
            let Some(owner) = self.sides[nth].pipes.get(&conn).map(|pipe| pipe.owner) else { return };
            if owner.run == self.gateway.run && self.gateway.upstreams[owner.link].conn == Some(conn) {
                self.hear(nth, conn, owner.link, parcel);
            }
            self.sides[nth].tidy(conn);
        }
    }

    pub(super) fn hear(&mut self, nth: usize, conn: ConnId, link: usize, parcel: net::Parcel) {
        self.stats.heard += 1;
        let (now, here) = (self.now, self.here());
        let mut commands = Vec::new();
        let upstream = &mut self.gateway.upstreams[link];
        upstream.heard = now.mono;
        upstream.ceiling = upstream.ceiling.max(parcel.version);
        if upstream.floor_before.0 != now.mono {
            upstream.floor_before = (now.mono, upstream.floor);
        }
        if parcel.last {
            upstream.floor = upstream.floor.max(parcel.version);
        } else {
            upstream.floor = upstream.floor.max(parcel.version.saturating_sub(1));
        }
        if let Item::Text(text) = &parcel.item
            && let Some(number) = number(self.sides[nth].venue.name, text)
            && let Some(pipe) = self.sides[nth].pipes.get_mut(&conn)
            && pipe.count.hear(number)
        {
            // A message is lost, and whoever counts knows it: nothing older than what came before this one is what was said last.
            pipe.opened = pipe.opened.max(parcel.version.saturating_sub(1));
        }
        if let Item::Text(text) = &parcel.item
            && let Some(begins) = subscription(self.sides[nth].venue.name, text)
            && let Some(pipe) = self.sides[nth].pipes.get_mut(&conn)
        {
            pipe.ended = !begins;
        }
        let before = self.gateway.store.gsn();
        match parcel.item {
            Item::Text(text) => {
                upstream.link.on_frame(here, Frame::Text(&text), &mut commands);
                let commits = self.gateway.store.gsn() - before;
                let hangs_up = commands.iter().any(|command| matches!(command, Command::Hangup));
                self.tell_text(("link", link), &text);
                self.witness();
                if commits > 1 + u64::from(hangs_up) {
                    self.fail(format!("one frame gave {commits} commits"));
                }
            }
            Item::Binary => upstream.link.on_frame(here, Frame::Binary(&[7, 0, 255]), &mut commands),
            Item::Ping => upstream.link.on_frame(here, Frame::Ping, &mut commands),
            Item::Pong => upstream.link.on_frame(here, Frame::Pong, &mut commands),
            Item::Close(_) | Item::End => {
                upstream.conn = None;
                upstream.calls.clear();
                let code = if let Item::Close(code) = parcel.item { Some(code) } else { None };
                upstream.link.on_closed(here, code);
                if let Some(pipe) = self.sides[nth].pipes.get_mut(&conn) {
                    pipe.gateway_done = true;
                }
                self.tell(|| format!("link {link} is disconnected ({code:?})"));
            }
        }
        self.touched.push(link);
        self.carry_out(link, commands);
    }
}
