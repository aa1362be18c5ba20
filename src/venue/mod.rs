//! Upstream: the list of venues, and what a venue must be able to do.
//!
//! A venue is one folder and one line in [`VENUES`]. It *translates*: frames and replies in; frames, calls and
//! [`VenueEvent`]s out. It names no socket, task, clock or file, and keeps no balances: merging, staleness and drift live in
//! the store, reconnecting in [`link`], bytes in [`conn`]. That is what lets the whole gateway run in simulated time.

pub mod bitfinex;
mod budget;
pub mod conn;
mod credentials;
pub mod link;
mod liveness;
pub mod moonbase;
mod options;
pub mod p99;
mod series;
pub mod sim;
pub mod synthesis;

#[cfg(test)]
pub(crate) mod testkit;

use std::sync::Arc;

use crate::model::{Mono, Now, Reason, ReasonCode, VenueEvent, Verdict};

pub use budget::{Budget, HostBudget, HostLimits, Nonce, Shared, Window};
pub use credentials::Credentials;
pub use liveness::{Liveness, Pulse};
pub use options::{OptionReader, Options, Problem, hint};
pub use series::{begin_series, remove_series};

/// Every venue the gateway speaks. Adding one is its folder and a line here.
pub const VENUES: &[Venue] = &[p99::VENUE, bitfinex::VENUE, synthesis::VENUE, moonbase::VENUE];

/// A venue's row in the list.
#[derive(Clone, Copy)]
pub struct Venue {
    /// The name in configuration, rows and metrics: lower-case ASCII.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The venue's documentation of its balance stream.
    pub manual: &'static str,
    /// The documented WebSocket address, used where an account names none.
    pub ws_url: &'static str,
    /// The documented REST address, used where an account names none.
    pub rest_url: &'static str,
    /// What the venue allows from one address, over all accounts.
    pub limits: HostLimits,
    /// Longest time in ms between losing the venue and its rows reading `stale`, unless the account's options say otherwise.
    pub liveness_bound_ms: u64,
    /// Every reason its sessions give in [`VenueEvent::Resynced`].
    pub resyncs: &'static [&'static str],
    /// Checks an account's settings and makes its connector. All problems are told at once.
    pub connect: fn(&AccountSpec, &Shared) -> Connected,
    /// The same venue from the other side.
    pub simulate: fn(sim::SimSetup) -> Box<dyn sim::Sim>,
    /// Accounts with credentials, wallets and holdings, for the demo and the conformance tests.
    pub sample: fn() -> sim::Sample,
}

/// An account's connector, or everything that is wrong with its settings.
pub type Connected = Result<Arc<dyn Connector>, Vec<Problem>>;

/// Finds a venue by name in a list.
pub fn find(venues: &'static [Venue], name: &str) -> Option<&'static Venue> {
    venues.iter().find(|venue| venue.name == name)
}

/// One account as configured.
#[derive(Debug, Clone)]
pub struct AccountSpec {
    pub id: Arc<str>,
    /// `ws://` or `wss://`; the venue's documented address where none was configured.
    pub ws_url: String,
    /// `http://` or `https://`, without a trailing slash.
    pub rest_url: String,
    pub credentials: Credentials,
    /// Addresses, for venues that are asked by address.
    pub wallets: Vec<WalletSpec>,
    /// The venue's own options.
    pub options: Options,
}

/// One address to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletSpec {
    pub address: String,
    /// `None`: every asset.
    pub assets: Option<Vec<String>>,
}

/// What outlives single connections of one account.
pub trait Connector: Send + Sync {
    /// Where to dial, and which headers to send.
    fn handshake(&self) -> Handshake;
    /// A fresh session for one connection. `seed` is its source of randomness.
    fn session(&self, seed: u64) -> Box<dyn Session>;
    /// The class of a refused WebSocket handshake. `None`: the link's own judgement (429 rate limit, else transient).
    fn refused(&self, status: u16) -> Option<Closing> {
        let _ = status;
        None
    }
    /// The account's REST base address, without a trailing slash.
    fn rest_url(&self) -> &str;
}

