//! `serve`: the daemon. Without any configuration it serves nobody, so it says what to give it instead.

use super::{ConfigArgs, Exit, LogArgs, block_on, complain, load, logs};
use crate::config::{ENV_PREFIX, process_env};
use crate::venue::VENUES;

/// One screen. `VENUES` becomes the names of the venues.
const GUIDE: &str = r#"balance-gateway has no configuration: no accounts to follow, and no key that lets anybody in.

Give it a file:   balance-gateway serve --config /etc/balance-gateway/gateway.toml
In a container:   -v ./gateway.toml:/etc/balance-gateway/gateway.toml:ro  -v ./secrets:/run/secrets:ro

    [server]
    listen = "0.0.0.0:8080"          # clients; put a TLS proxy before it
    admin_listen = "0.0.0.0:9090"    # health and metrics; not for the public

    [[access.keys]]                  # who signs your users' tokens
    algorithm = "ES256"
    public_key = { file = "/run/secrets/issuer.pem" }

    [[accounts]]                     # one for each account at a venue
    id = "main"
    venue = "VENUE"
    owners = ["alice"]               # users that see it
    credentials = { api_key = { file = "/run/secrets/api_key" }, api_secret = { file = "/run/secrets/api_secret" } }

Any key may come from the environment too: BALANCE_GATEWAY__SERVER__LISTEN=0.0.0.0:8080
Check it:         balance-gateway check-config --config FILE
Just look:        balance-gateway demo"#;

fn guide() -> String {
    let names: Vec<_> = VENUES.iter().map(|venue| venue.name).collect();
    let (first, others) = names.split_first().expect("there are venues");
    GUIDE.replace("\"VENUE\"", &format!("\"{first}\" # or {}", others.join(", ")))
}

pub(super) fn run(args: &ConfigArgs, log: &LogArgs) -> Exit {
    if args.config.is_none() && !process_env().any(|(name, _)| name.starts_with(ENV_PREFIX)) {
        complain(&guide());
        return Exit::Config;
    }
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    logs::start(&config.log, log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    block_on(crate::app::serve(config))
}
