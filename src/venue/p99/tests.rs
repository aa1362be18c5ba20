//! P99 from its fixtures, from its simulator, and by hand where the order of messages matters.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::wire::{self, Incoming, Listing, Row, WireError};
use super::{VENUE, auth, sim};
use crate::model::{
    AccountPush, Amount, Field, Freshness, Mono, Name, Now, ReasonCode, RowUpdate, UnixMs, VenueEvent, Verdict,
};
use crate::venue::sim::{Book, Move, Sample, SimRequest};
use crate::venue::testkit::{self, Duo};
use crate::venue::{
    AccountSpec, Action, Call, CallError, CallId, Closing, Credentials, ErrorClass, Frame, Options, Out, Reply, Session,
    Shared, Venue, WalletSpec,
};

mod decode;
mod refusals;
mod simulator;
mod stream;

/// An event in one line. `Alive` is left out: every frame brings one.
fn line(event: &VenueEvent) -> Option<String> {
    let rows = |rows: &[RowUpdate]| rows.iter().map(row_line).collect::<Vec<_>>().join(", ");
    Some(match event {
        VenueEvent::Alive => return None,
        VenueEvent::Snapshot(s) => format!("snapshot {}", rows(&s.rows)),
        VenueEvent::Rows(r) => format!("rows {}", rows(r)),
        VenueEvent::Reconcile(r) => format!("reconcile {}", rows(&r.rows)),
        VenueEvent::Unproven { assets, .. } => format!("unproven {}", assets.join(",")),
        VenueEvent::Synced => "synced".into(),
        VenueEvent::Unsynced(AccountPush::Syncing(r)) => format!("syncing {}", r.code.as_str()),
        VenueEvent::Unsynced(AccountPush::Maintenance(r)) => format!("maintenance {}", r.code.as_str()),
        VenueEvent::Duty(Some(r)) => format!("duty {}", r.code.as_str()),
        VenueEvent::Duty(None) => "duty fine".into(),
        VenueEvent::Malformed { .. } => "malformed".into(),
        VenueEvent::Resynced { reason } => format!("resynced {reason}"),
        VenueEvent::Facts(_) => "facts".into(),
        VenueEvent::Orders(_) => "orders".into(),
        VenueEvent::Omitted(r) => format!("omitted {}", r.code.as_str()),
        VenueEvent::Partial(partial) => format!("partial {partial}"),
    })
}

/// `DF 10000+100=10100`, with every field checked for its kind; `DF unsaid` where only the name came.
fn row_line(row: &RowUpdate) -> String {
    assert_eq!(row.wallet, "spot");
    match (&row.available, &row.locked, &row.total) {
        (Field::Is(available), Field::Is(locked), Field::Derived(total)) => {
            format!("{} {available}+{locked}={total}", row.asset)
        }
        (Field::Keep, Field::Keep, Field::Keep) => format!("{} unsaid", row.asset),
        other => panic!("{}: {other:?}", row.asset),
    }
}

fn lines(events: &[VenueEvent]) -> Vec<String> {
    events.iter().filter_map(line).collect()
}

fn told(duo: &mut Duo) -> Vec<String> {
    lines(&duo.drain())
}

/// The whole book as one `reconcile` or `snapshot` line.
fn book_line(word: &str, duo: &Duo) -> String {
    let rows = duo.book().rows.iter().map(|((_, token), h)| format!("{token} {}+{}={}", h.available, h.locked, h.total()));
    format!("{word} {}", rows.collect::<Vec<_>>().join(", "))
}

/// The sample, seeded and compared once, with nothing left to say.
fn live() -> Duo {
    settled(Duo::new(&VENUE))
}

fn settled(mut duo: Duo) -> Duo {
    duo.pass(5_000);
    assert!(told(&mut duo).contains(&"synced".to_owned()));
    duo
}

