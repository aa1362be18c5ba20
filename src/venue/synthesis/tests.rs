//! Fixtures, every edge case of the venue by name, session against simulator, and properties of the decoder.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::wire::{self, Message, Refusal};
use super::*;
use crate::model::{
    AccountPush, Amount, Field, Freshness, Mono, Name, Now, OrderUpdate, Reconcile, RowUpdate, Scope, Snapshot, UnixMs,
    VenueEvent, Verdict,
};
use crate::venue::sim::{Move, Sim, SimOut, SimRequest, SimSetup};
use crate::venue::testkit::{Duo, spec};
use crate::venue::{Action, Frame, Out};

const FIRST: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
const SECOND: &str = "0x1234567890abcdef1234567890abcdef12345678";
const SOLANA: &str = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU";
const STRANGER: &str = "0x00000000000000000000000000000000deadbeef";
const TOKEN: &str = "21742633143463906290569050155826241533067272736897614950488156847949938836455";
const OTHER: &str = "48572956138472615938471625938471659384716593847165938471659384716593847165938";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name, ".json"))
    };
}

// Helpers.

/// A session alone, fed by hand.
struct Lone {
    session: Box<dyn Session>,
    now: Now,
    events: Vec<VenueEvent>,
    sent: Vec<String>,
    pings: usize,
    closed: Option<Closing>,
}

impl Lone {
    fn new(wallets: &[&str]) -> Self {
        Self::with(wallets, &[])
    }

    fn with(wallets: &[&str], options: &[(&str, toml::Value)]) -> Self {
        let wallets = wallets.iter().map(|address| WalletSpec { address: (*address).into(), assets: None }).collect();
        Self::of(&*connected(|spec| {
            spec.wallets = wallets;
            spec.options = options_of(options);
        }))
    }

    fn of(connector: &dyn Connector) -> Self {
        let now = Now { unix: UnixMs(1_763_121_358_960), mono: Mono::default().plus_ms(1_000_000) };
        let (events, sent) = Default::default();
        let mut lone = Self { session: connector.session(7), now, events, sent, pings: 0, closed: None };
        lone.act(|session, now, out| session.on_open(now, out));
        lone
    }

    fn act(&mut self, f: impl FnOnce(&mut dyn Session, Now, &mut Out)) {
        let mut out = Out::default();
        f(&mut *self.session, self.now, &mut out);
        for action in out.actions {
            match action {
                Action::Send(text) => self.sent.push(text),
                Action::Ping => self.pings += 1,
                Action::Event(VenueEvent::Alive) => {}
                Action::Event(event) => self.events.push(event),
                Action::Close(closing) => self.closed = Some(closing),
                Action::Call(_) => panic!("the session makes no REST call"),
            }
        }
    }

    fn hear(&mut self, text: &str) -> Vec<VenueEvent> {
        self.act(|session, now, out| session.on_frame(now, Frame::Text(text), out));
        self.drain()
    }

    fn drain(&mut self) -> Vec<VenueEvent> {
        std::mem::take(&mut self.events)
    }

    /// Time passes on a transport that answers pings.
    fn pass(&mut self, ms: u64) -> Vec<VenueEvent> {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.session.deadline().filter(|at| *at <= end.mono) {
            self.now = self.now.plus_ms(at.since_ms(self.now.mono));
            let pings = self.pings;
            self.act(|session, now, out| session.on_timeout(now, out));
            assert!(self.session.deadline().is_none_or(|next| next > at), "a deadline must move on when it fires");
            if self.pings > pings {
                self.act(|session, now, out| session.on_frame(now, Frame::Pong, out));
            }
        }
        self.now = self.now.plus_ms(end.mono.since_ms(self.now.mono));
        self.drain()
    }
}

fn connected(alter: impl FnOnce(&mut AccountSpec)) -> Arc<dyn Connector> {
    let mut spec = spec(&sample());
    alter(&mut spec);
    connect(&spec, &Shared::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(alter: impl FnOnce(&mut AccountSpec)) -> Vec<(String, String)> {
    let mut spec = spec(&sample());
    alter(&mut spec);
    let problems = connect(&spec, &Shared::default()).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.key, problem.message)).collect()
}

