//! One connection's conversation with Moonbase. Keeps names and numbers of messages, never a balance.
//!
//! How an update is to be read is decided here by the account's `updates` option; what the venue's JSON means is `wire.rs`.

use std::sync::Arc;

use super::connector::{Account, LIMIT_WINDOW_MS, Login, Updates};
use super::held::Held;
use super::said::Said;
use super::sequence::{Sequence, Step};
use super::wire::{self, Channel, Message, Portfolio, VenueError};
use crate::model::{AccountPush, Facts, Freshness, Mono, Name, Now, Reason, ReasonCode, Scope, Snapshot, VenueEvent};
use crate::venue::{Action, CallError, CallId, ErrorClass, Frame, Liveness, Out, Pulse, Reply, Session};

// The venue's procedure (docs.moonbase.vn: websocket/overview, websocket/authentication, websocket/channel-portfolio):
//
//  1. Connect. The server greets; the greeting answers nothing, and we do not wait for it.
//  2. Send `auth`, signed or with an access token. Wait for `authenticated`.
//  3. Send `sub` to `portfolio`. Wait for `subscribed`.
//  4. Take the snapshot, which comes by itself: everything that is not zero. Only now are rows proven.
//  5. Apply updates. Whether one lists everything held or only what changed is not documented: see `Updates`.
//  6. Hold `gsn` against the one before: an old or repeated message is not applied; a gap asks for 7.
//  7. When in doubt, and at times without doubt: `unsub`, wait for `unsubscribed`, go to 3. There is no other way to ask for a
//     snapshot. Updates may still arrive on the way and are applied.
//  8. Prove the connection: nothing is sent to a quiet account for hours, and the form of the `ping` operation is not
//     documented, so protocol pings are sent; any frame or pong is proof.
//  9. After a reconnect: all of it again. A lower `gsn` is then no error.

/// Two requests for a snapshot are at least so far apart.
const REFRESH_SPACING_MS: u64 = 1_000;
/// Between `unsub` and the next snapshot nothing is pushed. Rows are called unproven when that takes longer than this.
const REFRESH_GRACE_MS: u64 = 2_000;
/// So many unreadable snapshots in a row end the connection.
const MAX_BAD_SNAPSHOTS: u8 = 3;

/// Where in the procedure the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before 1.
    Opening,
    /// In 2.
    Authenticating,
    /// In 7.
    Unsubscribing,
    /// In 3.
    Subscribing,
    /// In 4.
    Seeding,
    /// In 5.
    Streaming,
    /// The connection has been given up.
    Over,
}

/// One connection's session.
pub(super) struct MoonbaseSession {
    account: Arc<Account>,
    rng: fastrand::Rng,
    phase: Phase,
    login: Option<Login>,
    liveness: Liveness,
    sequence: Sequence,
    held: Held,
    facts: Facts,
    /// The store was told `Synced`, and not `Unsynced` since.
    is_synced: bool,
    /// The venue pushes, as far as it has said.
    is_subscribed: bool,
    /// A message is known to be lost since the last snapshot: it teaches nothing about the venue's habits.
    has_gap: bool,
    /// Since when nothing that came has named an account.
    empty_since: Option<Mono>,
    bad_snapshots: u8,
    /// A fresh snapshot is wanted, and why.
    wanted: Option<&'static str>,
    /// When the next snapshot may be asked for.
    refresh_from: Mono,
    /// When the step under way has taken too long.
    step_ends: Option<Mono>,
    /// When the snapshot under way makes the rows unproven.
    grace_ends: Option<Mono>,
    audit_at: Option<Mono>,
    token_ends: Option<Mono>,
}

impl MoonbaseSession {
    pub fn new(account: Arc<Account>, seed: u64) -> Self {
        let liveness = Liveness::new(Mono::default(), account.settings.liveness_ms);
        Self {
            account,
            rng: fastrand::Rng::with_seed(seed),
            phase: Phase::Opening,
            login: None,
            liveness,
            sequence: Sequence::default(),
            held: Held::default(),
            facts: Facts::default(),
            is_synced: false,
            is_subscribed: false,
            has_gap: false,
            empty_since: None,
            bad_snapshots: 0,
            wanted: None,
            refresh_from: Mono::default(),
            step_ends: None,
            grace_ends: None,
            audit_at: None,
            token_ends: None,
        }
    }

