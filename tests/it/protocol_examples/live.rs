//! Frames of a real gateway against the simulated venues, over real sockets: at least one of every kind that the page shows.
//!
//! Asserts nothing itself; it waits for what must come and says what did not.

use std::time::SystemTime;

use balance_gateway::access::{self, Claims};
use balance_gateway::app::App;
use balance_gateway::config::Config;
use balance_gateway::model::UnixMs;
use balance_gateway::runtime::{Policy, Tasks};
use balance_gateway::sim::{Fleet, FleetOptions};
use balance_gateway::venue::VENUES;
use balance_gateway::venue::sim::Move;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::contract::content_type;
use crate::support::soon;
use crate::support::world::http;

/// Rows enough for a snapshot in parts.
const MANY: usize = 400;

/// What went over the wires.
#[derive(Default)]
pub struct Traffic {
    pub requests: Vec<Value>,
    pub frames: Vec<Value>,
    /// Path, status, content type, body.
    pub answers: Vec<(String, u16, String, String)>,
}

impl Traffic {
    /// Every frame and every HTTP answer.
    pub fn objects(mut self) -> Vec<Value> {
        let answers = self.answers.iter().map(|(.., body)| serde_json::from_str(body).expect("an answer is JSON"));
        self.frames.extend(answers);
        self.frames
    }
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    seen: Vec<Value>,
    asked: Vec<Value>,
}

impl Client {
    async fn connect(url: &str) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect("the gateway listens");
        Self { socket, seen: Vec::new(), asked: Vec::new() }
    }

    async fn send(&mut self, request: Value) {
        self.socket.send(Message::text(request.to_string())).await.expect("the socket is open");
        self.asked.push(request);
    }

    /// Keeps every frame up to the first that is `wanted`.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let wait = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame: Value = serde_json::from_str(&text).expect("a frame is JSON");
                        let found = wanted(&frame);
                        self.seen.push(frame);
                        if found {
                            return;
                        }
                    }
                    Some(Ok(_)) => {}
                    end => panic!("the socket ended before {what}: {end:?}"),
                }
            }
        };
        soon(what, wait).await;
    }

    async fn until_type(&mut self, kind: &str) {
        self.until(kind, |frame| frame["type"] == kind).await;
    }

    async fn until_row(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        self.until(what, |frame| frame["balances"].as_array().is_some_and(|rows| rows.iter().any(&wanted))).await;
    }
}

