//! The sections that are not accounts: listeners, access, logs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::reader::Section;
use super::secret;
use crate::access::{self, JwksConfig, JwksSource, KeyConfig};
use crate::server::{self, Certificate, TlsFiles};

/// Bounds of every time in milliseconds: what is shorter cannot work, what is longer is a typing error.
const MS: std::ops::RangeInclusive<u64> = 100..=300_000;
const LONG_MS: std::ops::RangeInclusive<u64> = 1_000..=300_000;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives of `tracing`'s filter: `info`, `info,balance_gateway::venue=debug`.
    pub level: String,
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// Is this a level or a list of directives?
///
/// # Errors
/// What to write instead.
pub fn check_level(text: &str) -> Result<(), &'static str> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    // The filter itself takes a bare word for a module: a misspelt level would silence the log without a word.
    let directive = |part: &str| part.contains('[') || level(part.rsplit('=').next().unwrap_or_default());
    if text.split(',').all(|part| directive(part.trim())) && EnvFilter::try_new(text).is_ok() {
        return Ok(());
    }
    Err("wants error, warn, info, debug, trace or off, or directives such as \"info,balance_gateway::venue=debug\"")
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

pub(super) fn server(mut s: Section<'_>) -> server::Config {
    let d = server::Config::default();
    let config = server::Config {
        listen: s.address("listen").unwrap_or(d.listen),
        admin_listen: s.address("admin_listen").unwrap_or(d.admin_listen),
        allowed_origins: origins(&mut s),
        heartbeat_ms: s.integer("heartbeat_ms", LONG_MS).unwrap_or(d.heartbeat_ms),
        auth_timeout_ms: s.integer("auth_timeout_ms", MS).unwrap_or(d.auth_timeout_ms),
        max_connections: count(&mut s, "max_connections", 1..=1_000_000, d.max_connections),
        max_connections_per_user: count(&mut s, "max_connections_per_user", 1..=1_000_000, d.max_connections_per_user),
        max_connections_per_address: count(&mut s, "max_connections_per_address", 1..=1_000_000, d.max_connections_per_address),
        max_unauthenticated: count(&mut s, "max_unauthenticated", 1..=1_000_000, d.max_unauthenticated),
        max_handshakes_per_second: count(&mut s, "max_handshakes_per_second", 1..=1_000_000, d.max_handshakes_per_second),
        refusal_delay_ms: s.integer("refusal_delay_ms", 0..=10_000).unwrap_or(d.refusal_delay_ms),
        trusted_proxies: addresses(&mut s, "trusted_proxies").unwrap_or(d.trusted_proxies),
        tls: s.section("tls").and_then(tls),
        admin_tls: s.section("admin_tls").and_then(tls),
        max_frame_bytes: count(&mut s, "max_frame_bytes", 1_024..=16_777_216, d.max_frame_bytes),
        max_requests_per_second: count(&mut s, "max_requests_per_second", 1..=100_000, d.max_requests_per_second),
        request_burst: count(&mut s, "request_burst", 1..=100_000, d.request_burst),
        write_stall_ms: s.integer("write_stall_ms", MS).unwrap_or(d.write_stall_ms),
        drain_ms: s.integer("drain_ms", 0..=300_000).unwrap_or(d.drain_ms),
        drain_spread_ms: s.integer("drain_spread_ms", 0..=300_000).unwrap_or(d.drain_spread_ms),
        ping_interval_ms: s.integer("ping_interval_ms", LONG_MS).unwrap_or(d.ping_interval_ms),
        admin_token: s.secret("admin_token"),
    };
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        s.problem("admin_listen", "is the same as server.listen; give it a port of its own");
    }
    s.finish();
    config
}

/// Where operators connect, and the certificate shown there.
pub(super) fn admin_door(mut s: Section<'_>) -> (Option<SocketAddr>, Option<PathBuf>) {
    let listen = s.address("admin_listen");
    (listen, s.section("admin_tls").and_then(|mut tls| tls.text("cert_file")).map(PathBuf::from))
}

