//! The gateway under load: its configuration, its process, its tokens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use balance_gateway::access::{self, Claims, KeyConfig};
use balance_gateway::model::UnixMs;

use crate::child::{Measured, pause};
use crate::venue::Venue;

const SECRET: &str = "a secret of the load program's own, long enough";

/// A running daemon that serves a simulated venue.
pub struct Gateway {
    pub process: Measured,
    pub listen: SocketAddr,
    pub venue: Venue,
    admin: SocketAddr,
    pub dir: tempfile::TempDir,
}

impl Gateway {
    /// Starts the daemon on core 0, lets it connect to the venue, and waits until it is ready.
    pub fn start(mut venue: Venue, owner: impl Fn(usize) -> String) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, configuration(&venue.accounts_toml(owner)?))?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        // Another build may be put in its place, to compare.
        let program = std::env::var_os("LOAD_GATEWAY").unwrap_or_else(|| env!("CARGO_BIN_EXE_balance-gateway").into());
        let args = ["serve".as_ref(), "--config".as_ref(), file.as_os_str()];
        let mut process = Measured::spawn(&program, &args, |command| command.stderr(Stdio::piped()).stdout(Stdio::null()))?;
        let mut log = process.log()?;
        let line = log.by_ref().map_while(Result::ok).find(|line| line.contains("\"serving\""));
        let line = line.context("the daemon did not start")?;
        // Nobody else reads its log: a full pipe would stop it.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let (listen, admin) = (field(&line, "listen")?, field(&line, "admin")?);
        venue.accept()?;
        let gateway = Self { process, listen, venue, admin, dir };
        while !gateway.ask("/health/ready")?.starts_with("HTTP/1.1 200") {
            pause(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    /// The value of a metric, over all of its labels.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.ask("/metrics")?;
        let lines = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value))
    }

    fn ask(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: load\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Without the bounds that a load program would run into, which are not what it measures.
fn configuration(accounts: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nheartbeat_ms = 300000\n\
         ping_interval_ms = 300000\nmax_connections = 1000000\nmax_connections_per_user = 1000000\n\
         max_handshakes_per_second = 1000000\nwrite_stall_ms = 300000\n\
         [log]\nlevel = \"warn,balance_gateway::app=info\"\nformat = \"json\"\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n{accounts}"
    )
}

fn field(line: &str, name: &str) -> anyhow::Result<SocketAddr> {
    let value: serde_json::Value = serde_json::from_str(line)?;
    let text = value.pointer(&format!("/fields/{name}")).or_else(|| value.get(name)).and_then(|v| v.as_str());
    text.and_then(|text| text.parse().ok()).with_context(|| format!("no address {name} in {line}"))
}

/// Keys as the daemon has them.
pub fn keys() -> access::Config {
    let secret = Some(SECRET.to_owned().into());
    let key = KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None };
    access::Config { keys: vec![key], ..access::Config::default() }
}

/// A user's token.
pub fn token(user: &str) -> anyhow::Result<String> {
    let keys = keys();
    let issued_at = UnixMs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64);
    Ok(access::sign(&keys, &keys.keys[0], &Claims { user, accounts: None, issued_at, ttl_ms: 86_400_000 })?)
}
