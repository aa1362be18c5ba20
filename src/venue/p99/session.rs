//! One connection's conversation with P99, and the connector that makes them.
//!
//! Keeps no balances: it remembers the last time stamp of each token, the tokens it has doubts about (with the push that was not
//! applied, to learn from REST whether it was late or the clock stepped back), and what it waits for.
//!
//! The procedure, whose numbers stand in the code:
//!
//! 1. With a JWT send `auth_token`. With an API key first `POST` for a listen key, then send `auth`.
//! 2. On `auth_result` subscribe to `spot:user:balances`. A refusal leaves the venue's socket open: we close it, by class.
//! 3. Wait for `subscribed`. The venue drops frames silently when it is pressed, answers included: half way through the
//!    time-out we ask once more, at its end we close.
//! 4. The channel has no snapshot: `GET /spot/balances`. A row pushed since the request left is newer than the answer; the
//!    store keeps it. Until there is an answer the account stays `syncing`, however often REST fails.
//! 5. A push replaces its token's row. Equal time stamps come in order of arrival, since they count seconds of the push. A
//!    lower one is not applied: its token is unproven until REST has been asked. So is a token whose push cannot be read.
//! 6. Deposits, withdrawals, refunds and dropped frames are never pushed: compare with REST soon after the seed, then again
//!    and again. Where this fails, the stream goes on and the account is degraded.
//! 7. The JWT may expire while the socket lives on: degraded, until a new token is put in its place.
//! 8. A listen key lives an hour: renew it after half of it.
//! 9. Ping in the venue's way every 25 s (it wants 30), and after each third of the liveness bound without any frame. A pong that
//!    does not come may have been dropped, and pushes with it: REST is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use secrecy::ExposeSecret;

use super::rest::{self, Failure, Kind};
use super::wire::{self, Incoming, Listing, MAX_ROWS, Row, WALLET, WireError};
use super::{Account, auth};
use crate::model::{
    Absence, AccountPush, Freshness, Mono, Name, Now, Reason, ReasonCode, Reconcile, RowUpdate, Scope, Snapshot, UnixMs,
    VenueEvent, Verdict,
};
use crate::venue::{
    Call, CallError, CallId, Closing, Connector, ErrorClass, Frame, Handshake, Liveness, Out, Pulse, Reply, Session,
};

/// Longest pause between two of our pings.
const PING_MS: u64 = 25_000;
/// How long a pong may take before it counts as dropped.
const PONG_MS: u64 = 5_000;
/// How long a REST request may take.
const CALL_TIMEOUT_MS: u64 = 5_000;
/// The first comparison after the seed settles what raced with it.
const FIRST_RECONCILE_MS: u64 = 2_000;
/// A row that differs is asked for again after this time.
const DOUBT_MS: u64 = 1_500;
/// Suspicions do not bring requests closer together than this.
const ASK_GAP_MS: u64 = 2_000;
/// Nor do frames of which nothing can be read: the host's budget serves other accounts too.
const GARBAGE_GAP_MS: u64 = 10_000;
/// When a list is asked for again that could not be read whole, where no comparisons are wanted.
const AGAIN_MS: u64 = 30_000;
/// Most tokens that are doubted at once; a venue that makes us doubt more is left.
const MAX_DOUBTS: usize = 10_000;
/// A question that the host's budget puts off by more than this is told of: rows are older than the period promises.
const LATE_MS: u64 = 30_000;
/// Renewal of a listen key, which lives 3,600 s, and the pause after a renewal that failed.
const RENEW_MS: u64 = 1_800_000;
const RENEW_RETRY_MS: u64 = 60_000;

/// An account's connector.
pub(super) struct P99(pub(super) Arc<Account>);

impl Connector for P99 {
    fn handshake(&self) -> Handshake {
        Handshake { url: self.0.ws_url.clone(), headers: Vec::new() }
    }

    fn session(&self, seed: u64) -> Box<dyn Session> {
        Box::new(P99Session::new(Arc::clone(&self.0), seed))
    }

    fn refused(&self, status: u16) -> Option<Closing> {
        (status == 404).then(|| Closing {
            class: ErrorClass::Configuration,
            reason: Reason::new(ReasonCode::Configuration, "there is no stream at ws_url (404)"),
        })
    }

