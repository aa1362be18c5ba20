//! What each fuzz target does with its bytes. The normal tests run the same bodies on random input and on the kept corpus.
//!
//! A body checks what must hold for any input; it ends by itself, keeps nothing, and reaches no network.

use std::collections::BTreeMap;
use std::str::from_utf8;
use std::sync::Arc;

use balance_gateway::config::Config;
use balance_gateway::metrics::Metrics;
use balance_gateway::model::{AccountKey, Amount, Channel, Filter, Now, RowState, UnixMs};
use balance_gateway::protocol;
use balance_gateway::store::Store;
use balance_gateway::venue::link::{Command, Link, LinkParts};
use balance_gateway::venue::{AccountSpec, CallError, CallId, Credentials, Frame, Options, Reply, Shared, VENUES, Venue};

/// Most frames, replies and pauses of one run.
const MAX_STEPS: usize = 200;
const MAX_ROWS: usize = 50;

/// The first byte chooses the venue; each further line is a step, its first byte says of what kind: `r` a REST answer of status 200,
/// `e` one of another status, `x` no answer, `t` a pause, `c` a close, `b` a binary frame, `o` an operator's wish, `k` new keys;
/// anything else is a text frame, that byte included. Tells whether a row was ever live.
pub fn venue(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else { return false };
    let mut run = Run::new(&VENUES[usize::from(*first) % VENUES.len()]);
    for line in rest.split(|byte| *byte == b'\n').take(MAX_STEPS) {
        run.step(line);
    }
    run.was_live
}

/// A link with a session of the venue, and what it asked for.
struct Run {
    link: Link,
    store: Arc<Store>,
    idx: balance_gateway::model::AccountIdx,
    now: Now,
    commands: Vec<Command>,
    calls: Vec<CallId>,
    was_live: bool,
}

impl Run {
    fn new(venue: &'static Venue) -> Self {
        let sample = (venue.sample)();
        let credentials = sample.account.credentials.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let spec = AccountSpec {
            id: sample.account.id.as_str().into(),
            ws_url: "ws://127.0.0.1:1/ws".into(),
            rest_url: "http://127.0.0.1:1".into(),
            credentials: Credentials::plain(credentials),
            wallets: sample.wallets.clone(),
            options: Options::default(),
        };
        let shared = Shared::default();
        let connector = (venue.connect)(&spec, &shared).expect("the sample is valid");
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let now = Now { unix: UnixMs(1_763_121_358_960), ..Now::default().plus_ms(1_000_000) };
        let key = AccountKey { venue: venue.name, account: Arc::clone(&spec.id) };
        let idx = store.add_account(key, true, MAX_ROWS, now);
        let (host, account) = (shared.host(&spec.ws_url, venue.limits), spec.id.to_string());
        let link = Link::new(LinkParts { idx, account, venue, store: Arc::clone(&store), metrics, connector, host, seed: 1 });
        let mut run = Self { link, store, idx, now, commands: Vec::new(), calls: Vec::new(), was_live: false };
        run.pause(1);
        run
    }

    fn step(&mut self, line: &[u8]) {
        let gsn = self.store.gsn();
        self.now = self.now.plus_ms(1);
        let (kind, rest) = line.split_first().map_or((b't', line), |(kind, rest)| (*kind, rest));
        match kind {
            b'r' => self.reply(Ok(Reply { status: 200, body: rest })),
            b'e' => {
                let status = 300 + u16::from(rest.first().copied().unwrap_or_default());
                self.reply(Ok(Reply { status, body: rest.get(1..).unwrap_or_default() }));
            }
            b'x' => self.reply(Err(CallError::Timeout)),
            b't' => self.pause(1 + 100 * u64::from(rest.first().copied().unwrap_or_default())),
            b'c' => self.link.on_closed(self.now, Some(1006)),
            b'b' => self.link.on_frame(self.now, Frame::Binary(rest), &mut self.commands),
            b'o' => self.link.resync(self.now, &mut self.commands),
            b'k' => self.link.on_credentials(self.now, &mut self.commands),
            _ => match from_utf8(line) {
                Ok(text) => self.link.on_frame(self.now, Frame::Text(text), &mut self.commands),
                Err(_) => self.link.on_frame(self.now, Frame::Ping, &mut self.commands),
            },
        }
        self.carry_out();
        self.check(gsn);
    }

