//! The two listeners: clients (WebSocket, REST, dashboard) and operators (health, metrics, admin).
//!
//! Handlers check the token, the origin and the bounds; what a client then sees is the hub's and the session's matter.

pub mod admin;
mod config;
pub mod contract;
mod dashboard;
mod doors;
mod guard;
mod headers;
mod limits;
mod listener;
mod metered;
mod rest;
mod revoke;
mod sse;
mod ws;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;

use crate::client::{Bucket, Deps, Drain, Places};
use crate::metrics::LimitLabels;
use crate::protocol::ErrorCode;
use crate::runtime::{Clock, Tasks};

pub use config::Config;
pub use doors::{Certificate, DoorLimits, Doors, TlsFiles};
use listener::Peer;
pub use listener::serve;

const TOO_MANY_FROM_ADDRESS: &str = "this address has too many connections; close some or try later";
/// Longest time from an operator's request head to its answer.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a pause, this many seconds' worth of handshakes may come at once: clients return together after a restart.
const HANDSHAKE_BURST_SECONDS: u32 = 5;
/// One address may have this part of all handshakes.
const ADDRESS_SHARE: u32 = 4;

/// What the client-facing handlers share.
pub struct Front {
    pub clock: Clock,
    pub tasks: Tasks,
    pub drain: Drain,
    pub doors: Arc<Doors>,
    settings: ArcSwap<Settings>,
    open: Places,
    waiting: Places,
    handshakes: Mutex<Bucket>,
    handshakes_by_address: limits::Shares<IpAddr>,
    requests: limits::Shares<Arc<str>>,
    refusals: limits::Refusals,
}

/// What a reload may change.
struct Settings {
    deps: Arc<Deps>,
    config: Arc<Config>,
}

impl Front {
    pub fn new(deps: Arc<Deps>, config: Config, clock: Clock, tasks: Tasks, drain: Drain, doors: Arc<Doors>) -> Self {
        let now = clock.now().mono;
        let waiting = Places::counted_by(&deps.metrics.client_unauthenticated);
        Self {
            clock,
            tasks,
            drain,
            doors,
            open: Places::default(),
            waiting,
            handshakes: handshakes(&config, &clock).into(),
            handshakes_by_address: limits::Shares::default(),
            requests: limits::Shares::default(),
            refusals: limits::Refusals::new(now),
            settings: ArcSwap::from_pointee(Settings { deps, config: Arc::new(config) }),
        }
    }

    /// Puts other limits in place, for connections and requests to come.
    pub fn reset(&self, deps: Arc<Deps>, config: Config) {
        *self.handshakes.lock() = handshakes(&config, &self.clock);
        self.settings.store(Arc::new(Settings { deps, config: Arc::new(config) }));
    }

    /// What sessions work with, as of now.
    pub fn deps(&self) -> Arc<Deps> {
        Arc::clone(&self.settings.load().deps)
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.settings.load().config)
    }

    fn take_handshake(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let now = self.clock.now().mono;
        // An address first: what it asks for beyond its share must not be taken from the others'.
        let share = (self.config().max_handshakes_per_second / ADDRESS_SHARE).max(1);
        let address = self.doors.client(peer.addr, ws::forwarded(headers));
        let burst = share.saturating_mul(HANDSHAKE_BURST_SECONDS);
        let has_share = address.is_none_or(|address| self.handshakes_by_address.take(&address, share, burst, now));
        if has_share && self.handshakes.lock().take(now) {
            return Ok(());
        }
        Err(self.too_fast("handshakes", "too many connections are being opened; try again in a second"))
    }

    fn take_request(&self, user: &Arc<str>) -> Result<(), Box<Response>> {
        let settings = self.settings.load();
        let (per_second, burst) = (settings.config.max_requests_per_second, settings.config.request_burst);
        if self.requests.take(user, per_second, burst, self.clock.now().mono) {
            return Ok(());
        }
        let message = format!("more than {per_second} requests a second; wait a second, or subscribe instead");
        Err(self.too_fast("requests", &message))
    }

    fn too_fast(&self, limit: &'static str, message: &str) -> Box<Response> {
        self.count_refusal(limit);
        Box::new(later(refused(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, message)))
    }

    fn count_refusal(&self, limit: &'static str) {
        self.settings.load().deps.metrics.client_refusals.get_or_create(&LimitLabels { limit }).inc();
    }
}

fn handshakes(config: &Config, clock: &Clock) -> Bucket {
    let per_second = config.max_handshakes_per_second;
    Bucket::new(per_second, per_second.saturating_mul(HANDSHAKE_BURST_SECONDS), clock.now().mono)
}

/// The routes of the client listener.
pub fn routes(front: Arc<Front>) -> Router {
    let tls = front.doors.certificate.is_some();
    Router::new()
        .route("/v1/ws", get(ws::upgrade))
        .route("/v1/balances", get(rest::balances))
        .route("/v1/accounts", get(rest::accounts))
        .route("/v1/orders", get(rest::orders))
        .merge(dashboard::routes())
        .merge(contract::routes())
        .route("/v1/stream/balances", get(sse::balances))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here; see docs/protocol.md") })
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&front), headers::cors))
        .layer(middleware::from_fn_with_state(Arc::clone(&front), slow_refusals))
        .layer(middleware::from_fn_with_state(tls, headers::secure))
        .with_state(front)
}

/// A route that is there, asked in a way that is not.
async fn wrong_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this route is not asked that way; see docs/protocol.md")
}

/// The routes of the operators' listener, with the headers that every answer carries.
pub fn admin_routes(operator: Arc<dyn admin::Operator>, tls: bool) -> Router {
    in_time(admin::routes(operator)).layer(middleware::from_fn_with_state(tls, headers::secure))
}

/// Requests whose body does not come are not waited for. (The clients' routes read none.)
fn in_time(routes: Router) -> Router {
    routes.layer(middleware::from_fn(|request: Request, next: Next| async move {
        tokio::time::timeout(ADMIN_TIMEOUT, next.run(request))
            .await
            .unwrap_or_else(|_| problem(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the request did not come in time"))
    }))
}

/// Holds refusals back while there are many of them.
async fn slow_refusals(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let refused = matches!(response.status().as_u16(), 401 | 403 | 429 | 503);
    let delay_ms = front.settings.load().config.refusal_delay_ms;
    if let Some((pause, _place)) = refused.then(|| front.refusals.pause(delay_ms, front.clock.now().mono)).flatten() {
        tokio::time::sleep(pause).await;
    }
    response
}

/// An HTTP error in the contract's shape.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
    let mut response = (status, [("content-type", "application/json")], body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2.
        response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
    }
    response
}

fn refused(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    problem(status, code.as_str(), message)
}

/// Says that the same may be granted later.
fn later(mut response: Response) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json(body: String) -> Response {
    ([("content-type", "application/json"), ("cache-control", "no-store")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let routes = in_time(Router::new().route("/", axum::routing::post(|body: Bytes| async move { body })));
        let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let ask = |body| routes.clone().oneshot(Request::post("/").body(body).unwrap());
        assert_eq!(ask(endless).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(ask(Body::from("x")).await.unwrap().status(), StatusCode::OK);
    }
}