    /// Begins a step that must end in time.
    fn begin(&mut self, now: Now, phase: Phase) {
        self.phase = phase;
        self.step_ends = Some(now.mono.plus_ms(self.account.settings.sync_timeout_ms));
    }

    // 3.
    fn subscribe(&mut self, now: Now, out: &mut Out) {
        out.send(wire::SUBSCRIBE);
        self.begin(now, Phase::Subscribing);
    }

    fn close(&mut self, class: ErrorClass, code: ReasonCode, text: &str, out: &mut Out) {
        out.close(class, code, text);
        self.phase = Phase::Over;
    }

    fn text(&mut self, now: Now, text: &str, out: &mut Out) {
        match wire::decode(text) {
            Ok(Message::Greeting | Message::Other) => {}
            Ok(Message::Authenticated) if self.phase == Phase::Authenticating => {
                if let Some(login) = &self.login {
                    self.account.accepted(login);
                }
                self.subscribe(now, out);
            }
            Ok(Message::Subscribed) if self.phase == Phase::Subscribing => {
                self.is_subscribed = true;
                self.begin(now, Phase::Seeding);
            }
            Ok(Message::Unsubscribed) if self.phase == Phase::Unsubscribing => {
                self.is_subscribed = false;
                self.subscribe(now, out);
            }
            Ok(Message::Unsubscribed) if matches!(self.phase, Phase::Seeding | Phase::Streaming) => {
                self.is_subscribed = false;
                self.rest();
                self.unsync(ReasonCode::ProtocolError, "the venue ended the subscription", out);
                self.want("unsubscribed", now, out);
            }
            Ok(Message::Authenticated | Message::Subscribed | Message::Unsubscribed) => {}
            Ok(Message::Error(error)) => self.error(now, &error, out),
            Ok(Message::Portfolio(_)) if matches!(self.phase, Phase::Opening | Phase::Authenticating) => {
                out.malformed("portfolio: sent before the login");
            }
            Ok(Message::Portfolio(portfolio)) if portfolio.is_snapshot => self.snapshot(now, portfolio, out),
            Ok(Message::Portfolio(portfolio)) => self.update(now, portfolio, out),
            Err(error) => {
                out.malformed(error.what);
                self.unreadable(now, error.is_portfolio, out);
            }
        }
    }

    /// A message could not be read. If it was of the portfolio, what we hold is no longer what the venue last said.
    fn unreadable(&mut self, now: Now, is_portfolio: bool, out: &mut Out) {
        if is_portfolio && self.phase == Phase::Seeding {
            self.bad_snapshots += 1;
            if self.bad_snapshots >= MAX_BAD_SNAPSHOTS {
                let text = "the venue's snapshots cannot be read";
                return self.close(ErrorClass::Protocol, ReasonCode::ProtocolError, text, out);
            }
            self.rest();
        }
        if is_portfolio {
            self.unsync(ReasonCode::ProtocolError, "a message of the venue could not be read", out);
        }
        self.want("unreadable", now, out);
    }

    /// No step is under way.
    fn rest(&mut self) {
        self.phase = Phase::Streaming;
        (self.step_ends, self.grace_ends) = (None, None);
    }

