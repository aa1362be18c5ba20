//! Each venue over real sockets: the simulator moves money, and a client's state comes to equal the simulator's book exactly,
//! through everything the network does. How each venue's own oddities are read is the venue folder's to test.

use serde_json::json;

use crate::support::client::Held;
use crate::support::poll;
use crate::support::world::{Given, World, given};

/// A market that moves, until the client has seen a few moves; then it halts, and the client must hold the book.
async fn follows_the_book(account: Given) {
    let world = World::of(account.rate(50.0)).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let start = client.balances().gsn;
    client.settle("a few commits", |held| held.gsn > start + 10).await;
    world.sim().set_rate(0.0).unwrap();
    client.settle_book(world.account(), || world.sim().book(world.account()).unwrap()).await;
    assert!(client.balances().complete);
}

#[tokio::test]
async fn p99_equals_the_book() {
    follows_the_book(given("p99").options("reconcile_ms = 1000")).await;
}

#[tokio::test]
async fn bitfinex_equals_the_book() {
    follows_the_book(given("bitfinex")).await;
}

#[tokio::test]
async fn synthesis_equals_the_book() {
    follows_the_book(given("synthesis")).await;
}

#[tokio::test]
async fn moonbase_equals_the_book() {
    follows_the_book(given("moonbase")).await;
}

fn stale(account: &str) -> impl Fn(&Held) -> bool {
    move |held| {
        let state = &held.accounts[account]["state"];
        state != "live" && state != "degraded" && held.rows.values().all(|row| row["state"] == "stale")
    }
}

/// Money moves while the venue cannot be reached; on return the book holds, and what vanished is an explicit zero.
async fn returns_after_a_drop(account: Given, wallet: &str, vanishing: &str, moved: &str) {
    let world = World::of(account).await;
    let id = world.account().to_owned();
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    client.settle_book(&id, || world.sim().book(&id).unwrap()).await;
    let before = client.balances().rows.len();

    world.sim().fault("refuse").unwrap();
    world.sim().fault("disconnect").unwrap();
    client.settle("every row reads stale", stale(&id)).await;
    assert_eq!(client.balances().rows.len(), before, "rows stay when the upstream drops");
    assert!(!client.balances().complete);
    assert!(client.balances().accounts[&id]["reason"]["text"].is_string(), "and the account says why");

    world.set(wallet, vanishing, "0");
    world.set(wallet, moved, "7.125");
    world.sim().fault("heal").unwrap();
    client.settle_book(&id, || world.sim().book(&id).unwrap()).await;
    let zero = client.row(&id, wallet, vanishing).expect("a vanished asset keeps its row");
    assert_eq!((&zero["total"], &zero["state"]), (&json!("0"), &json!("live")), "{zero}");
    assert_eq!(client.row(&id, wallet, moved).unwrap()["total"], "7.125");
}

#[tokio::test]
async fn p99_returns_after_a_drop_and_a_vanished_asset_is_zero() {
    returns_after_a_drop(given("p99"), "spot", "BNB", "DF").await;
}

#[tokio::test]
async fn bitfinex_returns_after_a_drop_and_a_vanished_asset_is_zero() {
    returns_after_a_drop(given("bitfinex"), "exchange", "SAN", "BTC").await;
}

#[tokio::test]
async fn synthesis_returns_after_a_drop_and_a_vanished_asset_is_zero() {
    let wallet = "0x1234567890abcdef1234567890abcdef12345678";
    returns_after_a_drop(given("synthesis"), wallet, "USDC.e", "USDC").await;
}

#[tokio::test]
async fn moonbase_returns_after_a_drop_and_a_vanished_asset_is_zero() {
    returns_after_a_drop(given("moonbase"), "1000004", "SOL", "ETH").await;
}

/// The sockets stay open and say nothing: found by the liveness bound, not by TCP.
async fn survives_a_half_open_socket(account: Given, wallet: &str, asset: &str) {
    let world = World::of(account).await;
    let id = world.account().to_owned();
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().fault("half_open").unwrap();
    world.set(wallet, asset, "3.5");
    client.settle("every row reads stale", stale(&id)).await;
    world.sim().fault("heal").unwrap();
    client.settle_book(&id, || world.sim().book(&id).unwrap()).await;
}

#[tokio::test]
async fn p99_survives_a_half_open_socket() {
    survives_a_half_open_socket(given("p99").options("liveness_ms = 1000"), "spot", "DF").await;
}

/// The shortest bound this venue's heartbeat allows is 16 s, so this is the slowest test.
#[tokio::test]
async fn bitfinex_survives_a_half_open_socket() {
    survives_a_half_open_socket(given("bitfinex").options("liveness_ms = 16000"), "exchange", "BTC").await;
}

