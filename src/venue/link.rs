//! One account's upstream over its whole life: dial, converse, lose, wait, dial again. Pure: a driver carries out its commands.
//!
//! The link owns what no session may decide: when to reconnect (class, jittered backoff, the host's budget), what an ended
//! connection leaves behind in the store, and that all events of one message become one commit.

use std::sync::Arc;

use parking_lot::Mutex;

use super::series::FRAME_KINDS;
use super::{
    Action, Call, CallError, CallId, Closing, Connector, ErrorClass, Frame, Handshake, HostBudget, Out, Reply, Session, Venue,
};
use crate::metrics::traces::Open;
use crate::metrics::{FrameLabels, Metrics, ReasonLabels, VenueLabels};
use crate::model::{AccountIdx, AccountState, Mono, Now, Proof, Reason, ReasonCode, VenueEvent};
use crate::store::Store;

/// First and longest wait between attempts after a plain failure. The first keeps an outage of one frame short; the longest is
/// what a person waits at worst once a venue is back.
const BACKOFF_MS: (u64, u64) = (300, 30_000);
/// A connection that stayed synced this long starts the backoff anew.
const STABLE_MS: u64 = 10_000;
/// Credentials the venue refuses: slow, and ever slower up to an hour, so that a key is never locked by us.
const CREDENTIAL_MS: (u64, u64) = (60_000, 3_600_000);
/// Refusals that good credentials also meet: how many are taken as transient, and how slowly.
const MAYBE_TRIES: u32 = 3;
const MAYBE_MS: (u64, u64) = (5_000, 60_000);
/// A wrong address or option: someone is likely mending it.
const CONFIGURATION_MS: (u64, u64) = (10_000, 300_000);

/// Why a session fetches everything anew at an operator's word; the label of the metric.
pub(super) const OPERATOR: &str = "operator";

/// What the driver has to do, in order.
pub enum Command {
    /// Open the WebSocket, answer with [`Link::on_dialed`].
    Dial(Handshake),
    Send(String),
    Ping,
    /// Make the request, answer with [`Link::on_reply`].
    Call(Call),
    /// Close the WebSocket and forget its frames and calls. No answer.
    Hangup,
}

/// Why a dial failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialError {
    /// The venue answered the handshake with this HTTP status.
    Refused(u16),
    /// No connection, no TLS, or no answer in time.
    Unreachable,
    /// The address is no WebSocket address.
    BadAddress,
}

/// See the module.
pub struct Link {
    idx: AccountIdx,
    name: (&'static str, String),
    /// The venue's reasons for a resync.
    resyncs: &'static [&'static str],
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    connector: Arc<dyn Connector>,
    host: Arc<Mutex<HostBudget>>,
    /// The account's, for the readers of its record. `None`: the account is gone, and nobody reads.
    proof: Option<Arc<Proof>>,
    rng: fastrand::Rng,
    phase: Phase,
    /// Failed attempts in a row, by what they ask for.
    failures: u32,
    refusals: u32,
    doubts: u32,
    /// Connections so far, attempts included: what logs and traces call the present one by.
    conn: u64,
    /// The present connection's, for the log.
    span: tracing::Span,
    /// The same for traces. `None`: they are off.
    open: Option<Box<Open>>,
}

enum Phase {
    Waiting { until: Mono },
    Dialing,
    Open { session: Box<dyn Session>, synced: Option<Mono> },
    Stopped,
}

/// What a link works on.
pub struct LinkParts {
    pub idx: AccountIdx,
    pub account: String,
    pub venue: &'static Venue,
    pub store: Arc<Store>,
    pub metrics: Arc<Metrics>,
    pub connector: Arc<dyn Connector>,
    pub host: Arc<Mutex<HostBudget>>,
    pub seed: u64,
}

impl Link {
    /// A link that dials at its first [`Link::on_timer`].
    pub fn new(parts: LinkParts) -> Self {
        Self {
            idx: parts.idx,
            proof: parts.store.record(parts.idx).map(|record| Arc::clone(&record.proof)),
            name: (parts.venue.name, parts.account),
            resyncs: parts.venue.resyncs,
            store: parts.store,
            metrics: parts.metrics,
            connector: parts.connector,
            host: parts.host,
            rng: fastrand::Rng::with_seed(parts.seed),
            phase: Phase::Waiting { until: Mono::default() },
            failures: 0,
            refusals: 0,
            doubts: 0,
            conn: 0,
            span: tracing::Span::none(),
            open: None,
        }
    }

    /// The base address for this account's calls.
    pub fn rest_url(&self) -> &str {
        self.connector.rest_url()
    }

