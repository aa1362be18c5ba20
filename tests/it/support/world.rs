//! A gateway in this process, on free ports, against simulated venues on free ports. It is configured through a real file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use balance_gateway::access::{self, Claims};
use balance_gateway::app::App;
use balance_gateway::config::Config;
use balance_gateway::model::UnixMs;
use balance_gateway::runtime::install_crypto;
use balance_gateway::sim::{GatewayAccount, SimServer, Trading};
use balance_gateway::venue::sim::{Book, Move, Sample, SimSetup};
use balance_gateway::venue::{VENUES, find};
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::{contract, own_address, soon, unhurried};

/// Signs the tests' tokens. Must appear in no output.
pub const TOKEN_SECRET: &str = "SECRET-tokens-0123456789abcdef0123456789";
/// What `POST /admin/…` asks for. Must appear in no output.
pub const OPERATOR: &str = "SECRET-operator-0123456789abcdef";

/// One simulated account and what the gateway is told of it.
pub struct Given {
    sample: Sample,
    venue: &'static str,
    owners: Vec<String>,
    options: String,
    credentials: Vec<(String, String)>,
    rate_hz: f64,
}

/// The venue's sample account, seen by alice, with no market.
pub fn given(venue: &'static str) -> Given {
    let sample = (find(VENUES, venue).expect("a venue of the list").sample)();
    let (owners, options) = (vec!["alice".to_owned()], String::new());
    Given { sample, venue, owners, options, credentials: Vec::new(), rate_hz: 0.0 }
}

impl Given {
    pub fn owner(mut self, owner: &str) -> Self {
        self.owners = vec![owner.into()];
        self
    }
    /// As in the file: `liveness_ms = 1000, …`.
    pub fn options(mut self, options: &str) -> Self {
        self.options = options.into();
        self
    }
    pub fn book(mut self, book: Book) -> Self {
        self.sample.account.book = book;
        self
    }
    /// The gateway's side of a credential; the venue keeps the right one.
    pub fn credential(mut self, name: &str, value: &str) -> Self {
        self.credentials.push((name.into(), value.into()));
        self
    }
    /// Other credentials, on both sides.
    pub fn credentials(mut self, pairs: &[(&str, &str)]) -> Self {
        self.sample.account.credentials = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        self
    }
    /// A market that moves from the start.
    pub fn rate(mut self, hz: f64) -> Self {
        self.rate_hz = hz;
        self
    }

    pub fn venue(&self) -> &'static str {
        self.venue
    }

    /// Starts the venue; tells the server and the account's block of the configuration.
    pub async fn start(self) -> (SimServer, String) {
        let venue = find(VENUES, self.venue).expect("a venue of the list");
        let Sample { account, wallets, ws_path, rest_path, markets } = self.sample;
        let setup = SimSetup { accounts: vec![account.clone()], seed: 1 };
        let trading = Trading { pairs: markets, rate_hz: self.rate_hz };
        let server = SimServer::start(venue, setup, SocketAddr::from(([127, 0, 0, 1], 0)), trading).await.unwrap();
        let mut credentials = account.credentials;
        credentials.extend(self.credentials);
        let (ws_url, rest_url) = (server.ws_url(ws_path), server.rest_url(rest_path));
        let told = GatewayAccount { id: account.id, venue: venue.name, ws_url, rest_url, credentials, wallets };
        let owners = format!("owners = {:?}", self.owners);
        let mut block = told.to_toml("nobody").replace("owners = [\"nobody\"]", &owners);
        block.push_str(&format!("options = {{ {} }}\n", self.options));
        (server, block)
    }
}

/// The file: listeners on free ports, one key, no hurry, and whatever else is given.
pub fn file(server: &str, blocks: &[String]) -> String {
    file_at(Ipv4Addr::LOCALHOST, server, blocks)
}

/// The same, for a gateway whose clients come to that address.
pub fn file_at(address: Ipv4Addr, server: &str, blocks: &[String]) -> String {
    format!(
        "[server]\nlisten = \"{address}:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token = \"{OPERATOR}\"\n{}{server}\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"{TOKEN_SECRET}\"\n\n{}",
        unhurried(server),
        blocks.join("\n")
    )
}

/// A running gateway, its venues and its file.
pub struct World {
    pub sims: Vec<SimServer>,
    /// The accounts' blocks as first written, in the order given.
    pub blocks: Vec<String>,
    pub path: PathBuf,
    pub addr: SocketAddr,
    pub admin: SocketAddr,
    pub stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
    access: access::Config,
    address: Ipv4Addr,
    server: String,
    http: reqwest::Client,
    _dir: TempDir,
}

