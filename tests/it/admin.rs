//! The operators' listener: health, metrics under their contract names, and actions behind a token of their own.

use balance_gateway::venue::sim::Move;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::poll;
use crate::support::world::{OPERATOR, TOKEN_SECRET, World, given};

#[tokio::test]
async fn live_at_once_and_ready_only_when_every_account_is_known() {
    // A venue that answers nobody.
    let (sim, block) = given("bitfinex").start().await;
    sim.fault("refuse").unwrap();
    let world = World::new("", vec![given("moonbase")]).await;
    world.ready().await;
    assert_eq!(world.reload(&[world.blocks[0].clone(), block]).await.0, 200);
    assert_eq!(world.ask_admin("/health/live").await.0, 200);
    let (status, body) = world.ask_admin("/health/ready").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["ready"]), (503, &json!(false)), "{body}");
    let missing = body["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "{body}");
    assert_eq!((&missing[0]["venue"], &missing[0]["account"]), (&json!("bitfinex"), &json!("bfx-main")));
    assert!(missing[0]["state"].is_string() && missing[0]["reason"]["text"].is_string(), "{body}");
    sim.fault("heal").unwrap();
    world.ready().await;
    // Once known, an outage does not make it unready: what is held is served, marked stale.
    sim.fault("refuse").unwrap();
    sim.fault("disconnect").unwrap();
    let lost = async || {
        (world.metric("venue_state{venue=\"bitfinex\",account=\"bfx-main\",state=\"stale\"}").await == 1.0).then_some(())
    };
    poll("the drop is noticed", lost).await;
    assert_eq!(world.ask_admin("/health/ready").await.0, 200);
}

#[tokio::test]
async fn a_disabled_account_is_shown_and_not_waited_for() {
    let world = World::new("", vec![given("moonbase")]).await;
    let block = format!("{}enabled = false\n", world.blocks[0]);
    assert_eq!(world.reload(&[block]).await.0, 200);
    world.ready().await;
    let body = world.get_json("/v1/accounts", "alice").await;
    assert_eq!(body["accounts"][0]["state"], "disabled", "{body}");
    poll("its connection is closed", async || (world.sim().connections() == 0).then_some(())).await;
}

/// Lets everything happen that is counted only when it does.
async fn eventful(world: &World) -> Client {
    let bitfinex = || world.sims[0].book("bfx-main").unwrap();
    let counted = |begins: &'static str| poll(begins, async move || (world.metric(begins).await > 0.0).then_some(()));
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().fault("garbage").unwrap();
    counted("venue_decode_errors_total").await;
    world.sim().fault("disconnect").unwrap();
    client.settle("the drop", |held| held.accounts["bfx-main"]["state"] != "live").await;
    client.settle_book("bfx-main", bitfinex).await;
    world.act("/admin/accounts/bfx-main/resync", Some(OPERATOR)).await;
    counted("venue_resyncs_total").await;
    client.settle_book("bfx-main", bitfinex).await;
    // A deposit this venue does not push: found by comparison, and counted as drift.
    world.sims[1].moves(&deposit("17.5")).unwrap();
    client.settle_book("p99-main", || world.sims[1].book("p99-main").unwrap()).await;
    let mut wrong = Client::connect(world.addr, None).await.unwrap();
    wrong.send(json!({ "type": "auth_token", "token": "x" })).await;
    assert_eq!(wrong.closed().await, Some(4101));
    poll("its place is free", async || (world.metric("client_connections").await == 1.0).then_some(())).await;
    client
}

fn deposit(amount: &str) -> Move {
    Move::Deposit { account: "p99-main".into(), wallet: "spot".into(), asset: "DF".into(), amount: amount.parse().unwrap() }
}

