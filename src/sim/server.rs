//! One simulated venue on one port: WebSocket and REST as its clients meet them, its timer and its market.
//!
//! It judges nothing: every path goes to the pure simulator, every frame comes from it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::conn::Conn;
use super::core::Core;
use super::faults::FaultError;
use super::market::Market;
use crate::model::Now;
use crate::runtime::{Clock, Failure, Policy, Tasks};
use crate::venue::Venue;
use crate::venue::sim::{Book, Market as Pair, Move, SimReply, SimRequest, SimSetup};

/// Largest body or frame taken from a client. A request to a venue is a few hundred bytes.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Fastest market, in moves a second.
const MAX_RATE_HZ: f64 = 10_000.0;

/// How far a market may be behind its pace and still catch up.
const CATCH_UP: Duration = Duration::from_millis(50);

/// How long [`SimServer::stop`] waits for requests that are still being read.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What the simulated market does at start.
#[derive(Debug, Clone, Default)]
pub struct Trading {
    /// What is traded, in every account. None: no market.
    pub pairs: Vec<Pair>,
    /// Moves a second over all accounts; 0 stands still until [`SimServer::set_rate`].
    pub rate_hz: f64,
}

/// A venue's simulator behind real sockets. Dropping it stops it without waiting; [`SimServer::stop`] waits.
pub struct SimServer {
    venue: &'static Venue,
    addr: SocketAddr,
    accounts: Vec<String>,
    shared: Arc<Shared>,
    rate_hz: watch::Sender<f64>,
}

/// What the sockets, the timer and the market share.
pub(super) struct Shared {
    core: Mutex<Core>,
    clock: Clock,
    pub tasks: Tasks,
    pub half_open: watch::Sender<bool>,
    /// The simulator's deadline may have changed.
    rearm: Notify,
}

impl Shared {
    /// Asks the core something, at this moment by the venue's clock.
    pub fn with<T>(&self, ask: impl FnOnce(&mut Core, Now) -> T) -> T {
        let mut core = self.core.lock();
        let before = core.deadline();
        let mut now = self.clock.now();
        // At most an hour: faults.rs bounds it.
        now.unix.0 += core.network.clock_ahead_ms as i64;
        let answer = ask(&mut core, now);
        if core.deadline() != before {
            self.rearm.notify_one();
        }
        answer
    }
}

impl SimServer {
    /// Binds `listen` (port 0: any free one) and serves. `setup.seed` also seeds the market.
    ///
    /// # Errors
    /// The address cannot be bound, or the pace is out of bounds.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(venue: &'static Venue, setup: SimSetup, listen: SocketAddr, trading: Trading) -> io::Result<Self> {
        check_rate(trading.rate_hz).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let accounts = if trading.pairs.is_empty() { &[][..] } else { &setup.accounts[..] };
        let markets = accounts.iter().zip(0..).map(|(account, nth)| {
            let seed = setup.seed.wrapping_mul(31).wrapping_add(nth);
            Market::new(&account.id, trading.pairs.clone(), seed)
        });
        let markets = markets.collect();
        let names = setup.accounts.iter().map(|account| account.id.clone()).collect();
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new((venue.simulate)(setup), markets)),
            clock: Clock::start(),
            tasks: Tasks::new(),
            half_open: watch::Sender::new(false),
            rearm: Notify::new(),
        });
        let rate_hz = watch::Sender::new(trading.rate_hz);
        let tasks = &shared.tasks;
        tasks.spawn(format!("simulated {}", venue.name), Policy::Fatal, accept(shared.clone(), listener));
        tasks.spawn(format!("timer of simulated {}", venue.name), Policy::Fatal, keep_time(shared.clone()));
        tasks.spawn(format!("market of simulated {}", venue.name), Policy::Fatal, trade(shared.clone(), rate_hz.subscribe()));
        Ok(Self { venue, addr, accounts: names, shared, rate_hz })
    }

    pub fn venue(&self) -> &'static Venue {
        self.venue
    }

    /// The simulator's names of its accounts.
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The WebSocket address under a path (`Sample::ws_path`).
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr)
    }

    /// The REST address under a path (`Sample::rest_path`), without a trailing slash.
    pub fn rest_url(&self, path: &str) -> String {
        format!("http://{}{}", self.addr, path.trim_end_matches('/'))
    }

    /// Moves money at the venue.
    ///
    /// # Errors
    /// What the simulator refuses, in its words.
    pub fn moves(&self, mv: &Move) -> Result<(), String> {
        self.shared.with(|core, now| core.moves(now, mv))
    }

    /// The true balances of an account at this moment. `None`: no such account.
    pub fn book(&self, account: &str) -> Option<Book> {
        self.shared.with(|core, _| core.sim().book(account).cloned())
    }

    /// Throws a fault of the network or of the venue: `name` or `name:number`.
    ///
    /// # Errors
    /// A fault that is not in [`SimServer::faults`], or a number it does not take.
    pub fn fault(&self, fault: &str) -> Result<(), FaultError> {
        self.shared.with(|core, now| {
            let thrown = core.fault(now, fault);
            // Told under the lock, so that two faults cannot leave it the wrong way round.
            self.shared.half_open.send_replace(core.network.half_open);
            thrown
        })
    }

    /// Every fault that can be thrown, with what it does: the network's, then the venue's.
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        self.shared.with(|core, _| core.faults())
    }

    /// Sets the market's pace in moves a second; 0 halts it.
    ///
    /// # Errors
    /// A pace that is negative, no number or above 10,000, or a venue without a market.
    pub fn set_rate(&self, rate_hz: f64) -> Result<(), String> {
        check_rate(rate_hz)?;
        if !self.shared.with(|core, _| core.has_market()) {
            return Err(format!("{} has nothing to trade", self.venue.name));
        }
        self.rate_hz.send_replace(rate_hz);
        Ok(())
    }

    /// The market's pace in moves a second; 0 when it stands still.
    pub fn rate_hz(&self) -> f64 {
        *self.rate_hz.borrow()
    }

    /// Open WebSocket connections, as the simulator sees them.
    pub fn connections(&self) -> usize {
        self.shared.with(|core, _| core.connections())
    }

    /// What broke inside the server itself. `None`: nothing.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.tasks.failure()
    }

    /// Waits until the server stops, asked to or by failing. May be cancelled.
    pub async fn stopping(&self) {
        self.shared.tasks.stopping().await;
    }

    /// Stops accepting, closes every connection with 1001 and waits for their ends. May be cancelled; the stop goes on.
    pub async fn stop(&self) {
        self.shared.tasks.stop();
        self.shared.tasks.wait().await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.shared.tasks.stop();
    }
}

