//! The scheduled REST duty: asks for all wallets, fills what the stream leaves unknown, and notices what it lost.
//!
//! Pure. It decides when to ask and what an answer is worth; rows are judged by the store.

use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::auth;
use super::wire::{self, Answer, Row};
use crate::model::{Mono, Now, Reason, ReasonCode, VenueEvent};
use crate::venue::{Call, CallError, CallId, Credentials, HostBudget, Nonce, Out, Reply};

/// The endpoint, without leading slash as it is signed. Source: docs.bitfinex.com/reference/rest-auth-wallets.
pub(super) const PATH: &str = "v2/auth/r/wallets";
const BODY: &str = "{}";
const TIMEOUT_MS: u64 = 10_000;
/// Pause after an answer that failed, unless the period is shorter.
const RETRY_MS: u64 = 15_000;
/// The venue blocks an address for 10 to 60 seconds when it overruns the limit.
const BLOCKED_MS: u64 = 60_000;
const MAX_JITTER_MS: u64 = 5_000;
/// A comparison that the host's budget puts off by more than this is told of: rows are older than the period promises.
const LATE_MS: u64 = 30_000;

/// One account's REST duty within one connection.
pub(super) struct Reconciler {
    every_ms: u64,
    host: Arc<Mutex<HostBudget>>,
    nonce: Arc<Nonce>,
    random: fastrand::Rng,
    next: Option<Mono>,
    /// Since when it is time to ask and the host's budget does not allow it.
    due: Option<Mono>,
    pending: Option<(CallId, Mono)>,
    serial: u32,
    /// Attempts in a row that the venue refused for their nonce.
    leaps: usize,
    /// What was last told as [`VenueEvent::Duty`]; the outer `None`: nothing yet in this connection.
    told: Option<Option<ReasonCode>>,
}

/// A list of wallets as of some moment after `sent`.
pub(super) struct Listing<'a> {
    pub sent: Mono,
    pub rows: Vec<Row<'a>>,
}

impl Reconciler {
    /// `every_ms` 0 switches it off.
    pub fn new(every_ms: u64, host: Arc<Mutex<HostBudget>>, nonce: Arc<Nonce>, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { every_ms, host, nonce, random, next: None, due: None, pending: None, serial: 0, leaps: 0, told: None }
    }

    pub fn is_on(&self) -> bool {
        self.every_ms > 0
    }