    /// The origin: calls carry the base path, because listen keys are not below it.
    fn rest_url(&self) -> &str {
        &self.0.origin
    }
}

/// Where the conversation is. Named by what is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ListenKey,
    AuthResult,
    Subscribed,
    Seed,
    /// Nothing: pushes come.
    Live,
    Closed,
}

/// A `GET /spot/balances` under way.
struct Asking {
    id: CallId,
    sent: Mono,
    /// Its answer will be a snapshot, not a comparison.
    whole: bool,
    /// It bears the JWT.
    by_token: bool,
    /// Tokens in doubt when it left, which its answer settles.
    settles: Vec<Name>,
    /// Something happened since that its answer may not cover.
    outdated: bool,
}

struct P99Session {
    account: Arc<Account>,
    rng: fastrand::Rng,
    phase: Phase,
    liveness: Liveness,
    ping_at: Mono,
    /// While a pong is awaited: when it counts as dropped.
    pong_by: Option<Mono>,
    /// While an answer on the socket is awaited: when to ask once more, and when to give up.
    again_at: Option<Mono>,
    give_up_at: Option<Mono>,
    calls: u32,
    asking: Option<Asking>,
    /// When to ask REST next. While `asking`: not before its answer.
    ask_at: Option<Mono>,
    /// Since when it is time to ask and the host's budget does not allow it.
    due: Option<Mono>,
    last_asked: Option<Mono>,
    failures: u32,
    /// The next answer is to be a snapshot.
    whole: bool,
    /// What was last said of the REST duty, or of why the seed is late.
    told: Option<ReasonCode>,
    keying: Option<CallId>,
    key_at: Option<Mono>,
    token_expires_at: Option<Mono>,
    /// The last time stamp of each token; at most [`MAX_ROWS`], beyond which order of arrival is trusted.
    last_ts: HashMap<Name, UnixMs>,
    /// The last push of a token that was not applied for its time stamp; at most [`MAX_DOUBTS`], until REST has answered.
    suspects: HashMap<Name, Row>,
    /// Tokens in doubt that no request under way settles; at most [`MAX_DOUBTS`].
    doubts: Vec<Name>,
}

