//! Frames a client gets. Those with rows are written as JSON text by hand: the words are fixed, the amounts need no escaping, and a
//! row is written in one pass. [`shape`] has their shapes, and those of the short frames, which are written from them.

use serde::Serialize;

use super::shape::{self, Always, literal};
use super::{ErrorCode, Id, WireText};
use crate::model::{AccountRecord, Amount, Balance, Cause, Changes, Channel, Order, Origin, UnixMs};

/// Largest part of a snapshot. One row or record larger than this travels alone.
pub const PART_BYTES: usize = 64 << 10;

/// About as long as a row is, so that its text is seldom moved while it is written.
const ROW_BYTES: usize = 384;
/// Room for what stands above the rows.
const HEAD_BYTES: usize = 512;

/// A frame's type, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    AuthResult,
    AuthExpiring,
    Subscribed,
    Unsubscribed,
    Snapshot,
    Update,
    Heartbeat,
    Pong,
    Error,
    Draining,
}

impl FrameKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::AuthResult,
        Self::AuthExpiring,
        Self::Subscribed,
        Self::Unsubscribed,
        Self::Snapshot,
        Self::Update,
        Self::Heartbeat,
        Self::Pong,
        Self::Error,
        Self::Draining,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthResult => "auth_result",
            Self::AuthExpiring => "auth_expiring",
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Snapshot => "snapshot",
            Self::Update => "update",
            Self::Heartbeat => "heartbeat",
            Self::Pong => "pong",
            Self::Error => "error",
            Self::Draining => "draining",
        }
    }
}

/// What stands above the rows of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotHead<'a> {
    pub channel: Channel,
    /// `subscribe`, `resync`, `grant`, `bulk` or `request`.
    pub reason: &'static str,
    pub epoch: &'a str,
    pub ts: UnixMs,
}

/// What stands above the rows of an update.
#[derive(Debug, Clone, Copy)]
pub struct UpdateHead<'a> {
    pub channel: Channel,
    pub epoch: &'a str,
    /// The gsn of the frame before, on the same subscription.
    pub prev: u64,
    pub ts: UnixMs,
}

/// A snapshot in parts of at most [`PART_BYTES`]; a single part says nothing of parts.
pub fn snapshot(head: &SnapshotHead, changes: &Changes) -> Vec<WireText> {
    let mut parts = vec![Part::default()];
    let mut item = String::with_capacity(ROW_BYTES);
    for record in &changes.accounts {
        account_json(anew(&mut item), record);
        fitting(&mut parts, &item).accounts.add(&item);
    }
    for row in &changes.balances {
        balance_json(anew(&mut item), row);
        fitting(&mut parts, &item).rows.add(&item);
    }
    for order in &changes.orders {
        order_json(anew(&mut item), order);
        fitting(&mut parts, &item).rows.add(&item);
    }
    let total = parts.len();
    let frames = parts.iter().enumerate().map(|(nth, Part { accounts, rows })| {
        let mut b = WireText::begin(HEAD_BYTES + accounts.0.len() + rows.0.len());
        snapshot_head(&mut b, head, changes, |b| {
            if total > 1 {
                number(b, ",\"part\":", nth + 1);
                number(b, ",\"parts\":", total);
            }
        });
        lists(&mut b, changes.complete, head.channel, |b| b.push_str(&accounts.0), |b| b.push_str(&rows.0));
        WireText::end(b)
    });
    frames.collect()
}

/// The same object in one piece, for REST.
pub fn snapshot_whole(head: &SnapshotHead, changes: &Changes) -> String {
    let mut b = String::with_capacity(whole_bytes(changes));
    snapshot_head(&mut b, head, changes, |_| {});
    all_lists(&mut b, head.channel, changes);
    b
}

fn snapshot_head(b: &mut String, head: &SnapshotHead, changes: &Changes, numbers: impl FnOnce(&mut String)) {
    b.push_str("{\"type\":\"snapshot\",\"channel\":");
    quoted(b, head.channel.as_str());
    b.push_str(",\"reason\":");
    quoted(b, head.reason);
    b.push_str(",\"epoch\":");
    quoted(b, head.epoch);
    number(b, ",\"prev\":0,\"gsn\":", changes.cut);
    numbers(b);
    number(b, ",\"ts\":", head.ts.0);
}

