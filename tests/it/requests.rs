//! Requests that are wrong, and the bounds of one connection. What is right is told apart in `subscriptions`.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::client::Client;
use crate::support::world::{World, given};

async fn world(server: &str) -> World {
    World::new(server, vec![given("moonbase")]).await
}

async fn refused(client: &mut Client, text: &str, code: &str) -> Value {
    client.send_text(text).await;
    let error = client.frame().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}: {error}");
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    error
}

#[tokio::test]
async fn a_wrong_request_is_answered_with_its_code_and_the_socket_stays() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    let many: Vec<_> = (0..501).map(|n| format!("a{n}")).collect();
    let filter = |filter: Value| json!({ "type": "subscribe", "channel": "user:balances", "filter": filter }).to_string();
    let cases = [
        ("no JSON".to_owned(), "BAD_JSON"),
        ("{\"type\":".to_owned(), "BAD_JSON"),
        ("[1]".to_owned(), "BAD_JSON"),
        (String::new(), "BAD_JSON"),
        ("{}".to_owned(), "BAD_REQUEST"),
        (r#"{"type":1}"#.to_owned(), "BAD_REQUEST"),
        (r#"{"type":"subscribe"}"#.to_owned(), "BAD_REQUEST"),
        (r#"{"type":"subscribe","channel":"user:balances","since":{"gsn":"1"}}"#.to_owned(), "BAD_REQUEST"),
        (r#"{"type":"subscribe","channel":"user:balances","max_rate_hz":0}"#.to_owned(), "BAD_REQUEST"),
        (r#"{"type":"ping","id":[1]}"#.to_owned(), "BAD_REQUEST"),
        (r#"{"type":"dance"}"#.to_owned(), "UNKNOWN_TYPE"),
        (r#"{"type":"subscribe","channel":"user:secrets"}"#.to_owned(), "UNKNOWN_CHANNEL"),
        (filter(json!({ "venues": [] })), "BAD_FILTER"),
        (filter(json!({ "accounts": many })), "BAD_FILTER"),
        (filter(json!({ "assets": "BTC" })), "BAD_FILTER"),
        (filter(json!({ "nonzero": "yes" })), "BAD_FILTER"),
        (r#"{"type":"unsubscribe","channel":"user:balances"}"#.to_owned(), "NOT_SUBSCRIBED"),
        (r#"{"type":"resync","channel":"user:orders"}"#.to_owned(), "NOT_SUBSCRIBED"),
    ];
    for (text, code) in &cases {
        let error = refused(&mut client, text, code).await;
        assert_eq!(error["retry"], "never", "{error}");
    }
    assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
    assert_eq!(world.metric("client_frames_total{type=\"error\"}").await, cases.len() as f64);
}

#[tokio::test]
async fn a_filter_list_of_500_is_taken() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    let most: Vec<_> = (0..500).map(|n| format!("a{n}")).collect();
    client.subscribe(json!({ "filter": { "assets": most } })).await;
    assert!(client.balances().rows.is_empty());
}

#[tokio::test]
async fn ids_come_back_as_they_were_sent() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    for id in [json!(7), json!(-1), json!("a \"quoted\" one"), json!("")] {
        for request in [
            json!({ "type": "ping", "id": id }),
            json!({ "type": "dance", "id": id }),
            json!({ "type": "subscribe", "id": id, "channel": "user:nothing" }),
            json!({ "type": "unsubscribe", "id": id, "channel": "user:balances" }),
        ] {
            let answer = client.ask(request).await;
            assert_eq!(answer["id"], id, "{answer}");
        }
    }
    // An integer beyond 64 bits is still an integer.
    client.send_text(r#"{"type":"ping","id":123456789012345678901234567890}"#).await;
    assert_eq!(client.frame().await["type"], "pong");
    assert!(client.ask(json!({ "type": "ping" })).await.get("id").is_none());
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({ "colour": "green", "filter": { "moods": ["good"] } })).await;
}

#[tokio::test]
async fn a_binary_frame_closes_with_4000() {
    let world = world("").await;
    let mut client = world.client("alice").await;
    client.send_message(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await;
    assert_eq!(client.closed().await, Some(4000));
}

#[tokio::test]
async fn a_frame_beyond_the_bound_closes_with_4001() {
    let world = world("max_frame_bytes = 2048").await;
    let mut client = world.client("alice").await;
    let long = json!({ "type": "ping", "padding": "x".repeat(1_500) });
    assert_eq!(client.ask(long).await["type"], "pong", "one within the bound is answered");
    client.send(json!({ "type": "ping", "padding": "x".repeat(2_048) })).await;
    assert_eq!(client.closed().await, Some(4001));
}

#[tokio::test]
async fn too_many_requests_are_refused_and_in_the_end_closed_with_4204() {
    let world = world("max_requests_per_second = 1\nrequest_burst = 30").await;
    let mut client = world.client("alice").await;
    for _ in 0..2 {
        assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
    let mut refusals = 0;
    while refusals == 0 {
        let answer = client.ask(json!({ "type": "ping", "id": "again" })).await;
        if answer["type"] == "error" {
            assert_eq!((&answer["code"], &answer["retry"]), (&json!("RATE_LIMITED"), &json!("backoff")), "{answer}");
            assert_eq!(answer["id"], "again");
            refusals += 1;
        }
    }
    for _ in 0..250 {
        client.send_text("{\"type\":\"ping\"}").await;
    }
    assert_eq!(client.closed().await, Some(4204));
}
