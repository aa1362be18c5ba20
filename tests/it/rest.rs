//! REST: the same rows as the WebSocket at the same gsn, tags, and the shape of every refusal.

use serde_json::{Value, json};

use crate::support::client::BALANCES;
use crate::support::poll;
use crate::support::world::{World, given};

async fn world() -> World {
    let quiet = "reconcile_ms = 0";
    let world = World::new("", vec![given("moonbase").options(quiet), given("bitfinex").options(quiet)]).await;
    world.ready().await;
    world
}

#[tokio::test]
async fn rest_and_websocket_tell_the_same_at_the_same_gsn() {
    let world = world().await;
    let mut client = world.client("alice").await;
    client.send(json!({ "type": "subscribe", "channel": BALANCES })).await;
    client.until("subscribed").await;
    let mut pushed = client.frame().await;
    let mut asked = world.get_json("/v1/balances", "alice").await;
    let mut accounts = world.get_json("/v1/accounts", "alice").await;
    for body in [&mut pushed, &mut asked, &mut accounts] {
        assert!(body["ts"].take().is_i64());
        // As of the moment each was written.
        for record in body["accounts"].as_array_mut().unwrap() {
            assert!(record["proven_ts"].take().is_i64());
        }
    }
    assert_eq!((pushed["reason"].take(), asked["reason"].take()), (json!("subscribe"), json!("request")));
    assert_eq!(pushed, asked);
    assert_eq!(accounts["accounts"], asked["accounts"]);
    for name in ["epoch", "gsn", "complete"] {
        assert_eq!(accounts[name], asked[name], "{name}");
    }
}

#[tokio::test]
async fn an_account_record_carries_what_the_venue_says_of_the_account() {
    let world = world().await;
    let body = world.get_json("/v1/accounts", "alice").await;
    let record = |id: &str| body["accounts"].as_array().unwrap().iter().find(|r| r["account"] == id).unwrap();
    assert!(record("moon-main")["fees"]["maker"].is_string() && record("moon-main")["stats"].is_object(), "{body}");
    assert!(record("bfx-main")["permissions"].is_object(), "{body}");
    for id in ["moon-main", "bfx-main"] {
        assert_eq!(record(id)["state"], "live");
        assert!(record(id)["since"].is_i64() && record(id).get("reason").is_none(), "{body}");
    }
}

#[tokio::test]
async fn a_query_filters_as_a_subscription_does() {
    let world = world().await;
    let body = world.get_json("/v1/balances?venues=bitfinex,p99&assets=BTC,SAN&nonzero=true", "alice").await;
    let mut assets: Vec<_> = body["balances"].as_array().unwrap().iter().map(|row| row["asset"].as_str().unwrap()).collect();
    assets.sort_unstable();
    assert_eq!(assets, ["BTC", "BTC", "SAN"]);
    let mut client = world.client("alice").await;
    let filter = json!({ "venues": ["p99", "bitfinex"], "assets": ["SAN", "BTC"], "nonzero": true });
    client.subscribe(json!({ "filter": filter })).await;
    assert_eq!(client.balances().epoch, body["epoch"], "the same filter is the same history, in whatever order it is written");
}

#[tokio::test]
async fn a_tag_answers_304_until_something_changes() {
    let world = world().await;
    let token = world.token("alice");
    let (status, tag, body) = world.get("/v1/balances", Some(&token), None).await;
    let tag = tag.expect("every answer has a tag");
    assert_eq!(status, 200, "{body}");
    let (status, again, body) = world.get("/v1/balances", Some(&token), Some(&tag)).await;
    assert_eq!((status, again.as_deref(), body.as_str()), (304, Some(&*tag), ""));
    assert!(tag.starts_with("W/"), "two answers of one tag have each their own times: {tag}");
    let others = format!("\"x\", {}", tag.trim_start_matches("W/"));
    let (status, ..) = world.get("/v1/balances", Some(&token), Some(&others)).await;
    assert_eq!(status, 304, "compared weakly, in a list");
    let (status, ..) = world.get("/v1/balances?assets=ETH", Some(&token), Some(&tag)).await;
    assert_eq!(status, 200, "another filter is another answer");
    let (status, ..) = world.get("/v1/balances", Some(&world.token("bob")), Some(&tag)).await;
    assert_eq!(status, 200, "and so is another user");
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    world.set("1000004", "ETH", "5.5");
    client.until("update").await;
    let (status, next, _) = world.get("/v1/balances", Some(&token), Some(&tag)).await;
    assert_eq!(status, 200);
    assert_ne!(next.as_ref(), Some(&tag));
}

