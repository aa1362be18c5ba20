//! Moonbase: the venue's row in the list, its options, and what a working account needs.
//!
//! A Vietnamese exchange with markets against VND. One wallet per venue account id; total, free and locked are all reported.

mod connector;
mod held;
mod said;
mod sequence;
mod session;
mod sim;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use self::connector::{Account, LIMIT_WINDOW_MS, MoonbaseConnector, Settings, Updates};
use super::sim::{Book, Market, Sample, SimAccount};
use super::{AccountSpec, Connected, HostLimits, Problem, Shared, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "moonbase",
    title: "Moonbase",
    manual: "https://docs.moonbase.vn/docs/websocket/channel-portfolio",
    ws_url: "wss://ws.mbhq.net/ws",
    rest_url: "https://api.moonbase.vn",
    limits: HostLimits {
        // docs.moonbase.vn/docs/guides/rate-limits: 10 new connections a minute, 10 at once. A second is added because
        // connections do not arrive as evenly as they leave.
        connects: Window { count: 10, per_ms: LIMIT_WINDOW_MS + 1_000 },
        open: 10,
        // No number is documented and no request is made; a modest one, so that none ever means many.
        calls: Window { count: 60, per_ms: 60_000 },
    },
    liveness_bound_ms: LIVENESS_MS,
    resyncs: &[
        "unsubscribed",
        "unreadable",
        "empty_snapshot",
        "old_snapshot",
        "gsn_repeat",
        "gsn_back",
        "gsn_gap",
        "omitted_asset",
        "channel_error",
    ],
    connect,
    simulate: sim::simulate,
    sample,
};

const LIVENESS_MS: u64 = 30_000;
/// A subscription that ended unsaid, on a socket that still answers pings, shows only where a snapshot is asked for. Two seconds after
/// that the rows are called unproven (`REFRESH_GRACE_MS`), so it is found as soon as a dead socket is. It costs two frames; what the
/// venue limits are connections.
const AUDIT_MS: u64 = LIVENESS_MS - 2_000;
const SECRETS: [&str; 3] = ["api_key", "api_secret", "access_token"];

/// Checks an account's settings. Every problem is told, with its key and its cure.
fn connect(spec: &AccountSpec, _: &Shared) -> Connected {
    let mut options = spec.options.reader();
    let settings = Settings {
        updates: options
            .choice("updates", &[("detect", Updates::Detect), ("full", Updates::Full), ("partial", Updates::Partial)]),
        liveness_ms: options.integer("liveness_ms", LIVENESS_MS, 1_000..=600_000),
        reconcile_ms: options.integer("reconcile_ms", AUDIT_MS, 0..=86_400_000),
        sync_timeout_ms: options.integer("sync_timeout_ms", 10_000, 100..=120_000),
    };
    let mut problems = options.finish();
    check_credentials(spec, &mut problems);
    if !spec.wallets.is_empty() {
        let text = "Moonbase finds the account by its credentials; remove the wallets";
        problems.push(Problem::new("wallets", text));
    }
    if !spec.ws_url.starts_with("ws://") && !spec.ws_url.starts_with("wss://") {
        problems.push(Problem::new("ws_url", format!("must begin with ws:// or wss://, such as {:?}", VENUE.ws_url)));
    }
    if problems.is_empty() {
        Ok(Arc::new(MoonbaseConnector(Arc::new(Account::new(spec.clone(), settings)))))
    } else {
        Err(problems)
    }
}

fn check_credentials(spec: &AccountSpec, problems: &mut Vec<Problem>) {
    let has = |name: &str| spec.credentials.has(name);
    let mut refuse = |key: &str, text: &str| problems.push(Problem::new(key, text));
    match (has("access_token"), has("api_key"), has("api_secret")) {
        (true, false, false) | (false, true, true) => {}
        (true, ..) => refuse("credentials", "give either access_token, or api_key and api_secret, not both"),
        (false, false, false) => {
            refuse("credentials", "give api_key and api_secret (a read-only key is enough), or access_token")
        }
        (false, true, false) => refuse("credentials.api_secret", "missing; it belongs to api_key"),
        (false, false, true) => refuse("credentials.api_key", "missing; it belongs to api_secret"),
    }
    for name in SECRETS {
        if spec.credentials.get(name).is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
            refuse(&format!("credentials.{name}"), "is empty");
        }
    }
    problems.extend(spec.credentials.unknown(&SECRETS));
}

/// The account of the manual's examples, with a market in VND.
fn sample() -> Sample {
    let credentials = [("api_key", "moonbase-sample-key"), ("api_secret", "moonbase-sample-secret")];
    Sample {
        account: SimAccount {
            id: "moon-main".into(),
            credentials: BTreeMap::from(credentials.map(|(name, value)| (name.to_owned(), value.to_owned()))),
            book: Book::of(&[
                ("1000004", "VND", "724006849.6121439", "126095627.4989197"),
                ("1000004", "BTC", "2.058586", "0.071925"),
                ("1000004", "ETH", "15.5", "0"),
                ("1000004", "USDT", "12850.75", "149.25"),
                ("1000004", "SOL", "310.000000001", "0"),
            ]),
        },
        wallets: Vec::new(),
        ws_path: "/ws",
        rest_path: "",
        markets: vec![market("BTC", "2710000000", "0.002"), market("ETH", "89500000", "0.05"), market("SOL", "4150000", "1.5")],
    }
}

/// A market against VND, in the sample's wallet.
fn market(base: &str, price: &str, size: &str) -> Market {
    let amount = |text: &str| text.parse().expect("a hand-written amount");
    Market { wallet: "1000004".into(), base: base.into(), quote: "VND".into(), price: amount(price), size: amount(size) }
}
