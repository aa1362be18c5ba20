//! `demo`: the built-in venue simulators on loopback and a gateway against them. No network, no keys, no file.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;

use super::watch;
use super::{Exit, LogArgs, block_on, logs, say};
use crate::access::{self, KeyConfig};
use crate::app::{App, run_until_signal};
use crate::config::{AccountConfig, Config, LogConfig, SecretSource};
use crate::model::UnixMs;
use crate::runtime::install_crypto;
use crate::sim::{Fleet, FleetOptions, GatewayAccount};
use crate::venue::{AccountSpec, Credentials, Options, VENUES};

/// The demo's token outlives any demo.
const TOKEN_TTL_MS: u64 = 24 * 3600 * 1000;
const USER: &str = "demo";

#[derive(Debug, Clone, Args)]
pub(super) struct DemoArgs {
    /// Port for clients; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Port for operators; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    admin_port: u16,
    /// Port of the simulators' controls (faults, movements, books)
    #[arg(long, value_name = "PORT", default_value_t = 9091)]
    control_port: u16,
    /// Movements of money a second, at each venue
    #[arg(long, value_name = "HZ", default_value_t = 1.0)]
    rate: f64,
    /// The same seed moves the same money
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print where everything is, but no changes
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: &DemoArgs, log: &LogArgs) -> Exit {
    let quiet = LogConfig { level: "warn".into(), ..LogConfig::default() };
    logs::start(&quiet, log);
    block_on(demo(args))
}

async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    install_crypto();
    let options =
        FleetOptions { control: Some(args.control_port), rate_hz: args.rate, seed: args.seed, ..FleetOptions::default() };
    let fleet = Fleet::start(VENUES, options).await.context("the simulators do not start").map_err(with_other_ports)?;
    let config = config(args, fleet.gateway_accounts())?;
    let token = token(&config)?;
    let app = App::bind(config).await.map_err(with_other_ports)?;
    say(&guide(&app, &fleet, &token));
    let url = format!("ws://{}/v1/ws", app.addr());
    let told = async {
        if args.quiet {
            return std::future::pending().await;
        }
        watch::print(&url, &token).await?;
        // The output is closed; the gateway goes on.
        std::future::pending::<anyhow::Result<()>>().await
    };
    let ended = tokio::select! {
        ended = run_until_signal(app) => ended,
        ended = told => ended,
    };
    fleet.stop().await;
    ended
}

/// With the cure that a demo has where a port is taken.
fn with_other_ports(error: anyhow::Error) -> anyhow::Error {
    let taken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::AddrInUse;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(taken) {
        return error.context("a port is taken; --port, --admin-port and --control-port choose others, 0 takes any free one");
    }
    error
}

fn config(args: &DemoArgs, accounts: &[GatewayAccount]) -> anyhow::Result<Config> {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut config = Config::load(None, []).context("the built-in configuration")?;
    config.server.listen = address(args.port);
    config.server.admin_listen = address(args.admin_port);
    let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(48).collect();
    let secret = Some(SecretString::from(secret));
    config.access.keys = vec![KeyConfig { algorithm: "HS256".into(), kid: None, secret, public_key: None }];
    config.accounts = accounts.iter().map(account).collect::<anyhow::Result<_>>()?;
    Ok(config)
}

fn account(account: &GatewayAccount) -> anyhow::Result<AccountConfig> {
    let venue = crate::venue::find(VENUES, account.venue).context("a simulated venue is one of the list")?;
    let secret = |(name, value): (&String, &String)| (name.clone(), SecretString::from(value.as_str()));
    let secrets: BTreeMap<_, _> = account.credentials.iter().map(secret).collect();
    let id: Arc<str> = account.id.as_str().into();
    let spec = AccountSpec {
        id: Arc::clone(&id),
        ws_url: account.ws_url.clone(),
        rest_url: account.rest_url.clone(),
        credentials: Credentials::new(secrets.clone()),
        wallets: account.wallets.clone(),
        options: Options::default(),
    };
    let secrets = secrets.into_iter().map(|(name, value)| (name, SecretSource::Inline(value))).collect();
    Ok(AccountConfig { id, venue, owners: vec![USER.to_owned()], enabled: true, spec, secrets })
}

fn token(config: &Config) -> anyhow::Result<String> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let issued_at = UnixMs(since_1970.as_millis() as i64);
    let claims = access::Claims { user: USER, accounts: None, issued_at, ttl_ms: TOKEN_TTL_MS };
    Ok(access::sign(&config.access, &config.access.keys[0], &claims)?)
}

fn guide(app: &App, fleet: &Fleet, token: &str) -> String {
    let (addr, admin) = (app.addr(), app.admin_addr());
    // As it was called, so that the line can be pasted.
    let program = std::env::args().next().unwrap_or_else(|| "balance-gateway".to_owned());
    let mut text = format!(
        "balance-gateway demo: four simulated venues, one gateway, user {USER:?}. Ctrl-C ends it.\n\n\
         dashboard   http://{addr}/  (paste the token below)\n\
         WebSocket   ws://{addr}/v1/ws\n\
         REST        http://{addr}/v1/balances\n\
         operators   http://{admin}/health/ready  http://{admin}/metrics\n"
    );
    if let Some(control) = fleet.control_addr() {
        text.push_str(&format!("faults      http://{control}/faults  (POST /fault to throw one)\n"));
    }
    text.push_str(&format!(
        "\nTOKEN={token}\n\n\
         curl -s -H \"Authorization: Bearer $TOKEN\" http://{addr}/v1/balances\n\
         {program} watch --url ws://{addr}/v1/ws --token $TOKEN\n\
         npx wscat -c ws://{addr}/v1/ws -H \"Authorization: Bearer $TOKEN\" -x '{{\"type\":\"subscribe\",\"channel\":\"user:balances\"}}' -w 60\n"
    ));
    text
}
