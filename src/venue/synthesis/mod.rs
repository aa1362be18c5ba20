//! Synthesis: the venue's row in the list, an account's settings, and the connector.
//!
//! A front for prediction-market positions on Polygon and Solana. Its balance stream is asked by address and documented
//! without authentication; REST shows cash only, by wallet ids the gateway does not have, and is not used.

mod roster;
mod session;
mod sim;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::sim::{Book, Market, Sample, SimAccount};
use super::{
    AccountSpec, Closing, Connected, Connector, Credentials, ErrorClass, Handshake, HostLimits, Problem, Session, Shared,
    Venue, WalletSpec, Window,
};
use crate::model::{MAX_ASSET_CHARS, Name, Reason, ReasonCode};

/// The venue's row in the list. The documents give no numbers for rates: the limits are our own modesty.
pub const VENUE: Venue = Venue {
    name: "synthesis",
    title: "Synthesis",
    manual: "https://api.synthesis.trade/docs/guides/websockets/balance",
    ws_url: "wss://synthesis.trade/ws/balance",
    rest_url: "https://synthesis.trade",
    limits: HostLimits {
        connects: Window { count: 5, per_ms: 15_000 },
        open: 1_000,
        calls: Window { count: 60, per_ms: 60_000 },
    },
    liveness_bound_ms: LIVENESS_MS,
    resyncs: &["unsubscribed", "audit_unanswered"],
    connect,
    simulate: |setup| Box::new(sim::SynthesisSim::new(setup)),
    sample,
};

/// One and a half of the server's ping intervals.
const LIVENESS_MS: u64 = 45_000;
/// Most wallets of one subscription, and most assets asked for over all of them
/// (`api-docs.synthesis.trade/api-reference/websockets/balance-websocket`).
const MAX_WALLETS: usize = 500;
const MAX_ASSETS: usize = 500;
/// The two documented paths of the stream: in the guide, and in the API reference.
const PATHS: [&str; 2] = ["/ws/balance", "/api/v1/balance/ws"];
/// Optional credentials and the headers they go in.
const HEADERS: [(&str, &str); 3] =
    [("api_key", "X-API-KEY"), ("project_key", "X-PROJECT-API-KEY"), ("session_token", "Authorization")];

/// An account's checked settings, and what one connection leaves to the next.
struct Settings {
    wallets: Vec<WalletSpec>,
    liveness_ms: u64,
    sync_timeout_ms: u64,
    /// Quiet that completes a list in parts.
    grace_ms: u64,
    /// Between audits; 0: none.
    reconcile_ms: u64,
    /// What a list leaves out is empty at once, also where it names no wallet at all.
    trust_empty_list: bool,
    /// The wallets that the only list of the last connection left out, where that connection ended because the venue gave no second one.
    /// After any other end nothing is remembered: two lists are needed again.
    left_out: Mutex<HashSet<Name>>,
}

struct SynthesisConnector {
    ws_url: String,
    rest_url: String,
    credentials: Credentials,
    settings: Arc<Settings>,
}

fn connect(spec: &AccountSpec, _: &Shared) -> Connected {
    let mut options = spec.options.reader();
    let settings = Settings {
        wallets: spec.wallets.clone(),
        liveness_ms: options.integer("liveness_ms", LIVENESS_MS, 3_000..=600_000),
        sync_timeout_ms: options.integer("sync_timeout_ms", 10_000, 500..=120_000),
        grace_ms: options.integer("grace_ms", 2_000, 50..=60_000),
        reconcile_ms: options.integer("reconcile_ms", 60_000, 0..=86_400_000),
        trust_empty_list: options.boolean("trust_empty_list", false),
        left_out: Mutex::default(),
    };
    let mut problems = options.finish();
    if (1..1_000).contains(&settings.reconcile_ms) {
        problems.push(Problem::new("options.reconcile_ms", "wants 0 (no audits) or at least 1000"));
    }
    check_credentials(&spec.credentials, &mut problems);
    check_wallets(&spec.wallets, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(SynthesisConnector {
        ws_url: spec.ws_url.clone(),
        rest_url: spec.rest_url.clone(),
        credentials: spec.credentials.clone(),
        settings: Arc::new(settings),
    }))
}

fn check_credentials(credentials: &Credentials, problems: &mut Vec<Problem>) {
    for (name, _) in HEADERS {
        let Some(secret) = credentials.get(name) else { continue };
        let text = secret.expose_secret();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let message = "is empty or holds spaces or control characters; remove it or give its whole value";
            problems.push(Problem::new(format!("credentials.{name}"), message));
        }
    }
    problems.extend(credentials.unknown(&HEADERS.map(|(name, _)| name)));
}

