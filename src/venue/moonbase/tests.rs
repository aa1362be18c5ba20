//! Moonbase's frames against the manual's examples, and what the tests of the edge cases and of the procedure share.
//!
//! `cases` follows the numbered edge cases of this venue in `docs/venues.md`; `procedure` the session and the simulator.

mod cases;
mod procedure;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::wire::{self, Channel, Message, Portfolio};
use super::{VENUE, sim};
use crate::model::{Amount, Facts, Field, Freshness, Mono, Now, ReasonCode, RowUpdate, Scope, UnixMs, VenueEvent};
use crate::venue::sim::{Book, ConnId, Holding, Move, SimAccount, SimAction, SimOut, SimRequest, SimSetup};
use crate::venue::testkit::{self, Duo};
use crate::venue::{Action, Closing, Connector, Credentials, ErrorClass, Frame, Options, Out, Session, Shared};

const SNAPSHOT: &str = include_str!("fixtures/snapshot.json");
const UPDATE: &str = include_str!("fixtures/update.json");
const SUBSCRIBED: &str = include_str!("fixtures/subscribed.json");
const UNSUBSCRIBED: &str = include_str!("fixtures/unsubscribed.json");
const AUTHENTICATED: &str = include_str!("fixtures/authenticated.json");
const GREETING: &str = include_str!("fixtures/greeting.json");
const REFUSED: &str = include_str!("fixtures/auth_refused.json");
const UNSUB: &str = r#"{"op":"unsub","channel":"portfolio"}"#;

// ---- helpers ----

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn portfolio(text: &str) -> Portfolio<'_> {
    match wire::decode(text) {
        Ok(Message::Portfolio(portfolio)) => portfolio,
        other => panic!("not a portfolio message: {other:?}"),
    }
}

