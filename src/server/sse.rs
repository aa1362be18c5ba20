//! `GET /v1/stream/balances`: the frames of the WebSocket as Server-Sent Events.
//!
//! One client session, driven by the response body: hyper asks for the next piece when the socket takes one, so a slow reader is
//! conflated here, too. The event's name is the frame's type; its id, `epoch:gsn`, comes back as `Last-Event-ID` and resumes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use super::listener::Peer;
use super::{Front, guard, later, refused, ws};
use crate::client::{ClientOut, ClientSession};
use crate::hub::Waker;
use crate::model::{Channel, Filter, Mono};
use crate::protocol::{self, CloseCode, ErrorCode, Since, Subscribe, WireText};

type Pairs = Query<Vec<(String, String)>>;

pub(super) async fn balances(
    State(front): State<Arc<Front>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(pairs): Pairs,
) -> Response {
    let identity = match front.take_handshake(&peer, &headers) {
        Ok(()) => guard::identity(&front, &headers).await,
        Err(refusal) => Err(refusal),
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(refusal) => return *refusal,
    };
    let filter = match Filter::from_query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        Ok(filter) => filter,
        Err(message) => return refused(StatusCode::BAD_REQUEST, ErrorCode::BadFilter, &message),
    };
    if front.drain.has_begun() {
        return ws::going_away();
    }
    let (places, _) = match ws::places(&front, &headers, &peer, false) {
        Ok(places) => places,
        Err(refusal) => return *refusal,
    };
    let (now, mut out) = (front.clock.now(), ClientOut::default());
    let mut session = ClientSession::with_identity(front.deps(), identity, now, &mut out);
    if session.user().is_none() {
        let message = "all connections of this user are taken; close one or try later";
        return later(refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, message));
    }
    let waker = session.waker();
    out = ClientOut::default(); // who the user is, an event stream's reader knows
    let since = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(since);
    let subscribe = Subscribe { channel: Channel::Balances, filter, max_rate_hz: None, since };
    session.subscribe(now, None, subscribe, &mut out);
    let held = (front.tasks.hold(), places);
    let mut events = Events { session, waker, ready: VecDeque::new(), leave: None, over: false, front };
    events.take(out);
    let body = unfold((events, held), |(mut events, held)| async move {
        let next = events.next().await?;
        Some((Ok::<_, Infallible>(next), (events, held)))
    });
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(body)).into_response()
}

/// `epoch:gsn`. Anything else is treated as no id: the reader gets a snapshot.
fn since(id: &str) -> Option<Since> {
    let (epoch, gsn) = id.rsplit_once(':')?;
    Some(Since { epoch: epoch.to_owned(), gsn: gsn.parse().ok()? })
}

struct Events {
    session: ClientSession,
    waker: Arc<Waker>,
    /// Of one answer, not taken yet; each with the id that its event has.
    ready: VecDeque<(WireText, Option<String>)>,
    /// When the stream has to end, once the gateway drains.
    leave: Option<Mono>,
    over: bool,
    front: Arc<Front>,
}

impl Events {
    /// The next piece of the body. `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        let front = Arc::clone(&self.front);
        loop {
            let now = front.clock.now();
            // However slowly it reads, it is told nothing beyond its right to be told.
            if let Some(close) = self.session.over(now).filter(|_| !self.over) {
                self.ready.clear();
                self.take(ClientOut { close: Some(close), ..ClientOut::default() });
            }
            if let Some((frame, id)) = self.ready.pop_front() {
                return Some(event(&frame, id.as_deref()));
            }
            if self.over || self.leave.is_some_and(|at| at <= now.mono) {
                return None;
            }
            let mut out = ClientOut::default();
            self.session.on_wake(now, &mut out);
            if !out.is_empty() {
                self.take(out);
                continue;
            }
            let deadline = self.session.deadline(now);
            let deadline = self.leave.map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                () = front.drain.begun(), if self.leave.is_none() => {
                    let within_ms = front.drain.share_ms();
                    self.session.on_drain(now, within_ms, &mut out);
                    self.leave = Some(now.mono.plus_ms(within_ms));
                }
                () = self.waker.woken() => {}
                () = front.clock.wait_until(deadline) => {
                    let now = front.clock.now();
                    self.session.on_heard(now); // an event stream has no pongs; a dead peer shows in the writes
                    self.session.on_timeout(now, &mut out);
                }
            }
            self.take(out);
        }
    }

    fn take(&mut self, out: ClientOut) {
        let position = self.session.position(Channel::Balances);
        let last = out.frames.len().saturating_sub(1);
        for (i, frame) in out.frames.iter().enumerate() {
            let id = position.as_ref().filter(|_| i == last).map(|(epoch, gsn)| format!("{epoch}:{gsn}"));
            self.ready.push_back((frame.clone(), id));
        }
        if let Some((code, reason)) = out.close {
            let error = if code == CloseCode::TokenExpired { ErrorCode::TokenExpired } else { ErrorCode::TokenInvalid };
            self.ready.push_back((WireText::new(&protocol::error(None, error, reason)), None));
            self.over = true;
        }
    }
}

/// One frame as an event. Frames are one line of JSON, so one `data:` line holds them.
fn event(frame: &WireText, id: Option<&str>) -> Bytes {
    let text = frame.text();
    let kind = text.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next()).unwrap_or("message");
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {kind}\n{id}data: {text}\n\n").into()
}