impl Session for P99Session {
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.liveness = Liveness::new(now.mono, self.account.options.liveness_ms);
        self.ping_at = now.mono.plus_ms(PING_MS);
        // 1.
        if let Some(token) = auth::token(&self.account.credentials) {
            self.watch_token(now);
            out.send(wire::auth_token(token.expose_secret()));
            self.await_answer(now, Phase::AuthResult);
        } else {
            self.key_at = Some(now.mono);
            self.await_answer(now, Phase::ListenKey);
            self.poll(now, out);
        }
    }

    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        if self.phase == Phase::Closed {
            return;
        }
        self.liveness.proof(now.mono);
        out.event(VenueEvent::Alive);
        match frame {
            Frame::Ping | Frame::Pong => {}
            Frame::Binary(_) => out.malformed("a binary frame"),
            Frame::Text(text) => match wire::frame(text) {
                Ok(incoming) => self.on_incoming(now, incoming, out),
                Err(error) => self.on_unreadable(now, &error, out),
            },
        }
        self.poll(now, out);
    }

    fn on_reply(&mut self, now: Now, call: CallId, reply: Result<Reply<'_>, CallError>, out: &mut Out) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.keying == Some(call) {
            self.keying = None;
            self.on_key(now, reply, out);
        } else if let Some(asking) = self.asking.take_if(|asking| asking.id == call) {
            self.on_balances(now, asking, reply, out);
        }
        self.poll(now, out);
    }

    fn on_timeout(&mut self, now: Now, out: &mut Out) {
        if self.phase == Phase::Closed {
            return;
        }
        // 9.
        let pulse = self.liveness.check(now.mono);
        if pulse == Pulse::Dead {
            return self.close(out, ErrorClass::Transient, ReasonCode::LivenessTimeout, "no sign of life within the bound");
        }
        if pulse == Pulse::Probe || now.mono >= self.ping_at {
            self.ping_at = now.mono.plus_ms(PING_MS);
            self.pong_by.get_or_insert(now.mono.plus_ms(PONG_MS));
            out.send(wire::PING);
            out.ping();
        }
        // Where REST fails it is asked again anyway, in its own rhythm.
        if self.pong_by.take_if(|at| *at <= now.mono).is_some() && self.phase == Phase::Live && self.failures == 0 {
            self.ask_by(now.mono, now);
        }
        // 3.
        if self.give_up_at.is_some_and(|at| at <= now.mono) {
            return self.close(out, ErrorClass::Transient, ReasonCode::SyncTimeout, "the venue did not answer in time");
        }
        if self.again_at.take_if(|at| *at <= now.mono).is_some() {
            self.say_again(out);
        }
        // 7.
        if self.token_expires_at.take_if(|at| *at <= now.mono).is_some() && self.phase == Phase::Live {
            self.tell(out, &Failure::TOKEN_EXPIRED);
            self.ask_by(now.mono, now);
        }
        self.poll(now, out);
    }

    fn on_verdict(&mut self, now: Now, verdict: Verdict, out: &mut Out) {
        if verdict.doubted > 0 {
            self.ask_by(now.mono.plus_ms(DOUBT_MS), now);
            self.poll(now, out);
        }
    }

    fn resync(&mut self, now: Now, out: &mut Out) {
        if matches!(self.phase, Phase::Seed | Phase::Live) {
            out.event(VenueEvent::Resynced { reason: "operator" });
            self.last_asked = None;
            self.refetch(now);
            self.poll(now, out);
        }
    }

    fn on_credentials(&mut self, now: Now, out: &mut Out) {
        // 7. The socket outlives its token, so only REST needs the new one.
        self.watch_token(now);
        if matches!(self.phase, Phase::Seed | Phase::Live) {
            (self.last_asked, self.failures) = (None, 0);
            if let Some(asking) = &mut self.asking {
                // It bears the old token: what it brings says nothing of the new one.
                asking.outdated = true;
            }
            self.ask_by(now.mono, now);
            self.poll(now, out);
        }
    }

    fn deadline(&self) -> Option<Mono> {
        if self.phase == Phase::Closed {
            return None;
        }
        let ask_at = self.ask_at.filter(|_| self.asking.is_none());
        let key_at = self.key_at.filter(|_| self.keying.is_none());
        let others = [self.pong_by, self.again_at, self.give_up_at, self.token_expires_at, ask_at, key_at];
        others.into_iter().flatten().chain([self.liveness.deadline(), self.ping_at]).min()
    }
}

impl P99Session {
    fn new(account: Arc<Account>, seed: u64) -> Self {
        let liveness = Liveness::new(Mono::default(), account.options.liveness_ms);
        Self {
            account,
            rng: fastrand::Rng::with_seed(seed),
            phase: Phase::AuthResult,
            liveness,
            ping_at: Mono::default(),
            pong_by: None,
            again_at: None,
            give_up_at: None,
            calls: 0,
            asking: None,
            ask_at: None,
            due: None,
            last_asked: None,
            failures: 0,
            whole: true,
            told: None,
            keying: None,
            key_at: None,
            token_expires_at: None,
            last_ts: HashMap::new(),
            suspects: HashMap::new(),
            doubts: Vec::new(),
        }
    }

    fn close(&mut self, out: &mut Out, class: ErrorClass, code: ReasonCode, text: &'static str) {
        self.phase = Phase::Closed;
        out.close(class, code, text);
    }

    // ---- the socket ----

    fn await_answer(&mut self, now: Now, phase: Phase) {
        let timeout = self.account.options.sync_timeout_ms;
        (self.phase, self.ask_at) = (phase, None);
        self.again_at = Some(now.mono.plus_ms(timeout / 2));
        self.give_up_at = Some(now.mono.plus_ms(timeout));
    }

    /// 3. Both messages may be repeated: the venue answers again.
    fn say_again(&self, out: &mut Out) {
        match self.phase {
            Phase::AuthResult => {
                if let Some(token) = auth::token(&self.account.credentials) {
                    out.send(wire::auth_token(token.expose_secret()));
                }
            }
            Phase::Subscribed => out.send(wire::SUBSCRIBE),
            Phase::ListenKey | Phase::Seed | Phase::Live | Phase::Closed => {}
        }
    }

