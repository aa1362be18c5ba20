//! The operators' listener: health, metrics, and a few things to do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{json as json_answer, problem, wrong_method};
use crate::access::{Revocation, RevokeError};
use crate::metrics::Metrics;
use crate::model::{AccountState, UnixMs};

/// Largest request body here. Requests are a line.
const MAX_BODY_BYTES: usize = 16 << 10;

/// What the operators' handlers need of the daemon. The one seam between HTTP and the app.
pub trait Operator: Send + Sync + 'static {
    /// Accounts, with their state and its reason.
    fn accounts(&self) -> Vec<AccountHealth>;
    fn is_draining(&self) -> bool;
    fn metrics(&self) -> &Metrics;
    /// Brings gauges that are read rather than counted up to date.
    fn refresh_metrics(&self);
    /// Asks an account's venue for everything anew; false when there is no such running account.
    fn resync(&self, account: &str) -> bool;
    /// Starts the drain, as a stop signal does.
    fn drain(&self);
    /// Reads the configuration again. Reads files and waits for them: not for the event loop.
    ///
    /// # Errors
    /// What is wrong with it; nothing was changed.
    fn reload(&self) -> Result<String, String>;
    /// The log level in force. `None`: this process keeps no log.
    fn log_level(&self) -> Option<String>;
    /// Puts another level (or directives) in force until the process ends; gives the one before.
    ///
    /// # Errors
    /// What to write instead; nothing was changed.
    fn set_log_level(&self, level: &str) -> Result<String, String>;
    fn now(&self) -> UnixMs;
    /// Refuses tokens from now on and closes the connections made with them. May write a file: not for the event loop.
    ///
    /// # Errors
    /// It names nothing that a token can hold, or there is no room.
    fn revoke(&self, revocation: Revocation) -> Result<InForce, RevokeError>;
    /// `None`: nothing that acts is allowed.
    fn token(&self) -> Option<&SecretString>;
}

/// One account for the readiness check.
#[derive(Debug, Clone)]
pub struct AccountHealth {
    pub venue: &'static str,
    pub account: String,
    pub state: AccountState,
    pub reason: Option<(&'static str, String)>,
    /// A complete snapshot was taken since the start.
    pub had_snapshot: bool,
}

/// A revocation that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// How many there are.
    pub held: usize,
    pub kept: Kept,
}

/// Does a revocation outlive the process?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Written,
    /// No: there is nowhere to keep it.
    NoPlace,
    /// No: it could not be written.
    Failed,
}

/// The routes of the admin listener.
pub fn routes(operator: Arc<dyn Operator>) -> Router {
    Router::new()
        .route("/health/live", get(|| async { json_answer(json!({ "status": "live" }).to_string()) }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/reload", post(reload))
        .route("/admin/drain", post(drain))
        .route("/admin/revoke", post(super::revoke::revoke))
        .route("/admin/accounts/{id}/resync", post(resync))
        .route("/admin/log-level", get(log_level).put(set_log_level))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "NOT_FOUND", "see docs/operations.md for the routes here") })
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(operator)
}

type Op = State<Arc<dyn Operator>>;

/// Ready: every enabled account has had a snapshot or is `auth_failed`, and the daemon is not draining.
async fn ready(State(operator): Op) -> Response {
    let waiting = |a: &AccountHealth| !a.had_snapshot && !matches!(a.state, AccountState::AuthFailed | AccountState::Disabled);
    let missing: Vec<_> = operator.accounts().into_iter().filter(waiting).collect();
    let draining = operator.is_draining();
    let ready = missing.is_empty() && !draining;
    let missing: Vec<_> = missing
        .iter()
        .map(|a| {
            let reason = a.reason.as_ref().map(|(code, text)| json!({ "code": code, "text": text }));
            json!({ "venue": a.venue, "account": a.account, "state": a.state.as_str(), "reason": reason })
        })
        .collect();
    let body = json!({ "ready": ready, "draining": draining, "missing": missing }).to_string();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json_answer(body)).into_response()
}

async fn metrics(State(operator): Op) -> Response {
    operator.refresh_metrics();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", content_type)], operator.metrics().render()).into_response()
}

async fn reload(State(operator): Op, headers: HeaderMap) -> Response {
    if let Err(refusal) = allow(&operator, &headers) {
        return *refusal;
    }
    match tokio::task::spawn_blocking(move || operator.reload()).await {
        Ok(Ok(text)) => json_answer(json!({ "reloaded": true, "text": text }).to_string()),
        Ok(Err(text)) => problem(StatusCode::UNPROCESSABLE_ENTITY, "CONFIGURATION", &text),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the reload did not end; see the log"),
    }
}

async fn drain(State(operator): Op, headers: HeaderMap) -> Response {
    act(&operator, &headers, |operator| {
        operator.drain();
        json_answer(json!({ "draining": true }).to_string())
    })
}

async fn resync(State(operator): Op, Path(id): Path<String>, headers: HeaderMap) -> Response {
    act(&operator, &headers, |operator| {
        if operator.resync(&id) {
            return json_answer(json!({ "resync": true }).to_string());
        }
        problem(StatusCode::NOT_FOUND, "NOT_FOUND", "no running account has this id")
    })
}

async fn log_level(State(operator): Op, headers: HeaderMap) -> Response {
    act(&operator, &headers, |operator| json_answer(json!({ "level": operator.log_level() }).to_string()))
}

/// The body is the level itself, as `--log-level` takes it.
async fn set_log_level(State(operator): Op, headers: HeaderMap, body: String) -> Response {
    act(&operator, &headers, |operator| match operator.set_log_level(body.trim()) {
        Ok(was) => json_answer(json!({ "level": body.trim(), "was": was }).to_string()),
        Err(text) => problem(StatusCode::BAD_REQUEST, "BAD_REQUEST", &text),
    })
}

/// Does it, if the request holds the operator token.
fn act(operator: &Arc<dyn Operator>, headers: &HeaderMap, action: impl FnOnce(&dyn Operator) -> Response) -> Response {
    match allow(operator, headers) {
        Ok(()) => action(&**operator),
        Err(refusal) => *refusal,
    }
}

/// Does the request hold the operator token?
///
/// # Errors
/// The answer where it does not.
pub(super) fn allow(operator: &Arc<dyn Operator>, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let Some(wanted) = operator.token() else {
        let message = "no operator token is configured; set server.admin_token";
        return Err(Box::new(problem(StatusCode::FORBIDDEN, "FORBIDDEN", message)));
    };
    let shown = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    if shown.is_some_and(|shown| same_secret(shown.as_bytes(), wanted.expose_secret().as_bytes())) {
        return Ok(());
    }
    let message = "send Authorization: Bearer <operator token>";
    Err(Box::new(problem(StatusCode::UNAUTHORIZED, "NOT_AUTHENTICATED", message)))
}

/// Compares without telling by its time how much was right.
fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
