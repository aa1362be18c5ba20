//! `health`: asks a running gateway whether it is ready.
//!
//! Plain HTTP over one socket: a health check runs every few seconds in images that hold no certificates and no shell.

use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Exit, complain, say};

/// All of it: connecting, asking, reading.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The answer is read up to here.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:9090/health/ready", value_parser = target)]
    url: Target,
}

/// A plain HTTP address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `host:port`.
    pub(super) authority: String,
    pub(super) path: String,
}

pub(super) fn target(text: &str) -> Result<Target, String> {
    let wrong = "give an address such as http://127.0.0.1:9090/health/ready; the admin listener speaks plain HTTP";
    let url = reqwest::Url::parse(text).ok().filter(|url| url.scheme() == "http").ok_or(wrong)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(wrong.to_owned()) };
    let path = match (url.path(), url.query()) {
        ("" | "/", None) => "/health/ready".to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(query)) => format!("{path}?{query}"),
    };
    Ok(Target { authority: format!("{host}:{port}"), path })
}

pub(super) fn run(args: &HealthArgs) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format_args!("cannot ask: {error}"));
            return Exit::No;
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(&args.url)).await });
    match answer {
        Ok(Ok((200, _))) => {
            say(&"ready");
            Exit::Ok
        }
        Ok(Ok((status, body))) => {
            complain(&format_args!("not ready (HTTP {status}): {}", body.trim()));
            Exit::No
        }
        Ok(Err(error)) => {
            complain(&format_args!("not ready: {} does not answer: {error}", args.url.authority));
            Exit::No
        }
        Err(_) => {
            complain(&format_args!("not ready: {} gave no answer within {} s", args.url.authority, TIMEOUT.as_secs()));
            Exit::No
        }
    }
}

/// Status and body. HTTP/1.0, so that the body ends with the connection and never comes in chunks.
async fn ask(target: &Target) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(&target.authority).await?;
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.authority);
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "this is no HTTP answer"))
}

/// `HTTP/1.x 200 …`, headers, an empty line, the body.
pub(super) fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok().filter(|status| (100..600).contains(status))?;
    Some((status, body.to_owned()))
}
