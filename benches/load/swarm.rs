//! Thousands of WebSocket clients in one thread, cheap enough not to be what is measured.
//!
//! A client under load only counts rows, by counting a word that stands once in each. Nothing is allocated per frame, and
//! nobody waits in epoll: sockets are swept, between sleeps, so that no frame costs the sender an interrupt.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::child::pause;

/// Stands once in every row, and nowhere else.
const WORD: &[u8] = b"\"wallet\":";
/// Handshakes under way at once: fewer than the shortest queue of a listener (128), or the kernel makes some wait a second.
const WINDOW: usize = 100;
/// A run that takes this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    stream: TcpStream,
    /// Rows seen since the last reset.
    pub rows: u64,
    /// How much of [`WORD`] the bytes so far end with.
    matched: usize,
}

pub struct Swarm {
    pub clients: Vec<Client>,
    buffer: Vec<u8>,
    /// Bytes of the answers to a client's handshake and subscription.
    pub answer_bytes: [usize; 2],
    /// What the last client was answered last.
    pub last: Vec<String>,
}

impl Swarm {
    /// Connects `count` clients and subscribes each, a window of them at a time. `greets`: an `auth_result` follows the handshake.
    pub fn connect(addr: SocketAddr, count: usize, token: impl Fn(usize) -> String, subscribe: &str) -> anyhow::Result<Self> {
        let mut swarm =
            Self { clients: Vec::with_capacity(count), buffer: vec![0; 256 << 10], answer_bytes: [0; 2], last: Vec::new() };
        let subscribe = masked(subscribe);
        while swarm.clients.len() < count {
            let from = swarm.clients.len();
            for at in from..count.min(from + WINDOW) {
                let mut stream = TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(handshake(&token(at)).as_bytes())?;
                swarm.clients.push(Client { stream, rows: 0, matched: 0 });
            }
            for client in &mut swarm.clients[from..] {
                let head = client.read_head()?;
                let greeting = client.read_frame().context("no auth_result")?;
                client.stream.write_all(&subscribe)?;
                swarm.answer_bytes[0] = head + framed(&greeting);
            }
            for client in &mut swarm.clients[from..] {
                swarm.last = vec![client.read_frame()?, client.read_frame()?];
                swarm.answer_bytes[1] = swarm.last.iter().map(|text| framed(text)).sum();
                client.stream.set_nonblocking(true)?;
            }
        }
        Ok(swarm)
    }

    /// Takes in the clients of another one.
    pub fn join(&mut self, other: Self) {
        self.clients.extend(other.clients);
        (self.answer_bytes, self.last) = (other.answer_bytes, other.last);
    }

    /// Rows are counted from here.
    pub fn reset(&mut self) {
        self.clients.iter_mut().for_each(|client| client.rows = 0);
    }

    /// Sleeps and sweeps until each of `who` has seen `rows` rows.
    pub fn wait(&mut self, who: std::ops::Range<usize>, rows: u64) -> anyhow::Result<()> {
        let (mut nap, started) = (Duration::from_micros(300), Instant::now());
        loop {
            pause(nap);
            let mut missing = 0;
            for at in who.clone() {
                if self.clients[at].rows < rows {
                    self.clients[at].drain(&mut self.buffer)?;
                    missing += usize::from(self.clients[at].rows < rows);
                }
            }
            if missing == 0 {
                return Ok(());
            }
            anyhow::ensure!(started.elapsed() < PATIENCE, "{missing} of {} clients lack rows", who.len());
            // As long as it would take the sender to serve them.
            nap = Duration::from_micros((missing as u64 * 4).clamp(200, 20_000));
        }
    }

    /// Sweeps without sleep, once; tells of each client that came to have new rows.
    pub fn sweep(&mut self, rows: u64, mut seen: impl FnMut(&Client)) -> anyhow::Result<usize> {
        let mut missing = 0;
        for client in self.clients.iter_mut().filter(|client| client.rows < rows) {
            let before = client.rows;
            client.drain(&mut self.buffer)?;
            if client.rows > before {
                seen(client);
            }
            missing += usize::from(client.rows < rows);
        }
        Ok(missing)
    }

    /// Rows beyond those expected, or short of them, over all clients, after a last look.
    pub fn off_by(&mut self, expected: u64) -> anyhow::Result<u64> {
        let mut off = 0;
        for client in &mut self.clients {
            client.drain(&mut self.buffer)?;
            off += client.rows.abs_diff(expected);
        }
        Ok(off)
    }
}

impl Client {
    /// Reads what is there and counts its rows.
    fn drain(&mut self, buffer: &mut [u8]) -> anyhow::Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => anyhow::bail!("the server closed a connection"),
                Ok(n) => {
                    self.count(&buffer[..n]);
                    if n < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The word begins with its only inner repetition, a quote: after a mismatch at most that quote still counts.
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.matched = match self.matched {
                at if *byte == WORD[at] => at + 1,
                at if at == WORD.len() - 1 && *byte == WORD[1] => 2,
                _ => usize::from(*byte == WORD[0]),
            };
            if self.matched == WORD.len() {
                self.rows += 1;
                self.matched = 0;
            }
        }
    }

    /// Reads the answer to the handshake and nothing behind it; tells its length.
    fn read_head(&mut self) -> anyhow::Result<usize> {
        let mut bytes = [0; 1024];
        loop {
            let there = self.stream.peek(&mut bytes)?;
            anyhow::ensure!(there > 0, "the server hung up");
            if let Some(end) = bytes[..there].windows(4).position(|window| window == b"\r\n\r\n") {
                self.stream.read_exact(&mut bytes[..end + 4])?;
                anyhow::ensure!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&bytes[..end]));
                return Ok(end + 4);
            }
        }
    }

    /// Waits for one frame and reads it whole.
    pub fn read_frame(&mut self) -> anyhow::Result<String> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let mut length = [0; 8];
        let extended = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        self.stream.read_exact(&mut length[8 - extended..])?;
        let length = if extended == 0 { u64::from(head[1]) } else { u64::from_be_bytes(length) };
        let mut payload = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut payload)?;
        Ok(String::from_utf8(payload)?)
    }

    /// Lets [`Client::read_frame`] wait, or [`Swarm::wait`] sweep.
    pub fn set_waiting(&self, waits: bool) -> anyhow::Result<()> {
        Ok(self.stream.set_nonblocking(!waits)?)
    }
}

/// The bytes of a text together with its WebSocket header.
pub fn framed(text: &str) -> usize {
    balance_gateway::protocol::WireText::new(text).frame().len()
}

fn handshake(token: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nhost: load\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {token}\r\n\r\n"
    )
}

/// A client's text frame under the mask of four zeros, which changes nothing.
fn masked(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("requests are short").to_be_bytes();
    [&[0x81, 0x80 | 126][..], &length, &[0; 4], text.as_bytes()].concat()
}