    /// When to call [`Link::on_timer`]. `None`: something else will happen first.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Open { session, .. } => session.deadline(),
            Phase::Dialing | Phase::Stopped => None,
        }
    }

    /// The deadline has passed. Early calls do nothing.
    pub fn on_timer(&mut self, now: Now, commands: &mut Vec<Command>) {
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now.mono => self.dial(now, commands),
            Phase::Open { session, .. } if session.deadline().is_some_and(|at| at <= now.mono) => {
                let mut out = Out::default();
                session.on_timeout(now, &mut out);
                self.carry_out(now, out, commands);
            }
            _ => {}
        }
    }

    fn dial(&mut self, now: Now, commands: &mut Vec<Command>) {
        if let Err(when) = self.host.lock().connect(now.mono) {
            // A little apart, so that the accounts of a host do not all ask again at once.
            self.phase = Phase::Waiting { until: when.plus_ms(self.rng.u64(1..200)) };
            return;
        }
        self.store.connecting(self.idx, now);
        self.phase = Phase::Dialing;
        self.begin();
        commands.push(Command::Dial(self.connector.handshake()));
    }

    /// Names the connection that is being made.
    fn begin(&mut self) {
        let (venue, account) = (self.name.0, self.name.1.as_str());
        self.conn += 1;
        self.span = tracing::info_span!(parent: None, "venue", venue, account, conn = self.conn);
        let attributes = || vec![("venue", venue.into()), ("account", account.into()), ("conn", self.conn.into())];
        self.open = self.metrics.traces.open("venue connection", attributes);
        if let Some(open) = &self.open {
            self.metrics.traces.set_upstream(account, Some((open, self.conn)));
        }
    }

    /// The present connection's span, for what others log of it.
    pub fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// A [`Command::Dial`] ended.
    pub fn on_dialed(&mut self, now: Now, result: Result<(), DialError>, commands: &mut Vec<Command>) {
        if !matches!(self.phase, Phase::Dialing) {
            return;
        }
        match result {
            Ok(()) => {
                self.prove(now);
                self.store.opened(self.idx, now);
                let mut session = self.connector.session(self.rng.u64(..));
                let mut out = Out::default();
                session.on_open(now, &mut out);
                self.phase = Phase::Open { session, synced: None };
                self.carry_out(now, out, commands);
            }
            Err(error) => {
                let closing = self.judge(error);
                self.end(now, closing);
            }
        }
    }

    fn judge(&self, error: DialError) -> Closing {
        let (class, code, text) = match error {
            DialError::Unreachable => {
                (ErrorClass::Transient, ReasonCode::ConnectFailed, "the venue cannot be reached".to_owned())
            }
            DialError::BadAddress => {
                (ErrorClass::Configuration, ReasonCode::Configuration, "ws_url is no WebSocket address".to_owned())
            }
            DialError::Refused(status) => {
                if let Some(closing) = self.connector.refused(status) {
                    return closing;
                }
                let text = format!("the venue refused the connection with HTTP {status}");
                match status {
                    429 => (ErrorClass::RateLimited { wait_ms: 60_000 }, ReasonCode::RateLimited, text),
                    401 | 403 => (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, text),
                    404 | 405 | 426 => (ErrorClass::Configuration, ReasonCode::Configuration, format!("{text}; check ws_url")),
                    _ => (ErrorClass::Transient, ReasonCode::ConnectFailed, text),
                }
            }
        };
        Closing { class, reason: Reason::new(code, text) }
    }

    /// A frame came.
    pub fn on_frame(&mut self, now: Now, frame: Frame<'_>, commands: &mut Vec<Command>) {
        let kind = match frame {
            Frame::Text(_) => "text",
            Frame::Binary(_) => "binary",
            Frame::Ping => "ping",
            Frame::Pong => "pong",
        };
        self.count_frame(kind);
        if let Phase::Open { session, .. } = &mut self.phase {
            let mut out = Out::default();
            session.on_frame(now, frame, &mut out);
            self.carry_out(now, out, commands);
        }
    }

    /// A call ended. Answers to calls of an earlier connection must not be handed in.
    pub fn on_reply(&mut self, now: Now, id: CallId, reply: Result<Reply<'_>, CallError>, commands: &mut Vec<Command>) {
        self.count_frame("reply");
        if let Phase::Open { session, .. } = &mut self.phase {
            let mut out = Out::default();
            session.on_reply(now, id, reply, &mut out);
            self.carry_out(now, out, commands);
        }
    }

    /// The transport ended by itself. `code`: the venue's close code, where there was one.
    pub fn on_closed(&mut self, now: Now, code: Option<u16>) {
        if matches!(self.phase, Phase::Open { .. }) {
            let text = match code {
                Some(code) => format!("the venue closed the connection (code {code})"),
                None => "the connection broke".to_owned(),
            };
            let reason = Reason::new(ReasonCode::UpstreamDisconnected, text);
            self.end(now, Closing { class: ErrorClass::Transient, reason });
        }
    }

    /// Something in here panicked. What the connection knew cannot be trusted any more: it is over, and another one is made.
    pub fn on_panic(&mut self, now: Now, commands: &mut Vec<Command>) {
        self.metrics.process.caught.inc();
        let reason = Reason::new(ReasonCode::UpstreamDisconnected, "the connection failed inside the gateway; see its log");
        match self.phase {
            Phase::Open { .. } | Phase::Dialing => {
                commands.push(Command::Hangup);
                self.end(now, Closing { class: ErrorClass::Transient, reason });
            }
            Phase::Waiting { .. } => {
                let (wait_ms, _) = self.consequence(ErrorClass::Transient);
                self.phase = Phase::Waiting { until: now.mono.plus_ms(wait_ms) };
            }
            Phase::Stopped => {}
        }
    }

    /// The machine slept, and its monotonic clock with it: no liveness bound has noticed, and what was live then says nothing of now.
    pub fn on_slept(&mut self, now: Now, commands: &mut Vec<Command>) {
        if matches!(self.phase, Phase::Open { .. }) {
            commands.push(Command::Hangup);
            let text = "this machine slept, or its clock was set ahead: what the venue said meanwhile is not known";
            let reason = Reason::new(ReasonCode::UpstreamDisconnected, text);
            self.end(now, Closing { class: ErrorClass::Restart, reason });
        }
    }

    /// An operator wants everything fetched anew.
    pub fn resync(&mut self, now: Now, commands: &mut Vec<Command>) {
        self.count_resync(OPERATOR);
        self.ask(now, commands, |session, out| session.resync(now, out));
    }

    /// The credentials were read anew. A link that waits because they were refused tries at once.
    pub fn on_credentials(&mut self, now: Now, commands: &mut Vec<Command>) {
        if let Phase::Waiting { until } = &mut self.phase
            && self.refusals + self.doubts > 0
        {
            *until = now.mono;
        }
        (self.refusals, self.doubts) = (0, 0);
        self.ask(now, commands, |session, out| session.on_credentials(now, out));
    }

    fn ask(&mut self, now: Now, commands: &mut Vec<Command>, request: impl FnOnce(&mut dyn Session, &mut Out)) {
        if let Phase::Open { session, .. } = &mut self.phase {
            let mut out = Out::default();
            request(&mut **session, &mut out);
            self.carry_out(now, out, commands);
        }
    }

    /// The gateway stops: nothing is dialed any more. Rows keep their state; nobody reads them much longer.
    pub fn stop(&mut self, commands: &mut Vec<Command>) {
        if matches!(self.phase, Phase::Open { .. } | Phase::Dialing) {
            self.host.lock().closed();
            commands.push(Command::Hangup);
        }
        self.metrics.traces.set_upstream(&self.name.1, None);
        self.metrics.traces.close(self.open.take(), || vec![("reason", "stopped".into())]);
        self.phase = Phase::Stopped;
    }

    /// Applies all events of one message as one commit, then everything that follows from it.
    fn carry_out(&mut self, now: Now, mut out: Out, commands: &mut Vec<Command>) {
        // A verdict may lead to further actions; a session answers it with calls and deadlines, so few rounds suffice.
        for _ in 0..4 {
            let (mut events, mut closing) = (Vec::new(), None);
            for action in out.actions {
                match action {
                    Action::Send(text) => commands.push(Command::Send(text)),
                    Action::Ping => commands.push(Command::Ping),
                    Action::Call(call) => commands.push(Command::Call(call)),
                    Action::Event(event) => events.extend(self.note(now, event)),
                    Action::Close(closed) => {
                        closing = Some(closed);
                        break;
                    }
                }
            }
            let verdict = if events.is_empty() { None } else { self.store.apply(self.idx, now, events) };
            if let Some(closing) = closing {
                commands.push(Command::Hangup);
                return self.end(now, closing);
            }
            let (Some(verdict), Phase::Open { session, .. }) = (verdict, &mut self.phase) else { return };
            out = Out::default();
            session.on_verdict(now, verdict, &mut out);
        }
    }

    /// Takes out what concerns the link; the rest is the store's.
    fn note(&mut self, now: Now, event: VenueEvent) -> Option<VenueEvent> {
        match event {
            VenueEvent::Alive => {
                self.prove(now);
                return None;
            }
            VenueEvent::Malformed { what } => {
                self.metrics.venue_decode_errors.get_or_create(&VenueLabels { venue: self.name.0 }).inc();
                tracing::warn!(parent: &self.span, venue = self.name.0, account = self.name.1, what, "venue message not understood");
                return None;
            }
            // An operator's was counted when it came in: some sessions answer it with a new connection and say nothing.
            VenueEvent::Resynced { reason } if reason == OPERATOR => {}
            VenueEvent::Resynced { reason } => {
                debug_assert!(self.resyncs.contains(&reason), "{} does not list {reason}", self.name.0);
                self.count_resync(reason);
            }
            VenueEvent::Synced => {
                if let Phase::Open { synced: synced @ None, .. } = &mut self.phase {
                    *synced = Some(now.mono);
                    tracing::info!(parent: &self.span, venue = self.name.0, account = self.name.1, "upstream synced");
                }
                (self.refusals, self.doubts) = (0, 0);
            }
            _ => {}
        }
        Some(event)
    }

    fn prove(&self, now: Now) {
        self.proof.iter().for_each(|proof| proof.give(now));
    }

    /// A connection, or the attempt to make one, is over.
    fn end(&mut self, now: Now, closing: Closing) {
        if let Phase::Open { synced: Some(synced), .. } = &self.phase
            && now.mono.since_ms(*synced) >= STABLE_MS
        {
            self.failures = 0;
        }
        let mut host = self.host.lock();
        host.closed();
        if matches!(closing.class, ErrorClass::RateLimited { .. }) {
            // The venue counts by address: the other accounts of the host wait too.
            host.connects_overrun(now.mono);
        }
        drop(host);
        let (wait_ms, state) = self.consequence(closing.class);
        tracing::info!(
            parent: &self.span,
            venue = self.name.0,
            account = self.name.1,
            reason = closing.reason.code.as_str(),
            text = &*closing.reason.text,
            wait_ms,
            "upstream ended"
        );
        let labels = ReasonLabels { venue: self.name.0, account: self.name.1.clone(), reason: closing.reason.code.as_str() };
        self.metrics.venue_reconnects.get_or_create(&labels).inc();
        self.phase = Phase::Waiting { until: now.mono.plus_ms(wait_ms) };
        self.metrics.traces.set_upstream(&self.name.1, None);
        self.metrics.traces.close(self.open.take(), || vec![("reason", closing.reason.code.as_str().into())]);
        self.store.lost(self.idx, now, state, closing.reason);
    }

    /// How long to wait, and what the account reads meanwhile.
    fn consequence(&mut self, class: ErrorClass) -> (u64, AccountState) {
        let counter = match class {
            ErrorClass::Credential => &mut self.refusals,
            ErrorClass::CredentialMaybe => &mut self.doubts,
            _ => &mut self.failures,
        };
        let failed = *counter;
        *counter += 1;
        let rng = &mut self.rng;
        match class {
            ErrorClass::Credential => (backoff(rng, CREDENTIAL_MS, failed), AccountState::AuthFailed),
            ErrorClass::CredentialMaybe if failed < MAYBE_TRIES => (backoff(rng, MAYBE_MS, failed), AccountState::Stale),
            ErrorClass::CredentialMaybe => {
                self.refusals += 1;
                (backoff(rng, CREDENTIAL_MS, failed - MAYBE_TRIES), AccountState::AuthFailed)
            }
            ErrorClass::Transient | ErrorClass::Protocol | ErrorClass::Restart => {
                (backoff(rng, BACKOFF_MS, failed), AccountState::Stale)
            }
            ErrorClass::RateLimited { wait_ms } => (wait_ms + backoff(rng, BACKOFF_MS, failed), AccountState::Stale),
            ErrorClass::Maintenance { wait_ms } => (wait_ms + backoff(rng, BACKOFF_MS, 0), AccountState::Maintenance),
            ErrorClass::Configuration => (backoff(rng, CONFIGURATION_MS, failed), AccountState::Stale),
        }
    }

    fn count_frame(&self, kind: &'static str) {
        debug_assert!(FRAME_KINDS.contains(&kind), "{kind} has no series");
        self.metrics.venue_frames.get_or_create(&FrameLabels { venue: self.name.0, kind }).inc();
    }

    fn count_resync(&self, reason: &'static str) {
        let labels = ReasonLabels { venue: self.name.0, account: self.name.1.clone(), reason };
        self.metrics.venue_resyncs.get_or_create(&labels).inc();
    }
}

/// Doubles with each failure up to the longest; drawn between half and the whole, so that many accounts spread.
fn backoff(rng: &mut fastrand::Rng, (first, longest): (u64, u64), failed: u32) -> u64 {
    let whole = first.saturating_mul(1 << failed.min(20)).min(longest);
    rng.u64(whole / 2..=whole)
}

#[cfg(test)]
mod tests;