    fn on_incoming(&mut self, now: Now, incoming: Incoming<'_>, out: &mut Out) {
        match (incoming, self.phase) {
            (Incoming::AuthResult { success: true, .. }, Phase::AuthResult) => {
                // 2.
                if let Some(token) = auth::token(&self.account.credentials) {
                    self.account.accepted.store(auth::fingerprint(&token), Ordering::Relaxed);
                }
                out.send(wire::SUBSCRIBE);
                self.await_answer(now, Phase::Subscribed);
            }
            (Incoming::AuthResult { success: false, message }, Phase::AuthResult) => self.on_refused(now, &message, out),
            (Incoming::Subscribed, Phase::Subscribed) => {
                // 4.
                (self.again_at, self.give_up_at) = (None, None);
                self.phase = Phase::Seed;
                self.refetch(now);
            }
            (Incoming::Unsubscribed, Phase::Seed | Phase::Live) => {
                self.lose(now, "unsubscribed", ReasonCode::SubscribeRefused, "the venue ended the subscription", out);
                out.send(wire::SUBSCRIBE);
                self.await_answer(now, Phase::Subscribed);
            }
            (Incoming::Balance(row), _) => self.on_push(now, row, out),
            (Incoming::Error { code }, _) => self.on_error(&code, out),
            // A second answer to a question asked twice, and what is not ours.
            (Incoming::AuthResult { .. } | Incoming::Subscribed | Incoming::Unsubscribed, _) => {}
            (Incoming::Pong, _) => self.pong_by = None,
            (Incoming::Other, _) => {}
        }
    }

    fn on_refused(&mut self, now: Now, message: &str, out: &mut Out) {
        let token = auth::token(&self.account.credentials).map(|token| auth::Suspect {
            expires: auth::expiry(&token),
            accepted_before: self.account.accepted.load(Ordering::Relaxed) == auth::fingerprint(&token),
        });
        let (class, code, text) = auth::refused_login(message, token, now.unix);
        self.close(out, class, code, text);
    }

    /// The venue closes on none of its errors. We say three things only, so each tells which of them failed.
    fn on_error(&mut self, code: &str, out: &mut Out) {
        let (class, reason, text) = match code {
            "INVALID_CHANNEL" => {
                (ErrorClass::Configuration, ReasonCode::SubscribeRefused, "the venue knows no spot:user:balances; check ws_url")
            }
            "AUTH_REQUIRED" => {
                (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, "the venue forgot or never took the login")
            }
            "FORBIDDEN" => (ErrorClass::Credential, ReasonCode::MissingPermission, "the account may not read its balances"),
            "INVALID_MESSAGE" if self.phase != Phase::Live && self.phase != Phase::Seed => {
                (ErrorClass::Protocol, ReasonCode::ProtocolError, "the venue does not understand the login or the subscription")
            }
            _ => return out.malformed("an error frame that concerns nothing we wait for"),
        };
        self.close(out, class, reason, text);
    }

    /// 5.
    fn on_push(&mut self, now: Now, row: Row, out: &mut Out) {
        if row.is_nameless() {
            out.malformed("token: no name of 1 to 128 characters");
            if !row.is_zero() {
                out.event(VenueEvent::Unproven { wallet: WALLET.into(), assets: vec![row.token] });
                self.ask_by(now.mono, now);
            }
            return;
        }
        if let Some(ts) = row.ts {
            let room = self.last_ts.len() < MAX_ROWS;
            match self.last_ts.get_mut(&row.token) {
                Some(last) if ts < *last => {
                    let token = row.token.clone();
                    if self.suspects.len() < MAX_DOUBTS {
                        self.suspects.insert(token.clone(), row);
                    }
                    return self.doubt(now, token, out);
                }
                Some(last) => *last = ts,
                None if room => drop(self.last_ts.insert(row.token.clone(), ts)),
                None => {}
            }
        }
        // The old count goes on: a push that was not applied was late, whatever REST says of that moment.
        self.suspects.remove(&row.token);
        out.event(VenueEvent::Rows(vec![row.update()]));
    }

