//! One connection to Bitfinex as a pure state machine: it translates, asks, and watches the clock.
//!
//! It keeps no balances. Its only memory of rows is which of them wait for a `calc` ([`Calc`]).
//!
//! The venue's procedure, numbered as in the code below:
//!
//! 1. Connect; the venue greets with `info` (version 2, `platform.status`). Status 0 is maintenance.
//! 2. Send `auth`, signed over `"AUTH" + nonce`. Never with `dms`: that would cancel the account's orders when we go.
//! 3. `auth` OK tells the key's `caps`. Without permission to read wallets there is nothing to wait for.
//! 4. `ws` lists all wallets: replace everything. Any `ws` does, also a second one on the same connection.
//! 5. `wu` tells of one wallet: replace that row. A trade comes as two or three of them.
//! 6. `null` for the available amount is *unknown*: ask `calc`, within 30 items a message and 8 a second.
//! 7. `hb` comes after 15 s without data. A protocol pong proves the socket, not the stream: it does not count.
//! 8. `info` 20051: reconnect. 20060: maintenance begins, keep the socket and wait. 20061: it is over, subscribe anew, and as one
//!    `auth` is the subscription, that is a reconnect.
//! 9. `POST /v2/auth/r/wallets` from time to time fills what is unknown and finds what the stream lost.
//!
//! Sources: docs.bitfinex.com/docs/ws-general, /docs/ws-auth, /reference/ws-auth-wallets, /docs/abbreviations-glossary.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::auth;
use super::calc::{Calc, RATE};
use super::reconcile::{Listing, Reconciler};
use super::wire::{self, Auth, BadRow, Caps, Message, Row, WalletRow, WireError};
use super::{Timing, VENUE};
use crate::model::{
    Absence, AccountPush, Facts, Field, Freshness, Mono, Name, Now, Reason, ReasonCode, Reconcile, RowUpdate, Scope, Snapshot,
    VenueEvent, Verdict,
};
use crate::venue::{
    AccountSpec, Budget, CallError, CallId, Connector, Credentials, ErrorClass, Frame, Handshake, HostBudget, Liveness, Nonce,
    Out, Pulse, Reply, Session, Shared,
};

/// Documented length of a maintenance is up to 120 s; a while longer, and we look for ourselves.
const MAINTENANCE_MS: u64 = 150_000;
/// How long to leave a venue in maintenance alone.
const MAINTENANCE_RETRY_MS: u64 = 30_000;
/// A `null` is often followed at once by the same wallet with its number: time for that, before asking.
const CALC_GRACE_MS: u64 = 200;
/// After a snapshot REST goes first: one request answers for all rows.
const CALC_AFTER_REST_MS: u64 = 2_000;
/// First REST request after the snapshot.
const FIRST_RECONCILE_MS: u64 = 300;
/// A second opinion on rows that differ, or on a message that could not be read.
const SECOND_OPINION_MS: u64 = 1_000;
/// Wait where the venue limits authentication (its longest documented block).
const AUTH_LIMITED_MS: u64 = 60_000;

/// What outlives the connections of one account.
pub(super) struct Account {
    ws_url: String,
    rest_url: String,
    credentials: Credentials,
    timing: Timing,
    host: Arc<parking_lot::Mutex<HostBudget>>,
    nonce: Arc<Nonce>,
    calc: Arc<parking_lot::Mutex<Budget>>,
}

impl Account {
    pub fn new(spec: &AccountSpec, shared: &Shared, timing: Timing) -> Self {
        let key = spec.credentials.get("api_key").unwrap_or_default();
        Self {
            ws_url: spec.ws_url.clone(),
            rest_url: spec.rest_url.clone(),
            credentials: spec.credentials.clone(),
            timing,
            host: shared.host(&spec.rest_url, VENUE.limits),
            nonce: shared.nonce(key.expose_secret()),
            calc: shared.other(&spec.ws_url, "calc", RATE),
        }
    }
}

