//! Whatever happens to a connection, what its client holds is what the store holds for it, at each cut and on both channels.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{AccountState, Channel, Filter, OrderUpdate, VenueEvent};
use crate::store::tests::{list, push, reason};

const ASSETS: [&str; 4] = ["BTC", "ETH", "USD", "DOT"];
const ACCOUNTS: [&str; 2] = ["main", "other"];
const RATE_HZ: u64 = 20;

#[derive(Debug, Clone)]
enum Step {
    /// One venue message: these assets take this number.
    Rows(usize, Vec<usize>, u32),
    Order(usize, usize, bool),
    Lost(usize),
    Back(usize),
    /// Somebody wakes the session, or nobody does for some time.
    Wake,
    Pass(u64),
    /// The connection breaks; the client comes back with what it holds, or with nothing.
    Reconnect(bool),
    /// A new token whose claim names these accounts, or none.
    Renew(Option<(bool, bool)>),
    /// The operator makes alice the owner of these.
    Owners(bool, bool),
    Subscribe {
        orders: bool,
        filter: usize,
        paced: bool,
        since: bool,
    },
    Resync(bool),
    Unsubscribe(bool),
    /// A `since` that nobody was ever told: from so many commits in the future, or from before the first.
    Nonsense(bool, Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    let any_two = || (any::<bool>(), any::<bool>());
    prop_oneof![
        10 => (0usize..2, vec(0..ASSETS.len(), 1..4), 0u32..3).prop_map(|(account, assets, n)| Step::Rows(account, assets, n)),
        3 => (0usize..2, 0usize..4, any::<bool>()).prop_map(|(account, id, last)| Step::Order(account, id, last)),
        1 => (0usize..2).prop_map(Step::Lost),
        2 => (0usize..2).prop_map(Step::Back),
        8 => Just(Step::Wake),
        4 => (1u64..120).prop_map(Step::Pass),
        3 => any::<bool>().prop_map(Step::Reconnect),
        2 => proptest::option::of(any_two()).prop_map(Step::Renew),
        1 => any_two().prop_map(|(main, other)| Step::Owners(main, other)),
        3 => (any::<bool>(), 0..FILTERS, any::<bool>(), any::<bool>())
            .prop_map(|(orders, filter, paced, since)| Step::Subscribe { orders, filter, paced, since }),
        1 => any::<bool>().prop_map(Step::Resync),
        1 => any::<bool>().prop_map(Step::Unsubscribe),
        1 => (any::<bool>(), proptest::option::of(prop_oneof![1u64..40, Just(u64::MAX)]))
            .prop_map(|(orders, ahead)| Step::Nonsense(orders, ahead)),
    ]
}

const FILTERS: usize = 5;

fn filter(nth: usize) -> Filter {
    let text = ["{}", r#"{"assets":["BTC","ETH"]}"#, r#"{"nonzero":true}"#, r#"{"accounts":["main"]}"#, r#"{"venues":["no"]}"#];
    serde_json::from_str(text[nth]).expect("a filter")
}

/// What a client holds of one channel.
#[derive(Debug, Clone, Default)]
struct Held {
    filter: usize,
    paced: bool,
    /// What it asked for last, until `subscribed` says that this is what it gets; and whether it can resume.
    asked: Option<(usize, bool, bool)>,
    /// Since `subscribed`, in this connection.
    standing: bool,
    installed: bool,
    epoch: String,
    gsn: u64,
    complete: bool,
    accounts: BTreeMap<String, String>,
    rows: BTreeMap<String, String>,
}

fn name(orders: bool) -> &'static str {
    if orders { "user:orders" } else { "user:balances" }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

impl Held {
    fn take(&mut self, frame: &Value) {
        assert!(self.standing, "a frame of the channel without a subscription: {frame}");
        if frame["type"] == "snapshot" {
            assert_eq!(frame["prev"], 0);
            (self.accounts, self.rows) = Default::default();
        } else {
            assert!(self.installed && frame["prev"] == self.gsn && frame["epoch"] == self.epoch.as_str(), "a gap: {frame}");
            assert!(frame["gsn"].as_u64() >= Some(self.gsn));
        }
        (self.installed, self.gsn) = (true, frame["gsn"].as_u64().expect("a number"));
        (self.epoch, self.complete) = (text(&frame["epoch"]).to_owned(), frame["complete"] == true);
        for record in frame["accounts"].as_array().expect("records") {
            self.accounts.insert(text(&record["account"]).to_owned(), text(&record["state"]).to_owned());
        }
        for row in frame["balances"].as_array().or(frame["orders"].as_array()).expect("rows") {
            let which = if row["order_id"].is_string() { &row["order_id"] } else { &row["asset"] };
            let key = format!("{} {}", text(&row["account"]), text(which));
            let content = format!("{} {} {} {}", text(&row["total"]), text(&row["status"]), text(&row["state"]), row["gsn"]);
            if filter(self.filter).nonzero && row["total"] == "0" {
                self.rows.remove(&key);
            } else {
                self.rows.insert(key, content);
            }
        }
    }

    fn since(&self) -> String {
        format!(r#","since":{{"epoch":"{}","gsn":{}}}"#, self.epoch, self.gsn)
    }
}

/// A client by the rules, the truth about its rights, and the gateway.
struct World {
    c: Client,
    claim: Option<(bool, bool)>,
    owned: (bool, bool),
    held: [Held; 2],
}

impl World {
    fn new() -> Self {
        let c = Client::new();
        c.b.store.connecting(c.other, c.b.now);
        c.b.store.opened(c.other, c.b.now);
        c.b.store.apply(c.other, c.b.now, [list(&["BTC 7/7/0"]), VenueEvent::Synced]);
        let mut world = Self { c, claim: None, owned: (true, false), held: Default::default() };
        world.login();
        world
    }

    fn login(&mut self) {
        let claim = self.claim.map(|(main, other)| named(main, other));
        let said = self.c.auth("alice", claim.as_deref(), 3_600_000);
        assert!(said.iter().any(|frame| frame["type"] == "auth_result" && frame["success"] == true), "{said:?}");
        self.hear(&said);
    }

    fn say(&mut self, request: &str) {
        let said = self.c.say(request);
        self.hear(&said);
    }

    fn hear(&mut self, frames: &[Value]) {
        for frame in frames {
            let Some(channel) = frame["channel"].as_str() else {
                let known = ["auth_result", "heartbeat"].contains(&text(&frame["type"])) || frame["code"] == "NOT_SUBSCRIBED";
                assert!(known, "{frame}");
                continue;
            };
            let held = &mut self.held[usize::from(channel == name(true))];
            match text(&frame["type"]) {
                "subscribed" => {
                    let (filter, paced, resumable) = held.asked.take().expect("it was asked for");
                    (held.filter, held.paced) = (filter, paced);
                    held.installed &= resumable;
                    let resumed = frame["resumed"] == true;
                    assert!(
                        !resumed || held.installed && frame["epoch"] == held.epoch.as_str(),
                        "resumed from nothing: {frame}"
                    );
                    held.standing = true;
                }
                "unsubscribed" => held.standing = false,
                _ => held.take(frame),
            }
        }
    }

    /// `resumable`: it holds what it says it holds.
    fn subscribe(&mut self, orders: bool, filter: usize, paced: bool, since: &str, resumable: bool) {
        self.held[usize::from(orders)].asked = Some((filter, paced, resumable));
        let asked = serde_json::to_string(&self::filter(filter)).expect("a filter is JSON");
        let pace = if paced { format!(r#","max_rate_hz":{RATE_HZ}"#) } else { String::new() };
        self.say(&format!(r#"{{"type":"subscribe","channel":"{}","filter":{asked}{pace}{since}}}"#, name(orders)));
        // It is told where it stands in the same breath, whatever its pace.
        self.agrees(usize::from(orders));
    }

    fn live(&mut self, step: Step) {
        let account = |nth: usize, c: &Client| if nth == 0 { c.b.idx } else { c.other };
        self.c.b.pass(1);
        let now = self.c.b.now;
        match step {
            Step::Rows(nth, assets, n) => {
                let rows: Vec<_> = assets.iter().map(|asset| format!("{} {n}/{n}/0", ASSETS[*asset])).collect();
                let rows: Vec<_> = rows.iter().map(String::as_str).collect();
                _ = self.c.b.store.apply(account(nth, &self.c), now, [push(&rows)]);
            }
            Step::Order(nth, id, is_final) => {
                let (order_id, status) = (id.to_string().as_str().into(), if is_final { "done" } else { "open" }.into());
                let order = OrderUpdate { order_id, asset: ASSETS[id].into(), filled: None, status, is_final, extra: None };
                _ = self.c.b.store.apply(account(nth, &self.c), now, [VenueEvent::Orders(vec![order])]);
            }
            Step::Lost(nth) => self.c.b.store.lost(account(nth, &self.c), now, AccountState::Stale, reason()),
            Step::Back(nth) => {
                self.c.b.store.connecting(account(nth, &self.c), now);
                self.c.b.store.opened(account(nth, &self.c), now);
                _ = self.c.b.store.apply(account(nth, &self.c), now, [list(&["BTC 1/1/0", "ETH 2/2/0"]), VenueEvent::Synced]);
            }
            Step::Wake => {
                let said = self.c.wake();
                self.hear(&said);
                self.all_agree(false);
            }
            Step::Pass(ms) => {
                let said = self.c.pass(ms);
                self.hear(&said);
            }
            Step::Reconnect(forgets) => self.reconnect(forgets),
            Step::Renew(claim) => {
                self.claim = claim;
                self.login();
            }
            Step::Owners(main, other) => {
                self.owned = (main, other);
                let owner = |owns| if owns { ["alice"] } else { ["bob"] };
                self.c.list(&[(ACCOUNTS[0], &owner(main)), (ACCOUNTS[1], &owner(other))]);
            }
            Step::Subscribe { orders, filter, paced, since } => {
                let since = if since { self.held[usize::from(orders)].since() } else { String::new() };
                self.subscribe(orders, filter, paced, &since, true);
            }
            Step::Nonsense(orders, ahead) => {
                let Held { filter, paced, epoch, .. } = self.held[usize::from(orders)].clone();
                let gsn = ahead.map_or(0, |ahead| self.c.b.store.gsn().saturating_add(ahead));
                let since = format!(r#","since":{{"epoch":"{epoch}","gsn":{gsn}}}"#);
                self.subscribe(orders, filter, paced, &since, false);
            }
            Step::Resync(orders) => self.say(&format!(r#"{{"type":"resync","channel":"{}"}}"#, name(orders))),
            Step::Unsubscribe(orders) => self.say(&format!(r#"{{"type":"unsubscribe","channel":"{}"}}"#, name(orders))),
        }
    }

    fn reconnect(&mut self, forgets: bool) {
        self.c.session = ClientSession::new(Arc::clone(&self.c.deps), self.c.b.now);
        let had = self.held.each_mut().map(|held| std::mem::take(&mut held.standing));
        self.login();
        for orders in [false, true].into_iter().filter(|orders| had[usize::from(*orders)]) {
            let Held { filter, paced, .. } = self.held[usize::from(orders)];
            let since = if forgets { String::new() } else { self.held[usize::from(orders)].since() };
            self.subscribe(orders, filter, paced, &since, true);
        }
    }

    /// `late`: paced ones, too.
    fn all_agree(&self, late: bool) {
        for (nth, held) in self.held.iter().enumerate() {
            if held.standing && (late || !held.paced) {
                self.agrees(nth);
            }
        }
    }

    /// Does the client hold what the store holds for it now, by its rights and by what it asked for?
    fn agrees(&self, nth: usize) {
        let (held, store) = (&self.held[nth], &self.c.b.store);
        let (main, other) = self.claim.unwrap_or(self.owned);
        let filter = filter(held.filter);
        let wants = |list: &Option<Vec<String>>, name: &str| list.as_ref().is_none_or(|list| list.iter().any(|n| n == name));
        let mine = [(main, ACCOUNTS[0], self.c.b.idx), (other, ACCOUNTS[1], self.c.other)];
        let mine =
            mine.into_iter().filter(|(sees, id, _)| *sees && wants(&filter.venues, "p99") && wants(&filter.accounts, id));
        let mine: Vec<_> = mine.map(|(.., idx)| idx).collect();
        let channel = Channel::ALL[nth];
        let all = store.changes_since(0, &mine, &Filter::default(), channel);
        let records: BTreeMap<_, _> =
            all.accounts.iter().map(|r| (r.key.account.to_string(), r.state.as_str().to_owned())).collect();
        let rows = all.balances.iter().filter(|row| wants(&filter.assets, &row.asset) && !(filter.nonzero && row.is_zero()));
        let rows = rows.map(|row| {
            let total = row.total.as_ref().map_or("-".to_owned(), ToString::to_string);
            let content = format!("{total} - {} {}", format!("{:?}", row.state).to_lowercase(), row.gsn);
            (format!("{} {}", row.key.account, row.asset), content)
        });
        let orders = all.orders.iter().filter(|order| wants(&filter.assets, &order.asset)).map(|order| {
            let content = format!("- {} {} {}", order.status, format!("{:?}", order.state).to_lowercase(), order.gsn);
            (format!("{} {}", order.key.account, order.order_id), content)
        });
        assert_eq!((&held.rows, &held.accounts), (&rows.chain(orders).collect(), &records), "at {} of {}", held.gsn, all.cut);
        assert_eq!(held.complete, all.complete);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn at_each_cut_a_client_holds_what_the_store_holds_for_it(steps in vec(step(), 1..60)) {
        let mut world = World::new();
        world.subscribe(false, 0, false, "", true);
        world.subscribe(true, 0, false, "", true);
        for step in steps {
            world.live(step);
        }
        // Nothing is left behind, however it was paced.
        let said = world.c.pass(1_000 / RATE_HZ);
        world.hear(&said);
        let said = world.c.wake();
        world.hear(&said);
        world.all_agree(true);
        prop_assert_eq!(world.c.closed(), None);
    }
}

/// The accounts of a claim.
fn named(main: bool, other: bool) -> Vec<&'static str> {
    [(main, ACCOUNTS[0]), (other, ACCOUNTS[1])].into_iter().filter_map(|(is, name)| is.then_some(name)).collect()
}
