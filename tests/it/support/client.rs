//! A client of the public protocol that keeps what it is told and checks every promise about order on the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use balance_gateway::model::Amount;
use balance_gateway::venue::sim::Book;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{contract, soon};

pub const BALANCES: &str = "user:balances";
pub const ORDERS: &str = "user:orders";

/// What a client holds of one channel.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Held {
    pub epoch: String,
    pub gsn: u64,
    pub complete: bool,
    /// By account.
    pub accounts: BTreeMap<String, Value>,
    /// By account, and then wallet and asset, or order.
    pub rows: BTreeMap<(String, String, String), Value>,
    /// Parts of a snapshot that is not whole yet.
    parts: Vec<Value>,
}

/// What may come over the socket.
#[derive(Debug)]
pub enum Came {
    Frame(Value),
    /// A close frame's code; `None`: the socket ended without one.
    Close(Option<u16>),
}

/// One connection.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    pub held: BTreeMap<String, Held>,
    subscribed: bool,
}

impl Client {
    /// Connects; with `token`, shows it in the upgrade. The refusal's status where there is one.
    pub async fn connect(addr: SocketAddr, token: Option<&str>) -> Result<Self, u16> {
        Self::over(TcpSocket::new_v4().unwrap(), addr, token).await
    }

    /// Connects if it is let in: `None` while the gateway is away or refuses.
    pub async fn dial(addr: SocketAddr, token: &str) -> Option<Self> {
        let stream = soon("an answer", TcpStream::connect(addr)).await.ok()?;
        let mut request = format!("ws://{addr}/v1/ws").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = soon("the upgrade", tokio_tungstenite::client_async(request, stream)).await.ok()?;
        Some(Self { socket, held: BTreeMap::new(), subscribed: false })
    }

    /// A connection whose kernel takes only a little before the reader does.
    pub async fn narrow(addr: SocketAddr, token: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        Self::over(socket, addr, Some(token)).await.unwrap()
    }

