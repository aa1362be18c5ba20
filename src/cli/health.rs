//! `health`: asks a running gateway whether it is ready.
//!
//! One request over one socket, and no HTTP client: a health check runs every few seconds in images that hold no shell. Without an
//! address it asks where the configuration says that operators connect, and knows the certificate that is shown there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ConfigArgs, Exit, complain, say};
use crate::config::{AdminDoor, process_env};
use crate::runtime::{client_tls, install_crypto, own_tls};

/// Longest time that may be given to a gateway for its answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The answer is read up to here.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;
const READY: &str = "/health/ready";

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// What to ask [default: /health/ready at the configuration's server.admin_listen, else http://127.0.0.1:9090/health/ready]
    #[arg(long, value_parser = target)]
    url: Option<Target>,
    /// Certificates to trust besides the system's, as PEM, for an https:// address
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// How long all of it may take, such as 500ms or 10s
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = timeout)]
    timeout: Duration,
    #[command(flatten)]
    config: ConfigArgs,
}

fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(timeout) if (Duration::from_millis(1)..=MAX_TIMEOUT).contains(&timeout) => Ok(timeout),
        _ => Err("give a time from 1ms to 1h, such as 500ms or 10s".to_owned()),
    }
}

/// An HTTP address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// A name or an address, the latter without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) is_encrypted: bool,
}

impl Target {
    /// `host:port`.
    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

pub(super) fn target(text: &str) -> Result<Target, String> {
    let wrong =
        "give an address such as http://127.0.0.1:9090/health/ready, or https://… where the admin listener has a certificate";
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or(wrong)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(wrong.to_owned()) };
    let path = match (url.path(), url.query()) {
        ("" | "/", None) => READY.to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(query)) => format!("{path}?{query}"),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Target { host, port, path, is_encrypted: url.scheme() == "https" })
}

/// The configured listener, as it is reached from this machine.
pub(super) fn nearby(door: &AdminDoor) -> Target {
    let host = match door.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let (port, path) = (door.listen.port(), READY.to_owned());
    Target { host: host.to_string(), port, path, is_encrypted: door.cert_file.is_some() }
}

pub(super) fn run(args: &HealthArgs) -> Exit {
    install_crypto();
    let (target, tls) = match aim(args) {
        Ok(aim) => aim,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format_args!("cannot ask: {error}"));
            return Exit::No;
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(args.timeout, ask(&target, tls)).await });
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
            complain(&format_args!("not ready: {} does not answer: {error}", target.authority()));
            Exit::No
        }
        Err(_) => {
            complain(&format_args!(
                "not ready: {} gave no answer within {}",
                target.authority(),
                humantime::format_duration(args.timeout)
            ));
            Exit::No
        }
    }
}

type Tls = Option<Arc<ClientConfig>>;

/// Whom to ask, and what a certificate is checked against.
fn aim(args: &HealthArgs) -> Result<(Target, Tls), Exit> {
    let refuse = |error: &dyn std::fmt::Display| {
        complain(&format_args!("cannot ask: {error}"));
        Exit::Config
    };
    if let Some(target) = args.url.clone() {
        let tls = target.is_encrypted.then(|| client_tls(args.ca_file.as_deref())).transpose();
        return Ok((target, tls.map_err(|error| refuse(&error))?));
    }
    let door = AdminDoor::load(args.config.config.as_deref(), process_env()).map_err(|errors| refuse(&errors))?;
    let tls = door.cert_file.as_deref().map(own_tls).transpose().map_err(|error| refuse(&error))?;
    Ok((nearby(&door), tls))
}

/// Status and body.
async fn ask(target: &Target, tls: Tls) -> std::io::Result<(u16, String)> {
    let socket = TcpStream::connect(target.authority()).await?;
    let Some(tls) = tls else { return exchange(socket, target).await };
    let name = ServerName::try_from(target.host.clone()).map_err(std::io::Error::other)?;
    exchange(TlsConnector::from(tls).connect(name, socket).await?, target).await
}

/// HTTP/1.0, so that the body ends with the connection and never comes in chunks.
async fn exchange(mut socket: impl AsyncRead + AsyncWrite + Unpin, target: &Target) -> std::io::Result<(u16, String)> {
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.authority());
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
