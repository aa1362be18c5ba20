//! Subscriptions over the wire: what comes first, what a filter lets through, resume, resync, the other channel.

use balance_gateway::venue::sim::Move;
use serde_json::{Value, json};

use crate::support::client::{BALANCES, Client, ORDERS};
use crate::support::world::{World, given};

/// alice: a Moonbase and a Bitfinex account that stand still. bob: a P99 account.
async fn world() -> World {
    let quiet = "reconcile_ms = 0";
    let accounts =
        vec![given("moonbase").options(quiet), given("bitfinex").options(quiet), given("p99").owner("bob").options(quiet)];
    let world = World::new("", accounts).await;
    world.ready().await;
    world
}

fn assets(client: &Client) -> Vec<String> {
    client.balances().rows.keys().map(|(account, _, asset)| format!("{account} {asset}")).collect()
}

#[tokio::test]
async fn a_bare_request_gives_subscribed_and_then_everything_one_may_see() {
    let world = world().await;
    let mut client = world.client("alice").await;
    let subscribed = client.ask(json!({ "type": "subscribe", "id": 2, "channel": BALANCES })).await;
    assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("subscribed"), &json!(2)), "{subscribed}");
    assert_eq!((&subscribed["channel"], &subscribed["resumed"]), (&json!(BALANCES), &json!(false)));
    let snapshot = client.frame().await;
    for (name, value) in [("type", "snapshot"), ("channel", BALANCES), ("reason", "subscribe")] {
        assert_eq!(snapshot[name], value, "{snapshot}");
    }
    assert_eq!((&snapshot["epoch"], &snapshot["gsn"]), (&subscribed["epoch"], &subscribed["gsn"]));
    assert_eq!((&snapshot["complete"], &snapshot["prev"]), (&json!(true), &json!(0)));
    assert!(snapshot["ts"].is_i64() && snapshot.get("parts").is_none());
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["bfx-main", "moon-main"], "and nothing of bob's");
    let row = client.row("moon-main", "1000004", "VND").unwrap();
    assert_eq!(row["venue"], "moonbase");
    assert_eq!(row["available"], "724006849.6121439");
    assert_eq!(row["locked"], "126095627.4989197");
    assert_eq!(row["total"], "850102477.1110636");
    assert_eq!(row["state"], "live");
    assert!(row["received_ts"].is_i64() && row["changed_ts"].is_i64(), "{row}");
}

#[tokio::test]
async fn who_sees_nothing_gets_an_empty_snapshot() {
    let world = world().await;
    let mut client = world.client("nobody").await;
    client.subscribe(json!({})).await;
    assert!(client.balances().rows.is_empty() && client.balances().accounts.is_empty());
    assert!(client.balances().complete, "nothing is missing of nothing");
}

#[tokio::test]
async fn lists_are_or_inside_and_and_between() {
    let world = world().await;
    let mut client = world.client("alice").await;
    let cases = [
        (json!({ "venues": ["bitfinex"], "assets": ["BTC", "SAN"] }), vec!["bfx-main BTC", "bfx-main SAN", "bfx-main BTC"]),
        (json!({ "accounts": ["moon-main", "bfx-main"], "assets": ["ETH"] }), vec!["moon-main ETH"]),
        (json!({ "venues": ["bitfinex"], "accounts": ["moon-main"] }), vec![]),
        (json!({ "venues": ["synthesis"] }), vec![]),
        (json!({ "assets": ["btc"] }), vec![]),
    ];
    for (filter, mut wanted) in cases {
        client.subscribe(json!({ "filter": filter })).await;
        let mut got = assets(&client);
        wanted.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, wanted, "{filter}");
    }
}

#[tokio::test]
async fn nonzero_hides_zeros_but_tells_when_a_row_becomes_one() {
    let world = world().await;
    world.set("1000004", "GONE", "0");
    let mut client = world.client("alice").await;
    client.subscribe(json!({ "filter": { "nonzero": true, "venues": ["moonbase"] } })).await;
    assert!(client.row("moon-main", "1000004", "GONE").is_none());
    assert!(client.balances().rows.values().all(|row| row["total"] != "0"));
    world.set("1000004", "SOL", "0");
    client.settle("the zero is told", |held| held.rows.values().any(|row| row["asset"] == "SOL" && row["total"] == "0")).await;
}

#[tokio::test]
async fn updates_of_what_the_filter_hides_do_not_come() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({ "filter": { "assets": ["ETH"] } })).await;
    world.set("1000004", "SOL", "1.5");
    world.set("1000004", "ETH", "2.5");
    let update = client.frame().await;
    let rows = update["balances"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["asset"] == "ETH") && rows.len() == 1, "{update}");
}

/// Frames of a subscription, with what tells time and the filter's own names taken out.
async fn frames_of(client: &mut Client, account: &str) -> String {
    client.send(json!({ "type": "subscribe", "channel": BALANCES, "filter": { "accounts": [account] } })).await;
    let mut text = String::new();
    for _ in 0..2 {
        let mut frame = client.frame().await;
        let fields = frame.as_object_mut().unwrap();
        for name in ["ts", "epoch"] {
            if let Some(value) = fields.get_mut(name) {
                *value = Value::Null;
            }
        }
        text.push_str(&frame.to_string());
    }
    text
}

