//! `watch`: follows balances of a running gateway in the terminal, one line a change. Uses only the public protocol.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{Exit, block_on};
use crate::runtime::{Backoff, install_crypto};

/// First and longest wait between two attempts.
const BACKOFF_MS: (u64, u64) = (250, 10_000);

#[derive(Debug, Clone, Args)]
pub(super) struct WatchArgs {
    /// Address of the gateway
    #[arg(long, default_value = "ws://127.0.0.1:8080/v1/ws")]
    pub url: String,
    /// Token to show; in the environment it stays out of the process list
    #[arg(long, env = "BALANCE_GATEWAY_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Print the frames themselves, one a line
    #[arg(long)]
    pub json: bool,
    /// End after the first snapshot
    #[arg(long)]
    pub once: bool,
}

pub(super) fn command(args: WatchArgs) -> Exit {
    block_on(follow(args))
}

/// How one connection ended.
enum End {
    /// Come back and resume.
    Lost(String),
    /// Come back and resume at some moment within so many milliseconds: it was agreed.
    Told(String, u64),
    /// Nothing more to do.
    Done,
}

/// Follows until the output closes, the snapshot is shown (`--once`), or the gateway says stop.
pub(super) async fn follow(args: WatchArgs) -> anyhow::Result<()> {
    install_crypto();
    let (mut backoff, mut rng) = (Backoff::new(BACKOFF_MS.0, BACKOFF_MS.1), fastrand::Rng::new());
    let mut held = Held::default();
    loop {
        let (why, wait) = match connection(&args, &mut held, &mut backoff).await? {
            End::Done => return Ok(()),
            End::Lost(why) => (why, backoff.next(&mut rng)),
            End::Told(why, within_ms) => (why, rng.u64(..=within_ms)),
        };
        let _ = writeln!(std::io::stderr(), "not connected ({why}); next attempt in {wait} ms");
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

/// What the client holds: its place in the history, and the rows, to tell changes apart.
#[derive(Default)]
struct Held {
    epoch: String,
    /// 0 where nothing whole is held.
    gsn: u64,
    /// Of the gateway's announcement to go away, in this connection.
    reconnect_within_ms: Option<u64>,
    rows: BTreeMap<[String; 4], Row>,
    accounts: BTreeMap<String, String>,
}

async fn connection(args: &WatchArgs, held: &mut Held, backoff: &mut Backoff) -> anyhow::Result<End> {
    let mut request = args.url.as_str().into_client_request().context("--url: wants ws://host:port/v1/ws")?;
    request.headers_mut().insert("sec-websocket-protocol", "balances.v1".parse().context("a fixed header")?);
    let mut socket = match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => socket,
        Err(error) => return Ok(End::Lost(error.to_string())),
    };
    held.reconnect_within_ms = None;
    let auth = serde_json::json!({ "type": "auth_token", "token": args.token }).to_string();
    let mut subscribe = serde_json::json!({ "type": "subscribe", "channel": "user:balances" });
    if held.gsn > 0 {
        subscribe["since"] = serde_json::json!({ "epoch": held.epoch, "gsn": held.gsn });
    }
    for text in [auth, subscribe.to_string()] {
        if let Err(error) = socket.send(Message::text(text)).await {
            return Ok(End::Lost(error.to_string()));
        }
    }
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Text(text)) => {
                backoff.reset();
                if !show(args, held, &text)? {
                    return Ok(End::Done);
                }
            }
            Ok(Message::Close(Some(close))) => {
                let code = u16::from(close.code);
                if let (4300..=4399, Some(within_ms)) = (code, held.reconnect_within_ms) {
                    return Ok(End::Told(format!("{code} {}", close.reason), within_ms));
                }
                match code {
                    4000..=4099 => bail!("the gateway says stop: {code} {}", close.reason),
                    4100..=4199 => bail!("the token is not accepted: {code} {}; get a new one", close.reason),
                    _ => return Ok(End::Lost(format!("{code} {}", close.reason))),
                }
            }
            Ok(_) => {}
            Err(error) => return Ok(End::Lost(error.to_string())),
        }
    }
    Ok(End::Lost("the connection ended".to_owned()))
}

