//! `GET /v1/ws`: from an HTTP request to a served client connection.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Front, guard, problem, refused};
use crate::client::conn::{Taken, serve};
use crate::protocol::{ErrorCode, SUBPROTOCOL};

/// Read buffer of one connection. Requests are small; tungstenite's default of 128 KiB would be touched for each client.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Frames are gathered up to this size before a write.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

pub(super) async fn upgrade(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    taken: Option<Extension<Taken>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let identity = match guard::origin(&front, &headers).and_then(|()| guard::bearer(&front, &headers)) {
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
    let Some(place) = front.take_place() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, "all connections are taken; try later");
    };
    let bound = front.deps.limits.max_frame_bytes;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(bound)
        .max_frame_size(bound);
    let taken = taken.map(|Extension(taken)| taken).unwrap_or_default();
    // The token keeps a drain waiting until the socket is done.
    let held = front.tasks.hold();
    upgrade.on_upgrade(async move |socket| {
        let _held = (held, &place);
        let front = &place.0;
        serve(socket, Arc::clone(&front.deps), identity, front.clock, taken, front.drain.clone()).await;
    })
}