#[tokio::test]
async fn a_forbidden_account_reads_exactly_as_one_that_does_not_exist() {
    let world = world().await;
    let mut client = world.client("alice").await;
    let forbidden = frames_of(&mut client, "p99-main").await;
    let missing = frames_of(&mut client, "p99-nope").await;
    assert_eq!(forbidden, missing);
    assert!(forbidden.contains("\"accounts\":[]") && forbidden.contains("\"balances\":[]"), "{forbidden}");
    for path in ["balances", "accounts", "orders"] {
        let strip = |mut body: Value| {
            body["ts"] = Value::Null;
            body["epoch"] = Value::Null;
            body
        };
        let forbidden = strip(world.get_json(&format!("/v1/{path}?accounts=p99-main"), "alice").await);
        let missing = strip(world.get_json(&format!("/v1/{path}?accounts=p99-nope"), "alice").await);
        assert_eq!(forbidden, missing, "{path}");
    }
    // By a claim that names it, it is seen.
    let mut other = Client::login(world.addr, &world.token_for("carol", Some(&["p99-main"]), 0, 60)).await;
    other.subscribe(json!({})).await;
    assert_eq!(other.balances().accounts.keys().collect::<Vec<_>>(), ["p99-main"]);
}

#[tokio::test]
async fn a_claim_replaces_ownership() {
    let world = world().await;
    let mut client = Client::login(world.addr, &world.token_for("alice", Some(&["bfx-*", "none"]), 0, 60)).await;
    client.subscribe(json!({})).await;
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["bfx-main"]);
    let mut client = Client::login(world.addr, &world.token_for("alice", Some(&[]), 0, 60)).await;
    client.subscribe(json!({})).await;
    assert!(client.balances().accounts.is_empty());
}

#[tokio::test]
async fn subscribing_again_replaces_the_subscription() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let again = client.subscribe(json!({ "filter": { "accounts": ["bfx-main"] } })).await;
    assert_eq!(again["resumed"], false);
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["bfx-main"]);
    assert_eq!(world.metric("client_subscriptions{channel=\"user:balances\"}").await, 1.0);
    world.set("1000004", "ETH", "4.5");
    let answer = client.ask(json!({ "type": "ping" })).await;
    assert_eq!(answer["type"], "pong", "the old filter's rows do not come: {answer}");
}

#[tokio::test]
async fn resync_gives_a_fresh_snapshot() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let before = client.balances().rows.clone();
    let snapshot = client.ask(json!({ "type": "resync", "channel": BALANCES })).await;
    assert_eq!((&snapshot["type"], &snapshot["reason"]), (&json!("snapshot"), &json!("resync")));
    assert_eq!(client.balances().rows, before);
    let other = client.ask(json!({ "type": "resync", "channel": ORDERS })).await;
    assert_eq!(other["code"], "NOT_SUBSCRIBED", "the other channel has no subscription");
}

#[tokio::test]
async fn after_unsubscribe_nothing_comes() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let answer = client.ask(json!({ "type": "unsubscribe", "id": "u", "channel": BALANCES })).await;
    assert_eq!(answer, json!({ "type": "unsubscribed", "id": "u", "channel": BALANCES }));
    assert_eq!(world.metric("client_subscriptions{channel=\"user:balances\"}").await, 0.0);
    let mut witness = world.client("alice").await;
    witness.subscribe(json!({})).await;
    world.set("1000004", "ETH", "4.75");
    witness.settle("the move is told to others", |held| held.rows.values().any(|row| row["total"] == "4.75")).await;
    assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
    let again = client.ask(json!({ "type": "unsubscribe", "channel": BALANCES })).await;
    assert_eq!(again["code"], "NOT_SUBSCRIBED");
}

/// A client that held everything, was away while two rows changed, and asks for the rest.
async fn away(world: &World) -> Client {
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let held = client.held.clone();
    drop(client);
    let mut witness = world.client("alice").await;
    witness.subscribe(json!({})).await;
    world.set("1000004", "ETH", "6.5");
    world.set("1000004", "NEW", "0.000000000000000001");
    witness.settle("both are told", |held| held.rows.values().any(|row| row["asset"] == "NEW")).await;
    let mut client = world.client("alice").await;
    client.held = held;
    client
}

