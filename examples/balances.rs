//! Follows balances over the WebSocket: whole rows, gap-free, resuming after a drop.
//!
//! `cargo add anyhow fastrand futures-util serde_json tokio -F tokio/full` and `cargo add tokio-tungstenite@0.29`, then
//! `GATEWAY_TOKEN=… cargo run`. Here: `GATEWAY_TOKEN=… cargo run --example balances`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const CHANNEL: &str = "user:balances";

#[derive(Default)]
struct Balances {
    /// The state: key → row.
    rows: BTreeMap<[String; 4], Value>,
    /// Our place in the history: `{epoch, gsn}`; null before the first snapshot.
    since: Value,
    /// Of a snapshot under way.
    parts: Vec<Value>,
}

impl Balances {
    /// Takes a frame in; the request to send, if any.
    fn apply(&mut self, mut frame: Value) -> Option<Value> {
        let since = json!({ "epoch": frame["epoch"], "gsn": frame["gsn"] });
        let rows = match frame["type"].as_str() {
            Some("snapshot") => {
                if frame["part"].as_u64().unwrap_or(1) == 1 {
                    self.parts.clear();
                }
                let count = frame["parts"].as_u64().unwrap_or(1);
                self.parts.push(frame["balances"].take());
                if (self.parts.len() as u64) < count {
                    return None;
                }
                self.rows.clear();
                std::mem::take(&mut self.parts)
            }
            // Without a place, a snapshot is on its way.
            Some("update") if self.since.is_object() => {
                if frame["prev"] != self.since["gsn"] {
                    self.since = Value::Null;
                    return Some(json!({ "type": "resync", "channel": CHANNEL }));
                }
                vec![frame["balances"].take()]
            }
            _ => return None,
        };
        rows.into_iter().flat_map(|list| list.as_array().cloned().unwrap_or_default()).for_each(|row| self.put(row));
        self.since = since;
        None
    }

    fn put(&mut self, row: Value) {
        // null is "the venue has not said", which is not zero.
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let line = ["venue", "account", "wallet", "asset", "total", "available", "locked", "state"].map(text);
        println!("{}", line.join(" "));
        self.rows.insert(["venue", "account", "wallet", "asset"].map(text), row);
    }
}

/// One connection, to its end; the close code, where there was one.
async fn converse(url: &str, token: &str, balances: &mut Balances) -> anyhow::Result<Option<u16>> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "balances.v1".parse()?);
    let mut silence = Duration::from_secs(10); // that means death
    let (mut socket, _) = timeout(silence, connect_async(request)).await??;
    socket.send(Message::text(json!({ "type": "auth_token", "token": token }).to_string())).await?;
    let subscribe = json!({ "type": "subscribe", "channel": CHANNEL, "since": balances.since });
    socket.send(Message::text(subscribe.to_string())).await?;
    while let Some(message) = timeout(silence, socket.next()).await? {
        let text = match message? {
            Message::Text(text) => text,
            Message::Close(close) => return Ok(close.map(|close| close.code.into())),
            _ => continue,
        };
        let frame: Value = serde_json::from_str(&text)?;
        match frame["type"].as_str() {
            Some("auth_result") => match frame["heartbeat_ms"].as_u64() {
                Some(ms) => silence = Duration::from_millis(2 * ms),
                None => eprintln!("refused: {}", frame["error"]["message"]),
            },
            Some("subscribed") => eprintln!("{}", if frame["resumed"] == true { "resumed" } else { "from the start" }),
            Some("error") => eprintln!("{} {}", frame["code"], frame["message"]),
            _ => {}
        }
        if let Some(request) = balances.apply(frame) {
            socket.send(Message::text(request.to_string())).await?;
        }
    }
    Ok(None)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("GATEWAY_URL").unwrap_or_else(|_| "ws://127.0.0.1:8080/v1/ws".into());
    let token = std::env::var("GATEWAY_TOKEN")?;
    let (mut balances, mut wait) = (Balances::default(), 250);
    loop {
        let started = std::time::Instant::now();
        let end = converse(&url, &token, &mut balances).await;
        eprintln!("disconnected: no row is live now {end:?}");
        balances.parts.clear();
        if matches!(end, Ok(Some(4000..=4199))) {
            std::process::exit(1); // 40xx: stop. 41xx: get a new token first.
        }
        wait = if started.elapsed() > Duration::from_secs(10) { 250 } else { (wait * 2).min(10_000) };
        sleep(Duration::from_millis(fastrand::u64(wait / 2..=wait))).await;
    }
}
