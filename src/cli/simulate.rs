//! `balance-gateway simulate`: the venue simulators alone, on chosen ports, with their fault switches. No gateway runs here.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;

use super::{Exit, LogArgs, block_on, logs};
use crate::config::LogConfig;
use crate::runtime::{install_crypto, stop_signal};
use crate::sim::{Fleet, FleetOptions};
use crate::venue::VENUES;

/// Runs the venue simulators on loopback ports, with a market that moves and faults to throw.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulateArgs {
    /// Port of a venue, may be repeated; a venue without one takes any free port
    #[arg(long = "port", value_name = "VENUE=PORT", value_parser = venue_port)]
    pub ports: Vec<(String, u16)>,
    /// Port of the controls (faults, movements, books); 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub control_port: u16,
    /// Movements of money a second, at each venue; 0 stands still
    #[arg(long, value_name = "HZ", default_value_t = 2.0)]
    pub rate: f64,
    /// The same seed moves the same money
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// User that sees the accounts, in the configuration printed
    #[arg(long, value_name = "USER", default_value = "alice")]
    pub owner: String,
}

pub(super) fn command(args: SimulateArgs, log: &LogArgs) -> Exit {
    logs::start(&LogConfig::default(), log);
    block_on(run(args))
}

/// Prints where each venue listens and how to configure a gateway for it, then runs until SIGINT or SIGTERM.
///
/// # Errors
/// A port that is taken, or a simulator that broke.
pub async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    install_crypto();
    let options = FleetOptions {
        ports: BTreeMap::from_iter(args.ports),
        control: Some(args.control_port),
        rate_hz: args.rate,
        seed: args.seed,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(VENUES, options).await.context("the simulators do not start")?;
    // A reader that went away (`| head`) is no reason to stop.
    let _ = std::io::stdout().write_all(guide(&fleet, &args.owner).as_bytes());
    tokio::select! {
        signal = stop_signal() => signal.context("signals cannot be waited for")?,
        () = fleet.stopping() => {}
    }
    fleet.stop().await;
    fleet.failure().map_or(Ok(()), |failure| Err(failure.into()))
}

/// What is printed at start: a configuration that can be pasted, with everything else as comments.
fn guide(fleet: &Fleet, owner: &str) -> String {
    let mut text = String::from("# Simulated venues. Everything below can be pasted into a gateway's configuration.\n");
    if let Some(addr) = fleet.control_addr() {
        text.push_str(&format!(
            "#\n# Controls: http://{addr}/ lists them. For example:\n\
             #   curl http://{addr}/faults\n\
             #   curl http://{addr}/fault -d '{{\"fault\":\"half_open\"}}'\n\
             #   curl http://{addr}/fault -d '{{\"fault\":\"heal\"}}'\n"
        ));
    }
    for account in fleet.gateway_accounts() {
        text.push('\n');
        text.push_str(&account.to_toml(owner));
    }
    text.push_str("\n# Ctrl-C stops them.\n");
    text
}

/// Reads `venue=port`.
fn venue_port(text: &str) -> Result<(String, u16), String> {
    let (venue, port) = text.split_once('=').ok_or("wants VENUE=PORT")?;
    if crate::venue::find(VENUES, venue).is_none() {
        let known: Vec<_> = VENUES.iter().map(|venue| venue.name).collect();
        return Err(format!("no venue {venue:?}; there are {}", known.join(", ")));
    }
    let port = port.parse().map_err(|_| "wants a port from 0 to 65535 after the =")?;
    Ok((venue.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn guide_is_itself_a_configuration_file() {
        let fleet = Fleet::start(&[], FleetOptions { control: Some(0), ..FleetOptions::default() }).await.unwrap();
        let text = guide(&fleet, "alice");
        assert!(text.parse::<toml::Table>().is_ok() && text.contains("half_open"), "{text}");
    }

    #[tokio::test]
    async fn what_is_printed_of_the_accounts_configures_a_gateway() {
        let fleet = Fleet::start(VENUES, FleetOptions { rate_hz: 0.0, ..FleetOptions::default() }).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, guide(&fleet, "alice")).unwrap();
        let config = crate::config::Config::load(Some(&file), []).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.accounts.len(), VENUES.len());
        fleet.stop().await;
    }

    #[test]
    fn port_of_a_venue_is_read() {
        assert_eq!(venue_port("p99=19001"), Ok(("p99".into(), 19_001)));
        for text in ["nobody=19001", "p99", "p99=", "p99=x", "p99=70000", "p99=-1"] {
            assert!(venue_port(text).is_err(), "{text}");
        }
    }
}
