//! P99 / ZTDX spot: the venue's row in the list, its options, and the check of an account's settings.
//!
//! The stream has no snapshot and no sequence, and never tells of deposits, withdrawals and refunds: see `session.rs`.

mod auth;
mod rest;
mod session;
mod sim;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::sim::{Book, Market, Sample};
use super::{AccountSpec, Connected, Credentials, HostBudget, HostLimits, Problem, Shared, Venue, Window};

/// The venue's row in the list. The venue documents no limits for the socket and none for spot REST; these are our own manners.
pub const VENUE: Venue = Venue {
    name: "p99",
    title: "P99 / ZTDX",
    manual: "https://docs.p99.world/spot/user-ws/user-balances",
    ws_url: "wss://api-sepolia.p99.world/ws",
    rest_url: "https://api-sepolia.p99.world/api/v1",
    limits: HostLimits {
        connects: Window { count: 50, per_ms: 10_000 },
        open: 1_000,
        // Enough to compare 300 accounts every 30 s.
        calls: Window { count: 1_200, per_ms: 60_000 },
    },
    liveness_bound_ms: 30_000,
    resyncs: &["unsubscribed", "unreadable_push"],
    connect,
    simulate: sim::simulate,
    sample,
};

const SECRETS: [&str; 3] = ["jwt", "api_key", "api_secret"];

/// One account's settings, checked. Shared by the account's sessions, of which one lives at a time.
pub(in crate::venue::p99) struct Account {
    ws_url: String,
    /// Scheme, host and port of REST: listen keys live beside the base path of `rest_url`, not below it.
    origin: String,
    /// The path of `rest_url`.
    base: String,
    credentials: Credentials,
    options: Tuning,
    host: Arc<Mutex<HostBudget>>,
    /// Fingerprint of the token the venue last took, 0 for none: an accepted token that is refused later has expired.
    accepted: AtomicU64,
}

/// The venue's own options, in ms where they are times.
#[derive(Debug, Clone)]
struct Tuning {
    /// Silence that means the connection is dead.
    liveness_ms: u64,
    /// Pause between comparisons with REST. 0: only where something looks wrong.
    reconcile_ms: u64,
    /// How long a login or a subscription may stay unanswered.
    sync_timeout_ms: u64,
    /// Path of the listen keys, from the root of the REST host.
    listen_key_path: String,
}

fn connect(spec: &AccountSpec, shared: &Shared) -> Connected {
    let mut problems = credentials(&spec.credentials);
    for (key, url, schemes) in
        [("ws_url", &spec.ws_url, ["ws://", "wss://"]), ("rest_url", &spec.rest_url, ["http://", "https://"])]
    {
        if !schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
            problems.push(Problem::new(key, format!("wants an address that starts with {} or {}", schemes[0], schemes[1])));
        }
    }
    if !spec.wallets.is_empty() {
        problems.push(Problem::new("wallets", "this venue knows its account by the credentials; remove the wallets"));
    }
    let mut reader = spec.options.reader();
    let options = Tuning {
        liveness_ms: reader.integer("liveness_ms", VENUE.liveness_bound_ms, 1_000..=600_000),
        reconcile_ms: reader.integer("reconcile_ms", 30_000, 0..=3_600_000),
        sync_timeout_ms: reader.integer("sync_timeout_ms", 10_000, 100..=600_000),
        listen_key_path: reader.text("listen_key_path", "/fapi/v1/listenKey"),
    };
    problems.extend(reader.finish());
    if !options.listen_key_path.starts_with('/') || options.listen_key_path.contains(['?', '#', ' ']) {
        problems.push(Problem::new("options.listen_key_path", "wants a path that starts with / and holds no query"));
    }
    if (1..1_000).contains(&options.reconcile_ms) {
        problems.push(Problem::new("options.reconcile_ms", "wants 0 (off) or at least 1000"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let rest = spec.rest_url.trim_end_matches('/');
    let host_at = rest.find("://").map_or(0, |at| at + 3);
    let (origin, base) = rest.split_at(rest[host_at..].find('/').map_or(rest.len(), |at| host_at + at));
    Ok(Arc::new(session::P99(Arc::new(Account {
        ws_url: spec.ws_url.clone(),
        origin: origin.to_owned(),
        base: base.to_owned(),
        credentials: spec.credentials.clone(),
        options,
        host: shared.host(&spec.rest_url, VENUE.limits),
        accepted: AtomicU64::new(0),
    }))))
}

/// A `jwt`, or `api_key` and `api_secret`. Where both are given the JWT is used.
fn credentials(credentials: &Credentials) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !SECRETS.iter().any(|name| credentials.has(name)) {
        problems.push(Problem::new("credentials.jwt", "is missing; give jwt, or api_key and api_secret"));
    }
    for (name, other) in [("api_key", "api_secret"), ("api_secret", "api_key")] {
        if credentials.has(other) && !credentials.has(name) {
            problems.push(Problem::new(format!("credentials.{name}"), format!("is missing; {other} is of no use without it")));
        }
    }
    for name in SECRETS {
        let Some(secret) = credentials.get(name) else { continue };
        let secret = secret.expose_secret();
        if secret.is_empty() || secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
            problems.push(Problem::new(
                format!("credentials.{name}"),
                "is empty or holds blanks or line breaks; copy it again from the venue",
            ));
        }
    }
    problems.extend(credentials.unknown(&SECRETS));
    problems
}

/// An account with a token for the demo and the conformance tests.
fn sample() -> Sample {
    let amount = |text: &str| text.parse().expect("a hand-written amount");
    let book = Book::of(&[
        ("spot", "USDT", "25000.75", "1200.5"),
        ("spot", "DF", "10000", "100"),
        ("spot", "BNB", "3.141592653589793238", "0"),
        ("spot", "USDC", "0", "0"),
        ("spot", "DUST", "0.000000000000000001", "0"),
    ]);
    Sample {
        account: sim::account("p99-main", book),
        wallets: Vec::new(),
        ws_path: "/ws",
        rest_path: "/api/v1",
        markets: vec![Market {
            wallet: "spot".into(),
            base: "DF".into(),
            quote: "USDT".into(),
            price: amount("0.5"),
            size: amount("30"),
        }],
    }
}
