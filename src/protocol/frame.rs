//! Frames a client gets, written as JSON text by hand: the words are fixed, the amounts need no escaping, and a row is written
//! in one pass.

use serde::Serialize;

use super::{ErrorCode, Id};
use crate::model::{AccountRecord, Amount, Balance, Cause, Changes, Channel, Order, Origin, UnixMs};

/// Largest part of a snapshot. One row or record larger than this travels alone.
pub const PART_BYTES: usize = 64 << 10;

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
pub fn snapshot(head: &SnapshotHead, changes: &Changes) -> Vec<String> {
    let mut parts = vec![(Body::default(), Body::default())];
    for record in &changes.accounts {
        fit(&mut parts, |(accounts, _)| accounts, &render(|b| account_json(b, record)));
    }
    for row in &changes.balances {
        fit(&mut parts, |(_, rows)| rows, &render(|b| balance_json(b, row)));
    }
    for order in &changes.orders {
        fit(&mut parts, |(_, rows)| rows, &render(|b| order_json(b, order)));
    }
    let total = parts.len();
    let frames = parts.iter().enumerate().map(|(i, (accounts, rows))| {
        let numbers = if total > 1 { format!(",\"part\":{},\"parts\":{total}", i + 1) } else { String::new() };
        compose_snapshot(head, changes, &numbers, accounts, rows)
    });
    frames.collect()
}

/// The same object in one piece, for REST.
pub fn snapshot_whole(head: &SnapshotHead, changes: &Changes) -> String {
    let (accounts, rows) = bodies(changes);
    compose_snapshot(head, changes, "", &accounts, &rows)
}

fn compose_snapshot(head: &SnapshotHead, changes: &Changes, numbers: &str, accounts: &Body, rows: &Body) -> String {
    let SnapshotHead { channel, reason, epoch, ts } = head;
    format!(
        "{{\"type\":\"snapshot\",\"channel\":\"{}\",\"reason\":\"{reason}\",\"epoch\":\"{epoch}\",\"prev\":0,\"gsn\":{}{numbers},\
         \"ts\":{},\"complete\":{},\"accounts\":[{}],\"{}\":[{}]}}",
        channel.as_str(),
        changes.cut,
        ts.0,
        changes.complete,
        accounts.text,
        rows_name(*channel),
        rows.text
    )
}

/// One update: whole rows that changed.
pub fn update(head: &UpdateHead, changes: &Changes) -> String {
    let UpdateHead { channel, epoch, prev, ts } = head;
    let (accounts, rows) = bodies(changes);
    format!(
        "{{\"type\":\"update\",\"channel\":\"{}\",\"epoch\":\"{epoch}\",\"prev\":{prev},\"gsn\":{},\"ts\":{},\"complete\":{},\
         \"accounts\":[{}],\"{}\":[{}]}}",
        channel.as_str(),
        changes.cut,
        ts.0,
        changes.complete,
        accounts.text,
        rows_name(*channel),
        rows.text
    )
}

/// Only one list of a snapshot, for `/v1/accounts` and `/v1/orders`.
pub fn listing(epoch: &str, ts: UnixMs, name: &str, changes: &Changes) -> String {
    let (accounts, rows) = bodies(changes);
    let body = if name == "accounts" { accounts } else { rows };
    format!(
        "{{\"epoch\":\"{epoch}\",\"gsn\":{},\"ts\":{},\"complete\":{},\"{name}\":[{}]}}",
        changes.cut, ts.0, changes.complete, body.text
    )
}

fn rows_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Balances => "balances",
        Channel::Orders => "orders",
    }
}

/// Comma-separated JSON values.
#[derive(Default)]
struct Body {
    text: String,
}

impl Body {
    fn push(&mut self, item: &str) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(item);
    }
}

fn bodies(changes: &Changes) -> (Body, Body) {
    let (mut accounts, mut rows) = (Body::default(), Body::default());
    let mut item = String::new();
    for record in &changes.accounts {
        item.clear();
        account_json(&mut item, record);
        accounts.push(&item);
    }
    for row in &changes.balances {
        item.clear();
        balance_json(&mut item, row);
        rows.push(&item);
    }
    for order in &changes.orders {
        item.clear();
        order_json(&mut item, order);
        rows.push(&item);
    }
    (accounts, rows)
}