fn options_of(options: &[(&str, toml::Value)]) -> crate::venue::Options {
    crate::venue::Options::new(options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// Everything is told but audits are off.
fn no_audits() -> BTreeMap<String, toml::Value> {
    BTreeMap::from([("reconcile_ms".to_owned(), toml::Value::Integer(0))])
}

fn listing(wallets: &[(&str, &str)]) -> String {
    let entry = |(address, balances): &(&str, &str)| {
        format!(r#"{{"chain_id":"{}","address":"{address}","balances":{balances}}}"#, wire::chain_of(address).unwrap_or("POL"))
    };
    let wallets: Vec<_> = wallets.iter().map(entry).collect();
    format!(r#"{{"success":true,"response":{{"wallets":[{}]}}}}"#, wallets.join(","))
}

fn update(address: &str, asset: &str, balance: &str) -> String {
    format!(r#"{{"success":true,"response":{{"address":"{address}","asset":"{asset}","balance":"{balance}"}}}}"#)
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("0x{n:040x}")).collect()
}

/// What an event says, short enough to compare.
fn brief(event: &VenueEvent) -> String {
    let rows = |rows: &[RowUpdate]| -> String {
        let row = |r: &RowUpdate| match &r.total {
            Field::Is(total) => format!(" {}/{}={total}", &r.wallet[..4], short(&r.asset)),
            Field::Keep => format!(" {}/{}=kept", &r.wallet[..4], short(&r.asset)),
            other => panic!("a total is never {other:?}"),
        };
        rows.iter().map(row).collect()
    };
    let scope = |scope: &Scope| match scope {
        Scope::Account => panic!("other wallets were not asked about"),
        Scope::Wallets(wallets) => wallets.iter().map(|w| &w[..4]).collect::<Vec<_>>().join(","),
    };
    match event {
        VenueEvent::Snapshot(s) => format!("snapshot {}:{}", scope(&s.scope), rows(&s.rows)),
        VenueEvent::Rows(r) => format!("rows:{}", rows(r)),
        VenueEvent::Reconcile(r) => format!("reconcile {}:{}", scope(&r.scope), rows(&r.rows)),
        VenueEvent::Unproven { wallet, assets } => {
            format!("unproven {}/{}", &wallet[..4], assets.iter().map(|a| short(a)).collect::<Vec<_>>().join(","))
        }
        VenueEvent::Synced => "synced".into(),
        VenueEvent::Unsynced(AccountPush::Syncing(reason)) => format!("syncing {}", reason.code.as_str()),
        VenueEvent::Unsynced(AccountPush::Maintenance(_)) => "maintenance".into(),
        VenueEvent::Duty(reason) => format!("duty {}", reason.as_ref().map_or("well", |r| r.code.as_str())),
        VenueEvent::Orders(orders) => {
            let order = |o: &OrderUpdate| format!(" {} {}", o.status, o.filled.as_ref().map_or("?", Amount::as_str));
            format!("orders:{}", orders.iter().map(order).collect::<String>())
        }
        VenueEvent::Malformed { what } => format!("malformed {what}"),
        VenueEvent::Resynced { reason } => format!("resynced {reason}"),
        VenueEvent::Facts(_) => "facts".into(),
        VenueEvent::Alive => "alive".into(),
    }
}

fn short(asset: &str) -> &str {
    &asset[..asset.len().min(6)]
}

fn briefs(events: &[VenueEvent]) -> Vec<String> {
    events.iter().filter(|e| !matches!(e, VenueEvent::Alive)).map(brief).collect()
}

/// The store's rules, as far as one account on one connection needs them; a reconcile is taken at its first answer.
#[derive(Default)]
struct Ledger {
    rows: BTreeMap<(Name, Name), Amount>,
    synced: bool,
    corrected: usize,
}

impl Ledger {
    fn take(&mut self, events: &[VenueEvent]) {
        for event in events {
            match event {
                VenueEvent::Snapshot(Snapshot { scope, rows, .. }) => _ = self.replace(scope, rows),
                VenueEvent::Reconcile(Reconcile { scope, rows, .. }) => self.corrected += self.replace(scope, rows),
                VenueEvent::Rows(rows) => _ = self.merge(rows),
                VenueEvent::Synced => self.synced = true,
                VenueEvent::Unsynced(_) => self.synced = false,
                _ => {}
            }
        }
    }

    fn replace(&mut self, scope: &Scope, rows: &[RowUpdate]) -> usize {
        let Scope::Wallets(wallets) = scope else { panic!("other wallets were not asked about") };
        let listed = |key: &(Name, Name)| rows.iter().any(|r| (&r.wallet, &r.asset) == (&key.0, &key.1));
        let gone = self.rows.iter_mut().filter(|(key, total)| wallets.contains(&key.0) && !listed(key) && !total.is_zero());
        let gone = gone.map(|(_, total)| *total = Amount::ZERO).count();
        gone + self.merge(rows)
    }

    fn merge(&mut self, rows: &[RowUpdate]) -> usize {
        let mut changed = 0;
        for row in rows {
            let Field::Is(total) = &row.total else { continue };
            let old = self.rows.insert((row.wallet.clone(), row.asset.clone()), total.clone());
            changed += usize::from(!old.is_some_and(|old| old.same_value(total)));
        }
        changed
    }

    fn assert_true_to(&self, book: &Book) {
        for (key, holding) in &book.rows {
            let held = self.rows.get(key).cloned().unwrap_or(Amount::ZERO);
            assert!(held.same_value(&holding.total()), "{key:?}: {held} is not {}", holding.total());
        }
        for ((wallet, asset), held) in &self.rows {
            assert!(held.same_value(&book.holding(wallet, asset).total()), "{wallet} {asset}: {held} is made up");
        }
    }
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn set(wallet: &str, asset: &str, available: &str) -> Move {
    let (wallet, asset, available) = (wallet.into(), asset.into(), amount(available));
    Move::Set { account: "syn-main".into(), wallet, asset, available, locked: Amount::ZERO }
}

fn deposit(wallet: &str, asset: &str, text: &str) -> Move {
    Move::Deposit { account: "syn-main".into(), wallet: wallet.into(), asset: asset.into(), amount: amount(text) }
}

fn place(spend: &str, text: &str) -> Move {
    let (account, wallet, order) = ("syn-main".into(), FIRST.into(), "0xo1".into());
    Move::Place { account, wallet, order, spend: spend.into(), amount: amount(text) }
}

fn fill(spent: &str, gained: &str, done: bool) -> Move {
    Move::Fill {
        account: "syn-main".into(),
        wallet: FIRST.into(),
        order: "0xo1".into(),
        spend: "USDC.e".into(),
        spent: amount(spent),
        gain: TOKEN.into(),
        gained: amount(gained),
        fee: amount("0"),
        price: amount("0.52"),
        done,
    }
}

// Fixtures.

#[test]
fn the_documented_snapshot_decodes_to_whole_wallets_and_syncs() {
    let mut lone = Lone::new(&[FIRST]);
    let events = lone.hear(fixture!("snapshot"));
    let expected = ["snapshot 0x74: 0x74/USDC.e=1250.5 0x74/217426=25.384 0x74/485729=100", "synced", "duty well"];
    assert_eq!(briefs(&events), expected);
    let VenueEvent::Snapshot(snapshot) = &events[0] else { panic!() };
    assert_eq!(snapshot.rows[1].asset, TOKEN);
    assert_eq!(snapshot.rows[1].extra.as_deref(), Some(&[("chain", "POL".into())][..]));
}

#[test]
fn the_documented_update_replaces_one_total() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    assert_eq!(briefs(&lone.hear(fixture!("update"))), ["rows: 0x74/217426=35.384"]);
    assert_eq!(briefs(&lone.hear(fixture!("update_zero"))), ["rows: 0x74/217426=0"]);
}

#[test]
fn the_documented_order_is_passed_on_with_all_its_words() {
    let mut lone = Lone::new(&[FIRST]);
    assert_eq!(briefs(&lone.hear(fixture!("order"))), ["orders: PARTIAL 15.384"]);
    let events = lone.hear(fixture!("order_reference"));
    let [VenueEvent::Orders(orders)] = &events[..] else { panic!("{events:?}") };
    let order = &orders[0];
    assert_eq!((&*order.order_id, &*order.asset, &*order.status), ("0x1234567890abcdef...", TOKEN, "MATCHED"));
    let extra: Vec<_> = order.extra.iter().flat_map(|e| e.iter()).map(|(word, value)| (*word, value.as_str())).collect();
    assert_eq!(extra, [("side", "BUY"), ("type", "LIMIT"), ("amount", "10.4"), ("shares", "20"), ("price", "0.52")]);
}

#[test]
fn the_documented_requests_are_what_the_session_sends() {
    assert_eq!(Lone::new(&[FIRST, SECOND]).sent, [fixture!("subscribe").trim()]);
    let filtered = connected(|spec| {
        spec.wallets = vec![WalletSpec { address: FIRST.into(), assets: Some(vec!["USDC.e".into(), TOKEN.into()]) }];
    });
    let sent: Vec<serde_json::Value> = Lone::of(&*filtered).sent.iter().map(|s| serde_json::from_str(s).unwrap()).collect();
    let mut documented: serde_json::Value = serde_json::from_str(fixture!("subscribe_assets")).unwrap();
    // The order of a filter carries no meaning; ours is sorted.
    documented["wallets"][0]["assets"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    assert_eq!(sent, [documented]);
}

#[test]
fn the_reference_snapshot_holds_both_chains() {
    let mut lone = Lone::new(&[FIRST, SOLANA]);
    let events = lone.hear(fixture!("snapshot_reference"));
    let VenueEvent::Snapshot(snapshot) = &events[0] else { panic!("{events:?}") };
    let chains: Vec<_> = snapshot.rows.iter().map(|row| row.extra.as_ref().unwrap()[0].1.as_str()).collect();
    assert_eq!(chains, ["POL", "POL", "SOL", "SOL"]);
}

#[test]
fn string_responses_are_acknowledgements_or_refusals() {
    assert!(matches!(wire::decode(fixture!("unsubscribed")), Ok(Message::Unsubscribed)));
    let refusal = |text| match wire::decode(text) {
        Ok(Message::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(fixture!("invalid_wallets")), Refusal::InvalidWallets);
    assert_eq!(refusal(fixture!("rate_limited")), Refusal::RateLimited);
    assert_eq!(refusal(fixture!("wallet_not_found")), Refusal::Other);
}

// Edge cases, by the numbers of docs/venues.md.

#[test]
fn edge_01_a_404_names_the_other_documented_path() {
    let guide = connected(|_| {});
    let closing = guide.refused(404).unwrap();
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::Configuration, ReasonCode::Configuration));
    assert!(closing.reason.text.contains(" /api/v1/balance/ws:"), "{}", closing.reason.text);
    let reference = connected(|spec| spec.ws_url = "wss://synthesis.trade/api/v1/balance/ws".into());
    assert!(reference.refused(404).unwrap().reason.text.contains(" /ws/balance:"));
}

#[test]
fn edge_01_only_the_configured_path_is_dialed_and_both_exist() {
    let reference = connected(|spec| spec.ws_url = "wss://synthesis.trade/api/v1/balance/ws".into());
    assert_eq!(reference.handshake().url, "wss://synthesis.trade/api/v1/balance/ws");
    for (path, status) in [("/ws/balance", None), ("/api/v1/balance/ws", None), ("/ws", Some(404))] {
        let mut sim = sim::SynthesisSim::new(SimSetup::default());
        let request = SimRequest { path: path.into(), ..SimRequest::default() };
        let refused = sim.on_connect(Now::default(), crate::venue::sim::ConnId(1), &request, &mut SimOut::default());
        assert_eq!(refused.err().map(|reply| reply.status), status, "{path}");
    }
}

#[test]
fn edge_02_an_update_finds_wallet_and_chain_by_its_address() {
    let mut lone = Lone::new(&[FIRST, SOLANA]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#), (SOLANA, r#"{"USDC":"2"}"#)]));
    let events = lone.hear(&update(SOLANA, "USDC", "3"));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*rows[0].wallet, &*rows[0].asset, &rows[0].total), (SOLANA, "USDC", &Field::Is(amount("3"))));
    assert_eq!(rows[0].extra.as_ref().unwrap()[0], ("chain", "SOL".into()));
}

#[test]
fn edge_02_a_chain_the_venue_names_outranks_the_form_of_the_address() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, "{}")]).replace("POL", "BASE"));
    let events = lone.hear(&update(FIRST, "USDC", "3"));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(rows[0].extra.as_ref().unwrap()[0], ("chain", "BASE".into()));
}