    // 4. and the end of 7.
    fn snapshot(&mut self, now: Now, portfolio: Portfolio<'_>, out: &mut Out) {
        let is_behind = self.sequence.restart(portfolio.gsn);
        let is_empty = portfolio.accounts.is_empty();
        let is_answer = self.phase == Phase::Seeding;
        if self.phase != Phase::Unsubscribing {
            self.rest();
        }
        // No account at all is no statement about one. Only when it is said for long does it mean that nothing is held.
        if is_empty && !self.is_said_for_long(now, is_answer) {
            out.malformed("portfolio: data: a snapshot without an account");
            self.unsync(ReasonCode::ProtocolError, "the venue's snapshot names no account", out);
            return self.want("empty_snapshot", now, out);
        }
        if !is_empty {
            self.empty_since = None;
        }
        self.bad_snapshots = 0;
        let settled = self.held.snapshot(&portfolio.accounts);
        if self.account.settings.updates == Updates::Detect && !self.has_gap {
            self.account.habit.lock().learn(&settled);
        }
        self.has_gap = false;
        let Said { rows, unproven, facts } = Said::of(portfolio, out);
        out.event(VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows }));
        doubt(unproven, out);
        self.tell(facts, out);
        if is_behind {
            // Older than something pushed before it: applied, but not believed until the next one.
            out.malformed("portfolio: gsn: a snapshot older than the update before it");
            self.unsync(ReasonCode::ProtocolError, "the venue's snapshot is older than its updates", out);
            return self.want("old_snapshot", now, out);
        }
        self.wanted = None;
        self.schedule_audit(now);
        if !std::mem::replace(&mut self.is_synced, true) {
            // What an earlier connection's token had come to is over with that connection.
            out.event(VenueEvent::Duty(None));
            out.event(VenueEvent::Synced);
        }
    }

    /// Has the venue said nothing but that no account is there, for as long as an answer may take, and says it once more as an answer? A
    /// message sent twice, or a fault of a moment, does not last so long: it is asked again and again meanwhile.
    fn is_said_for_long(&mut self, now: Now, is_answer: bool) -> bool {
        let since = *self.empty_since.get_or_insert(now.mono);
        is_answer && now.mono.since_ms(since) >= self.account.settings.sync_timeout_ms
    }

    // 5.
    fn update(&mut self, now: Now, portfolio: Portfolio<'_>, out: &mut Out) {
        self.account.heard_time(portfolio.at, now);
        match self.sequence.step(portfolio.gsn) {
            Step::Onward => {}
            Step::Repeat => return self.suspicious(now, &portfolio, "gsn_repeat", out),
            Step::Back => return self.suspicious(now, &portfolio, "gsn_back", out),
            Step::Gap => self.gap(now, out),
        }
        if !portfolio.accounts.is_empty() {
            self.empty_since = None;
        }
        let policy = self.account.settings.updates;
        let mut left_out = self.held.update(&portfolio.accounts);
        if policy != Updates::Detect || self.account.habit.lock().is_partial() {
            left_out.clear();
        }
        let wallets: Vec<Name> = portfolio.accounts.iter().map(|account| account.id.clone()).collect();
        let Said { rows, unproven, facts } = Said::of(portfolio, out);
        match policy {
            Updates::Full if wallets.is_empty() => {}
            Updates::Full => {
                out.event(VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope: Scope::Wallets(wallets), rows }))
            }
            Updates::Detect | Updates::Partial if rows.is_empty() => {}
            Updates::Detect | Updates::Partial => out.event(VenueEvent::Rows(rows)),
        }
        doubt(unproven, out);
        self.tell(facts, out);
        if !left_out.is_empty() {
            doubt(left_out, out);
            self.want("omitted_asset", now, out);
        }
    }

    // 6. An old message, or one sent twice: not applied; what it names, or may have left out because it is gone, is doubted until a
    // snapshot settles it.
    fn suspicious(&mut self, now: Now, portfolio: &Portfolio<'_>, reason: &'static str, out: &mut Out) {
        out.malformed(match reason {
            "gsn_repeat" => "portfolio: gsn: repeated",
            _ => "portfolio: gsn: stepped back",
        });
        let names = |account: &wire::Account<'_>| account.assets.iter().map(|asset| asset.name.clone()).collect::<Vec<_>>();
        doubt(portfolio.accounts.iter().map(|account| (account.id.clone(), names(account))), out);
        let is_partial = match self.account.settings.updates {
            Updates::Full => false,
            Updates::Partial => true,
            Updates::Detect => self.account.habit.lock().is_partial(),
        };
        if !is_partial {
            doubt(self.held.unnamed(&portfolio.accounts), out);
        }
        self.want(reason, now, out);
    }

    // 6. A message is lost. Where updates are complete the next one has mended it already.
    fn gap(&mut self, now: Now, out: &mut Out) {
        self.has_gap = true;
        match self.account.settings.updates {
            Updates::Full => {}
            Updates::Detect | Updates::Partial => {
                self.unsync(ReasonCode::ProtocolError, "a message of the venue was lost", out)
            }
        }
        self.want("gsn_gap", now, out);
    }

    /// Passes on what is new.
    fn tell(&mut self, facts: Facts, out: &mut Out) {
        if (facts.fees.is_some() || facts.stats.is_some()) && !facts.same(&self.facts) {
            self.facts = facts.clone();
            out.event(VenueEvent::Facts(facts));
        }
    }

    fn unsync(&mut self, code: ReasonCode, text: &'static str, out: &mut Out) {
        if std::mem::replace(&mut self.is_synced, false) {
            let reason = Reason::new(code, text);
            out.event(VenueEvent::Unsynced(AccountPush::Syncing(reason)));
        }
    }

    // 7. A snapshot that is already on its way settles whatever was doubted before it arrives.
    fn want(&mut self, reason: &'static str, now: Now, out: &mut Out) {
        if self.phase == Phase::Streaming {
            self.wanted.get_or_insert(reason);
            self.refresh(now, out);
        }
    }

    // 7.
    fn refresh(&mut self, now: Now, out: &mut Out) {
        if self.phase != Phase::Streaming || now.mono < self.refresh_from {
            return;
        }
        let Some(reason) = self.wanted.take() else { return };
        if reason != "audit" {
            out.event(VenueEvent::Resynced { reason });
        }
        self.refresh_from = now.mono.plus_ms(REFRESH_SPACING_MS);
        self.grace_ends = self.is_synced.then(|| now.mono.plus_ms(REFRESH_GRACE_MS));
        if self.is_subscribed {
            out.send(wire::UNSUBSCRIBE);
            self.begin(now, Phase::Unsubscribing);
        } else {
            self.subscribe(now, out);
        }
    }

    /// The next audit, up to a tenth early so that accounts do not ask all at once.
    fn schedule_audit(&mut self, now: Now) {
        let every = self.account.settings.reconcile_ms;
        self.audit_at = (every > 0).then(|| now.mono.plus_ms((every - self.rng.u64(0..=every / 10)).max(REFRESH_SPACING_MS)));
    }

    /// An error names a channel at best, never a request: the phase says what it answers.
    fn error(&mut self, now: Now, error: &VenueError, out: &mut Out) {
        let is_answer = self.phase != Phase::Streaming;
        match (error.channel, error.code) {
            (Channel::Foreign, _) => out.malformed("error: about a channel we do not follow"),
            (Channel::Auth | Channel::Portfolio | Channel::Unnamed, Some(429)) if is_answer => self.close(
                ErrorClass::RateLimited { wait_ms: LIMIT_WINDOW_MS },
                ReasonCode::RateLimited,
                "the venue says that we ask too much",
                out,
            ),
            (Channel::Auth | Channel::Portfolio | Channel::Unnamed, Some(401)) => self.refused(now, out),
            (Channel::Auth, code) => self.login_failed(now, code, out),
            (Channel::Unnamed, code) if self.phase == Phase::Authenticating => self.login_failed(now, code, out),
            (Channel::Portfolio | Channel::Unnamed, Some(403)) if is_answer => {
                let text = "the venue lets this key log in but not read the portfolio";
                self.close(ErrorClass::Credential, ReasonCode::MissingPermission, text, out);
            }
            // The subscription was gone already: 3 mends that.
            (Channel::Portfolio | Channel::Unnamed, _) if self.phase == Phase::Unsubscribing => {
                out.malformed("error: in answer to unsub");
                self.is_subscribed = false;
                self.subscribe(now, out);
            }
            (Channel::Portfolio | Channel::Unnamed, _) if is_answer => {
                let text = "the venue refuses the subscription to the portfolio";
                self.close(ErrorClass::Transient, ReasonCode::SubscribeRefused, text, out);
            }
            (Channel::Portfolio, _) => {
                out.malformed("error: about the portfolio, unasked");
                self.unsync(ReasonCode::ProtocolError, "the venue reports an error of the portfolio stream", out);
                self.want("channel_error", now, out);
            }
            (Channel::Unnamed, _) => out.malformed("error: about nothing we asked"),
        }
    }

    /// A failed login, or the end of one that held until now.
    fn login_failed(&mut self, now: Now, code: Option<u16>, out: &mut Out) {
        match code {
            Some(500..) => {
                self.close(ErrorClass::Transient, ReasonCode::ConnectFailed, "the venue fails to check the login", out);
            }
            _ => self.refused(now, out),
        }
    }

    fn refused(&mut self, now: Now, out: &mut Out) {
        if let Some(login) = &self.login {
            let closing = self.account.refused(login, now);
            out.actions.push(Action::Close(closing));
            self.phase = Phase::Over;
        }
    }

    fn step_timed_out(&mut self, out: &mut Out) {
        let text = match self.phase {
            Phase::Authenticating => "the venue did not answer the login in time",
            Phase::Unsubscribing => "the venue did not answer unsub in time",
            Phase::Subscribing => "the venue did not answer sub in time",
            Phase::Seeding | Phase::Opening | Phase::Streaming | Phase::Over => "the venue sent no snapshot in time",
        };
        self.close(ErrorClass::Transient, ReasonCode::SyncTimeout, text, out);
    }
}