#[tokio::test]
async fn synthesis_survives_a_half_open_socket() {
    let wallet = "0x1234567890abcdef1234567890abcdef12345678";
    survives_a_half_open_socket(given("synthesis").options("liveness_ms = 3000"), wallet, "USDC").await;
}

#[tokio::test]
async fn moonbase_survives_a_half_open_socket() {
    survives_a_half_open_socket(given("moonbase").options("liveness_ms = 1000"), "1000004", "ETH").await;
}

/// A garbage frame is counted, and the account goes on.
async fn shrugs_off_garbage(account: Given, wallet: &str, asset: &str) {
    let venue = account.venue();
    let world = World::of(account).await;
    let id = world.account().to_owned();
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().fault("garbage").unwrap();
    let counted = format!("venue_decode_errors_total{{venue=\"{venue}\"}}");
    poll("the garbage is counted", async || (world.metric(&counted).await >= 1.0).then_some(())).await;
    world.set(wallet, asset, "11.75");
    // Some venues push no such change; an operator's resync asks each for everything.
    let (status, body) = world.act(&format!("/admin/accounts/{id}/resync"), Some(crate::support::world::OPERATOR)).await;
    assert_eq!(status, 200, "{body}");
    client.settle_book(&id, || world.sim().book(&id).unwrap()).await;
    let record = &client.balances().accounts[&id];
    assert_eq!(record["state"], "live", "{record}");
}

#[tokio::test]
async fn p99_shrugs_off_garbage() {
    shrugs_off_garbage(given("p99").options("reconcile_ms = 1000"), "spot", "DF").await;
}

#[tokio::test]
async fn bitfinex_shrugs_off_garbage() {
    shrugs_off_garbage(given("bitfinex"), "exchange", "BTC").await;
}

#[tokio::test]
async fn synthesis_shrugs_off_garbage() {
    let wallet = "0x1234567890abcdef1234567890abcdef12345678";
    shrugs_off_garbage(given("synthesis"), wallet, "USDC").await;
}

#[tokio::test]
async fn moonbase_shrugs_off_garbage() {
    shrugs_off_garbage(given("moonbase"), "1000004", "ETH").await;
}

// ── three classes of refused credentials ──────────────────────────────────────────────────────────────────────────────────

async fn tells_a_wrong_key(account: Given) {
    let world = World::new("", vec![account]).await;
    let id = world.account().to_owned();
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let record = client.settle_state(&id, "auth_failed", Some("wrong_key")).await;
    assert!(record["since"].is_i64() && record["reason"]["text"].is_string(), "{record}");
    assert!(!record.to_string().contains("SECRET"), "{record}");
    // A refused account is no reason to hold back the others.
    world.ready().await;
    assert!(
        world
            .metric(&format!("venue_state{{venue=\"{}\",account=\"{id}\",state=\"auth_failed\"}}", world.sim().venue().name))
            .await
            > 0.0
    );
}

#[tokio::test]
async fn bitfinex_tells_a_wrong_key() {
    tells_a_wrong_key(given("bitfinex").credential("api_secret", "SECRET-of-somebody-else")).await;
}

/// A P99 account that logs in by listen key.
fn p99_by_key() -> Given {
    given("p99").credentials(&[("api_key", "p99-key"), ("api_secret", "p99-secret")])
}

#[tokio::test]
async fn p99_tells_a_wrong_key() {
    tells_a_wrong_key(p99_by_key().credential("api_secret", "SECRET-of-somebody-else")).await;
}

/// This venue's refusal does not say whether the key or the clock is wrong, so neither may be claimed.
#[tokio::test]
async fn moonbase_claims_no_more_than_the_venue_says() {
    let world = World::new("", vec![given("moonbase").credential("api_secret", "SECRET-of-somebody-else")]).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    let uncertain = |held: &Held| held.accounts["moon-main"]["reason"]["code"] == "auth_uncertain";
    client.settle("the reason is told", uncertain).await;
    assert!(client.balances().rows.is_empty());
}

#[tokio::test]
async fn p99_tells_a_clock_out_of_range() {
    let world = World::of(p99_by_key()).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().fault("clock_ahead:600000").unwrap();
    world.sim().fault("disconnect").unwrap();
    let skewed = |held: &Held| held.accounts["p99-main"]["reason"]["code"] == "clock_skew";
    client.settle("the reason is told", skewed).await;
}

#[tokio::test]
async fn an_expired_venue_token_degrades_a_living_socket_and_then_fails_the_login() {
    let world = World::of(given("p99").options("reconcile_ms = 1000")).await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.sim().fault("expire_tokens").unwrap();
    client.settle_state("p99-main", "degraded", Some("token_expired")).await;
    assert!(client.balances().rows.values().all(|row| row["state"] == "live"), "the stream still works");
    world.sim().fault("disconnect").unwrap();
    client.settle_state("p99-main", "auth_failed", Some("token_expired")).await;
}