#[test]
fn edge_02_a_second_chain_under_one_address_is_not_mixed_in() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#)]));
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"9"}"#)]).replace("POL", "BASE"));
    assert_eq!(briefs(&events), ["malformed response.wallets.chain_id: a second chain for one address", "unproven 0x74/USDC"]);
}

#[test]
fn edge_03_polygon_addresses_match_in_any_case_and_keep_the_configured_spelling() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("uppercase_addresses");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert!(duo.heard.last().unwrap().contains("0x742D35CC6634C0532925A3B844BC454E4438F44E"));
    let events = duo.drain();
    let [VenueEvent::Alive, VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*rows[0].wallet, &rows[0].total), (FIRST, &Field::Is(amount("1251.5"))));
    let mut lone = Lone::new(&[FIRST]);
    for spelling in [FIRST.to_lowercase(), FIRST.to_uppercase(), FIRST.to_owned()] {
        assert_eq!(briefs(&lone.hear(&update(&spelling, "USDC", "1"))), ["rows: 0x74/USDC=1"]);
    }
}

#[test]
fn edge_03_solana_addresses_match_exactly() {
    let mut lone = Lone::new(&[SOLANA]);
    let expected = ["malformed response.address: an update for an address never asked for"];
    assert_eq!(briefs(&lone.hear(&update(&SOLANA.to_lowercase(), "USDC", "1"))), expected);
    assert_eq!(briefs(&lone.hear(&update(SOLANA, "USDC", "1"))), ["rows: 7xKX/USDC=1"]);
}

#[test]
fn edge_04_token_ids_are_text_of_any_length() {
    let long = "1".repeat(78);
    let mut lone = Lone::new(&[FIRST]);
    for asset in [&long, &"9".repeat(128)] {
        let events = lone.hear(&update(FIRST, asset, "5"));
        let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(rows[0].asset, asset);
    }
    // Unquoted, it is still read by its digits.
    let events = lone.hear(&update(FIRST, &long, "5").replace(&format!("\"{long}\""), &long));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(rows[0].asset, long);
    let expected = ["malformed response.asset: no identifier of 1 to 128 characters"];
    for asset in [&"1".repeat(129), ""] {
        assert_eq!(briefs(&lone.hear(&update(FIRST, asset, "5"))), expected);
    }
}

#[test]
fn edge_05_usdc_and_usdc_e_are_two_assets() {
    let mut lone = Lone::new(&[FIRST]);
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"1000.000","USDC.e":"1250.5"}"#)]));
    assert_eq!(briefs(&events)[0], "snapshot 0x74: 0x74/USDC=1000.000 0x74/USDC.e=1250.5");
}

