//! What all tests of this venue share: a way to say events, accounts with faults, movements.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::calc::Calc;
use super::wire::{self, Answer, Message, WireError};
use super::*;
use crate::model::{AccountPush, CauseKind, Field, Mono, Name, Now, ReasonCode, RowUpdate, UnixMs, VenueEvent, Verdict};
use crate::venue::sim::{ConnId, Move, Sim, SimAction, SimOut, SimRequest, SimSetup};
use crate::venue::testkit::{Duo, spec};
use crate::venue::{Action, CallError, CallId, Credentials, ErrorClass, Frame, Options, Out, Reply, WalletSpec};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/venue/bitfinex/fixtures/", $name)).trim_end()
    };
}

mod decode;
mod edges;
mod login;
mod rest;
mod simulator;

fn budget() -> std::sync::Arc<parking_lot::Mutex<crate::venue::Budget>> {
    Shared::default().other("wss://h", "calc", super::calc::RATE)
}

fn field(field: &Field) -> String {
    match field {
        Field::Keep => "keep".into(),
        Field::Unknown => "unknown".into(),
        Field::Is(amount) => amount.to_string(),
        Field::Derived(amount) => format!("derived {amount}"),
        Field::Absent => "absent".into(),
    }
}

fn row(row: &RowUpdate) -> String {
    assert!(matches!(row.locked, Field::Unknown | Field::Keep), "locked is never told");
    format!("{} {} {}/{}", row.wallet, row.asset, field(&row.total), field(&row.available))
}

fn rows(rows: &[RowUpdate]) -> String {
    rows.iter().map(row).collect::<Vec<_>>().join(", ")
}

fn say(event: &VenueEvent) -> String {
    match event {
        VenueEvent::Snapshot(snapshot) => format!("snapshot {:?} [{}]", snapshot.scope, rows(&snapshot.rows)),
        VenueEvent::Rows(updates) => format!("rows [{}]", rows(updates)),
        VenueEvent::Unproven { wallet, assets } => format!("unproven {wallet} {}", assets.join(" ")),
        VenueEvent::Synced => "synced".into(),
        VenueEvent::Unsynced(AccountPush::Syncing(reason)) => format!("syncing {}", reason.code.as_str()),
        VenueEvent::Unsynced(AccountPush::Maintenance(reason)) => format!("maintenance {}", reason.code.as_str()),
        VenueEvent::Reconcile(r) => format!("reconcile {:?} [{}]", r.absence, rows(&r.rows)),
        VenueEvent::Duty(reason) => format!("duty {}", reason.as_ref().map_or("fine", |r| r.code.as_str())),
        VenueEvent::Facts(facts) => format!("facts {} warnings", facts.warnings.as_ref().map_or(0, Vec::len)),
        VenueEvent::Orders(_) => "orders".into(),
        VenueEvent::Omitted(reason) => format!("omitted {}", reason.code.as_str()),
        VenueEvent::Partial(partial) => format!("partial {partial}"),
        VenueEvent::Alive => "alive".into(),
        VenueEvent::Malformed { what } => format!("malformed: {what}"),
        VenueEvent::Resynced { reason } => format!("resynced {reason}"),
    }
}

/// All but proofs of life.
fn said(duo: &mut Duo) -> Vec<String> {
    duo.drain().iter().filter(|event| !matches!(event, VenueEvent::Alive)).map(say).collect()
}

fn venue_with(simulate: fn(SimSetup) -> Box<dyn Sim>) -> Venue {
    Venue { simulate, ..VENUE }
}

/// A simulator that has a fault before anyone connects.
fn faulty(setup: SimSetup, faults: &[&str]) -> Box<dyn Sim> {
    let mut sim = sim::simulate(setup);
    let now = Now { mono: Mono(1), unix: UnixMs(1_763_121_358_960) };
    for fault in faults {
        sim.on_fault(now, fault, &mut SimOut::default()).unwrap();
    }
    sim
}

fn option(name: &str, value: i64) -> BTreeMap<String, toml::Value> {
    [(name.to_owned(), toml::Value::Integer(value))].into_iter().collect()
}

/// The sample account without the REST duty, past its login.
fn quiet() -> Duo {
    let mut duo = Duo::with(&VENUE, |_| {}, option("reconcile_ms", 0));
    duo.drain();
    duo
}

/// The sample account, past its login.
fn duo() -> Duo {
    let mut duo = Duo::new(&VENUE);
    duo.drain();
    duo
}

fn heard(text: &str) -> Vec<String> {
    let mut duo = quiet();
    duo.hear(text);
    said(&mut duo)
}

fn closed(duo: &Duo) -> (ErrorClass, ReasonCode) {
    let closing = duo.closed.as_ref().expect("the session closed");
    (closing.class, closing.reason.code)
}

fn amount(text: &str) -> crate::model::Amount {
    text.parse().unwrap()
}

fn deposit(asset: &str, value: &str) -> Move {
    Move::Deposit { account: "bfx-main".into(), wallet: "exchange".into(), asset: asset.into(), amount: amount(value) }
}

fn set(wallet: &str, asset: &str, available: &str) -> Move {
    let (wallet, asset) = (wallet.into(), asset.into());
    Move::Set { account: "bfx-main".into(), wallet, asset, available: amount(available), locked: amount("0") }
}

fn place(value: &str) -> Move {
    let (account, wallet, order, spend) = ("bfx-main".into(), "exchange".into(), "34988418651".into(), "USD".into());
    Move::Place { account, wallet, order, spend, amount: amount(value) }
}
