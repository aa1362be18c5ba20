//! One account's rows and record, and every rule of how a venue's statements change them.
//!
//! This is the only place that merges, zeroes, marks stale and counts drift. It takes time as an argument and knows no reader.

use std::sync::Arc;

use super::merge::{differs, merge, number, same_numbers, withdraw, within, zero};
use super::omissions::Omissions;
use super::table::Table;
use crate::model::{
    Absence, AccountKey, AccountPush, AccountRecord, AccountState, Amount, Balance, Cause, CauseKind, Facts, Field, Freshness,
    MAX_ASSET_CHARS, Mono, Name, Now, Order, OrderUpdate, Reason, ReasonCode, Reconcile, RowState, RowUpdate, Scope, Snapshot,
    UnixMs, VenueEvent, Verdict, is_name,
};

/// Most orders kept per account; the oldest final ones are forgotten first.
const MAX_ORDERS: usize = 1_000;

/// `last_confirmed` moves on in steps of at least this: often enough for people, and no frame to every reader for each answer.
const CONFIRM_STEP_MS: i64 = 10_000;

/// What one commit carries: its number, its time, and whether it came to change anything.
#[derive(Debug)]
pub(super) struct Commit {
    pub gsn: u64,
    pub now: Now,
    pub changed: bool,
    pub drift: u64,
    /// A row could not be read in the message at hand, so absence proves nothing.
    omitted: bool,
    /// Something that was left out is left out no more, unless the rest of the message says otherwise.
    settled: bool,
}

impl Commit {
    pub(super) fn new(gsn: u64, now: Now) -> Self {
        Self { gsn, now, changed: false, drift: 0, omitted: false, settled: false }
    }
}

/// What the ledger remembers of a row besides what readers see.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// The connection in which the venue last stated the row; 0: none.
    proven_in: u32,
    /// The connection in which it was last pushed, and when.
    pushed_in: u32,
    pushed_at: Mono,
    /// The connection in which something suspicious was said of it, and nothing clear since; 0: none.
    suspect_in: u32,
    /// What a REST answer said against the row, awaiting a second one.
    doubt: Option<Box<[Option<Amount>; 3]>>,
}

/// One account.
#[derive(Debug)]
pub(super) struct Ledger {
    pub key: Arc<AccountKey>,
    pub record: Arc<AccountRecord>,
    pub balances: Table<Balance, Note>,
    pub orders: Table<Order, u32>,
    /// Orders changed at or before this may have been forgotten.
    pub orders_floor: u64,
    /// The commit that last changed anything of the account.
    pub last_gsn: u64,
    /// When the frame behind that commit was read.
    pub read_at: Mono,
    /// Row versions that readers could have seen so far: a row changed twice in one commit counts once.
    pub versions: u64,
    /// Numbers the connections.
    generation: u32,
    /// A connection stands. Without one nothing is believed: it would be the late word of a connection that is gone.
    connected: bool,
    synced: bool,
    ever_synced: bool,
    duty: Option<Reason>,
    omitted: Omissions,
    /// Whole wallets are missing.
    partial: bool,
    max_rows: usize,
}

impl Ledger {
    pub(super) fn new(key: AccountKey, enabled: bool, max_rows: usize, gsn: u64, now: UnixMs) -> Self {
        let (state, reason) = if enabled {
            (AccountState::Pending, Reason::new(ReasonCode::Starting, "not connected yet"))
        } else {
            (AccountState::Disabled, Reason::new(ReasonCode::Disabled, "switched off in the configuration"))
        };
        let record = AccountRecord {
            key: key.clone(),
            state,
            since: now,
            reason: Some(reason),
            facts: Facts::default(),
            drift_count: 0,
            reconnect_count: 0,
            resync_count: 0,
            last_confirmed: None,
            proof: Arc::default(),
            gsn,
        };
        Self {
            key: Arc::new(key),
            record: Arc::new(record),
            balances: Table::default(),
            orders: Table::default(),
            orders_floor: 0,
            last_gsn: gsn,
            read_at: Mono::default(),
            versions: 0,
            generation: 0,
            connected: false,
            synced: false,
            ever_synced: false,
            duty: None,
            omitted: Omissions::default(),
            partial: false,
            max_rows,
        }
    }

