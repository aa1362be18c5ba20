//! Stops and reloads: clients are told, and what did not change goes on undisturbed.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::poll;
use crate::support::world::{OPERATOR, World, given};

#[tokio::test]
async fn a_stop_tells_clients_and_closes_with_4300() {
    let world = World::of(given("moonbase")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let mut stranger = Client::connect(world.addr, None).await.unwrap();
    world.stop.cancel();
    let draining = client.until("draining").await;
    assert!(draining["reconnect_within_ms"].is_u64(), "{draining}");
    assert_eq!(client.closed().await, Some(4300));
    assert_eq!(stranger.closed().await, Some(4300), "one that has not logged in yet is told, too");
    world.end().await.unwrap();
}

#[tokio::test]
async fn an_operator_may_start_the_drain() {
    let world = World::of(given("moonbase")).await;
    let mut client = world.client("alice").await;
    assert_eq!(world.act("/admin/drain", Some(OPERATOR)).await.0, 200);
    client.until("draining").await;
    assert_eq!(client.closed().await, Some(4300));
    world.end().await.unwrap();
}

#[tokio::test]
async fn a_reload_adds_an_account_without_dropping_clients() {
    let world = World::of(given("moonbase")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let (sim, block) = given("bitfinex").start().await;
    let (status, body) = world.reload(&[world.blocks[0].clone(), block]).await;
    assert_eq!(status, 200, "{body}");
    let snapshot = client.until("snapshot").await;
    assert_eq!(snapshot["reason"], "grant", "{snapshot}");
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["bfx-main", "moon-main"]);
    assert_eq!(client.balances().accounts["moon-main"]["state"], "live", "the other session was not touched");
    client.settle_book("bfx-main", || sim.book("bfx-main").unwrap()).await;
    assert_eq!(world.sim().connections(), 1);
    assert_eq!(world.metric("venue_reconnects_total").await, 0.0);
}

#[tokio::test]
async fn a_reload_removes_an_account_from_sight_and_from_the_venue() {
    let world = World::new("", vec![given("moonbase"), given("bitfinex")]).await;
    world.ready().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    assert_eq!(world.reload(&world.blocks[..1]).await.0, 200);
    client.until("snapshot").await;
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["moon-main"]);
    assert!(client.balances().rows.keys().all(|(account, ..)| account == "moon-main"));
    let gone = async || (world.sims[1].connections() == 0).then_some(());
    poll("the venue's connection is closed", gone).await;
    assert_eq!(world.metric("venue_state{venue=\"bitfinex\"").await, 0.0);
    assert_eq!(world.metric("store_rows").await, client.balances().rows.len() as f64);
}

#[tokio::test]
async fn a_reload_moves_an_account_from_one_owner_to_another_at_once() {
    let world = World::of(given("moonbase")).await;
    let (mut alice, mut bob) = (world.client("alice").await, world.client("bob").await);
    alice.subscribe(json!({})).await;
    bob.subscribe(json!({})).await;
    assert!(bob.balances().accounts.is_empty());
    let block = world.blocks[0].replace("\"alice\"", "\"bob\"");
    assert_eq!(world.reload(&[block]).await.0, 200);
    alice.until("snapshot").await;
    assert!(alice.balances().accounts.is_empty() && alice.balances().rows.is_empty());
    bob.until("snapshot").await;
    assert_eq!(bob.balances().accounts["moon-main"]["state"], "live");
    world.set("1000004", "ETH", "3.25");
    bob.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
    assert_eq!(alice.ask(json!({ "type": "ping" })).await["type"], "pong", "alice is told nothing of it");
}

#[tokio::test]
async fn a_reload_with_other_credentials_reconnects_that_account_alone() {
    let world = World::new("", vec![given("moonbase"), given("bitfinex")]).await;
    world.ready().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let wrong = world.blocks[1].replace("bfx-sample-secret", "SECRET-wrong");
    assert_eq!(world.reload(&[world.blocks[0].clone(), wrong]).await.0, 200);
    client.settle_state("bfx-main", "auth_failed", Some("wrong_key")).await;
    assert!(client.balances().rows.values().all(|row| (row["state"] == "live") == (row["venue"] == "moonbase")));
    assert_eq!(world.reload(&world.blocks).await.0, 200);
    client.settle_book("bfx-main", || world.sims[1].book("bfx-main").unwrap()).await;
}

/// Who edits a file in place empties it first.
#[tokio::test]
async fn a_reload_does_not_fall_for_a_file_that_was_only_emptied() {
    let world = World::of(given("moonbase")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let whole = std::fs::read_to_string(&world.path).unwrap();
    for none in ["", "# to be written\n"] {
        std::fs::write(&world.path, none).unwrap();
        let (status, body) = world.act("/admin/reload", Some(OPERATOR)).await;
        assert!(status == 422 && body.contains("no key"), "{status} {body}");
    }
    std::fs::write(&world.path, &whole).unwrap();
    assert_eq!(world.act("/admin/reload", Some(OPERATOR)).await.0, 200);
    world.set("1000004", "ETH", "8.5");
    client.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_reported() {
    let world = World::of(given("moonbase")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let (held, file) = (client.held.clone(), std::fs::read_to_string(&world.path).unwrap());
    let unknown = file.replace("venue = \"moonbase\"", "venue = \"moonbass\"");
    for broken in [unknown.as_str(), "[server\n", &file.replace("[[access.keys]]", "[[access.kees]]")] {
        std::fs::write(&world.path, broken).unwrap();
        let (status, body) = world.act("/admin/reload", Some(OPERATOR)).await;
        assert_eq!(status, 422, "{body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert!(error["error"]["code"].is_string() && error["error"]["message"].is_string(), "{body}");
        assert!(!body.contains("SECRET"), "{body}");
    }
    assert!(client.held == held);
    world.set("1000004", "ETH", "8.5");
    client.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
    assert_eq!(world.client("alice").await.subscribe(json!({})).await["resumed"], false, "keys are as before");
}