fn check_wallets(wallets: &[WalletSpec], problems: &mut Vec<Problem>) {
    let mut refuse = |key: String, message: &str| problems.push(Problem::new(key, message));
    if wallets.is_empty() {
        refuse("wallets".into(), "names no address; give at least one, as wallets = [{ address = \"0x…\" }]");
    }
    if wallets.len() > MAX_WALLETS {
        refuse("wallets".into(), "holds more than the venue's 500 addresses; split it into two accounts");
    }
    if wallets.iter().filter_map(|wallet| wallet.assets.as_ref()).map(Vec::len).sum::<usize>() > MAX_ASSETS {
        let message =
            "asks for more than the venue's 500 assets over all wallets; leave assets out, or split it into two accounts";
        refuse("wallets".into(), message);
    }
    let mut seen = HashSet::new();
    for (at, wallet) in wallets.iter().enumerate() {
        let key = format!("wallets[{at}].address");
        if wire::chain_of(&wallet.address).is_none() {
            refuse(key, "is no address; wants 0x and 40 hex digits (Polygon), or 32 to 44 base58 characters (Solana)");
        } else if !seen.insert(wire::canonical(&wallet.address)) {
            refuse(key, "stands there twice (0x addresses in any case are the same); remove one");
        }
        let Some(assets) = &wallet.assets else { continue };
        let key = format!("wallets[{at}].assets");
        let mut named = HashSet::new();
        if assets.is_empty() {
            refuse(key, "is empty; leave it out for every asset");
        } else if !assets.iter().all(|asset| (1..=MAX_ASSET_CHARS).contains(&asset.chars().count())) {
            refuse(key, "wants names of 1 to 128 characters, as the venue writes them");
        } else if !assets.iter().all(|asset| named.insert(asset)) {
            refuse(key, "names an asset twice; remove one");
        }
    }
}

impl Connector for SynthesisConnector {
    /// The only place credentials go: changed ones count from the next connection on.
    fn handshake(&self) -> Handshake {
        let headers = HEADERS.iter().filter_map(|&(name, header)| {
            let secret = self.credentials.get(name)?;
            let prefix = if header == "Authorization" { "Bearer " } else { "" };
            Some((header, format!("{prefix}{}", secret.expose_secret())))
        });
        Handshake { url: self.ws_url.clone(), headers: headers.collect() }
    }

    fn session(&self, seed: u64) -> Box<dyn Session> {
        Box::new(session::SynthesisSession::new(Arc::clone(&self.settings), seed))
    }

    fn refused(&self, status: u16) -> Option<Closing> {
        let (class, code, text) = match status {
            401 if self.credentials.has("session_token") => {
                let text = "the venue refuses the session: it has ended, or the token is wrong; put a new session_token";
                (ErrorClass::Credential, ReasonCode::TokenExpired, text.to_owned())
            }
            401 if self.credentials.names().is_empty() => {
                let text = "the venue wants credentials for the stream now: set api_key, project_key or session_token";
                (ErrorClass::Credential, ReasonCode::WrongKey, text.to_owned())
            }
            401 => (ErrorClass::Credential, ReasonCode::WrongKey, "the venue refuses the key".to_owned()),
            403 => {
                let text = "the venue does not let these credentials use the stream";
                (ErrorClass::Credential, ReasonCode::MissingPermission, text.to_owned())
            }
            404 => {
                let others: Vec<_> = PATHS.into_iter().filter(|path| !self.ws_url.ends_with(path)).collect();
                let text = format!("no stream at this path; the venue also documents {}: change ws_url", others.join(" and "));
                (ErrorClass::Configuration, ReasonCode::Configuration, text)
            }
            _ => return None,
        };
        Some(Closing { class, reason: Reason::new(code, text) })
    }

    fn rest_url(&self) -> &str {
        &self.rest_url
    }
}

/// Two Polygon wallets and a Solana one; token ids as long as the real ones.
fn sample() -> Sample {
    const FORECAST: &str = "21742633143463906290569050155826241533067272736897614950488156847949938836455";
    const OTHER: &str = "48572956138472615938471625938471659384716593847165938471659384716593847165938";
    const FIRST: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
    const SECOND: &str = "0x1234567890abcdef1234567890abcdef12345678";
    const SOLANA: &str = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU";
    let amount = |text: &str| text.parse().expect("a hand-written amount");
    let market = |base: &str, price, size| Market {
        wallet: FIRST.into(),
        base: base.into(),
        quote: "USDC.e".into(),
        price: amount(price),
        size: amount(size),
    };
    let book = Book::of(&[
        (FIRST, "USDC.e", "1250.5", "0"),
        (FIRST, FORECAST, "25.384", "0"),
        (FIRST, OTHER, "100", "0"),
        (SECOND, "USDC.e", "12.000001", "0"),
        (SECOND, "USDC", "1000.000", "0"),
        (SOLANA, "USDC", "310.25", "0"),
        (SOLANA, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "7.5", "0"),
    ]);
    let wallet = |address: &str| WalletSpec { address: address.into(), assets: None };
    Sample {
        account: SimAccount { id: "syn-main".into(), credentials: BTreeMap::new(), book },
        wallets: [FIRST, SECOND, SOLANA].map(wallet).to_vec(),
        ws_path: PATHS[0],
        rest_path: "",
        markets: vec![market(FORECAST, "0.52", "10"), market(OTHER, "0.131", "25")],
    }
}