/// IP addresses.
fn addresses(s: &mut Section<'_>, name: &'static str) -> Option<Vec<IpAddr>> {
    let texts = s.texts(name)?;
    let mut addresses = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) => s.problem(&format!("{name}[{index}]"), "wants an IP address, such as \"10.0.0.7\" or \"::1\""),
        }
    }
    Some(addresses)
}

/// A certificate with its key. `None`: none is set, or a problem is on record.
fn tls(mut s: Section<'_>) -> Option<TlsFiles> {
    let (cert_file, key_file) = (s.text("cert_file"), s.text("key_file"));
    let files = match (cert_file, key_file) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert_file: cert.into(), key_file: key.into() }),
        (Some(_), None) => {
            s.problem("key_file", "is missing; give the certificate's private key as PEM");
            None
        }
        (None, Some(_)) => {
            s.problem("cert_file", "is missing; give the certificate chain as PEM");
            None
        }
        (None, None) => None,
    };
    if let Some(files) = &files {
        secret::warn_of_open_file(s.reader, &s.key("key_file"), &files.key_file);
        if let Err(error) = Certificate::load(files.clone()) {
            s.problem("cert_file", error.to_string());
        }
    }
    s.finish();
    files
}

/// The certificates, as PEM, that venues and issuers are checked against besides the system's.
pub(super) fn upstream(mut s: Section<'_>) -> Option<PathBuf> {
    let file = s.text("ca_file").map(PathBuf::from);
    if file.is_some()
        && let Err(error) = crate::runtime::client_tls(file.as_deref())
    {
        s.problem("ca_file", error.to_string());
    }
    s.finish();
    file
}

/// An integer that fits the type wanted; the range sees to that.
fn count<T: TryFrom<u64>>(s: &mut Section<'_>, name: &'static str, range: std::ops::RangeInclusive<u64>, default: T) -> T {
    s.integer(name, range).and_then(|value| T::try_from(value).ok()).unwrap_or(default)
}

/// Browsers send scheme, host and port in lower case, and nothing after it.
fn origins(s: &mut Section<'_>) -> Vec<String> {
    let mut origins = s.texts("allowed_origins").unwrap_or_default();
    for (index, origin) in origins.iter_mut().enumerate() {
        origin.make_ascii_lowercase();
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or("");
        if host.is_empty() || host.contains(['/', '?', '#', '@', '*', ' ']) {
            let key = format!("allowed_origins[{index}]");
            s.problem(&key, "wants scheme and host alone, such as \"https://app.example.com\", without a path or *");
        }
    }
    origins
}

pub(super) fn access(mut s: Section<'_>) -> access::Config {
    let d = access::Config::default();
    let problems_before = s.reader.problem_count();
    let config = access::Config {
        issuer: s.text("issuer"),
        audience: s.text("audience"),
        accounts_claim: s.text("accounts_claim").unwrap_or(d.accounts_claim),
        leeway_seconds: s.integer("leeway_seconds", 0..=300).unwrap_or(d.leeway_seconds),
        keys: Vec::new(),
        jwks: s.section("jwks").and_then(jwks),
        max_connections_per_user: d.max_connections_per_user,
    };
    let sections = s.sections("keys", access::MAX_KEYS);
    let paths: Vec<_> = sections.iter().map(|section| section.path.clone()).collect();
    let keys: Vec<_> = sections.into_iter().map(|section| key(section, &config)).collect();
    for twin in access::twins(&keys) {
        s.reader.problem(format!("{}.kid", paths[twin]), "another key of this algorithm has the same kid");
    }
    for (path, key) in paths.iter().zip(&keys) {
        access::weakness(key).into_iter().for_each(|message| s.reader.warn(format!("{path}.secret: {message}")));
    }
    // Where something is wrong here, there may be a key that is not understood.
    if keys.is_empty() && config.jwks.is_none() && s.reader.problem_count() == problems_before {
        s.reader.warn("access.keys: no key is configured, so nobody can log in; add [[access.keys]]");
    }
    s.finish();
    access::Config { keys, ..config }
}

