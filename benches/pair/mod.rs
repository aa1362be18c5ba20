//! A link and its venue's simulator, face to face, for benches that want a venue's own frames.
//!
//! It measures nothing, and no socket is between the two.

use std::sync::Arc;

use balance_gateway::metrics::Metrics;
use balance_gateway::model::{AccountKey, Amount, Name, Now, UnixMs};
use balance_gateway::store::Store;
use balance_gateway::venue::link::{Command, Link, LinkParts};
use balance_gateway::venue::sim::{ConnId, Move, Sample, Sim, SimAction, SimOut, SimRequest, SimSetup};
use balance_gateway::venue::{AccountSpec, Credentials, Frame, Options, Reply, Shared, Venue};

const CONN: ConnId = ConnId(1);

/// A live link and its simulator, face to face.
pub struct Pair {
    pub now: Now,
    pub link: Link,
    pub store: Arc<Store>,
    sim: Box<dyn Sim>,
    rest_prefix: String,
    account: String,
    wallet: Name,
    asset: Name,
}

impl Pair {
    pub fn live(venue: &'static Venue) -> Self {
        let sample = (venue.sample)();
        let spec = spec(&sample);
        let shared = Shared::default();
        let connector = (venue.connect)(&spec, &shared).expect("the sample is valid");
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let now = Now { unix: UnixMs(1_763_121_358_960), ..Now::default().plus_ms(1_000_000) };
        let key = AccountKey { venue: venue.name, account: Arc::clone(&spec.id) };
        let idx = store.add_account(key, true, 1_000, now);
        let host = shared.host(&spec.ws_url, venue.limits);
        let account = spec.id.to_string();
        let link = Link::new(LinkParts { idx, account, venue, store: Arc::clone(&store), metrics, connector, host, seed: 1 });
        let ((wallet, asset), _) = sample.account.book.rows.first_key_value().expect("the sample holds something");
        let (wallet, asset, account) = (wallet.clone(), asset.clone(), sample.account.id.clone());
        let sim = (venue.simulate)(SimSetup { accounts: vec![sample.account], seed: 1 });
        let base = link.rest_url().split_once("://").map_or("", |(_, rest)| rest);
        let rest_prefix = base.find('/').map_or("", |at| &base[at..]).to_owned();
        let mut pair = Self { now, link, store, sim, rest_prefix, account, wallet, asset };
        let mut commands = Vec::new();
        pair.link.on_timer(pair.now, &mut commands);
        pair.pump(commands, SimOut::default(), sample.ws_path);
        for _ in 0..100 {
            if pair.store.record(idx).is_some_and(|record| record.state.is_proven()) {
                return pair;
            }
            pair.pass(100);
        }
        panic!("{} does not become live against its simulator: {:?}", venue.name, pair.store.record(idx));
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        let (mut commands, mut out) = (Vec::new(), SimOut::default());
        self.link.on_timer(self.now, &mut commands);
        if self.sim.deadline().is_some_and(|at| at <= self.now.mono) {
            self.sim.on_timeout(self.now, &mut out);
        }
        self.pump(commands, out, "");
    }

    fn pump(&mut self, mut commands: Vec<Command>, mut out: SimOut, path: &str) {
        while !commands.is_empty() || !out.actions.is_empty() {
            let (mut next, mut sim_next) = (Vec::new(), SimOut::default());
            for command in commands {
                match command {
                    Command::Dial(handshake) => {
                        let headers = handshake.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
                        let request = SimRequest { method: "GET".into(), path: path.into(), headers, body: String::new() };
                        self.sim.on_connect(self.now, CONN, &request, &mut sim_next).expect("its own sample");
                        self.link.on_dialed(self.now, Ok(()), &mut next);
                    }
                    Command::Send(text) => self.sim.on_frame(self.now, CONN, &text, &mut sim_next),
                    Command::Ping => self.link.on_frame(self.now, Frame::Pong, &mut next),
                    Command::Call(call) => {
                        let headers = call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
                        let path = format!("{}{}", self.rest_prefix, call.path);
                        let request = SimRequest { method: call.method.into(), path, headers, body: call.body };
                        let reply = self.sim.on_request(self.now, &request, &mut sim_next);
                        let reply = Reply { status: reply.status, body: reply.body.as_bytes() };
                        self.link.on_reply(self.now, call.id, Ok(reply), &mut next);
                    }
                    Command::Hangup => panic!("the session gave up on its own simulator"),
                }
            }
            for text in texts(out) {
                self.link.on_frame(self.now, Frame::Text(&text), &mut next);
            }
            (commands, out) = (next, sim_next);
        }
    }

    /// The frames that the venue sends for `n` small deposits, one after the other.
    pub fn frames(&mut self, n: u64) -> Vec<String> {
        let amount: Amount = "0.00000001".parse().expect("an amount");
        let mut frames = Vec::new();
        for _ in 0..n {
            let (account, wallet, asset) = (self.account.clone(), self.wallet.clone(), self.asset.clone());
            let order = Name::from("1");
            let place = Move::Place {
                account: account.clone(),
                wallet: wallet.clone(),
                order: order.clone(),
                spend: asset.clone(),
                amount: amount.clone(),
            };
            let fill = Move::Fill {
                account,
                wallet,
                order,
                spend: asset.clone(),
                spent: amount.clone(),
                gain: asset,
                gained: "0.00000002".parse().expect("an amount"),
                fee: Amount::ZERO,
                price: amount.clone(),
                done: true,
            };
            for mv in [place, fill] {
                self.now = self.now.plus_ms(1);
                let mut out = SimOut::default();
                self.sim.on_move(self.now, &mv, &mut out).expect("the book allows it");
                frames.extend(texts(out));
            }
        }
        frames
    }
}

fn texts(out: SimOut) -> impl Iterator<Item = String> {
    out.actions.into_iter().filter_map(|action| match action {
        SimAction::Send(_, text) => Some(text),
        SimAction::Ping(_) => None,
        SimAction::Close(_, code, why) => panic!("the simulator closes: {code} {why}"),
    })
}

fn spec(sample: &Sample) -> AccountSpec {
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