impl Connector for Account {
    fn handshake(&self) -> Handshake {
        Handshake { url: self.ws_url.clone(), headers: Vec::new() }
    }

    fn session(&self, seed: u64) -> Box<dyn Session> {
        let rest = Reconciler::new(self.timing.reconcile_ms, Arc::clone(&self.host), Arc::clone(&self.nonce), seed);
        Box::new(Stream {
            credentials: self.credentials.clone(),
            timing: self.timing,
            nonce: Arc::clone(&self.nonce),
            keys: None,
            phase: Phase::Closed,
            leaps: 0,
            liveness: Liveness::new(Mono::default(), self.timing.liveness_ms),
            calc: Calc::new(Arc::clone(&self.calc)),
            rest,
            asked: Mono::default(),
        })
    }

    fn rest_url(&self) -> &str {
        &self.rest_url
    }
}

/// How far the conversation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not open yet, or over.
    Closed,
    /// Waiting for the answer to `auth` until the given moment.
    Authenticating(Mono),
    /// Waiting for `ws` until the given moment.
    Syncing(Mono),
    Live,
    /// Since `since` some row may have missed a message; REST must agree with all rows by `until`.
    Doubtful {
        since: Mono,
        until: Mono,
    },
    /// The venue is in maintenance; when to look for ourselves.
    Maintenance(Mono),
}

struct Stream {
    credentials: Credentials,
    timing: Timing,
    nonce: Arc<Nonce>,
    /// The key and secret this connection was authenticated with.
    keys: Option<(SecretString, SecretString)>,
    phase: Phase,
    /// Attempts in a row that the venue refused for their nonce.
    leaps: usize,
    liveness: Liveness,
    calc: Calc,
    rest: Reconciler,
    /// When the request behind the last [`VenueEvent::Reconcile`] left.
    asked: Mono,
}

