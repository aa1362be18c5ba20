//! Every limit answers, in the contract's words, and what one spends is not another's loss.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Gateway, Stopwatch, soon, until};

fn counted(metrics: &str, limit: &str) -> bool {
    metrics.contains(&format!("balance_gateway_client_refusals_total{{limit=\"{limit}\"}}"))
}

#[tokio::test]
async fn a_user_has_a_share_of_connections() {
    let gateway = Gateway::start("max_connections_per_user = 1", "").await;
    let mut first = gateway.login(&gateway.token("alice")).await;
    let renewal = first.ask(json!({"type": "auth_token", "token": gateway.token("alice")})).await;
    assert_eq!(renewal["success"], true, "a renewal is no second connection");
    let mut second = gateway.connect(Some(&gateway.token("alice"))).await.unwrap();
    let result = second.frame().await;
    assert_eq!((&result["success"], &result["error"]["code"]), (&json!(false), &json!("LIMIT_CONNECTIONS")));
    assert_eq!(second.closed().await, 4205);
    let mut third = gateway.connect(None).await.unwrap();
    let result = third.ask(json!({"type": "auth_token", "id": "x", "token": gateway.token("alice")})).await;
    assert_eq!((&result["id"], &result["error"]["code"]), (&json!("x"), &json!("LIMIT_CONNECTIONS")));
    assert_eq!(third.closed().await, 4205);
    assert!(gateway.login(&gateway.token("bob")).await.is_served().await);
    assert!(first.is_served().await && counted(&gateway.metrics().await, "user"));
    drop(first);
    until("the share given back", async || {
        let mut again = gateway.connect(Some(&gateway.token("alice"))).await.unwrap();
        (again.frame().await["success"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_stream_is_one_of_its_users_connections() {
    let gateway = Gateway::start("max_connections_per_user = 1", "").await;
    let mut first = gateway.login(&gateway.token("alice")).await;
    let (status, _, body) = gateway.get("/v1/stream/balances", &gateway.token("alice")).await;
    assert!(status == 503 && body.contains("LIMIT_CONNECTIONS"), "{status} {body}");
    assert!(first.is_served().await);
}

#[tokio::test]
async fn an_address_has_a_share_of_connections() {
    let gateway = Gateway::start("trusted_proxies = []\nmax_connections_per_address = 2", "").await;
    let token = gateway.token("alice");
    let _held = (gateway.login(&token).await, gateway.login(&token).await);
    let (status, body) = gateway.connect(Some(&token)).await.err().unwrap();
    assert!(status == 503 && body.contains("LIMIT_CONNECTIONS"), "{status} {body}");
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_counted_not_the_proxy() {
    let gateway = Gateway::start("max_connections_per_address = 1", "").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let from = |address: &'static str| {
        let headers = [("authorization", bearer.clone()), ("x-forwarded-for", address.to_owned())];
        let gateway = &gateway;
        async move { gateway.connect_with(&headers.each_ref().map(|(name, value)| (*name, value.as_str()))).await }
    };
    let _held = from("192.0.2.1").await.unwrap();
    let (status, body) = from("198.51.100.9, 192.0.2.1").await.err().unwrap();
    assert!(status == 503 && body.contains("LIMIT_CONNECTIONS"), "{status} {body}");
    let _others = (from("192.0.2.1, 192.0.2.2").await.unwrap(), from("nonsense").await.unwrap());
    assert!(counted(&gateway.metrics().await, "address"));
}

#[tokio::test]
async fn sockets_without_a_token_have_places_of_their_own() {
    let gateway = Gateway::start("max_unauthenticated = 1", "").await;
    let mut waiting = gateway.connect(None).await.unwrap();
    let (status, body) = gateway.connect(None).await.err().unwrap();
    assert!(status == 503 && body.contains("LIMIT_CONNECTIONS"), "{status} {body}");
    assert!(gateway.login(&gateway.token("bob")).await.is_served().await, "a token in the upgrade needs no such place");
    assert!(gateway.metrics().await.contains("balance_gateway_client_unauthenticated 1\n"));
    assert_eq!(waiting.ask(json!({"type": "auth_token", "token": gateway.token("alice")})).await["success"], true);
    until("the place given back", async || gateway.connect(None).await.ok().map(drop)).await;
}

#[tokio::test]
async fn connections_are_bounded_and_a_reload_moves_the_bound() {
    let gateway = Gateway::start("max_connections = 1", "").await;
    let mut first = gateway.login(&gateway.token("alice")).await;
    let (status, body) = gateway.connect(Some(&gateway.token("bob"))).await.err().unwrap();
    assert!(status == 503 && body.contains("LIMIT_CONNECTIONS"), "{status} {body}");
    assert_eq!(gateway.get("/v1/balances", &gateway.token("bob")).await.0, 200, "REST takes no such place");
    gateway.reload("max_connections = 2", "").await;
    let mut second = gateway.login(&gateway.token("bob")).await;
    assert!(first.is_served().await && second.is_served().await && counted(&gateway.metrics().await, "connections"));
}

#[tokio::test]
async fn handshakes_have_a_pace() {
    let gateway = Gateway::start("max_handshakes_per_second = 1\nrefusal_delay_ms = 0", "").await;
    // Together, because one after the other they may be slow enough.
    let tries = join_all((0..20).map(|_| gateway.connect(None))).await;
    let (status, body) = tries.into_iter().find_map(Result::err).unwrap();
    assert!(status == 429 && body.contains("RATE_LIMITED"), "{status} {body}");
    assert!(counted(&gateway.metrics().await, "handshakes"));
    until("the next second", async || gateway.connect(None).await.ok().map(drop)).await;
}

#[tokio::test]
async fn one_address_cannot_take_every_handshake() {
    // Twenty at once for all, and five for one address.
    let gateway = Gateway::start("max_handshakes_per_second = 4\nrefusal_delay_ms = 0", "").await;
    let tries = join_all((0..20).map(|_| gateway.connect_with(&[("x-forwarded-for", "192.0.2.1")]))).await;
    let greedy = tries.iter().filter(|opened| opened.is_ok()).count();
    assert!((5..12).contains(&greedy), "{greedy}");
    assert!(gateway.connect_with(&[("x-forwarded-for", "192.0.2.2")]).await.is_ok());
    assert!(counted(&gateway.metrics().await, "handshakes"));
}

#[tokio::test]
async fn requests_have_a_pace_by_user() {
    let gateway = Gateway::start("max_requests_per_second = 1\nrequest_burst = 3\nrefusal_delay_ms = 0", "").await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let statuses = join_all((0..8).map(|_| gateway.get("/v1/accounts", &alice))).await;
    assert!(statuses.iter().any(|(status, ..)| *status == 200));
    let (_, headers, body) = statuses.iter().find(|(status, ..)| *status == 429).unwrap();
    assert!(headers["retry-after"] == "1" && body.contains("RATE_LIMITED"), "{body}");
    assert_eq!(gateway.get("/v1/balances", &bob).await.0, 200);
    assert!(counted(&gateway.metrics().await, "requests"));
}

#[tokio::test]
async fn a_flood_from_one_socket_is_slowed_and_others_are_served() {
    let gateway = Gateway::start("", "").await;
    let flooder = gateway.login(&gateway.token("alice")).await;
    let stranger = gateway.connect(None).await.unwrap();
    let mut bob = gateway.login(&gateway.token("bob")).await;
    let start = Instant::now();
    let ping = json!({"type": "ping"});
    let served = async {
        for _ in 0..10 {
            assert!(bob.is_served().await);
        }
    };
    let ((answers, code), (before_login, stranger_code), ()) =
        tokio::join!(flooder.flood(ping.clone()), stranger.flood(ping), served);
    assert_eq!((before_login, stranger_code), (16, 4204));
    // The burst, the refusals, and what is earned meanwhile; each refusal is followed by a moment in which nothing is read.
    let earned = 20 * start.elapsed().as_secs() as usize;
    assert!((200..1_000 + earned).contains(&answers) && code == 4204, "{answers} {code}");
    assert!(start.elapsed() >= Duration::from_millis(1_500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_storm_of_refusals_is_slowed_and_others_are_not() {
    // Held back for half of that at least.
    let gateway = Gateway::start("refusal_delay_ms = 6000", "").await;
    let start = Instant::now();
    let storm = async {
        join_all((0..80).map(|_| gateway.get("/v1/balances", "not-a-token"))).await;
        start.elapsed()
    };
    let quick = async {
        let spent = "client_auth_failures_total{reason=\"malformed\"} 80\n";
        until("the whole storm", async || gateway.metrics().await.contains(spent).then_some(())).await;
        let watch = Stopwatch::start();
        assert_eq!(gateway.get("/v1/balances", &gateway.token("alice")).await.0, 200);
        watch.elapsed()
    };
    let (storm, quick) = tokio::join!(storm, quick);
    assert!(storm >= Duration::from_secs(3), "nothing was held back: {storm:?}");
    assert!(quick < Duration::from_secs(3), "held back with the others: {quick:?}");
}

#[tokio::test]
async fn a_request_head_has_a_bound_and_a_socket_without_one_is_no_burden() {
    let gateway = Gateway::start("", "").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(gateway.addr).await.unwrap());
    }
    assert_eq!(gateway.get("/v1/balances", &gateway.token("alice")).await.0, 200);
    let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
    let head = format!("GET /v1/balances HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(64 << 10));
    // The answer may come, and the socket be closed, before all of it is written.
    _ = socket.write_all(head.as_bytes()).await;
    let mut answer = [0; 16];
    let read = soon("the refusal", socket.read(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(read.is_err() || text.starts_with("HTTP/1.1 431") || text.starts_with('\0'), "{text}");
    assert_eq!(gateway.get("/v1/balances", &gateway.token("alice")).await.0, 200);
}

#[tokio::test]
async fn a_socket_that_shows_no_token_in_time_is_closed() {
    let gateway = Gateway::start("auth_timeout_ms = 100", "").await;
    let mut client = gateway.connect(None).await.unwrap();
    assert_eq!(client.closed().await, 4102);
}
