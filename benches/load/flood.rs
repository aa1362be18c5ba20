//! What hostile neighbors do to the others' time: sockets that never log in, and sockets that ask without end.
//!
//! The daemon has one core, so one thread: whoever is served for long makes all others wait. The flood is written in large pieces, now
//! and then, so that the core that measures is not what is measured. A flooder that is closed comes back at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Scale;
use crate::child::pause;
use crate::config::{self, Gateway};
use crate::floor::SUBSCRIBE;
use crate::stats::{Goal, Row, median, number, percentile};
use crate::swarm::Swarm;
use crate::venue::Venue;

/// Sockets that show no token and say nothing.
const IDLE: usize = 2_000;
/// Readers of the updates whose time is measured.
const READERS: usize = 10;
const USER: &str = "load";
/// Clients that ping in turn, so that each keeps to its rate.
const ASKERS: usize = 100;
/// Requests in one write of a flooder.
const AT_ONCE: usize = 1_000;
const ROUNDS: usize = 3;

/// What is measured beside a flood: milliseconds.
#[derive(Default)]
struct Seen {
    /// From a ping to its pong.
    pings: Vec<f64>,
    /// From a venue's frame to the last reader's.
    updates: Vec<f64>,
}

struct Scene {
    gateway: Gateway,
    readers: Swarm,
    askers: Vec<TcpStream>,
    token: String,
}

/// A way to be a nuisance.
struct Flood {
    name: &'static str,
    sockets: usize,
    logged_in: bool,
    /// One request, repeated.
    request: Vec<u8>,
    /// What it takes before requests: a WebSocket, or nothing.
    upgraded: bool,
}

pub fn run(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let token = config::token(USER)?;
    let gateway = Gateway::start(Venue::bind(1, 4)?, |_| USER.into())?;
    let readers = Swarm::connect(gateway.listen, READERS, |_| token.clone(), SUBSCRIBE)?;
    let askers = (0..ASKERS).map(|_| asker(gateway.listen, &token)).collect::<anyhow::Result<_>>()?;
    let mut scene = Scene { gateway, readers, askers, token };
    let window = scale.window / 8;
    scene.watch(window)?;
    let mut rows = scene.beside_idle(window)?;
    for flood in floods() {
        rows.extend(scene.beside(&flood, window)?);
    }
    Ok(rows)
}

