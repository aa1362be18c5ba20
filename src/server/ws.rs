//! `GET /v1/ws`: from an HTTP request to a served client connection.
//!
//! The handshake is answered here and the socket taken back from the HTTP server, so that the hub's frames go to it directly.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::listener::Peer;
use super::metered::Metered;
use super::{Front, guard, later, problem, refused};
use crate::client::conn::{Line, serve};
use crate::client::{Place, Socket, Stream};
use crate::protocol::{ErrorCode, SUBPROTOCOL};
use crate::runtime::Policy;

pub(super) async fn upgrade(
    State(front): State<Arc<Front>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    // Before the token is looked at: looking at one costs more than a handshake. Origins are judged before this.
    let identity = match front.take_handshake(&peer, headers) {
        Ok(()) => guard::bearer(&front, headers).await,
        Err(refusal) => Err(refusal),
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(refusal) => return *refusal,
    };
    let accept = match accept(headers) {
        Ok(accept) => accept,
        Err(missing) => {
            let message = format!("this is a WebSocket endpoint: {missing}");
            let mut response = problem(StatusCode::BAD_REQUEST, "BAD_REQUEST", &message);
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return response;
        }
    };
    if front.drain.has_begun() {
        return going_away();
    }
    let (held, waiting) = match places(&front, headers, &peer, identity.is_none()) {
        Ok(places) => places,
        Err(refusal) => return *refusal,
    };
    let speaks = offers(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let (deps, upgrading) = (front.deps(), hyper::upgrade::on(&mut request));
    front.clone().tasks.spawn("client socket", Policy::Detached, async move {
        let _held = held;
        // The peer may leave before it is answered.
        let Some((stream, answer, read)) = upgrading.await.ok().and_then(take_back) else { return };
        serve(Line { stream, answer, read, waiting }, deps, identity, front.clock, front.drain.clone()).await;
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if speaks {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    response
}

/// The socket, with the answer that waits to be written, and what came after the handshake.
fn take_back(upgraded: hyper::upgrade::Upgraded) -> Option<(Stream, Bytes, Bytes)> {
    match upgraded.downcast::<TokioIo<Metered<Socket>>>() {
        Ok(parts) => {
            let (socket, pass, answer) = parts.io.into_inner().into_parts();
            Some((Stream::plain(socket, pass), answer, parts.read_buf))
        }
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TlsStream<Metered<Socket>>>>().ok()?;
            let tls = parts.io.into_inner();
            Some((Stream::layered(tls.get_ref().0.get_ref().clone(), tls), Bytes::new(), parts.read_buf))
        }
    }
}

type Held = (Place, super::doors::Entry);

/// What a connection needs: a place among all, one among its address's behind a proxy, and, without a token, one among those who wait.
pub(super) fn places(
    front: &Front,
    headers: &HeaderMap,
    peer: &Peer,
    waits: bool,
) -> Result<(Held, Option<Place>), Box<Response>> {
    let config = front.config();
    let full = |limit, message| {
        front.count_refusal(limit);
        Box::new(later(refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, message)))
    };
    let place = front.open.take(config.max_connections);
    let place = place.ok_or_else(|| full("connections", "all connections are taken; try later"))?;
    let entry = front.doors.enter_behind(peer.addr, forwarded(headers));
    let entry = entry.ok_or_else(|| full("address", super::TOO_MANY_FROM_ADDRESS))?;
    let waiting = waits.then(|| {
        let message = "too many connections wait for a token; send it with the upgrade, or try later";
        front.waiting.take(config.max_unauthenticated).ok_or_else(|| full("unauthenticated", message))
    });
    Ok(((place, entry), waiting.transpose()?))
}

/// What a request for a connection is told while clients are asked to leave.
pub(super) fn going_away() -> Response {
    later(problem(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "the gateway is going away; reconnect"))
}

/// The address nearest to the proxy: what stands before it in the header is the client's own word.
pub(super) fn forwarded(headers: &HeaderMap) -> Option<std::net::IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}

/// The answer to the client's key (RFC 6455, section 4.2), or what its request lacks.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
    if !offers(headers, &CONNECTION, "upgrade") || !offers(headers, &UPGRADE, "websocket") {
        return Err("send Connection: Upgrade and Upgrade: websocket");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("send Sec-WebSocket-Version: 13");
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or("send Sec-WebSocket-Key")?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| "Sec-WebSocket-Key cannot be used")
}

/// Is the word in a header's comma-separated list?
fn offers(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|entry| entry.trim().eq_ignore_ascii_case(word))
}