#[tokio::test]
async fn every_metric_of_the_contract_is_there() {
    let world = World::new("", vec![given("bitfinex"), given("p99").options("reconcile_ms = 1000")]).await;
    world.ready().await;
    let client = eventful(&world).await;
    let names = [
        "venue_state{venue=\"bitfinex\",account=\"bfx-main\",state=\"live\"} 1",
        "venue_age_seconds{venue=\"bitfinex\",account=\"bfx-main\"}",
        "venue_frames_total{venue=\"bitfinex\",kind=\"text\"}",
        "venue_decode_errors_total{venue=\"bitfinex\"}",
        "venue_reconnects_total{venue=\"bitfinex\",account=\"bfx-main\",reason=\"upstream_disconnected\"} 1",
        "venue_resyncs_total{venue=\"bitfinex\",account=\"bfx-main\",reason=\"operator\"} 1",
        "venue_drift_rows_total{venue=\"p99\",account=\"p99-main\"} 1",
        "store_commits_total",
        "client_connections 1",
        "client_subscriptions{channel=\"user:balances\"} 1",
        "client_frames_total{type=\"snapshot\"}",
        "client_bytes_total",
        "client_rows_conflated_total",
        "client_closes_total{code=\"4101\"} 1",
        "client_auth_failures_total{reason=",
        "delivery_seconds_bucket{le=",
        "delivery_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_cpu_seconds",
        "process_start_time_seconds",
    ];
    let (status, text) = world.ask_admin("/metrics").await;
    assert_eq!(status, 200);
    for name in names {
        assert!(text.lines().any(|line| line.starts_with(&format!("balance_gateway_{name}"))), "{name} in\n{text}");
    }
    assert_eq!(world.metric("store_rows").await, client.balances().rows.len() as f64);
    assert!(!text.contains("alice") && !text.contains("SECRET"), "labels come from configuration and closed sets");
}

#[tokio::test]
async fn counters_begin_at_zero_so_that_an_alert_sees_the_first_increase() {
    let world = World::of(given("moonbase")).await;
    let (_, text) = world.ask_admin("/metrics").await;
    for series in [
        "venue_drift_rows_total{venue=\"moonbase\",account=\"moon-main\"} 0",
        "venue_decode_errors_total{venue=\"moonbase\"} 0",
        "venue_reconnects_total{venue=\"moonbase\",account=\"moon-main\",reason=\"liveness_timeout\"} 0",
        "venue_resyncs_total{venue=\"moonbase\",account=\"moon-main\",reason=\"gsn_gap\"} 0",
        "venue_frames_total{venue=\"moonbase\",kind=\"binary\"} 0",
        "client_frames_total{type=\"error\"} 0",
        "client_closes_total{code=\"4201\"} 0",
        "client_auth_failures_total{reason=\"signature\"} 0",
        "client_refusals_total{limit=\"handshakes\"} 0",
        "client_subscriptions{channel=\"user:orders\"} 0",
    ] {
        assert!(text.contains(&format!("\nbalance_gateway_{series}\n")), "{series} in\n{text}");
    }
}

#[tokio::test]
async fn acting_needs_the_operator_token() {
    let world = World::of(given("moonbase")).await;
    let user = world.token("alice");
    for path in ["/admin/reload", "/admin/drain", "/admin/accounts/moon-main/resync"] {
        for token in [None, Some("wrong"), Some(&*user), Some(TOKEN_SECRET), Some(&OPERATOR[1..])] {
            let (status, body) = world.act(path, token).await;
            assert_eq!(status, 401, "{path}: {body}");
            assert!(!body.contains("SECRET"), "{body}");
        }
    }
    assert_eq!(world.act("/admin/accounts/none/resync", Some(OPERATOR)).await.0, 404);
    assert_eq!(world.act("/admin/accounts/moon-main/resync", Some(OPERATOR)).await.0, 200);
    assert_eq!(world.ask_admin("/health/ready").await.0, 200, "it still runs");
}

#[tokio::test]
async fn an_operators_resync_finds_what_the_venue_never_pushed() {
    // This venue pushes no deposits; without the periodic comparison only a resync finds one.
    let world = World::of(given("p99").options("reconcile_ms = 0")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().moves(&deposit("17.5")).unwrap();
    assert_eq!(world.act("/admin/accounts/p99-main/resync", Some(OPERATOR)).await.0, 200);
    client.settle_book("p99-main", || world.sim().book("p99-main").unwrap()).await;
    // Counted once, though both the link and the session know of it.
    assert_eq!(world.metric("venue_resyncs_total{").await, 1.0);
}
