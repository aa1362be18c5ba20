//! Moves bytes between one client session and its socket.
//!
//! A delivery costs one write and no task wake-up: whoever wakes the connection after a commit writes the shared frame to the socket
//! right there. The connection's own task only reads requests, keeps time, and waits for a socket that is full. While
//! something is left unwritten nothing more is read from the store, so a slow socket conflates by itself and holds one answer
//! at most. Only a socket that takes no byte at all for the stall bound is closed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::codec::{Broken, Decoder, Incoming};
use super::stream::Stream;
use super::{ClientOut, ClientSession, Deps, Place};
use crate::access::{Fresher, Identity};
use crate::hub::Wake;
use crate::metrics::CodeLabels;
use crate::model::{Mono, Now};
use crate::protocol::{CloseCode, WireText, wire_frame};
use crate::runtime::Clock;

const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const CLOSE: u8 = 0x8;
/// Pieces handed to one write. Most answers are one piece, and the largest are told in as many writes as it takes.
const PIECES: usize = 16;
/// What is read at once: requests are small.
const READ_BYTES: usize = 4 << 10;
/// Reads in one round.
const READS: usize = 8;
/// How often a full socket's right to go on is looked at: revocations take effect within two seconds.
const OVER_CHECK_MS: u64 = 500;
/// How long a closed connection may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a connection is told that the gateway goes away.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Fires when clients should be told.
    pub begun: CancellationToken,
    /// Within how many milliseconds clients should come back.
    pub reconnect_within_ms: u64,
}

/// Pieces in order. One, which is what an answer to a commit is, takes no memory of its own.
type Tail = SmallVec<[Bytes; 1]>;