fn check_rate(rate_hz: f64) -> Result<(), String> {
    let allowed = (0.0..=MAX_RATE_HZ).contains(&rate_hz);
    if allowed { Ok(()) } else { Err(format!("rate_hz wants a number of moves a second from 0 to {MAX_RATE_HZ}")) }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let stop = shared.tasks.stop_token().clone();
    let listener = listener.tap_io(|socket| {
        // Without it, small frames would wait for acknowledgements. A socket that is gone already refuses; it ends anyway.
        let _ = socket.set_nodelay(true);
    });
    let app = Router::new().fallback(answer).with_state(shared);
    let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        _ = async { serve.await } => {}
        // A client in the middle of its request may take for ever to finish it.
        () = async { stop.cancelled().await; sleep(STOP_WAIT).await } => {}
    }
}

/// Fires the simulator's deadline each time it passes.
async fn keep_time(shared: Arc<Shared>) {
    loop {
        let deadline = shared.with(|core, _| core.deadline());
        let due = async {
            match deadline {
                Some(deadline) => shared.clock.wait_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.tasks.stopping() => return,
            () = shared.rearm.notified() => {}
            () = due => {
                shared.with(|core, now| core.tick(now));
                if shared.with(|core, _| core.deadline()) == deadline {
                    // A simulator whose deadline does not move on must not take the whole processor.
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
}

/// Lets the market make its moves at the pace set.
async fn trade(shared: Arc<Shared>, mut rate_hz: watch::Receiver<f64>) {
    let mut due = Instant::now();
    loop {
        let pace = *rate_hz.borrow_and_update();
        let step = async {
            // At pace 0 the period is infinite and no duration: no move is ever due.
            let Some(next) = Duration::try_from_secs_f64(1.0 / pace).ok().and_then(|period| due.checked_add(period)) else {
                return std::future::pending().await;
            };
            // Timers are good to a millisecond, so a fast market catches up on that; not on a halt or a stall.
            due = next.max(Instant::now() - CATCH_UP);
            if due > Instant::now() {
                sleep_until(due).await;
            } else {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = shared.tasks.stopping() => return,
            changed = rate_hz.changed() => if changed.is_err() {
                // The server was dropped: the stop is on its way.
                return shared.tasks.stopping().await;
            },
            () = step => shared.with(|core, now| core.trade(now)),
        }
    }
}

/// Every request of every path.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let seen = seen(&parts, &body);
    if parts.headers.contains_key(header::UPGRADE) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => open(shared, &seen, upgrade).await,
            Err(refusal) => refusal.into_response(),
        };
    }
    rest(&shared, &seen).await
}

/// The request as a simulator sees it.
fn seen(parts: &Parts, body: &[u8]) -> SimRequest {
    let mut seen = SimRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
        ..SimRequest::default()
    };
    for (name, value) in &parts.headers {
        // The header map keeps names in lower case; one that repeats is a list (RFC 9110, 5.3).
        let value = String::from_utf8_lossy(value.as_bytes());
        seen.headers
            .entry(name.as_str().to_owned())
            .and_modify(|list| *list = format!("{list}, {value}"))
            .or_insert(value.into());
    }
    seen
}

async fn open(shared: Arc<Shared>, request: &SimRequest, upgrade: WebSocketUpgrade) -> Response {
    let mut half_open = shared.half_open.subscribe();
    tokio::select! {
        // The sender lives in `shared`, so this ends only when the network is whole.
        _ = half_open.wait_for(|half_open| !half_open) => {}
        () = shared.tasks.stopping() => {}
    }
    if shared.tasks.is_stopping() || shared.with(|core, _| core.network.refuse) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let line = match shared.with(|core, now| core.connect(now, request)) {
        Ok(line) => line,
        Err(refusal) => return http(refusal),
    };
    let hold = shared.tasks.hold();
    let conn = Conn { shared, line };
    upgrade.max_message_size(MAX_REQUEST_BYTES).on_upgrade(|socket| async move {
        conn.run(socket).await;
        drop(hold);
    })
}

async fn rest(shared: &Shared, request: &SimRequest) -> Response {
    let (reply, slow_ms) = shared.with(|core, now| {
        let network = core.network.clone();
        let reply =
            if network.rest_down { SimReply::new(500, r#"{"error":"simulated outage"}"#) } else { core.request(now, request) };
        (reply, network.rest_slow_ms)
    });
    tokio::select! {
        () = sleep(Duration::from_millis(slow_ms)) => http(reply),
        () = shared.tasks.stopping() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn http(reply: SimReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
}
