//! The controls of simulated venues over HTTP, for people and tests: faults, movements, books, the market's pace.
//!
//! On its own listener, which belongs on loopback: whoever reaches it may do anything to the simulators.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{FaultError, SimServer};
use crate::runtime::{Failure, Policy, Tasks};
use crate::venue::sim::Move;

/// Largest body: a movement is a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What `GET /` says.
const ROUTES: &[(&str, &str)] = &[
    ("GET /", "this list, and the venues with their accounts"),
    ("GET /faults", "every fault that can be thrown, by venue"),
    ("POST /fault", "{\"fault\":\"half_open\"} or {\"fault\":\"delay:250\"}; {\"fault\":\"heal\"} ends the network's"),
    ("POST /move", "{\"move\":\"deposit\",\"account\":\"…\",\"wallet\":\"…\",\"asset\":\"…\",\"amount\":\"1.5\"}, and so on"),
    ("GET /book/{account}", "the true balances of an account"),
    ("POST /market", "{\"rate_hz\":5.0}: moves a second; 0 halts the market"),
];

/// The controls of some servers. `?venue=name` on any route narrows it to one of them. Dropping it stops it.
pub struct Control {
    addr: SocketAddr,
    tasks: Tasks,
}

type Servers = Arc<[Arc<SimServer>]>;

impl Control {
    /// Binds `listen` (port 0: any free one) and serves.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(servers: Servers, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let (addr, tasks) = (listener.local_addr()?, Tasks::new());
        let stop = tasks.stop_token().clone();
        let app = routes(servers);
        tasks.spawn("simulator controls", Policy::Fatal, async move {
            // Every answer is made at once, so there is nothing to wait for.
            tokio::select! {
                _ = async { axum::serve(listener, app).await } => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Self { addr, tasks })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until it stops, asked to or by failing. May be cancelled.
    pub async fn stopping(&self) {
        self.tasks.stopping().await;
    }

    /// What broke inside. `None`: nothing.
    pub fn failure(&self) -> Option<Failure> {
        self.tasks.failure()
    }

    /// Stops listening. May be cancelled; the stop goes on.
    pub async fn stop(&self) {
        self.tasks.stop();
        self.tasks.wait().await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

fn routes(servers: Servers) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/faults", get(faults))
        .route("/fault", post(fault))
        .route("/move", post(moves))
        .route("/book/{account}", get(book))
        .route("/market", post(market))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no such route").allowed(route_names()))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "no such method here").allowed(route_names())
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(servers)
}

/// Why a request was not carried out, and what would have been.
struct Refusal {
    status: StatusCode,
    message: String,
    allowed: Vec<String>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allowed: Vec::new() }
    }
    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    fn allowed(self, allowed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed: allowed.into_iter().map(Into::into).collect(), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = if self.status == StatusCode::BAD_REQUEST { "BAD_REQUEST" } else { "NOT_FOUND" };
        let mut error = json!({ "code": code, "message": self.message });
        if !self.allowed.is_empty() {
            error["allowed"] = json!(self.allowed);
        }
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}

#[derive(Deserialize)]
struct Narrow {
    venue: Option<String>,
}

impl Narrow {
    fn of<'a>(&self, servers: &'a Servers) -> Result<Vec<&'a SimServer>, Refusal> {
        let wanted = |server: &&SimServer| self.venue.as_deref().is_none_or(|name| server.venue().name == name);
        let chosen: Vec<_> = servers.iter().map(Arc::as_ref).filter(wanted).collect();
        if chosen.is_empty() {
            let names = servers.iter().map(|server| server.venue().name);
            return Err(Refusal::bad("no such venue is simulated").allowed(names));
        }
        Ok(chosen)
    }
}

/// Reads a body, whatever its content type: `curl -d` sends none that says JSON.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|why| Refusal::bad(why.to_string()))
}

fn route_names() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(route, _)| *route)
}