/// One update: whole rows that changed.
pub fn update(head: &UpdateHead, changes: &Changes) -> WireText {
    let mut b = WireText::begin(whole_bytes(changes));
    b.push_str("{\"type\":\"update\",\"channel\":");
    quoted(&mut b, head.channel.as_str());
    b.push_str(",\"epoch\":");
    quoted(&mut b, head.epoch);
    number(&mut b, ",\"prev\":", head.prev);
    number(&mut b, ",\"gsn\":", changes.cut);
    number(&mut b, ",\"ts\":", head.ts.0);
    all_lists(&mut b, head.channel, changes);
    WireText::end(b)
}

/// Only one list of a snapshot, for `/v1/accounts` and `/v1/orders`.
pub fn listing(epoch: &str, ts: UnixMs, name: &str, changes: &Changes) -> String {
    let mut b = String::with_capacity(whole_bytes(changes));
    b.push_str("{\"epoch\":");
    quoted(&mut b, epoch);
    number(&mut b, ",\"gsn\":", changes.cut);
    number(&mut b, ",\"ts\":", ts.0);
    b.push_str(if changes.complete { ",\"complete\":true," } else { ",\"complete\":false," });
    quoted(&mut b, name);
    b.push_str(":[");
    if name == "accounts" {
        accounts_json(&mut b, changes)
    } else {
        rows_json(&mut b, changes)
    }
    b.push_str("]}");
    b
}

/// What an answer of all these changes needs, about.
fn whole_bytes(changes: &Changes) -> usize {
    HEAD_BYTES + (changes.accounts.len() + changes.balances.len() + changes.orders.len()) * ROW_BYTES
}

fn all_lists(b: &mut String, channel: Channel, changes: &Changes) {
    lists(b, changes.complete, channel, |b| accounts_json(b, changes), |b| rows_json(b, changes));
}

/// The end of every frame with rows.
fn lists(b: &mut String, complete: bool, channel: Channel, accounts: impl FnOnce(&mut String), rows: impl FnOnce(&mut String)) {
    b.push_str(if complete { ",\"complete\":true,\"accounts\":[" } else { ",\"complete\":false,\"accounts\":[" });
    accounts(b);
    b.push_str(match channel {
        Channel::Balances => "],\"balances\":[",
        Channel::Orders => "],\"orders\":[",
    });
    rows(b);
    b.push_str("]}");
}

fn accounts_json(b: &mut String, changes: &Changes) {
    joined(b, &changes.accounts, |b, record| account_json(b, record));
}

fn rows_json(b: &mut String, changes: &Changes) {
    joined(b, &changes.balances, |b, row| balance_json(b, row));
    joined(b, &changes.orders, |b, order| order_json(b, order));
}

/// Comma-separated values.
fn joined<T>(b: &mut String, items: &[T], write: fn(&mut String, &T)) {
    for (nth, item) in items.iter().enumerate() {
        if nth > 0 {
            b.push(',');
        }
        write(b, item);
    }
}

/// The lists of one part.
#[derive(Default)]
struct Part {
    accounts: List,
    rows: List,
}

/// Comma-separated JSON values.
#[derive(Default)]
struct List(String);

impl List {
    fn add(&mut self, item: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(item);
    }
}

/// The part that the item still fits in, which may be a new one.
fn fitting<'a>(parts: &'a mut Vec<Part>, item: &str) -> &'a mut Part {
    let full = parts.last().is_none_or(|Part { accounts, rows }| {
        let used = accounts.0.len() + rows.0.len();
        used > 0 && used + item.len() + HEAD_BYTES > PART_BYTES
    });
    if full {
        parts.push(Part::default());
    }
    parts.last_mut().expect("a part was just made sure of")
}

fn anew(text: &mut String) -> &mut String {
    text.clear();
    text
}