    /// Everything the account holds is known, and nothing was left out.
    pub(super) fn is_complete(&self) -> bool {
        self.record.state.is_proven() && self.omitted.is_empty() && !self.partial
    }

    /// A connection is being made.
    pub(super) fn connecting(&mut self, c: &mut Commit) {
        if self.record.state == AccountState::Pending {
            self.set_state(c, AccountState::Connecting, self.record.reason.clone());
        }
    }

    /// A connection stands; nothing is proven in it yet.
    pub(super) fn opened(&mut self, c: &mut Commit) {
        if self.generation > 0 {
            self.retell(c).reconnect_count += 1;
        }
        self.generation += 1;
        self.connected = true;
        self.synced = false;
        self.duty = None;
        self.omitted.clear();
        self.partial = false;
        if self.record.state.is_proven() {
            // The end of the connection before was never told: what it proved is over all the same.
            let reason = Reason::new(ReasonCode::UpstreamDisconnected, "another connection was made");
            self.set_state(c, AccountState::Stale, Some(reason));
        } else if matches!(self.record.state, AccountState::Pending | AccountState::Connecting) {
            let reason = Reason::new(ReasonCode::Starting, "waiting for the first complete snapshot");
            self.set_state(c, AccountState::Syncing, Some(reason));
        }
    }

    /// The connection is gone, or was never made. `state` is what it leaves behind.
    pub(super) fn lost(&mut self, c: &mut Commit, state: AccountState, reason: Reason) {
        self.connected = false;
        self.synced = false;
        self.duty = None;
        let state = match state {
            AccountState::Stale if !self.ever_synced => AccountState::Connecting,
            other => other,
        };
        self.set_state(c, state, Some(reason));
    }

    /// Rows of an earlier run, not proven by anything yet. Only for an account that nothing was heard of in this run.
    pub(super) fn restore(&mut self, c: &mut Commit, rows: Vec<Balance>) {
        if self.record.state != AccountState::Pending {
            return;
        }
        for mut row in rows {
            row.state = RowState::Stale;
            (row.gsn, row.value_gsn) = (c.gsn, c.gsn);
            row.key = Arc::clone(&self.key);
            if self.balances.find((&row.wallet, &row.asset)).is_none() && self.balances.len() < self.max_rows {
                self.balances.insert(row, Note::default());
                self.versions += 1;
                c.changed = true;
            }
        }
        if c.changed {
            self.ever_synced = true;
            let reason = Reason::new(ReasonCode::WarmStart, "last known rows of an earlier run");
            self.set_state(c, AccountState::Stale, Some(reason));
        }
    }

    /// Applies one statement of the venue.
    pub(super) fn apply(&mut self, c: &mut Commit, event: VenueEvent) -> Option<Verdict> {
        if !self.connected {
            return None;
        }
        match event {
            VenueEvent::Snapshot(snapshot) => return self.snapshot(c, snapshot),
            VenueEvent::Rows(rows) => rows.into_iter().for_each(|row| self.push(c, row)),
            VenueEvent::Unproven { wallet, assets } => self.unprove(c, &wallet, &assets),
            VenueEvent::Synced => self.sync(c),
            VenueEvent::Unsynced(push) => self.unsync(c, push),
            VenueEvent::Reconcile(reconcile) => return Some(self.reconcile(c, reconcile)),
            VenueEvent::Duty(duty) => {
                self.duty = duty;
                self.refresh_state(c);
            }
            VenueEvent::Omitted(reason) => {
                c.omitted = true;
                self.omitted.note(None, None, reason, c.now.mono);
                self.refresh_state(c);
            }
            VenueEvent::Partial(partial) => self.partial = partial,
            VenueEvent::Facts(facts) => self.facts(c, facts),
            VenueEvent::Orders(orders) => orders.into_iter().for_each(|order| self.order(c, order)),
            VenueEvent::Resynced { .. } => self.retell(c).resync_count += 1,
            VenueEvent::Alive | VenueEvent::Malformed { .. } => {}
        }
        None
    }