fn floods() -> [Flood; 5] {
    let text = |text: &str| frame(0x81, text.as_bytes());
    let ws = |name, sockets, logged_in, request| Flood { name, sockets, logged_in, request, upgraded: true };
    let page = b"GET /nowhere HTTP/1.1\r\nhost: load\r\n\r\n".to_vec();
    [
        ws("requests on one socket that is logged in", 1, true, text(r#"{"type":"ping"}"#)),
        ws("requests on 4 sockets without a token", 4, false, text(r#"{"type":"subscribe","channel":"user:balances"}"#)),
        ws("protocol pings on 4 sockets without a token", 4, false, frame(0x89, b"ping")),
        ws("protocol pongs on one socket that is logged in", 1, true, frame(0x8a, b"")),
        Flood { name: "requests over HTTP on one socket", sockets: 1, logged_in: false, request: page, upgraded: false },
    ]
}

/// A client's frame under the mask of four zeros, which changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("requests are short");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

impl Scene {
    /// Pings and updates in turn, for a time.
    fn watch(&mut self, window: Duration) -> anyhow::Result<Seen> {
        let (mut seen, began) = (Seen::default(), Instant::now());
        self.readers.reset();
        for update in 1.. {
            if began.elapsed() > window {
                break;
            }
            self.gateway.venue.push(0, 1)?;
            let sent = self.gateway.venue.flush(0)?;
            while self.readers.sweep(update, |_| {})? > 0 {
                anyhow::ensure!(sent.elapsed() < Duration::from_secs(30), "an update did not reach everybody");
            }
            seen.updates.push(sent.elapsed().as_secs_f64() * 1e3);
            let (asker, asked) = (&mut self.askers[update as usize % ASKERS], Instant::now());
            asker.write_all(&frame(0x81, br#"{"type":"ping"}"#))?;
            anyhow::ensure!(read_text(asker)?.contains("pong"), "a ping was not answered");
            seen.pings.push(asked.elapsed().as_secs_f64() * 1e3);
            pause(Duration::from_micros(1_300)); // no beat that the flood shares
        }
        Ok(seen)
    }

    fn beside_idle(&mut self, window: Duration) -> anyhow::Result<Vec<Row>> {
        let mut calm = Vec::new();
        let mut beside = Vec::new();
        let memory = self.gateway.process.resident_bytes();
        let mut grown = 0.0;
        for _ in 0..ROUNDS {
            calm.push(self.watch(window)?);
            let mut sockets = Vec::with_capacity(IDLE);
            for _ in 0..IDLE {
                sockets.push(open(self.gateway.listen, None)?);
            }
            grown = (self.gateway.process.resident_bytes() - memory) / IDLE as f64 / 1024.0;
            beside.push(self.watch(window)?);
            drop(sockets);
            pause(Duration::from_millis(200));
        }
        let mut rows = compare("2,000 idle sockets without a token", calm, beside, "");
        rows.push(Row::new("memory of a socket without a token", None, grown, "KiB", "with the last round's 2,000"));
        Ok(rows)
    }

    fn beside(&mut self, flood: &Flood, window: Duration) -> anyhow::Result<Vec<Row>> {
        let (mut calm, mut beside) = (Vec::new(), Vec::new());
        let (mut requests, mut connects) = (0, 0);
        for _ in 0..ROUNDS {
            calm.push(self.watch(window)?);
            let tally = Arc::new(Tally::default());
            let flooder = {
                let (addr, tally) = (self.gateway.listen, Arc::clone(&tally));
                let token = flood.logged_in.then(|| self.token.clone());
                let (request, sockets, upgraded) = (flood.request.clone(), flood.sockets, flood.upgraded);
                std::thread::spawn(move || pour(addr, token.as_deref(), &request.repeat(AT_ONCE), sockets, upgraded, &tally))
            };
            let seen = self.watch(window);
            tally.stop.store(true, Ordering::Relaxed);
            flooder.join().expect("the flooder does not panic");
            beside.push(seen?);
            requests += tally.bytes.load(Ordering::Relaxed) / flood.request.len() as u64;
            connects += tally.connects.load(Ordering::Relaxed);
            pause(Duration::from_millis(200));
        }
        let seconds = window.as_secs_f64() * ROUNDS as f64;
        let note = format!(
            "; {} requests/s and {} connections/s got in",
            number(requests as f64 / seconds),
            number(connects as f64 / seconds)
        );
        Ok(compare(flood.name, calm, beside, &note))
    }
}

/// The others' time beside it, against that without it.
fn compare(name: &str, calm: Vec<Seen>, beside: Vec<Seen>, note: &str) -> Vec<Row> {
    let figures = |all: &[Seen], of: fn(&Seen) -> &Vec<f64>, percent: f64| {
        median(&all.iter().map(|seen| percentile(&mut of(seen).clone(), percent)).collect::<Vec<_>>())
    };
    let row = |what: &str, of: fn(&Seen) -> &Vec<f64>, percent| {
        let (calm, beside) = (figures(&calm, of, percent), figures(&beside, of, percent));
        let from = format!("{} ms against {} ms{note}", number(beside), number(calm));
        Row::new(format!("{what} p{percent} beside {name}"), Some(Goal::AtMost(1.5)), beside / calm, "x", from)
    };
    vec![
        row("ping", |seen| &seen.pings, 50.0),
        row("ping", |seen| &seen.pings, 99.0),
        row("update", |seen| &seen.updates, 50.0),
        row("update", |seen| &seen.updates, 99.0),
    ]
}

#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    bytes: AtomicU64,
    connects: AtomicU64,
}

/// Writes `piece` to each of some sockets whenever they take it, reads what comes, and comes back when closed.
fn pour(addr: SocketAddr, token: Option<&str>, piece: &[u8], count: usize, upgraded: bool, tally: &Tally) {
    let mut sockets: Vec<Option<(TcpStream, usize)>> = (0..count).map(|_| None).collect();
    let mut buffer = vec![0; 256 << 10];
    while !tally.stop.load(Ordering::Relaxed) {
        for socket in &mut sockets {
            if socket.is_none() {
                let opened = if upgraded { open(addr, token) } else { TcpStream::connect(addr).map_err(Into::into) };
                tally.connects.fetch_add(1, Ordering::Relaxed);
                *socket = opened.ok().filter(|stream| stream.set_nonblocking(true).is_ok()).map(|stream| (stream, 0));
            }
            let Some((stream, at)) = socket else { continue };
            let wrote = stream.write(&piece[*at..]);
            if let Ok(n) = wrote {
                tally.bytes.fetch_add(n as u64, Ordering::Relaxed);
                *at = (*at + n) % piece.len();
            }
            let is_full = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
            let read = stream.read(&mut buffer);
            if matches!(read, Ok(0)) || [wrote.err(), read.err()].iter().flatten().any(|error| !is_full(error)) {
                *socket = None;
            }
        }
        pause(Duration::from_millis(1));
    }
}

/// A client that has logged in and been told so.
fn asker(addr: SocketAddr, token: &str) -> anyhow::Result<TcpStream> {
    let mut stream = open(addr, Some(token))?;
    anyhow::ensure!(read_text(&mut stream)?.contains("\"success\":true"), "the token is refused");
    Ok(stream)
}

/// One short frame.
fn read_text(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut length = usize::from(head[1]);
    if length == 126 {
        stream.read_exact(&mut head)?;
        length = usize::from(u16::from_be_bytes(head));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok(String::from_utf8(payload)?)
}

/// A WebSocket; without a token, one that waits for it.
fn open(addr: SocketAddr, token: Option<&str>) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "GET /v1/ws HTTP/1.1\r\nhost: load\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{bearer}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let (mut answer, mut byte) = (Vec::new(), [0; 1]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}
