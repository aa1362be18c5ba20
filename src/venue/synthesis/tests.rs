//! What the tests of this folder share, and the fixtures. The rest is sorted by subject below.

use std::collections::BTreeMap;
use std::sync::Arc;

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
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/venue/synthesis/fixtures/", $name, ".json"))
    };
}

mod edge_cases;
mod properties;
mod sessions;
mod settings;
mod simulator;

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
        VenueEvent::Omitted(reason) => format!("omitted {}", reason.code.as_str()),
        VenueEvent::Partial(partial) => format!("partial {partial}"),
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