#[tokio::test]
async fn resume_tells_exactly_the_rows_that_changed() {
    let world = world().await;
    let mut client = away(&world).await;
    let since = json!({ "epoch": client.balances().epoch, "gsn": client.balances().gsn });
    let subscribed = client.ask(json!({ "type": "subscribe", "channel": BALANCES, "since": since })).await;
    assert_eq!((&subscribed["resumed"], &subscribed["epoch"]), (&json!(true), &since["epoch"]));
    let update = client.frame().await;
    assert_eq!((&update["type"], &update["prev"], &update["gsn"]), (&json!("update"), &since["gsn"], &subscribed["gsn"]));
    let mut rows: Vec<_> = update["balances"].as_array().unwrap().iter().map(|row| row["asset"].as_str().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!((rows, update["accounts"].as_array().unwrap().len()), (vec!["ETH", "NEW"], 0));
    client.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
}

#[tokio::test]
async fn nothing_missed_resumes_with_an_empty_update() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let since = json!({ "epoch": client.balances().epoch, "gsn": client.balances().gsn });
    let subscribed = client.ask(json!({ "type": "subscribe", "channel": BALANCES, "since": since })).await;
    assert_eq!(subscribed["resumed"], true);
    let update = client.frame().await;
    assert_eq!((&update["type"], &update["balances"]), (&json!("update"), &json!([])));
}

#[tokio::test]
async fn another_epoch_filter_or_a_number_from_the_future_gets_a_snapshot() {
    let world = world().await;
    let mut client = away(&world).await;
    let (epoch, gsn) = (client.balances().epoch.clone(), client.balances().gsn);
    let cases = [
        json!({ "since": { "epoch": "another", "gsn": gsn } }),
        json!({ "since": { "epoch": epoch, "gsn": gsn }, "filter": { "assets": ["ETH"] } }),
        json!({ "since": { "epoch": epoch, "gsn": gsn + 1_000_000 } }),
        json!({ "since": { "epoch": epoch, "gsn": 0 } }),
    ];
    for fields in cases {
        let mut request = json!({ "type": "subscribe", "channel": BALANCES });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let subscribed = client.ask(request).await;
        assert_eq!(subscribed["resumed"], false, "{fields}");
        assert_eq!(client.frame().await["type"], "snapshot", "{fields}");
    }
}

#[tokio::test]
async fn orders_have_a_channel_of_their_own() {
    let world = World::of(given("synthesis")).await;
    let id = world.account().to_owned();
    let mut client = world.client("alice").await;
    client.subscribe_to(ORDERS, json!({})).await;
    assert!(client.held[ORDERS].rows.is_empty());
    let wallet = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
    let base = "48572956138472615938471625938471659384716593847165938471659384716593847165938";
    let amount = |text: &str| text.parse().unwrap();
    let place = Move::Place {
        account: id.clone(),
        wallet: wallet.into(),
        order: "order-1".into(),
        spend: "USDC.e".into(),
        amount: amount("13.1"),
    };
    let fill = Move::Fill {
        account: id.clone(),
        wallet: wallet.into(),
        order: "order-1".into(),
        spend: "USDC.e".into(),
        spent: amount("13.1"),
        gain: base.into(),
        gained: amount("100"),
        fee: amount("0"),
        price: amount("0.131"),
        done: true,
    };
    world.sim().moves(&place).unwrap();
    world.sim().moves(&fill).unwrap();
    client.settle_channel(ORDERS, "the order is final", |held| held.rows.values().any(|row| row["final"] == true)).await;
    let row = client.held[ORDERS].rows.values().next().unwrap();
    for name in ["venue", "account", "order_id", "asset", "filled", "status"] {
        assert!(row[name].is_string(), "{name} of {row}");
    }
    assert_eq!(row["account"], *id);
    let listed = world.get_json("/v1/orders", "alice").await;
    assert_eq!(listed["orders"], json!([row]));
    assert_eq!(world.get_json("/v1/orders", "bob").await["orders"], json!([]));
}

#[tokio::test]
async fn quiet_is_broken_by_heartbeats_that_name_the_gsn() {
    let world = World::new("heartbeat_ms = 1000", vec![given("moonbase").options("reconcile_ms = 0")]).await;
    world.ready().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let heartbeat = client.until("heartbeat").await;
    assert!(heartbeat["ts"].is_i64());
    assert_eq!(heartbeat["gsn"], json!({ BALANCES: client.balances().gsn }));
}

#[tokio::test]
async fn a_ping_is_answered_and_a_pong_is_taken() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.send(json!({ "type": "pong" })).await;
    let pong = client.ask(json!({ "type": "ping", "id": 9 })).await;
    assert_eq!((&pong["type"], &pong["id"]), (&json!("pong"), &json!(9)));
    assert!(pong["ts"].is_i64());
}

/// All rows of one venue message arrive in one frame: both sides of a fill.
#[tokio::test]
async fn a_venue_message_is_never_split() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({ "filter": { "venues": ["moonbase"] } })).await;
    let fill = Move::Fill {
        account: "moon-main".into(),
        wallet: "1000004".into(),
        order: "1".into(),
        spend: "VND".into(),
        spent: "1000".parse().unwrap(),
        gain: "BTC".into(),
        gained: "0.001".parse().unwrap(),
        fee: "0".parse().unwrap(),
        price: "1000000".parse().unwrap(),
        done: true,
    };
    world.sim().moves(&fill).unwrap();
    let update = client.until("update").await;
    let mut rows: Vec<_> = update["balances"].as_array().unwrap().iter().map(|row| row["asset"].as_str().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, ["BTC", "VND"], "{update}");
    assert!(update["balances"].as_array().unwrap().iter().all(|row| row["gsn"] == update["gsn"]), "{update}");
}
