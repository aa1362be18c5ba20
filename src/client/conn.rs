//! Moves bytes between one client session and its WebSocket.
//!
//! While a write is under way nothing is read from the store, so a slow socket conflates by itself. Only a socket that takes no
//! byte at all for the stall bound is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{SinkExt, StreamExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{ClientOut, ClientSession, Deps, Place};
use crate::access::Identity;
use crate::metrics::CodeLabels;
use crate::protocol::CloseCode;
use crate::runtime::Clock;

/// How often a connection is looked at that is busy writing: revocations take effect within two seconds.
const OVER_CHECK: Duration = Duration::from_millis(500);

/// Bytes a socket has taken so far, counted below the WebSocket layer.
#[derive(Debug, Clone, Default)]
pub struct Taken(Arc<AtomicU64>);

impl Taken {
    /// The socket took `n` bytes.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a connection brings from the listener.
#[derive(Debug, Default)]
pub struct Line {
    pub taken: Taken,
    /// Its place among those that have shown no token; given back when it shows one.
    pub waiting: Option<Place>,
}

/// How a connection is told that the gateway goes away.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Fires when clients should be told.
    pub begun: CancellationToken,
    /// Within how many milliseconds clients should come back.
    pub reconnect_within_ms: u64,
}

/// Serves one client until it leaves, breaks a rule, or the gateway drains.
pub async fn serve(socket: WebSocket, deps: Arc<Deps>, identity: Option<Identity>, clock: Clock, line: Line, drain: Drain) {
    deps.metrics.client_connections.inc();
    let mut out = ClientOut::default();
    let session = match identity {
        Some(identity) => ClientSession::with_identity(Arc::clone(&deps), identity, clock.now(), &mut out),
        None => ClientSession::new(Arc::clone(&deps), clock.now()),
    };
    let mut conn = Conn { socket, session, deps: Arc::clone(&deps), clock, line, fresher: None, out };
    let close = conn.run(&drain).await;
    if let Some((code, reason)) = close {
        deps.metrics.client_closes.get_or_create(&CodeLabels { code: code.number() }).inc();
        tracing::debug!(code = code.number(), reason, "client closed by the gateway");
        let frame = CloseFrame { code: code.number(), reason: reason.into() };
        let farewell = async {
            if conn.socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Until the peer's close arrives, so that ours is not overtaken by a reset.
                while let Some(Ok(_)) = conn.socket.next().await {}
            }
        };
        _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
    }
    deps.metrics.client_connections.dec();
}

struct Conn {
    socket: WebSocket,
    session: ClientSession,
    deps: Arc<Deps>,
    clock: Clock,
    line: Line,
    /// The fetch of keys that a token waits for.
    fresher: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    out: ClientOut,
}

type Close = Option<(CloseCode, &'static str)>;

impl Conn {
    /// `Some`: close with that code. `None`: the peer is gone.
    async fn run(&mut self, drain: &Drain) -> Close {
        let waker = self.session.waker();
        loop {
            if let Err(close) = self.write_all().await {
                return close;
            }
            if self.line.waiting.is_some() && self.session.user().is_some() {
                self.line.waiting = None;
            }
            let deadline = self.session.deadline(self.clock.now());
            let keys = async {
                match &mut self.fresher {
                    Some(fresher) => fresher.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = drain.begun.cancelled() => {
                    self.session.on_drain(self.clock.now(), drain.reconnect_within_ms, &mut self.out);
                    if let Err(close) = self.write_all().await {
                        return close;
                    }
                    return Some((CloseCode::Draining, "draining"));
                }
                message = self.socket.next() => {
                    if let Err(close) = self.on_message(message) {
                        return close;
                    }
                }
                () = keys => {
                    self.fresher = None;
                    self.session.on_keys(self.clock.now(), &mut self.out);
                }
                () = waker.woken() => self.session.on_wake(self.clock.now(), &mut self.out),
                () = self.clock.wait_until(deadline) => self.session.on_timeout(self.clock.now(), &mut self.out),
            }
        }
    }

    fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Close> {
        let now = self.clock.now();
        match message {
            Some(Ok(Message::Text(text))) => self.session.on_text(now, &text, &mut self.out),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.session.on_heard(now),
            Some(Ok(Message::Binary(_))) => return Err(Some((CloseCode::ProtocolError, "frames are text"))),
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(error)) => return Err(read_error(&error)),
        }
        Ok(())
    }

    /// Writes what the session put out, and what came to be told meanwhile, until there is nothing.
    async fn write_all(&mut self) -> Result<(), Close> {
        loop {
            let mut out = std::mem::take(&mut self.out);
            if let Some(fresher) = out.keys.take() {
                self.fresher = Some(Box::pin(fresher.wait()));
            }
            let close = out.close;
            let wrote = !out.frames.is_empty();
            if wrote || out.ping {
                self.write(out).await?;
            }
            if close.is_some() {
                return Err(close);
            }
            if !wrote {
                return Ok(());
            }
            self.session.on_wake(self.clock.now(), &mut self.out);
        }
    }

    async fn write(&mut self, out: ClientOut) -> Result<(), Close> {
        let metrics = &self.deps.metrics;
        metrics.client_bytes.inc_by(out.frames.iter().map(|text| text.len() as u64).sum());
        let socket = &mut self.socket;
        let write = async {
            for text in out.frames {
                socket.feed(Message::Text(text)).await?;
            }
            if out.ping {
                socket.feed(Message::Ping(Vec::new().into())).await?;
            }
            socket.flush().await
        };
        let stalled = stalled(&self.line.taken, Duration::from_millis(self.deps.limits.write_stall_ms));
        let over = over(&self.session, self.clock);
        tokio::select! {
            written = write => written.map_err(|_| None)?,
            close = over => return Err(Some(close)),
            () = stalled => return Err(Some((CloseCode::WriteStall, "the socket took no byte in time"))),
        }
        if let Some(read_at) = out.read_at {
            let micros = self.clock.now().mono.0.saturating_sub(read_at.0);
            metrics.delivery_seconds.0.observe(micros as f64 / 1e6);
        }
        Ok(())
    }
}

/// Ends once the connection has lost its right to go on. A reader that takes a byte now and then could otherwise outlive its token.
async fn over(session: &ClientSession, clock: Clock) -> (CloseCode, &'static str) {
    loop {
        sleep(OVER_CHECK).await;
        if let Some(close) = session.is_over(clock.now()) {
            return close;
        }
    }
}

/// Ends once the socket has taken no byte for `bound`.
async fn stalled(taken: &Taken, bound: Duration) {
    let mut before = taken.total();
    loop {
        sleep(bound).await;
        let after = taken.total();
        if after == before {
            return;
        }
        before = after;
    }
}

/// What a broken read means to the peer, where it can still be told.
fn read_error(error: &axum::Error) -> Close {
    use tokio_tungstenite::tungstenite::Error;
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    match source {
        Some(Error::Capacity(_)) => Some((CloseCode::FrameTooLarge, "the frame is too large")),
        Some(Error::Utf8(_)) => Some((CloseCode::ProtocolError, "the text is no UTF-8")),
        Some(Error::Protocol(_)) => Some((CloseCode::ProtocolError, "not WebSocket")),
        _ => None,
    }
}
