//! Tokens that are revoked: new ones are refused, and sockets that live on one are closed within two seconds.

use std::time::Duration;

use balance_gateway::access::{self, Claims, KeyConfig};
use balance_gateway::model::UnixMs;
use serde_json::json;
use tempfile::TempDir;

use super::super::support::process::Process;
use super::kit::{Gateway, Stopwatch, now_ms, soon, until};

/// The contract's bound, from the operator's request to the close at the client.
const BOUND: Duration = Duration::from_secs(2);

#[tokio::test]
async fn revoking_a_user_closes_every_socket_of_that_user_and_no_other() {
    let gateway = Gateway::start("", "").await;
    let token = gateway.token("alice");
    let (mut idle, mut subscribed, mut bob) =
        (gateway.login(&token).await, gateway.login(&token).await, gateway.login(&gateway.token("bob")).await);
    let frame = subscribed.ask(json!({"type": "subscribe", "channel": "user:balances"})).await;
    assert_eq!(frame["type"], "subscribed");
    let watch = Stopwatch::start();
    let (status, body) = gateway.operate("revoke", r#"{"user": "alice"}"#).await;
    assert_eq!((status, &body["revoked"], &body["held"]), (200, &json!(true), &json!(1)));
    assert_eq!((idle.closed().await, subscribed.closed().await), (4104, 4104));
    assert!(watch.elapsed() < BOUND, "{:?}", watch.elapsed());
    assert!(bob.is_served().await);

    let (status, _, body) = gateway.get("/v1/balances", &token).await;
    assert!(status == 401 && body.contains("TOKEN_INVALID"), "{status} {body}");
    assert_eq!(gateway.connect(Some(&token)).await.err().unwrap().0, 401);
    let mut by_frame = gateway.connect(None).await.unwrap();
    let result = by_frame.ask(json!({"type": "auth_token", "token": token})).await;
    assert_eq!((&result["error"]["code"], by_frame.closed().await), (&json!("TOKEN_INVALID"), 4104));

    // A token issued afterwards is another matter, also after a reload; the old one stays revoked.
    let fresh = gateway.token_at("alice", None, now_ms() + 2_000);
    gateway.reload("", "").await;
    assert_eq!((gateway.get("/v1/balances", &fresh).await.0, gateway.get("/v1/balances", &token).await.0), (200, 401));
    assert!(gateway.metrics().await.contains("client_auth_failures_total{reason=\"revoked\"}"));
}

#[tokio::test]
async fn a_socket_in_the_middle_of_a_renewal_is_closed_too() {
    let gateway = Gateway::start("", "").await;
    let old = gateway.token_at("alice", None, now_ms() - 60_000);
    let mut client = gateway.login(&old).await;
    let renewed = gateway.token_at("alice", None, now_ms() - 30_000);
    assert_eq!(client.ask(json!({"type": "auth_token", "token": renewed})).await["success"], true);
    let before = now_ms() - 45_000;
    gateway.operate("revoke", &json!({"user": "alice", "issued_before": before}).to_string()).await;
    assert!(client.is_served().await, "it lives on a token issued later");
    gateway.operate("revoke", &json!({"user": "alice", "issued_before": now_ms()}).to_string()).await;
    assert_eq!(client.closed().await, 4104);
}

#[tokio::test]
async fn taking_a_signing_key_away_closes_the_sockets_that_live_on_it_and_no_other() {
    let secret = "leaked-tokens-0123456789abcdef0123456789";
    let section = |kid| format!("[[access.keys]]\nalgorithm = \"HS256\"\nkid = \"{kid}\"\nsecret = \"{secret}\"\n");
    let gateway = Gateway::start("", &section("leaked")).await;
    let key = KeyConfig {
        algorithm: "HS256".into(),
        kid: Some("leaked".into()),
        secret: Some(secret.to_owned().into()),
        public_key: None,
    };
    // Whoever has the key chooses the user and the end, so neither a revocation by user nor the expiry helps.
    let claims = Claims { user: "mallory", accounts: None, issued_at: UnixMs(now_ms()), ttl_ms: 365 * 24 * 3_600_000 };
    let forged = access::sign(&access::Config::default(), &key, &claims).unwrap();
    let (mut idle, mut subscribed) = (gateway.login(&forged).await, gateway.login(&forged).await);
    let mut alice = gateway.login(&gateway.token("alice")).await;
    assert_eq!(subscribed.ask(json!({"type": "subscribe", "channel": "user:balances"})).await["type"], "subscribed");
    // The same key under another name: what it opened stays.
    gateway.reload("", &section("renamed")).await;
    assert!(idle.is_served().await);
    gateway.reload("", "").await;
    assert_eq!((idle.closed().await, subscribed.closed().await), (4104, 4104));
    assert!(alice.is_served().await);
}

#[tokio::test]
async fn only_an_operator_revokes_and_only_what_is_named_in_full() {
    let gateway = Gateway::start("", "").await;
    let mut alice = gateway.login(&gateway.token("alice")).await;
    let body = r#"{"user": "alice"}"#;
    let users_own = gateway.token("alice");
    for token in [None, Some(""), Some("wrong"), Some(users_own.as_str())] {
        assert_eq!(gateway.operate_as(token, "revoke", body).await.0, 401);
    }
    let wrong = [
        "",
        "[]",
        "{}",
        r#"{"usr": "alice"}"#,
        r#"{"user": "alice", "jti": "x"}"#,
        r#"{"jti": "x", "issued_before": 1}"#,
        r#"{"user": ""}"#,
        r#"{"jti": ""}"#,
    ];
    for body in wrong {
        assert_eq!(gateway.operate("revoke", body).await.0, 400, "{body}");
    }
    assert_eq!(gateway.operate("revoke", r#"{"jti": "somebody-elses", "expires_at": 1}"#).await.0, 200);
    assert!(alice.is_served().await);
}

/// What a crash leaves of a state directory, and the line that names it. It is a copy: the first gateway still has the other one.
fn left_behind(dir: &TempDir) -> (TempDir, String) {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let line = state_dir(&copy);
    (copy, line)
}

fn state_dir(dir: &TempDir) -> String {
    format!("state_dir = \"{}\"\n", dir.path().display())
}

#[tokio::test]
async fn a_revocation_outlives_the_process_where_there_is_a_place_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let start = async |state: &str| Gateway::start_under(state, "", "").await;
    let first = start(&state_dir(&dir)).await;
    let (alice, bob) = (first.token("alice"), first.token("bob"));
    let (status, body) = first.operate("revoke", r#"{"user": "alice"}"#).await;
    assert_eq!((status, body), (200, json!({"revoked": true, "held": 1, "kept": true})));
    let (dir, state) = left_behind(&dir);
    let second = start(&state).await;
    assert_eq!((second.get("/v1/accounts", &alice).await.0, second.get("/v1/accounts", &bob).await.0), (401, 200));

    // Elsewhere it ends with the process, and the operator is told so.
    let elsewhere = start("").await;
    assert_eq!(elsewhere.get("/v1/accounts", &alice).await.0, 200);
    assert_eq!(elsewhere.operate("revoke", r#"{"user": "alice"}"#).await.1["kept"], false);
    assert_eq!(elsewhere.get("/v1/accounts", &alice).await.0, 401);

    // What cannot be written is in force all the same, and nobody is told that it is kept.
    std::fs::create_dir(dir.path().join("balance-gateway.revoked.new")).unwrap();
    let (status, body) = second.operate("revoke", r#"{"user": "bob"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("NOT_KEPT")));
    assert_eq!(second.get("/v1/accounts", &bob).await.0, 401);
}

#[tokio::test]
async fn without_the_revocations_of_the_last_run_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let first = Gateway::start_under(&state_dir(&dir), "", "").await;
    assert_eq!(first.operate("revoke", r#"{"user": "alice"}"#).await.0, 200);
    let (dir, state) = left_behind(&dir);
    let file = dir.path().join("balance-gateway.revoked");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let config = dir.path().join("gateway.toml");
    std::fs::write(&config, &state).unwrap();
    let free = [("BALANCE_GATEWAY__SERVER__LISTEN", "127.0.0.1:0"), ("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", "127.0.0.1:0")];
    let (code, said) = Process::start(&["serve", "--config", config.to_str().unwrap()], &free).ended().await;
    assert!(code == Some(70) && said.contains("balance-gateway.revoked") && said.contains("remove it"), "{code:?} {said}");
    std::fs::remove_file(&file).unwrap();
    Gateway::start_under(&state, "", "").await;
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_too() {
    // Many accounts make a large snapshot; asked for again and again, and never read, it fills every buffer on the way.
    let account = |n| format!("[[accounts]]\nid = \"{n:0>64}\"\nvenue = \"p99\"\nenabled = false\nowners = [\"alice\"]\n");
    let accounts: String = (0..2_000).map(account).collect();
    let gateway = Gateway::start("", &accounts).await;
    let mut client = gateway.login(&gateway.token("alice")).await;
    client.send(json!({"type": "subscribe", "channel": "user:balances"})).await;
    for _ in 0..80 {
        client.send(json!({"type": "resync", "channel": "user:balances"})).await;
    }
    // Stuck: nothing more is written. A socket that takes something takes it within one of many looks at the counter.
    let mut before = (None, 0);
    until("full buffers", async || {
        let metrics = gateway.metrics().await;
        let bytes = metrics.lines().find(|line| line.contains("client_bytes_total ")).map(str::to_owned);
        before = if bytes == before.0 { (bytes, before.1 + 1) } else { (bytes, 0) };
        (before.0.is_some() && before.1 >= 25).then_some(())
    })
    .await;
    let watch = Stopwatch::start();
    gateway.operate("revoke", r#"{"user": "alice"}"#).await;
    until("the close", async || gateway.metrics().await.contains("client_closes_total{code=\"4104\"} 1").then_some(())).await;
    assert!(watch.elapsed() < BOUND, "{:?}", watch.elapsed());
    // It reads again. What the sockets held comes, the frame that was begun, the close, and nothing of what was to follow.
    assert_eq!(client.closed().await, 4104);
    let bytes = |line: &str| line.rsplit(' ').next().and_then(|bytes| bytes.parse::<u64>().ok());
    let metrics = gateway.metrics().await;
    let after = metrics.lines().find(|line| line.contains("client_bytes_total ")).and_then(bytes);
    let told = after.zip(before.0.as_deref().and_then(bytes)).map(|(after, before)| after - before);
    assert!(told.is_some_and(|told| told < 70_000), "{told:?} bytes were written after the token was revoked");
}

#[tokio::test]
async fn an_event_stream_shows_what_its_user_may_see_and_ends_when_the_token_is_revoked() {
    let account = |id: &str, owner: &str| {
        format!("[[accounts]]\nid = \"{id}\"\nvenue = \"p99\"\nenabled = false\nowners = [\"{owner}\"]\n")
    };
    let gateway = Gateway::start("", &(account("alices", "alice") + &account("bobs", "bob"))).await;
    let stream = async |filter: &str| {
        let url = format!("http://{}/v1/stream/balances{filter}", gateway.addr);
        let answer = gateway.http.get(url).bearer_auth(gateway.token("alice")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer
    };
    let (mut all, mut forbidden, mut absent) =
        (stream("").await, stream("?accounts=bobs").await, stream("?accounts=none").await);
    for (stream, sees) in [(&mut all, true), (&mut forbidden, false), (&mut absent, false)] {
        let text = first_snapshot(stream).await;
        assert!(text.contains("alices") == sees && !text.contains("bobs"), "{text}");
    }
    gateway.operate("revoke", r#"{"user": "alice"}"#).await;
    let rest = soon("the end of the stream", async {
        let mut rest = String::new();
        while let Some(chunk) = all.chunk().await.unwrap() {
            rest.push_str(&String::from_utf8_lossy(&chunk));
        }
        rest
    })
    .await;
    assert!(rest.contains("TOKEN_INVALID"), "{rest}");
}

/// What an event stream says up to and with its first snapshot.
async fn first_snapshot(stream: &mut reqwest::Response) -> String {
    let mut text = String::new();
    while !(text.contains("event: snapshot") && text.ends_with("\n\n")) {
        text.push_str(&String::from_utf8_lossy(&soon("an event", stream.chunk()).await.unwrap().unwrap()));
    }
    text
}
