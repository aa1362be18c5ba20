//! Moves bytes for one [`Link`] over a WebSocket and REST. The only file that dials a venue.
//!
//! It decides nothing: it feeds the link and carries out its commands. One task an account.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use tokio_util::sync::CancellationToken;

use super::link::{Command, DialError, Link};
use super::{Call, CallError, CallId, Frame, Handshake, Reply};
use crate::model::Now;
use crate::runtime::{Alarm, Clock};

/// Longest time for TCP, TLS and the WebSocket handshake together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A venue that takes no byte for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest message taken from a venue: a snapshot of 100,000 rows is about 10 MiB.
const MAX_MESSAGE_BYTES: usize = 32 << 20;
/// Largest REST answer.
const MAX_REPLY_BYTES: usize = 32 << 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What every connection dials with.
#[derive(Clone)]
pub struct Net {
    pub http: reqwest::Client,
    pub tls: Arc<rustls::ClientConfig>,
}

impl Net {
    /// Follows no redirect: a signed request is for the host it was signed for.
    ///
    /// # Errors
    /// The client cannot be made of these settings.
    pub fn new(tls: Arc<rustls::ClientConfig>) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(DIAL_TIMEOUT)
            .user_agent(concat!("balance-gateway/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&tls))
            .build()?;
        Ok(Self { http, tls })
    }
}

/// What others may ask of a running connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Resync,
    CredentialsChanged,
    /// The machine slept.
    Slept,
}

/// Runs a link until `stop`. The requests of an ended connection are dropped with it. A panic ends the connection, not the account:
/// its rows read `stale` and another connection is made, after the usual wait.
pub async fn run(mut link: Link, clock: Clock, net: Net, mut asks: mpsc::Receiver<Ask>, stop: CancellationToken) {
    let base: Arc<str> = Arc::from(link.rest_url());
    loop {
        let wire = Wire { socket: None, calls: FuturesUnordered::new(), net: net.clone(), base: Arc::clone(&base) };
        // A session that panicked is dropped by the link; nothing else is shared but by locks that do not poison.
        let run = AssertUnwindSafe(run_wire(&mut link, wire, &clock, &mut asks, &stop)).catch_unwind().await;
        if run.is_ok() {
            return;
        }
        tracing::error!(parent: link.span(), "a venue connection panicked; it is made anew");
        // The wire is gone with its socket, so what the link says of it is done already.
        link.on_panic(clock.now(), &mut Vec::new());
    }
}

async fn run_wire(link: &mut Link, mut wire: Wire, clock: &Clock, asks: &mut mpsc::Receiver<Ask>, stop: &CancellationToken) {
    let (mut commands, mut alarm) = (Vec::new(), Alarm::new(*clock));
    // A frame comes many thousand times for once that anything else does: it is not to pay for their being set up.
    let mut stopped = std::pin::pin!(stop.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => {
                link.stop(&mut commands);
                wire.hang_up().await;
                return;
            }
            Some((id, reply)) = wire.calls.next(), if !wire.calls.is_empty() => {
                let reply = reply.as_ref().map(|(status, body)| Reply { status: *status, body }).map_err(|e| *e);
                link.on_reply(clock.now(), id, reply, &mut commands);
            }
            Some(ask) = asks.recv() => match ask {
                Ask::Resync => link.resync(clock.now(), &mut commands),
                Ask::CredentialsChanged => link.on_credentials(clock.now(), &mut commands),
                Ask::Slept => link.on_slept(clock.now(), &mut commands),
            },
            frame = next_frame(&mut wire.socket) => {
                let now = clock.now();
                on_frame(link, &mut wire, now, frame, &mut commands);
                // A venue that never pauses must not keep the timer from being heard. The frame goes first: it is proof of life.
                link.on_timer(now, &mut commands);
            }
            () = alarm.wait_until(link.deadline()) => link.on_timer(clock.now(), &mut commands),
        }
        if wire.carry_out(link, clock, stop, &mut commands).await.is_break() {
            link.stop(&mut commands);
            return;
        }
    }
}

