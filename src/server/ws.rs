//! `GET /v1/ws`: from an HTTP request to a served client connection.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::listener::Peer;
use super::{Front, guard, problem, refused};
use crate::client::Place;
use crate::client::conn::{Line, serve};
use crate::protocol::{ErrorCode, SUBPROTOCOL};

/// Read buffer of one connection. Requests are small; tungstenite's default of 128 KiB would be touched for each client.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Frames are gathered up to this size before a write.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

pub(super) async fn upgrade(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    // Before the token is looked at: looking at one costs more than a handshake. Origins are judged before this.
    let identity = match front.take_handshake() {
        Ok(()) => guard::bearer(&front, &headers).await,
        Err(refusal) => Err(refusal),
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(refusal) => return *refusal,
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let message = format!("this is a WebSocket endpoint: {}", rejection.body_text());
            let status = rejection.into_response().status();
            return problem(status, "BAD_REQUEST", &message);
        }
    };
    if front.drain.begun.is_cancelled() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "the gateway is going away; reconnect");
    }
    let (held, waiting) = match places(&front, &headers, &peer, identity.is_none()) {
        Ok(places) => places,
        Err(refusal) => return *refusal,
    };
    let deps = front.deps();
    let bound = deps.limits.max_frame_bytes;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(bound)
        .max_frame_size(bound);
    let line = Line { taken: peer.taken, waiting };
    // The token keeps a drain waiting until the socket is done.
    let held = (front.tasks.hold(), held);
    upgrade.on_upgrade(async move |socket| {
        let _held = held;
        serve(socket, deps, identity, front.clock, line, front.drain.clone()).await;
    })
}

type Held = (Place, super::doors::Entry);

/// What a connection needs: a place among all, one among its address's behind a proxy, and, without a token, one among those who wait.
fn places(front: &Front, headers: &HeaderMap, peer: &Peer, waits: bool) -> Result<(Held, Option<Place>), Box<Response>> {
    let config = front.config();
    let full = |limit, message| {
        front.count_refusal(limit);
        Box::new(refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, message))
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

/// The address nearest to the proxy: what stands before it in the header is the client's own word.
fn forwarded(headers: &HeaderMap) -> Option<std::net::IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}
