//! Moves bytes between one client session and its socket.
//!
//! A delivery costs one write and no task wake-up: whoever wakes the connection after a commit writes the shared frame to the socket
//! right there. The connection's own task only reads requests, keeps time, writes long answers, and waits for a socket that is full.
//! While something is left unwritten nothing more is read from the store, so a slow socket conflates by itself and holds one answer
//! at most. Only a socket that takes no byte at all for the stall bound is closed.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use smallvec::SmallVec;
use tokio::time::timeout;
use tracing::Instrument;

use super::codec::{Broken, Decoder, Incoming};
use super::stream::Stream;
use super::{ClientOut, ClientSession, Deps, Drain, Place, Places};
use crate::access::{Fresher, Identity};
use crate::hub::Wake;
use crate::metrics::CodeLabels;
use crate::metrics::traces::Open;
use crate::model::{Mono, Now};
use crate::protocol::{CloseCode, WireText, wire_frame};
use crate::runtime::Clock;
use crate::sync::{Mutex, Notify};

/// For the conformance suite, which talks to an echo.
const ECHO: bool = cfg!(feature = "echo");

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const CLOSE: u8 = 0x8;
/// Pieces handed to one write. Most answers are one piece, and the largest are told in as many writes as it takes.
const PIECES: usize = 16;
/// Answers written one after the other to a reader whose accounts never rest; then others have their turn, and its task goes on with it.
const ROUNDS: u32 = 16;
/// What is read at once: requests are small.
const READ_BYTES: usize = 4 << 10;
/// Reads in one round.
const READS: usize = 8;
/// Requests answered in one round, then it is the others' turn.
const TURN: usize = 32;
/// How long a client that asks for too much is not read. Its own socket fills meanwhile, which is what slows it.
const REST_MS: u64 = 20;
/// Rounds of reading while a connection says goodbye. Whoever goes on talking is not listened to forever.
const FAREWELL_ROUNDS: usize = 64;
/// How often a full socket's right to go on is looked at: revocations take effect within two seconds.
const OVER_CHECK_MS: u64 = 500;
/// How long a closed connection may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// Pieces in order. One, which is what an answer to a commit is, takes no memory of its own.
type Tail = SmallVec<[Bytes; 1]>;

