//! Keys that the issuer publishes, from a real endpoint: rotation, storms of unknown keys, and an endpoint that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use super::kit::{Gateway, Signer, beside, until};

/// Answers given at once through an open gate.
const GATE: u32 = 1_000;

/// An endpoint whose answer can be changed, that counts how often it is asked and answers only while its gate is open.
#[derive(Clone)]
struct Endpoint {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    url: String,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let gate = Arc::new(Semaphore::new(GATE as usize));
        let endpoint = Self { answer: Arc::default(), asked: Arc::default(), gate, url };
        let routes = Router::new().route("/jwks.json", get(Self::answer)).with_state(endpoint.clone());
        beside(async move { axum::serve(listener, routes).await.unwrap() });
        endpoint
    }

    async fn answer(State(endpoint): State<Self>) -> (StatusCode, String) {
        endpoint.asked.fetch_add(1, Ordering::SeqCst);
        let _open = endpoint.gate.acquire().await.unwrap();
        let (status, body) = endpoint.answer.lock().await.clone();
        (StatusCode::from_u16(status).unwrap(), body)
    }

    async fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.say(200, &json!({ "keys": keys }).to_string()).await;
    }

    async fn say(&self, status: u16, body: &str) {
        *self.answer.lock().await = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn section(&self, min_refetch_seconds: u32) -> String {
        format!("[access.jwks]\nurl = \"{}\"\nmin_refetch_seconds = {min_refetch_seconds}\n", self.url)
    }
}

async fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.get("/v1/balances", token).await.0
}

#[tokio::test]
async fn a_rotated_key_is_found_when_a_token_names_it() {
    let (endpoint, old, new, newest) = (Endpoint::start().await, Signer::new("1"), Signer::new("2"), Signer::new("3"));
    endpoint.publish(&[&old]).await;
    let gateway = Gateway::start("", &endpoint.section(1)).await;
    assert_eq!(status(&gateway, &old.token("alice")).await, 200);
    assert_eq!(status(&gateway, &Signer::new("1").token("alice")).await, 401, "another's key under that name");
    endpoint.publish(&[&old, &new]).await;
    until("the rotated key", async || (status(&gateway, &new.token("alice")).await == 200).then_some(())).await;
    assert_eq!(status(&gateway, &old.token("alice")).await, 200, "published side by side");
    endpoint.publish(&[&newest]).await;
    // The same over a socket: the answer waits for the fetch.
    let result = until("the newest key by frame", async || {
        let mut client = gateway.connect(None).await.unwrap();
        let result = client.ask(json!({"type": "auth_token", "id": 7, "token": newest.token("alice")})).await;
        (result["success"] == true).then_some(result)
    });
    assert_eq!(result.await["id"], 7);
    assert_eq!(status(&gateway, &old.token("alice")).await, 401, "what is published no more");
    assert!(gateway.metrics().await.contains("balance_gateway_jwks_keys 1\n"));
}

#[tokio::test]
async fn a_storm_of_unknown_keys_costs_the_issuer_one_fetch() {
    let (endpoint, known) = (Endpoint::start().await, Signer::new("known"));
    endpoint.publish(&[&known]).await;
    let gateway = Gateway::start("refusal_delay_ms = 0", &endpoint.section(3_600)).await;
    assert_eq!(status(&gateway, &known.token("alice")).await, 200);
    let tokens: Vec<_> = (0..30).map(|n| Signer::new(&n.to_string()).token("alice")).collect();
    let statuses = join_all(tokens.iter().map(|token| status(&gateway, token))).await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!((endpoint.asked(), status(&gateway, &known.token("bob")).await), (1, 200));
}

#[tokio::test]
async fn all_who_wait_for_keys_share_one_fetch() {
    let (endpoint, signer) = (Endpoint::start().await, Signer::new("a"));
    endpoint.publish(&[&signer]).await;
    let closed = endpoint.gate.clone().acquire_many_owned(GATE).await.unwrap();
    let gateway = Gateway::start("", &endpoint.section(3_600)).await;
    until("the first fetch", async || (endpoint.asked() == 1).then_some(())).await;
    let users: Vec<_> = (0..20).map(|n| signer.token(&format!("user-{n}"))).collect();
    let mut by_frame = gateway.connect(None).await.unwrap();
    let login = json!({"type": "auth_token", "token": signer.token("alice")});
    by_frame.send_together(&[login, json!({"type": "subscribe", "channel": "user:balances"})]).await;
    // Who asks later is answered: what came before has been read.
    let mut later = gateway.connect(None).await.unwrap();
    assert_eq!(later.ask(json!({"type": "ping"})).await["type"], "pong");
    let open = async {
        until("a refusal would have come by now", async || Some(())).await;
        drop(closed);
    };
    let (statuses, ()) = tokio::join!(join_all(users.iter().map(|token| status(&gateway, token))), open);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((by_frame.frame().await["success"].clone(), endpoint.asked()), (json!(true), 1));
    assert_eq!(by_frame.frame().await["type"], "subscribed");
}

