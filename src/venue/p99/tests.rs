//! P99 from its fixtures, from its simulator, and by hand where the order of messages matters.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::wire::{self, Incoming, Row, WireError};
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

// ---- helpers ----

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
    })
}

/// `DF 10000+100=10100`, with every field checked for its kind.
fn row_line(row: &RowUpdate) -> String {
    assert_eq!(row.wallet, "spot");
    match (&row.available, &row.locked, &row.total) {
        (Field::Is(available), Field::Is(locked), Field::Derived(total)) => {
            format!("{} {available}+{locked}={total}", row.asset)
        }
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
    (VENUE.sample)().account.credentials["jwt_secret"].clone()
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
        let spec = testkit::spec(&(VENUE.sample)());
        let session = (VENUE.connect)(&spec, &Shared::default()).unwrap().session(7);
        let now = Now { mono: Mono(1_000_000), unix: UnixMs(OPENED_S * 1000) };
        let mut hand = Self { session, now, call: None, closed: None };
        hand.act(|session, now, out| session.on_open(now, out));
        hand
    }

    /// As far as the request for the seed.
    fn asking() -> Self {
        let mut hand = Self::new();
        hand.hear(r#"{"type":"auth_result","success":true}"#);
        hand.hear(include_str!("fixtures/subscribed.json"));
        assert!(hand.call.is_some());
        hand
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

// ---- fixtures ----

fn row(token: &str, available: &str, frozen: &str, ts: Option<i64>) -> Row {
    let (available, frozen) = (amount(available), amount(frozen));
    Row { token: token.into(), available, frozen, ts: ts.map(UnixMs) }
}

#[test]
fn every_fixture_reads_as_documented() {
    let refused = |message: &'static str| Incoming::AuthResult { success: false, message: message.into() };
    let error = |code: &'static str| Incoming::Error { code: code.into() };
    let fixtures = [
        (include_str!("fixtures/push_format.json"), Incoming::Balance(row("DF", "10000", "100", Some(1_778_400_000_000)))),
        (include_str!("fixtures/push_fill_df.json"), Incoming::Balance(row("DF", "10030", "0", Some(1_778_400_010_000)))),
        (include_str!("fixtures/push_fill_usdt.json"), Incoming::Balance(row("USDT", "4985", "0", Some(1_778_400_010_000)))),
        (include_str!("fixtures/subscribed.json"), Incoming::Subscribed),
        (include_str!("fixtures/unsubscribed.json"), Incoming::Unsubscribed),
        (include_str!("fixtures/pong.json"), Incoming::Pong),
        (include_str!("fixtures/auth_result_success.json"), Incoming::AuthResult { success: true, message: "".into() }),
        (include_str!("fixtures/auth_result_refused.json"), refused("Invalid or expired token")),
        (include_str!("fixtures/auth_result_refused_listen_key.json"), refused("Invalid or expired listenKey")),
        (include_str!("fixtures/auth_result_refused_timestamp.json"), refused("Timestamp expired")),
        (include_str!("fixtures/error_invalid_channel.json"), error("INVALID_CHANNEL")),
        (include_str!("fixtures/error_auth_required.json"), error("AUTH_REQUIRED")),
        (include_str!("fixtures/error_forbidden.json"), error("FORBIDDEN")),
        (include_str!("fixtures/error_invalid_message.json"), error("INVALID_MESSAGE")),
        (include_str!("fixtures/unified_account.json"), Incoming::Other),
    ];
    for (text, expected) in fixtures {
        assert_eq!(wire::frame(text), Ok(expected), "{text}");
    }
    let both = vec![row("DF", "10000", "100", None), row("USDT", "5000", "0", None)];
    assert_eq!(wire::balances(include_bytes!("fixtures/rest_balances_object.json")), Ok(both.clone()));
    assert_eq!(wire::balances(include_bytes!("fixtures/rest_balances_array.json")), Ok(both));
    assert_eq!(wire::balances(include_bytes!("fixtures/rest_balances_empty.json")), Ok(vec![]));
    assert_eq!(wire::listen_key(include_bytes!("fixtures/rest_listen_key.json")).unwrap().len(), 64);
    let refusal = |status, body| wire::refusal_of(&Reply { status, body });
    assert_eq!(refusal(503, include_bytes!("fixtures/rest_engine_busy.json").as_slice()).error, "ENGINE_BUSY");
    assert_eq!(refusal(400, include_bytes!("fixtures/rest_invalid_timestamp.json").as_slice()).code, Some(-1021));
}

#[test]
fn what_we_send_is_what_the_manual_shows() {
    let same = |ours: &str, manual: &str| {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(ours), read(manual));
    };
    same(&wire::auth_token("eyJhbGciOiJIUzI1..."), include_str!("fixtures/auth_token.json"));
    same(&wire::auth_listen_key("aGVsbG8"), include_str!("fixtures/auth_listen_key.json"));
    same(wire::SUBSCRIBE, include_str!("fixtures/subscribe.json"));
    same(wire::PING, include_str!("fixtures/ping.json"));
}

#[test]
fn a_wrong_field_is_an_error_that_names_it() {
    let push = |data: &str| {
        let text = format!(r#"{{"type":"spot_user_balance","channel":"spot:user:balances","data":{data}}}"#);
        wire::frame(&text).map(|_| ()).unwrap_err()
    };
    let df = |field| WireError::Push { token: Some("DF".into()), field };
    assert_eq!(push(r#"{"token":"DF","frozen":"0","ts":1}"#), df("available"));
    assert_eq!(push(r#"{"token":"DF","available":null,"frozen":"0","ts":1}"#), df("available"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"x","ts":1}"#), df("frozen"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"0"}"#), df("ts"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"0","ts":"1"}"#), df("ts"));
    assert_eq!(push(r#"{"available":"1","frozen":"0","ts":1}"#), WireError::Push { token: None, field: "token" });
    assert_eq!(push(r#"["DF","1","0",1]"#), WireError::Push { token: None, field: "*" });
    assert_eq!(wire::frame(r#"["pong","spot:user:balances",null,null,null,null]"#), Err(WireError::Json));
    assert_eq!(wire::balances(br#"[["DF","1","0",1]]"#), Err(WireError::Json));
    assert_eq!(push("7"), WireError::Push { token: None, field: "*" });
    assert_eq!(wire::frame(r#"{"channel":"x"}"#), Err(WireError::Field("type")));
    assert_eq!(wire::balances(br#"{"data":[]}"#), Err(WireError::Field("balances")));
    assert_eq!(wire::balances(br#"[{"token":"DF","frozen":"0"}]"#), Err(WireError::Field("available")));
    let twice = br#"[{"token":"DF","available":"0","frozen":"0"},{"token":"DF","available":"1","frozen":"0"}]"#;
    assert_eq!(wire::balances(twice), Err(WireError::Twice));
}

#[test]
fn unknown_fields_and_a_number_for_an_amount_are_taken() {
    let text = r#"{"type":"spot_user_balance","v":2,"channel":"spot:user:balances",
        "data":{"token":"D\u0046","available":1.50,"frozen":1e-8,"ts":1,"usd":"9"}}"#;
    assert_eq!(wire::frame(text), Ok(Incoming::Balance(row("DF", "1.50", "0.00000001", Some(1000)))));
    let body = br#"  {"page":1,"balances":[{"token":"DF","available":"1","frozen":"0","usd":1.5}]}"#;
    assert_eq!(wire::balances(body), Ok(vec![row("DF", "1", "0", None)]));
}

#[test]
fn an_error_holds_nothing_of_the_message() {
    for text in
        [r#"{"type":5,"token":"secret"}"#, "secret", r#"{"type":"spot_user_balance","data":{"token":"DF","ts":"secret"}}"#]
    {
        assert!(!wire::frame(text).unwrap_err().to_string().contains("secret"));
    }
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
        let _ = wire::balances(&bytes);
        let _ = wire::frame(&text);
        let _ = wire::listen_key(&bytes);
    }

    #[test]
    fn reading_a_damaged_push_never_panics(at in 0usize..120, with in any::<char>()) {
        let mut chars: Vec<char> = include_str!("fixtures/push_format.json").chars().collect();
        let at = at % chars.len();
        chars[at] = with;
        let _ = wire::frame(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn no_digit_is_lost(whole in "(0|[1-9][0-9]{0,40})", fraction in "[0-9]{1,40}", frozen in "(0|[1-9][0-9]{0,40})", quoted: bool) {
        let available = format!("{whole}.{fraction}");
        let written = if quoted { format!("\"{available}\"") } else { available.clone() };
        let list = format!(r#"[{{"token":"DF","available":{written},"frozen":"{frozen}"}}]"#);
        let update = wire::balances(list.as_bytes()).unwrap().remove(0).update();
        prop_assert_eq!(&update.available, &Field::Is(amount(&available)));
        let Field::Is(kept) = &update.available else { unreachable!() };
        prop_assert_eq!(kept.as_str(), available.as_str());
        let Field::Derived(total) = &update.total else { panic!("the total is derived") };
        prop_assert!(total.minus(&amount(&frozen)).same_value(&amount(&available)));
    }
}

// ---- the way to live ----

#[test]
fn it_logs_in_subscribes_seeds_and_compares() {
    let mut duo = Duo::new(&VENUE);
    let types = ["auth_token", "subscribe"];
    assert!(duo.sent.iter().zip(types).all(|(sent, kind)| sent.contains(kind)) && duo.sent.len() == 2);
    assert_eq!(duo.calls, ["GET /api/v1/spot/balances"]);
    let seed = book_line("snapshot", &duo);
    assert_eq!(told(&mut duo), [seed.as_str(), "synced"]);
    assert!(seed.contains("DF 10000+100=10100") && seed.contains("USDC 0+0=0"));
    duo.pass(2_400);
    assert_eq!(told(&mut duo), [book_line("reconcile", &duo)]);
}

#[test]
fn rest_is_compared_again_and_again_but_never_in_step() {
    let mut duo = live();
    let mut moments = Vec::new();
    for _ in 0..3_000 {
        duo.pass(100);
        if told(&mut duo).iter().any(|line| line.starts_with("reconcile")) {
            moments.push(duo.now.mono);
        }
    }
    let pauses: Vec<u64> = moments.windows(2).map(|w| w[1].since_ms(w[0])).collect();
    assert!(pauses.len() >= 7 && pauses.iter().all(|pause| (23_900..=36_100).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| pause.abs_diff(pauses[0]) > 200), "{pauses:?}");
}

#[test]
fn comparing_can_be_switched_off() {
    let mut duo = settled(Duo::with(&VENUE, |_| {}, options(&[("reconcile_ms", 0)])));
    duo.pass(300_000);
    assert_eq!(duo.calls.len(), 1);
}

// Edge case 1.
#[test]
fn a_push_during_the_seed_is_passed_on_and_the_seed_says_when_it_was_asked() {
    let mut hand = Hand::asking();
    let asked = hand.now.mono;
    hand.now = hand.now.plus_ms(300);
    assert_eq!(hand.push("DF", "7", OPENED_S), ["rows DF 7+0=7"]);
    hand.now = hand.now.plus_ms(300);
    let (id, mut out) = (hand.call.unwrap(), Out::default());
    let body = include_bytes!("fixtures/rest_balances_object.json");
    hand.session.on_reply(hand.now, id, Ok(Reply { status: 200, body }), &mut out);
    let sent = out.actions.iter().find_map(|action| match action {
        Action::Event(VenueEvent::Snapshot(snapshot)) => Some(snapshot.freshness),
        _ => None,
    });
    assert_eq!(sent, Some(Freshness::Asked { sent: asked }));
}

#[test]
fn nothing_is_asked_before_the_subscription_stands() {
    let mut hand = Hand::new();
    hand.hear("garbage");
    hand.hear(r#"{"type":"auth_result","success":true}"#);
    hand.hear("garbage");
    assert!(hand.call.is_none());
    hand.hear(include_str!("fixtures/subscribed.json"));
    assert!(hand.call.is_some());
}

#[test]
fn a_dropped_acknowledgement_is_asked_for_once_more() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("unsubscribe_all");
    assert_eq!(duo.sent.iter().filter(|text| text.contains("subscribe")).count(), 2);
    duo.pass(5_000);
    duo.drain();
    duo.fault("drop_next_ack");
    duo.fault("unsubscribe_all");
    assert_eq!(told(&mut duo), ["resynced unsubscribed", "syncing subscribe_refused"]);
    duo.pass(5_000);
    assert_eq!(told(&mut duo)[..2], [book_line("snapshot", &duo), "synced".to_owned()]);
}

#[test]
fn a_venue_that_never_acknowledges_is_left() {
    let mut hand = Hand::new();
    hand.hear(r#"{"type":"auth_result","success":true}"#);
    let (after, _) = hand.until_call(60_000);
    let closed = hand.closed.expect("it closes");
    assert_eq!((after, closed.class, closed.reason.code), (10_000, ErrorClass::Transient, ReasonCode::SyncTimeout));
    assert_eq!(hand.session.deadline(), None);
}

// ---- pushes ----

// Edge case 2.
#[test]
fn a_deposit_is_never_pushed_and_found_by_the_next_comparison() {
    let mut duo = live();
    duo.moves(&deposit("BNB", "0.000000000000000001"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    let told = told(&mut duo);
    assert_eq!(told, [book_line("reconcile", &duo)]);
    assert!(told[0].contains("BNB 3.141592653589793239+0"));
}

#[test]
fn a_withdrawal_is_never_pushed() {
    let mut duo = live();
    let (account, wallet, asset, amount): (String, Name, Name, Amount) =
        ("p99-main".into(), "spot".into(), "DF".into(), amount("5"));
    let (w, a, n) = (wallet.clone(), asset.clone(), amount.clone());
    duo.moves(&Move::WithdrawRequest { account: account.clone(), wallet: w, asset: a, amount: n });
    duo.moves(&Move::WithdrawDone { account, wallet, asset, amount });
    assert_eq!(told(&mut duo), [""; 0]);
}

#[test]
fn a_dropped_push_is_found_by_the_next_comparison() {
    let mut duo = live();
    duo.fault("drop_next_push");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("DF 10001+100=10101"));
}

#[test]
fn a_silent_refund_is_found_by_the_next_comparison() {
    let mut duo = live();
    duo.fault("silent_cancel");
    duo.moves(&cancel("USDT", "1200.5"));
    assert_eq!(told(&mut duo), [""; 0]);
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("USDT 26201.25+0=26201.25"));
}

#[test]
fn an_order_pushes_the_token_it_freezes() {
    let mut duo = live();
    duo.moves(&place("USDT", "0.75"));
    duo.moves(&cancel("USDT", "0.75"));
    assert_eq!(told(&mut duo), ["rows USDT 25000+1201.25=26201.25", "rows USDT 25000.75+1200.5=26201.25"]);
    duo.moves(&adjust("DF", "-1"));
    assert_eq!(told(&mut duo), ["rows DF 9999+100=10099"]);
}

// Edge case 3.
#[test]
fn a_bare_list_is_as_good_as_the_object() {
    let mut duo = live();
    duo.fault("rest_array");
    duo.pass(36_000);
    assert_eq!(told(&mut duo), [book_line("reconcile", &duo)]);
}

// Edge case 4.
#[test]
fn a_token_at_zero_is_told_and_the_list_claims_to_be_whole() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    let (id, mut out) = (hand.call.unwrap(), Out::default());
    let body = br#"{"balances":[{"token":"DF","available":"0","frozen":"0"}]}"#;
    hand.session.on_reply(hand.now, id, Ok(Reply { status: 200, body }), &mut out);
    let Some(Action::Event(VenueEvent::Reconcile(reconcile))) = out.actions.first() else { panic!("a comparison") };
    assert_eq!(reconcile.absence, crate::model::Absence::Zero);
    assert_eq!(reconcile.scope, crate::model::Scope::Account);
    assert_eq!(row_line(&reconcile.rows[0]), "DF 0+0=0");
}

// Edge case 5.
#[test]
fn the_same_push_twice_says_the_same_twice() {
    let mut duo = live();
    duo.fault("repeat_push");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), ["rows DF 10001+100=10101"; 2]);
}

// Edge case 6.
#[test]
fn equal_time_stamps_apply_in_order_of_arrival() {
    let mut hand = Hand::live();
    assert_eq!(hand.push("DF", "1", OPENED_S), ["rows DF 1+0=1"]);
    assert_eq!(hand.push("DF", "2", OPENED_S), ["rows DF 2+0=2"]);
}

// Edge case 6.
#[test]
fn a_lower_time_stamp_is_not_applied_but_asked_about() {
    let mut duo = live();
    duo.moves(&adjust("DF", "1"));
    duo.drain();
    duo.fault("lower_ts");
    duo.moves(&adjust("DF", "1"));
    let reconcile = book_line("reconcile", &duo);
    assert_eq!(told(&mut duo), ["unproven DF", &reconcile]);
    assert!(reconcile.contains("DF 10002"));
}

#[test]
fn each_token_has_its_own_time() {
    let mut hand = Hand::live();
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("USDT", "1", OPENED_S - 60), ["rows USDT 1+0=1"]);
}

#[test]
fn after_rest_has_settled_a_doubt_the_new_time_counts() {
    let mut hand = Hand::live();
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("DF", "2", OPENED_S - 60), ["unproven DF"]);
    hand.until_call(2_000);
    hand.answer(200, include_str!("fixtures/rest_balances_object.json"));
    assert_eq!(hand.push("DF", "3", OPENED_S - 59), ["rows DF 3+0=3"]);
}

#[test]
fn an_answer_asked_before_the_doubt_does_not_settle_it() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.push("DF", "1", OPENED_S);
    assert_eq!(hand.push("DF", "2", OPENED_S - 60), ["unproven DF"]);
    let told = hand.answer(200, include_str!("fixtures/rest_balances_object.json"));
    assert_eq!((told.len(), told[1].as_str()), (2, "unproven DF"));
    let (after, _) = hand.until_call(10_000);
    assert!(after <= 2_000, "{after}");
    assert_eq!(hand.answer(200, include_str!("fixtures/rest_balances_object.json")).len(), 1);
}

// Edge case 7.
#[test]
fn the_two_pushes_of_a_fill_come_in_any_order() {
    let mut duo = live();
    duo.moves(&fill());
    let (df, usdt) = ("rows DF 10030+100=10130", "rows USDT 25000.75+1185.5=26186.25");
    assert_eq!(told(&mut duo), [df, usdt]);
    let mut duo = live();
    duo.fault("swap_fill_order");
    duo.moves(&fill());
    assert_eq!(told(&mut duo), [usdt, df]);
}

// Edge case 12.
#[test]
fn what_belongs_to_other_products_is_ignored() {
    let mut duo = live();
    duo.fault("perp_noise");
    assert_eq!(told(&mut duo), [""; 0]);
    assert!(duo.closed.is_none());
}

#[test]
fn what_cannot_be_read_is_counted_and_the_stream_goes_on() {
    let mut duo = live();
    duo.pass(20_000);
    duo.drain();
    duo.fault("garbage");
    assert_eq!(told(&mut duo)[0], "malformed");
    duo.moves(&adjust("DF", "1"));
    assert!(told(&mut duo).contains(&"rows DF 10001+100=10101".to_owned()));
}

#[test]
fn a_flood_of_garbage_does_not_eat_the_hosts_budget() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.answer(200, "[]");
    hand.until_call(100_000);
    hand.answer(200, "[]");
    let mut calls = 0;
    for _ in 0..190 {
        hand.now = hand.now.plus_ms(100);
        hand.hear("garbage");
        if hand.call.is_some() {
            calls += 1;
            hand.answer(200, "[]");
        }
    }
    assert_eq!(calls, 1, "in 19 s");
}

#[test]
fn a_push_without_an_amount_puts_its_token_in_doubt() {
    let mut duo = live();
    duo.fault("cut_push");
    duo.moves(&adjust("DF", "1"));
    let reconcile = book_line("reconcile", &duo);
    assert_eq!(told(&mut duo), ["malformed", "unproven DF", &reconcile]);
}

#[test]
fn a_push_without_a_token_puts_everything_in_doubt() {
    let mut duo = live();
    duo.hear(r#"{"type":"spot_user_balance","channel":"spot:user:balances","data":{"available":"1"}}"#);
    let seed = book_line("snapshot", &duo);
    let expected = ["malformed", "resynced unreadable_push", "syncing protocol_error", &seed, "synced", "duty fine"];
    assert_eq!(told(&mut duo), expected);
}

// ---- refusals on the socket ----

fn refused(token: &str) -> (ErrorClass, ReasonCode) {
    let duo = Duo::with(&VENUE, |spec| jwt(spec, token), BTreeMap::new());
    let closed = duo.closed.expect("it closes: the venue does not");
    (closed.class, closed.reason.code)
}

// Edge case 8.
#[test]
fn an_expired_token_is_told_from_a_wrong_one() {
    let expired = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S - 1);
    assert_eq!(refused(&expired), (ErrorClass::Credential, ReasonCode::TokenExpired));
    let forged = sim::token("another secret", "p99-main", 1_700_000_000, OPENED_S + 1_000);
    assert_eq!(refused(&forged), (ErrorClass::Credential, ReasonCode::WrongKey));
    let another = sim::token(&secret(), "somebody else", 1_700_000_000, OPENED_S + 1_000);
    assert_eq!(refused(&another), (ErrorClass::Credential, ReasonCode::WrongKey));
}

// Edge case 8.
#[test]
fn a_token_that_worked_before_has_expired_when_it_is_refused() {
    let spec = testkit::spec(&(VENUE.sample)());
    let connector = (VENUE.connect)(&spec, &Shared::default()).unwrap();
    let mut code = Vec::new();
    for answers in [vec![], vec![r#"{"type":"auth_result","success":true}"#]] {
        let (mut session, mut out) = (connector.session(1), Out::default());
        for text in answers {
            session.on_frame(Now::default(), Frame::Text(text), &mut out);
        }
        let mut session = connector.session(2);
        session.on_frame(Now::default(), Frame::Text(include_str!("fixtures/auth_result_refused.json")), &mut out);
        code.extend(out.actions.into_iter().filter_map(|action| match action {
            Action::Close(closing) => Some(closing.reason.code),
            _ => None,
        }));
    }
    assert_eq!(code, [ReasonCode::WrongKey, ReasonCode::TokenExpired]);
}

// Edge case 8.
#[test]
fn a_refused_timestamp_is_a_matter_of_clocks() {
    let mut hand = Hand::new();
    hand.hear(include_str!("fixtures/auth_result_refused_timestamp.json"));
    let closed = hand.closed.unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
}

#[test]
fn a_plain_word_of_expiry_is_believed() {
    let opaque = auth::refused_login("Token expired", None, UnixMs(0));
    assert_eq!(opaque.1, ReasonCode::AuthUncertain);
    let suspect = || Some(auth::Suspect { expires: None, accepted_before: false });
    let past = Some(auth::Suspect { expires: Some(UnixMs(5)), accepted_before: false });
    assert_eq!(auth::refused_login("Invalid token", past, UnixMs(5)).1, ReasonCode::TokenExpired);
    assert_eq!(auth::refused_login("Token expired", suspect(), UnixMs(0)).1, ReasonCode::TokenExpired);
    assert_eq!(auth::refused_login("Signature verification failed", suspect(), UnixMs(0)).1, ReasonCode::WrongKey);
}

#[test]
fn each_error_of_the_socket_has_its_class() {
    let cases = [
        (include_str!("fixtures/error_invalid_channel.json"), ErrorClass::Configuration, ReasonCode::SubscribeRefused),
        (include_str!("fixtures/error_auth_required.json"), ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain),
        (include_str!("fixtures/error_forbidden.json"), ErrorClass::Credential, ReasonCode::MissingPermission),
        (include_str!("fixtures/error_invalid_message.json"), ErrorClass::Protocol, ReasonCode::ProtocolError),
    ];
    for (text, class, code) in cases {
        let mut hand = Hand::new();
        hand.hear(r#"{"type":"auth_result","success":true}"#);
        hand.hear(text);
        let closed = hand.closed.expect("it closes: the venue does not");
        assert_eq!((closed.class, closed.reason.code), (class, code));
    }
}

#[test]
fn an_error_that_answers_nothing_does_not_end_a_living_stream() {
    for text in [include_str!("fixtures/error_invalid_message.json"), r#"{"type":"error","code":"NEW","message":""}"#] {
        let mut hand = Hand::live();
        assert_eq!(hand.hear(text), ["malformed"]);
        assert!(hand.closed.is_none());
    }
}

#[test]
fn a_forgotten_login_ends_the_connection() {
    let mut duo = live();
    duo.fault("forget_logins");
    assert_eq!(duo.closed.expect("a new login is needed").reason.code, ReasonCode::AuthUncertain);
}

// ---- refusals by REST ----

// Edge case 9.
#[test]
fn an_expired_token_on_a_living_socket_degrades_until_a_new_one_comes() {
    let token = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S + 60);
    let mut credentials = None;
    let mut duo = Duo::with(
        &VENUE,
        |spec| {
            jwt(spec, &token);
            credentials = Some(spec.credentials.clone());
        },
        options(&[("reconcile_ms", 3_600_000)]),
    );
    duo.pass(50_000);
    duo.drain();
    duo.pass(10_000);
    assert_eq!(told(&mut duo), ["duty token_expired"], "at the time the token names");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), ["rows DF 10001+100=10101"], "the stream goes on");
    duo.pass(120_000);
    assert_eq!(told(&mut duo), [""; 0], "said once");
    assert!(duo.closed.is_none());
    let fresh = sim::token(&secret(), "p99-main", OPENED_S + 100, OPENED_S + 3_600);
    let fresh = BTreeMap::from([("jwt".to_owned(), fresh.into())]);
    assert!(credentials.unwrap().replace(fresh));
    let before = duo.calls.len();
    let mut out = Out::default();
    duo.session.on_credentials(duo.now, &mut out);
    let Some(Action::Call(call)) = out.actions.pop() else { panic!("REST is asked at once") };
    let request = SimRequest {
        method: call.method.into(),
        path: call.path,
        headers: call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        body: String::new(),
    };
    let reply = duo.sim.on_request(duo.now, &request, &mut crate::venue::sim::SimOut::default());
    let mut out = Out::default();
    duo.session.on_reply(duo.now, call.id, Ok(Reply { status: reply.status, body: reply.body.as_bytes() }), &mut out);
    let events: Vec<_> =
        out.actions.into_iter().filter_map(|a| if let Action::Event(e) = a { line(&e) } else { None }).collect();
    assert_eq!(events, [book_line("reconcile", &duo), "duty fine".to_owned()]);
    assert_eq!(duo.calls.len(), before);
}

#[test]
fn a_new_token_is_tried_at_once_even_while_the_old_one_is_being_refused() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.answer(401, "");
    hand.act(|session, now, out| session.on_credentials(now, out));
    assert!(hand.call.is_some(), "no pause is waited for");
    hand.act(|session, now, out| session.on_credentials(now, out));
    assert_eq!(hand.answer(401, ""), [""; 0], "that was the token before");
    assert!(hand.call.is_some());
    assert_eq!(hand.answer(200, "[]"), ["reconcile ", "duty fine"]);
}

#[test]
fn a_token_that_the_venue_ends_early_degrades_too() {
    let mut duo = live();
    duo.pass(1_000);
    duo.fault("expire_tokens");
    duo.pass(36_000);
    assert_eq!(told(&mut duo), ["duty token_expired"]);
    assert!(duo.closed.is_none());
}

// Edge case 10.
#[test]
fn a_refusal_with_an_empty_body_is_a_refusal_and_no_broken_json() {
    let mut hand = Hand::asking();
    assert_eq!(hand.answer(401, ""), ["syncing token_expired"]);
    let mut hand = Hand::live();
    hand.until_call(10_000);
    assert_eq!(hand.answer(401, ""), ["duty token_expired"]);
}

#[test]
fn a_seed_that_fails_is_asked_for_again_and_the_account_stays_syncing() {
    let mut hand = Hand::asking();
    let mut pauses = Vec::new();
    for round in 0..8 {
        let told = hand.answer(500, r#"{"error":"internal error"}"#);
        assert_eq!(told, if round == 0 { vec!["syncing reconcile_failed"] } else { vec![] });
        pauses.push(hand.until_call(100_000).0);
    }
    assert!((800..=1_200).contains(&pauses[0]) && (24_000..=36_000).contains(&pauses[7]), "{pauses:?}");
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced", "duty fine"]);
}

#[test]
fn a_busy_engine_is_asked_again_in_the_manuals_rhythm_before_anything_is_said() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    for pause in [200, 400, 800] {
        assert_eq!(hand.answer(503, include_str!("fixtures/rest_engine_busy.json")), [""; 0]);
        assert_eq!(hand.until_call(10_000).0, pause);
    }
    assert_eq!(hand.answer(503, include_str!("fixtures/rest_engine_busy.json")), ["duty reconcile_failed"]);
    hand.until_call(100_000);
    assert_eq!(hand.answer(200, "[]"), ["reconcile ", "duty fine"]);
}

#[test]
fn rest_that_fails_degrades_and_rest_that_answers_mends() {
    for (fault, first) in [
        ("rest_500", vec!["duty reconcile_failed"]),
        ("rest_401", vec!["duty token_expired"]),
        ("rest_cut", vec!["malformed", "duty reconcile_failed"]),
        ("rest_429", vec!["duty rate_limited"]),
    ] {
        let mut duo = live();
        duo.fault(fault);
        duo.pass(120_000);
        let told = told(&mut duo);
        assert_eq!(told[..first.len()], first, "{fault}");
        assert_eq!(told[first.len() + 1], "duty fine", "{fault}");
    }
}

#[test]
fn a_request_without_an_answer_is_asked_again() {
    for error in [CallError::Timeout, CallError::Unreachable, CallError::TooLarge] {
        let mut hand = Hand::live();
        hand.until_call(10_000);
        let id = hand.call.take().unwrap();
        let told = hand.act(|session, now, out| session.on_reply(now, id, Err(error), out));
        assert_eq!(told, ["duty reconcile_failed"]);
        assert!(hand.until_call(2_000).0 <= 1_200);
    }
}

#[test]
fn too_many_requests_exhaust_the_hosts_budget_for_all() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    assert_eq!(hand.answer(429, ""), ["duty rate_limited"]);
    assert!(hand.until_call(200_000).0 >= 60_000);
}

#[test]
fn a_difference_is_asked_about_soon() {
    let mut duo = live();
    let before = duo.calls.len();
    duo.session.on_verdict(duo.now, Verdict { doubted: 1, corrected: 0 }, &mut Out::default());
    duo.pass(2_000);
    assert_eq!(duo.calls.len(), before + 1);
    duo.session.on_verdict(duo.now, Verdict { doubted: 0, corrected: 1 }, &mut Out::default());
    duo.pass(2_000);
    assert_eq!(duo.calls.len(), before + 1);
}

#[test]
fn rest_may_lag_behind_the_stream() {
    let mut duo = live();
    duo.moves(&adjust("DF", "1"));
    duo.drain();
    duo.fault("rest_behind");
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("DF 10000+100"), "told as asked: the store doubts it once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happened_the_last_comparison_is_the_book(steps in proptest::collection::vec((0usize..26, 1u64..9_000), 1..25)) {
        // What rightly ends the connection (two lost acknowledgements in a row among it), or REST for good.
        let ends = ["restart", "forget_logins", "expire_tokens", "drop_next_ack"];
        let mut duo = live();
        let faults: Vec<_> = duo.sim.faults().iter().map(|(name, _)| *name).filter(|name| !ends.contains(name)).collect();
        for (step, pause) in steps {
            match faults.get(step) {
                Some(fault) => duo.fault(fault),
                None => {
                    let moves = [deposit("BNB", "0.1"), adjust("NEW", "1"), place("USDT", "15"), fill(), cancel("DF", "1")];
                    let mut out = crate::venue::sim::SimOut::default();
                    let mv = &moves[step % moves.len()];
                    // A move the book refuses changes nothing.
                    if duo.sim.on_move(duo.now, mv, &mut out).is_ok() {
                        for action in out.actions {
                            if let crate::venue::sim::SimAction::Send(_, text) = action {
                                duo.hear(&text);
                            }
                        }
                    }
                }
            }
            duo.pass(pause);
        }
        // Faults that wait for requests add up: as many refusals as were thrown must be worn off.
        duo.pass(1_500_000);
        prop_assert!(duo.closed.is_none());
        let told = told(&mut duo);
        prop_assert_eq!(told.last().unwrap(), &book_line("reconcile", &duo));
    }
}

#[test]
fn an_operators_resync_fetches_the_seed_anew_and_loses_nothing() {
    let mut duo = live();
    duo.moves(&deposit("USDC", "5"));
    let mut out = Out::default();
    duo.session.resync(duo.now, &mut out);
    assert!(matches!(out.actions[0], Action::Event(VenueEvent::Resynced { reason: "operator" })));
    let mut hand = Hand::live();
    let told = hand.act(|session, now, out| session.resync(now, out));
    assert_eq!(told, ["resynced operator"]);
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced"]);
}

#[test]
fn an_answer_asked_before_a_resync_is_not_its_snapshot() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.act(|session, now, out| session.resync(now, out));
    assert_eq!(hand.answer(200, "[]"), [""; 0]);
    hand.until_call(10_000);
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced"]);
}

// ---- liveness ----

#[test]
fn a_deaf_connection_is_dead_within_the_bound() {
    let mut duo = live();
    duo.fault("perp_noise");
    duo.deaf = true;
    duo.sent.clear();
    duo.pass(29_999);
    assert!(duo.closed.is_none());
    assert!(duo.sent.iter().filter(|text| text.contains("ping")).count() >= 2);
    duo.pass(1);
    let closed = duo.closed.expect("dead");
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::LivenessTimeout));
}

#[test]
fn a_quiet_connection_lives_and_a_single_missing_pong_is_no_death() {
    let mut duo = live();
    for _ in 0..5 {
        duo.fault("drop_next_pong");
        duo.pass(60_000);
    }
    assert!(duo.closed.is_none());
}

#[test]
fn the_venue_hears_a_ping_every_thirty_seconds_however_busy_the_stream() {
    let mut duo = live();
    duo.sent.clear();
    for _ in 0..60 {
        duo.pass(1_000);
        duo.moves(&adjust("DF", "1"));
    }
    assert_eq!(duo.sent.iter().filter(|text| text.contains("ping")).count(), 2);
}

// ---- keys ----

#[test]
fn a_key_buys_a_listen_key_and_signs_its_requests() {
    let mut duo = Duo::new(&KEYED);
    let path = |call: &String| call.split('?').next().unwrap().to_owned();
    assert_eq!(duo.calls.iter().map(path).collect::<Vec<_>>(), ["POST /fapi/v1/listenKey", "GET /api/v1/spot/balances"]);
    assert!(duo.sent[0].contains(r#""type":"auth","listenKey":""#));
    assert_eq!(told(&mut duo), [book_line("snapshot", &duo), "synced".to_owned()]);
    duo.pass(36_000);
    assert!(told(&mut duo).iter().all(|line| line.starts_with("reconcile")));
}

#[test]
fn a_listen_key_is_renewed_before_its_hour_is_over() {
    let mut duo = Duo::with(&KEYED, |_| {}, options(&[("reconcile_ms", 0)]));
    duo.calls.clear();
    duo.pass(3_500_000);
    assert_eq!(duo.calls.len(), 1);
    assert!(duo.calls[0].starts_with("PUT /fapi/v1/listenKey"));
    duo.fault("rest_500");
    duo.pass(300_000);
    assert!(duo.calls.len() >= 4, "asked again each minute while it fails");
}

fn key_refused(alter: impl FnOnce(&mut AccountSpec), skew_ms: i64) -> (ErrorClass, ReasonCode) {
    let spec = {
        let mut spec = testkit::spec(&keyed_sample());
        alter(&mut spec);
        spec
    };
    let mut session = (VENUE.connect)(&spec, &Shared::default()).unwrap().session(1);
    let setup = crate::venue::sim::SimSetup { accounts: vec![keyed_sample().account], seed: 1 };
    let mut sim = (VENUE.simulate)(setup);
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let mut out = Out::default();
    session.on_open(now, &mut out);
    let Some(Action::Call(call)) = out.actions.pop() else { panic!("a request for a listen key") };
    let headers = call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let request = SimRequest { method: call.method.into(), path: call.path, headers, body: call.body };
    let theirs = Now { unix: UnixMs(now.unix.0 + skew_ms), ..now };
    let reply = sim.on_request(theirs, &request, &mut crate::venue::sim::SimOut::default());
    session.on_reply(now, call.id, Ok(Reply { status: reply.status, body: reply.body.as_bytes() }), &mut out);
    match out.actions.pop() {
        Some(Action::Close(closing)) => (closing.class, closing.reason.code),
        _ => panic!("it closes"),
    }
}

#[test]
fn a_wrong_secret_a_wrong_clock_and_a_wrong_path_are_told_apart() {
    let secret = |spec: &mut AccountSpec| spec.credentials = Credentials::plain([("api_key", "k"), ("api_secret", "x")]);
    assert_eq!(key_refused(secret, 0), (ErrorClass::Credential, ReasonCode::WrongKey));
    let key = |spec: &mut AccountSpec| spec.credentials = Credentials::plain([("api_key", "x"), ("api_secret", "s")]);
    assert_eq!(key_refused(key, 0), (ErrorClass::Credential, ReasonCode::WrongKey));
    assert_eq!(key_refused(|_| {}, 5_001), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
    assert_eq!(key_refused(|_| {}, -1_001), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
    let path = |spec: &mut AccountSpec| {
        let path = BTreeMap::from([("listen_key_path".to_owned(), toml::Value::String("/elsewhere".into()))]);
        spec.options = Options::new(path);
    };
    assert_eq!(key_refused(path, 0), (ErrorClass::Configuration, ReasonCode::Configuration));
}

#[test]
fn a_refused_listen_key_is_worth_another_try() {
    assert_eq!(auth::refused_login("Invalid or expired listenKey", None, UnixMs(0)).0, ErrorClass::CredentialMaybe);
}

#[test]
fn the_signature_is_hex_hmac_sha256() {
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(auth::sign("Jefe", "what do ya want for nothing?"), expected);
}

// ---- the simulator and the settings ----

// Edge case 11.
#[test]
fn an_address_in_any_case_is_the_same_user() {
    let token = sim::token(&secret(), "P99-MAIN", 1_700_000_000, OPENED_S + 1_000);
    let duo = Duo::with(&VENUE, |spec| jwt(spec, &token), BTreeMap::new());
    assert!(duo.closed.is_none());
}

#[test]
fn every_fault_of_the_simulator_is_known_to_it_and_none_ends_the_session_for_good() {
    let names: Vec<_> = Duo::new(&VENUE).sim.faults().iter().map(|(name, _)| *name).collect();
    for name in names {
        let mut duo = live();
        duo.fault(name);
        duo.moves(&fill());
        duo.pass(200_000);
        let ends = ["restart", "forget_logins"].contains(&name);
        assert_eq!(duo.closed.is_some(), ends, "{name}");
    }
    let mut duo = live();
    assert!(duo.sim.on_fault(duo.now, "no such fault", &mut crate::venue::sim::SimOut::default()).is_err());
}

#[test]
fn the_simulator_refuses_in_the_venues_words_and_keeps_the_socket_open() {
    use crate::venue::sim::{ConnId, SimAction, SimOut, SimSetup};
    let mut venue = sim::simulate(SimSetup { accounts: vec![(VENUE.sample)().account], seed: 1 });
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let connect = |path: &str| SimRequest { path: path.into(), ..SimRequest::default() };
    assert_eq!(venue.on_connect(now, ConnId(9), &connect("/ws/2"), &mut SimOut::default()).unwrap_err().status, 404);
    venue.on_connect(now, ConnId(1), &connect("/ws"), &mut SimOut::default()).unwrap();
    let inline = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S + 9);
    let inline = format!(r#"{{"type":"subscribe","channel":"spot:user:balances","token":"{inline}"}}"#);
    let expired = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S);
    let says = [
        ("nonsense", "INVALID_MESSAGE"),
        (r#"{"type":"nonsense"}"#, "INVALID_MESSAGE"),
        (r#"{"type":"subscribe","channel":"spot:nothing"}"#, "INVALID_CHANNEL"),
        (wire::SUBSCRIBE, "AUTH_REQUIRED"),
        (r#"{"type":"subscribe","channel":"spot:user:balances","token":"bad"}"#, "AUTH_REQUIRED"),
        (&wire::auth_token(&expired), "Invalid or expired token"),
        (&wire::auth_listen_key("unknown"), "Invalid or expired listenKey"),
        (r#"{"type":"auth","wallet":"0x"}"#, "Missing required fields"),
        (&inline, r#""type":"subscribed""#),
        (wire::SUBSCRIBE, r#""type":"subscribed""#),
        (r#"{"type":"unsubscribe","channel":"spot:user:balances"}"#, r#""type":"unsubscribed""#),
        (wire::PING, "pong"),
    ];
    for (text, expected) in says {
        let mut out = SimOut::default();
        venue.on_frame(now, ConnId(1), text, &mut out);
        let [SimAction::Send(ConnId(1), answer)] = out.actions.as_slice() else { panic!("one answer to {text}") };
        assert!(answer.contains(expected), "{text}: {answer}");
    }
}

#[test]
fn a_listen_key_is_one_per_user_and_gone_after_its_hour() {
    use crate::venue::sim::{SimOut, SimSetup};
    let mut venue = sim::simulate(SimSetup { accounts: vec![keyed_sample().account], seed: 1 });
    let credentials = Credentials::plain([("api_key", "k"), ("api_secret", "s")]);
    let mut ask = |method: &str, at_s: i64| {
        let now = Now { mono: Mono(1), unix: UnixMs(at_s * 1000) };
        let proven = auth::signed("/fapi/v1/listenKey".into(), &credentials, now.unix);
        let headers = proven.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let request = SimRequest { method: method.into(), path: proven.path, headers, body: String::new() };
        venue.on_request(now, &request, &mut SimOut::default())
    };
    let key = ask("POST", 0).body;
    assert_eq!(ask("POST", 3_000).body, key);
    assert_eq!(ask("PUT", 6_599).status, 200);
    assert_eq!(ask("GET", 6_600).status, 405);
    let gone = ask("PUT", 6_599 + 3_600);
    assert!(gone.status == 400 && gone.body.contains("-1125"));
    assert_ne!(ask("POST", 10_200).body, key);
    assert_eq!(ask("DELETE", 10_201).status, 200);
    assert_eq!(ask("DELETE", 10_202).status, 400);
}

#[test]
fn accounts_and_connections_do_not_hear_of_each_other() {
    use crate::venue::sim::{ConnId, SimAction, SimOut, SimSetup};
    let accounts = ["a", "b"].map(|id| sim::account(id, Book::of(&[("spot", "DF", "1", "0")])));
    let tokens = accounts.clone().map(|account| account.credentials["jwt"].clone());
    let mut venue = sim::simulate(SimSetup { accounts: accounts.into(), seed: 1 });
    let now = Now { mono: Mono(1), unix: UnixMs(OPENED_S * 1000) };
    let request = SimRequest { path: "/ws".into(), ..SimRequest::default() };
    for (conn, token) in [(1, &tokens[0]), (2, &tokens[0]), (3, &tokens[1])] {
        let mut out = SimOut::default();
        venue.on_connect(now, ConnId(conn), &request, &mut out).unwrap();
        venue.on_frame(now, ConnId(conn), &wire::auth_token(token), &mut out);
        venue.on_frame(now, ConnId(conn), wire::SUBSCRIBE, &mut out);
    }
    let mut out = SimOut::default();
    let set = Move::Set {
        account: "a".into(),
        wallet: "spot".into(),
        asset: "DF".into(),
        available: amount("2.50"),
        locked: amount("0"),
    };
    venue.on_move(now, &set, &mut out).unwrap();
    let heard: Vec<_> =
        out.actions.iter().filter_map(|a| if let SimAction::Send(c, t) = a { Some((c.0, t)) } else { None }).collect();
    assert_eq!(heard.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [1, 2]);
    assert!(heard[0].1.contains(r#""available":"2.5","frozen":"0""#), "no trailing zeros");
}

#[test]
fn every_wrong_setting_is_told_at_once_with_its_key() {
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.credentials = Credentials::plain([("api_key", "k\n")]);
    spec.ws_url = "http://h".into();
    spec.rest_url = "h".into();
    spec.wallets = vec![WalletSpec { address: "0x".into(), assets: None }];
    spec.options = Options::new(BTreeMap::from([
        ("liveness".to_owned(), toml::Value::Integer(5)),
        ("reconcile_ms".to_owned(), toml::Value::Integer(999)),
        ("listen_key_path".to_owned(), toml::Value::String("x".into())),
    ]));
    let Err(problems) = (VENUE.connect)(&spec, &Shared::default()) else { panic!("refused") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "credentials.api_secret",
        "credentials.api_key",
        "ws_url",
        "rest_url",
        "wallets",
        "options.liveness",
        "options.listen_key_path",
        "options.reconcile_ms",
    ];
    assert_eq!(keys, expected);
    assert!(problems[5].message.contains("liveness_ms"));
    spec.credentials = Credentials::default();
    let Err(problems) = (VENUE.connect)(&spec, &Shared::default()) else { panic!("refused") };
    assert_eq!(problems[0].key, "credentials.jwt");
}
