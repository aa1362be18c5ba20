//! All simulated venues at once, each on its own port with its sample account and a market: what `demo` and `simulate` run.
//!
//! It also says what a gateway's configuration needs to know of them. Every secret in it is made up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::{FutureExt, join_all, select_all};

use super::{Control, SimServer, Trading};
use crate::runtime::Failure;
use crate::venue::sim::{Sample, SimSetup};
use crate::venue::{Venue, WalletSpec};

/// How a fleet is started.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Where everything listens.
    pub host: IpAddr,
    /// Port by venue's name. Absent or 0: any free one.
    pub ports: BTreeMap<String, u16>,
    /// Port of the controls, 0 for any free one. `None`: no controls.
    pub control: Option<u16>,
    /// Moves a second at each venue; 0 stands still.
    pub rate_hz: f64,
    /// The same seed moves the same money.
    pub seed: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.into(), ports: BTreeMap::new(), control: None, rate_hz: 2.0, seed: 1 }
    }
}

/// Running simulators. Dropping it stops them without waiting.
pub struct Fleet {
    servers: Arc<[Arc<SimServer>]>,
    accounts: Vec<GatewayAccount>,
    control: Option<Control>,
}

/// What a gateway's configuration says of one simulated account.
#[derive(Debug, Clone)]
pub struct GatewayAccount {
    pub id: String,
    pub venue: &'static str,
    pub ws_url: String,
    pub rest_url: String,
    /// As the venue names them; worthless outside of the simulator.
    pub credentials: BTreeMap<String, String>,
    pub wallets: Vec<WalletSpec>,
}

impl Fleet {
    /// Starts every venue of the list.
    ///
    /// # Errors
    /// A port for a venue that is not in the list, an address that cannot be bound (the error names whose), a pace out of bounds.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(venues: &'static [Venue], options: FleetOptions) -> io::Result<Self> {
        if let Some(name) = options.ports.keys().find(|name| crate::venue::find(venues, name).is_none()) {
            let known: Vec<_> = venues.iter().map(|venue| venue.name).collect();
            let message = format!("no venue {name:?}; there are {}", known.join(", "));
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (mut servers, mut accounts) = (Vec::new(), Vec::new());
        for (venue, nth) in venues.iter().zip(0..) {
            let sample = (venue.sample)();
            let port = options.ports.get(venue.name).copied().unwrap_or(0);
            let setup = SimSetup { accounts: vec![sample.account.clone()], seed: options.seed.wrapping_add(nth) };
            let trading = Trading { pairs: sample.markets.clone(), rate_hz: options.rate_hz };
            let listen = SocketAddr::new(options.host, port);
            let started = SimServer::start(venue, setup, listen, trading).await;
            let server = started.map_err(|why| named(&why, venue.name, listen))?;
            accounts.push(GatewayAccount::of(&server, sample));
            servers.push(Arc::new(server));
        }
        let servers: Arc<[_]> = servers.into();
        let control = match options.control {
            Some(port) => {
                let listen = SocketAddr::new(options.host, port);
                let started = Control::start(servers.clone(), listen).await;
                Some(started.map_err(|why| named(&why, "the controls", listen))?)
            }
            None => None,
        };
        Ok(Self { servers, accounts, control })
    }

    /// One entry per venue, in the list's order.
    pub fn gateway_accounts(&self) -> &[GatewayAccount] {
        &self.accounts
    }

    /// One server per venue, in the list's order.
    pub fn servers(&self) -> &[Arc<SimServer>] {
        &self.servers
    }

    /// The server of a venue.
    pub fn server(&self, venue: &str) -> Option<&SimServer> {
        self.servers.iter().map(Arc::as_ref).find(|server| server.venue().name == venue)
    }

    /// Where the controls listen. `None`: there are none.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Control::addr)
    }

    /// Waits until a server or the controls stop, asked to or by failing; forever in an empty fleet. May be cancelled.
    pub async fn stopping(&self) {
        let servers = self.servers.iter().map(|server| server.stopping().boxed());
        let parts: Vec<_> = servers.chain(self.control.iter().map(|control| control.stopping().boxed())).collect();
        if parts.is_empty() {
            return std::future::pending().await;
        }
        select_all(parts).await;
    }

    /// What broke inside a server or the controls. `None`: nothing.
    pub fn failure(&self) -> Option<Failure> {
        let servers = self.servers.iter().find_map(|server| server.failure());
        servers.or_else(|| self.control.as_ref().and_then(Control::failure))
    }

    /// Stops everything and waits for it. May be cancelled; the stop goes on.
    pub async fn stop(&self) {
        if let Some(control) = &self.control {
            control.stop().await;
        }
        join_all(self.servers.iter().map(|server| server.stop())).await;
    }
}

fn named(why: &io::Error, whose: &str, listen: SocketAddr) -> io::Error {
    let place = match why.kind() {
        io::ErrorKind::InvalidInput => String::new(), // not of the address
        _ => format!(" cannot listen on {listen}"),
    };
    io::Error::new(why.kind(), format!("{whose}{place}: {why}"))
}

impl GatewayAccount {
    fn of(server: &SimServer, sample: Sample) -> Self {
        Self {
            id: sample.account.id,
            venue: server.venue().name,
            ws_url: server.ws_url(sample.ws_path),
            rest_url: server.rest_url(sample.rest_path),
            credentials: sample.account.credentials,
            wallets: sample.wallets,
        }
    }

    /// The account as an `[[accounts]]` block of the gateway's configuration, visible to `owner`.
    pub fn to_toml(&self, owner: &str) -> String {
        let mut block = String::from("[[accounts]]\n");
        for (key, value) in [("id", self.id.as_str()), ("venue", self.venue)] {
            line(&mut block, key, &quoted(value));
        }
        line(&mut block, "owners", &format!("[{}]", quoted(owner)));
        line(&mut block, "ws_url", &quoted(&self.ws_url));
        line(&mut block, "rest_url", &quoted(&self.rest_url));
        if !self.credentials.is_empty() {
            let pairs: Vec<_> = self.credentials.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
            line(&mut block, "credentials", &format!("{{ {} }}", pairs.join(", ")));
        }
        if !self.wallets.is_empty() {
            let wallets: Vec<_> = self.wallets.iter().map(wallet).collect();
            line(&mut block, "wallets", &format!("[{}]", wallets.join(", ")));
        }
        block
    }
}

fn line(block: &mut String, key: &str, value: &str) {
    writeln!(block, "{key} = {value}").expect("a String takes every text");
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn wallet(wallet: &WalletSpec) -> String {
    let address = quoted(&wallet.address);
    match &wallet.assets {
        None => format!("{{ address = {address} }}"),
        Some(assets) => {
            let assets: Vec<_> = assets.iter().map(|asset| quoted(asset)).collect();
            format!("{{ address = {address}, assets = [{}] }}", assets.join(", "))
        }
    }
}
