//! The connection: dials, shows the token, resumes, watches for silence, renews, obeys close codes. What comes is handed on; it shows nothing.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::address::refusal;
use super::cursor::{Batch, CHANNEL, Cursor, Taken};
use super::text::{Text, clean};
use super::token::TokenSource;
use super::wire::Frame;
use crate::runtime::Backoff;

/// First and longest wait between two attempts.
const BACKOFF_MS: (u64, u64) = (250, 10_000);
/// Until a connection stands, and until it has brought the rows that were asked for.
const CONNECT_MS: u64 = 10_000;
const ROWS_MS: u64 = 15_000;
/// Heartbeats' time without a word after which rows count as unproven, and after which the connection is given up.
const SILENT_AFTER: f64 = 1.5;
const DEAD_AFTER: f64 = 2.5;
/// Until the gateway says otherwise.
const HEARTBEAT_MS: u64 = 15_000;
/// A connection that held rows for so long was a good one: the next wait is short again.
const SETTLED_MS: u64 = 10_000;
/// Resyncs in one connection that did not help.
const MAX_RESYNCS: u32 = 3;
/// Between two looks into the token file.
const LOOK_AGAIN_MS: u64 = 1_000;
/// What may wait to be shown. When it is full nothing more is read, and the gateway conflates.
pub(super) const TOLD: usize = 32;

/// What the feed tells.
#[derive(Debug)]
pub(super) enum Told {
    /// A frame as it came; only where frames are wanted.
    Frame(String),
    Batch(Batch),
    Link(Link),
    /// Something went wrong and is being dealt with.
    Problem(String),
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    /// Rows are what the gateway last said.
    Live,
    /// Connected, but nothing was heard for too long.
    Silent,
    /// The next attempt is so far away.
    Waiting {
        wait_ms: u64,
        why: String,
    },
    /// No attempt before there is another token.
    Token {
        why: String,
    },
}

pub(super) struct Feed<'a> {
    pub url: &'a str,
    pub token: &'a TokenSource,
    /// Hand on the frames themselves.
    pub frames: bool,
    /// Rung by who does not want to wait for the next attempt.
    pub hurry: &'a Notify,
    pub tell: mpsc::Sender<Told>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How one connection ended.
enum End {
    /// Come back and resume; after so long, where the gateway said so.
    Lost { why: String, wait_ms: Option<u64> },
    /// Come back with another token. The one shown is absent where nothing was said against it.
    Refused { why: String, token: Option<SecretString> },
    /// Nobody listens any more.
    Done,
}

fn lost(why: impl std::fmt::Display) -> End {
    End::Lost { why: clean(&why.to_string()), wait_ms: None }
}

/// What belongs to one connection.
struct Conn {
    socket: Socket,
    token: SecretString,
    /// Sent for renewal, not yet answered.
    offered: Option<SecretString>,
    heartbeat_ms: u64,
    resyncs: u32,
    /// When the first rows came.
    live_since: Option<Instant>,
    /// A snapshot was asked for, and is to be here by then.
    rows_due: Option<Instant>,
    /// When to look for a new token.
    renew_at: Option<Instant>,
    reconnect_within_ms: Option<u64>,
    silent: bool,
}

