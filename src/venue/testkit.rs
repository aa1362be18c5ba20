//! A session and its venue's simulator, face to face in simulated time: no socket, no link, no store.

#![allow(dead_code, reason = "each venue uses its part of the kit")]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sim::{Book, ConnId, Move, Sample, Sim, SimAction, SimOut, SimRequest, SimSetup};
use super::{AccountSpec, Action, Call, Closing, Connector, Credentials, Frame, Options, Out, Reply, Session, Shared, Venue};
use crate::model::{Now, UnixMs, VenueEvent};

/// The pair. `events` holds what the session has said since it was last drained; `sent` what it wrote; `heard` what it was sent.
pub struct Duo {
    pub now: Now,
    pub sim: Box<dyn Sim>,
    pub session: Box<dyn Session>,
    pub connector: Arc<dyn Connector>,
    pub events: Vec<VenueEvent>,
    pub sent: Vec<String>,
    pub heard: Vec<String>,
    pub calls: Vec<String>,
    pub closed: Option<Closing>,
    pub account: String,
    /// While true, nothing the simulator sends arrives, pongs included.
    pub deaf: bool,
    conn: ConnId,
}

impl Duo {
    /// The venue's sample account, opened at a round time.
    pub fn new(venue: &Venue) -> Self {
        Self::with(venue, |_| {}, BTreeMap::new())
    }

    /// The same with the gateway's spec altered, and with options.
    pub fn with(venue: &Venue, alter: impl FnOnce(&mut AccountSpec), options: BTreeMap<String, toml::Value>) -> Self {
        let sample = (venue.sample)();
        let mut spec = spec(&sample);
        spec.options = Options::new(options);
        alter(&mut spec);
        let connector = (venue.connect)(&spec, &Shared::default()).expect("the sample is valid");
        let account = sample.account.id.clone();
        let sim = (venue.simulate)(SimSetup { accounts: vec![sample.account], seed: 1 });
        let session = connector.session(1);
        let now = Now::default().plus_ms(1_000_000);
        let now = Now { unix: UnixMs(1_763_121_358_960), ..now };
        let (events, sent, heard, calls) = Default::default();
        let mut duo = Self {
            now,
            sim,
            session,
            connector,
            events,
            sent,
            heard,
            calls,
            closed: None,
            account,
            deaf: false,
            conn: ConnId(1),
        };
        duo.open(sample.ws_path);
        duo
    }

    fn open(&mut self, path: &str) {
        let handshake = self.connector.handshake();
        let headers = handshake.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let request = SimRequest { method: "GET".into(), path: path.into(), headers, body: String::new() };
        let (mut out, mut sim_out) = (Out::default(), SimOut::default());
        self.sim.on_connect(self.now, self.conn, &request, &mut sim_out).expect("the simulator accepts its sample's handshake");
        self.session.on_open(self.now, &mut out);
        self.pump(out, sim_out);
    }

