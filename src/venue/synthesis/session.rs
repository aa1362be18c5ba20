//! One connection's conversation with Synthesis: subscribe, take the snapshot, follow updates, audit.
//!
//! Pure, and keeps no balances: per wallet it knows only how far it got. Bounded by the configured wallets.
//!
//! The venue's procedure, with the numbers used in the code:
//!
//! 1. On open, subscribe to all wallets in one request: whether a second request adds or replaces is not documented.
//! 2. The answer lists wallets with all their balances, perhaps in parts. When every wallet was listed, or something was and
//!    `grace_ms` of quiet followed, the account is synced. A wallet that was left out is asked for again, and counts as empty
//!    when the next list leaves it out too. A list that names no wallet at all proves nothing, unless the operator says so. No
//!    answer within `sync_timeout_ms`: reconnect.
//! 3. Updates and order messages may come at any time, also before their wallet was listed. They carry no time and no
//!    sequence; a list is only known to be no older than its request, so an update since the request outlives it.
//! 4. "Invalid wallets" names no address. The list is halved until the culprits are known; the others go live, degraded.
//! 5. Nothing shows a lost update, so the whole subscribe is repeated every `reconcile_ms` as an audit. Whether a repetition is
//!    answered is not documented: silence is no error, but after three in a row a fresh connection brings a fresh snapshot.
//! 6. The server pings each 30 s; we ping too, so that a dead transport is known within `liveness_ms`.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;

use super::Settings;
use super::roster::{Roster, Standing, Wallet};
use super::wire::{self, Listing, Message, Order, Refusal, Update};
use crate::model::{
    Absence, AccountPush, Field, Freshness, Mono, Name, Now, OrderUpdate, Reason, ReasonCode, Reconcile, RowUpdate, Scope,
    Snapshot, VenueEvent, Verdict,
};
use crate::venue::{CallError, CallId, ErrorClass, Frame, Liveness, Out, Pulse, Reply, Session};

/// Requests one search for refused addresses may cost: about four culprits among 500.
const MAX_PROBES: u32 = 100;
/// Unanswered audits that ask for a fresh connection.
const MAX_MISSES: u32 = 3;
/// Pause after an audit without an answer: until one is answered nobody knows whether anything is still pushed.
const MISSED_MS: u64 = 5_000;
/// An audit that found differences, or an unreadable message, is followed by another this soon …
const HASTY_MS: u64 = 1_500;
/// … so many times, until a regular audit has run.
const MAX_HASTY: u32 = 5;
/// The venue documents no window for "Rate limit exceeded".
const RATE_LIMIT_WAIT_MS: u64 = 60_000;

pub(super) struct SynthesisSession {
    settings: Arc<Settings>,
    roster: Roster,
    /// The wallets that the last list of this subscription left out.
    left_out: HashSet<Name>,
    /// `None` until the connection stands.
    liveness: Option<Liveness>,
    round: Option<Round>,
    /// Groups of wallets still to be probed, as ranges over `wallets`. Halving keeps it logarithmic.
    suspects: Vec<Range<usize>>,
    probes: u32,
    /// When the last subscribe was sent.
    sent: Mono,
    audit_at: Option<Mono>,
    /// Hasty audits since the last regular one.
    hasty: u32,
    /// The next audit is a hasty one.
    in_haste: bool,
    misses: u32,
    /// An audit was answered on this connection: silence means something from then on.
    answers_audits: bool,
    audit_refused: bool,
    /// The last audit brought nothing to compare with.
    audit_missed: bool,
    /// A proven wallet was listed without balances in this round.
    unread: bool,
    /// What was last said with [`VenueEvent::Partial`].
    partial: bool,
    synced: bool,
    /// What was last said with [`VenueEvent::Duty`].
    duty: Option<Reason>,
    closed: bool,
    rng: fastrand::Rng,
}

/// A subscribe that awaits its answer.
struct Round {
    kind: Kind,
    /// The end of patience; once something was listed, the end of the quiet that completes the round.
    due: Mono,
    answered: bool,
    /// A list came, though none that says anything.
    heard: bool,
}

enum Kind {
    Sync,
    /// These wallets alone, to learn whether the venue takes them.
    Probe(Range<usize>),
    Audit,
}

/// A list's rows, by what they mean to the store.
#[derive(Default)]
struct Sorted {
    fresh: (Vec<Name>, Vec<RowUpdate>),
    audited: (Vec<Name>, Vec<RowUpdate>),
    further: Vec<RowUpdate>,
    unproven: Vec<(Name, Vec<Name>)>,
    any_listed: bool,
}