impl Session for Stream {
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.liveness = Liveness::new(now.mono, self.timing.liveness_ms);
        self.phase = Phase::Authenticating(now.mono.plus_ms(self.timing.sync_timeout_ms));
        self.authenticate(now, out);
    }

    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        if self.phase == Phase::Closed {
            return;
        }
        match frame {
            Frame::Text(text) => match wire::decode(text) {
                Ok(message) => {
                    self.liveness.proof(now.mono);
                    out.event(VenueEvent::Alive);
                    self.on_message(now, message, out);
                }
                Err(error) => self.on_unreadable(now, error, out),
            },
            Frame::Binary(_) => out.malformed("a binary frame"),
            Frame::Ping | Frame::Pong => {} // step 7
        }
        self.ask_calc(now, out);
    }

    fn on_reply(&mut self, now: Now, call: CallId, reply: Result<Reply<'_>, CallError>, out: &mut Out) {
        let Some(listing) = self.rest.answered(now, call, reply, out) else { return };
        match self.phase {
            Phase::Live | Phase::Doubtful { .. } => self.on_listing(listing, out),
            Phase::Closed | Phase::Authenticating(_) | Phase::Syncing(_) | Phase::Maintenance(_) => self.rest.pause(),
        }
    }

    fn on_verdict(&mut self, now: Now, verdict: Verdict, out: &mut Out) {
        if verdict.doubted > 0 {
            self.rest.within(now.mono, SECOND_OPINION_MS);
        } else if let Phase::Doubtful { since, .. } = self.phase {
            if self.asked < since {
                self.rest.within(now.mono, 0);
                return;
            }
            self.phase = Phase::Live;
            out.event(VenueEvent::Synced);
            // A single answer may lag behind the stream: a second one follows soon.
            self.rest.within(now.mono, SECOND_OPINION_MS);
        }
    }

    fn on_timeout(&mut self, now: Now, out: &mut Out) {
        match self.phase {
            Phase::Closed => return,
            Phase::Authenticating(until) if until <= now.mono => {
                return self.close(out, ErrorClass::Transient, ReasonCode::SyncTimeout, "no answer to auth in time");
            }
            Phase::Syncing(until) if until <= now.mono => {
                return self.close(out, ErrorClass::Transient, ReasonCode::SyncTimeout, "no wallet snapshot (ws) in time");
            }
            Phase::Doubtful { until, .. } if until <= now.mono => {
                let text = "an unreadable wallet message, and no agreement by REST in time";
                return self.close(out, ErrorClass::Protocol, ReasonCode::SyncTimeout, text);
            }
            Phase::Maintenance(until) if until <= now.mono => {
                let class = ErrorClass::Maintenance { wait_ms: MAINTENANCE_RETRY_MS };
                return self.close(out, class, ReasonCode::Maintenance, "maintenance lasts longer than announced");
            }
            Phase::Maintenance(_) => return,
            Phase::Authenticating(_) | Phase::Syncing(_) | Phase::Live | Phase::Doubtful { .. } => {}
        }
        // Step 7: The venue's heartbeat is the probe; we have none to send that would prove more.
        match self.liveness.check(now.mono) {
            Pulse::Fine | Pulse::Probe => {}
            Pulse::Dead => {
                let text = format!("nothing heard, not even a heartbeat, for {} ms", self.timing.liveness_ms);
                return self.close(out, ErrorClass::Transient, ReasonCode::LivenessTimeout, &text);
            }
        }
        self.ask_calc(now, out);
        if self.is_synced() {
            self.rest.poll(now, &self.credentials, out); // step 9
        }
    }

    /// The venue lists wallets only after `auth`, and a connection authenticates once: a fresh list is a fresh connection.
    fn resync(&mut self, _now: Now, out: &mut Out) {
        self.close(out, ErrorClass::Restart, ReasonCode::OperatorResync, "reconnecting for a fresh snapshot");
    }

    /// A connection stays authenticated until it closes, so new keys need a new one.
    fn on_credentials(&mut self, _now: Now, out: &mut Out) {
        let Some((key, secret)) = &self.keys else { return };
        let same =
            |old: &SecretString, name| self.credentials.get(name).is_some_and(|new| new.expose_secret() == old.expose_secret());
        if !(same(key, "api_key") && same(secret, "api_secret")) {
            self.close(out, ErrorClass::Restart, ReasonCode::OperatorResync, "reconnecting with the new credentials");
        }
    }

    fn deadline(&self) -> Option<Mono> {
        let mine = match self.phase {
            Phase::Closed => return None,
            Phase::Maintenance(until) => return Some(until),
            Phase::Authenticating(until) | Phase::Syncing(until) | Phase::Doubtful { until, .. } => Some(until),
            Phase::Live => None,
        };
        let duties = if self.is_synced() { [self.calc.deadline(), self.rest.deadline()] } else { [None, None] };
        [mine, Some(self.liveness.deadline())].into_iter().chain(duties).flatten().min()
    }
}

impl Stream {
    fn on_message(&mut self, now: Now, message: Message<'_>, out: &mut Out) {
        match message {
            Message::Heartbeat | Message::OtherFrame | Message::OtherEvent => {}
            Message::Wallets(rows) => self.on_wallets(now, rows, out),
            Message::Wallet(row) => self.on_wallet(now, row, out),
            Message::Hello { version: 2, maintenance: false } => {}
            Message::Hello { version: 2, maintenance: true } => self.on_maintenance(now, out), // step 1
            Message::Hello { version, .. } => {
                let text = format!("this address speaks version {version} of the protocol, not 2: check ws_url");
                self.close(out, ErrorClass::Configuration, ReasonCode::Configuration, &text);
            }
            // step 8
            Message::Info(20051) => {
                self.close(out, ErrorClass::Restart, ReasonCode::VenueRestart, "the venue asks to reconnect (20051)");
            }
            Message::Info(20060) => self.on_maintenance(now, out),
            Message::Info(20061) => {
                let text = "maintenance is over (20061): reconnecting to subscribe anew";
                self.close(out, ErrorClass::Restart, ReasonCode::VenueRestart, text);
            }
            Message::Info(_) => {}
            Message::Auth(Auth::Ok(caps)) => self.on_authenticated(now, caps, out),
            Message::Auth(Auth::Failed(code)) => self.on_refused(now, code, out),
            Message::Error(code) => {
                out.malformed(format!("an error event with code {code}"));
                if self.calc.is_waiting() {
                    self.calc.refused(now.mono);
                }
            }
        }
    }