    /// 5. What cannot be read is counted, and what it may have said is asked for.
    fn on_unreadable(&mut self, now: Now, error: &WireError, out: &mut Out) {
        out.malformed(error.to_string());
        match error {
            WireError::Push { token: Some(token), .. } => self.doubt(now, token.clone(), out),
            WireError::Push { token: None, .. } if matches!(self.phase, Phase::Seed | Phase::Live) => {
                self.lose(now, "unreadable_push", ReasonCode::ProtocolError, "a push does not say which token it is of", out);
                self.refetch(now);
            }
            WireError::Push { .. } => {}
            WireError::Json | WireError::Field(_) | WireError::TooMany | WireError::Twice => {
                self.ask_by(self.last_asked.map_or(now.mono, |last| last.plus_ms(GARBAGE_GAP_MS)), now);
            }
        }
    }

    fn doubt(&mut self, now: Now, token: Name, out: &mut Out) {
        out.event(VenueEvent::Unproven { wallet: WALLET.into(), assets: vec![token.clone()] });
        if !self.doubts.contains(&token) {
            if self.doubts.len() >= MAX_DOUBTS {
                return self.close(out, ErrorClass::Protocol, ReasonCode::RowLimit, "more suspicious rows than can be kept");
            }
            self.doubts.push(token);
        }
        self.ask_by(now.mono, now);
    }

    /// Nothing is proven any more until a whole answer comes.
    fn lose(&mut self, now: Now, why: &'static str, code: ReasonCode, text: &'static str, out: &mut Out) {
        out.event(VenueEvent::Resynced { reason: why });
        out.event(VenueEvent::Unsynced(AccountPush::Syncing(Reason::new(code, text))));
        self.told = Some(code);
        self.phase = Phase::Seed;
        self.refetch(now);
    }

    // ---- REST ----

    /// The next answer is a snapshot; one under way is too old to be it.
    fn refetch(&mut self, now: Now) {
        self.whole = true;
        if let Some(asking) = &mut self.asking {
            asking.outdated = true;
        }
        self.ask_by(now.mono, now);
    }

    /// Asks at `at` at the latest, though not right after the last time. Not before the subscription stands.
    fn ask_by(&mut self, at: Mono, now: Now) {
        if !matches!(self.phase, Phase::Seed | Phase::Live) {
            return;
        }
        let at = at.max(now.mono).max(self.last_asked.map_or(at, |last| last.plus_ms(ASK_GAP_MS)));
        self.ask_at = Some(self.ask_at.map_or(at, |before| before.min(at)));
    }

    /// Makes the calls that are due and that the host's budget allows.
    fn poll(&mut self, now: Now, out: &mut Out) {
        let due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        if due(self.key_at) && self.keying.is_none() && self.phase != Phase::Closed {
            match self.budget(now) {
                Ok(()) => self.ask_key(now, out),
                Err(when) => {
                    self.key_at = Some(when);
                    // Waiting for our own budget is no silence of the venue.
                    if self.phase == Phase::ListenKey {
                        self.give_up_at = Some(when.plus_ms(self.account.options.sync_timeout_ms));
                    }
                }
            }
        }
        if due(self.ask_at) && self.asking.is_none() && matches!(self.phase, Phase::Seed | Phase::Live) {
            match self.budget(now) {
                Ok(()) => self.ask(now, out),
                Err(when) => {
                    self.ask_at = Some(when);
                    if when.since_ms(*self.due.get_or_insert(now.mono)) > LATE_MS {
                        self.tell(out, &Failure::PUT_OFF);
                    }
                }
            }
        }
    }

    fn budget(&self, now: Now) -> Result<(), Mono> {
        self.account.host.lock().call(now.mono).map_err(|when| when.max(now.mono.plus_ms(1)))
    }

    fn call(&mut self, method: &'static str, proven: auth::Proven, out: &mut Out) -> CallId {
        self.calls = self.calls.wrapping_add(1);
        let id = CallId(self.calls);
        let auth::Proven { path, headers } = proven;
        out.call(Call { id, method, path, headers, body: String::new(), timeout_ms: CALL_TIMEOUT_MS });
        id
    }

