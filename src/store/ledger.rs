//! One account's rows and record, and every rule of how a venue's statements change them.
//!
//! This is the only place that merges, zeroes, marks stale and counts drift. It takes time as an argument and knows no reader.

use std::sync::Arc;

use super::table::Table;
use crate::model::{
    Absence, AccountKey, AccountPush, AccountRecord, AccountState, Amount, Balance, Cause, CauseKind, Facts, Field, Freshness,
    LastKnown, MAX_ASSET_CHARS, Mono, Name, Now, Order, OrderUpdate, Origin, Reason, ReasonCode, Reconcile, RowState,
    RowUpdate, Scope, Snapshot, UnixMs, VenueEvent, Verdict,
};

/// Most orders kept per account; the oldest final ones are forgotten first.
const MAX_ORDERS: usize = 1_000;

/// What one commit carries: its number, its time, and whether it came to change anything.
#[derive(Debug)]
pub(super) struct Commit {
    pub gsn: u64,
    pub now: Now,
    pub changed: bool,
    pub drift: u64,
    /// A row could not be read in the message at hand, so absence proves nothing.
    omitted: bool,
}

impl Commit {
    pub(super) fn new(gsn: u64, now: Now) -> Self {
        Self { gsn, now, changed: false, drift: 0, omitted: false }
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
    /// Row versions written so far.
    pub versions: u64,
    /// Numbers the connections.
    generation: u32,
    synced: bool,
    ever_synced: bool,
    duty: Option<Reason>,
    omitted: Option<Reason>,
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
            synced: false,
            ever_synced: false,
            duty: None,
            omitted: None,
            max_rows,
        }
    }

    /// Everything the account holds is known, and nothing was left out.
    pub(super) fn is_complete(&self) -> bool {
        self.record.state.is_proven() && self.omitted.is_none()
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
        self.synced = false;
        self.duty = None;
        self.omitted = None;
        if matches!(self.record.state, AccountState::Pending | AccountState::Connecting) {
            let reason = Reason::new(ReasonCode::Starting, "waiting for the first complete snapshot");
            self.set_state(c, AccountState::Syncing, Some(reason));
        }
    }

    /// The connection is gone, or was never made. `state` is what it leaves behind.
    pub(super) fn lost(&mut self, c: &mut Commit, state: AccountState, reason: Reason) {
        self.synced = false;
        self.duty = None;
        let state = match state {
            AccountState::Stale if !self.ever_synced => AccountState::Connecting,
            other => other,
        };
        self.set_state(c, state, Some(reason));
    }

    /// Rows of an earlier run, not proven by anything yet.
    pub(super) fn restore(&mut self, c: &mut Commit, rows: Vec<Balance>) {
        for mut row in rows {
            row.state = RowState::Stale;
            (row.gsn, row.value_gsn) = (c.gsn, c.gsn);
            row.key = Arc::clone(&self.key);
            if self.balances.find((&row.wallet, &row.asset)).is_none() && self.balances.len() < self.max_rows {
                self.balances.insert(row, Note::default());
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
        match event {
            VenueEvent::Snapshot(snapshot) => self.snapshot(c, snapshot),
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
                self.omitted = Some(reason);
                self.refresh_state(c);
            }
            VenueEvent::Facts(facts) => self.facts(c, facts),
            VenueEvent::Orders(orders) => orders.into_iter().for_each(|order| self.order(c, order)),
            VenueEvent::Resynced { .. } => self.retell(c).resync_count += 1,
            VenueEvent::Alive | VenueEvent::Malformed { .. } => {}
        }
        None
    }

    // ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    fn sync(&mut self, c: &mut Commit) {
        self.synced = true;
        self.ever_synced = true;
        Arc::make_mut(&mut self.record).last_confirmed = Some(c.now.unix);
        self.refresh_state(c);
        self.restate(c); // rows stated before the account was synced
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
        match self.omitted.clone().or_else(|| self.duty.clone()) {
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
            self.balances.replace(slot, next);
            self.versions += 1;
            c.changed = true;
        }
    }

    // ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The venue pushed a row.
    fn push(&mut self, c: &mut Commit, update: RowUpdate) {
        if let Some((slot, _)) = self.write(c, update) {
            let generation = self.generation;
            let note = self.balances.note_mut(slot);
            (note.pushed_in, note.pushed_at) = (generation, c.now.mono);
        }
    }

    /// Writes a row, now proven in this connection. Tells its slot and whether a number changed; `None`: the row was refused.
    fn write(&mut self, c: &mut Commit, update: RowUpdate) -> Option<(u32, bool)> {
        let found = self.balances.find((&update.wallet, &update.asset));
        if found.is_none() && !self.admits(c, &update) {
            return None;
        }
        let (mut next, changed) = merge(&self.key, found.map(|slot| &**self.balances.row(slot)), update, c);
        let Some(slot) = found else {
            let note = Note { proven_in: self.generation, ..Note::default() };
            next.state = self.row_state(&note);
            self.versions += 1;
            c.changed = true;
            return Some((self.balances.insert(next, note), true));
        };
        let generation = self.generation;
        let note = self.balances.note_mut(slot);
        (note.proven_in, note.doubt) = (generation, None);
        next.state = self.row_state(self.balances.note(slot));
        if differs(self.balances.row(slot), &next) {
            (next.gsn, next.received_ts) = (c.gsn, c.now.unix);
            self.balances.replace(slot, next);
            self.versions += 1;
            c.changed = true;
        }
        Some((slot, changed))
    }

    /// May a new row be added? A refusal is told in the account's state, never silent.
    fn admits(&mut self, c: &mut Commit, update: &RowUpdate) -> bool {
        let fits = |name: &Name| !name.is_empty() && name.chars().count() <= MAX_ASSET_CHARS;
        let reason = if !fits(&update.wallet) || !fits(&update.asset) {
            Reason::new(
                ReasonCode::ProtocolError,
                format!("a row was left out: its name is empty or over {MAX_ASSET_CHARS} characters"),
            )
        } else if self.balances.len() >= self.max_rows {
            Reason::new(ReasonCode::RowLimit, format!("rows beyond the limit of {} were left out", self.max_rows))
        } else {
            return true;
        };
        self.omitted = Some(reason);
        self.refresh_state(c);
        false
    }

    fn snapshot(&mut self, c: &mut Commit, snapshot: Snapshot) {
        if snapshot.scope == Scope::Account && !c.omitted && self.omitted.take().is_some() {
            self.refresh_state(c);
        }
        let mut listed = vec![false; self.balances.len()];
        for mut update in snapshot.rows {
            let found = self.balances.find((&update.wallet, &update.asset));
            if let Some(place) = found.and_then(|slot| listed.get_mut(slot as usize)) {
                *place = true;
            }
            if found.is_some_and(|slot| self.is_newer(slot, snapshot.freshness)) {
                continue;
            }
            let was_live = found.is_some_and(|slot| self.balances.row(slot).state == RowState::Live);
            if was_live && update.cause.is_none() {
                update.cause = Some(Cause::of(CauseKind::Reconcile));
            }
            if let Some((_, true)) = self.write(c, update)
                && was_live
            {
                self.drifted(c);
            }
        }
        for (slot, listed) in listed.into_iter().enumerate() {
            let slot = slot as u32;
            if !listed && within(&snapshot.scope, &self.balances.row(slot).wallet) && !self.is_newer(slot, snapshot.freshness) {
                self.vanish(c, slot);
            }
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
    fn vanish(&mut self, c: &mut Commit, slot: u32) {
        if c.omitted {
            self.balances.note_mut(slot).proven_in = 0;
            return self.restate_row(c, slot);
        }
        let was_live = self.balances.row(slot).state == RowState::Live;
        let update = zero(self.balances.row(slot), CauseKind::Absent);
        if let Some((_, true)) = self.write(c, update)
            && was_live
        {
            self.drifted(c);
        }
    }

    fn unprove(&mut self, c: &mut Commit, wallet: &str, assets: &[Name]) {
        for asset in assets {
            if let Some(slot) = self.balances.find((wallet, asset)) {
                let note = self.balances.note_mut(slot);
                (note.proven_in, note.doubt) = (0, None);
                self.restate_row(c, slot);
            }
        }
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
    /// corrects it, one that agrees with the row clears it. Rows pushed since the request left are not touched.
    fn reconcile(&mut self, c: &mut Commit, reconcile: Reconcile) -> Verdict {
        let asked = Freshness::Asked { sent: reconcile.sent };
        let mut verdict = Verdict::default();
        let mut listed = vec![false; self.balances.len()];
        for update in reconcile.rows {
            let found = self.balances.find((&update.wallet, &update.asset));
            if let Some(place) = found.and_then(|slot| listed.get_mut(slot as usize)) {
                *place = true;
            }
            match found {
                Some(slot) if self.is_newer(slot, asked) => {}
                Some(slot) => self.compare(c, slot, update, &mut verdict),
                None => self.discover(c, update, &mut verdict),
            }
        }
        if reconcile.absence == Absence::Zero && !c.omitted {
            for (slot, listed) in listed.into_iter().enumerate() {
                let slot = slot as u32;
                let row = self.balances.row(slot);
                if !listed && !row.is_zero() && within(&reconcile.scope, &row.wallet) && !self.is_newer(slot, asked) {
                    let update = zero(row, CauseKind::Reconcile);
                    self.compare(c, slot, update, &mut verdict);
                }
            }
        }
        if verdict.doubted == 0 {
            Arc::make_mut(&mut self.record).last_confirmed = Some(c.now.unix);
        }
        verdict
    }

    /// The stream never told of this row.
    fn discover(&mut self, c: &mut Commit, mut update: RowUpdate, verdict: &mut Verdict) {
        update.cause = Some(Cause::of(CauseKind::Reconcile));
        if let Some((slot, _)) = self.write(c, update)
            && !self.balances.row(slot).is_zero()
        {
            verdict.corrected += 1;
            self.drifted(c);
        }
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
        if agrees || unproven {
            update.cause = (!agrees).then(|| Cause::of(CauseKind::Reconcile));
            self.write(c, update);
        } else if note.doubt.as_deref().is_some_and(|doubt| same_numbers(doubt, &said)) {
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
        self.orders_floor = self.orders_floor.max(self.orders.row(slot).gsn);
        self.orders.reuse(slot, order, self.generation);
    }
}

fn within(scope: &Scope, wallet: &Name) -> bool {
    match scope {
        Scope::Account => true,
        Scope::Wallets(wallets) => wallets.contains(wallet),
    }
}

fn number(field: &Field) -> Option<Amount> {
    match field {
        Field::Is(amount) | Field::Derived(amount) => Some(amount.clone()),
        Field::Absent => Some(Amount::ZERO),
        Field::Keep | Field::Unknown => None,
    }
}

fn same(a: &Option<Amount>, b: &Option<Amount>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_value(b),
        (None, None) => true,
        _ => false,
    }
}

fn same_numbers(a: &[Option<Amount>; 3], b: &[Option<Amount>; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Zero wherever a number was known; what was unknown stays unknown, the total excepted.
fn zero(row: &Balance, kind: CauseKind) -> RowUpdate {
    let known = |amount: &Option<Amount>| if amount.is_some() { Field::Absent } else { Field::Keep };
    RowUpdate {
        total: Field::Absent,
        available: known(&row.available),
        locked: known(&row.locked),
        cause: Some(Cause::of(kind)),
        ..RowUpdate::new(row.wallet.clone(), row.asset.clone())
    }
}

/// Does anything differ that a reader can see?
fn differs(a: &Balance, b: &Balance) -> bool {
    let numbers = |r: &Balance| [r.total.clone(), r.available.clone(), r.locked.clone()];
    a.state != b.state
        || a.basis != b.basis
        || a.last_known != b.last_known
        || a.extra != b.extra
        || !same_numbers(&numbers(a), &numbers(b))
}

/// The row after an update, and whether one of its numbers changed. Numbers that are equal keep their text.
fn merge(key: &Arc<AccountKey>, old: Option<&Balance>, update: RowUpdate, c: &Commit) -> (Balance, bool) {
    let mut row = old.cloned().unwrap_or_else(|| Balance {
        key: Arc::clone(key),
        wallet: update.wallet,
        asset: update.asset,
        total: None,
        available: None,
        locked: None,
        basis: [Origin::Reported; 3],
        state: RowState::Stale,
        gsn: c.gsn,
        value_gsn: c.gsn,
        venue_ts: update.venue_ts,
        received_ts: c.now.unix,
        changed_ts: c.now.unix,
        last_known: None,
        cause: None,
        extra: None,
    });
    let withdrawn = row.available.clone().filter(|_| update.available == Field::Unknown);
    let mut changed = old.is_none();
    let fields = [(&mut row.total, update.total), (&mut row.available, update.available), (&mut row.locked, update.locked)];
    for ((held, field), origin) in fields.into_iter().zip(&mut row.basis) {
        let (next, from) = match field {
            Field::Keep => continue,
            Field::Unknown => (None, Origin::Reported),
            Field::Is(amount) => (Some(amount), Origin::Reported),
            Field::Derived(amount) => (Some(amount), Origin::Derived),
            Field::Absent => (Some(Amount::ZERO), Origin::Absent),
        };
        *origin = from;
        if !same(held, &next) {
            *held = next;
            changed = true;
        }
    }
    if let Some(available) = withdrawn {
        row.last_known = Some(Box::new(LastKnown { available, ts: row.received_ts }));
    } else if row.available.is_some() {
        row.last_known = None;
    }
    if update.extra.is_some() {
        row.extra = update.extra;
    }
    if changed {
        row.value_gsn = c.gsn;
        row.changed_ts = c.now.unix;
        row.venue_ts = update.venue_ts;
        row.cause = update.cause.map(Arc::new);
    }
    (row, changed)
}