impl Session for SynthesisSession {
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.liveness = Some(Liveness::new(now.mono, self.settings.liveness_ms));
        self.start_sync(now, out); // 1
        self.left_out = std::mem::take(&mut *self.settings.left_out.lock());
    }

    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        let Some(liveness) = self.liveness.as_mut().filter(|_| !self.closed) else { return };
        liveness.proof(now.mono);
        out.event(VenueEvent::Alive);
        match frame {
            Frame::Text(text) => match wire::decode(text) {
                Ok(message) => self.on_message(now, message, out),
                Err(error) => self.doubt(now, error.to_string(), out),
            },
            Frame::Binary(_) => out.malformed("a binary frame"),
            Frame::Ping | Frame::Pong => {}
        }
    }

    fn on_reply(&mut self, _: Now, _: CallId, _: Result<Reply<'_>, CallError>, _: &mut Out) {
        // No REST route covers what the stream tells: the balance route shows cash only, and by wallet id.
    }

    fn on_timeout(&mut self, now: Now, out: &mut Out) {
        let Some(liveness) = self.liveness.as_mut().filter(|_| !self.closed) else { return };
        match liveness.check(now.mono) {
            Pulse::Fine => {}
            Pulse::Probe => out.ping(), // 6
            Pulse::Dead => {
                let text = "nothing came from the venue within the liveness bound";
                return self.close(ErrorClass::Transient, ReasonCode::LivenessTimeout, text, out);
            }
        }
        if let Some(round) = self.round.take_if(|round| round.due <= now.mono) {
            self.end_round(now, &round, out);
        }
        if self.round.is_none() && self.audit_at.is_some_and(|at| at <= now.mono) {
            if !self.in_haste {
                self.hasty = 0;
            }
            self.start_round(now, Kind::Audit, out); // 5
        }
    }

    fn on_verdict(&mut self, now: Now, verdict: Verdict, _: &mut Out) {
        if verdict.doubted > 0 {
            self.hasten(now);
        }
    }

    fn resync(&mut self, now: Now, out: &mut Out) {
        let reason = Reason::new(ReasonCode::OperatorResync, "an operator asked for a fresh snapshot");
        self.start_over(now, "operator", reason, out);
    }

    fn deadline(&self) -> Option<Mono> {
        let liveness = self.liveness.as_ref().filter(|_| !self.closed)?;
        // While a round runs, the next audit waits for its end.
        let next = self.round.as_ref().map(|round| round.due).or(self.audit_at);
        Some(next.map_or(liveness.deadline(), |at| at.min(liveness.deadline())))
    }
}

