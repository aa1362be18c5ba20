//! TLS on both listeners and towards venues: certificates that change under open connections, and who is trusted.

use std::net::SocketAddr;
use std::path::Path;

use balance_gateway::runtime::{client_tls, server_tls};
use balance_gateway::sim::{Fleet, FleetOptions};
use balance_gateway::venue::VENUES;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::super::support::process::Process;
use super::kit::{Gateway, beside, soon, until};

/// Puts a new self-signed certificate for `localhost` and its key in place; the certificate is its own root.
fn certify(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
}

fn section(name: &str, dir: &Path) -> String {
    format!(
        "[server.{name}]\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        dir.join("cert.pem").display(),
        dir.join("key.pem").display()
    )
}

/// A connection by whoever trusts the certificate in `dir` as it is now; `None`: another one was shown, or none.
async fn dial(addr: SocketAddr, dir: &Path) -> Option<TlsStream<TcpStream>> {
    let tls = client_tls(Some(&dir.join("cert.pem"))).unwrap();
    let stream = TcpStream::connect(addr).await.unwrap();
    let connecting = TlsConnector::from(tls).connect("localhost".try_into().unwrap(), stream);
    soon("a handshake", connecting).await.ok()
}

async fn login(gateway: &Gateway, dir: &Path) -> Option<WebSocketStream<TlsStream<TcpStream>>> {
    let mut request = format!("wss://localhost:{}/v1/ws", gateway.addr.port()).into_client_request().unwrap();
    let bearer = format!("Bearer {}", gateway.token("alice"));
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let stream = dial(gateway.addr, dir).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(next(&mut socket).await["success"], true);
    Some(socket)
}