#[tokio::test]
async fn the_last_good_keys_stay_while_the_issuer_fails() {
    let (endpoint, signer) = (Endpoint::start().await, Signer::new("a"));
    endpoint.publish(&[&signer]).await;
    let gateway = Gateway::start("refusal_delay_ms = 0", &endpoint.section(1)).await;
    assert_eq!(status(&gateway, &signer.token("alice")).await, 200);
    let too_large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(70_000));
    let symmetric = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}"#;
    for (code, body) in [(500, ""), (200, "<html>"), (200, too_large.as_str()), (200, symmetric), (302, "")] {
        endpoint.say(code, body).await;
        let before = endpoint.asked();
        let unknown = Signer::new("unknown").token("alice");
        until("another fetch", async || {
            assert_eq!(status(&gateway, &unknown).await, 401);
            (endpoint.asked() > before).then_some(())
        })
        .await;
        assert_eq!(status(&gateway, &signer.token("alice")).await, 200, "{code} {body}");
    }
    assert!(gateway.metrics().await.contains("balance_gateway_jwks_fetches_total{result=\"failed\"}"));
}

#[tokio::test]
async fn a_withdrawn_key_closes_what_it_opened_and_an_issuer_that_fails_closes_nobody() {
    let (endpoint, old, new) = (Endpoint::start().await, Signer::new("old"), Signer::new("new"));
    endpoint.publish(&[&old, &new]).await;
    let gateway = Gateway::start("refusal_delay_ms = 0", &endpoint.section(1)).await;
    let (mut idle, mut subscribed) = (gateway.login(&old.token("alice")).await, gateway.login(&old.token("alice")).await);
    let (mut by_new, mut ours) = (gateway.login(&new.token("bob")).await, gateway.login(&gateway.token("alice")).await);
    assert_eq!(subscribed.ask(json!({"type": "subscribe", "channel": "user:balances"})).await["type"], "subscribed");
    // Waits for a fetch to end: the answer to a token of an unknown key waits for it.
    let fetched = async || {
        let (before, unknown) = (endpoint.asked(), Signer::new("unknown").token("alice"));
        until("another fetch", async || {
            assert_eq!(status(&gateway, &unknown).await, 401);
            (endpoint.asked() > before).then_some(())
        })
        .await;
    };
    let mut renamed = old.jwk();
    renamed["kid"] = json!("renamed");
    let renamed = json!({"keys": [renamed, new.jwk()]}).to_string();
    for (code, body) in [(500, ""), (200, "<html>"), (200, r#"{"keys":[]}"#), (200, renamed.as_str())] {
        endpoint.say(code, body).await;
        fetched().await;
        assert!(idle.is_served().await, "{code} {body}");
    }
    endpoint.publish(&[&new]).await;
    fetched().await;
    assert_eq!((idle.closed().await, subscribed.closed().await), (4104, 4104));
    assert!(by_new.is_served().await && ours.is_served().await);
}

#[tokio::test]
async fn until_keys_were_fetched_the_client_is_told_to_come_back_not_to_log_in() {
    let endpoint = Endpoint::start().await;
    endpoint.say(503, "").await;
    let gateway = Gateway::start("refusal_delay_ms = 0", &endpoint.section(3_600)).await;
    let token = Signer::new("a").token("alice");
    let (status, _, body) = gateway.get("/v1/balances", &token).await;
    assert!(status == 503 && body.contains("\"INTERNAL\""), "{status} {body}");
    let mut client = gateway.connect(None).await.unwrap();
    let result = client.ask(json!({"type": "auth_token", "token": token})).await;
    assert_eq!((&result["error"]["code"], client.closed().await), (&json!("INTERNAL"), 4200));
    // Our own keys do not depend on the issuer.
    assert_eq!(gateway.get("/v1/balances", &gateway.token("alice")).await.0, 200);
}

#[tokio::test]
async fn keys_may_come_from_a_file_and_a_reload_may_name_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let (file, from_file, from_address) = (dir.path().join("jwks.json"), Signer::new("f"), Signer::new("a"));
    std::fs::write(&file, json!({ "keys": [from_file.jwk()] }).to_string()).unwrap();
    let section = format!("[access.jwks]\nfile = \"{}\"\n", file.display());
    let gateway = Gateway::start_in(dir, "refusal_delay_ms = 0", &section).await;
    assert_eq!(status(&gateway, &from_file.token("alice")).await, 200);
    let endpoint = Endpoint::start().await;
    endpoint.publish(&[&from_address]).await;
    gateway.reload("refusal_delay_ms = 0", &endpoint.section(1)).await;
    assert_eq!(status(&gateway, &from_address.token("alice")).await, 200);
    assert_eq!(status(&gateway, &from_file.token("alice")).await, 401);
}