fn table(rows: impl IntoIterator<Item = (&'static str, &'static str)>) -> Value {
    rows.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect::<serde_json::Map<_, _>>().into()
}

async fn index(State(servers): State<Servers>) -> Json<Value> {
    let venues = servers.iter().map(|server| {
        json!({
            "venue": server.venue().name,
            "listens": server.addr().to_string(),
            "accounts": server.accounts(),
            "connections": server.connections(),
            "rate_hz": server.rate_hz(),
        })
    });
    Json(json!({
        "what": "controls of simulated venues; add ?venue=name to any route to mean one venue alone",
        "routes": table(ROUTES.iter().copied()),
        "venues": venues.collect::<Vec<_>>(),
    }))
}

async fn faults(State(servers): State<Servers>, Query(narrow): Query<Narrow>) -> Result<Json<Value>, Refusal> {
    let chosen = narrow.of(&servers)?;
    let lists = chosen.iter().map(|server| (server.venue().name.to_owned(), table(server.faults())));
    Ok(Json(lists.collect::<serde_json::Map<_, _>>().into()))
}

#[derive(Deserialize)]
struct Fault {
    fault: String,
}

/// Throws the fault at every chosen venue that knows it; at least one must.
async fn fault(State(servers): State<Servers>, Query(narrow): Query<Narrow>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Fault { fault } = read(&body)?;
    let chosen = narrow.of(&servers)?;
    let mut thrown = Vec::new();
    for server in &chosen {
        match server.fault(&fault) {
            Ok(()) => thrown.push(server.venue().name),
            Err(FaultError::Unknown) => {}
            Err(why) => return Err(Refusal::bad(why.to_string())),
        }
    }
    if thrown.is_empty() {
        let mut known: Vec<_> = chosen.iter().flat_map(|server| server.faults()).map(|(name, _)| name).collect();
        known.sort_unstable();
        known.dedup();
        return Err(Refusal::bad(FaultError::Unknown.to_string()).allowed(known));
    }
    Ok(Json(json!({ "venues": thrown })))
}

async fn moves(State(servers): State<Servers>, Query(narrow): Query<Narrow>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let mv: Move = read(&body)?;
    let server = holder(&servers, &narrow, mv.account())?;
    server.moves(&mv).map_err(Refusal::bad)?;
    Ok(Json(json!({ "venues": [server.venue().name] })))
}

async fn book(
    State(servers): State<Servers>,
    Path(account): Path<String>,
    Query(narrow): Query<Narrow>,
) -> Result<Json<Value>, Refusal> {
    let book = holder(&servers, &narrow, &account)?.book(&account).unwrap_or_default();
    let rows = book.rows.iter().map(|((wallet, asset), holding)| {
        json!({
            "wallet": wallet,
            "asset": asset,
            "available": holding.available,
            "locked": holding.locked,
            "total": holding.total(),
        })
    });
    Ok(Json(rows.collect()))
}

/// The first chosen venue with such an account.
fn holder<'a>(servers: &'a Servers, narrow: &Narrow, account: &str) -> Result<&'a SimServer, Refusal> {
    let chosen = narrow.of(servers)?;
    chosen.iter().copied().find(|server| server.accounts().iter().any(|id| id == account)).ok_or_else(|| {
        Refusal::bad("no such account is simulated").allowed(chosen.iter().flat_map(|server| server.accounts()).cloned())
    })
}

#[derive(Deserialize)]
struct Pace {
    rate_hz: f64,
}

async fn market(State(servers): State<Servers>, Query(narrow): Query<Narrow>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Pace { rate_hz } = read(&body)?;
    let chosen = narrow.of(&servers)?;
    for server in &chosen {
        server.set_rate(rate_hz).map_err(Refusal::bad)?;
    }
    Ok(Json(json!({ "venues": chosen.iter().map(|server| server.venue().name).collect::<Vec<_>>(), "rate_hz": rate_hz })))
}