fn config(fleet: &Fleet) -> Config {
    let mut text = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nheartbeat_ms = 1000\n\
                    [[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
        .to_owned();
    fleet.gateway_accounts().iter().for_each(|account| text.push_str(&account.to_toml("alice")));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("it can be written");
    Config::load(Some(file.path()), []).unwrap_or_else(|why| panic!("{why}"))
}

fn token(config: &Config, age_ms: i64, ttl_ms: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let claims = Claims { user: "alice", accounts: None, issued_at: UnixMs(now - age_ms), ttl_ms };
    access::sign(&config.access, &config.access.keys[0], &claims).expect("a symmetric key signs")
}

fn moved(fleet: &Fleet, venue: &str, movement: Value) {
    let movement: Move = serde_json::from_value(movement).expect("a movement");
    fleet.server(venue).expect("the venue is simulated").moves(&movement).expect("the movement is possible");
}

fn fault(fleet: &Fleet, venue: &str, fault: &str) {
    fleet.server(venue).expect("the venue is simulated").fault(fault).expect("the fault is known");
}

/// Everything seen.
pub async fn traffic() -> Traffic {
    let fleet = Fleet::start(VENUES, FleetOptions { rate_hz: 0.0, ..FleetOptions::default() }).await.expect("the fleet starts");
    let config = config(&fleet);
    let (good, short, old) = (token(&config, 0, 600_000), token(&config, 0, 30_000), token(&config, 600_000, 60_000));
    let app = App::bind(config).await.expect("the gateway starts");
    let (host, stop, tasks) = (app.addr().to_string(), app.stop_token(), Tasks::new());
    tasks.spawn("gateway", Policy::Detached, async move { app.run().await.expect("the gateway ends well") });
    let url = format!("ws://{host}/v1/ws");

    let mut traffic = Traffic { frames: refusals(&url, &short, &old).await, ..Traffic::default() };
    let mut client = Client::connect(&url).await;
    client.send(json!({"type":"auth_token","id":1,"token":good})).await;
    client.send(json!({"type":"subscribe","id":2,"channel":"user:balances"})).await;
    client.until("complete state", |frame| frame["complete"] == true).await;
    balances(&mut client, &fleet).await;
    requests(&mut client, &fleet).await;
    traffic.answers = answers(&format!("http://{host}"), &good).await;
    stop.cancel();
    client.until_type("draining").await;
    traffic.frames.append(&mut client.seen);
    // One is wrong on purpose.
    traffic.requests = client.asked.into_iter().filter(|request| request["channel"] != "user:futures").collect();
    tasks.wait().await;
    fleet.stop().await;
    traffic
}

async fn refusals(url: &str, short: &str, old: &str) -> Vec<Value> {
    let mut client = Client::connect(url).await;
    client.send(json!({"type":"auth_token","id":1,"token":old})).await;
    client.until("refusal", |frame| frame["success"] == false).await;
    let mut other = Client::connect(url).await;
    other.send(json!({"type":"auth_token","token":short})).await;
    other.until_type("auth_expiring").await;
    client.seen.append(&mut other.seen);
    client.seen
}

async fn balances(client: &mut Client, fleet: &Fleet) {
    let order = |name: &str| json!({"move":name,"account":"bfx-main","wallet":"exchange","order":"1","spend":"USD"});
    let with = |mut base: Value, more: Value| {
        base.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        base
    };
    moved(fleet, "bitfinex", with(order("place"), json!({"amount":"78"})));
    let fill = json!({"spent":"78","gain":"BTC","gained":"0.01","fee":"0.00001","price":"7800","done":true});
    moved(fleet, "bitfinex", with(order("fill"), fill));
    client
        .until_row("trade with the venue's own words", |row| row["cause"]["venue"].is_object() && row["available"].is_string())
        .await;
    // It is not told again meanwhile, or a reader that comes late would never see that it was withdrawn.
    fault(fleet, "bitfinex", "calc_silence");
    fault(fleet, "bitfinex", "null_available");
    moved(fleet, "bitfinex", with(order("place"), json!({"amount":"5"})));
    client.until_row("withdrawn availability", |row| row["last_known"].is_object()).await;

    let set = |account: &str, wallet: &str, asset: &str, available: &str, locked: &str| json!({"move":"set","account":account,"wallet":wallet,"asset":asset,"available":available,"locked":locked});
    moved(fleet, "p99", set("p99-main", "spot", "DF", "9975.1", "124.9"));
    moved(fleet, "moonbase", set("moon-main", "1000004", "ETH", "0", "0"));
    moved(fleet, "moonbase", set("moon-main", "1000004", "BTC", "1", "0"));
    client.until_row("vanished asset", |row| row["basis"]["total"] == "absent").await;
    for n in 0..MANY {
        moved(fleet, "p99", set("p99-main", "spot", &format!("T{n}"), "7", "0"));
    }
    let last = format!("T{}", MANY - 1);
    client.until_row("the last of many rows", |row| row["asset"] == last.as_str()).await;
}

async fn requests(client: &mut Client, fleet: &Fleet) {
    client.send(json!({"type":"resync","id":"r1","channel":"user:balances"})).await;
    client.until("snapshot in parts", |frame| frame["parts"].is_number() && frame["part"] == frame["parts"]).await;
    let filter = json!({"venues":["bitfinex"]});
    client.send(json!({"type":"subscribe","channel":"user:balances","filter":filter})).await;
    client.until("whole snapshot", |frame| frame["type"] == "snapshot" && frame["part"].is_null()).await;
    client.until_type("heartbeat").await;
    client.send(json!({"type":"ping","id":3})).await;
    client.send(json!({"type":"pong"})).await;
    client.send(json!({"type":"subscribe","id":4,"channel":"user:futures"})).await;
    client.until_type("error").await;
    client.send(json!({"type":"subscribe","channel":"user:balances"})).await;
    client.until_type("snapshot").await;
    fault(fleet, "p99", "refuse");
    fault(fleet, "p99", "disconnect");
    client.until_row("stale row", |row| row["venue"] == "p99" && row["state"] == "stale").await;
    fault(fleet, "p99", "heal");
    client.send(json!({"type":"unsubscribe","id":"u1","channel":"user:balances"})).await;
    client.until_type("unsubscribed").await;

    let address =
        &fleet.gateway_accounts().iter().find(|a| a.venue == "synthesis").expect("it is simulated").wallets[0].address;
    let order = json!({"move":"place","account":"syn-main","wallet":address,"order":"77","spend":"USDC.e","amount":"4.03"});
    client.send(json!({"type":"subscribe","channel":"user:orders"})).await;
    client.until_type("snapshot").await;
    moved(fleet, "synthesis", order);
    client.until("order", |frame| frame["orders"].as_array().is_some_and(|orders| !orders.is_empty())).await;
    let filter = json!({"accounts":["syn-main"]});
    client.send(json!({"type":"subscribe","channel":"user:orders","filter":filter})).await;
    client.until_type("snapshot").await;
}

async fn answers(base: &str, token: &str) -> Vec<(String, u16, String, String)> {
    let http = http();
    let mut seen = Vec::new();
    for path in ["/v1/balances", "/v1/accounts", "/v1/orders"] {
        for bearer in [Some(token), None] {
            let mut request = http.get(format!("{base}{path}"));
            if let Some(token) = bearer {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.expect("an answer");
            let (status, kind) = (answer.status().as_u16(), content_type(answer.headers()));
            seen.push((path.to_owned(), status, kind, answer.text().await.expect("a body")));
        }
    }
    seen
}