impl Feed<'_> {
    /// Follows until nobody listens.
    ///
    /// # Errors
    /// The gateway says stop, or refuses a token that cannot be renewed; the address or the token file is none.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (mut backoff, mut rng) = (Backoff::new(BACKOFF_MS.0, BACKOFF_MS.1), fastrand::Rng::new());
        let mut cursor = Cursor::default();
        let mut token = self.token.read().await?;
        loop {
            if !self.link(Link::Connecting).await {
                return Ok(());
            }
            let end = self.connection(&mut cursor, token.clone(), &mut backoff).await?;
            cursor.abandon();
            match end {
                End::Done => return Ok(()),
                End::Refused { why, token: refused } => {
                    let Some(refused) = refused else { continue };
                    if !self.token.renews() {
                        bail!("the token is not accepted: {why}; get a new one");
                    }
                    match self.await_token(&refused, why).await {
                        Some(new) => token = new,
                        None => return Ok(()),
                    }
                }
                End::Lost { why, wait_ms } => {
                    let wait_ms = match wait_ms {
                        Some(within) => rng.u64(0..=within),
                        None => backoff.next(&mut rng),
                    };
                    if !self.link(Link::Waiting { wait_ms, why }).await {
                        return Ok(());
                    }
                    tokio::select! {
                        () = sleep(Duration::from_millis(wait_ms)) => {}
                        () = self.hurry.notified() => {}
                        () = self.tell.closed() => return Ok(()),
                    }
                    // A file that cannot be read right now may still hold what we have.
                    token = self.token.read().await.unwrap_or(token);
                }
            }
        }
    }

    /// False when nobody listens any more.
    async fn link(&self, link: Link) -> bool {
        self.tell.send(Told::Link(link)).await.is_ok()
    }

    /// Waits for another token; `None` when nobody listens any more.
    async fn await_token(&self, refused: &SecretString, why: String) -> Option<SecretString> {
        if let Some(new) = self.token.another(refused).await {
            return Some(new);
        }
        self.link(Link::Token { why }).await;
        loop {
            tokio::select! {
                () = sleep(Duration::from_millis(LOOK_AGAIN_MS)) => {}
                () = self.hurry.notified() => {}
                () = self.tell.closed() => return None,
            }
            if let Some(new) = self.token.another(refused).await {
                return Some(new);
            }
        }
    }

    async fn connection(&self, cursor: &mut Cursor, token: SecretString, backoff: &mut Backoff) -> anyhow::Result<End> {
        let mut request = self.url.into_client_request().context("--url: wants ws://host:port/v1/ws")?;
        request.headers_mut().insert("sec-websocket-protocol", "balances.v1".parse().context("a fixed header")?);
        let connecting = timeout(Duration::from_millis(CONNECT_MS), tokio_tungstenite::connect_async(request));
        let connected = tokio::select! {
            connected = connecting => connected,
            () = self.tell.closed() => return Ok(End::Done),
        };
        let socket = match connected {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return Ok(lost(refusal(self.url, &error))),
            Err(_) => return Ok(lost("no connection in time")),
        };
        let mut conn = Conn {
            socket,
            token,
            offered: None,
            heartbeat_ms: HEARTBEAT_MS,
            resyncs: 0,
            live_since: None,
            rows_due: None,
            renew_at: None,
            reconnect_within_ms: None,
            silent: false,
        };
        let end = self.converse(cursor, &mut conn).await?;
        if conn.live_since.is_some_and(|since| since.elapsed() > Duration::from_millis(SETTLED_MS)) {
            backoff.reset();
        }
        Ok(end)
    }

    async fn converse(&self, cursor: &mut Cursor, conn: &mut Conn) -> anyhow::Result<End> {
        let auth = json!({ "type": "auth_token", "id": "auth", "token": conn.token.expose_secret() });
        let mut subscribe = json!({ "type": "subscribe", "id": "subscribe", "channel": CHANNEL });
        if let Some(since) = cursor.since() {
            subscribe["since"] = since;
        }
        for request in [auth, subscribe] {
            if let Err(error) = send(conn, request).await {
                return Ok(lost(error));
            }
        }
        conn.rows_due = Some(Instant::now() + Duration::from_millis(ROWS_MS));
        let mut heard = Instant::now();
        loop {
            let bound = if conn.silent { DEAD_AFTER } else { SILENT_AFTER };
            let quiet_until = heard + Duration::from_millis(conn.heartbeat_ms).mul_f64(bound);
            let deadline = conn.rows_due.map_or(quiet_until, |due| due.min(quiet_until));
            let renew_at = conn.renew_at;
            let renewal = async {
                match renew_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.tell.closed() => return Ok(End::Done),
                () = renewal => self.renew(conn).await,
                message = timeout_at(deadline, conn.socket.next()) => match message {
                    Ok(message) => {
                        heard = Instant::now();
                        if let Some(end) = self.receive(cursor, conn, message).await? {
                            return Ok(end);
                        }
                    }
                    Err(_) if conn.rows_due.is_some_and(|due| due <= deadline) => return Ok(lost("no rows in time")),
                    Err(_) if conn.silent => return Ok(lost("nothing was heard for too long")),
                    Err(_) => {
                        conn.silent = true;
                        self.link(Link::Silent).await;
                    }
                },
            }
        }
    }

    /// Takes what came; `Some` where it ends the connection.
    async fn receive(
        &self,
        cursor: &mut Cursor,
        conn: &mut Conn,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> anyhow::Result<Option<End>> {
        if conn.silent {
            conn.silent = false;
            self.link(if conn.rows_due.is_none() { Link::Live } else { Link::Connecting }).await;
        }
        match message {
            Some(Ok(Message::Text(text))) => self.frame(cursor, conn, &text).await,
            Some(Ok(Message::Close(close))) => Ok(Some(closed(conn, close)?)),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Ok(Some(lost(error))),
            None => Ok(Some(lost("the connection ended"))),
        }
    }

    async fn frame(&self, cursor: &mut Cursor, conn: &mut Conn, text: &str) -> anyhow::Result<Option<End>> {
        if self.frames && self.tell.send(Told::Frame(text.to_owned())).await.is_err() {
            return Ok(Some(End::Done));
        }
        let mut frame: Frame = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => return Ok(Some(lost(format_args!("the gateway sent no frame of this protocol: {error}")))),
        };
        match frame.r#type.as_str() {
            "auth_result" if frame.success == Some(true) => {
                conn.heartbeat_ms = frame.heartbeat_ms.filter(|ms| *ms > 0).unwrap_or(HEARTBEAT_MS);
                conn.token = conn.offered.take().unwrap_or_else(|| conn.token.clone());
                conn.renew_at = None;
            }
            "auth_result" => {
                let why = frame.error.take().map_or_else(String::new, |error| format!("{}: {}", error.code, error.message));
                let token = Some(conn.offered.take().unwrap_or_else(|| conn.token.clone()));
                return Ok(Some(End::Refused { why, token }));
            }
            "auth_expiring" => conn.renew_at = Some(Instant::now()),
            "draining" => conn.reconnect_within_ms = frame.reconnect_within_ms,
            "error" => return self.refused(conn, &frame).await,
            _ => {}
        }
        match cursor.take(frame) {
            Taken::Nothing => Ok(None),
            Taken::Gap => self.resync(conn).await,
            Taken::Batch(batch) => {
                let first = conn.rows_due.take().is_some();
                conn.live_since.get_or_insert_with(Instant::now);
                // The rows go first: they are live only with these.
                let told = self.tell.send(Told::Batch(batch)).await.is_ok() && (!first || self.link(Link::Live).await);
                Ok((!told).then_some(End::Done))
            }
        }
    }

    async fn resync(&self, conn: &mut Conn) -> anyhow::Result<Option<End>> {
        conn.resyncs += 1;
        if conn.resyncs > MAX_RESYNCS {
            return Ok(Some(lost("frames keep missing")));
        }
        // Until the snapshot is here no row is proven.
        conn.rows_due = Some(Instant::now() + Duration::from_millis(ROWS_MS));
        self.link(Link::Connecting).await;
        let request = json!({ "type": "resync", "id": "resync", "channel": CHANNEL });
        Ok(send(conn, request).await.err().map(lost))
    }

    /// An error frame. Those that answer neither subscribe nor resync are told, and that is all.
    async fn refused(&self, conn: &Conn, frame: &Frame) -> anyhow::Result<Option<End>> {
        let part = |text: &Option<Text>| text.clone().unwrap_or_default();
        let why = format!("{}: {}", part(&frame.code), part(&frame.message));
        let ours = matches!(frame.id.as_ref().and_then(Value::as_str), Some("subscribe" | "resync"));
        match frame.retry.as_deref() {
            _ if !ours => {}
            Some("never") => bail!("the gateway refuses: {why}"),
            Some("reauth") => return Ok(Some(End::Refused { why, token: Some(conn.token.clone()) })),
            _ => return Ok(Some(lost(why))),
        }
        let told = self.tell.send(Told::Problem(why)).await.is_ok();
        Ok((!told).then_some(End::Done))
    }

    /// Offers another token on the standing connection, where there is one by now.
    async fn renew(&self, conn: &mut Conn) {
        conn.renew_at = None;
        if !self.token.renews() {
            return;
        }
        conn.renew_at = Some(Instant::now() + Duration::from_millis(LOOK_AGAIN_MS));
        let known = conn.offered.as_ref().unwrap_or(&conn.token);
        if let Some(token) = self.token.another(known).await {
            let auth = json!({ "type": "auth_token", "id": "auth", "token": token.expose_secret() });
            conn.offered = Some(token);
            // A socket that takes nothing is found by its silence.
            let _ = send(conn, auth).await;
        }
    }
}

async fn send(conn: &mut Conn, request: Value) -> anyhow::Result<()> {
    timeout(Duration::from_millis(CONNECT_MS), conn.socket.send(Message::text(request.to_string())))
        .await
        .context("the socket takes nothing")?
        .context("sending")
}

/// What a close code asks for, by its band.
fn closed(conn: &mut Conn, close: Option<CloseFrame>) -> anyhow::Result<End> {
    let Some(close) = close else { return Ok(lost("the connection was closed")) };
    let code = u16::from(close.code);
    let why = format!("{code} {}", clean(&close.reason));
    Ok(match code {
        4000..=4099 => bail!("the gateway says stop: {why}"),
        // Too slow to show it (4102) says nothing against the token.
        4102 => lost(why),
        4100..=4199 => End::Refused { why, token: Some(conn.offered.take().unwrap_or_else(|| conn.token.clone())) },
        4300..=4399 => End::Lost { why, wait_ms: conn.reconnect_within_ms },
        _ => lost(why),
    })
}