/// Appends a balance row.
pub fn balance_json(b: &mut String, row: &Balance) {
    b.push_str("{\"venue\":");
    quoted(b, row.key.venue);
    b.push_str(",\"account\":");
    quoted(b, &row.key.account);
    b.push_str(",\"wallet\":");
    quoted(b, &row.wallet);
    b.push_str(",\"asset\":");
    quoted(b, &row.asset);
    amount(b, ",\"total\":", row.total.as_ref());
    amount(b, ",\"available\":", row.available.as_ref());
    amount(b, ",\"locked\":", row.locked.as_ref());
    basis(b, row.basis);
    b.push_str(",\"state\":");
    quoted(b, row.state.as_str());
    number(b, ",\"gsn\":", row.gsn);
    match row.venue_ts {
        Some(ts) => number(b, ",\"venue_ts\":", ts.0),
        None => b.push_str(",\"venue_ts\":null"),
    }
    number(b, ",\"received_ts\":", row.received_ts.0);
    number(b, ",\"changed_ts\":", row.changed_ts.0);
    if let Some(last) = &row.last_known {
        amount(b, ",\"last_known\":{\"available\":", Some(&last.available));
        number(b, ",\"ts\":", last.ts.0);
        b.push('}');
    }
    extra(b, row.extra.as_deref());
    if let Some(cause) = &row.cause {
        b.push_str(",\"cause\":");
        cause_json(b, cause);
    }
    b.push('}');
}

fn basis(b: &mut String, basis: [Origin; 3]) {
    let mut opened = false;
    for (name, origin) in ["total", "available", "locked"].into_iter().zip(basis) {
        let word = match origin {
            Origin::Reported => continue,
            Origin::Derived => "derived",
            Origin::Absent => "absent",
        };
        b.push_str(if opened { ",\"" } else { ",\"basis\":{\"" });
        opened = true;
        b.push_str(name);
        b.push_str("\":\"");
        b.push_str(word);
        b.push('"');
    }
    if opened {
        b.push('}');
    }
}

fn cause_json(b: &mut String, cause: &Cause) {
    b.push_str("{\"type\":");
    json(b, &cause.kind);
    if let Some(description) = &cause.description {
        b.push_str(",\"description\":");
        quoted(b, description);
    }
    if let Some(venue) = &cause.venue {
        b.push_str(",\"venue\":");
        b.push_str(venue.get());
    }
    b.push('}');
}

/// Appends an order row.
pub fn order_json(b: &mut String, order: &Order) {
    b.push_str("{\"venue\":");
    quoted(b, order.key.venue);
    b.push_str(",\"account\":");
    quoted(b, &order.key.account);
    b.push_str(",\"order_id\":");
    quoted(b, &order.order_id);
    b.push_str(",\"asset\":");
    quoted(b, &order.asset);
    amount(b, ",\"filled\":", order.filled.as_ref());
    b.push_str(",\"status\":");
    quoted(b, &order.status);
    b.push_str(if order.is_final { ",\"final\":true" } else { ",\"final\":false" });
    b.push_str(",\"state\":");
    quoted(b, order.state.as_str());
    number(b, ",\"gsn\":", order.gsn);
    number(b, ",\"received_ts\":", order.received_ts.0);
    number(b, ",\"changed_ts\":", order.changed_ts.0);
    extra(b, order.extra.as_deref());
    b.push('}');
}

/// Appends an account record.
pub fn account_json(b: &mut String, record: &AccountRecord) {
    b.push_str("{\"venue\":");
    quoted(b, record.key.venue);
    b.push_str(",\"account\":");
    quoted(b, &record.key.account);
    b.push_str(",\"state\":");
    quoted(b, record.state.as_str());
    number(b, ",\"since\":", record.since.0);
    if let Some(reason) = &record.reason {
        b.push_str(",\"reason\":{\"code\":");
        quoted(b, reason.code.as_str());
        b.push_str(",\"text\":");
        quoted(b, &reason.text);
        b.push('}');
    }
    if let Some(fees) = &record.facts.fees {
        amount(b, ",\"fees\":{\"maker\":", Some(&fees.maker));
        amount(b, ",\"taker\":", Some(&fees.taker));
        b.push('}');
    }
    for (name, raw) in [("stats", &record.facts.stats), ("permissions", &record.facts.permissions)] {
        if let Some(raw) = raw {
            b.push_str(",\"");
            b.push_str(name);
            b.push_str("\":");
            b.push_str(raw.get());
        }
    }
    if let Some(warnings) = record.facts.warnings.as_ref().filter(|w| !w.is_empty()) {
        b.push_str(",\"warnings\":");
        json(b, warnings);
    }
    number(b, ",\"drift_count\":", record.drift_count);
    // Absent: none.
    for (name, count) in [(",\"reconnect_count\":", record.reconnect_count), (",\"resync_count\":", record.resync_count)] {
        if count > 0 {
            number(b, name, count);
        }
    }
    if let Some(ts) = record.last_confirmed {
        number(b, ",\"last_confirmed_ts\":", ts.0);
    }
    match record.proof.last() {
        Some(proof) => number(b, ",\"proven_ts\":", proof.unix.0),
        None => b.push_str(",\"proven_ts\":null"),
    }
    b.push('}');
}

