//! What the listeners are set up with. Reading it from a file is the work of [`crate::config`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::doors::TlsFiles;
use secrecy::SecretString;

/// Settings of both listeners. `config/default.toml` holds the same values with more words.
#[derive(Debug, Clone)]
pub struct Config {
    /// WebSocket, REST, event stream, dashboard.
    pub listen: SocketAddr,
    /// Health, metrics, administration. Not for the public.
    pub admin_listen: SocketAddr,
    /// Origins that browsers may come from besides our own: `https://app.example.com`, in lower case.
    pub allowed_origins: Vec<String>,
    /// Quiet time after which a heartbeat is sent, in ms.
    pub heartbeat_ms: u64,
    /// Time for the first `auth_token` frame, in ms.
    pub auth_timeout_ms: u64,
    /// Open client connections.
    pub max_connections: usize,
    /// Open client connections of one user.
    pub max_connections_per_user: usize,
    /// Open sockets of one address (IPv6: one /64 network).
    pub max_connections_per_address: usize,
    /// Open client connections that have shown no token yet.
    pub max_unauthenticated: usize,
    /// WebSocket handshakes in a lasting second; five times as many at once after a pause.
    pub max_handshakes_per_second: u32,
    /// Longest pause before a refusal while there are many, in ms. 0: none.
    pub refusal_delay_ms: u64,
    /// Proxies in front: not counted as addresses, and believed in `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpAddr>,
    /// The clients' listener's certificate. `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// The operators' listener's certificate. `None`: plain text.
    pub admin_tls: Option<TlsFiles>,
    /// Largest frame a client may send, in bytes.
    pub max_frame_bytes: usize,
    /// Requests a client may send in a lasting second.
    pub max_requests_per_second: u32,
    /// Requests a client may send at once after a pause.
    pub request_burst: u32,
    /// Time a socket may take no byte before it is closed, in ms.
    pub write_stall_ms: u64,
    /// Time for clients to go during a graceful stop, in ms.
    pub drain_ms: u64,
    /// Time over which their closes are spread then, in ms; at most half of [`Config::drain_ms`].
    pub drain_spread_ms: u64,
    /// Time between protocol pings to a client, in ms.
    pub ping_interval_ms: u64,
    /// What `POST /admin/…` asks for as bearer token. `None`: those routes are closed.
    pub admin_token: Option<SecretString>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            allowed_origins: Vec::new(),
            heartbeat_ms: 15_000,
            auth_timeout_ms: 10_000,
            max_connections: 20_000,
            max_connections_per_user: 1_000,
            max_connections_per_address: 1_000,
            max_unauthenticated: 4_000,
            max_handshakes_per_second: 2_000,
            refusal_delay_ms: 500,
            trusted_proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            tls: None,
            admin_tls: None,
            max_frame_bytes: 16_384,
            max_requests_per_second: 20,
            request_burst: 100,
            write_stall_ms: 10_000,
            drain_ms: 10_000,
            drain_spread_ms: 5_000,
            ping_interval_ms: 30_000,
            admin_token: None,
        }
    }
}