fn fit(parts: &mut Vec<(Body, Body)>, list: fn(&mut (Body, Body)) -> &mut Body, item: &str) {
    // Room for what stands above the rows.
    const HEAD_BYTES: usize = 512;
    let full = parts.last().is_none_or(|(accounts, rows)| {
        let used = accounts.text.len() + rows.text.len();
        used > 0 && used + item.len() + HEAD_BYTES > PART_BYTES
    });
    if full {
        parts.push((Body::default(), Body::default()));
    }
    list(parts.last_mut().expect("a part was just made sure of")).push(item);
}

fn render(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::with_capacity(384);
    write(&mut text);
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
    json(b, &row.state);
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
    json(b, &order.state);
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

fn number(b: &mut String, name: &str, number: impl std::fmt::Display) {
    use std::fmt::Write;
    b.push_str(name);
    write!(b, "{number}").expect("writing to a String cannot fail");
}

fn quoted(b: &mut String, text: &str) {
    if text.bytes().any(|c| c < 0x20 || c == b'"' || c == b'\\') {
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

fn with_id(kind: FrameKind, id: Option<&Id>, rest: &str) -> String {
    match id {
        Some(id) => format!("{{\"type\":\"{}\",\"id\":{}{rest}}}", kind.as_str(), id.json()),
        None => format!("{{\"type\":\"{}\"{rest}}}", kind.as_str()),
    }
}

/// Authentication succeeded.
pub fn auth_result(id: Option<&Id>, user: &str, expires_at: UnixMs, heartbeat_ms: u64) -> String {
    let user = serde_json::Value::from(user);
    let rest = format!(",\"success\":true,\"user\":{user},\"expires_at\":{},\"heartbeat_ms\":{heartbeat_ms}", expires_at.0);
    with_id(FrameKind::AuthResult, id, &rest)
}

/// Authentication failed; the socket closes.
pub fn auth_refused(id: Option<&Id>, code: ErrorCode, message: &str) -> String {
    let message = serde_json::Value::from(message);
    let rest = format!(",\"success\":false,\"error\":{{\"code\":\"{}\",\"message\":{message}}}", code.as_str());
    with_id(FrameKind::AuthResult, id, &rest)
}

/// The token ends soon.
pub fn auth_expiring(expires_at: UnixMs) -> String {
    with_id(FrameKind::AuthExpiring, None, &format!(",\"expires_at\":{}", expires_at.0))
}

/// A subscription stands; its rows follow.
pub fn subscribed(id: Option<&Id>, channel: Channel, epoch: &str, gsn: u64, resumed: bool) -> String {
    let channel = channel.as_str();
    let rest = format!(",\"channel\":\"{channel}\",\"epoch\":\"{epoch}\",\"gsn\":{gsn},\"resumed\":{resumed}");
    with_id(FrameKind::Subscribed, id, &rest)
}

/// A subscription ended.
pub fn unsubscribed(id: Option<&Id>, channel: Channel) -> String {
    with_id(FrameKind::Unsubscribed, id, &format!(",\"channel\":\"{}\"", channel.as_str()))
}

/// Nothing was sent for a while; the socket lives, and each channel stands at its gsn.
pub fn heartbeat(ts: UnixMs, gsn: &[(Channel, u64)]) -> String {
    let gsn: Vec<_> = gsn.iter().map(|(channel, gsn)| format!("\"{}\":{gsn}", channel.as_str())).collect();
    with_id(FrameKind::Heartbeat, None, &format!(",\"ts\":{},\"gsn\":{{{}}}", ts.0, gsn.join(",")))
}

/// The answer to a ping.
pub fn pong(id: Option<&Id>, ts: UnixMs) -> String {
    with_id(FrameKind::Pong, id, &format!(",\"ts\":{}", ts.0))
}

/// Something was wrong with a request.
pub fn error(id: Option<&Id>, code: ErrorCode, message: &str) -> String {
    let message = serde_json::Value::from(message);
    let retry = serde_json::to_string(&code.retry()).expect("a word serializes");
    with_id(FrameKind::Error, id, &format!(",\"code\":\"{}\",\"message\":{message},\"retry\":{retry}", code.as_str()))
}

/// The gateway goes away: reconnect within this time, spread.
pub fn draining(reconnect_within_ms: u64) -> String {
    with_id(FrameKind::Draining, None, &format!(",\"reconnect_within_ms\":{reconnect_within_ms}"))
}
