//! Delivery under weight: snapshots in parts, paced, slow and dead readers. Speed itself is the benches' matter.

use balance_gateway::venue::sim::{Book, Holding};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::client::{BALANCES, Client};
use crate::support::poll;
use crate::support::world::{Given, World, given};

/// An account of so many rows, and BTC.
fn large(rows: usize) -> Given {
    let mut book = Book::of(&[("exchange", "BTC", "1", "0")]);
    for n in 0..rows {
        let holding = Holding { available: "12345.678901".parse().unwrap(), ..Holding::default() };
        book.rows.insert(("exchange".into(), format!("ASSET{n:05}").as_str().into()), holding);
    }
    given("bitfinex").book(book).options("reconcile_ms = 0")
}

fn btc(client: &Client) -> Option<&str> {
    client.row("bfx-main", "exchange", "BTC")?["total"].as_str()
}

#[tokio::test]
async fn a_large_snapshot_comes_in_parts_that_belong_together() {
    let world = World::of(large(1_500)).await;
    let mut client = world.client("alice").await;
    client.send(json!({ "type": "subscribe", "channel": BALANCES })).await;
    client.until("subscribed").await;
    let first = client.frame().await;
    let parts = first["parts"].as_u64().expect("it is too large for one frame");
    assert!(parts > 1 && first["part"] == 1, "{parts} parts");
    // The client checks that nothing stands between the parts and that they agree.
    for part in 2..=parts {
        assert_eq!(client.frame().await["part"], part);
    }
    assert_eq!(client.balances().rows.len(), 1_501);
    client.settle_book("bfx-main", || world.sim().book("bfx-main").unwrap()).await;
    // REST gives the same in one piece.
    assert_eq!(world.get_json("/v1/balances", "alice").await["balances"].as_array().unwrap().len(), 1_501);
}

#[tokio::test]
async fn a_pace_asked_for_is_kept_and_the_last_value_comes() {
    let world = World::of(given("bitfinex").rate(200.0)).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({ "max_rate_hz": 5 })).await;
    let mut before = client.until("update").await["ts"].as_i64().unwrap();
    for _ in 0..4 {
        let ts = client.until("update").await["ts"].as_i64().unwrap();
        // Wall and monotonic clock round apart by a little.
        assert!(ts - before >= 195, "{} ms apart", ts - before);
        before = ts;
    }
    world.sim().set_rate(0.0).unwrap();
    client.settle_book("bfx-main", || world.sim().book("bfx-main").unwrap()).await;
    assert!(world.metric("client_rows_conflated_total").await > 0.0);
}

/// Leaves more unread than every buffer on the way holds.
async fn stop_reading(client: &mut Client) {
    for _ in 0..24 {
        client.send(json!({ "type": "resync", "channel": BALANCES })).await;
    }
}

#[tokio::test]
async fn a_slow_reader_skips_values_but_never_the_last() {
    const MOVES: usize = 50;
    let world = World::new("write_stall_ms = 300000", vec![large(3_000)]).await;
    world.ready().await;
    let (mut fast, mut slow) = (world.client("alice").await, Client::narrow(world.addr, &world.token("alice")).await);
    for client in [&mut fast, &mut slow] {
        client.subscribe(json!({})).await;
    }
    stop_reading(&mut slow).await;
    for n in 0..MOVES {
        let value = format!("{n}.5");
        world.set("exchange", "BTC", &value);
        let told = |row: &serde_json::Value| row["asset"] == "BTC" && row["total"] == *value;
        fast.settle("a reader that keeps up sees every value", |held| held.rows.values().any(told)).await;
    }
    let last = format!("{}.5", MOVES - 1);
    let mut values = 0;
    let mut held = btc(&slow).map(str::to_owned);
    while held.as_deref() != Some(&last) {
        slow.frame().await;
        let now = btc(&slow).map(str::to_owned);
        values += usize::from(now != held);
        held = now;
    }
    assert!(values < MOVES / 2, "{values} of {MOVES} values reached the slow reader");
    slow.settle_book("bfx-main", || world.sim().book("bfx-main").unwrap()).await;
    assert_eq!(slow.balances().rows, fast.balances().rows, "both readers hold the same in the end");
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_hold_up_a_stop() {
    let world = World::new("write_stall_ms = 300000\ndrain_ms = 200", vec![large(3_000)]).await;
    world.ready().await;
    let mut client = Client::narrow(world.addr, &world.token("alice")).await;
    client.subscribe(json!({})).await;
    stop_reading(&mut client).await;
    // All that was asked for is under way, and none of it is read.
    let asked = async || (world.metric("client_frames_total{type=\"snapshot\"}").await > 24.0).then_some(());
    poll("the gateway writes", asked).await;
    world.stop.cancel();
    world.end().await.unwrap();
    drop(client);
}

#[tokio::test]
async fn a_flood_of_pings_is_closed_with_4204() {
    let world = World::new("max_requests_per_second = 1\nrequest_burst = 30", vec![given("moonbase")]).await;
    let mut client = world.client("alice").await;
    client.send_together((0..400).map(|_| Message::Ping(vec![7; 100].into()))).await;
    assert_eq!(client.closed().await, Some(4204));
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_with_4201() {
    let world = World::new("write_stall_ms = 300", vec![large(3_000)]).await;
    world.ready().await;
    let mut client = Client::narrow(world.addr, &world.token("alice")).await;
    // It never reads: it could be late with that.
    client.send(json!({ "type": "subscribe", "channel": BALANCES })).await;
    stop_reading(&mut client).await;
    let closed = async || (world.metric("client_closes_total{code=\"4201\"}").await == 1.0).then_some(());
    poll("the stall is noticed", closed).await;
    poll("and its place is free", async || (world.metric("client_connections").await == 0.0).then_some(())).await;
}
