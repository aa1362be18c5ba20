//! The gateway before the Autobahn test suite (`scripts/autobahn`): built with the feature `echo`, its WebSocket sends every message
//! back. Listener, upgrade, TLS, codec and writing are the daemon's own; it serves no venue and is no part of the daemon.
//!
//! Takes a configuration file, prints the clients' address, and runs until it is ended.

use std::path::Path;

use balance_gateway::app::App;
use balance_gateway::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("wants a configuration file"))?;
    let config = Config::load(Some(Path::new(&file)), []).map_err(|errors| anyhow::anyhow!(errors.to_string()))?;
    let app = App::bind(config).await?;
    println!("{}", app.addr());
    app.run().await
}
