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
use super::{Front, guard, problem, refused, ws};
use crate::client::{ClientOut, ClientSession};
use crate::hub::Waker;
use crate::model::{Channel, Filter};
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
    if front.drain.begun.is_cancelled() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "the gateway is going away; reconnect");
    }
    let (places, _) = match ws::places(&front, &headers, &peer, false) {
        Ok(places) => places,
        Err(refusal) => return *refusal,
    };
    let (now, mut out) = (front.clock.now(), ClientOut::default());
    let mut session = ClientSession::with_identity(front.deps(), identity, now, &mut out);
    if session.user().is_none() {
        let message = "all connections of this user are taken; close one or try later";
        return refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, message);
    }
    let waker = session.waker();
    out = ClientOut::default(); // who the user is, an event stream's reader knows
    let since = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(since);
    let subscribe = Subscribe { channel: Channel::Balances, filter, max_rate_hz: None, since };
    session.subscribe(now, None, subscribe, &mut out);
    let held = (front.tasks.hold(), places);
    let mut events = Events { session, waker, ready: VecDeque::new(), over: false, front };
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
    /// Events of one answer, not taken yet.
    ready: VecDeque<Bytes>,
    over: bool,
    front: Arc<Front>,
}

impl Events {
    /// The next piece of the body. `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        let front = Arc::clone(&self.front);
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let mut out = ClientOut::default();
            self.session.on_wake(front.clock.now(), &mut out);
            if !out.is_empty() {
                self.take(out);
                continue;
            }
            let deadline = self.session.deadline(front.clock.now());
            tokio::select! {
                () = front.drain.begun.cancelled() => {
                    self.session.on_drain(front.clock.now(), front.drain.reconnect_within_ms, &mut out);
                    self.over = true;
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
            self.ready.push_back(event(frame, id.as_deref()));
        }
        if let Some((code, reason)) = out.close {
            let error = if code == CloseCode::TokenExpired { ErrorCode::TokenExpired } else { ErrorCode::TokenInvalid };
            self.ready.push_back(event(&WireText::new(&protocol::error(None, error, reason)), None));
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