/// A WebSocket handshake to make. Header values may be secret and are never logged.
#[derive(Clone)]
pub struct Handshake {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
}

/// One connection's conversation with the venue, as a pure state machine.
///
/// The caller feeds it and carries out, in order, what it puts in `out`. All memory a session can hold is bounded.
pub trait Session: Send {
    /// The WebSocket stands.
    fn on_open(&mut self, now: Now, out: &mut Out);
    /// A frame came. Protocol pings have been answered already.
    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out);
    /// A [`Call`] ended.
    fn on_reply(&mut self, now: Now, call: CallId, reply: Result<Reply<'_>, CallError>, out: &mut Out);
    /// [`Session::deadline`] has passed.
    fn on_timeout(&mut self, now: Now, out: &mut Out);
    /// How the store judged a [`VenueEvent::Reconcile`].
    fn on_verdict(&mut self, now: Now, verdict: Verdict, out: &mut Out) {
        let _ = (now, verdict, out);
    }
    /// An operator wants everything fetched anew.
    fn resync(&mut self, now: Now, out: &mut Out);
    /// The credentials were read anew: the account's token may be another one now.
    fn on_credentials(&mut self, now: Now, out: &mut Out) {
        let _ = (now, out);
    }
    /// When to call [`Session::on_timeout`]. `None`: never.
    fn deadline(&self) -> Option<Mono>;
}

/// What a frame from the venue can be.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A protocol ping; it has been answered.
    Ping,
    Pong,
}

/// What a session asks of its driver, in order.
#[derive(Default)]
pub struct Out {
    pub actions: Vec<Action>,
}

impl Out {
    pub fn send(&mut self, text: impl Into<String>) {
        self.actions.push(Action::Send(text.into()));
    }
    pub fn ping(&mut self) {
        self.actions.push(Action::Ping);
    }
    pub fn call(&mut self, call: Call) {
        self.actions.push(Action::Call(call));
    }
    pub fn event(&mut self, event: VenueEvent) {
        self.actions.push(Action::Event(event));
    }
    /// Counts a message that could not be decoded. `what` names the place, never the content.
    pub fn malformed(&mut self, what: impl Into<String>) {
        self.event(VenueEvent::Malformed { what: what.into() });
    }
    /// Ends the connection.
    pub fn close(&mut self, class: ErrorClass, code: ReasonCode, text: impl Into<Arc<str>>) {
        self.actions.push(Action::Close(Closing { class, reason: Reason::new(code, text) }));
    }
}

/// One thing to do.
pub enum Action {
    /// Send a text frame. It may hold a secret and is never logged.
    Send(String),
    /// Send a protocol ping.
    Ping,
    Call(Call),
    Event(VenueEvent),
    Close(Closing),
}

/// Names a [`Call`] within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// A REST request. Ask the host's budget ([`Shared::host`]) before making one. Headers and body may hold secrets.
pub struct Call {
    pub id: CallId,
    pub method: &'static str,
    /// Path and query, appended to [`Connector::rest_url`].
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub timeout_ms: u64,
}

/// A REST answer of any status.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// Why a REST request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no answer in time")]
    Timeout,
    #[error("the venue cannot be reached")]
    Unreachable,
    #[error("the answer is larger than the bound")]
    TooLarge,
}

/// Why a connection ends, and what that asks of the next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub class: ErrorClass,
    pub reason: Reason,
}

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The credentials are refused: stop, tell the operator, retry slowly and only a few times.
    Credential,
    /// Refused in a way that good credentials also meet: a few slow retries, then as `Credential`.
    CredentialMaybe,
    /// Try again with backoff.
    Transient,
    /// The venue asked for a new connection: try again soon.
    Restart,
    /// Wait at least this long.
    RateLimited { wait_ms: u64 },
    /// The venue is down on purpose: wait about this long.
    Maintenance { wait_ms: u64 },
    /// The venue broke its protocol: try again with backoff.
    Protocol,
    /// An address or option is wrong: retry slowly.
    Configuration,
}