    async fn over(socket: TcpSocket, addr: SocketAddr, token: Option<&str>) -> Result<Self, u16> {
        let mut request = format!("ws://{addr}/v1/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "balances.v1".parse().unwrap());
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let stream = soon("a connection", socket.connect(addr)).await.unwrap();
        match soon("the upgrade", tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self { socket, held: BTreeMap::new(), subscribed: false }),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects and authenticates by frame.
    pub async fn login(addr: SocketAddr, token: &str) -> Self {
        let mut client = Self::connect(addr, None).await.unwrap();
        let result = client.ask(json!({ "type": "auth_token", "token": token })).await;
        assert_eq!((&result["type"], &result["success"]), (&json!("auth_result"), &json!(true)), "{result}");
        client
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        soon("room to write", self.socket.send(message)).await.unwrap();
    }

    /// Sends and takes the next frame.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.frame().await
    }

    /// The next frame or the end. Frames of a channel are taken in.
    pub async fn next(&mut self) -> Came {
        loop {
            match soon("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
                    contract::check_frame(&frame);
                    self.take(&frame, text.len());
                    return Came::Frame(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    // Sends the answer, as a client that leaves in good order does.
                    _ = soon("room to write", self.socket.flush()).await;
                    return Came::Close(close.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Came::Close(None),
            }
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Came::Frame(frame) => frame,
            Came::Close(code) => panic!("closed with {code:?}, a frame was expected"),
        }
    }

    /// The next frame of that type; the others are skipped.
    pub async fn until(&mut self, kind: &str) -> Value {
        // Heartbeats must not keep a test alive for ever.
        let reading = async {
            loop {
                let frame = self.frame().await;
                if frame["type"] == kind {
                    return frame;
                }
            }
        };
        soon(kind, reading).await
    }

    /// The close code; frames before it are skipped.
    pub async fn closed(&mut self) -> Option<u16> {
        let reading = async {
            loop {
                if let Came::Close(code) = self.next().await {
                    return code;
                }
            }
        };
        soon("the close", reading).await
    }

    /// Subscribes to the balances, with these fields besides; the `subscribed` frame, once the first rows are in.
    pub async fn subscribe(&mut self, fields: Value) -> Value {
        self.subscribe_to(BALANCES, fields).await
    }

    pub async fn subscribe_to(&mut self, channel: &str, fields: Value) -> Value {
        let mut request = json!({ "type": "subscribe", "channel": channel });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.send(request).await;
        let subscribed = self.until("subscribed").await;
        loop {
            let frame = self.frame().await;
            if frame["channel"] == channel && frame["part"] == frame["parts"] {
                return subscribed;
            }
        }
    }

    /// What is held of the balances.
    pub fn balances(&self) -> &Held {
        self.held.get(BALANCES).expect("a subscription stands")
    }

    /// One balance row.
    pub fn row(&self, account: &str, wallet: &str, asset: &str) -> Option<&Value> {
        self.balances().rows.get(&(account.into(), wallet.into(), asset.into()))
    }

    /// Reads until what is held satisfies.
    pub async fn settle(&mut self, what: &str, enough: impl Fn(&Held) -> bool) {
        self.settle_channel(BALANCES, what, enough).await;
    }

    pub async fn settle_channel(&mut self, channel: &str, what: &str, enough: impl Fn(&Held) -> bool) {
        let reading = async {
            while !self.held.get(channel).is_some_and(&enough) {
                self.frame().await;
            }
        };
        if tokio::time::timeout(super::PATIENCE, reading).await.is_err() {
            panic!("not in time: {what}; held is {:#?}", self.held.get(channel));
        }
    }

    /// Reads until the account is live and equals the venue's book.
    pub async fn settle_book(&mut self, account: &str, book: impl Fn() -> Book) {
        self.settle("the client equals the book", |held| held.agrees(account, &book())).await;
    }

    /// Reads until the account's state (and reason, where given) is this; tells its record.
    pub async fn settle_state(&mut self, account: &str, state: &str, reason: Option<&str>) -> Value {
        let is = |held: &Held| {
            let record = held.accounts.get(account);
            record.is_some_and(|r| r["state"] == state && reason.is_none_or(|reason| r["reason"]["code"] == reason))
        };
        self.settle(&format!("{account} is {state} {reason:?}"), is).await;
        self.balances().accounts[account].clone()
    }

    // ── taking frames in ──────────────────────────────────────────────────────────────────────────────────────────────

    fn take(&mut self, frame: &Value, bytes: usize) {
        let kind = frame["type"].as_str().expect("every frame has a type");
        if kind == "subscribed" {
            self.subscribed = true;
        }
        if !matches!(kind, "snapshot" | "update") {
            return;
        }
        assert!(self.subscribed, "nothing of a channel precedes `subscribed`: {frame}");
        let held = self.held.entry(frame["channel"].as_str().unwrap().to_owned()).or_default();
        if kind == "snapshot" {
            held.take_snapshot(frame, bytes)
        } else {
            held.take_update(frame)
        }
        held.check();
    }
}

impl Held {
    fn take_snapshot(&mut self, frame: &Value, bytes: usize) {
        assert_eq!(frame["prev"], 0, "{frame}");
        if let Some(parts) = frame["parts"].as_u64() {
            assert!(bytes <= 64 << 10, "a part of {bytes} bytes");
            self.parts.push(frame.clone());
            let place = self.parts.len() as u64;
            assert_eq!(frame["part"], place, "parts come in order");
            let first = &self.parts[0];
            for name in ["gsn", "epoch", "prev", "parts", "complete"] {
                assert_eq!(frame[name], first[name], "parts agree on {name}");
            }
            if place < parts {
                return;
            }
        } else {
            assert!(self.parts.is_empty(), "a whole snapshot between parts");
            assert!(bytes <= (64 << 10) + 4096, "{bytes} bytes in one frame");
            self.parts.push(frame.clone());
        }
        let parts = std::mem::take(&mut self.parts);
        self.accounts.clear();
        self.rows.clear();
        self.epoch = frame["epoch"].as_str().unwrap().to_owned();
        for part in &parts {
            self.install(part);
        }
    }

    fn take_update(&mut self, frame: &Value) {
        assert!(self.parts.is_empty(), "an update between parts");
        assert_eq!(frame["prev"], self.gsn, "no frame was lost: {frame}");
        assert_eq!(frame["epoch"], *self.epoch, "an update is of the same history");
        assert!(frame["gsn"].as_u64() >= Some(self.gsn), "gsn never falls: {frame}");
        self.install(frame);
    }

    fn install(&mut self, frame: &Value) {
        self.gsn = frame["gsn"].as_u64().unwrap();
        self.complete = frame["complete"].as_bool().unwrap();
        let text = |value: &Value| value.as_str().expect("keys are texts").to_owned();
        for record in frame["accounts"].as_array().unwrap() {
            self.accounts.insert(text(&record["account"]), record.clone());
        }
        for row in frame.get("balances").or(frame.get("orders")).unwrap().as_array().unwrap() {
            assert!(row["gsn"].as_u64().unwrap() <= self.gsn, "no row is newer than its frame: {row}");
            let rest = match row.get("wallet") {
                Some(wallet) => (text(wallet), text(&row["asset"])),
                None => (text(&row["order_id"]), String::new()),
            };
            self.rows.insert((text(&row["account"]), rest.0, rest.1), row.clone());
        }
    }

    /// Every row belongs to a known account and is live only where the account is proven.
    fn check(&self) {
        if !self.parts.is_empty() {
            return;
        }
        for ((account, ..), row) in &self.rows {
            let state = &self.accounts.get(account).unwrap_or_else(|| panic!("no record of {account}"))["state"];
            assert!(row["state"] != "live" || state == "live" || state == "degraded", "{row} in an account that is {state}");
        }
        let proven = self.accounts.values().all(|record| record["state"] == "live" || record["state"] == "degraded");
        assert!(proven || !self.complete, "complete, though an account is not proven");
    }

    /// Live, and equal to the book: every row the book holds, and zero for whatever it does not.
    pub fn agrees(&self, account: &str, book: &Book) -> bool {
        let mine = || self.rows.iter().filter(|((of, ..), _)| of == account);
        let proven = self.accounts.get(account).is_some_and(|record| record["state"] == "live")
            && mine().all(|(_, row)| row["state"] == "live");
        let said = |value: &Value, true_one: &Amount| match value.as_str() {
            Some(text) => text.parse::<Amount>().unwrap().same_value(true_one),
            None => true, // the venue has not said
        };
        let all_true = mine().all(|((_, wallet, asset), row)| {
            let holding = book.holding(wallet, asset);
            row["total"].is_string()
                && said(&row["total"], &holding.total())
                && said(&row["available"], &holding.available)
                && said(&row["locked"], &holding.locked)
        });
        let none_missing = book.rows.iter().all(|((wallet, asset), holding)| {
            holding.is_zero() || self.rows.contains_key(&(account.into(), wallet.to_string(), asset.to_string()))
        });
        proven && all_true && none_missing
    }
}