/// Why the gateway ends a connection; `None`: the peer is gone.
type Close = Option<(CloseCode, &'static str)>;

/// What a connection brings from the listener.
pub struct Line {
    pub stream: Stream,
    /// What came after the handshake.
    pub read: Bytes,
    /// Its place among those that have shown no token; given back when it shows one.
    pub waiting: Option<Place>,
}

/// Serves one client until it leaves, breaks a rule, or the gateway drains.
pub async fn serve(line: Line, deps: Arc<Deps>, identity: Option<Identity>, clock: Clock, drain: Drain) {
    deps.metrics.client_connections.inc();
    let Line { stream, read, waiting } = line;
    let conn = Conn::new(stream, Arc::clone(&deps), identity, clock);
    let close = conn.run(read, waiting, &drain).await;
    conn.leave();
    if let Some((code, reason)) = close {
        deps.metrics.client_closes.get_or_create(&CodeLabels { code: code.number() }).inc();
        tracing::debug!(code = code.number(), reason, "client closed by the gateway");
        _ = timeout(FAREWELL, conn.farewell(code, reason)).await;
    }
    deps.metrics.client_connections.dec();
}

struct Conn {
    deps: Arc<Deps>,
    clock: Clock,
    stream: Stream,
    /// The task should look again: something is left unwritten, or a deadline moved.
    work: Notify,
    state: Mutex<State>,
}

struct State {
    /// `None` once the connection is over.
    session: Option<ClientSession>,
    /// What the socket has not taken yet.
    tail: Tail,
    /// TLS holds something that the socket has not taken yet.
    unflushed: bool,
    /// When the socket last took a byte, while something is left, and how many it had taken then.
    taken: Mono,
    taken_bytes: u64,
    /// A token waits for these.
    keys: Option<Fresher>,
    /// Close once the tail is written.
    close: Close,
    /// The venue frame behind the tail was read then.
    read_at: Option<Mono>,
    broken: bool,
}

impl Wake for Conn {
    fn wake(&self) {
        let mut state = self.state.lock();
        if state.is_writable() {
            self.tell(&mut state);
        }
    }
}

impl State {
    fn is_blocked(&self) -> bool {
        !self.tail.is_empty() || self.unflushed
    }

    fn is_writable(&self) -> bool {
        !self.is_blocked() && self.close.is_none() && !self.broken
    }
}

impl Conn {
    fn new(stream: Stream, deps: Arc<Deps>, identity: Option<Identity>, clock: Clock) -> Arc<Self> {
        let mut out = ClientOut::default();
        let now = clock.now();
        let session = match identity {
            Some(identity) => ClientSession::with_identity(Arc::clone(&deps), identity, now, &mut out),
            None => ClientSession::new(Arc::clone(&deps), now),
        };
        let state = State {
            session: None,
            tail: Tail::new(),
            unflushed: false,
            taken: now.mono,
            taken_bytes: stream.taken(),
            keys: None,
            close: None,
            read_at: None,
            broken: false,
        };
        let conn = Arc::new(Self { deps, clock, stream, work: Notify::new(), state: Mutex::new(state) });
        {
            let mut state = conn.state.lock();
            let reader: Arc<dyn Wake> = Arc::clone(&conn) as Arc<dyn Wake>;
            let session = state.session.insert(session);
            session.set_reader(Arc::downgrade(&reader));
            conn.pump(&mut state, out);
        }
        conn
    }

    /// Ends the session: its watches are dropped, and nobody wakes the connection any more.
    fn leave(&self) {
        let session = self.state.lock().session.take();
        drop(session); // outside of the lock: it touches the hub's lists
    }

    // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Writes `out` and what there is to tell after it, as far as the socket takes it.
    fn pump(&self, state: &mut State, out: ClientOut) {
        self.put(state, self.clock.now(), out);
        // Commits found nobody to wake while the socket was full.
        while state.is_writable() && self.tell(state) {}
    }

    /// Asks the session once and writes what it says. What is committed after that wakes again. False: it said nothing.
    fn tell(&self, state: &mut State) -> bool {
        let Some(session) = &mut state.session else { return false };
        let (now, mut out) = (self.clock.now(), ClientOut::default());
        session.on_wake(now, &mut out);
        if out.is_empty() {
            return false;
        }
        // A paced subscription is asked again by the task's clock, whose deadline may be later than that.
        if session.is_paced() {
            self.work.notify_one();
        }
        self.put(state, now, out);
        true
    }

    /// Writes `out` as far as the socket takes it; the task waits for the rest.
    fn put(&self, state: &mut State, now: Now, out: ClientOut) {
        // The socket is not full here: a stall can only begin now.
        state.taken = now.mono;
        state.tail.extend(out.frames.into_iter().map(WireText::into_frame));
        if out.ping {
            state.tail.push(wire_frame(PING, b""));
        }
        if out.keys.is_some() {
            state.keys = out.keys;
            self.work.notify_one();
        }
        state.close = state.close.or(out.close);
        state.read_at = match (state.read_at, out.read_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.flush(state);
        if !state.is_writable() {
            self.work.notify_one();
        }
    }

    /// Hands the tail to the socket until it is written or the socket is full.
    fn flush(&self, state: &mut State) {
        if !state.is_blocked() {
            return;
        }
        while !state.tail.is_empty() && !state.broken {
            let result = match &state.tail {
                tail if tail.len() == 1 => self.stream.try_write(&tail[0]),
                tail => {
                    let pieces: SmallVec<[_; PIECES]> = tail.iter().take(PIECES).map(|piece| IoSlice::new(piece)).collect();
                    self.stream.try_write_vectored(&pieces)
                }
            };
            match result {
                Ok(n) => advance(&mut state.tail, n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => state.broken = true,
            }
        }
        state.unflushed = match self.stream.try_flush() {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                state.broken = true;
                false
            }
        };
        let (now, taken) = (self.clock.mono(), self.stream.taken());
        if taken > state.taken_bytes {
            self.deps.metrics.client_bytes.inc_by(taken - state.taken_bytes);
            (state.taken, state.taken_bytes) = (now, taken);
        }
        if !state.is_blocked() {
            state.tail = Tail::new(); // gives back what a large answer took
            if let Some(read_at) = state.read_at.take() {
                let micros = now.0.saturating_sub(read_at.0);
                self.deps.metrics.delivery_seconds.0.observe(micros as f64 / 1e6);
            }
        }
    }

    // ── the task ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async fn run(self: &Arc<Self>, read: Bytes, mut waiting: Option<Place>, drain: &Drain) -> Close {
        let mut keys: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        let mut decoder = Decoder::new(self.deps.limits.max_frame_bytes);
        decoder.feed(&read);
        drop(read);
        loop {
            if let Err(close) = self.take_requests(&mut decoder) {
                return close;
            }
            let (deadline, blocked) = match self.next_step(&mut waiting, &mut keys) {
                Ok(next) => next,
                Err(close) => return close,
            };
            let fresher = async {
                match &mut keys {
                    Some(keys) => keys.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = drain.begun.cancelled() => {
                    let mut state = self.state.lock();
                    let (now, mut out) = (self.clock.now(), ClientOut::default());
                    if let Some(session) = &mut state.session {
                        session.on_drain(now, drain.reconnect_within_ms, &mut out);
                    }
                    self.pump(&mut state, out);
                    return Some((CloseCode::Draining, "draining"));
                }
                // A peer that does not take its answers is not asked for more questions.
                ready = self.stream.readable(), if !blocked => {
                    if ready.is_err() || self.read(&mut decoder).is_break() {
                        return None;
                    }
                    // A client that never pauses must not keep its deadlines from being heard.
                    if self.clock.now().mono >= deadline {
                        self.on_time();
                    }
                }
                ready = self.stream.writable(), if blocked => {
                    let mut state = self.state.lock();
                    self.flush(&mut state);
                    if ready.is_err() || state.broken {
                        return None;
                    }
                    if state.is_writable() {
                        self.pump(&mut state, ClientOut::default());
                    }
                }
                () = fresher, if !blocked => {
                    keys = None;
                    let mut state = self.state.lock();
                    let (now, mut out) = (self.clock.now(), ClientOut::default());
                    if let Some(session) = &mut state.session {
                        session.on_keys(now, &mut out);
                    }
                    self.pump(&mut state, out);
                }
                () = self.work.notified() => {}
                () = self.clock.wait_until(deadline) => self.on_time(),
            }
        }
    }

    /// What to wait for: a time, and whether the socket is full. `Err`: the connection is over.
    fn next_step(
        &self,
        waiting: &mut Option<Place>,
        keys: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ) -> Result<(Mono, bool), Close> {
        let mut state = self.state.lock();
        if let Some(fresher) = state.keys.take() {
            *keys = Some(Box::pin(fresher.wait()));
        }
        let Some(session) = state.session.as_ref().filter(|_| !state.broken) else { return Err(None) };
        if session.user().is_some() {
            *waiting = None;
        }
        let now = self.clock.now();
        if !state.is_blocked() {
            return if state.close.is_some() { Err(state.close) } else { Ok((session.deadline(now), false)) };
        }
        let stall = state.taken.plus_ms(self.deps.limits.write_stall_ms);
        if now.mono >= stall {
            return Err(Some((CloseCode::WriteStall, "the socket took no byte in time")));
        }
        // However slowly a client reads, it is told nothing beyond its right to be told.
        match session.over(now) {
            Some(close) => Err(Some(close)),
            None => Ok((stall.min(now.mono.plus_ms(OVER_CHECK_MS)), true)),
        }
    }

    fn on_time(&self) {
        let mut state = self.state.lock();
        let now = self.clock.now();
        if state.is_blocked() {
            return; // the socket is full: the next step looks at the bounds that hold then
        }
        let Some(session) = &mut state.session else { return };
        let mut out = ClientOut::default();
        session.on_timeout(now, &mut out);
        self.pump(&mut state, out);
    }

    /// Takes what the socket holds; breaks when the peer is gone.
    fn read(&self, decoder: &mut Decoder) -> std::ops::ControlFlow<()> {
        let mut bytes = [0; READ_BYTES];
        // TLS may hold a few records more than the socket shows; what is beyond is read in the next round.
        for _ in 0..READS {
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return std::ops::ControlFlow::Break(()),
                Ok(n) => decoder.feed(&bytes[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return std::ops::ControlFlow::Continue(()),
                Err(_) => return std::ops::ControlFlow::Break(()),
            }
        }
        self.work.notify_one();
        std::ops::ControlFlow::Continue(())
    }

    /// Answers complete requests, until the socket is full.
    fn take_requests(&self, decoder: &mut Decoder) -> Result<(), Close> {
        loop {
            let mut state = self.state.lock();
            if !state.is_writable() {
                return Ok(());
            }
            let incoming = match decoder.take_next() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ok(()),
                Err(Broken::TooLarge) => return Err(Some((CloseCode::FrameTooLarge, "the frame is too large"))),
                Err(Broken::NotUtf8) => return Err(Some((CloseCode::ProtocolError, "the text is no UTF-8"))),
                Err(Broken::Protocol(what)) => return Err(Some((CloseCode::ProtocolError, what))),
            };
            let (now, mut out) = (self.clock.now(), ClientOut::default());
            let Some(session) = &mut state.session else { return Err(None) };
            match incoming {
                Incoming::Text(text) => session.on_text(now, &text, &mut out),
                Incoming::Ping(payload) => {
                    session.on_heard(now);
                    state.tail.push(wire_frame(PONG, &payload));
                }
                Incoming::Pong => session.on_heard(now),
                Incoming::Binary(_) => return Err(Some((CloseCode::ProtocolError, "frames are text"))),
                Incoming::Close(code) => {
                    let payload = code.map(u16::to_be_bytes);
                    state.tail.push(wire_frame(CLOSE, payload.as_ref().map_or(&[], |p| p)));
                    self.flush(&mut state);
                    return Err(None);
                }
            }
            self.pump(&mut state, out);
        }
    }

    /// Writes what is left and a close frame, then waits for the peer's: a reset must not overtake them.
    async fn farewell(&self, code: CloseCode, reason: &str) {
        let mut payload = code.number().to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.state.lock().tail.push(wire_frame(CLOSE, &payload));
        loop {
            {
                let mut state = self.state.lock();
                self.flush(&mut state);
                if state.broken {
                    return;
                }
                if !state.is_blocked() {
                    break;
                }
            }
            if self.stream.writable().await.is_err() {
                return;
            }
        }
        self.stream.shut_down();
        let mut decoder = Decoder::new(READ_BYTES);
        while self.stream.readable().await.is_ok() {
            if self.read(&mut decoder).is_break() || matches!(decoder.take_next(), Ok(Some(Incoming::Close(_))) | Err(_)) {
                return;
            }
        }
    }
}

/// Drops what was written.
fn advance(tail: &mut Tail, mut wrote: usize) {
    let mut whole = 0;
    for piece in &mut *tail {
        if piece.len() > wrote {
            piece.advance(wrote);
            break;
        }
        wrote -= piece.len();
        whole += 1;
    }
    tail.drain(..whole);
}