#[test]
fn edge_06_unknown_shapes_are_counted_and_ignored() {
    let mut lone = Lone::new(&[FIRST]);
    let cases = [
        (r#"{"success":true,"response":{}}"#, "response: none of the documented shapes"),
        (r#"{"success":true,"response":{"position":"5"}}"#, "response: none of the documented shapes"),
        (r#"{"success":true,"response":{"wallets":null}}"#, "response: none of the documented shapes"),
        (r#"{"success":true}"#, "not a message of the documented form (column 16)"),
        (r#"{"response":"Unsubscribed"}"#, "not a message of the documented form (column 27)"),
        (r#"{"success":"true","response":"Unsubscribed"}"#, "not a message of the documented form (column 17)"),
        (r#"{"success":true,"response":[1]}"#, "not a message of the documented form (column 28)"),
        ("secret", "not a message of the documented form (column 1)"),
        (r#"{"success":true,"response":{"asset":"USDC","balance":"1"}}"#, "response.address: missing"),
        (r#"{"success":true,"response":{"order_id":"1","status":"OPEN"}}"#, "response.token_id: missing"),
        (r#"{"success":true,"response":{"order_id":"1","token_id":"2"}}"#, "response.status: missing"),
        (
            r#"{"success":true,"response":{"order_id":"1","token_id":"2","status":"OPEN","filled":"secret"}}"#,
            "response.filled: not a decimal number",
        ),
    ];
    for (text, what) in cases {
        assert_eq!(briefs(&lone.hear(text)), [format!("malformed {what}")], "{text}");
    }
    assert!(lone.closed.is_none());
}

#[test]
fn edge_06_shapes_are_tried_in_the_documented_order_and_unknown_fields_ignored() {
    let order = r#"{"success":true,"response":{"order_id":"1","token_id":"2","status":"OPEN","asset":"3"}}"#;
    assert!(matches!(wire::decode(order), Ok(Message::Order(_))));
    let wallets = r#"{"response":{"order_id":"1","asset":"3","wallets":[]},"success":true,"v":2}"#;
    assert!(matches!(wire::decode(wallets), Ok(Message::Wallets(list)) if list.is_empty()));
    let mut lone = Lone::new(&[FIRST]);
    assert!(lone.hear(r#"{"success":true,"response":"Subscribed"}"#).is_empty());
}

#[test]
fn edge_07_one_invalid_address_is_found_by_halving_and_the_rest_goes_live() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("invalid_wallet"); // SECOND
    duo.fault("unsubscribe");
    let events = duo.drain();
    let duty = events.iter().find_map(|e| if let VenueEvent::Duty(Some(reason)) = e { Some(reason) } else { None }).unwrap();
    assert_eq!(duty.code, ReasonCode::Configuration);
    assert!(duty.text.contains(SECOND) && !duty.text.contains(FIRST), "{}", duty.text);
    let mut ledger = Ledger::default();
    ledger.take(&events);
    assert!(ledger.synced);
    let wallets: std::collections::BTreeSet<_> = ledger.rows.keys().map(|(wallet, _)| wallet.as_str()).collect();
    assert_eq!(wallets, [FIRST, SOLANA].into());
    // The last request is the complete one again: a later subscribe may replace an earlier one.
    let last = duo.sent.last().unwrap();
    assert!(last.contains(FIRST) && last.contains(SOLANA) && !last.contains(SECOND));
    assert!(duo.closed.is_none());
}

#[test]
fn edge_07_a_culprit_among_five_hundred_costs_few_requests() {
    for culprit in [0, 1, 250, 499] {
        let all = addresses(500);
        let bad = all[culprit].clone();
        let mut lone = Lone::new(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let mut events = Vec::new();
        for at in 0..60 {
            let Some(request) = lone.sent.get(at).cloned() else { break };
            let reply = if request.contains(&bad) {
                fixture!("invalid_wallets").to_owned()
            } else {
                let request: wire::Request<'_> = serde_json::from_str(&request).unwrap();
                listing(&request.wallets.iter().map(|w| (&*w.address, "{}")).collect::<Vec<_>>())
            };
            events = lone.hear(&reply);
        }
        assert_eq!(briefs(&events)[1..], ["synced", "duty configuration"]);
        assert!(lone.sent.len() <= 22, "{} requests", lone.sent.len());
    }
}

#[test]
fn edge_07_a_late_part_of_another_answer_absolves_nobody() {
    let mut lone = Lone::new(&[FIRST, SECOND, SOLANA]);
    lone.hear(fixture!("invalid_wallets"));
    assert!(lone.sent[1].contains(FIRST) && !lone.sent[1].contains(SECOND), "the first half is asked for");
    lone.hear(&listing(&[(SOLANA, "{}")]));
    assert_eq!(lone.sent.len(), 2, "a list of another wallet is no answer");
    lone.hear(&listing(&[(FIRST, "{}")]));
    assert!(lone.sent[2].contains(SECOND) && lone.sent[2].contains(SOLANA));
}

#[test]
fn edge_07_when_every_address_is_invalid_the_configuration_is_to_blame() {
    for wallets in [&[FIRST][..], &[FIRST, SECOND, SOLANA]] {
        let mut lone = Lone::new(wallets);
        for _ in 0..6 {
            lone.hear(fixture!("invalid_wallets"));
        }
        let closed = lone.closed.as_ref().unwrap();
        assert_eq!((closed.class, closed.reason.code), (ErrorClass::Configuration, ReasonCode::Configuration));
    }
    let all = addresses(500);
    let mut lone = Lone::new(&all.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..2_000 {
        lone.hear(fixture!("invalid_wallets"));
    }
    assert!(lone.closed.is_some() && lone.sent.len() <= 102, "the search is bounded: {}", lone.sent.len());
}

#[test]
fn edge_07_a_subscribe_without_answer_times_out() {
    let mut lone = Lone::new(&[FIRST]);
    lone.pass(9_999);
    assert!(lone.closed.is_none());
    lone.pass(1);
    let closed = lone.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::SyncTimeout));
    assert_eq!(lone.session.deadline(), None);
}

#[test]
fn edge_07_other_refusals_are_told_apart() {
    let refused = |text: &str| {
        let mut lone = Lone::new(&[FIRST, SECOND]);
        lone.hear(text);
        let closed = lone.closed.unwrap();
        (closed.class, closed.reason.code)
    };
    let wait = ErrorClass::RateLimited { wait_ms: 60_000 };
    assert_eq!(refused(fixture!("rate_limited")), (wait, ReasonCode::RateLimited));
    let other = (ErrorClass::Transient, ReasonCode::SubscribeRefused);
    assert_eq!(refused(r#"{"success":false,"response":"Please try again"}"#), other);
    assert_eq!(refused(r#"{"success":false,"response":{"code":7}}"#), other);
}

#[test]
fn edge_08_available_and_locked_are_unknown() {
    let mut lone = Lone::new(&[FIRST]);
    let mut events = lone.hear(fixture!("snapshot"));
    events.extend(lone.hear(fixture!("update")));
    let rows = events.iter().flat_map(|event| match event {
        VenueEvent::Snapshot(snapshot) => &snapshot.rows[..],
        VenueEvent::Rows(rows) => rows,
        _ => &[],
    });
    let known: Vec<_> = rows.map(|row| (&row.available, &row.locked)).collect();
    assert_eq!(known, [(&Field::Unknown, &Field::Unknown); 4]);
}

#[test]
fn edge_09_without_a_filter_new_positions_show() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    assert!(!duo.sent[0].contains("assets"));
    duo.drain();
    duo.moves(&deposit(SECOND, OTHER, "4"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x12/485729=4"]);
}

#[test]
fn edge_09_a_filter_is_sent_synced_under_and_kept() {
    let only_cash = |spec: &mut AccountSpec| spec.wallets[0].assets = Some(vec!["USDC.e".into()]);
    let mut duo = Duo::with(&VENUE, only_cash, no_audits());
    let events = duo.drain();
    let mut ledger = Ledger::default();
    ledger.take(&events);
    assert!(ledger.synced);
    assert_eq!(ledger.rows.keys().filter(|(wallet, _)| wallet == FIRST).count(), 1);
    duo.moves(&deposit(FIRST, TOKEN, "1"));
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x74/USDC.e=1251.5"]);
    // What the venue pushes all the same would never be listed, and so never be corrected.
    duo.hear(&update(FIRST, TOKEN, "9"));
    assert!(briefs(&duo.drain()).is_empty());
}

#[test]
fn edge_10_more_than_the_documented_limits_is_a_configuration_problem() {
    let wallets = |count| addresses(count).into_iter().map(|address| WalletSpec { address, assets: None }).collect::<Vec<_>>();
    assert!(problems(|spec| spec.wallets = wallets(500)).is_empty());
    let found = problems(|spec| spec.wallets = wallets(501));
    assert!(found.len() == 1 && found[0].0 == "wallets" && found[0].1.contains("two accounts"), "{found:?}");
    let assets = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert!(problems(|spec| spec.wallets[0].assets = Some(assets(500))).is_empty());
    let found = problems(|spec| {
        spec.wallets[0].assets = Some(assets(500));
        spec.wallets[1].assets = Some(assets(1));
    });
    assert!(found.len() == 1 && found[0].1.contains("500 assets"), "{found:?}");
}

#[test]
fn edge_11_an_update_before_its_list_is_applied_and_outlives_the_older_list() {
    let mut lone = Lone::new(&[FIRST]);
    let sent = lone.now.mono;
    lone.pass(100);
    assert_eq!(briefs(&lone.hear(&update(FIRST, TOKEN, "35.384"))), ["rows: 0x74/217426=35.384"]);
    lone.pass(100);
    let events = lone.hear(fixture!("snapshot"));
    let VenueEvent::Snapshot(snapshot) = &events[0] else { panic!("{events:?}") };
    assert_eq!(snapshot.freshness, Freshness::Asked { sent }, "a row pushed since the request is newer than the list");
    assert!(matches!(events[1], VenueEvent::Synced));
}

#[test]
fn edge_11_a_lagging_list_is_overtaken_by_an_update() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.fault("lagging_snapshot");
    duo.fault("unsubscribe");
    duo.drain();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    let pushed = duo.now.mono;
    duo.pass(300);
    let events = duo.drain();
    assert_eq!(briefs(&events)[0], "rows: 0x74/USDC.e=1251.5");
    assert!(duo.heard.last().unwrap().contains("1250.5"), "the list is older than the update");
    let asked = events.iter().find_map(|event| match event {
        VenueEvent::Snapshot(Snapshot { freshness: Freshness::Asked { sent }, .. }) => Some(*sent),
        _ => None,
    });
    assert!(asked.unwrap() <= pushed);
}

#[test]
fn edge_11_an_update_of_an_address_never_asked_for_is_counted() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("unknown_address_update");
    assert_eq!(briefs(&duo.drain()), ["malformed response.address: an update for an address never asked for"]);
    duo.hear(&listing(&[(STRANGER, "{}")]));
    assert_eq!(briefs(&duo.drain()), ["malformed response.wallets.address: a list of an address never asked for"]);
}

#[test]
fn edge_12_an_audit_finds_a_lost_update() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    duo.fault("lose_next_update");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    ledger.take(&duo.drain());
    assert_eq!(ledger.rows[&(FIRST.into(), "USDC.e".into())], amount("1250.5"));
    duo.pass(66_000);
    ledger.take(&duo.drain());
    assert_eq!(ledger.corrected, 1);
    ledger.assert_true_to(duo.book());
    assert_eq!(duo.sent[0], duo.sent[1], "an audit repeats the complete request");
}

#[test]
fn edge_12_a_doubted_row_is_asked_about_again_soon_but_not_for_ever() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    let (mut hasty, mut waits) = (0, Vec::new());
    for _ in 0..8 {
        let (asked, from) = (lone.sent.len(), lone.now.mono);
        while lone.sent.len() == asked {
            lone.pass(500);
        }
        waits.push(lone.now.mono.since_ms(from));
        hasty += usize::from(*waits.last().unwrap() <= 2_000);
        lone.hear(fixture!("snapshot"));
        lone.act(|session, now, out| session.on_verdict(now, Verdict { doubted: 1, corrected: 0 }, out));
    }
    assert!(waits[0] >= 54_000 && waits[1] <= 2_000, "{waits:?}");
    assert_eq!(hasty, 6, "{waits:?}");
    assert!(waits[6] >= 54_000, "{waits:?}");
}

#[test]
fn edge_12_three_unanswered_audits_ask_for_a_fresh_connection() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("no_resubscribe_snapshot");
    duo.drain();
    duo.pass(150_000);
    assert!(duo.closed.is_none());
    assert!(duo.drain().iter().all(|e| matches!(e, VenueEvent::Alive)), "silence is no error");
    duo.pass(100_000);
    let closed = duo.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Restart, ReasonCode::ReconcileFailed));
    assert!(briefs(&duo.drain()).contains(&"resynced audit_unanswered".to_owned()));
}

#[test]
fn edge_12_an_answered_audit_forgives_earlier_silence() {
    let mut duo = Duo::new(&VENUE);
    for _ in 0..3 {
        duo.fault("no_resubscribe_snapshot");
        duo.pass(130_000);
        duo.fault("no_resubscribe_snapshot");
        duo.pass(80_000);
    }
    assert!(duo.closed.is_none());
}

#[test]
fn edge_12_a_refused_audit_degrades_until_one_is_answered() {
    let mut duo = Duo::new(&VENUE);
    duo.drain();
    duo.fault("rate_limit");
    duo.pass(66_000);
    assert_eq!(briefs(&duo.drain()), ["duty reconcile_failed"]);
    duo.pass(66_000);
    assert_eq!(briefs(&duo.drain()).last().unwrap(), "duty well");
    assert!(duo.closed.is_none());
}

#[test]
fn edge_12_a_wallet_in_two_parts_is_not_zeroed_by_the_second() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#)]));
    assert_eq!(briefs(&lone.hear(&listing(&[(FIRST, r#"{"USDC.e":"2"}"#)]))), ["rows: 0x74/USDC.e=2"]);
}

#[test]
fn edge_13_every_connection_subscribes_anew() {
    let connector = connected(|_| {});
    let requests = [1, 2, 3].map(|seed| {
        let mut out = Out::default();
        connector.session(seed).on_open(Now::default(), &mut out);
        let sends = out.actions.into_iter().filter_map(|a| if let Action::Send(text) = a { Some(text) } else { None });
        sends.collect::<Vec<_>>()
    });
    assert!(requests[0].len() == 1 && requests.iter().all(|r| r == &requests[0]));
}

#[test]
fn edge_14_number_text_varies_and_is_kept_as_written() {
    let mut lone = Lone::new(&[FIRST]);
    let numbers =
        [("\"1250.5\"", "1250.5"), ("\"1000.000\"", "1000.000"), ("\"0\"", "0"), ("7.10", "7.10"), ("1e-8", "0.00000001")];
    for (json, text) in numbers {
        let quoted = update(FIRST, "USDC", "@").replace("\"@\"", json);
        assert_eq!(briefs(&lone.hear(&quoted)), [format!("rows: 0x74/USDC={text}")]);
        let events = lone.hear(&listing(&[(FIRST, &format!(r#"{{"USDC":{json}}}"#))]));
        assert!(briefs(&events)[0].ends_with(&format!("USDC={text}")), "{events:?}");
    }
}

#[test]
fn edge_14_the_simulator_compares_by_value() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.moves(&set(SECOND, "USDC", "1000"));
    assert!(briefs(&duo.drain()).is_empty(), "1000.000 and 1000 are the same value");
    duo.moves(&set(SECOND, "USDC", "0.000"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x12/USDC=0"]);
}

#[test]
fn edge_15_matched_precedes_the_balance_change_and_changes_nothing_itself() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.moves(&place("USDC.e", "10.4"));
    assert_eq!(briefs(&duo.drain()), ["orders: OPEN 0"], "a total does not change when funds are only locked");
    duo.moves(&fill("5.2", "10", false));
    let expected = ["orders: MATCHED 0", "rows: 0x74/217426=35.384", "rows: 0x74/USDC.e=1245.3", "orders: PARTIAL 10"];
    assert_eq!(briefs(&duo.drain()), expected);
    duo.moves(&fill("5.2", "10", true));
    assert_eq!(briefs(&duo.drain()).last().unwrap(), "orders: FILLED 20");
}

// Orders.

#[test]
fn only_filled_canceled_and_failed_are_final() {
    let mut lone = Lone::new(&[FIRST]);
    let statuses = ["OPEN", "ACTIVE", "MATCHED", "PARTIAL", "FILLED", "TRIGGERED", "CANCELED", "FAILED", "SETTLING"];
    let last = statuses.map(|status| {
        let events = lone.hear(&fixture!("order").replace("PARTIAL", status));
        let [VenueEvent::Orders(orders)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(orders[0].status, status);
        orders[0].is_final
    });
    assert_eq!(last, [false, false, false, false, true, false, true, true, false]);
}

#[test]
fn an_order_without_filled_is_unknown_not_zero() {
    let mut lone = Lone::new(&[FIRST]);
    assert_eq!(briefs(&lone.hear(&fixture!("order").replace("\"15.384\"", "null"))), ["orders: PARTIAL ?"]);
}

#[test]
fn a_canceled_order_frees_funds_without_a_balance_push() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.moves(&place(TOKEN, "5"));
    duo.drain();
    let (account, wallet, order, spend) = ("syn-main".into(), FIRST.into(), "0xo1".into(), TOKEN.into());
    duo.moves(&Move::Cancel { account, wallet, order, spend, amount: amount("5") });
    assert_eq!(briefs(&duo.drain()), ["orders: CANCELED 0"]);
}

// Snapshots.

#[test]
fn parts_sync_only_when_every_wallet_was_listed() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("snapshot_in_parts");
    duo.fault("unsubscribe");
    assert!(!briefs(&duo.drain()).contains(&"synced".to_owned()));
    duo.pass(399);
    assert!(!briefs(&duo.drain()).contains(&"synced".to_owned()));
    duo.pass(1);
    let last = duo.drain();
    assert_eq!(briefs(&last)[1..], ["synced", "duty well"]);
}

#[test]
fn wallets_never_listed_count_as_empty_only_after_the_grace() {
    let mut lone = Lone::new(&[FIRST, SECOND, SOLANA]);
    assert_eq!(briefs(&lone.hear(&listing(&[(FIRST, "{}")]))), ["snapshot 0x74:"]);
    assert!(lone.pass(1_999).is_empty());
    assert_eq!(briefs(&lone.pass(1)), ["snapshot 0x12,7xKX:", "synced", "duty well"]);
}

#[test]
fn each_part_starts_the_grace_anew() {
    let mut lone = Lone::new(&[FIRST, SECOND, SOLANA]);
    lone.hear(&listing(&[(FIRST, "{}")]));
    lone.pass(1_500);
    lone.hear(&listing(&[(SECOND, "{}")]));
    assert!(lone.pass(1_999).is_empty());
    assert_eq!(briefs(&lone.pass(1)), ["snapshot 7xKX:", "synced", "duty well"]);
}

#[test]
fn a_list_without_any_wallet_proves_nothing_unless_trusted() {
    let mut lone = Lone::new(&[FIRST]);
    assert!(lone.hear(&listing(&[])).is_empty());
    assert!(lone.pass(10_000).is_empty());
    assert_eq!(lone.closed.unwrap().reason.code, ReasonCode::SyncTimeout);
    let mut lone = Lone::with(&[FIRST], &[("trust_empty_list", true.into())]);
    assert!(lone.hear(&listing(&[])).is_empty());
    assert_eq!(briefs(&lone.pass(2_000)), ["snapshot 0x74:", "synced", "duty well"]);
}

#[test]
fn an_audit_answered_by_an_empty_list_zeroes_nothing() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("empty_list");
    duo.drain();
    duo.pass(150_000);
    assert!(duo.drain().iter().all(|e| matches!(e, VenueEvent::Alive)));
}

#[test]
fn an_emptied_wallet_left_out_of_an_audit_is_held_against_its_rows() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    duo.fault("omit_empty_wallets");
    for asset in ["USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"] {
        duo.fault("lose_next_update");
        duo.moves(&set(SOLANA, asset, "0"));
    }
    ledger.take(&duo.drain());
    duo.pass(66_000 + 2_000);
    ledger.take(&duo.drain());
    assert_eq!(ledger.corrected, 2);
    ledger.assert_true_to(duo.book());
}

#[test]
fn a_wallet_without_readable_balances_is_never_empty() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("null_balances");
    duo.fault("unsubscribe");
    let events = duo.drain();
    let duty = events.iter().rev().find_map(|e| if let VenueEvent::Duty(reason) = e { Some(reason) } else { None });
    let reason = duty.unwrap().as_ref().unwrap();
    assert!(reason.code == ReasonCode::ProtocolError && reason.text.contains(FIRST), "{reason:?}");
    let scopes = events.iter().filter_map(|e| if let VenueEvent::Snapshot(s) = e { Some(&s.scope) } else { None });
    for scope in scopes.skip(1) {
        assert_eq!(scope, &Scope::Wallets(vec![SECOND.into(), SOLANA.into()]));
    }
    // The next audit reads it.
    duo.pass(66_000);
    let events = briefs(&duo.drain());
    assert!(events.iter().any(|e| e.starts_with("snapshot 0x74:")), "{events:?}");
    assert_eq!(events.last().unwrap(), "duty well");
}

#[test]
fn an_unreadable_amount_spoils_its_row_alone() {
    let mut lone = Lone::new(&[FIRST]);
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"1","A":null,"B":"x","C":[1],"D":"2"}"#)]));
    let expected = [
        "malformed response.wallets.balances: not a decimal number",
        "malformed response.wallets.balances: not a decimal number",
        "malformed response.wallets.balances: not a decimal number",
        "snapshot 0x74: 0x74/USDC=1 0x74/A=kept 0x74/B=kept 0x74/C=kept 0x74/D=2",
        "unproven 0x74/A,B,C",
        "synced",
        "duty well",
    ];
    assert_eq!(briefs(&events), expected);
}

#[test]
fn an_unreadable_update_makes_its_row_stale_and_brings_an_audit_near() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    ledger.take(&duo.drain());
    duo.fault("unreadable_next_update");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(briefs(&duo.drain()), ["unproven 0x74/USDC.e", "malformed response.balance: not a decimal number"]);
    duo.pass(1_500);
    ledger.take(&duo.drain());
    ledger.assert_true_to(duo.book());
    for text in [r#""balance":null"#, r#""balance":{}"#, r#""other":"1""#] {
        duo.hear(&update(FIRST, "USDC", "1").replace(r#""balance":"1""#, text));
        assert_eq!(briefs(&duo.drain())[0], "unproven 0x74/USDC", "{text}");
    }
}

// Liveness, resync, connection.

#[test]
fn a_dead_transport_is_known_within_the_bound() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.pass(600_000);
    assert!(duo.closed.is_none(), "quiet is healthy while pings are answered");
    duo.deaf = true;
    duo.pass(44_999);
    assert!(duo.closed.is_none());
    duo.pass(1 + 15_000); // the last pong came up to a probe's interval before
    let closed = duo.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::LivenessTimeout));
    assert_eq!(duo.session.deadline(), None);
}

#[test]
fn a_silent_venue_is_noticed_by_its_audits() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("silence");
    duo.pass(240_000);
    assert_eq!(duo.closed.as_ref().unwrap().reason.code, ReasonCode::ReconcileFailed);
}

#[test]
fn a_resync_takes_live_away_and_asks_for_everything() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    lone.act(|session, now, out| session.resync(now, out));
    assert_eq!(briefs(&lone.drain()), ["resynced operator", "syncing operator_resync"]);
    assert_eq!(lone.sent[0], lone.sent[1]);
    assert_eq!(briefs(&lone.hear(fixture!("snapshot")))[1..], ["synced", "duty well"]);
    // Whether a repetition is answered is not documented: without an answer, a new connection is made.
    lone.act(|session, now, out| session.resync(now, out));
    lone.pass(10_000);
    assert_eq!(lone.closed.unwrap().class, ErrorClass::Restart);
}

#[test]
fn a_subscription_that_ends_unasked_is_taken_up_again() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("unsubscribe");
    let events = briefs(&duo.drain());
    assert_eq!(events[..2], ["resynced unsubscribed", "syncing protocol_error"]);
    assert_eq!(events[3..], ["synced", "duty well"]);
}

#[test]
fn a_refusal_with_nothing_asked_is_counted() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    assert_eq!(briefs(&lone.hear(fixture!("invalid_wallets"))), ["malformed success: false, with nothing asked"]);
    assert!(lone.closed.is_none());
}

#[test]
fn every_frame_proves_life_but_a_closed_session_hears_nothing() {
    let mut session = connected(|_| {}).session(1);
    let mut out = Out::default();
    session.on_open(Now::default(), &mut out);
    for frame in [Frame::Ping, Frame::Pong, Frame::Binary(b"x"), Frame::Text("x")] {
        let mut out = Out::default();
        session.on_frame(Now::default(), frame, &mut out);
        assert!(matches!(out.actions[0], Action::Event(VenueEvent::Alive)), "{frame:?}");
    }
    session.on_timeout(Now::default().plus_ms(60_000), &mut Out::default());
    let mut out = Out::default();
    session.on_frame(Now::default(), Frame::Text(fixture!("snapshot")), &mut out);
    assert!(out.actions.is_empty());
}

// Settings.

#[test]
fn every_problem_is_told_at_once_with_its_key() {
    let found = problems(|spec| {
        let secrets = [("api_key", ""), ("jwt", "x"), ("session_token", "two words")];
        spec.credentials = Credentials::plain(secrets);
        spec.options = options_of(&[("livenes_ms", 1.into()), ("grace_ms", 0.into()), ("reconcile_ms", 5.into())]);
        let wallet = |address: &str, assets: Option<&[&str]>| WalletSpec {
            address: address.into(),
            assets: assets.map(|assets| assets.iter().map(|a| (*a).to_owned()).collect()),
        };
        spec.wallets = vec![
            wallet("0x742d35", None),
            wallet(FIRST, Some(&[])),
            wallet(&FIRST.to_lowercase(), Some(&["A", "A"])),
            wallet(&SOLANA.replace('7', "0"), Some(&[""])),
        ];
    });
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "options.grace_ms",
        "options.livenes_ms",
        "options.reconcile_ms",
        "credentials.api_key",
        "credentials.jwt",
        "credentials.session_token",
        "wallets[0].address",
        "wallets[1].assets",
        "wallets[2].address",
        "wallets[2].assets",
        "wallets[3].address",
        "wallets[3].assets",
    ];
    assert_eq!(keys, expected);
    assert!(found.iter().all(|(_, message)| !message.contains("two words")));
    assert_eq!(problems(|spec| spec.wallets.clear())[0].0, "wallets");
}

#[test]
fn the_same_solana_address_in_another_case_is_another_address() {
    let other = SOLANA.replace('K', "k");
    assert!(problems(|spec| spec.wallets[0].address.clone_from(&other)).is_empty());
}

#[test]
fn optional_credentials_travel_as_headers_and_a_wrong_one_is_refused() {
    let secrets = [("api_key", "sk_1"), ("project_key", "pk_1"), ("session_token", "t_1")];
    let connector = connected(|spec| spec.credentials = Credentials::plain(secrets));
    let headers = connector.handshake().headers;
    let expected = [("X-API-KEY", "sk_1"), ("X-PROJECT-API-KEY", "pk_1"), ("Authorization", "Bearer t_1")];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    assert!(connected(|_| {}).handshake().headers.is_empty(), "the stream is public");

    let mut account = sample().account;
    account.credentials = secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut sim = sim::SynthesisSim::new(SimSetup { accounts: vec![account], seed: 1 });
    for (key, status) in [("sk_1", None), ("sk_2", Some(401))] {
        let mut request = SimRequest { path: "/ws/balance".into(), ..SimRequest::default() };
        request.headers.insert("x-api-key".into(), key.into());
        let refused = sim.on_connect(Now::default(), crate::venue::sim::ConnId(1), &request, &mut SimOut::default());
        assert_eq!(refused.err().map(|reply| reply.status), status);
    }
}

#[test]
fn refused_handshakes_are_told_apart() {
    let with = |secrets: &[(&str, &str)]| connected(|spec| spec.credentials = Credentials::plain(secrets.iter().copied()));
    let code = |connector: &dyn Connector, status| connector.refused(status).map(|closing| closing.reason.code);
    assert_eq!(code(&*with(&[("api_key", "k")]), 401), Some(ReasonCode::WrongKey));
    assert_eq!(code(&*with(&[("session_token", "k")]), 401), Some(ReasonCode::TokenExpired));
    assert_eq!(code(&*with(&[]), 403), Some(ReasonCode::MissingPermission));
    assert!(with(&[]).refused(401).unwrap().reason.text.contains("api_key"));
    assert_eq!(code(&*with(&[]), 429), None);
    assert_eq!(code(&*with(&[]), 500), None);
}

// The simulator by itself.

#[test]
fn the_simulator_keeps_the_documented_limits() {
    let answer = |wallets: usize, assets: usize| {
        let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
        let list: Vec<_> = addresses(wallets).into_iter().map(|a| format!(r#"{{"address":"{a}"}}"#)).collect();
        let names: Vec<_> = (0..assets).map(|n| format!("\"{n}\"")).collect();
        let filtered = format!(r#"{{"address":"{SECOND}","assets":[{}]}}"#, names.join(","));
        let text = format!(r#"{{"type":"subscribe","wallets":[{},{filtered}]}}"#, list.join(","));
        let mut out = SimOut::default();
        duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), &text, &mut out);
        format!("{:?}", out.actions[0]).contains("Invalid wallets")
    };
    // Three wallets are subscribed already, one of them SECOND.
    assert!(!answer(497, 500));
    assert!(answer(498, 1));
    assert!(answer(1, 501));
}

#[test]
fn an_unsubscribed_wallet_is_pushed_no_more() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    let mut out = SimOut::default();
    duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), fixture!("unsubscribe"), &mut out);
    assert!(format!("{:?}", out.actions).contains("Unsubscribed"));
    let heard = duo.heard.len();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(duo.heard.len(), heard);
    duo.moves(&deposit(SECOND, "USDC.e", "1"));
    assert_eq!(duo.heard.len(), heard + 1);
}

#[test]
fn a_subscribe_adds_unless_the_venue_replaces() {
    for (replaces, listeners) in [(false, 1), (true, 0)] {
        let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
        if replaces {
            duo.fault("resubscribe_replaces");
        }
        let text = format!(r#"{{"type":"subscribe","wallets":[{{"address":"{SECOND}"}}]}}"#);
        duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), &text, &mut SimOut::default());
        let heard = duo.heard.len();
        duo.moves(&deposit(FIRST, "USDC.e", "1"));
        assert_eq!(duo.heard.len() - heard, listeners);
    }
}

#[test]
fn a_replacing_venue_is_still_fully_followed_after_an_audit_and_a_search() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("resubscribe_replaces");
    duo.fault("invalid_wallet");
    duo.fault("unsubscribe");
    duo.pass(200_000);
    duo.drain();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    duo.moves(&deposit(SOLANA, "USDC", "1"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x74/USDC.e=1251.5", "rows: 7xKX/USDC=311.25"]);
}

#[test]
fn every_fault_is_known_and_no_other() {
    let mut duo = Duo::new(&VENUE);
    let names: Vec<_> = duo.sim.faults().iter().map(|(name, _)| *name).collect();
    names.into_iter().for_each(|name| duo.fault(name));
    assert!(duo.sim.on_fault(duo.now, "nonsense", &mut SimOut::default()).is_err());
}

// Properties.

fn any_move() -> impl Strategy<Value = Move> {
    let wallet = prop::sample::select(vec![FIRST, SECOND, SOLANA]);
    let asset = prop::sample::select(vec!["USDC.e", "USDC", TOKEN, OTHER]);
    (wallet, asset, "0|[1-9][0-9]{0,40}(\\.[0-9]{1,20})?").prop_map(|(wallet, asset, total)| set(wallet, asset, &total))
}

proptest! {
    #[test]
    fn decoding_never_panics(text in "\\PC{0,200}") {
        let _ = wire::decode(&text);
    }

    #[test]
    fn damaged_frames_never_panic(which in 0usize..6, at in 0usize..400, piece in "[\\[\\]{}\",:0-9a-z]{0,4}", cut in 0usize..5) {
        let frames = [fixture!("snapshot_reference"), fixture!("update"), fixture!("order_reference"), fixture!("snapshot"),
            fixture!("invalid_wallets"), fixture!("order")];
        let mut text = frames[which].to_owned();
        let at = at.min(text.len());
        text.replace_range(at..(at + cut).min(text.len()), &piece);
        let mut lone = Lone::new(&[FIRST, SOLANA]);
        lone.hear(&text);
        lone.pass(20_000);
    }

    #[test]
    fn no_digit_is_lost(total in "-?(0|[1-9][0-9]{0,60})\\.[0-9]{1,60}[1-9]", quoted: bool) {
        let json = if quoted { format!("\"{total}\"") } else { total.clone() };
        let mut lone = Lone::new(&[FIRST]);
        let events = lone.hear(&listing(&[(FIRST, &format!(r#"{{"USDC":{json}}}"#))]));
        prop_assert_eq!(briefs(&events)[0].clone(), format!("snapshot 0x74: 0x74/USDC={total}"));
        let events = lone.hear(&update(FIRST, "USDC", "@").replace("\"@\"", &json));
        prop_assert_eq!(briefs(&events), [format!("rows: 0x74/USDC={total}")]);
    }

    #[test]
    fn whatever_moves_and_fails_an_audit_later_all_is_true(
        moves in prop::collection::vec((any_move(), any::<bool>(), 0u64..40_000), 1..20),
        in_parts: bool, omits: bool, uppercase: bool,
    ) {
        let mut duo = Duo::new(&VENUE);
        let mut ledger = Ledger::default();
        for (fault, on) in [("snapshot_in_parts", in_parts), ("omit_empty_wallets", omits), ("uppercase_addresses", uppercase)] {
            if on { duo.fault(fault) }
        }
        for (mv, loses, wait) in &moves {
            if *loses { duo.fault("lose_next_update") }
            duo.moves(mv);
            duo.pass(*wait);
            ledger.take(&duo.drain());
        }
        duo.pass(80_000);
        ledger.take(&duo.drain());
        prop_assert!(duo.closed.is_none());
        ledger.assert_true_to(duo.book());
    }
}
