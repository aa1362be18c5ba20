//! `health`: asks a running gateway whether it is ready.
//!
//! One request over one socket, in TLS where the address says so: a health check runs every few seconds in images without a shell.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Exit, complain, say};
use crate::runtime::client_tls;

/// All of it: connecting, asking, reading.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The answer is read up to here.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// What to ask; with server.admin_tls an https:// address whose host the certificate names
    #[arg(long, env = "BALANCE_GATEWAY_HEALTH_URL", default_value = "http://127.0.0.1:9090/health/ready", value_parser = target)]
    url: Target,
    /// Certificates, as PEM, to trust besides the system's
    #[arg(long, value_name = "FILE", env = "BALANCE_GATEWAY_HEALTH_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    pub(super) host: String,
    /// `host:port`.
    pub(super) authority: String,
    pub(super) path: String,
}

pub(super) fn target(text: &str) -> Result<Target, String> {
    let wrong = "give an address such as http://127.0.0.1:9090/health/ready, or https:// with server.admin_tls";
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or(wrong)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(wrong.to_owned()) };
    let path = match (url.path(), url.query()) {
        ("" | "/", None) => "/health/ready".to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(query)) => format!("{path}?{query}"),
    };
    let (tls, name) = (url.scheme() == "https", host.trim_matches(['[', ']']).to_owned());
    Ok(Target { tls, host: name, authority: format!("{host}:{port}"), path })
}

pub(super) fn run(args: &HealthArgs) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format_args!("cannot ask: {error}"));
            return Exit::No;
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(args)).await });
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
async fn ask(args: &HealthArgs) -> std::io::Result<(u16, String)> {
    let socket = TcpStream::connect(&args.url.authority).await?;
    if !args.url.tls {
        return converse(socket, &args.url).await;
    }
    let tls = client_tls(args.ca_file.as_deref()).map_err(std::io::Error::other)?;
    let name = ServerName::try_from(args.url.host.clone()).map_err(std::io::Error::other)?;
    converse(TlsConnector::from(Arc::clone(&tls)).connect(name, socket).await?, &args.url).await
}

async fn converse(mut socket: impl AsyncRead + AsyncWrite + Unpin, target: &Target) -> std::io::Result<(u16, String)> {
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.authority);
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // A peer may cut TLS short after its answer; one that is incomplete does not parse.
    let read = socket.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await;
    read.or_else(|error| if error.kind() == std::io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) })?;
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