    /// Step 2: The filter leaves out orders, positions and the like. `balance` is kept beside `wallet`, in case computed amounts come
    /// under it: which filter they follow is not documented.
    fn authenticate(&mut self, now: Now, out: &mut Out) {
        let (Some(key), Some(secret)) = (self.credentials.get("api_key"), self.credentials.get("api_secret")) else {
            let text = "api_key or api_secret is not configured any more";
            return self.close(out, ErrorClass::Configuration, ReasonCode::Configuration, text);
        };
        let nonce = self.nonce.next(now.unix);
        let payload = format!("AUTH{nonce}");
        let signature = auth::sign(secret.expose_secret(), &payload);
        let quoted = serde_json::to_string(key.expose_secret()).expect("a string is always JSON");
        out.send(format!(
            r#"{{"event":"auth","apiKey":{quoted},"authSig":"{signature}","authNonce":"{nonce}","authPayload":"{payload}","filter":["wallet","balance"]}}"#
        ));
        self.keys = Some((key, secret));
    }

    /// Step 3.
    fn on_authenticated(&mut self, now: Now, caps: Option<Result<Caps, WireError>>, out: &mut Out) {
        self.leaps = 0;
        match caps {
            Some(Ok(caps)) => {
                let may_read = caps.wallets_read;
                out.event(VenueEvent::Facts(facts(caps)));
                if may_read == Some(false) {
                    let text = "the key may not read wallets: give it that permission, or make one that has it";
                    return self.close(out, ErrorClass::Credential, ReasonCode::MissingPermission, text);
                }
            }
            Some(Err(error)) => out.malformed(error.to_string()),
            None => {}
        }
        if let Phase::Authenticating(_) = self.phase {
            self.phase = Phase::Syncing(now.mono.plus_ms(self.timing.sync_timeout_ms));
        }
    }

    /// Step 2, refused. Codes: docs.bitfinex.com/docs/abbreviations-glossary.
    fn on_refused(&mut self, now: Now, code: u32, out: &mut Out) {
        match code {
            10114 if auth::leap(&self.nonce, self.leaps) => {
                self.leaps += 1;
                self.authenticate(now, out);
            }
            10114 => {
                let text = "the venue finds our nonce too small (10114): another program uses this key, or our clock went back";
                self.close(out, ErrorClass::CredentialMaybe, ReasonCode::ClockSkew, text);
            }
            10111..=10113 => {
                let text = format!("the venue refuses the signature (code {code}): check api_key and api_secret");
                self.close(out, ErrorClass::Credential, ReasonCode::WrongKey, &text);
            }
            11000 => {
                let class = ErrorClass::Maintenance { wait_ms: MAINTENANCE_RETRY_MS };
                self.close(out, class, ReasonCode::Maintenance, "the venue is not ready (11000)");
            }
            11010 => {
                let class = ErrorClass::RateLimited { wait_ms: AUTH_LIMITED_MS };
                self.close(out, class, ReasonCode::RateLimited, "the venue limits authentication (11010)");
            }
            // 10100 also comes for good keys after fast reconnects: once is no proof.
            _ => {
                let text = format!("the venue refuses authentication (code {code}): check api_key if it stays so");
                self.close(out, ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, &text);
            }
        }
    }