/// Why the gateway ends a connection; `None`: the peer is gone.
type Close = Option<(CloseCode, &'static str)>;

/// What a connection waits for.
struct Next {
    deadline: Mono,
    /// The socket is full.
    blocked: bool,
    /// More requests may be read.
    hears: bool,
}

/// What a connection brings from the listener.
pub struct Line {
    pub stream: Stream,
    /// The answer to the handshake, where it has not been written: it leaves together with what is told first.
    pub answer: Bytes,
    /// What came after the handshake.
    pub read: Bytes,
    /// Its place among those that have shown no token; given back when it shows one.
    pub waiting: Option<Place>,
}

/// The connections of this process, counted: what logs and traces call one by.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Serves one client until it leaves, breaks a rule, or the gateway drains. What the connection is made of is taken at once: a task
/// would keep room for it as long as the connection lasts.
pub fn serve(
    line: Line,
    deps: Arc<Deps>,
    identity: Option<Identity>,
    clock: Clock,
    drain: Drain,
) -> impl Future<Output = ()> + Send {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // Nothing is logged of a client above debug: below that the span costs nothing.
    let span = tracing::debug_span!("client", conn = number, user = tracing::field::Empty);
    let Line { stream, answer, read, waiting } = line;
    let conn = span.in_scope(|| Conn::new(stream, answer, deps, identity, clock, number));
    converse(conn, read, waiting, drain).instrument(span)
}

async fn converse(conn: Arc<Conn>, read: Bytes, waiting: Option<Place>, drain: Drain) {
    // Given back however this ends.
    let _counted = Places::counted_by(&conn.deps.metrics.client_connections).take(usize::MAX);
    let close = conn.run(read, waiting, &drain).await;
    let user = conn.leave();
    if let Some(user) = &user {
        tracing::Span::current().record("user", &**user);
    }
    if let Some((code, reason)) = close {
        conn.deps.metrics.client_closes.get_or_create(&CodeLabels { code: code.number() }).inc();
        tracing::debug!(code = code.number(), reason, "client closed by the gateway");
        _ = timeout(FAREWELL, conn.farewell(code, reason)).await;
    }
    conn.deps.metrics.traces.close(conn.state.lock().span.take(), || {
        let user = user.iter().map(|user| ("user", (&**user).into()));
        user.chain(close.map(|(code, _)| ("code", u64::from(code.number()).into()))).collect()
    });
}

/// In memory as it is written here, and so are the state and the session in it: what a delivery reads stands first and together.
/// Thousands of connections do not fit the processor's cache, and each line that a delivery has to wait for costs it about a fiftieth.
#[repr(C)]
struct Conn {
    stream: Stream,
    deps: Arc<Deps>,
    clock: Clock,
    number: u64,
    state: Mutex<State>,
    /// The task should look again: something is left unwritten, or a deadline moved.
    work: Notify,
}

#[repr(C)]
struct State {
    /// TLS holds something that the socket has not taken yet.
    unflushed: bool,
    broken: bool,
    /// Close once the tail is written.
    close: Close,
    /// When the socket last took a byte, while something is left, and how many it had taken then.
    taken: Mono,
    taken_bytes: u64,
    /// The venue frame behind the tail was read then.
    read_at: Option<Mono>,
    /// When the first of its frames was offered to the socket.
    began: Mono,
    /// Of the whole connection. `None`: traces are off.
    span: Option<Box<Open>>,
    /// What the socket has not taken yet.
    tail: Tail,
    /// `None` once the connection is over.
    session: Option<ClientSession>,
    /// A token waits for these.
    keys: Option<Fresher>,
    /// Nothing is read until then.
    rest_until: Mono,
}

impl Wake for Conn {
    fn wake(&self, now: Option<Now>) {
        // Its own task has it, which may be writing a long answer: others do not wait for that. It looks again when it is done.
        let Some(mut state) = self.state.try_lock() else { return self.work.notify_one() };
        if state.is_writable() {
            self.tell(&mut state, now.unwrap_or_else(|| self.clock.now()), ClientSession::on_quick_wake);
        }
    }

    fn warm(&self) {
        if let Some(state) = self.state.try_lock() {
            black_box(self.stream.taken() ^ state.began.0 ^ state.tail.len() as u64);
            black_box(state.session.as_ref().map(ClientSession::warm));
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
    fn new(stream: Stream, answer: Bytes, deps: Arc<Deps>, identity: Option<Identity>, clock: Clock, number: u64) -> Arc<Self> {
        let mut out = ClientOut::default();
        let now = clock.now();
        let session = match identity {
            Some(identity) => ClientSession::with_identity(Arc::clone(&deps), identity, now, &mut out),
            None => ClientSession::new(Arc::clone(&deps), now),
        };
        let state = State {
            session: None,
            tail: Some(answer).filter(|answer| !answer.is_empty()).into_iter().collect(),
            unflushed: false,
            taken: now.mono,
            taken_bytes: stream.taken(),
            keys: None,
            close: None,
            read_at: None,
            began: now.mono,
            broken: false,
            span: deps.metrics.traces.open("client connection", || vec![("client", number.into())]),
            rest_until: now.mono,
        };
        let conn = Arc::new(Self { deps, clock, stream, work: Notify::new(), number, state: Mutex::new(state) });
        {
            let mut state = conn.state.lock();
            let reader: Arc<dyn Wake> = Arc::clone(&conn) as Arc<dyn Wake>;
            let session = state.session.insert(session);
            session.set_reader(Arc::downgrade(&reader));
            conn.pump(&mut state, out);
        }
        conn
    }

    /// Ends the session: its watches are dropped, and nobody wakes the connection any more. Tells whose it was.
    fn leave(&self) -> Option<Arc<str>> {
        let session = self.state.lock().session.take();
        session.and_then(|session| session.user().cloned()) // dropped outside of the lock: it touches the hub's lists
    }

    // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Writes `out` and what there is to tell after it, as far as the socket takes it.
    fn pump(&self, state: &mut State, out: ClientOut) {
        self.put(state, self.clock.now(), out);
        // Commits found nobody to wake while the socket was full.
        let mut rounds = 0;
        while state.is_writable() && self.tell(state, self.clock.now(), ClientSession::on_wake) {
            rounds += 1;
            if rounds == ROUNDS {
                self.work.notify_one();
                break;
            }
        }
    }

    /// Asks the session once and writes what it says. What is committed after that wakes again. False: it said nothing.
    fn tell(&self, state: &mut State, now: Now, ask: fn(&mut ClientSession, Now, &mut ClientOut)) -> bool {
        let Some(session) = &mut state.session else { return false };
        let mut out = ClientOut::default();
        ask(session, now, &mut out);
        if out.later {
            self.work.notify_one();
        }
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
    fn put(&self, state: &mut State, now: Now, mut out: ClientOut) {
        if !state.is_blocked() {
            state.taken = now.mono; // a stall can only begin now
        }
        state.close = state.close.or(out.close);
        if state.read_at.is_none() {
            state.began = now.mono;
        }
        state.read_at = match (state.read_at, out.read_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // Nearly every delivery is one frame for a socket with room, and never comes to be a tail.
        if let ([only], false, false) = (&out.frames[..], out.ping, state.is_blocked()) {
            match self.stream.try_write(only.frame()) {
                Ok(n) => {
                    if n < only.frame().len() {
                        state.tail.push(only.frame().slice(n..));
                    }
                    out.frames.clear();
                    state.unflushed = true; // as far as is known
                }
                Err(error) => state.broken = error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        state.tail.extend(out.frames.into_iter().map(WireText::into_frame));
        if out.ping {
            state.tail.push(wire_frame(PING, b""));
        }
        if out.keys.is_some() {
            state.keys = out.keys;
            self.work.notify_one();
        }
        self.flush(state, now.mono);
        if !state.is_writable() {
            self.work.notify_one();
        }
    }

    /// Hands the tail to the socket until it is written or the socket is full.
    fn flush(&self, state: &mut State, now: Mono) {
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
        let taken = self.stream.taken();
        if taken > state.taken_bytes {
            self.deps.metrics.client_bytes.inc_by(taken - state.taken_bytes);
            (state.taken, state.taken_bytes) = (now, taken);
        }
        if !state.is_blocked() {
            if state.tail.spilled() {
                state.tail = Tail::new(); // gives back what a large answer took
            }
            if let Some(read_at) = state.read_at.take() {
                let micros = self.clock.mono().0.saturating_sub(read_at.0); // after the write
                self.deps.metrics.delivery_seconds.0.observe(micros as f64 / 1e6);
                self.deps.metrics.traces.written(read_at.0, state.began.0, self.number, state.span.as_deref());
            }
        }
    }

    // ── the task ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async fn run(self: &Arc<Self>, read: Bytes, mut waiting: Option<Place>, drain: &Drain) -> Close {
        let mut keys: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        let mut decoder = Decoder::new(self.deps.limits.max_frame_bytes);
        decoder.feed(&read);
        drop(read);
        // When the connection has to go, once the gateway drains.
        let mut leave: Option<Mono> = None;
        loop {
            let drained = match self.take_requests(&mut decoder) {
                Ok(taken) => taken < TURN,
                Err(close) => return close,
            };
            let Next { deadline, blocked, hears } = match self.next_step(&mut waiting, &mut keys) {
                Ok(next) => next,
                Err(close) => return close,
            };
            if leave.is_some_and(|at| at <= self.clock.now().mono) {
                return Some((CloseCode::Draining, "draining"));
            }
            let deadline = leave.map_or(deadline, |at| at.min(deadline));
            let fresher = async {
                match &mut keys {
                    Some(keys) => keys.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = drain.begun(), if leave.is_none() => leave = Some(self.announce(drain)),
                // A peer that does not take its answers is not asked for more questions.
                ready = self.stream.readable(), if hears && drained => {
                    if ready.is_err() || self.read(&mut decoder).is_break() {
                        return None;
                    }
                    // A socket that is always readable never waits by itself.
                    tokio::task::yield_now().await;
                    // A client that never pauses must not keep its deadlines from being heard.
                    if self.clock.now().mono >= deadline {
                        self.on_time();
                    }
                }
                ready = self.stream.writable(), if blocked => {
                    let mut state = self.state.lock();
                    self.flush(&mut state, self.clock.mono());
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
                () = self.work.notified() => {
                    let mut state = self.state.lock();
                    if state.is_writable() {
                        self.pump(&mut state, ClientOut::default());
                    }
                }
                () = self.clock.wait_until(deadline) => self.on_time(),
                () = tokio::task::yield_now(), if !drained => {}
            }
        }
    }

    /// Tells the client that the gateway goes away. Gives the time at which this connection has to.
    fn announce(&self, drain: &Drain) -> Mono {
        let within_ms = drain.share_ms();
        let mut state = self.state.lock();
        let (now, mut out) = (self.clock.now(), ClientOut::default());
        if let Some(session) = &mut state.session {
            session.on_drain(now, within_ms, &mut out);
        }
        self.pump(&mut state, out);
        now.mono.plus_ms(within_ms)
    }

    /// What to wait for. `Err`: the connection is over.
    fn next_step(
        &self,
        waiting: &mut Option<Place>,
        keys: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ) -> Result<Next, Close> {
        let mut state = self.state.lock();
        if let Some(fresher) = state.keys.take() {
            *keys = Some(Box::pin(fresher.wait()));
        }
        let is_blocked = state.is_blocked();
        let State { session, close, broken, tail, taken, rest_until, .. } = &mut *state;
        let Some(session) = session.as_mut().filter(|_| !*broken) else { return Err(None) };
        if session.user().is_some() {
            *waiting = None;
        }
        let now = self.clock.now();
        if !is_blocked {
            if close.is_some() {
                return Err(*close);
            }
            let rests = now.mono < *rest_until;
            let deadline = session.deadline(now);
            let deadline = if rests { deadline.min(*rest_until) } else { deadline };
            return Ok(Next { deadline, blocked: false, hears: !rests && !session.is_pending() });
        }
        let stall = taken.plus_ms(self.deps.limits.write_stall_ms);
        // However slowly a client reads, it is told nothing beyond its right to be told.
        let stalled = || (now.mono >= stall).then_some((CloseCode::WriteStall, "the socket took no byte in time"));
        match session.over(now).or_else(stalled) {
            Some(close) => {
                // All that the socket has begun to take is one frame.
                tail.truncate(1);
                Err(Some(close))
            }
            None => Ok(Next { deadline: stall.min(now.mono.plus_ms(OVER_CHECK_MS)), blocked: true, hears: false }),
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

    /// Answers complete requests, until the socket is full or it is the others' turn. Tells how many.
    fn take_requests(&self, decoder: &mut Decoder) -> Result<usize, Close> {
        for taken in 0..TURN {
            let mut state = self.state.lock();
            let (now, mut out) = (self.clock.now(), ClientOut::default());
            // Requests are answered in order: behind a token that waits for its keys, the others wait, too.
            let pending = state.session.as_ref().is_some_and(ClientSession::is_pending);
            if !state.is_writable() || now.mono < state.rest_until || pending {
                return Ok(taken);
            }
            let incoming = match decoder.take_next() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ok(taken),
                Err(Broken::TooLarge) => return Err(Some((CloseCode::FrameTooLarge, "the frame is too large"))),
                Err(Broken::NotUtf8) => return Err(Some((CloseCode::ProtocolError, "the text is no UTF-8"))),
                Err(Broken::Protocol(what)) => return Err(Some((CloseCode::ProtocolError, what))),
            };
            let Some(session) = &mut state.session else { return Err(None) };
            match incoming {
                Incoming::Text(text) if ECHO => state.tail.push(wire_frame(TEXT, text.as_bytes())),
                Incoming::Binary(content) if ECHO => state.tail.push(wire_frame(BINARY, &content)),
                Incoming::Text(text) => session.on_text(now, &text, &mut out),
                Incoming::Ping(payload) => {
                    if session.on_control(now, &mut out) {
                        state.tail.push(wire_frame(PONG, &payload));
                    }
                }
                Incoming::Pong => _ = session.on_control(now, &mut out),
                Incoming::Binary(_) => return Err(Some((CloseCode::ProtocolError, "frames are text"))),
                Incoming::Close(code) => {
                    let payload = code.map(u16::to_be_bytes);
                    state.tail.push(wire_frame(CLOSE, payload.as_ref().map_or(&[], |p| p)));
                    self.flush(&mut state, self.clock.mono());
                    return Err(None);
                }
            }
            if out.rest {
                state.rest_until = now.mono.plus_ms(REST_MS);
            }
            self.pump(&mut state, out);
        }
        Ok(TURN)
    }

    /// Writes what is left and a close frame, then waits for the peer's: a reset must not overtake them.
    async fn farewell(&self, code: CloseCode, reason: &str) {
        let mut payload = code.number().to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.state.lock().tail.push(wire_frame(CLOSE, &payload));
        loop {
            {
                let mut state = self.state.lock();
                self.flush(&mut state, self.clock.mono());
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
        for _ in 0..FAREWELL_ROUNDS {
            if self.stream.readable().await.is_err() || self.read(&mut decoder).is_break() {
                return;
            }
            loop {
                match decoder.take_next() {
                    Ok(Some(Incoming::Close(_))) | Err(_) => return,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                }
            }
            tokio::task::yield_now().await;
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