    /// 4. and 6.
    fn ask(&mut self, now: Now, out: &mut Out) {
        let path = format!("{}/spot/balances", self.account.base);
        let token = auth::token(&self.account.credentials);
        let proven = match &token {
            Some(token) => auth::bearer(path, token),
            None => auth::signed(path, &self.account.credentials, now.unix),
        };
        let id = self.call("GET", proven, out);
        let settles = std::mem::take(&mut self.doubts);
        let (sent, whole, by_token) = (now.mono, self.whole, token.is_some());
        self.asking = Some(Asking { id, sent, whole, by_token, settles, outdated: false });
        self.last_asked = Some(now.mono);
        (self.ask_at, self.due) = (None, None);
    }

    fn on_balances(&mut self, now: Now, asking: Asking, reply: Result<Reply<'_>, CallError>, out: &mut Out) {
        if asking.outdated || self.phase == Phase::Subscribed {
            self.unsettle(asking.settles);
            return self.ask_by(now.mono, now);
        }
        match rest::read(reply, asking.by_token) {
            Ok(listing) => {
                self.judge_suspects(&asking.settles, &listing.rows);
                self.on_listing(now, asking, listing, out);
            }
            Err(failure) => {
                self.unsettle(asking.settles);
                self.on_failure(now, &failure, out);
            }
        }
    }

    /// A push with a lower time stamp either came late, or it was the newest and the venue's clock has stepped back. Where REST says
    /// what it said, it was the newest: a new count of times begins with it. Else the old count stands.
    fn judge_suspects(&mut self, settled: &[Name], rows: &[Row]) {
        if settled.is_empty() {
            return;
        }
        let rows: HashMap<&Name, &Row> = rows.iter().map(|row| (&row.token, row)).collect();
        for token in settled.iter().filter(|token| !self.doubts.contains(token)) {
            let Some(suspect) = self.suspects.remove(token) else { continue };
            let is_newest = rows
                .get(token)
                .is_some_and(|row| row.available.same_value(&suspect.available) && row.frozen.same_value(&suspect.frozen));
            if let Some(ts) = suspect.ts.filter(|_| is_newest) {
                self.last_ts.insert(suspect.token, ts);
            }
        }
    }

    /// Doubts that were to be settled and were not.
    fn unsettle(&mut self, doubts: Vec<Name>) {
        for token in doubts {
            if !self.doubts.contains(&token) {
                self.doubts.push(token);
            }
        }
    }

    /// Steps 4 and 6. A row that cannot be read keeps its value and loses its proof. One that does not say whose it is could be any: then what the
    /// list seems to lack is not gone.
    fn on_listing(&mut self, now: Now, asking: Asking, listing: Listing, out: &mut Out) {
        self.failures = 0;
        if let Some(error) = &listing.problem {
            out.malformed(format!("GET /spot/balances: {error}"));
        }
        let (is_whole, mut unproven) = (listing.problem.is_none(), listing.nameless);
        if listing.has_unnamed {
            let text = "REST lists a row that does not say which token it is of";
            out.event(VenueEvent::Omitted(Reason::new(ReasonCode::ProtocolError, text)));
        }
        let unsaid = listing.unreadable.iter().map(|token| RowUpdate::new(WALLET, token.clone()));
        let rows = listing.rows.into_iter().map(Row::update).chain(unsaid).collect();
        if asking.whole {
            let freshness = Freshness::Asked { sent: asking.sent };
            out.event(VenueEvent::Snapshot(Snapshot { freshness, scope: Scope::Account, rows }));
            out.event(VenueEvent::Synced);
            (self.phase, self.whole) = (Phase::Live, false);
            unproven.extend(listing.unreadable);
        } else {
            let (sent, scope, absence) = (asking.sent, Scope::Account, Absence::Zero);
            out.event(VenueEvent::Reconcile(Reconcile { sent, scope, absence, rows }));
        }
        // Doubted since the request left: this answer does not settle them.
        unproven.extend(self.doubts.iter().cloned());
        if !unproven.is_empty() {
            out.event(VenueEvent::Unproven { wallet: WALLET.into(), assets: unproven });
        }
        if self.told.take().is_some() {
            out.event(VenueEvent::Duty(None));
        }
        if !self.doubts.is_empty() {
            self.ask_by(now.mono, now);
        }
        let pause = match self.account.options.reconcile_ms {
            // No comparisons are wanted, but this one is not over.
            0 if !is_whole => AGAIN_MS,
            pause => pause,
        };
        if pause > 0 {
            let pause = if asking.whole { pause.min(FIRST_RECONCILE_MS) } else { pause };
            let at = now.mono.plus_ms(self.jittered(pause));
            self.ask_at = Some(self.ask_at.map_or(at, |before| before.min(at)));
        }
    }