    /// Step 4: A row that cannot be read must not pass for one that is not listed: it keeps its value and loses its proof. A row without
    /// a readable name could be any: then what the list seems to lack is not gone, and the account is not complete until a list is read whole.
    fn on_wallets(&mut self, now: Now, rows: Vec<Row<'_>>, out: &mut Out) {
        self.calc.clear();
        let delay = if self.rest.is_on() { CALC_AFTER_REST_MS } else { 0 };
        let (mut updates, mut unreadable) = (Vec::with_capacity(rows.len()), Unreadable::default());
        for row in rows {
            match row {
                Ok(row) => {
                    self.note_available(&row, now.mono.plus_ms(delay));
                    updates.push(update(&row));
                }
                Err(bad) => updates.extend(unreadable.take(bad)),
            }
        }
        if let Some(error) = unreadable.first {
            out.malformed(format!("ws: {error}"));
        }
        if unreadable.nameless {
            let text = "the venue's list of wallets holds a row that cannot be read";
            out.event(VenueEvent::Omitted(Reason::new(ReasonCode::ProtocolError, text)));
        }
        out.event(VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows: updates }));
        if !matches!(self.phase, Phase::Maintenance(_)) {
            self.phase = Phase::Live;
            self.rest.within(now.mono, FIRST_RECONCILE_MS);
            out.event(VenueEvent::Synced);
        }
        for (wallet, asset) in unreadable.rows {
            out.event(VenueEvent::Unproven { wallet, assets: vec![asset] });
        }
    }

    /// Step 5.
    fn on_wallet(&mut self, now: Now, row: Row<'_>, out: &mut Out) {
        match row {
            Ok(row) => {
                self.note_available(&row, now.mono.plus_ms(CALC_GRACE_MS));
                let mut update = update(&row);
                update.cause = row.cause();
                out.event(VenueEvent::Rows(vec![update]));
            }
            Err(BadRow { key: Some((wallet, asset)), error }) => {
                out.malformed(format!("wu: {error}"));
                out.event(VenueEvent::Unproven { wallet, assets: vec![asset] });
                self.reconcile_soon(now);
            }
            Err(BadRow { key: None, error }) => {
                out.malformed(format!("wu: {error}"));
                self.doubt_everything(now, out);
            }
        }
    }

    fn on_unreadable(&mut self, now: Now, error: WireError, out: &mut Out) {
        out.malformed(error.to_string());
        match error {
            WireError::Shape => self.doubt_everything(now, out),
            WireError::NotJson | WireError::Missing(_) | WireError::Field(_) => self.reconcile_soon(now),
        }
    }

    /// A wallet changed and we cannot tell which: no row is proven until REST agrees with all of them.
    fn doubt_everything(&mut self, now: Now, out: &mut Out) {
        if !self.is_synced() {
            return;
        }
        let text = "a wallet message could not be read: comparing all rows with the venue's REST answer";
        if !self.rest.is_on() {
            return self.close(out, ErrorClass::Protocol, ReasonCode::ProtocolError, "a wallet message could not be read");
        }
        let until = match self.phase {
            Phase::Doubtful { until, .. } => until,
            _ => now.mono.plus_ms(self.timing.sync_timeout_ms),
        };
        self.phase = Phase::Doubtful { since: now.mono, until };
        self.rest.within(now.mono, 0);
        out.event(VenueEvent::Unsynced(AccountPush::Syncing(Reason::new(ReasonCode::ProtocolError, text))));
        out.event(VenueEvent::Resynced { reason: "unreadable_wallet" });
    }

    fn reconcile_soon(&mut self, now: Now) {
        if self.is_synced() {
            self.rest.within(now.mono, SECOND_OPINION_MS);
        }
    }

    /// Step 8.
    fn on_maintenance(&mut self, now: Now, out: &mut Out) {
        if matches!(self.phase, Phase::Maintenance(_)) {
            return;
        }
        self.phase = Phase::Maintenance(now.mono.plus_ms(MAINTENANCE_MS));
        self.rest.pause();
        let reason = Reason::new(ReasonCode::Maintenance, "the venue announced maintenance");
        out.event(VenueEvent::Unsynced(AccountPush::Maintenance(reason)));
    }

    /// Step 9: REST answers for the whole account. Where one of its rows does not name itself, absence from the others proves nothing. A `null`
    /// there is no news: the row keeps what it has.
    fn on_listing(&mut self, listing: Listing<'_>, out: &mut Out) {
        let (mut rows, mut unreadable) = (Vec::with_capacity(listing.rows.len()), Unreadable::default());
        for row in listing.rows {
            match row {
                Ok(row) => {
                    let mut update = update(&row);
                    update.locked = Field::Keep;
                    match row.available {
                        Some(_) => self.calc.settled(&row.wallet, &row.currency),
                        None => update.available = Field::Keep,
                    }
                    rows.push(update);
                }
                Err(bad) => rows.extend(unreadable.take(bad)),
            }
        }
        if let Some(error) = unreadable.first {
            out.malformed(format!("REST wallets: {error}"));
        }
        if unreadable.nameless {
            let text = "the venue's REST answer holds a row that cannot be read, so it was not compared";
            out.event(VenueEvent::Omitted(Reason::new(ReasonCode::ProtocolError, text)));
        }
        let absence = if unreadable.nameless { Absence::Nothing } else { Absence::Zero };
        self.asked = listing.sent;
        out.event(VenueEvent::Reconcile(Reconcile { sent: listing.sent, scope: Scope::Account, absence, rows }));
    }

    /// Step 6.
    fn note_available(&mut self, row: &WalletRow<'_>, ask_at: Mono) {
        match row.available {
            Some(_) => self.calc.settled(&row.wallet, &row.currency),
            None => self.calc.want(&row.wallet, &row.currency, ask_at),
        }
    }

    fn ask_calc(&mut self, now: Now, out: &mut Out) {
        if self.is_synced()
            && let Some(frame) = self.calc.poll(now.mono)
        {
            out.send(frame);
        }
    }

    fn is_synced(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Doubtful { .. })
    }

    fn close(&mut self, out: &mut Out, class: ErrorClass, code: ReasonCode, text: &str) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            out.close(class, code, text);
        }
    }
}