impl World {
    /// `server`: lines for the `[server]` section.
    pub async fn new(server: &str, accounts: Vec<Given>) -> Self {
        install_crypto();
        let (mut sims, mut blocks) = (Vec::new(), Vec::new());
        for account in accounts {
            let (sim, block) = account.start().await;
            sims.push(sim);
            blocks.push(block);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        // Its own, because the gateway may be restarted at it.
        let address = own_address();
        std::fs::write(&path, file_at(address, server, &blocks)).unwrap();
        let config = Config::load(Some(&path), []).unwrap_or_else(|errors| panic!("{errors}"));
        let access = config.access.clone();
        let app = App::bind(config).await.unwrap();
        let (addr, admin, stop) = (app.addr(), app.admin_addr(), app.stop_token());
        let server = server.to_owned();
        Self { sims, blocks, path, addr, admin, stop, ended: run(app), access, address, server, http: http(), _dir: dir }
    }

    /// One account with the default settings, synced.
    pub async fn of(account: Given) -> Self {
        let world = Self::new("", vec![account]).await;
        world.ready().await;
        world
    }

    /// Waits until every account has had its snapshot.
    pub async fn ready(&self) {
        super::poll("ready", async || (self.ask_admin("/health/ready").await.0 == 200).then_some(())).await;
    }

    pub fn sim(&self) -> &SimServer {
        &self.sims[0]
    }

    /// The first venue's only account.
    pub fn account(&self) -> &str {
        &self.sim().accounts()[0]
    }

    /// Sets one row of the first venue's account.
    pub fn set(&self, wallet: &str, asset: &str, available: &str) {
        let mv = Move::Set {
            account: self.account().into(),
            wallet: wallet.into(),
            asset: asset.into(),
            available: available.parse().unwrap(),
            locked: "0".parse().unwrap(),
        };
        self.sim().moves(&mv).unwrap();
    }

    /// A token of a user without an accounts claim, good for an hour.
    pub fn token(&self, user: &str) -> String {
        self.token_for(user, None, 0, 3_600)
    }

    /// A token made `age` seconds ago, good for `ttl` seconds from then.
    pub fn token_for(&self, user: &str, accounts: Option<&[&str]>, age: i64, ttl: u64) -> String {
        let accounts: Option<Vec<String>> = accounts.map(|list| list.iter().map(|&name| name.into()).collect());
        let issued_at = UnixMs(now_ms() - age * 1_000);
        let claims = Claims { user, accounts: accounts.as_deref(), issued_at, ttl_ms: ttl * 1_000 };
        access::sign(&self.access, &self.access.keys[0], &claims).unwrap()
    }

    /// A connected client that has logged in.
    pub async fn client(&self, user: &str) -> Client {
        Client::login(self.addr, &self.token(user)).await
    }

    /// GET on the clients' listener: status, headers' `etag`, body.
    pub async fn get(&self, path: &str, token: Option<&str>, etag: Option<&str>) -> (u16, Option<String>, String) {
        let mut request = self.http.get(format!("http://{}{path}", self.addr));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        let answer = soon(path, request.send()).await.unwrap();
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let (status, content_type) = (answer.status().as_u16(), contract::content_type(answer.headers()));
        let body = answer.text().await.unwrap();
        contract::check_answer(path, status, &content_type, &body);
        (status, etag, body)
    }

    /// A JSON body of the clients' listener, as a user sees it.
    pub async fn get_json(&self, path: &str, user: &str) -> Value {
        let (status, _, body) = self.get(path, Some(&self.token(user)), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// GET on the operators' listener.
    pub async fn ask_admin(&self, path: &str) -> (u16, String) {
        let answer = soon(path, self.http.get(format!("http://{}{path}", self.admin)).send()).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// POST on the operators' listener, with a token if given.
    pub async fn act(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = self.http.post(format!("http://{}{path}", self.admin));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = soon(path, request.send()).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sum of a metric's samples whose line begins so: name, and labels as far as wanted.
    pub async fn metric(&self, begins: &str) -> f64 {
        let (_, text) = self.ask_admin("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(&format!("balance_gateway_{begins}")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Writes other accounts into the file and has it read.
    pub async fn reload(&self, blocks: &[String]) -> (u16, String) {
        std::fs::write(&self.path, file_at(self.address, &self.server, blocks)).unwrap();
        self.act("/admin/reload", Some(OPERATOR)).await
    }

    /// Stops the gateway and starts it again, at the same address for clients. Tells when the new one began.
    pub async fn restart(&mut self) -> Instant {
        self.stop.cancel();
        soon("the gateway's end", &mut self.ended).await.unwrap().unwrap();
        let listen = ("BALANCE_GATEWAY__SERVER__LISTEN".to_owned(), self.addr.to_string());
        let config = Config::load(Some(&self.path), [listen]).unwrap_or_else(|errors| panic!("{errors}"));
        let begun = Instant::now();
        let app = App::bind(config).await.unwrap();
        (self.admin, self.stop) = (app.admin_addr(), app.stop_token());
        self.ended = run(app);
        begun
    }

    /// Waits for the end of [`App::run`].
    pub async fn end(self) -> anyhow::Result<()> {
        soon("the gateway's end", self.ended).await.unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "the gateway's own task groups are what is tested")]
fn run(app: App) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(app.run())
}

/// Plain HTTP: no proxy of the environment may stand between. Each request has a connection of its own: one that is kept may be closed,
/// for being idle, in the moment in which it is used again.
pub fn http() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}
