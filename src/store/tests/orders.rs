//! Order rows: status, proof, and how a bounded table forgets.

use super::*;

const MOST: usize = 1_000;

fn order(id: usize, status: &str, is_final: bool) -> VenueEvent {
    VenueEvent::Orders(vec![OrderUpdate {
        order_id: format!("{id}").as_str().into(),
        asset: "BTC".into(),
        filled: None,
        status: status.into(),
        is_final,
        extra: None,
    }])
}

impl Bench {
    fn orders(&self, cursor: u64) -> Changes {
        self.store.changes_since(cursor, &[self.idx], &Filter::default(), Channel::Orders)
    }

    fn order(&self, id: &str) -> Arc<Order> {
        self.orders(0).orders.into_iter().find(|o| o.order_id == id).expect("the order is held")
    }
}

#[test]
fn orders_travel_on_their_own_channel() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let before = b.store.gsn();
    b.say([order(1, "open", false)]);
    assert_eq!((b.orders(before).orders.len(), b.since(before).is_empty()), (1, true));
    assert_eq!((b.orders(0).balances.len(), b.orders(0).accounts.len()), (0, 1), "records are told on every channel");
}

#[test]
fn an_order_is_told_when_anything_of_it_changes() {
    let mut b = Bench::live(&[]);
    b.say([order(1, "done", false)]);
    let gsn = b.store.gsn();
    b.say([order(1, "done", false)]);
    assert_eq!(b.store.gsn(), gsn);
    b.say([order(1, "done", true)]);
    assert_eq!((b.store.gsn(), b.order("1").is_final), (gsn + 1, true));
    let filled = OrderUpdate { filled: Some("0.5".parse().unwrap()), ..one(order(1, "done", true)) };
    b.say([VenueEvent::Orders(vec![filled])]);
    b.say([order(1, "settled", true)]);
    assert_eq!(b.order("1").filled.as_ref().map(Amount::as_str), Some("0.5"), "what is not carried is kept");
}

fn one(event: VenueEvent) -> OrderUpdate {
    match event {
        VenueEvent::Orders(mut orders) => orders.remove(0),
        _ => unreachable!("made by order()"),
    }
}

#[test]
fn open_orders_go_stale_with_the_venue_and_need_a_new_statement() {
    let mut b = Bench::live(&[]);
    b.say([order(1, "open", false), order(2, "open", false), order(3, "filled", true)]);
    b.lose(AccountState::Stale);
    assert!(b.orders(0).orders.iter().all(|o| o.state == RowState::Stale));
    b.reopen();
    b.say([order(1, "open", false), list(&[]), VenueEvent::Synced]);
    let states: Vec<_> = b.orders(0).orders.iter().map(|o| o.state).collect();
    assert_eq!(states, [RowState::Live, RowState::Stale, RowState::Live]);
}

#[test]
fn the_oldest_final_order_is_forgotten_first() {
    let mut b = Bench::live(&[]);
    b.say([order(0, "open", false)]);
    for id in 1..MOST {
        b.say([order(id, "filled", true)]);
    }
    let early = b.store.gsn();
    b.say([order(MOST, "open", false)]);
    let held = b.orders(0).orders;
    assert_eq!(held.len(), MOST);
    assert!(held.iter().any(|o| o.order_id == "0") && !held.iter().any(|o| o.order_id == "1"));
    let changes = b.orders(early);
    assert_eq!((changes.full, changes.orders.len()), (false, 1), "who has seen the final order may keep it");
    assert!(b.orders(1).full, "who has not is told everything");
}

#[test]
fn forgetting_an_open_order_starts_every_reader_anew() {
    let mut b = Bench::live(&[]);
    for id in 0..MOST {
        b.say([order(id, "open", false)]);
    }
    let early = b.store.gsn();
    b.say([order(MOST, "open", false)]);
    let changes = b.orders(early);
    assert!(changes.full && !changes.orders.iter().any(|o| o.order_id == "0"), "nobody keeps it as open");
    assert!(!b.orders(b.store.gsn()).full);
    assert!(!b.since(early).full, "balances are not concerned");
}