/// Where the issuer publishes its keys. `None`: nowhere, or a problem is on record.
fn jwks(mut s: Section<'_>) -> Option<JwksConfig> {
    let (url, file) = (s.text("url"), s.text("file"));
    let refresh_seconds = s.integer("refresh_seconds", 10..=86_400).unwrap_or(300);
    let min_refetch_seconds = s.integer("min_refetch_seconds", 1..=3_600).unwrap_or(30);
    let source = match (url, file) {
        (Some(_), Some(_)) => {
            s.problem("file", "is set beside url; keep one of them");
            None
        }
        (Some(url), None) => match check_jwks_url(&url) {
            Ok(()) => Some(JwksSource::Url(url)),
            Err(cure) => {
                s.problem("url", cure);
                None
            }
        },
        (None, Some(file)) => match check_jwks_file(&file) {
            Ok(()) => Some(JwksSource::File(file.into())),
            Err(cure) => {
                s.problem("file", cure);
                None
            }
        },
        (None, None) => None,
    };
    s.finish();
    source.map(|source| JwksConfig { source, refresh_seconds, min_refetch_seconds })
}

fn check_jwks_url(text: &str) -> Result<(), &'static str> {
    const WANTS: &str =
        "wants an https:// address without user and password, or http:// to this machine (127.0.0.1, localhost)";
    let url = reqwest::Url::parse(text).map_err(|_| WANTS)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let bare = url.username().is_empty() && url.password().is_none() && !host.is_empty();
    let good = bare && (url.scheme() == "https" || url.scheme() == "http" && here);
    good.then_some(()).ok_or(WANTS)
}

fn check_jwks_file(path: &str) -> Result<(), String> {
    use std::io::Read;
    let mut document = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(access::MAX_JWKS_BYTES as u64 + 1).read_to_end(&mut document));
    read.map_err(|error| {
        format!("cannot be read ({}); check the path and its rights", crate::runtime::io_words(error.kind()))
    })?;
    if document.len() > access::MAX_JWKS_BYTES {
        return Err(format!("is larger than {} bytes; is it the right file?", access::MAX_JWKS_BYTES));
    }
    access::check_jwks(&document).map_err(|error| error.to_string())
}

/// A key, looked at by itself. Where it is not sound, a problem is on record.
fn key(mut s: Section<'_>, access: &access::Config) -> KeyConfig {
    let algorithm = s.required_text("algorithm", &format!("give one of {}", access::ALGORITHMS.join(", ")));
    let given = (s.has("secret"), s.has("public_key"));
    let key = KeyConfig {
        algorithm: algorithm.unwrap_or_default(),
        kid: s.text("kid"),
        secret: s.secret("secret"),
        public_key: s.secret("public_key"),
    };
    let complete = !key.algorithm.is_empty() && given == (key.secret.is_some(), key.public_key.is_some());
    if complete {
        let alone = access::Config { keys: vec![key.clone()], ..access.clone() };
        _ = access::Access::new(&alone).map_err(|problems| refuse_key(&s, problems));
    }
    s.finish();
    key
}

fn refuse_key(s: &Section<'_>, problems: Vec<(String, String)>) {
    for (field, message) in problems {
        if let Some(field) = field.strip_prefix("keys[0].") {
            s.problem(field, message);
        }
    }
}

pub(super) fn log(mut s: Section<'_>) -> LogConfig {
    let d = LogConfig::default();
    let level = s.text("level").unwrap_or(d.level);
    if let Err(cure) = check_level(&level) {
        s.problem("level", cure);
    }
    let format = s.word("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]).unwrap_or(d.format);
    s.finish();
    LogConfig { level, format }
}