    fn reply(&mut self, reply: Result<Reply<'_>, CallError>) {
        if let Some(id) = self.calls.pop() {
            self.link.on_reply(self.now, id, reply, &mut self.commands);
        }
    }

    fn pause(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        if self.link.deadline().is_some_and(|at| at <= self.now.mono) {
            self.link.on_timer(self.now, &mut self.commands);
            assert!(self.link.deadline().is_none_or(|at| at > self.now.mono), "a deadline moves on when it fires");
        }
        self.carry_out();
    }

    /// The venue always takes a connection, and answers nothing by itself.
    fn carry_out(&mut self) {
        for _ in 0..8 {
            let commands = std::mem::take(&mut self.commands);
            assert!(commands.len() <= 1_000, "one message asks for {} things", commands.len());
            for command in commands {
                match command {
                    Command::Dial(_) => self.link.on_dialed(self.now, Ok(()), &mut self.commands),
                    Command::Call(call) => self.calls.push(call.id),
                    Command::Hangup => self.calls.clear(),
                    Command::Send(_) | Command::Ping => {}
                }
            }
        }
        assert!(self.commands.is_empty(), "a connection asks without end");
    }

    fn check(&mut self, before: u64) {
        assert!(self.store.gsn() >= before);
        let all = self.store.changes_since(0, &[self.idx], &Filter::default(), Channel::Balances);
        let record = self.store.record(self.idx).expect("the account is held");
        assert!(all.balances.len() <= MAX_ROWS);
        assert!(record.state.is_proven() || all.balances.iter().all(|row| row.state != RowState::Live), "live without proof");
        assert!(record.state.is_proven() || !all.complete);
        self.was_live |= all.balances.iter().any(|row| row.state == RowState::Live);
        let head = protocol::SnapshotHead { channel: Channel::Balances, reason: "request", epoch: "e", ts: self.now.unix };
        let text = protocol::snapshot_whole(&head, &all);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "a frame is JSON: {text}");
    }
}

/// Any text gets a request or a refusal, and what is echoed of it is one line of a JSON frame.
pub fn request(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let (id, message) = match protocol::parse(text) {
        Ok((id, _)) => (id, String::new()),
        Err(refusal) => (refusal.id, refusal.message),
    };
    let answer = protocol::error(id.as_ref(), protocol::ErrorCode::BadRequest, &message);
    // An id is echoed as it was written, also an escape that stands for no character.
    let echoed = serde_json::from_str::<BTreeMap<String, Box<serde_json::value::RawValue>>>(&answer);
    let echoed = echoed.unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert_eq!(echoed.get("id").map(|id| id.get()), id.as_ref().map(protocol::Id::json));
}

/// Any text is a configuration or a list of problems.
pub fn config(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let name = format!("balance-gateway-fuzz-{}-{:?}.toml", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).expect("the temporary directory takes files");
    let env = [("GATEWAY_KEY".to_owned(), "a value".to_owned())];
    let told = match Config::load(Some(&path), env) {
        Ok(config) => format!("{config:?}"),
        Err(errors) => errors.to_string(),
    };
    std::fs::remove_file(&path).expect("it was just written");
    assert!(!told.is_empty());
}

/// Two lines, as amounts: text, sum and comparison agree.
pub fn amount(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let (a, b) = text.split_once('\n').unwrap_or((text, "0"));
    let (Ok(a), Ok(b)) = (a.parse::<Amount>(), b.parse::<Amount>()) else { return };
    assert_eq!(a.as_str().parse::<Amount>().as_ref(), Ok(&a), "plain text reads as itself");
    assert!(a.same_value(&a) && a.same_value(&b) == (a.compare(&b).is_eq()), "{a} and {b}");
    assert!(a.plus(&b).minus(&b).same_value(&a), "{a} and {b}");
    assert!(a.minus(&a).is_zero());
    assert!(a.plus(&Amount::ZERO).same_value(&a));
}