fn on_frame(link: &mut Link, wire: &mut Wire, now: Now, frame: Option<Result<Message, Error>>, commands: &mut Vec<Command>) {
    match frame {
        Some(Ok(Message::Text(text))) => link.on_frame(now, Frame::Text(&text), commands),
        Some(Ok(Message::Binary(bytes))) => link.on_frame(now, Frame::Binary(&bytes), commands),
        Some(Ok(Message::Ping(_))) => link.on_frame(now, Frame::Ping, commands),
        Some(Ok(Message::Pong(_))) => link.on_frame(now, Frame::Pong, commands),
        Some(Ok(Message::Frame(_))) => {}
        Some(Ok(Message::Close(close))) => {
            wire.drop_connection();
            link.on_closed(now, close.map(|c| c.code.into()));
        }
        Some(Err(_)) | None => {
            wire.drop_connection();
            link.on_closed(now, None);
        }
    }
}

async fn next_frame(socket: &mut Option<Socket>) -> Option<Result<Message, Error>> {
    match socket {
        Some(socket) => socket.next().await,
        None => std::future::pending().await,
    }
}

/// The socket and the calls of the present connection.
struct Wire {
    socket: Option<Socket>,
    calls: FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>>,
    net: Net,
    base: Arc<str>,
}

type Answer = (CallId, Result<(u16, Vec<u8>), CallError>);

impl Wire {
    /// Carries out commands, and those that follow from them. Breaks when asked to stop while dialing.
    async fn carry_out(
        &mut self,
        link: &mut Link,
        clock: &Clock,
        stop: &CancellationToken,
        commands: &mut Vec<Command>,
    ) -> std::ops::ControlFlow<()> {
        while !commands.is_empty() {
            let mut failed = false;
            for command in std::mem::take(commands) {
                match command {
                    // One write that times out is enough: the liveness bound is running.
                    Command::Send(_) | Command::Ping if failed => {}
                    Command::Send(text) => failed = self.write(Message::text(text)).await.is_err(),
                    Command::Ping => failed = self.write(Message::Ping(Vec::new().into())).await.is_err(),
                    Command::Call(call) => {
                        self.calls.push(Box::pin(request(self.net.http.clone(), Arc::clone(&self.base), call)));
                    }
                    Command::Hangup => self.hang_up().await,
                    Command::Dial(handshake) => {
                        let dialed = tokio::select! {
                            () = stop.cancelled() => return std::ops::ControlFlow::Break(()),
                            dialed = dial(handshake, Arc::clone(&self.net.tls)) => dialed,
                        };
                        let result = dialed.map(|socket| self.socket = Some(socket));
                        link.on_dialed(clock.now(), result, commands);
                    }
                }
            }
            if failed && self.socket.is_some() {
                self.drop_connection();
                link.on_closed(clock.now(), None);
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    async fn write(&mut self, message: Message) -> Result<(), ()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        match timeout(WRITE_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(()),
        }
    }

    fn drop_connection(&mut self) {
        self.socket = None;
        self.calls.clear();
    }

    async fn hang_up(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            // Courtesy only: a venue that does not take our close is left alone.
            _ = timeout(Duration::from_millis(500), socket.close(None)).await;
        }
        self.calls.clear();
    }
}

async fn dial(handshake: Handshake, tls: Arc<rustls::ClientConfig>) -> Result<Socket, DialError> {
    let mut request = handshake.url.as_str().into_client_request().map_err(|_| DialError::BadAddress)?;
    for (name, value) in handshake.headers {
        let mut value = HeaderValue::from_str(&value).map_err(|_| DialError::BadAddress)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    // The library writes zeros over all of the buffer before each read, so it is no larger than most messages.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    match timeout(DIAL_TIMEOUT, connect_async_tls_with_config(request, Some(config), true, Some(Connector::Rustls(tls)))).await
    {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(response))) => Err(DialError::Refused(response.status().as_u16())),
        Ok(Err(Error::Url(_))) => Err(DialError::BadAddress),
        _ => Err(DialError::Unreachable),
    }
}

async fn request(http: reqwest::Client, base: Arc<str>, call: Call) -> Answer {
    let method = reqwest::Method::from_bytes(call.method.as_bytes()).expect("sessions use HTTP's own methods");
    let mut request = http.request(method, format!("{base}{}", call.path)).timeout(Duration::from_millis(call.timeout_ms));
    for (name, value) in call.headers {
        let Ok(mut value) = reqwest::header::HeaderValue::from_str(&value) else {
            return (call.id, Err(CallError::Unreachable));
        };
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    (call.id, answer(request.body(call.body)).await)
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), CallError> {
    let failed = |e: reqwest::Error| if e.is_timeout() { CallError::Timeout } else { CallError::Unreachable };
    let mut response = request.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body))
}

#[cfg(test)]
mod tests;
