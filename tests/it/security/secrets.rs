//! Known secrets, a gateway that logs everything, and venues that throw what they are told back at it: no output may hold one.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use balance_gateway::sim::{Fleet, FleetOptions, GatewayAccount};
use balance_gateway::venue::VENUES;
use serde_json::json;

use super::super::support::world::http;
use super::kit::{Client, beside, until};

/// What venues were sent, so that the test knows its faults were met.
type Heard = Arc<Mutex<Vec<String>>>;

/// A venue that answers every request and frame with an error that quotes it.
async fn echo(
    State(heard): State<Heard>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = format!("{} {} {:?}", parts.method, parts.uri, parts.headers);
    heard.lock().unwrap().push(head.clone());
    match upgrade {
        Ok(upgrade) => upgrade.on_upgrade(move |socket| repeat(socket, head, heard)),
        Err(_) => {
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let text = format!("{head} {}", String::from_utf8_lossy(&body));
            (axum::http::StatusCode::UNAUTHORIZED, json!({"error": text, "message": text}).to_string()).into_response()
        }
    }
}

async fn repeat(mut socket: WebSocket, head: String, heard: Heard) {
    _ = socket.send(Message::Text(json!({"type": "error", "message": head}).to_string().into())).await;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        heard.lock().unwrap().push(text.to_string());
        let answers = [
            text.to_string(),
            format!("garbage {text}"),
            json!({"event": "error", "type": "error", "code": 10_000, "msg": text.as_str(), "error": text.as_str()})
                .to_string(),
            json!(["error", 10_100, text.as_str()]).to_string(),
        ];
        for answer in answers {
            if socket.send(Message::Text(answer.into())).await.is_err() {
                return;
            }
        }
    }
}

/// The account with its secrets marked, at the echo.
fn account(account: &GatewayAccount, echo: SocketAddr) -> (String, Vec<String>) {
    let mut account = account.clone();
    (account.ws_url, account.rest_url) = (format!("ws://{echo}/ws"), format!("http://{echo}"));
    let mut secrets = Vec::new();
    for (name, value) in &mut account.credentials {
        // Tokens and keys that must have a shape keep it.
        let marked = if name == "jwt" { value.clone() } else { format!("MARKER-{name}-{value}") };
        secrets.push(marked.clone());
        *value = marked;
    }
    (account.to_toml("alice"), secrets)
}

struct Serve {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Serve {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Serve {
    fn start(config: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_balance-gateway"))
            .args(["serve", "--log-level", "trace", "--log-format", "json", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let gather = |stream: Box<dyn Read + Send>| {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            });
        };
        gather(Box::new(child.stdout.take().unwrap()));
        gather(Box::new(child.stderr.take().unwrap()));
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The address under that name in the line that says where it listens.
    fn address(&self, name: &str) -> Option<String> {
        let said = self.said();
        let (_, rest) = said.split_once(&format!("\"{name}\":\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn venues_that_quote_what_they_are_told_make_no_output_hold_a_secret() {
    balance_gateway::runtime::install_crypto();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let routes = Router::new().fallback(echo).with_state(Arc::clone(&heard));
    beside(async move { axum::serve(listener, routes).await.unwrap() });
    let fleet = Fleet::start(VENUES, FleetOptions { rate_hz: 0.0, ..FleetOptions::default() }).await.unwrap();
    let (blocks, secrets): (Vec<_>, Vec<_>) = fleet.gateway_accounts().iter().map(|given| account(given, address)).unzip();
    let mut secrets = secrets.concat();
    let (key, operator) = ("MARKER-tokens-0123456789abcdef0123456789", "MARKER-operator-0123456789abcdef");
    secrets.extend([key.to_owned(), operator.to_owned()]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token = \"{operator}\"\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"{key}\"\n{}",
        blocks.join("")
    );
    std::fs::write(&file, text).unwrap();
    let token = Command::new(env!("CARGO_BIN_EXE_balance-gateway"))
        .args(["token", "--sub", "alice", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    assert_eq!(token.split('.').count(), 3);
    secrets.push(token.rsplit('.').next().unwrap().to_owned());

    let gateway = Serve::start(&file);
    let listen = until("the line that says where it listens", async || gateway.address("listen")).await;
    let admin = gateway.address("admin").unwrap();
    // Every venue was dialed, and the secrets that travel in the clear came back in an error.
    let venues = fleet.gateway_accounts().len();
    until("every venue's fault", async || {
        let upgrades = heard.lock().unwrap().iter().filter(|text| text.contains("\"upgrade\": \"websocket\"")).count();
        (upgrades >= venues).then_some(())
    })
    .await;
    until("a secret sent and thrown back", async || {
        heard.lock().unwrap().iter().any(|text| text.contains("MARKER-api_key")).then_some(())
    })
    .await;

    let http = http();
    let mut outputs = Vec::new();
    for (method, url, bearer) in [
        ("GET", format!("http://{listen}/v1/balances"), token.as_str()),
        ("GET", format!("http://{listen}/v1/accounts"), &token),
        ("GET", format!("http://{listen}/v1/orders"), &token),
        ("GET", format!("http://{listen}/v1/balances"), &format!("{token}x")),
        ("GET", format!("http://{listen}/v1/nowhere?token={token}"), &token),
        ("GET", format!("http://{admin}/health/ready"), ""),
        ("GET", format!("http://{admin}/metrics"), ""),
        ("POST", format!("http://{admin}/admin/reload"), operator),
        ("POST", format!("http://{admin}/admin/reload"), &format!("{operator}x")),
        ("POST", format!("http://{admin}/admin/accounts/bfx/resync"), operator),
    ] {
        let request = http.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), url).bearer_auth(bearer);
        let answer = request.send().await.unwrap();
        outputs.push(format!("{:?}", answer.headers()));
        outputs.push(String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap());
    }
    let mut client = Client::connect(&format!("ws://{listen}/v1/ws"), &[]).await.unwrap();
    outputs.push(client.ask(json!({"type": "auth_token", "token": token})).await.to_string());
    outputs.push(client.ask(json!({"type": "subscribe", "channel": "user:balances"})).await.to_string());
    outputs.push(client.frame().await.to_string());
    outputs.push(client.ask(json!({"type": "auth_token", "token": format!("{token}x")})).await.to_string());
    outputs.push(gateway.said());
    assert!(outputs.last().unwrap().len() > 1_000, "it logs everything");
    for output in &outputs {
        for secret in &secrets {
            let (start, _) = secret.split_at(secret.len().min(24));
            assert!(!output.contains(start), "a secret is shown: {}", output.chars().take(3_000).collect::<String>());
        }
        assert!(!output.contains("MARKER"), "{}", output.chars().take(3_000).collect::<String>());
    }
}