fn options(values: &[(&str, i64)]) -> BTreeMap<String, toml::Value> {
    values.iter().map(|(name, value)| ((*name).to_owned(), toml::Value::Integer(*value))).collect()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn deposit(asset: &str, text: &str) -> Move {
    Move::Deposit { account: "p99-main".into(), wallet: "spot".into(), asset: asset.into(), amount: amount(text) }
}

fn adjust(asset: &str, text: &str) -> Move {
    Move::Adjust { account: "p99-main".into(), wallet: "spot".into(), asset: asset.into(), amount: amount(text) }
}

fn place(asset: &str, text: &str) -> Move {
    let (account, wallet, order) = ("p99-main".into(), "spot".into(), "o1".into());
    Move::Place { account, wallet, order, spend: asset.into(), amount: amount(text) }
}

fn cancel(asset: &str, text: &str) -> Move {
    let (account, wallet, order) = ("p99-main".into(), "spot".into(), "o1".into());
    Move::Cancel { account, wallet, order, spend: asset.into(), amount: amount(text) }
}

/// A buy of 30 DF for 15 of the frozen USDT.
fn fill() -> Move {
    Move::Fill {
        account: "p99-main".into(),
        wallet: "spot".into(),
        order: "o1".into(),
        spend: "USDT".into(),
        spent: amount("15"),
        gain: "DF".into(),
        gained: amount("30"),
        fee: amount("0"),
        price: amount("0.5"),
        done: true,
    }
}

/// The venue with a key in place of the token.
const KEYED: Venue = Venue { sample: keyed_sample, ..VENUE };

fn keyed_sample() -> Sample {
    let mut sample = (VENUE.sample)();
    let credentials = [("api_key".to_owned(), "k".to_owned()), ("api_secret".to_owned(), "s".to_owned())];
    sample.account.credentials = credentials.into();
    sample
}

fn jwt(spec: &mut AccountSpec, token: &str) {
    spec.credentials = Credentials::plain([("jwt", token)]);
}

/// The simulator's secret for its sample account.
fn secret() -> String {
    sim::signing_secret(&(VENUE.sample)().account.id)
}

/// Opened at 1,763,121,358,960 ms, see the test kit.
const OPENED_S: i64 = 1_763_121_358;

/// A session alone: what it asks for is answered by hand.
struct Hand {
    session: Box<dyn Session>,
    now: Now,
    call: Option<CallId>,
    closed: Option<Closing>,
}

impl Hand {
    fn new() -> Self {
        Self::sharing(&Shared::default())
    }

    fn sharing(shared: &Shared) -> Self {
        Self::of(&testkit::spec(&(VENUE.sample)()), shared)
    }

    fn of(spec: &AccountSpec, shared: &Shared) -> Self {
        let session = (VENUE.connect)(spec, shared).unwrap().session(7);
        let now = Now { mono: Mono(1_000_000), unix: UnixMs(OPENED_S * 1000) };
        let mut hand = Self { session, now, call: None, closed: None };
        hand.act(|session, now, out| session.on_open(now, out));
        hand
    }

    /// As far as the request for the seed.
    fn asking() -> Self {
        Self::new().ask()
    }

    fn ask(mut self) -> Self {
        let hand = &mut self;
        hand.hear(r#"{"type":"auth_result","success":true}"#);
        hand.hear(include_str!("fixtures/subscribed.json"));
        assert!(hand.call.is_some());
        self
    }

    fn live() -> Self {
        let mut hand = Self::asking();
        hand.answer(200, include_str!("fixtures/rest_balances_object.json"));
        hand
    }

    fn act(&mut self, act: impl FnOnce(&mut dyn Session, Now, &mut Out)) -> Vec<String> {
        let mut out = Out::default();
        act(&mut *self.session, self.now, &mut out);
        let mut events = Vec::new();
        for action in out.actions {
            match action {
                Action::Event(event) => events.push(event),
                Action::Call(Call { id, .. }) => self.call = Some(id),
                Action::Close(closing) => self.closed = Some(closing),
                Action::Send(_) | Action::Ping => {}
            }
        }
        lines(&events)
    }

    fn hear(&mut self, text: &str) -> Vec<String> {
        self.act(|session, now, out| session.on_frame(now, Frame::Text(text), out))
    }

    fn push(&mut self, token: &str, available: &str, ts: i64) -> Vec<String> {
        let data = format!(r#"{{"token":"{token}","available":"{available}","frozen":"0","ts":{ts}}}"#);
        self.hear(&format!(r#"{{"type":"spot_user_balance","channel":"spot:user:balances","data":{data}}}"#))
    }

    fn answer(&mut self, status: u16, body: &str) -> Vec<String> {
        let id = self.call.take().expect("a request under way");
        let reply = Ok(Reply { status, body: body.as_bytes() });
        self.act(|session, now, out| session.on_reply(now, id, reply, out))
    }

    /// Time passes to the next deadline, again and again, for `ms` or until a request leaves.
    fn until_call(&mut self, ms: u64) -> (u64, Vec<String>) {
        let (start, mut told) = (self.now, Vec::new());
        while self.call.is_none() && self.closed.is_none() {
            let at = self.session.deadline().expect("an open session has a deadline");
            if at > start.mono.plus_ms(ms) {
                break;
            }
            self.now = self.now.plus_ms(at.0.saturating_sub(self.now.mono.0).div_ceil(1000));
            told.extend(self.act(|session, now, out| session.on_timeout(now, out)));
            assert!(self.session.deadline().is_none_or(|next| next > self.now.mono));
            // The venue's answer to a ping, or any other frame.
            self.act(|session, now, out| session.on_frame(now, Frame::Pong, out));
        }
        (self.now.mono.since_ms(start.mono), told)
    }
}