    fn on_failure(&mut self, now: Now, failure: &Failure, out: &mut Out) {
        match &failure.kind {
            Kind::Unreadable(error) => {
                out.malformed(format!("GET /spot/balances: {error}"));
                if self.phase == Phase::Live && *error == WireError::TooMany {
                    // Some may be of tokens that the stream never told of.
                    out.event(VenueEvent::Omitted(Reason::new(failure.code, failure.text)));
                }
            }
            Kind::Limited => self.account.host.lock().calls_overrun(now.mono),
            Kind::Busy | Kind::Plain => {}
        }
        let (pause, telling) = failure.pause_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        let pause = if telling { self.jittered(pause) } else { pause };
        if telling {
            self.tell(out, failure);
        }
        self.ask_at = Some(now.mono.plus_ms(pause));
    }

    /// Says once why the REST duty fails, or why the seed is late.
    fn tell(&mut self, out: &mut Out, failure: &Failure) {
        if self.told.replace(failure.code) == Some(failure.code) {
            return;
        }
        let reason = Reason::new(failure.code, failure.text);
        out.event(match self.phase {
            Phase::Live => VenueEvent::Duty(Some(reason)),
            Phase::ListenKey | Phase::AuthResult | Phase::Subscribed | Phase::Seed | Phase::Closed => {
                VenueEvent::Unsynced(AccountPush::Syncing(reason))
            }
        });
    }

    /// ±20 %, so that accounts do not ask in step.
    fn jittered(&mut self, ms: u64) -> u64 {
        (ms * self.rng.u64(80..=120) / 100).max(1)
    }

    fn watch_token(&mut self, now: Now) {
        let expires = auth::token(&self.account.credentials).and_then(|token| auth::expiry(&token));
        let left = expires.map(|at| at.0.saturating_sub(now.unix.0)).filter(|left| *left > 0);
        self.token_expires_at = left.map(|left| now.mono.plus_ms(left.unsigned_abs()));
    }

    // ---- the listen key ----

    /// 1. and 8. A repeated `POST` gives the same key, so one that came too late does no harm.
    fn ask_key(&mut self, now: Now, out: &mut Out) {
        let method = if self.phase == Phase::ListenKey { "POST" } else { "PUT" };
        let path = self.account.options.listen_key_path.clone();
        let proven = auth::signed(path, &self.account.credentials, now.unix);
        self.keying = Some(self.call(method, proven, out));
        self.key_at = None;
    }

    fn on_key(&mut self, now: Now, reply: Result<Reply<'_>, CallError>, out: &mut Out) {
        if self.phase != Phase::ListenKey {
            // 8. The socket was let in and stays in; what a lost key means for REST, REST itself will say.
            let renewed = reply.is_ok_and(|reply| matches!(reply.status, 200..=299));
            self.key_at = Some(now.mono.plus_ms(if renewed { RENEW_MS } else { RENEW_RETRY_MS }));
            return;
        }
        let Ok(reply) = reply else {
            return self.close(out, ErrorClass::Transient, ReasonCode::ConnectFailed, "REST gave no listen key in time");
        };
        if !matches!(reply.status, 200..=299) {
            let (class, code, text) = auth::refused_key(reply.status, wire::refusal_of(&reply).code);
            return self.close(out, class, code, text);
        }
        match wire::listen_key(reply.body) {
            Ok(key) => {
                self.key_at = Some(now.mono.plus_ms(RENEW_MS));
                out.send(wire::auth_listen_key(&key));
                self.await_answer(now, Phase::AuthResult);
            }
            Err(error) => {
                out.malformed(format!("POST for a listen key: {error}"));
                self.close(out, ErrorClass::Protocol, ReasonCode::ProtocolError, "REST gave something else than a listen key");
            }
        }
    }
}