fn extra(b: &mut String, extra: Option<&[(&'static str, crate::model::Name)]>) {
    let Some(extra) = extra.filter(|extra| !extra.is_empty()) else { return };
    b.push_str(",\"extra\":{");
    for (i, (name, value)) in extra.iter().enumerate() {
        if i > 0 {
            b.push(',');
        }
        quoted(b, name);
        b.push(':');
        quoted(b, value);
    }
    b.push('}');
}

fn amount(b: &mut String, name: &str, amount: Option<&Amount>) {
    b.push_str(name);
    match amount {
        Some(amount) => {
            b.push('"');
            b.push_str(amount.as_str());
            b.push('"');
        }
        None => b.push_str("null"),
    }
}

fn number(b: &mut String, name: &str, number: impl itoa::Integer) {
    b.push_str(name);
    b.push_str(itoa::Buffer::new().format(number));
}

fn quoted(b: &mut String, text: &str) {
    // To its end, without a way out: many bytes are looked at in one step.
    if text.bytes().fold(false, |special, c| special | (c < 0x20) | (c == b'"') | (c == b'\\')) {
        return json(b, text);
    }
    b.push('"');
    b.push_str(text);
    b.push('"');
}

fn json<T: Serialize + ?Sized>(b: &mut String, value: &T) {
    b.push_str(&serde_json::to_string(value).expect("plain values serialize"));
}

// ── short frames ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Authentication succeeded.
pub fn auth_result(id: Option<&Id>, user: &str, expires_at: UnixMs, heartbeat_ms: u64) -> String {
    text(&shape::AuthAccepted { r#type: literal::AuthResult, id, success: Always, user, expires_at, heartbeat_ms })
}

/// Authentication failed; the socket closes.
pub fn auth_refused(id: Option<&Id>, code: ErrorCode, message: &str) -> String {
    let error = shape::Refusal { code, message };
    text(&shape::AuthRefused { r#type: literal::AuthResult, id, success: Always, error })
}

/// The token ends soon.
pub fn auth_expiring(expires_at: UnixMs) -> String {
    text(&shape::AuthExpiring { r#type: literal::AuthExpiring, expires_at })
}

/// A subscription stands; its rows follow.
pub fn subscribed(id: Option<&Id>, channel: Channel, epoch: &str, gsn: u64, resumed: bool) -> String {
    text(&shape::Subscribed { r#type: literal::Subscribed, id, channel, epoch, gsn, resumed })
}

/// A subscription ended.
pub fn unsubscribed(id: Option<&Id>, channel: Channel) -> String {
    text(&shape::Unsubscribed { r#type: literal::Unsubscribed, id, channel })
}

/// Nothing was sent for a while; the socket lives, and each channel stands at its gsn.
pub fn heartbeat(ts: UnixMs, gsn: &[(Channel, u64)]) -> String {
    let of = |channel| gsn.iter().find(|(one, _)| *one == channel).map(|(_, gsn)| *gsn);
    let gsn = shape::Gsns { balances: of(Channel::Balances), orders: of(Channel::Orders) };
    text(&shape::Heartbeat { r#type: literal::Heartbeat, ts, gsn })
}

/// The answer to a ping.
pub fn pong(id: Option<&Id>, ts: UnixMs) -> String {
    text(&shape::Pong { r#type: literal::Pong, id, ts })
}

/// Something was wrong with a request.
pub fn error(id: Option<&Id>, code: ErrorCode, message: &str) -> String {
    text(&shape::ErrorFrame { r#type: literal::Error, id, code, message, retry: code.retry() })
}

/// The gateway goes away: reconnect within this time, spread.
pub fn draining(reconnect_within_ms: u64) -> String {
    text(&shape::Draining { r#type: literal::Draining, reconnect_within_ms })
}

fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).expect("plain values serialize")
}
