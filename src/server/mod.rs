//! The two listeners: clients (WebSocket, REST, dashboard) and operators (health, metrics, admin).
//!
//! Handlers check the token, the origin and the bounds; what a client then sees is the hub's and the session's matter.

pub mod admin;
mod config;
mod dashboard;
mod guard;
mod listener;
mod rest;
mod sse;
mod ws;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::client::Deps;
use crate::client::conn::Drain;
use crate::protocol::ErrorCode;
use crate::runtime::{Clock, Tasks};

pub use config::Config;
pub use listener::serve;

/// What the client-facing handlers share.
pub struct Front {
    pub deps: Arc<Deps>,
    pub clock: Clock,
    pub tasks: Tasks,
    pub drain: Drain,
    pub allowed_origins: Vec<String>,
    pub max_connections: usize,
    pub open: AtomicUsize,
}

impl Front {
    /// Takes a place among the open sockets; `None` when all are taken.
    fn take_place(self: &Arc<Self>) -> Option<Place> {
        let taken = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (taken < self.max_connections).then_some(place)
    }
}

/// One place among the open sockets, given back when dropped.
struct Place(Arc<Front>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The routes of the client listener.
pub fn routes(front: Arc<Front>) -> Router {
    Router::new()
        .route("/v1/ws", get(ws::upgrade))
        .route("/v1/balances", get(rest::balances))
        .route("/v1/accounts", get(rest::accounts))
        .route("/v1/orders", get(rest::orders))
        .merge(dashboard::routes())
        .route("/v1/stream/balances", get(sse::balances))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here; see docs/protocol.md") })
        .method_not_allowed_fallback(wrong_method)
        .with_state(front)
}

/// A route that is there, asked in a way that is not.
async fn wrong_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this route is not asked that way; see docs/protocol.md")
}

/// An HTTP error in the contract's shape.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
    (status, [("content-type", "application/json")], body).into_response()
}

fn refused(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    problem(status, code.as_str(), message)
}

fn json(body: String) -> Response {
    ([("content-type", "application/json"), ("cache-control", "no-store")], body).into_response()
}