#[derive(Deserialize)]
struct Frame {
    r#type: String,
    epoch: Option<String>,
    gsn: Option<serde_json::Value>,
    part: Option<u32>,
    parts: Option<u32>,
    reconnect_within_ms: Option<u64>,
    success: Option<bool>,
    #[serde(default)]
    accounts: Vec<Account>,
    #[serde(default)]
    balances: Vec<Row>,
}

#[derive(Deserialize)]
struct Account {
    venue: String,
    account: String,
    state: String,
    reason: Option<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    text: String,
}

#[derive(Deserialize, Clone)]
struct Row {
    venue: String,
    account: String,
    wallet: String,
    asset: String,
    total: Option<String>,
    available: Option<String>,
    locked: Option<String>,
    state: String,
    cause: Option<Cause>,
}

#[derive(Deserialize, Clone)]
struct Cause {
    r#type: String,
    description: Option<String>,
}

/// Shows a frame; false when there is nothing more to show.
fn show(args: &WatchArgs, held: &mut Held, text: &str) -> anyhow::Result<bool> {
    let frame: Frame = serde_json::from_str(text).context("the gateway sent no frame of this protocol")?;
    if frame.success == Some(false) {
        bail!("the token is not accepted: {text}");
    }
    let mut lines = String::new();
    if args.json {
        lines = format!("{text}\n");
    }
    held.reconnect_within_ms = frame.reconnect_within_ms.or(held.reconnect_within_ms);
    let state = matches!(frame.r#type.as_str(), "snapshot" | "update");
    // A snapshot of which parts are missing is nothing to resume from.
    let whole = frame.part.unwrap_or(1) == frame.parts.unwrap_or(1);
    if state {
        if frame.r#type == "snapshot" && frame.part.unwrap_or(1) == 1 {
            held.rows.clear();
            held.accounts.clear();
        }
        let told = take(held, frame.accounts, frame.balances);
        if !args.json {
            lines = told;
        }
        held.epoch = frame.epoch.unwrap_or_default();
        held.gsn = frame.gsn.and_then(|gsn| gsn.as_u64()).filter(|_| whole).unwrap_or(0);
    }
    // A reader that went away (`| head`) ends the command.
    if std::io::stdout().write_all(lines.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
        return Ok(false);
    }
    Ok(!(args.once && state && whole))
}

/// Takes the frame's rows in and tells what is new, one line each.
fn take(held: &mut Held, accounts: Vec<Account>, rows: Vec<Row>) -> String {
    let mut lines = String::new();
    for account in accounts {
        let reason = account.reason.map(|reason| format!(": {}", reason.text)).unwrap_or_default();
        let state = format!("{}{reason}", account.state);
        if held.accounts.insert(account.account.clone(), state.clone()).as_ref() != Some(&state) {
            lines.push_str(&format!("{:<10} {:<12} is {state}\n", account.venue, account.account));
        }
    }
    for row in rows {
        let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "—".to_owned());
        let cause = row.cause.as_ref().map_or(String::new(), |cause| match &cause.description {
            Some(description) => format!("  {description}"),
            None => format!("  {}", cause.r#type),
        });
        lines.push_str(&format!(
            "{:<10} {:<12} {:<14} {:<12} {:>24} = {:>24} + {:>20}  {}{cause}\n",
            row.venue,
            row.account,
            shorten(&row.wallet),
            shorten(&row.asset),
            number(&row.total),
            number(&row.available),
            number(&row.locked),
            row.state,
        ));
        held.rows.insert([row.venue.clone(), row.account.clone(), row.wallet.clone(), row.asset.clone()], row);
    }
    lines
}

/// Long identifiers keep both ends.
fn shorten(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= 12 {
        return name.to_owned();
    }
    let (head, tail) = (&chars[..5], &chars[chars.len() - 4..]);
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}