/// What could not be read in a list of wallets.
#[derive(Default)]
struct Unreadable {
    first: Option<WireError>,
    rows: Vec<(Name, Name)>,
    /// A row without a readable name was among them.
    nameless: bool,
}

impl Unreadable {
    /// Notes the row, and gives the update that lists it without saying anything of it.
    fn take(&mut self, bad: BadRow) -> Option<RowUpdate> {
        self.first.get_or_insert(bad.error);
        let Some((wallet, asset)) = bad.key else {
            self.nameless = true;
            return None;
        };
        self.rows.push((wallet.clone(), asset.clone()));
        Some(RowUpdate::new(wallet, asset))
    }
}

/// A wallet as a row. Locked is not derived: positions and funding tie up funds too, and the venue documents no identity.
fn update(row: &WalletRow<'_>) -> RowUpdate {
    RowUpdate {
        total: Field::Is(row.balance.clone()),
        available: row.available.clone().map_or(Field::Unknown, Field::Is),
        locked: Field::Unknown,
        extra: Some(row.extra()),
        ..RowUpdate::new(row.wallet.clone(), row.currency.clone())
    }
}

fn facts(caps: Caps) -> Facts {
    let may = [(caps.withdraw_write, "withdraw"), (caps.orders_write, "trade")];
    let warning = |what| format!("the key may {what}; this gateway only reads: use a key that can do no more");
    let warnings = may.into_iter().filter(|(may, _)| *may == Some(true)).map(|(_, what)| warning(what)).collect();
    Facts { permissions: Some(caps.raw), warnings: Some(warnings), ..Facts::default() }
}