    /// Lets `ms` pass, firing every deadline on the way at its time.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            let next = [self.session.deadline(), self.sim.deadline()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end.mono) else { break };
            let step = at.0.saturating_sub(self.now.mono.0).div_ceil(1000);
            self.now = self.now.plus_ms(step);
            let (mut out, mut sim_out) = (Out::default(), SimOut::default());
            if self.closed.is_none() && self.session.deadline().is_some_and(|d| d <= self.now.mono) {
                self.session.on_timeout(self.now, &mut out);
                assert!(self.session.deadline().is_none_or(|d| d > self.now.mono), "a deadline must move on when it fires");
            }
            if self.sim.deadline().is_some_and(|d| d <= self.now.mono) {
                self.sim.on_timeout(self.now, &mut sim_out);
                assert!(self.sim.deadline().is_none_or(|d| d > self.now.mono), "a sim's deadline must move on when it fires");
            }
            self.pump(out, sim_out);
            if self.closed.is_some() {
                break;
            }
        }
        self.now = self.now.plus_ms(end.mono.since_ms(self.now.mono));
    }

    /// Moves money at the venue.
    pub fn moves(&mut self, mv: &Move) {
        let mut out = SimOut::default();
        self.sim.on_move(self.now, mv, &mut out).expect("the book allows it");
        self.pump(Out::default(), out);
    }

    /// Throws one of the venue's own faults.
    pub fn fault(&mut self, name: &str) {
        let mut out = SimOut::default();
        self.sim.on_fault(self.now, name, &mut out).expect("a fault of this venue");
        self.pump(Out::default(), out);
    }

    /// Hands the session a frame the simulator did not send.
    pub fn hear(&mut self, text: &str) {
        let mut out = Out::default();
        self.session.on_frame(self.now, Frame::Text(text), &mut out);
        self.pump(out, SimOut::default());
    }

    pub fn book(&self) -> &Book {
        self.sim.book(&self.account).expect("the sample's book")
    }

    /// Takes the events said so far.
    pub fn drain(&mut self) -> Vec<VenueEvent> {
        std::mem::take(&mut self.events)
    }

    fn pump(&mut self, mut out: Out, mut sim_out: SimOut) {
        for _ in 0..10_000 {
            if out.actions.is_empty() && sim_out.actions.is_empty() {
                return;
            }
            let (mut next, mut sim_next) = (Out::default(), SimOut::default());
            for action in out.actions {
                match action {
                    _ if self.closed.is_some() => {}
                    Action::Send(text) => {
                        self.sent.push(text.clone());
                        self.sim.on_frame(self.now, self.conn, &text, &mut sim_next);
                    }
                    Action::Ping if self.deaf => {}
                    Action::Ping => self.session.on_frame(self.now, Frame::Pong, &mut next),
                    Action::Call(call) => self.call(call, &mut next, &mut sim_next),
                    Action::Event(event) => self.events.push(event),
                    Action::Close(closing) => self.closed = Some(closing),
                }
            }
            for action in sim_out.actions {
                match action {
                    _ if self.closed.is_some() || self.deaf => {}
                    SimAction::Send(_, text) => {
                        self.heard.push(text.clone());
                        self.session.on_frame(self.now, Frame::Text(&text), &mut next);
                    }
                    SimAction::Ping(_) => self.session.on_frame(self.now, Frame::Ping, &mut next),
                    SimAction::Close(_, code, why) => {
                        self.closed = Some(Closing {
                            class: super::ErrorClass::Transient,
                            reason: crate::model::Reason::new(
                                crate::model::ReasonCode::UpstreamDisconnected,
                                format!("{code} {why}"),
                            ),
                        });
                    }
                }
            }
            (out, sim_out) = (next, sim_next);
        }
        panic!("session and simulator answer each other without end");
    }

    fn call(&mut self, call: Call, out: &mut Out, sim_out: &mut SimOut) {
        self.calls.push(format!("{} {}", call.method, call.path));
        let base = self.connector.rest_url();
        let prefix = base.split_once("://").map_or("", |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
        let request = SimRequest {
            method: call.method.into(),
            path: format!("{prefix}{}", call.path),
            headers: call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
            body: call.body,
        };
        let reply = self.sim.on_request(self.now, &request, sim_out);
        let reply = Reply { status: reply.status, body: reply.body.as_bytes() };
        self.session.on_reply(self.now, call.id, Ok(reply), out);
    }
}

/// The gateway's side of a sample.
pub fn spec(sample: &Sample) -> AccountSpec {
    let credentials = sample.account.credentials.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    AccountSpec {
        id: sample.account.id.as_str().into(),
        ws_url: format!("ws://127.0.0.1:1{}", sample.ws_path),
        rest_url: format!("http://127.0.0.1:1{}", sample.rest_path),
        credentials: Credentials::plain(credentials),
        wallets: sample.wallets.clone(),
        options: Options::default(),
    }
}
