//! Bitfinex: the venue's row in the list, its options, and its sample account.
//!
//! One signed `auth` event subscribes to everything; `ws` lists the wallets, `wu` tells of one, `hb` says nothing happened. The
//! available amount is often `null` on the stream: `calc` and REST fill it. How a connection goes stands in `session.rs`.

mod auth;
mod calc;
mod reconcile;
mod session;
mod sim;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::sim::{Book, Market, Sample, SimAccount};
use super::{AccountSpec, Connected, HostLimits, Problem, Shared, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "bitfinex",
    title: "Bitfinex",
    manual: "https://docs.bitfinex.com/reference/ws-auth-wallets",
    ws_url: "wss://api.bitfinex.com/ws/2",
    rest_url: "https://api.bitfinex.com",
    limits: HostLimits {
        // docs.bitfinex.com/docs/ws-auth: 5 connections per 15 seconds, per address.
        connects: Window { count: 5, per_ms: 15_000 },
        // No bound on open connections is documented.
        open: 1_000,
        // docs.bitfinex.com/reference/rest-auth-wallets says 90 a minute; an older listing 45. The smaller one is safe with both.
        calls: Window { count: 45, per_ms: 60_000 },
    },
    liveness_bound_ms: LIVENESS_MS,
    resyncs: &["unreadable_wallet"],
    connect,
    simulate: sim::simulate,
    sample,
};

/// Two heartbeats: one may be late, two are not.
const LIVENESS_MS: u64 = 30_000;
/// The venue's heartbeat after silence. Source: docs.bitfinex.com/docs/ws-general.
const HEARTBEAT_MS: u64 = 15_000;
/// Shortest period of the reconcile that makes sense within the venue's limits.
const MIN_RECONCILE_MS: u64 = 2_000;
const SECRETS: [&str; 2] = ["api_key", "api_secret"];

/// The venue's own options of one account.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// Silence that means the connection is dead.
    liveness_ms: u64,
    /// Longest wait for the answer to `auth`, and then for the first `ws`.
    sync_timeout_ms: u64,
    /// Period of the REST comparison; 0 is off.
    reconcile_ms: u64,
}

/// Checks an account's settings, gathering every problem.
fn connect(spec: &AccountSpec, shared: &Shared) -> Connected {
    let mut problems = Vec::new();
    check_credentials(spec, &mut problems);
    check_urls(spec, &mut problems);
    if !spec.wallets.is_empty() {
        problems.push(Problem::new("wallets", "Bitfinex lists all wallets of the key by itself: remove this"));
    }
    let mut options = spec.options.reader();
    let timing = Timing {
        liveness_ms: options.integer("liveness_ms", LIVENESS_MS, HEARTBEAT_MS + 1_000..=600_000),
        sync_timeout_ms: options.integer("sync_timeout_ms", 10_000, 100..=600_000),
        reconcile_ms: options.integer("reconcile_ms", 60_000, 0..=86_400_000),
    };
    problems.extend(options.finish());
    if (1..MIN_RECONCILE_MS).contains(&timing.reconcile_ms) {
        let message = format!("wants 0 (off) or at least {MIN_RECONCILE_MS} (default 60000)");
        problems.push(Problem::new("options.reconcile_ms", message));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(session::Account::new(spec, shared, timing)))
}

fn check_credentials(spec: &AccountSpec, problems: &mut Vec<Problem>) {
    for name in SECRETS {
        let key = format!("credentials.{name}");
        match spec.credentials.get(name) {
            None => problems.push(Problem::new(key, "missing: make a key at Bitfinex with read permission for wallets only")),
            Some(value) if value.expose_secret().is_empty() => {
                problems.push(Problem::new(key, "empty: is the variable or file it comes from filled?"));
            }
            Some(value) if value.expose_secret().contains(|c: char| c.is_whitespace() || c.is_control()) => {
                problems.push(Problem::new(key, "holds a space, a line break or a control character: remove it"));
            }
            Some(value) if !value.expose_secret().is_ascii() => {
                problems.push(Problem::new(key, "holds a character beyond ASCII: copy it anew"));
            }
            Some(_) => {}
        }
    }
    problems.extend(spec.credentials.unknown(&SECRETS));
}

fn check_urls(spec: &AccountSpec, problems: &mut Vec<Problem>) {
    if !["ws://", "wss://"].iter().any(|scheme| spec.ws_url.starts_with(scheme)) {
        problems.push(Problem::new("ws_url", format!("wants ws:// or wss://, as in {:?}", VENUE.ws_url)));
    }
    if !["http://", "https://"].iter().any(|scheme| spec.rest_url.starts_with(scheme)) {
        problems.push(Problem::new("rest_url", format!("wants http:// or https://, as in {:?}", VENUE.rest_url)));
    }
    for (key, url, cure) in [("ws_url", &spec.ws_url, VENUE.ws_url), ("rest_url", &spec.rest_url, VENUE.rest_url)] {
        if url.contains("//api-pub.") {
            problems.push(Problem::new(key, format!("the public host takes no keys: use {cure:?}")));
        }
    }
    if spec.rest_url.ends_with('/') || spec.rest_url.ends_with("/v2") {
        problems.push(Problem::new("rest_url", format!("wants the host alone, as in {:?}", VENUE.rest_url)));
    }
}

/// An account in all three compartments: dust below zero, a stablecoin's venue code, a derivative's collateral.
fn sample() -> Sample {
    let credentials = [("api_key", "bfx-sample-key"), ("api_secret", "bfx-sample-secret")];
    Sample {
        account: SimAccount {
            id: "bfx-main".into(),
            credentials: credentials
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            book: Book::of(&[
                ("exchange", "BTC", "1.61169184", "0"),
                ("exchange", "USD", "25000.5", "0"),
                ("exchange", "SAN", "19.76", "0"),
                ("exchange", "UST", "10.5", "9.26"),
                ("exchange", "JPY", "-0.00000001", "0"),
                ("margin", "BTC", "0.25", "0.05"),
                ("margin", "USTF0", "6.776250700086292", "5.1844"),
                ("funding", "USD", "150.00000057", "850"),
            ]),
        },
        wallets: Vec::new(),
        ws_path: "/ws/2",
        rest_path: "",
        markets: vec![Market {
            wallet: "exchange".into(),
            base: "BTC".into(),
            quote: "USD".into(),
            price: "7804.6".parse().expect("a hand-written amount"),
            size: "0.01".parse().expect("a hand-written amount"),
        }],
    }
}