fn with(options: &[(&str, toml::Value)]) -> Duo {
    Duo::with(&VENUE, |_| {}, options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn updates(word: &str) -> Duo {
    with(&[("updates", word.into())])
}

fn set(asset: &str, available: &str, locked: &str) -> Move {
    let (available, locked) = (amount(available), amount(locked));
    Move::Set { account: "moon-main".into(), wallet: "1000004".into(), asset: asset.into(), available, locked }
}

fn snapshots_asked(duo: &Duo) -> usize {
    duo.sent.iter().filter(|text| *text == UNSUB).count()
}

/// What a reader of the events knows: numbers, and which of them are proven.
#[derive(Default)]
struct View {
    rows: BTreeMap<(String, String), [Option<Amount>; 3]>,
    unproven: BTreeSet<(String, String)>,
    synced: bool,
    malformed: Vec<String>,
    resyncs: Vec<&'static str>,
    facts: Vec<Facts>,
}

impl View {
    fn of(duo: &mut Duo) -> Self {
        let mut view = Self::default();
        view.read(duo.drain());
        view
    }

    fn read(&mut self, events: Vec<VenueEvent>) {
        for event in events {
            match event {
                VenueEvent::Snapshot(snapshot) => {
                    assert_eq!(snapshot.freshness, Freshness::Stream);
                    let covers = |wallet: &str| match &snapshot.scope {
                        Scope::Account => true,
                        Scope::Wallets(wallets) => wallets.iter().any(|name| name == wallet),
                    };
                    let named = |key: &(String, String)| {
                        snapshot.rows.iter().any(|row| row.wallet == key.0.as_str() && row.asset == key.1.as_str())
                    };
                    for (key, row) in self.rows.iter_mut().filter(|(key, _)| covers(&key.0) && !named(key)) {
                        *row = [const { Some(Amount::ZERO) }; 3];
                        self.unproven.remove(key);
                    }
                    snapshot.rows.into_iter().for_each(|row| self.row(row));
                }
                VenueEvent::Rows(rows) => rows.into_iter().for_each(|row| self.row(row)),
                VenueEvent::Unproven { wallet, assets } => {
                    self.unproven.extend(assets.iter().map(|asset| (wallet.to_string(), asset.to_string())));
                }
                VenueEvent::Synced => self.synced = true,
                VenueEvent::Unsynced(_) => self.synced = false,
                VenueEvent::Malformed { what } => self.malformed.push(what),
                VenueEvent::Resynced { reason } => self.resyncs.push(reason),
                VenueEvent::Facts(facts) => self.facts.push(facts),
                VenueEvent::Alive | VenueEvent::Duty(_) => {}
                other => panic!("never said by this venue: {other:?}"),
            }
        }
    }

    fn row(&mut self, row: RowUpdate) {
        let key = (row.wallet.to_string(), row.asset.to_string());
        self.unproven.remove(&key);
        let known = self.rows.entry(key).or_default();
        for (known, said) in known.iter_mut().zip([row.total, row.available, row.locked]) {
            match said {
                Field::Keep => {}
                Field::Unknown => *known = None,
                Field::Is(amount) | Field::Derived(amount) => *known = Some(amount),
                Field::Absent => panic!("only the store says this"),
            }
        }
    }

    fn total(&self, asset: &str) -> Option<&str> {
        self.rows.get(&("1000004".into(), asset.into())).and_then(|row| row[0].as_ref()).map(Amount::as_str)
    }

    fn is_live(&self, asset: &str) -> bool {
        self.synced && !self.unproven.contains(&("1000004".into(), asset.into()))
    }

    /// Every row is proven and is what the venue truly holds.
    fn assert_is(&self, book: &Book) {
        assert!(self.synced && self.unproven.is_empty(), "not everything is proven");
        for ((wallet, asset), holding) in &book.rows {
            let row = self.rows.get(&(wallet.to_string(), asset.to_string()));
            let row = row.cloned().unwrap_or([const { Some(Amount::ZERO) }; 3]);
            let truth = [holding.total(), holding.available.clone(), holding.locked.clone()];
            for (known, truth) in row.iter().zip(&truth) {
                assert!(known.as_ref().unwrap().same_value(truth), "{asset}: {known:?} is not {truth}");
            }
        }
        assert!(self.rows.keys().all(|(w, a)| book.rows.contains_key(&(w.as_str().into(), a.as_str().into()))));
    }
}

/// A session alone, fed by hand.
struct Solo {
    now: Now,
    connector: Arc<dyn Connector>,
    session: Box<dyn Session>,
    out: Out,
}

impl Solo {
    fn new(credentials: &[(&str, &str)]) -> Self {
        let mut spec = testkit::spec(&(VENUE.sample)());
        spec.credentials = Credentials::plain(credentials.iter().copied());
        let connector = (VENUE.connect)(&spec, &Shared::default()).expect("valid settings");
        let session = connector.session(1);
        let now = Now { mono: Mono::default().plus_ms(5_000_000), unix: UnixMs(1_763_121_360_000) };
        let mut solo = Self { now, connector, session, out: Out::default() };
        solo.session.on_open(now, &mut solo.out);
        solo
    }

    fn signed() -> Self {
        Self::new(&[("api_key", "k"), ("api_secret", "s")])
    }

    fn hear(&mut self, frames: &[&str]) -> &mut Self {
        for text in frames {
            self.session.on_frame(self.now, Frame::Text(text), &mut self.out);
        }
        self
    }

    /// Lets time pass, with a pong so that the connection lives.
    fn pass(&mut self, ms: u64) {
        self.now = Now { mono: self.now.mono.plus_ms(ms), unix: UnixMs(self.now.unix.0 + ms as i64) };
        self.session.on_frame(self.now, Frame::Pong, &mut self.out);
        self.session.on_timeout(self.now, &mut self.out);
    }

    /// Up to a proven snapshot.
    fn seeded() -> Self {
        let mut solo = Self::signed();
        solo.hear(&[GREETING, AUTHENTICATED, SUBSCRIBED, SNAPSHOT]);
        solo
    }

    fn reconnect(&mut self) -> &mut Self {
        self.session = self.connector.session(2);
        self.out = Out::default();
        self.session.on_open(self.now, &mut self.out);
        self
    }

    fn closed(&self) -> Option<&Closing> {
        self.out.actions.iter().find_map(|action| match action {
            Action::Close(closing) => Some(closing),
            _ => None,
        })
    }

    fn code(&self) -> Option<ReasonCode> {
        self.closed().map(|closing| closing.reason.code)
    }

    fn sent(&self) -> Vec<&str> {
        let text = |action: &'_ Action| matches!(action, Action::Send(_));
        let sent = self.out.actions.iter().filter(|action| text(action));
        sent.map(|action| if let Action::Send(text) = action { text.as_str() } else { "" }).collect()
    }

    fn view(&mut self) -> View {
        let mut view = View::default();
        let actions = std::mem::take(&mut self.out.actions);
        view.read(actions.into_iter().filter_map(|a| if let Action::Event(event) = a { Some(event) } else { None }).collect());
        view
    }
}

fn token(issued: i64, end: i64) -> String {
    let claims = serde_json::json!({ "sub": "moon-main", "iat": issued, "exp": end });
    let key = jsonwebtoken::EncodingKey::from_secret(sim::TOKEN_SECRET);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn by_token(token: &str) -> Duo {
    let secrets = [("access_token", token)];
    Duo::with(&VENUE, |spec| spec.credentials = Credentials::plain(secrets), BTreeMap::new())
}

// ---- the frames of the manual ----

#[test]
fn the_manuals_snapshot_is_read_to_the_last_digit() {
    let message = portfolio(SNAPSHOT);
    assert!(message.is_snapshot);
    assert_eq!((message.at, message.gsn), (UnixMs(1_763_121_358_960), 105_240_183));
    let account = &message.accounts[0];
    assert_eq!(account.id, "1000004");
    let fees = account.fees.as_ref().unwrap();
    assert_eq!((fees.maker.as_str(), fees.taker.as_str()), ("0.0001", "0.0005"));
    assert!(account.stats.unwrap().get().contains("\"total_trading_volume\": \"99612906669\""));
    assert!(account.problem.is_none());
    let row = |index: usize| {
        let asset = &account.assets[index];
        assert!(asset.problem.is_none() && !asset.is_zero);
        (asset.name.as_str(), &asset.balance, &asset.free, &asset.locked)
    };
    let is = |text: &str| Field::Is(amount(text));
    let (vnd, free, locked) = (is("850102477.1110636"), is("724006849.6121439"), is("126095627.4989197"));
    assert_eq!(row(0), ("VND", &vnd, &free, &locked));
    assert_eq!(row(1), ("BTC", &is("2.130511"), &is("2.058586"), &is("0.071925")));
    assert_eq!(row(2), ("ETH", &is("15.5"), &is("15.5"), &is("0")));
}

#[test]
fn the_manuals_update_is_read() {
    let message = portfolio(UPDATE);
    assert!(!message.is_snapshot);
    assert_eq!((message.at, message.gsn), (UnixMs(1_763_121_359_960), 105_240_184));
    let names: Vec<_> = message.accounts[0].assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["VND", "BTC"]);
    assert_eq!(message.accounts[0].assets[0].balance, Field::Is(amount("850202477.1110636")));
}

#[test]
fn the_manuals_short_frames_are_told_apart() {
    let is = |text: &str, want: fn(&Message<'_>) -> bool| assert!(want(&wire::decode(text).unwrap()), "{text}");
    is(SUBSCRIBED, |m| matches!(m, Message::Subscribed));
    is(UNSUBSCRIBED, |m| matches!(m, Message::Unsubscribed));
    is(AUTHENTICATED, |m| matches!(m, Message::Authenticated));
    is(GREETING, |m| matches!(m, Message::Greeting));
    is(r#"{"type":"pong"}"#, |m| matches!(m, Message::Other));
    is(r#"{"channel":"orders","type":"snapshot","data":{"orders":[]}}"#, |m| matches!(m, Message::Other));
    let error = |text: &str| match wire::decode(text) {
        Ok(Message::Error(error)) => (error.channel, error.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(error(REFUSED), (Channel::Auth, Some(401)));
    assert_eq!(error(include_str!("fixtures/error_coded.json")), (Channel::Unnamed, Some(401)));
    assert_eq!(error(include_str!("fixtures/error_flat.json")), (Channel::Unnamed, Some(403)));
    assert_eq!(error(r#"{"error":{"code":"E0101_X","message":"m"}}"#), (Channel::Unnamed, None));
    assert_eq!(error(r#"{"channel":"book","type":"error","code":404}"#), (Channel::Foreign, Some(404)));
}

#[test]
fn requests_are_the_manuals() {
    let same = |ours: &str, theirs: &str| {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(ours), value(theirs));
    };
    same(wire::SUBSCRIBE, include_str!("fixtures/sub.json"));
    same(wire::UNSUBSCRIBE, include_str!("fixtures/unsub.json"));
    // printf 'key,1700000000' | openssl dgst -sha256 -hmac secret
    assert_eq!(wire::signature("key", "secret", 1_700_000_000), SIGNATURE);
    let login = |form: &str| format!(r#"{{"op":"auth","data":{{"key":"key","timestamp":{form},"signature":"{SIGNATURE}"}}}}"#);
    assert_eq!(wire::signed_login("key", "secret", 1_700_000_000, false), login("1700000000"));
    assert_eq!(wire::signed_login("key", "secret", 1_700_000_000, true), login("\"1700000000\""));
    assert_eq!(wire::token_login("a\"b"), r#"{"op":"auth","data":{"access_token":"a\"b"}}"#);
}

const SIGNATURE: &str = "1023a244e66134133db005c0fe68ef135a31dd130e91fed2eb1a73afc41dfbf5";

#[test]
fn what_is_missing_is_named_and_never_made_up() {
    let what = |from: &str, to: &str| {
        assert!(SNAPSHOT.contains(from));
        let error = wire::decode(&SNAPSHOT.replacen(from, to, 1)).unwrap_err();
        assert!(error.is_portfolio);
        error.what
    };
    assert_eq!(what("\"gsn\"", "\"x\""), "portfolio: gsn: not a whole number");
    assert_eq!(what("105240183", "105240183.0"), "portfolio: gsn: not a whole number");
    assert_eq!(what("\"timestamp\"", "\"x\""), "portfolio: timestamp: not a count of nanoseconds");
    assert_eq!(what("\"1763121358960696000\"", "1763121358960696000e0"), "portfolio: timestamp: not a count of nanoseconds");
    assert_eq!(what("\"data\"", "\"x\""), "portfolio: data: missing");
    assert_eq!(what("\"id\"", "\"x\""), "portfolio: data[0].id: not a name");
    assert_eq!(what("\"asset_balances\"", "\"x\""), "portfolio: data[0].asset_balances: missing");
    assert_eq!(what("\"asset\": \"BTC\"", "\"asset\": null"), "portfolio: data[0].asset_balances[1].asset: not a name");
    assert!(!wire::decode("nonsense").unwrap_err().is_portfolio);
    assert!(!wire::decode("{}").unwrap_err().is_portfolio);
}

#[test]
fn an_unreadable_row_is_named_and_the_others_stand() {
    let text = SNAPSHOT.replace("\"free\": \"2.058586\"", "\"free\": \"n/a\"");
    let message = portfolio(&text);
    let btc = &message.accounts[0].assets[1];
    assert_eq!(btc.problem.as_deref(), Some("data[0].asset_balances[1].free: not a decimal number"));
    assert!(btc.unreadable && btc.balance == Field::Keep && !btc.is_zero);
    assert_eq!(message.accounts[0].assets[2].balance, Field::Is(amount("15.5")));
}

#[test]
fn an_asset_with_an_impossible_name_is_counted_and_the_others_stand() {
    let text = SNAPSHOT.replace("BTC", &"B".repeat(129));
    let message = portfolio(&text);
    let names: Vec<_> = message.accounts[0].assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["VND", "ETH"]);
    let problem = message.accounts[0].problem.as_deref().unwrap();
    assert_eq!(problem, "data[0].asset_balances[1].asset: empty, or longer than 128 characters");
    assert_eq!(message.accounts[0].nameless.as_deref(), Some(&*"B".repeat(129)));
    let of_nothing = text.replace("2.130511", "0").replace("2.058586", "0").replace("0.071925", "0");
    assert_eq!(portfolio(&of_nothing).accounts[0].nameless, None, "what holds nothing lacks nowhere");
    let escaped = SNAPSHOT.replace("BTC", r"B\u0054C");
    assert_eq!(portfolio(&escaped).accounts[0].assets[1].name, "BTC");
}

#[test]
fn one_missing_number_is_derived_and_two_are_not() {
    let text = SNAPSHOT.replace("\"locked\": \"0.071925\"", "\"x\": 1");
    assert_eq!(portfolio(&text).accounts[0].assets[1].locked, Field::Derived(amount("0.071925")));
    let text = text.replace("\"free\": \"2.058586\"", "\"free\": null");
    let message = portfolio(&text);
    let btc = &message.accounts[0].assets[1];
    assert!(btc.unreadable && btc.problem.as_deref().unwrap().ends_with("two are missing"));
}

// ---- properties ----

proptest! {
    #[test]
    fn decoding_never_panics(text in ".{0,200}", at in 0usize..1200, cut in 0usize..40) {
        let _ = wire::decode(&text);
        let mut mangled: Vec<char> = SNAPSHOT.chars().collect();
        let from = at.min(mangled.len());
        let to = (from + cut).min(mangled.len());
        mangled.splice(from..to, text.chars().take(5));
        let _ = wire::decode(&mangled.into_iter().collect::<String>());
    }

    #[test]
    fn a_session_survives_any_order_of_frames(picks in prop::collection::vec(0usize..12, 1..60), steps in prop::collection::vec(0u64..3_000, 60)) {
        let low = SNAPSHOT.replace("105240183", "5");
        let error = r#"{"channel":"portfolio","type":"error","code":500}"#;
        let bad = UPDATE.replace("\"gsn\"", "\"x\"");
        let frames = [GREETING, AUTHENTICATED, SUBSCRIBED, SNAPSHOT, UPDATE, UNSUBSCRIBED, &low, error, "x", &bad, r#"{"type":"pong"}"#, "[]"];
        let mut solo = Solo::signed();
        for (pick, step) in picks.into_iter().zip(steps) {
            solo.now = solo.now.plus_ms(step);
            if solo.session.deadline().is_some_and(|deadline| deadline <= solo.now.mono) {
                let Solo { session, now, out, .. } = &mut solo;
                session.on_timeout(*now, out);
                prop_assert!(session.deadline().is_none_or(|deadline| deadline > now.mono));
            }
            solo.hear(&[frames[pick]]);
        }
    }

    #[test]
    fn no_digit_is_lost(whole in "0|[1-9][0-9]{0,40}", fraction in "[0-9]{1,40}", as_number in any::<bool>()) {
        let digits = format!("{whole}.{fraction}");
        let said = if as_number { digits.clone() } else { format!("\"{digits}\"") };
        let text = UPDATE.replace("\"850202477.1110636\"", &said);
        let message = portfolio(&text);
        prop_assert_eq!(&message.accounts[0].assets[0].balance, &Field::Is(amount(&digits)));
        prop_assert_eq!(amount(&digits).to_string(), digits);
    }
}