/// Marks rows as unproven.
fn doubt(names: impl IntoIterator<Item = (Name, Vec<Name>)>, out: &mut Out) {
    for (wallet, assets) in names {
        if !assets.is_empty() {
            out.event(VenueEvent::Unproven { wallet, assets });
        }
    }
}

/// True once, when the instant has come.
fn due(instant: &mut Option<Mono>, now: Now) -> bool {
    instant.take_if(|at| *at <= now.mono).is_some()
}

impl Session for MoonbaseSession {
    // 1. and 2.
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.liveness = Liveness::new(now.mono, self.account.settings.liveness_ms);
        let Some(login) = self.account.login() else {
            let text = "no credentials: give api_key and api_secret, or access_token";
            return self.close(ErrorClass::Configuration, ReasonCode::Configuration, text, out);
        };
        out.send(self.account.login_frame(&login, now));
        let left_ms = login.ends().and_then(|end| u64::try_from(end.0.saturating_sub(now.unix.0)).ok());
        self.token_ends = left_ms.map(|ms| now.mono.plus_ms(ms));
        self.login = Some(login);
        self.begin(now, Phase::Authenticating);
    }

    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        if self.phase == Phase::Over {
            return;
        }
        self.liveness.proof(now.mono);
        out.event(VenueEvent::Alive);
        match frame {
            Frame::Text(text) => self.text(now, text, out),
            Frame::Binary(_) => out.malformed("frame: binary"),
            Frame::Ping | Frame::Pong => {}
        }
    }

    fn on_reply(&mut self, _: Now, _: CallId, _: Result<Reply<'_>, CallError>, _: &mut Out) {
        // No call is ever made: REST would need the bare secret in a header, and the stream can be asked instead.
    }

    fn on_timeout(&mut self, now: Now, out: &mut Out) {
        if self.phase == Phase::Over {
            return;
        }
        // 8.
        match self.liveness.check(now.mono) {
            Pulse::Fine => {}
            Pulse::Probe => out.ping(),
            Pulse::Dead => {
                let text = "neither a frame nor a pong came within the liveness bound";
                return self.close(ErrorClass::Transient, ReasonCode::LivenessTimeout, text, out);
            }
        }
        if due(&mut self.step_ends, now) {
            return self.step_timed_out(out);
        }
        if due(&mut self.grace_ends, now) {
            self.unsync(ReasonCode::SyncTimeout, "a fresh snapshot is late", out);
        }
        if due(&mut self.token_ends, now) {
            let text = "the access token has expired; the stream still works, but the next login will fail";
            out.event(VenueEvent::Duty(Some(Reason::new(ReasonCode::TokenExpired, text))));
        }
        if due(&mut self.audit_at, now) {
            self.schedule_audit(now);
            self.want("audit", now, out);
        }
        self.refresh(now, out);
    }

    fn resync(&mut self, now: Now, out: &mut Out) {
        self.want("operator", now, out);
    }

    fn on_credentials(&mut self, _: Now, out: &mut Out) {
        // Logging in twice on one connection is not documented, so new secrets take a new connection.
        let changed = match (&self.login, self.account.login()) {
            (Some(used), Some(present)) => !used.same(&present),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if changed && self.phase != Phase::Over {
            self.close(ErrorClass::Restart, ReasonCode::OperatorResync, "the credentials were replaced", out);
        }
    }

    fn deadline(&self) -> Option<Mono> {
        if matches!(self.phase, Phase::Opening | Phase::Over) {
            return None;
        }
        let refresh = (self.phase == Phase::Streaming && self.wanted.is_some()).then_some(self.refresh_from);
        [Some(self.liveness.deadline()), self.step_ends, self.grace_ends, self.token_ends, self.audit_at, refresh]
            .into_iter()
            .flatten()
            .min()
    }
}
