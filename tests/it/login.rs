//! Authentication over the wire: both ways in, every way to be turned away, expiry and renewal on the open socket.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::world::{World, given, now_ms};

async fn world(server: &str) -> World {
    let world = World::new(server, vec![given("moonbase")]).await;
    world.ready().await;
    world
}

fn auth(token: &str) -> Value {
    json!({ "type": "auth_token", "id": 1, "token": token })
}

#[tokio::test]
async fn a_token_in_the_first_frame_lets_in() {
    let world = world("heartbeat_ms = 2000").await;
    let mut client = Client::connect(world.addr, None).await.unwrap();
    let result = client.ask(auth(&world.token("alice"))).await;
    let expires_at = result["expires_at"].as_i64().unwrap();
    assert!((3_590_000..=3_600_000).contains(&(expires_at - now_ms())), "{result}");
    let whole = json!({
        "type": "auth_result", "id": 1, "success": true, "user": "alice", "expires_at": expires_at, "heartbeat_ms": 2000,
    });
    assert_eq!(result, whole);
}

#[tokio::test]
async fn a_token_in_the_upgrade_lets_in_and_is_answered_without_an_id() {
    let world = world("").await;
    let mut client = Client::connect(world.addr, Some(&world.token("alice"))).await.unwrap();
    let result = client.frame().await;
    assert_eq!((&result["type"], &result["success"], &result["user"]), (&json!("auth_result"), &json!(true), &json!("alice")));
    assert!(result.get("id").is_none(), "{result}");
    client.subscribe(json!({})).await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_socket_closes_with_4101() {
    let world = world("").await;
    let mut cut = world.token("alice");
    cut.pop();
    for (token, code) in [("no.jwt.atall", "TOKEN_INVALID"), (&cut, "TOKEN_INVALID"), ("", "TOKEN_INVALID")] {
        let mut client = Client::connect(world.addr, None).await.unwrap();
        let result = client.ask(auth(token)).await;
        assert_eq!((&result["type"], &result["id"], &result["success"]), (&json!("auth_result"), &json!(1), &json!(false)));
        assert_eq!(result["error"]["code"], code, "{result}");
        assert!(result["error"]["message"].is_string(), "{result}");
        assert!(token.is_empty() || !result.to_string().contains(token), "the token is not repeated");
        assert_eq!(client.closed().await, Some(4101));
    }
    assert_eq!(world.metric("client_auth_failures_total").await, 3.0);
    assert_eq!(world.metric("client_closes_total{code=\"4101\"}").await, 3.0);
}

#[tokio::test]
async fn an_expired_token_is_called_expired() {
    let world = world("").await;
    let token = world.token_for("alice", None, 3_600, 60);
    let mut client = Client::connect(world.addr, None).await.unwrap();
    let result = client.ask(auth(&token)).await;
    assert_eq!((&result["success"], &result["error"]["code"]), (&json!(false), &json!("TOKEN_EXPIRED")));
    assert_eq!(client.closed().await, Some(4101));
    assert_eq!(Client::connect(world.addr, Some(&token)).await.err(), Some(401), "nor does it pass the upgrade");
}

#[tokio::test]
async fn a_token_in_the_address_is_not_looked_at() {
    let world = world("").await;
    let (status, _, _) = world.get(&format!("/v1/balances?token={0}&access_token={0}", world.token("alice")), None, None).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn without_a_token_in_time_the_socket_closes_with_4102() {
    let world = world("auth_timeout_ms = 200").await;
    let mut client = Client::connect(world.addr, None).await.unwrap();
    assert_eq!(client.closed().await, Some(4102));
    // One that is in stays in. It shows its token in the upgrade, so that there is no time in which it could be late.
    let mut client = Client::connect(world.addr, Some(&world.token("alice"))).await.unwrap();
    client.subscribe(json!({})).await;
    let mut late = Client::connect(world.addr, None).await.unwrap();
    assert_eq!(late.closed().await, Some(4102));
    assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
}

#[tokio::test]
async fn before_authentication_only_ping_is_answered() {
    let world = world("").await;
    let mut client = Client::connect(world.addr, None).await.unwrap();
    assert_eq!(client.ask(json!({ "type": "ping", "id": "p" })).await["type"], "pong");
    for kind in ["subscribe", "unsubscribe", "resync"] {
        let error = client.ask(json!({ "type": kind, "id": 7, "channel": "user:balances" })).await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!(7)), "{error}");
        assert_eq!((&error["code"], &error["retry"]), (&json!("NOT_AUTHENTICATED"), &json!("reauth")), "{error}");
    }
    // The socket is still good.
    assert_eq!(client.ask(auth(&world.token("alice"))).await["success"], true);
}

#[tokio::test]
async fn another_users_token_on_an_open_socket_is_a_mismatch() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    let result = client.ask(auth(&world.token("bob"))).await;
    assert_eq!((&result["success"], &result["error"]["code"]), (&json!(false), &json!("SUBJECT_MISMATCH")));
    assert_eq!(client.closed().await, Some(4101));
}

#[tokio::test]
async fn the_end_of_a_token_is_announced_and_closes_with_4100() {
    // Whoever comes after the end is let in for the leeway.
    let world = world("[access]\nleeway_seconds = 60").await;
    let mut client = Client::login(world.addr, &world.token_for("alice", None, 0, 2)).await;
    let expiring = client.frame().await;
    assert_eq!(expiring["type"], "auth_expiring");
    assert!(expiring["expires_at"].as_i64().unwrap() <= now_ms() + 2_000, "{expiring}");
    assert_eq!(client.closed().await, Some(4100));
    assert!(now_ms() >= expiring["expires_at"].as_i64().unwrap(), "not before its time");
}

#[tokio::test]
async fn a_renewed_token_keeps_the_socket_and_its_subscription() {
    let world = world("heartbeat_ms = 1000").await;
    let mut client = Client::login(world.addr, &world.token_for("alice", None, 0, 10)).await;
    let old_end = now_ms() + 10_000;
    client.subscribe(json!({})).await;
    client.send(auth(&world.token("alice"))).await;
    let result = client.until("auth_result").await;
    assert_eq!((&result["success"], &result["user"]), (&json!(true), &json!("alice")));
    while client.until("heartbeat").await["ts"].as_i64().unwrap() <= old_end {}
    world.set("1000004", "BTC", "9.25");
    client.settle("updates go on", |held| held.rows.values().any(|row| row["total"] == "9.25")).await;
}

#[tokio::test]
async fn a_renewal_that_grants_less_takes_rows_away_at_once() {
    let world = World::new("", vec![given("moonbase"), given("bitfinex")]).await;
    world.ready().await;
    let all = world.token_for("alice", Some(&["*"]), 0, 3_600);
    let mut client = Client::login(world.addr, &all).await;
    client.subscribe(json!({})).await;
    let (epoch, accounts) = (client.balances().epoch.clone(), client.balances().accounts.len());
    assert_eq!(accounts, 2);
    client.send(auth(&world.token_for("alice", Some(&["moon-*"]), 0, 3_600))).await;
    assert_eq!(client.until("auth_result").await["success"], true);
    let snapshot = client.frame().await;
    assert_eq!((&snapshot["type"], &snapshot["reason"]), (&json!("snapshot"), &json!("grant")), "{snapshot}");
    assert_eq!(client.balances().accounts.keys().collect::<Vec<_>>(), ["moon-main"]);
    assert!(client.balances().rows.keys().all(|(account, ..)| account == "moon-main"));
    assert_ne!(client.balances().epoch, epoch, "numbers from before do not compare");
}