impl SynthesisSession {
    pub(super) fn new(settings: Arc<Settings>, seed: u64) -> Self {
        Self {
            roster: Roster::new(&settings.wallets),
            settings,
            left_out: HashSet::new(),
            liveness: None,
            round: None,
            suspects: Vec::new(),
            probes: 0,
            sent: Mono::default(),
            audit_at: None,
            hasty: 0,
            in_haste: false,
            misses: 0,
            answers_audits: false,
            audit_refused: false,
            audit_missed: false,
            unread: false,
            partial: false,
            synced: false,
            duty: None,
            closed: false,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    fn on_message(&mut self, now: Now, message: Message<'_>, out: &mut Out) {
        match message {
            Message::Wallets(listings) => self.on_listings(now, &listings, out),
            Message::Update(update) => self.on_update(now, update, out),
            Message::Order(order) => out.event(VenueEvent::Orders(vec![order_update(order)])),
            Message::Refused(refusal) => self.on_refusal(now, refusal, out),
            Message::Acknowledged => {}
            // Never asked for: whoever ended the subscription, no further update would come.
            Message::Unsubscribed => {
                let reason = Reason::new(ReasonCode::ProtocolError, "the venue ended the subscription");
                self.start_over(now, "unsubscribed", reason, out);
            }
        }
    }

    // Requests.

    /// Takes the snapshot (anew): everything has to be listed again, or left out twice.
    fn start_sync(&mut self, now: Now, out: &mut Out) {
        self.left_out.clear();
        for wallet in &mut self.roster.wallets {
            if wallet.standing != Standing::Refused {
                wallet.standing = Standing::Unproven;
            }
        }
        self.start_round(now, Kind::Sync, out);
    }

    fn start_over(&mut self, now: Now, label: &'static str, reason: Reason, out: &mut Out) {
        if self.liveness.is_none() || self.closed {
            return;
        }
        out.event(VenueEvent::Resynced { reason: label });
        out.event(VenueEvent::Unsynced(AccountPush::Syncing(reason)));
        self.suspects.clear();
        self.probes = 0;
        self.roster.wallets.iter_mut().for_each(|wallet| wallet.standing = Standing::Unproven);
        self.start_sync(now, out);
    }

    fn start_round(&mut self, now: Now, kind: Kind, out: &mut Out) {
        let range = match &kind {
            Kind::Sync | Kind::Audit => self.roster.all(),
            Kind::Probe(range) => range.clone(),
        };
        out.send(self.roster.ask(range));
        self.sent = now.mono;
        self.audit_at = None;
        (self.in_haste, self.unread) = (false, false);
        self.round = Some(Round { kind, due: now.mono.plus_ms(self.settings.sync_timeout_ms), answered: false, heard: false });
    }

    // Answers.

    fn on_listings(&mut self, now: Now, listings: &[Listing<'_>], out: &mut Out) {
        for listing in listings {
            // What is listed is not invalid: the refusal was of another request.
            if let Some(at) = self.roster.find(&listing.address)
                && self.roster.wallets[at].standing == Standing::Refused
            {
                self.roster.wallets[at].standing = Standing::Unproven;
            }
        }
        if let Some(Round { kind: Kind::Probe(range), .. }) = &self.round {
            // 4: an answer to the probe, unless it is a late part of an earlier one. Its rows come again with the full list.
            let ours = |l: &Listing<'_>| self.roster.find(&l.address).is_some_and(|i| range.contains(&i));
            if listings.is_empty() || listings.iter().any(ours) {
                self.next_probe(now, out);
            }
            return;
        }
        let mut sorted = Sorted::default();
        for listing in listings {
            self.sort(listing, &mut sorted, out);
        }
        let progress = sorted.any_listed || (listings.is_empty() && self.settings.trust_empty_list);
        self.tell(sorted, out);
        match self.round.as_mut() {
            Some(round) => round.heard = true,
            None if self.synced => self.tell_duty(out),
            None => {}
        }
        if !progress {
            return;
        }
        self.misses = 0;
        let complete = self.roster.is_complete();
        let Some(round) = self.round.as_mut() else { return };
        round.answered = true;
        round.due = now.mono.plus_ms(self.settings.grace_ms); // 2: at most once per wallet
        if complete && let Some(round) = self.round.take() {
            self.end_round(now, &round, out);
        }
    }

    /// Reads one wallet's list and puts its rows where they belong.
    fn sort(&mut self, listing: &Listing<'_>, sorted: &mut Sorted, out: &mut Out) {
        let Some(at) = self.roster.find(&listing.address) else {
            return out.malformed("response.wallets.address: a list of an address never asked for");
        };
        let auditing = matches!(self.round, Some(Round { kind: Kind::Audit, .. }));
        let wallet = &mut self.roster.wallets[at];
        if !wallet.is_on(listing.chain.as_deref()) {
            // Updates name no chain, so a second one under the same address cannot be told from the first.
            let assets = listing.balances.iter().flatten().map(|holding| Name::from(&*holding.asset));
            let assets = assets.filter(|asset| wallet.wants(asset)).collect();
            sorted.unproven.push((wallet.name.clone(), assets));
            return out.malformed("response.wallets.chain_id: a second chain for one address");
        }
        let first = !std::mem::replace(&mut wallet.listed, true);
        sorted.any_listed |= first;
        self.left_out.remove(&wallet.name);
        let Some(balances) = &listing.balances else {
            match wallet.standing {
                Standing::Unproven | Standing::LeftOut => wallet.standing = Standing::Unreadable,
                Standing::Proven => self.unread = true,
                Standing::Refused | Standing::Unreadable => {}
            }
            return out.malformed("response.wallets.balances: missing");
        };
        let rows = match wallet.standing {
            Standing::Refused => return,
            Standing::Unproven | Standing::Unreadable | Standing::LeftOut => {
                wallet.standing = Standing::Proven;
                sorted.fresh.0.push(wallet.name.clone());
                &mut sorted.fresh.1
            }
            Standing::Proven if auditing && first => {
                sorted.audited.0.push(wallet.name.clone());
                &mut sorted.audited.1
            }
            // More of a wallet already listed, or a list nobody asked for: nothing it leaves out is gone.
            Standing::Proven => &mut sorted.further,
        };
        let mut unreadable = Vec::new();
        for holding in balances {
            let Some(asset) = wire::identifier(&holding.asset) else {
                out.malformed("response.wallets.balances: no identifier of 1 to 128 characters");
                if !holding.is_zero() {
                    unreadable.push(holding.asset.as_ref().into());
                }
                continue;
            };
            if !wallet.wants(&asset) {
                continue;
            }
            let total = match &holding.total {
                Ok(total) => Field::Is(total.clone()),
                // The row stands, so that it does not count as gone; what it held stays, unproven.
                Err(error) => {
                    out.malformed(format!("response.wallets.balances: {error}"));
                    unreadable.push(asset.clone());
                    Field::Keep
                }
            };
            rows.push(wallet.row(asset, total));
        }
        if !unreadable.is_empty() {
            sorted.unproven.push((wallet.name.clone(), unreadable));
        }
    }

    fn tell(&self, sorted: Sorted, out: &mut Out) {
        let (wallets, rows) = sorted.fresh;
        if !wallets.is_empty() {
            let freshness = Freshness::Asked { sent: self.sent }; // 3
            out.event(VenueEvent::Snapshot(Snapshot { freshness, scope: Scope::Wallets(wallets), rows }));
        }
        let (wallets, rows) = sorted.audited;
        if !wallets.is_empty() {
            out.event(self.reconcile(wallets, rows));
        }
        if !sorted.further.is_empty() {
            out.event(VenueEvent::Rows(sorted.further));
        }
        for (wallet, assets) in sorted.unproven.into_iter().filter(|(_, assets)| !assets.is_empty()) {
            out.event(VenueEvent::Unproven { wallet, assets });
        }
    }

    fn reconcile(&self, wallets: Vec<Name>, rows: Vec<RowUpdate>) -> VenueEvent {
        VenueEvent::Reconcile(Reconcile { sent: self.sent, scope: Scope::Wallets(wallets), absence: Absence::Zero, rows })
    }

    /// The round is answered in full, or its time is up.
    fn end_round(&mut self, now: Now, round: &Round, out: &mut Out) {
        match round.kind {
            Kind::Sync if round.answered => self.finish_sync(now, out),
            Kind::Audit if round.answered => self.finish_audit(now, out),
            Kind::Audit if round.heard => self.miss_audit(now, out),
            Kind::Audit if self.answers_audits => {
                let text = "the venue answered audits on this connection and does no longer";
                self.answers_audits = false;
                self.start_over(now, "audit_unanswered", Reason::new(ReasonCode::ReconcileFailed, text), out);
            }
            Kind::Audit => {
                self.miss_audit(now, out);
                // A wallet that was left out awaits its second list, also where no audits are wanted.
                let soon = now.mono.plus_ms(MISSED_MS);
                let wanted = (!self.roster.unsettled().is_empty()).then_some(soon);
                self.audit_at = self.audit_at.or(wanted).map(|at| at.min(soon));
            }
            Kind::Sync | Kind::Probe(_) => {
                // A repeated subscribe need not be answered; a new connection's first one must be.
                let class = if self.synced { ErrorClass::Restart } else { ErrorClass::Transient };
                let text = "no list of the wallets came in time; if all of them are empty, set options.trust_empty_list = true";
                self.close(class, ReasonCode::SyncTimeout, text, out);
            }
        }
    }

    fn finish_sync(&mut self, now: Now, out: &mut Out) {
        self.settle_left_out(now, out);
        if !self.roster.wallets.iter().any(|wallet| matches!(wallet.standing, Standing::Proven | Standing::LeftOut)) {
            return self.close(ErrorClass::Protocol, ReasonCode::ProtocolError, "no wallet's balances can be read", out);
        }
        self.synced = true;
        (self.audit_refused, self.audit_missed) = (false, false);
        self.probes = 0;
        out.event(VenueEvent::Synced);
        self.tell_partial(out);
        self.duty = self.failing();
        out.event(VenueEvent::Duty(self.duty.clone()));
        self.schedule_audit(now);
    }

    /// 2: What two lists in a row leave out is empty. What the first of them leaves out is asked for again.
    fn settle_left_out(&mut self, now: Now, out: &mut Out) {
        let (mut empty, mut again) = (Vec::new(), false);
        let unlisted = |wallet: &&mut Wallet| !wallet.listed && wallet.standing != Standing::Refused;
        for wallet in self.roster.wallets.iter_mut().filter(unlisted) {
            let is_second = !self.left_out.insert(wallet.name.clone());
            if wallet.standing == Standing::Proven {
                continue; // its rows are held against the audit
            }
            if is_second || self.settings.trust_empty_list {
                wallet.standing = Standing::Proven;
                empty.push(wallet.name.clone());
            } else {
                (wallet.standing, again) = (Standing::LeftOut, true);
            }
        }
        self.tell(Sorted { fresh: (empty, Vec::new()), ..Sorted::default() }, out);
        if again {
            self.audit_soon(now);
        }
    }

    // Audits (5).

    fn finish_audit(&mut self, now: Now, out: &mut Out) {
        let silent = self.roster.unlisted(Standing::Proven);
        if !silent.is_empty() {
            out.event(self.reconcile(silent, Vec::new()));
        }
        self.settle_left_out(now, out);
        (self.audit_refused, self.audit_missed) = (false, self.unread);
        if self.unread {
            self.hasten(now);
        }
        self.answers_audits = true;
        self.tell_duty(out);
        self.schedule_audit(now);
    }

    fn miss_audit(&mut self, now: Now, out: &mut Out) {
        self.misses += 1;
        self.audit_missed = true;
        if self.misses >= MAX_MISSES {
            out.event(VenueEvent::Resynced { reason: "audit_unanswered" });
            // The next list, which is the second, is that of the next connection, and there is no other way to have one.
            *self.settings.left_out.lock() = self.roster.unsettled();
            let text = "the venue does not answer audits on this connection";
            return self.close(ErrorClass::Restart, ReasonCode::ReconcileFailed, text, out);
        }
        self.tell_duty(out);
        self.schedule_audit(now);
    }

    fn schedule_audit(&mut self, now: Now) {
        // Haste asked for while the round ran, was asked of a later one.
        if self.audit_at.is_some() || self.settings.reconcile_ms == 0 {
            return;
        }
        // A tenth of jitter keeps accounts that started together apart.
        let tenth = self.settings.reconcile_ms / 10;
        let wait = self.settings.reconcile_ms - tenth + self.rng.u64(0..=2 * tenth);
        self.audit_at = Some(now.mono.plus_ms(wait));
    }

    /// Brings the next audit near: something may have been missed.
    fn hasten(&mut self, now: Now) {
        if self.settings.reconcile_ms > 0 && self.hasty < MAX_HASTY {
            self.hasty += 1;
            self.audit_soon(now);
        }
    }

    fn audit_soon(&mut self, now: Now) {
        self.in_haste = true;
        let soon = now.mono.plus_ms(HASTY_MS);
        self.audit_at = Some(self.audit_at.map_or(soon, |at| at.min(soon)));
    }

    /// Counts what could not be read. It may have been a change, so the audit comes early.
    fn doubt(&mut self, now: Now, what: String, out: &mut Out) {
        out.malformed(what);
        self.hasten(now);
    }

    // Pushes (3).

    fn on_update(&mut self, now: Now, update: Update<'_>, out: &mut Out) {
        let known = self.roster.find(&update.address).map(|at| &self.roster.wallets[at]);
        let Some(wallet) = known.filter(|wallet| wallet.standing != Standing::Refused) else {
            return out.malformed("response.address: an update for an address never asked for");
        };
        if !wallet.wants(&update.asset) {
            return;
        }
        match update.total {
            Ok(total) if wire::identifier(&update.asset).is_none() => {
                out.malformed("response.asset: no identifier of 1 to 128 characters");
                if !total.is_zero() {
                    out.event(VenueEvent::Unproven { wallet: wallet.name.clone(), assets: vec![update.asset] });
                }
            }
            Ok(total) => out.event(VenueEvent::Rows(vec![wallet.row(update.asset, Field::Is(total))])),
            Err(error) => {
                let (wallet, assets) = (wallet.name.clone(), vec![update.asset]);
                out.event(VenueEvent::Unproven { wallet, assets });
                self.doubt(now, error.to_string(), out);
            }
        }
    }

    // Refusals (4).

    fn on_refusal(&mut self, now: Now, refusal: Refusal, out: &mut Out) {
        let Some(round) = self.round.take() else {
            return out.malformed("success: false, with nothing asked");
        };
        match (round.kind, refusal) {
            (Kind::Audit, _) => {
                self.audit_refused = true;
                self.miss_audit(now, out);
            }
            (Kind::Sync, Refusal::InvalidWallets) => self.halve(now, self.roster.all(), out),
            (Kind::Probe(range), Refusal::InvalidWallets) => self.halve(now, range, out),
            (_, Refusal::RateLimited) => {
                let class = ErrorClass::RateLimited { wait_ms: RATE_LIMIT_WAIT_MS };
                self.close(class, ReasonCode::RateLimited, "the venue limits subscribe requests", out);
            }
            (_, Refusal::Other) => {
                let text = "the venue refuses the subscribe for a reason its documents do not name";
                self.close(ErrorClass::Transient, ReasonCode::SubscribeRefused, text, out);
            }
        }
    }

    /// A group holds an address the venue refuses: it is the one, or one half holds it.
    fn halve(&mut self, now: Now, range: Range<usize>, out: &mut Out) {
        let members: Vec<_> = self.roster.askable(range.clone()).collect();
        match members[..] {
            [] => {}
            [culprit] => {
                let wallet = &mut self.roster.wallets[culprit];
                wallet.standing = Standing::Refused;
                // Whatever was said of it before: nothing more is told.
                out.event(VenueEvent::Unproven { wallet: wallet.name.clone(), assets: Vec::new() });
            }
            _ => {
                let middle = members[members.len() / 2];
                self.suspects.push(middle..range.end);
                self.suspects.push(range.start..middle);
            }
        }
        self.next_probe(now, out);
    }

    fn next_probe(&mut self, now: Now, out: &mut Out) {
        let configuration = ErrorClass::Configuration;
        if self.roster.askable(self.roster.all()).next().is_none() {
            let text = "the venue calls every configured address invalid";
            return self.close(configuration, ReasonCode::Configuration, text, out);
        }
        let Some(range) = self.suspects.pop() else { return self.start_sync(now, out) };
        self.probes += 1;
        if self.probes > MAX_PROBES {
            let text = "the venue calls addresses invalid, too many to find out which: check wallets";
            return self.close(configuration, ReasonCode::Configuration, text, out);
        }
        self.start_round(now, Kind::Probe(range), out);
    }

    // Helpers.

    /// What keeps the account from being wholly served.
    fn failing(&self) -> Option<Reason> {
        if let Some(addresses) = self.roster.named(Standing::Refused) {
            let text = format!("the venue calls these addresses invalid: {addresses}; mend or remove them in wallets");
            return Some(Reason::new(ReasonCode::Configuration, text));
        }
        if let Some(addresses) = self.roster.named(Standing::Unreadable) {
            let text = format!("the balances of these addresses cannot be read: {addresses}");
            return Some(Reason::new(ReasonCode::ProtocolError, text));
        }
        if let Some(addresses) = self.roster.named(Standing::LeftOut) {
            let text = format!("the venue's list leaves these addresses out, which the next one may explain: {addresses}");
            return Some(Reason::new(ReasonCode::ProtocolError, text));
        }
        let text = match (self.audit_refused, self.audit_missed) {
            (true, _) => "the venue refuses a repeated subscribe",
            (false, true) => "the last audit had no answer to compare all rows with",
            (false, false) => return None,
        };
        Some(Reason::new(ReasonCode::ReconcileFailed, text))
    }

    /// Says whether whole wallets are missing.
    fn tell_partial(&mut self, out: &mut Out) {
        let partial = self.roster.wallets.iter().any(|wallet| wallet.standing != Standing::Proven);
        if std::mem::replace(&mut self.partial, partial) != partial {
            out.event(VenueEvent::Partial(partial));
        }
    }

    fn tell_duty(&mut self, out: &mut Out) {
        self.tell_partial(out);
        let failing = self.failing();
        if failing != self.duty {
            self.duty.clone_from(&failing);
            out.event(VenueEvent::Duty(failing));
        }
    }

    fn close(&mut self, class: ErrorClass, code: ReasonCode, text: &str, out: &mut Out) {
        self.closed = true;
        out.close(class, code, text);
    }
}

/// Orders say nothing of balances here: `MATCHED` precedes the change, and the change is pushed by itself.
fn order_update(order: Order<'_>) -> OrderUpdate {
    let details = order.details.into_iter().filter_map(|(word, raw)| Some((word, wire::detail(raw)?)));
    let extra: Vec<(&'static str, CompactString)> = details.collect();
    OrderUpdate {
        order_id: order.order_id,
        asset: order.token_id,
        filled: order.filled,
        is_final: matches!(order.status.as_str(), "FILLED" | "CANCELED" | "FAILED"),
        status: order.status,
        extra: (!extra.is_empty()).then(|| extra.into()),
    }
}