    /// Asks `ms` from now, or somewhat later so that accounts do not ask in step, unless it asks earlier anyway.
    pub fn within(&mut self, now: Mono, ms: u64) {
        if self.is_on() {
            let at = now.plus_ms(ms + self.random.u64(0..=(ms / 2).min(MAX_JITTER_MS)));
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// Stops asking until told again.
    pub fn pause(&mut self) {
        (self.next, self.due) = (None, None);
    }

    /// When to call [`Reconciler::poll`].
    pub fn deadline(&self) -> Option<Mono> {
        self.next.filter(|_| self.pending.is_none())
    }

    /// Asks, where it is time and the host's budget allows.
    pub fn poll(&mut self, now: Now, credentials: &Credentials, out: &mut Out) {
        if self.deadline().is_none_or(|at| at > now.mono) {
            return;
        }
        let allowed = self.host.lock().call(now.mono);
        if let Err(when) = allowed {
            self.next = Some(when);
            if when.since_ms(*self.due.get_or_insert(now.mono)) > LATE_MS {
                let text = "REST wallets: the requests allowed to this host are used up, and the comparison waits";
                self.tell(Some(Reason::new(ReasonCode::RateLimited, text)), out);
            }
            return;
        }
        self.due = None;
        let (Some(key), Some(secret)) = (credentials.get("api_key"), credentials.get("api_secret")) else {
            self.failed(now, ReasonCode::Configuration, "api_key or api_secret is not configured any more", out);
            return;
        };
        let nonce = self.nonce.next(now.unix).to_string();
        let signature = auth::sign(secret.expose_secret(), &auth::rest_payload(PATH, &nonce, BODY));
        self.serial = self.serial.wrapping_add(1);
        self.pending = Some((CallId(self.serial), now.mono));
        self.next = None;
        out.call(Call {
            id: CallId(self.serial),
            method: "POST",
            path: format!("/{PATH}"),
            headers: vec![
                ("content-type", "application/json".into()),
                ("bfx-nonce", nonce),
                ("bfx-apikey", key.expose_secret().into()),
                ("bfx-signature", signature),
            ],
            body: BODY.into(),
            timeout_ms: TIMEOUT_MS,
        });
    }

    /// What the answer lists. `None`: it lists nothing, and what that means was said.
    pub fn answered<'a>(
        &mut self,
        now: Now,
        call: CallId,
        reply: Result<Reply<'a>, CallError>,
        out: &mut Out,
    ) -> Option<Listing<'a>> {
        let (_, sent) = self.pending.take_if(|(id, _)| *id == call)?;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.failed(now, ReasonCode::ReconcileFailed, &format!("REST wallets: {error}"), out);
                return None;
            }
        };
        match wire::decode_answer(reply.body) {
            _ if reply.status == 429 => self.overrun(now, out),
            Ok(Answer::RateLimited | Answer::Error(11010)) => self.overrun(now, out),
            Ok(Answer::Wallets(rows)) if reply.status == 200 => {
                self.leaps = 0;
                self.tell(None, out);
                self.next = None;
                self.within(now.mono, self.every_ms);
                return Some(Listing { sent, rows });
            }
            Ok(Answer::Error(10114)) => self.nonce_refused(now, out),
            Ok(Answer::Error(code @ (10100 | 10111..=10113))) => {
                let text = format!("REST wallets: the venue refuses the key (code {code}): check its permissions");
                self.failed(now, ReasonCode::RestUnauthorized, &text, out);
            }
            Ok(Answer::Error(code)) => {
                let text = format!("REST wallets: status {}, code {code}", reply.status);
                self.failed(now, ReasonCode::ReconcileFailed, &text, out);
            }
            Ok(Answer::Wallets(_)) => {
                let text = format!("REST wallets: status {}", reply.status);
                self.failed(now, ReasonCode::ReconcileFailed, &text, out);
            }
            Err(error) => {
                if reply.status == 200 {
                    out.malformed(format!("REST wallets: {error}"));
                }
                let text = format!("REST wallets: status {}, {error}", reply.status);
                self.failed(now, ReasonCode::ReconcileFailed, &text, out);
            }
        }
        None
    }

    /// Another program uses the key, or our clock went back: go ahead on the key's line, a bounded number of times.
    fn nonce_refused(&mut self, now: Now, out: &mut Out) {
        if auth::leap(&self.nonce, self.leaps) {
            self.leaps += 1;
            self.next = Some(now.mono.plus_ms(1));
        } else {
            self.leaps = 0;
            self.failed(now, ReasonCode::ClockSkew, "REST wallets: the venue refuses our nonce; use a key of its own", out);
        }
    }

    fn overrun(&mut self, now: Now, out: &mut Out) {
        self.host.lock().calls_overrun(now.mono);
        self.failed(now, ReasonCode::RateLimited, "REST wallets: the venue limits this address", out);
        self.next = None;
        self.within(now.mono, BLOCKED_MS);
    }

    fn failed(&mut self, now: Now, code: ReasonCode, text: &str, out: &mut Out) {
        self.next = None;
        self.within(now.mono, self.every_ms.min(RETRY_MS));
        self.tell(Some(Reason::new(code, text)), out);
    }

    /// Says how the duty goes, where that is news.
    fn tell(&mut self, reason: Option<Reason>, out: &mut Out) {
        let code = reason.as_ref().map(|reason| reason.code);
        if self.told != Some(code) {
            self.told = Some(code);
            out.event(VenueEvent::Duty(reason));
        }
    }
}