async fn next(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> Value {
    loop {
        if let Message::Text(text) = soon("a frame", socket.next()).await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn is_served(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> bool {
    socket.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    next(socket).await["type"] == "pong"
}

#[tokio::test]
async fn both_listeners_speak_tls_and_a_renewed_certificate_drops_nobody() {
    balance_gateway::runtime::install_crypto();
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().to_path_buf();
    certify(&files);
    let rest = section("tls", &files) + &section("admin_tls", &files);
    let gateway = Gateway::start_in(dir, "", &rest).await;
    assert!(dial(gateway.admin, &files).await.is_some());
    let metrics = format!("https://localhost:{}/metrics", gateway.admin.port());
    let metrics = gateway.http.get(metrics).send().await.unwrap().text().await.unwrap();
    for listener in ["clients", "operators"] {
        assert!(metrics.contains(&format!("tls_expiry_timestamp_seconds{{listener=\"{listener}\"}} ")), "{metrics}");
    }
    let mut early = login(&gateway, &files).await.unwrap();
    // Plain text is not understood, and does no harm.
    assert!(gateway.http.get(format!("http://{}/v1/balances", gateway.addr)).send().await.is_err());
    let https = format!("https://localhost:{}/nowhere", gateway.addr.port());
    let answer = gateway.http.get(https).send().await.unwrap();
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");

    certify(&files);
    let mut late = until("the renewed certificate", async || login(&gateway, &files).await).await;
    assert!(is_served(&mut early).await && is_served(&mut late).await);

    // What is broken replaces nothing.
    let good = std::fs::read(files.join("cert.pem")).unwrap();
    std::fs::write(files.join("cert.pem"), "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    let reload = format!("https://localhost:{}/admin/reload", gateway.admin.port());
    let answer = gateway.http.post(reload).bearer_auth(super::kit::OPERATOR).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    std::fs::write(files.join("cert.pem"), good).unwrap();
    assert!(login(&gateway, &files).await.is_some() && is_served(&mut early).await);
}

#[tokio::test]
async fn silent_sockets_keep_nobody_from_shaking_hands() {
    balance_gateway::runtime::install_crypto();
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().to_path_buf();
    certify(&files);
    let gateway = Gateway::start_in(dir, "", &section("tls", &files)).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(gateway.addr).await.unwrap());
    }
    // Waited for one after the other, 10 s each, they would take longer than any test waits.
    assert!(login(&gateway, &files).await.is_some());
}

#[tokio::test]
async fn much_goes_both_ways_over_tls_and_a_slow_reader_gets_all_of_it() {
    balance_gateway::runtime::install_crypto();
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().to_path_buf();
    certify(&files);
    let account = |n| format!("[[accounts]]\nid = \"{n:0>64}\"\nvenue = \"p99\"\nenabled = false\nowners = [\"alice\"]\n");
    let accounts: String = (0..1_000).map(account).collect();
    let gateway = Gateway::start_in(dir, "", &(section("tls", &files) + &accounts)).await;
    let mut socket = login(&gateway, &files).await.unwrap();
    // More than one read's worth of requests at once, in few records.
    for n in 0..50 {
        let id = format!("{n:0>100}");
        socket.feed(Message::text(json!({"type": "ping", "id": id}).to_string())).await.unwrap();
    }
    socket.flush().await.unwrap();
    for n in 0..50 {
        assert_eq!(next(&mut socket).await["id"], format!("{n:0>100}"));
    }
    socket.feed(Message::text(json!({"type": "subscribe", "channel": "user:balances"}).to_string())).await.unwrap();
    for _ in 0..40 {
        socket.feed(Message::text(json!({"type": "resync", "channel": "user:balances"}).to_string())).await.unwrap();
    }
    socket.flush().await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "subscribed");
    for _ in 0..41 {
        let (mut part, mut parts, mut accounts) = (0, 1, 0);
        while part < parts {
            let frame = next(&mut socket).await;
            assert_eq!(frame["type"], "snapshot", "{frame}");
            parts = frame["parts"].as_u64().unwrap_or(1);
            part = frame["part"].as_u64().unwrap_or(1);
            accounts += frame["accounts"].as_array().unwrap().len();
        }
        assert_eq!(accounts, 1_000);
    }
    assert!(is_served(&mut socket).await);
}

/// Exit code and words of `health`.
async fn health(args: &[&str]) -> (Option<i32>, String) {
    Process::start(&[&["health", "--timeout", "1m"], args].concat(), &[]).ended().await
}

#[tokio::test]
async fn a_health_check_knows_the_configured_certificate_and_takes_no_other() {
    balance_gateway::runtime::install_crypto();
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().to_path_buf();
    // As it is in a container: the certificate's name is not the one that is asked.
    let made = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    std::fs::write(files.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(files.join("cert.pem"), made.cert.pem()).unwrap();
    let gateway = Gateway::start_in(dir, "", &section("admin_tls", &files)).await;
    let server = format!("[server]\nadmin_listen = \"0.0.0.0:{}\"\n", gateway.admin.port());
    let config = files.join("health.toml");
    // What is wrong elsewhere in the file is not the running gateway's illness.
    std::fs::write(&config, format!("{server}{}[access]\nno_such_key = 1\n", section("admin_tls", &files))).unwrap();
    let config = config.to_str().unwrap();
    assert_eq!(health(&["--config", config]).await, (Some(0), "ready".to_owned()));

    let url = format!("https://127.0.0.1:{}/", gateway.admin.port());
    let cert = files.join("cert.pem");
    for args in [&["--url", &url][..], &["--url", &url, "--ca-file", cert.to_str().unwrap()]] {
        let (code, text) = health(args).await;
        assert!(code == Some(1) && text.contains("does not answer"), "neither its issuer nor its name is good: {text}");
    }
    certify(&files);
    until("the renewed certificate", async || dial(gateway.admin, &files).await).await;
    assert_eq!(health(&["--config", config]).await.0, Some(0));
    let url = format!("https://localhost:{}/", gateway.admin.port());
    assert_eq!(health(&["--url", &url, "--ca-file", cert.to_str().unwrap()]).await.0, Some(0));

    // Whoever else sits on the port is not our gateway.
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    let config = other.path().join("health.toml");
    std::fs::write(&config, server + &section("admin_tls", other.path())).unwrap();
    assert_eq!(health(&["--config", config.to_str().unwrap()]).await.0, Some(1));
}

/// Speaks TLS in front of a plain port.
async fn encrypt(target: SocketAddr, dir: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(server_tls(&dir.join("cert.pem"), &dir.join("key.pem")).unwrap());
    beside(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            beside(async move {
                let (Ok(mut near), Ok(mut far)) = (acceptor.accept(stream).await, TcpStream::connect(target).await) else {
                    return;
                };
                _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_venue_is_trusted_for_its_certificate_alone() {
    balance_gateway::runtime::install_crypto();
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().to_path_buf();
    certify(&files);
    let fleet = Fleet::start(VENUES, FleetOptions { rate_hz: 0.0, ..FleetOptions::default() }).await.unwrap();
    let account = &fleet.gateway_accounts()[0];
    let plain = reqwest::Url::parse(&account.ws_url).unwrap();
    let target = SocketAddr::from(([127, 0, 0, 1], plain.port().unwrap()));
    let port = encrypt(target, &files).await;
    let mut encrypted = account.clone();
    for (url, scheme) in [(&mut encrypted.ws_url, "wss"), (&mut encrypted.rest_url, "https")] {
        let (_, path) = url.split_once("://").unwrap().1.split_once('/').unwrap_or_default();
        *url = format!("{scheme}://localhost:{port}/{path}").trim_end_matches('/').to_owned();
    }
    let block = encrypted.to_toml("alice");
    let state = async |gateway: &Gateway| {
        let (_, _, body) = gateway.get("/v1/accounts", &gateway.token("alice")).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        body["accounts"][0].clone()
    };
    let stranger = Gateway::start("", &block).await;
    until("the refusal of a certificate nobody vouches for", async || {
        let account = state(&stranger).await;
        assert_ne!(account["state"], "live");
        (account["reason"]["code"] != json!(null)).then_some(())
    })
    .await;
    let trusting = format!("[upstream]\nca_file = \"{}\"\n{block}", files.join("cert.pem").display());
    let friend = Gateway::start("", &trusting).await;
    until("the account live over TLS", async || (state(&friend).await["state"] == "live").then_some(())).await;
    assert_ne!(state(&stranger).await["state"], "live");
    drop(fleet);
}