#[tokio::test]
async fn the_age_of_the_last_proof_is_told_without_a_commit() {
    // It is asked for again and again, for as long as it takes.
    let patient = "max_requests_per_second = 100000\nrequest_burst = 100000";
    let world = World::new(patient, vec![given("moonbase").options("reconcile_ms = 0, liveness_ms = 15000")]).await;
    world.ready().await;
    let token = world.token("alice");
    let (_, tag, body) = world.get("/v1/balances", Some(&token), None).await;
    let first: Value = serde_json::from_str(&body).unwrap();
    let proven = |body: &Value| body["accounts"][0]["proven_ts"].as_i64();
    let then = proven(&first).expect("it is live");
    assert!(first["ts"].as_i64().unwrap() - then < 15_000, "{body}");
    // The venue is quiet; probes after a third of the bound, and their answers, prove it alive.
    let later = poll("a later proof", async || {
        let body = world.get_json("/v1/accounts", "alice").await;
        (proven(&body) > Some(then)).then_some(body)
    });
    assert_eq!(later.await["gsn"], first["gsn"], "nothing was committed");
    assert_eq!(world.get("/v1/balances", Some(&token), tag.as_deref()).await.0, 304);
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    assert!(client.balances().accounts["moon-main"]["proven_ts"].as_i64() > Some(then));
}

#[tokio::test]
async fn a_rest_answer_is_a_place_to_resume_from() {
    let world = world().await;
    let body = world.get_json("/v1/balances?venues=moonbase", "alice").await;
    world.set("1000004", "ETH", "5.25");
    let mut client = world.client("alice").await;
    let since = json!({ "epoch": body["epoch"], "gsn": body["gsn"] });
    let request = json!({ "type": "subscribe", "channel": BALANCES, "filter": { "venues": ["moonbase"] }, "since": since });
    // What was read over REST is what the client holds.
    let held = client.held.entry(BALANCES.into()).or_default();
    (held.epoch, held.gsn) = (body["epoch"].as_str().unwrap().to_owned(), body["gsn"].as_u64().unwrap());
    let record = body["accounts"][0].clone();
    held.accounts.insert("moon-main".into(), record);
    assert_eq!(client.ask(request).await["resumed"], true);
    client.settle("the change is told", |held| held.rows.values().any(|row| row["total"] == "5.25")).await;
    assert_eq!(client.balances().rows.len(), 1, "and nothing else");
}

#[tokio::test]
async fn every_refusal_has_a_code_and_a_message() {
    let world = world().await;
    let (good, expired) = (world.token("alice"), world.token_for("alice", None, 7_200, 60));
    let many = format!("/v1/balances?assets={}", vec!["x"; 501].join(","));
    let cases = [
        ("/v1/balances", None, 401, "NOT_AUTHENTICATED"),
        ("/v1/accounts", None, 401, "NOT_AUTHENTICATED"),
        ("/v1/orders", Some("junk"), 401, "TOKEN_INVALID"),
        ("/v1/balances", Some(expired.as_str()), 401, "TOKEN_EXPIRED"),
        ("/v1/balances?nonzero=perhaps", Some(good.as_str()), 400, "BAD_FILTER"),
        ("/v1/balances?venues=,", Some(&good), 400, "BAD_FILTER"),
        (&many, Some(&good), 400, "BAD_FILTER"),
        ("/v1/nothing", Some(&good), 404, "NOT_FOUND"),
        ("/metrics", Some(&good), 404, "NOT_FOUND"),
        ("/v1/ws", Some(&good), 400, "BAD_REQUEST"),
    ];
    for (path, token, status, code) in cases {
        let (got, _, body) = world.get(path, token, None).await;
        assert_eq!(got, status, "{path}: {body}");
        let error: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        assert_eq!(error["error"]["code"], code, "{path}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {body}");
        assert!(token.is_none_or(|token| !body.contains(token)), "{path} repeats the token");
    }
}