    /// The message is wholly taken in.
    pub(super) fn finish(&mut self, c: &mut Commit) {
        if c.settled {
            self.refresh_state(c);
        }
    }

    // ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    fn sync(&mut self, c: &mut Commit) {
        self.synced = true;
        self.ever_synced = true;
        self.confirm(c);
        self.refresh_state(c);
        self.restate(c); // rows stated before the account was synced
    }

    /// The venue's complete word agrees with the rows now.
    fn confirm(&mut self, c: &mut Commit) {
        let now = c.now.unix;
        // A clock that stepped back is followed too.
        if self.record.last_confirmed.is_none_or(|then| now < then || now.0 - then.0 >= CONFIRM_STEP_MS) {
            let record = Arc::make_mut(&mut self.record);
            (record.last_confirmed, record.gsn) = (Some(now), c.gsn);
            c.changed = true;
        }
    }

    fn unsync(&mut self, c: &mut Commit, push: AccountPush) {
        self.synced = false;
        let (state, reason) = match push {
            AccountPush::Maintenance(reason) => (AccountState::Maintenance, reason),
            AccountPush::Syncing(reason) if self.ever_synced => (AccountState::Stale, reason),
            AccountPush::Syncing(reason) => (AccountState::Syncing, reason),
        };
        // A new statement is needed for every row: the earlier ones of this connection no longer prove anything.
        self.generation += 1;
        self.set_state(c, state, Some(reason));
    }

    /// The record, to be changed and told.
    fn retell(&mut self, c: &mut Commit) -> &mut AccountRecord {
        c.changed = true;
        let record = Arc::make_mut(&mut self.record);
        record.gsn = c.gsn;
        record
    }

    /// `live` or `degraded`, once synced.
    fn refresh_state(&mut self, c: &mut Commit) {
        if !self.synced {
            return;
        }
        match self.omitted.reason().cloned().or_else(|| self.duty.clone()) {
            Some(reason) => self.set_state(c, AccountState::Degraded, Some(reason)),
            None => self.set_state(c, AccountState::Live, None),
        }
    }

    fn set_state(&mut self, c: &mut Commit, state: AccountState, reason: Option<Reason>) {
        let was_proven = self.record.state.is_proven();
        if self.record.state != state || self.record.reason != reason {
            let record = Arc::make_mut(&mut self.record);
            if record.state != state {
                record.since = c.now.unix;
            }
            (record.state, record.reason, record.gsn) = (state, reason, c.gsn);
            c.changed = true;
        }
        if was_proven != state.is_proven() {
            self.restate(c);
        }
    }

    fn row_state(&self, note: &Note) -> RowState {
        let proven = self.record.state.is_proven() && note.proven_in == self.generation && note.doubt.is_none();
        if proven { RowState::Live } else { RowState::Stale }
    }

    /// Brings every row's state in line with the account's and the row's own proof.
    fn restate(&mut self, c: &mut Commit) {
        for slot in 0..self.balances.len() as u32 {
            self.restate_row(c, slot);
        }
        for slot in 0..self.orders.len() as u32 {
            let row = self.orders.row(slot);
            // A final order stays what it is; an open one must be stated anew in each connection.
            let stated = row.is_final || *self.orders.note(slot) == self.generation;
            let state = if self.record.state.is_proven() && stated { RowState::Live } else { RowState::Stale };
            if row.state != state {
                let next = Order { state, gsn: c.gsn, ..Order::clone(row) };
                self.orders.replace(slot, next);
                c.changed = true;
            }
        }
    }

    fn restate_row(&mut self, c: &mut Commit, slot: u32) {
        let state = self.row_state(self.balances.note(slot));
        let row = self.balances.row(slot);
        if row.state != state {
            let next = Balance { state, gsn: c.gsn, ..Balance::clone(row) };
            self.put(c, slot, next);
        }
    }

    fn put(&mut self, c: &mut Commit, slot: u32, next: Balance) {
        self.versions += u64::from(self.balances.row(slot).gsn != c.gsn);
        self.balances.replace(slot, next);
        c.changed = true;
    }

    // ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The venue pushed a row.
    fn push(&mut self, c: &mut Commit, update: RowUpdate) {
        if let Some((slot, _)) = self.write(c, update) {
            self.stamp(c, slot);
        }
    }

    /// The stream told of the row now: an answer to an earlier question is older.
    fn stamp(&mut self, c: &Commit, slot: u32) {
        let generation = self.generation;
        let note = self.balances.note_mut(slot);
        (note.pushed_in, note.pushed_at) = (generation, c.now.mono);
    }

    /// Writes a row, now proven in this connection. Tells its slot and whether a number changed; `None`: the row was refused.
    fn write(&mut self, c: &mut Commit, mut update: RowUpdate) -> Option<(u32, bool)> {
        let found = self.balances.find((&update.wallet, &update.asset));
        if found.is_none() && !self.admits(c, &update) {
            return None;
        }
        if !self.omitted.is_empty() && matches!(update.total, Field::Is(_) | Field::Derived(_)) {
            c.settled |= self.omitted.show(&update.wallet, &update.asset);
        }
        // What an unproven row holds beyond the message is vouched for by nobody.
        let unproven = found.filter(|slot| self.balances.note(*slot).proven_in != self.generation);
        let whole = unproven.is_none_or(|slot| withdraw(self.balances.row(slot), &mut update));
        let (mut next, changed) = merge(&self.key, found.map(|slot| &**self.balances.row(slot)), update, c.gsn, c.now.unix);
        let Some(slot) = found else {
            let note = Note { proven_in: self.generation, ..Note::default() };
            next.state = self.row_state(&note);
            self.versions += 1;
            c.changed = true;
            return Some((self.balances.insert(next, note), true));
        };
        let generation = self.generation;
        let note = self.balances.note_mut(slot);
        (note.proven_in, note.doubt) = (if whole { generation } else { 0 }, None);
        if whole {
            note.suspect_in = 0;
        }
        next.state = self.row_state(self.balances.note(slot));
        if differs(self.balances.row(slot), &next) {
            (next.gsn, next.received_ts) = (c.gsn, c.now.unix);
            self.put(c, slot, next);
        }
        Some((slot, changed))
    }

    /// May a new row be added? A refusal is told in the account's state, never silent.
    fn admits(&mut self, c: &mut Commit, update: &RowUpdate) -> bool {
        let reason = if !is_name(&update.wallet) || !is_name(&update.asset) {
            Reason::new(
                ReasonCode::ProtocolError,
                format!("a row was left out: its name is empty or over {MAX_ASSET_CHARS} characters"),
            )
        } else if self.balances.len() >= self.max_rows {
            Reason::new(ReasonCode::RowLimit, format!("rows beyond the limit of {} were left out", self.max_rows))
        } else {
            return true;
        };
        self.omitted.note(Some(&update.wallet), None, reason, c.now.mono);
        self.refresh_state(c);
        false
    }

    /// Takes a complete list in. The verdict is that of an asked one: what it says against a row of this connection is doubted first.
    fn snapshot(&mut self, c: &mut Commit, snapshot: Snapshot) -> Option<Verdict> {
        let mut verdict = Verdict::default();
        let Snapshot { freshness, scope, rows } = snapshot;
        let settles = scope == Scope::Account && !c.omitted;
        if !c.omitted {
            self.settle_omissions(c, &scope, freshness, &mut verdict);
        }
        // A list of some wallets in the stream is how a venue tells of changes; any other repeats what should be known.
        let audits = freshness != Freshness::Stream || scope == Scope::Account;
        let mut listed = vec![false; self.balances.len()];
        for mut update in rows {
            let found = self.balances.find((&update.wallet, &update.asset));
            if let Some(place) = found.and_then(|slot| listed.get_mut(slot as usize)) {
                *place = true;
            }
            if found.is_some_and(|slot| self.is_newer(slot, freshness)) {
                continue;
            }
            if let Some(slot) = found.filter(|_| update.is_silent()) {
                self.unprove_row(c, slot);
                continue;
            }
            if let Some(slot) = found.filter(|slot| self.is_contestable(*slot, freshness)) {
                self.compare(c, slot, update, &mut verdict);
                continue;
            }
            let audited = audits && found.is_some_and(|slot| self.balances.row(slot).state == RowState::Live);
            if audited && update.cause.is_none() {
                update.cause = Some(Cause::of(CauseKind::Reconcile));
            }
            self.list(c, update, freshness, audited);
        }
        for (slot, listed) in listed.into_iter().enumerate() {
            let slot = slot as u32;
            if !listed && within(&scope, &self.balances.row(slot).wallet) && !self.is_newer(slot, freshness) {
                if self.is_contestable(slot, freshness) && !c.omitted {
                    let update = zero(self.balances.row(slot), CauseKind::Reconcile);
                    self.compare(c, slot, update, &mut verdict);
                } else {
                    self.vanish(c, slot, freshness, audits);
                }
            }
        }
        if settles && self.synced && verdict.doubted == 0 {
            self.confirm(c);
        }
        (freshness != Freshness::Stream).then_some(verdict)
    }

    /// Did this connection say anything of the row that an asked list, which may lag behind the stream, must not settle alone?
    fn is_contestable(&self, slot: u32, freshness: Freshness) -> bool {
        let note = self.balances.note(slot);
        freshness != Freshness::Stream && (note.proven_in == self.generation || note.suspect_in == self.generation)
    }

    /// Writes a row as a complete list has it.
    fn list(&mut self, c: &mut Commit, update: RowUpdate, freshness: Freshness, audited: bool) {
        let Some((slot, changed)) = self.write(c, update) else { return };
        if freshness == Freshness::Stream {
            self.stamp(c, slot);
        }
        if audited && changed {
            self.drifted(c);
        }
    }

    /// Was the row pushed after the list's request left?
    fn is_newer(&self, slot: u32, freshness: Freshness) -> bool {
        let note = self.balances.note(slot);
        match freshness {
            Freshness::Stream => false,
            Freshness::Asked { sent } => note.pushed_in == self.generation && note.pushed_at >= sent,
        }
    }

    /// A complete list lacks the row: it is an explicit zero from now on.
    fn vanish(&mut self, c: &mut Commit, slot: u32, freshness: Freshness, audits: bool) {
        if c.omitted {
            self.balances.note_mut(slot).proven_in = 0;
            return self.restate_row(c, slot);
        }
        let audited = audits && self.balances.row(slot).state == RowState::Live;
        let update = zero(self.balances.row(slot), CauseKind::Absent);
        self.list(c, update, freshness, audited);
    }

    fn unprove(&mut self, c: &mut Commit, wallet: &str, assets: &[Name]) {
        let slots: Vec<u32> = if assets.is_empty() {
            (0..self.balances.len() as u32).filter(|slot| self.balances.row(*slot).wallet == wallet).collect()
        } else {
            assets.iter().filter_map(|asset| self.balances.find((wallet, asset))).collect()
        };
        for asset in assets {
            let slot = self.balances.find((wallet, asset));
            if slot.is_none_or(|slot| self.balances.row(slot).total.is_none()) {
                self.lacks(c, &wallet.into(), asset);
            }
        }
        slots.into_iter().for_each(|slot| self.unprove_row(c, slot));
    }

    fn unprove_row(&mut self, c: &mut Commit, slot: u32) {
        let generation = self.generation;
        let note = self.balances.note_mut(slot);
        (note.proven_in, note.suspect_in, note.doubt) = (0, generation, None);
        self.restate_row(c, slot);
    }

    /// Something is held, and no row says how much.
    fn lacks(&mut self, c: &mut Commit, wallet: &Name, asset: &Name) {
        let text = "the venue told of an asset in words that could not be read or believed, and nothing else is known of it";
        let asset = Some(asset).filter(|asset| is_name(asset));
        self.omitted.note(Some(wallet), asset, Reason::new(ReasonCode::ProtocolError, text), c.now.mono);
        self.refresh_state(c);
    }

    /// A list was read whole.
    fn settle_omissions(&mut self, c: &mut Commit, scope: &Scope, freshness: Freshness, verdict: &mut Verdict) {
        let settled = self.omitted.settle(scope, freshness);
        c.settled |= settled.any;
        verdict.doubted += settled.doubted;
    }

    fn drifted(&mut self, c: &mut Commit) {
        c.drift += 1;
        let record = Arc::make_mut(&mut self.record);
        record.drift_count += 1;
        record.gsn = c.gsn;
        c.changed = true;
    }

    // ── reconcile ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Holds a REST answer against the rows. A row that differs is doubted (and reads `stale`); a second answer that says the same
    /// corrects it, one that agrees with the row clears it. A row of which something suspicious was said awaits two answers that
    /// agree with each other: a single one may lag behind what could not be read. One that the answer lists without saying anything of it
    /// loses its proof. Rows pushed since the request left are not touched.
    fn reconcile(&mut self, c: &mut Commit, reconcile: Reconcile) -> Verdict {
        let asked = Freshness::Asked { sent: reconcile.sent };
        let is_whole = reconcile.absence == Absence::Zero && !c.omitted;
        let mut verdict = Verdict::default();
        if is_whole {
            self.settle_omissions(c, &reconcile.scope, asked, &mut verdict);
        }
        let mut listed = vec![false; self.balances.len()];
        let mut is_read = true;
        for update in reconcile.rows {
            let found = self.balances.find((&update.wallet, &update.asset));
            if let Some(place) = found.and_then(|slot| listed.get_mut(slot as usize)) {
                *place = true;
            }
            match found {
                Some(slot) if self.is_newer(slot, asked) => {}
                _ if update.is_silent() => {
                    is_read = false;
                    self.unprove(c, &update.wallet, std::slice::from_ref(&update.asset));
                }
                Some(slot) => self.compare(c, slot, update, &mut verdict),
                None => self.discover(c, update, &mut verdict),
            }
        }
        if is_whole {
            for (slot, listed) in listed.into_iter().enumerate() {
                let slot = slot as u32;
                let (row, note) = (self.balances.row(slot), self.balances.note(slot));
                let settled = row.is_zero() && note.proven_in == self.generation && note.doubt.is_none();
                if !listed && !settled && within(&reconcile.scope, &row.wallet) && !self.is_newer(slot, asked) {
                    let update = zero(row, CauseKind::Reconcile);
                    self.compare(c, slot, update, &mut verdict);
                }
            }
        }
        if verdict.doubted == 0 && is_read && !c.omitted {
            self.confirm(c);
        }
        verdict
    }

    /// The stream never told of this row. Where the account is synced that was a statement too, so a second answer must agree before it
    /// is live.
    fn discover(&mut self, c: &mut Commit, mut update: RowUpdate, verdict: &mut Verdict) {
        let said = [&update.total, &update.available, &update.locked].map(number);
        update.cause = Some(Cause::of(CauseKind::Reconcile));
        let Some((slot, _)) = self.write(c, update).filter(|(slot, _)| !self.balances.row(*slot).is_zero()) else { return };
        self.drifted(c);
        if !self.synced {
            verdict.corrected += 1;
            return;
        }
        let generation = self.generation;
        let note = self.balances.note_mut(slot);
        (note.proven_in, note.suspect_in, note.doubt) = (0, generation, Some(Box::new(said)));
        verdict.doubted += 1;
        self.restate_row(c, slot);
    }

    fn compare(&mut self, c: &mut Commit, slot: u32, mut update: RowUpdate, verdict: &mut Verdict) {
        let said = [&update.total, &update.available, &update.locked].map(number);
        let row = self.balances.row(slot);
        let held = [&row.total, &row.available, &row.locked];
        let agrees = said.iter().zip(held).all(|(said, held)| match (said, held) {
            (Some(said), Some(held)) => said.same_value(held),
            _ => true, // one side does not know: nothing to contradict
        });
        // Where the answer does not know, what the stream said stands.
        for field in [&mut update.total, &mut update.available, &mut update.locked] {
            if *field == Field::Unknown {
                *field = Field::Keep;
            }
        }
        let note = self.balances.note(slot);
        let unproven = note.proven_in != self.generation;
        let suspect = note.suspect_in == self.generation;
        let said_twice = note.doubt.as_deref().is_some_and(|doubt| same_numbers(doubt, &said));
        if (agrees || unproven) && (said_twice || !suspect) {
            update.cause = (!agrees).then(|| Cause::of(CauseKind::Reconcile));
            self.write(c, update);
        } else if said_twice {
            update.cause = Some(Cause::of(CauseKind::Reconcile));
            self.write(c, update);
            verdict.corrected += 1;
            self.drifted(c);
        } else {
            self.balances.note_mut(slot).doubt = Some(Box::new(said));
            verdict.doubted += 1;
            self.restate_row(c, slot);
        }
    }

    // ── facts and orders ──────────────────────────────────────────────────────────────────────────────────────────────

    fn facts(&mut self, c: &mut Commit, facts: Facts) {
        let old = &self.record.facts;
        let next = Facts {
            fees: facts.fees.or_else(|| old.fees.clone()),
            stats: facts.stats.or_else(|| old.stats.clone()),
            permissions: facts.permissions.or_else(|| old.permissions.clone()),
            warnings: facts.warnings.or_else(|| old.warnings.clone()),
        };
        if !next.same(old) {
            let record = Arc::make_mut(&mut self.record);
            (record.facts, record.gsn) = (next, c.gsn);
            c.changed = true;
        }
    }

    fn order(&mut self, c: &mut Commit, update: OrderUpdate) {
        let state = if self.record.state.is_proven() { RowState::Live } else { RowState::Stale };
        let found = self.orders.find((&update.order_id, ""));
        let old = found.map(|slot| &**self.orders.row(slot));
        let next = Order {
            key: Arc::clone(&self.key),
            filled: update.filled.or_else(|| old.and_then(|o| o.filled.clone())),
            extra: update.extra.or_else(|| old.and_then(|o| o.extra.clone())),
            order_id: update.order_id,
            asset: update.asset,
            status: update.status,
            is_final: update.is_final,
            state,
            gsn: c.gsn,
            received_ts: c.now.unix,
            changed_ts: c.now.unix,
        };
        let unchanged = old.is_some_and(|old| {
            old.status == next.status
                && old.filled == next.filled
                && old.extra == next.extra
                && old.asset == next.asset
                && old.is_final == next.is_final
                && old.state == next.state
        });
        match found {
            Some(slot) if unchanged => *self.orders.note_mut(slot) = self.generation,
            Some(slot) => {
                *self.orders.note_mut(slot) = self.generation;
                self.orders.replace(slot, next);
                c.changed = true;
            }
            None => self.new_order(c, next),
        }
    }

    fn new_order(&mut self, c: &mut Commit, order: Order) {
        c.changed = true;
        if self.orders.len() < MAX_ORDERS {
            self.orders.insert(order, self.generation);
            return;
        }
        let oldest = self.orders.oldest_first().find(|slot| self.orders.row(*slot).is_final);
        let slot = oldest.or_else(|| self.orders.oldest_first().next()).expect("the table is full, so it is not empty");
        let forgotten = self.orders.row(slot);
        // A reader may keep a final order as it is. An open one would stay open with it for ever: every reader starts anew.
        let floor = if forgotten.is_final { forgotten.gsn } else { c.gsn };
        self.orders_floor = self.orders_floor.max(floor);
        self.orders.reuse(slot, order, self.generation);
    }
}
