//! `GET /v1/ws`: from an HTTP request to a served client connection.
//!
//! The handshake is answered here and the socket taken back from the HTTP server, so that the hub's frames go to it directly.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Front, guard, problem, refused};
use crate::client::Stream;
use crate::client::conn::serve;
use crate::protocol::{ErrorCode, SUBPROTOCOL};
use crate::runtime::Policy;

pub(super) async fn upgrade(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    let headers = request.headers();
    let identity = match guard::origin(&front, headers).and_then(|()| guard::bearer(&front, headers)) {
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
    if front.drain.begun.is_cancelled() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "the gateway is going away; reconnect");
    }
    let Some(place) = front.take_place() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, "all connections are taken; try later");
    };
    let speaks = offers(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let upgrading = hyper::upgrade::on(&mut request);
    front.tasks.spawn("client socket", Policy::Detached, async move {
        // The peer may leave before it is answered.
        let Ok(upgraded) = upgrading.await else { return };
        let front = &place.0;
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let (stream, deps) = (Stream::Plain(parts.io.into_inner()), Arc::clone(&front.deps));
        serve(stream, parts.read_buf, deps, identity, front.clock, front.drain.clone()).await;
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
