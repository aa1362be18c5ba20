//! From a checked configuration to a running gateway: the only module that knows every stage.
//!
//! [`App::bind`] makes everything and binds the listeners but runs nothing; [`App::run`] runs until told to stop, then drains.

mod accounts;
mod held;
mod keep;
mod keys;
mod operator;
mod reload;
mod revoked;
mod sealed;
mod state;
mod traces;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, Directory};
use crate::client::{Deps, Drain, Limits, begin_series};
use crate::config::Config;
use crate::hub::Hub;
use crate::metrics::{Metrics, ResultLabels};
use crate::runtime::{Clock, Policy, Tasks, client_tls, install_crypto, stop_signal};
use crate::server::{self, Certificate, DoorLimits, Doors, Front, TlsFiles, admin};
use crate::store::Store;
use crate::venue::conn::Net;
use accounts::Accounts;
use revoked::RevokedFile;
use state::StateFile;

/// How often it is looked whether the machine slept, and the leap of the wall clock that says so: above what time servers set at once.
const SLEEP_EVERY: Duration = Duration::from_secs(1);
const SLEEP_MS: i64 = 5_000;
/// How often secrets and certificates in files are looked at for a change.
const SECRETS_EVERY: Duration = Duration::from_secs(5);
/// Most rows of one account. What is beyond is refused aloud (`row_limit`).
pub(crate) const MAX_ROWS_PER_ACCOUNT: usize = 200_000;

/// A gateway that is set up and listens, but serves nothing yet.
pub struct App {
    gateway: Arc<Gateway>,
    front: TcpListener,
    admin: TcpListener,
}

/// Everything a running gateway holds.
struct Gateway {
    clock: Clock,
    metrics: Arc<Metrics>,
    store: Arc<Store>,
    hub: Arc<Hub>,
    access: Arc<ArcSwap<Access>>,
    directory: Arc<Directory>,
    accounts: Accounts,
    /// What the gateway cannot do without: listeners, the hub, upstream connections.
    core: Tasks,
    /// Client connections, waited for while draining.
    clients: Tasks,
    /// What sends traces; the last to stop, for every connection's end is a span.
    exporting: Tasks,
    drain: Drain,
    /// Fires when the drain should begin.
    stop: CancellationToken,
    net: Net,
    front: Arc<Front>,
    admin_doors: Arc<Doors>,
    /// Stops the fetching of the issuer's keys as it is set up now.
    fetching: parking_lot::Mutex<CancellationToken>,
    file: Option<std::path::PathBuf>,
    /// Held by the reload under way.
    reloading: parking_lot::Mutex<()>,
    /// `None`: there is no state directory.
    _held: Option<held::Held>,
    state: Option<StateFile>,
    /// `None`: revocations end with the process.
    revoked: Option<RevokedFile>,
    server: ArcSwap<server::Config>,
    started: reload::Started,
}

impl App {
    /// Makes every stage and binds both listeners.
    ///
    /// # Errors
    /// An address that cannot be bound, keys that cannot be used: one sentence with the cure.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        install_crypto();
        let front = listen(config.server.listen, "server.listen").await?;
        let admin = listen(config.server.admin_listen, "server.admin_listen").await?;
        let held = config.state_dir.as_deref().map(held::Held::take).transpose()?;
        let state = config.state_dir.as_deref().map(StateFile::open).transpose()?;
        let revoked = config.state_dir.as_deref().map(RevokedFile::open).transpose()?;
        let (clock, metrics) = (Clock::start(), Arc::new(Metrics::default()));
        begin_series(&metrics);
        metrics.process.start_time_seconds.set(clock.now().unix.0 as f64 / 1000.0);
        let store = Store::new(new_epoch(&clock), Arc::clone(&metrics));
        let hub = Hub::new(Arc::clone(&store), Arc::clone(&metrics));
        let core = Tasks::new();
        let directory = Arc::new(Directory::default());
        let net = Net::new(client_tls(config.upstream_ca_file.as_deref()).context("upstream.ca_file")?)
            .context("the HTTP client cannot be made")?;
        let accounts = Accounts::new(clock, Arc::clone(&store), Arc::clone(&metrics), core.clone(), net.clone());
        let access = make_access(Access::new(&config.access))?;
        revoked.as_ref().map_or(Ok(()), |file| file.recall(access.revocations(), clock.now().unix))?;
        let access = Arc::new(ArcSwap::from_pointee(access));
        let (clients, drain) = (Tasks::new(), Drain::default());
        let deps = Deps {
            hub: Arc::clone(&hub),
            access: Arc::clone(&access),
            directory: Arc::clone(&directory),
            metrics: Arc::clone(&metrics),
            limits: limits(&config.server),
        };
        let doors = Arc::new(Doors::new(door_limits(&config.server), certificate(&config.server.tls, "server.tls")?));
        let admin_doors = Doors::new(door_limits(&config.server), certificate(&config.server.admin_tls, "server.admin_tls")?);
        let shared =
            Front::new(Arc::new(deps), config.server.clone(), clock, clients.clone(), drain.clone(), Arc::clone(&doors));
        let gateway = Arc::new(Gateway {
            clock,
            metrics,
            store,
            hub,
            access,
            directory,
            accounts,
            core,
            clients,
            exporting: Tasks::new(),
            drain,
            stop: CancellationToken::new(),
            net,
            front: Arc::new(shared),
            admin_doors: Arc::new(admin_doors),
            fetching: CancellationToken::new().into(),
            file: config.file.clone(),
            reloading: parking_lot::Mutex::default(),
            _held: held,
            state,
            revoked,
            server: ArcSwap::from_pointee(config.server.clone()),
            started: reload::Started {
                server: config.server,
                upstream_ca_file: config.upstream_ca_file,
                log: config.log,
                otlp: config.otlp,
                state_dir: config.state_dir,
                warm_start: config.warm_start,
            },
        });
        gateway.directory.replace(gateway.accounts.apply(config.accounts));
        if let Some(file) = &gateway.state {
            gateway.accounts.recall(file.read(), config.warm_start);
            // Before the first nonce: should this run die before it writes again, the next one must not give out the same.
            _ = keep::keep(&gateway, file.clone(), None).await;
        }
        Ok(Self { gateway, front, admin })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.front.local_addr().expect("a bound listener has an address")
    }

    /// Where operators connect.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr().expect("a bound listener has an address")
    }

    /// Ends [`App::run`] gracefully when cancelled.
    pub fn stop_token(&self) -> CancellationToken {
        self.gateway.stop.clone()
    }

    /// Serves until told to stop, then drains: no new clients, the present ones are told, and what is left after the
    /// configured time is cut.
    ///
    /// # Errors
    /// A part the gateway cannot do without ended by itself.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { gateway, front, admin } = self;
        tracing::info!(listen = %front.local_addr()?, admin = %admin.local_addr()?, epoch = gateway.store.epoch(), "serving");
        gateway.spawn_core(front, admin);
        tokio::select! {
            () = gateway.stop.cancelled() => {}
            () = gateway.core.stopping() => {}
        }
        gateway.drain().await;
        gateway.core.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl Gateway {
    fn spawn_core(self: &Arc<Self>, front: TcpListener, admin: TcpListener) {
        self.trace();
        let routes = server::routes(Arc::clone(&self.front));
        let (accepting, doors) = (self.drain.token().clone(), Arc::clone(&self.front.doors));
        self.core.spawn("clients' listener", Policy::Fatal, {
            let (gateway, serve) = (Arc::clone(self), server::serve(front, routes, self.clients.clone(), accepting, doors));
            async move {
                serve.await;
                // Its end is the drain's beginning; anything else would be a failure of the group.
                gateway.core.stopping().await;
            }
        });
        let doors = Arc::clone(&self.admin_doors);
        let routes = server::admin_routes(Arc::clone(self) as Arc<dyn admin::Operator>, doors.certificate.is_some());
        let (stop, core) = (self.core.stop_token().clone(), self.core.clone());
        self.core.spawn("operators' listener", Policy::Fatal, server::serve(admin, routes, core, stop, doors));
        self.fetch_keys();
        let (hub, clock, stop) = (Arc::clone(&self.hub), self.clock, self.core.stop_token().clone());
        self.core.spawn("hub", Policy::Fatal, async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = hub.run(move || clock.now()) => {}
            }
        });
        let gateway = Arc::clone(self);
        self.core.spawn("secrets", Policy::Detached, async move {
            while !gateway.core.is_stopping() {
                tokio::select! {
                    () = gateway.core.stopping() => return,
                    () = tokio::time::sleep(SECRETS_EVERY) => gateway.reread().await,
                }
            }
        });
        let gateway = Arc::clone(self);
        self.core.spawn("every second", Policy::Detached, async move {
            let mut lead = gateway.clock.wall_lead_ms();
            while !gateway.core.is_stopping() {
                tokio::select! {
                    () = gateway.core.stopping() => return,
                    () = tokio::time::sleep(SLEEP_EVERY) => {}
                }
                let before = std::mem::replace(&mut lead, gateway.clock.wall_lead_ms());
                if lead - before > SLEEP_MS {
                    tracing::warn!(
                        leap_ms = lead - before,
                        "the machine slept or its clock was set ahead: connecting to every venue anew"
                    );
                    gateway.accounts.slept();
                }
                gateway.hub.forget(gateway.clock.now().unix);
            }
        });
        if let Some(file) = self.state.clone() {
            self.core.spawn("state file", Policy::Detached, keep::run(Arc::clone(self), file));
        }
        self.accounts.start();
    }

    /// Begins to record traces and to send them, where that is configured.
    fn trace(&self) {
        let Some(config) = self.started.otlp.clone() else { return };
        let (clock, metrics) = (self.clock, Arc::clone(&self.metrics));
        let dropped = metrics.trace_spans.get_or_create(&ResultLabels { result: "dropped" }).clone();
        let spans = metrics.traces.start(config.sample_one_in, move || clock.now().mono.0, dropped);
        let exporter = traces::Exporter::new(config, self.net.http.clone(), clock, self.store.epoch());
        let stop = self.exporting.stop_token().clone();
        self.exporting.spawn("traces", Policy::Detached, async move { exporter.run(spans, &metrics, stop).await });
    }

    async fn drain(&self) {
        let settings = self.server.load();
        let (limit, clients) = (Duration::from_millis(settings.drain_ms), self.clients.running());
        // The last to be closed has as long again to say goodbye.
        let spread_ms = settings.drain_spread_ms.min(settings.drain_ms / 2);
        tracing::info!(clients, limit_ms = settings.drain_ms, spread_ms, "draining");
        self.stop.cancel(); // readiness reads it
        self.drain.begin(clients, spread_ms);
        self.clients.stop();
        if tokio::time::timeout(limit, self.clients.wait()).await.is_err() {
            tracing::warn!(clients = self.clients.running(), "clients cut at the end of the drain");
        }
        self.core.stop();
        if tokio::time::timeout(Duration::from_secs(3), self.core.wait()).await.is_err() {
            tracing::warn!(tasks = self.core.running(), "tasks still run at exit");
        }
        self.exporting.stop();
        self.exporting.wait().await; // a second at most, by its own bound
    }
}

/// Runs the gateway until SIGINT or SIGTERM; a second one skips the drain. SIGHUP reloads.
///
/// # Errors
/// What kept it from starting, or ended it early.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let app = App::bind(config).await?;
    run_until_signal(app).await
}

/// The same for an app that was bound elsewhere.
///
/// # Errors
/// As [`serve`].
pub async fn run_until_signal(app: App) -> anyhow::Result<()> {
    let (stop, gateway) = (app.stop_token(), Arc::clone(&app.gateway));
    let signals = async {
        stop_signal().await.context("signals cannot be waited for")?;
        stop.cancel();
        stop_signal().await.context("signals cannot be waited for")?;
        tracing::warn!("second signal: not waiting for clients");
        anyhow::Ok(())
    };
    let reloads = async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup()).context("signals cannot be waited for")?;
        while hangup.recv().await.is_some() {
            let gateway = Arc::clone(&gateway);
            let reloaded = tokio::task::spawn_blocking(move || gateway.reload()).await;
            match reloaded.unwrap_or_else(|panic| Err(panic.to_string())) {
                Ok(text) => tracing::info!(text, "configuration reloaded"),
                Err(problems) => tracing::error!(%problems, "configuration not reloaded; nothing changed"),
            }
        }
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        ended = app.run() => ended,
        ended = signals => ended,
        ended = reloads => ended,
    }
}

async fn listen(addr: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("{key}: cannot listen on {addr}; choose another address or free it"))
}

fn make_access(made: Result<Access, Vec<(String, String)>>) -> anyhow::Result<Access> {
    made.map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|(key, message)| format!("access.{key}: {message}")).collect();
        anyhow::anyhow!(lines.join("\n"))
    })
}

fn limits(config: &server::Config) -> Limits {
    Limits {
        heartbeat_ms: config.heartbeat_ms,
        auth_timeout_ms: config.auth_timeout_ms,
        ping_interval_ms: config.ping_interval_ms,
        write_stall_ms: config.write_stall_ms,
        max_frame_bytes: config.max_frame_bytes,
        max_requests_per_second: config.max_requests_per_second,
        max_requests_burst: config.request_burst,
    }
}

fn door_limits(config: &server::Config) -> DoorLimits {
    DoorLimits {
        max_sockets: config.max_connections,
        max_per_address: config.max_connections_per_address,
        trusted_proxies: config.trusted_proxies.clone(),
    }
}

fn certificate(files: &Option<TlsFiles>, key: &'static str) -> anyhow::Result<Option<Arc<Certificate>>> {
    files.clone().map(|files| Certificate::load(files).map(Arc::new).context(key)).transpose()
}

/// Differs from that of every earlier run: the start's microsecond and 20 random bits, in base 36.
fn new_epoch(clock: &Clock) -> String {
    let mut n = ((clock.now().unix.0 as u64) << 20) | fastrand::u64(..1 << 20);
    let mut digits = Vec::new();
    while n > 0 {
        digits.push(char::from_digit((n % 36) as u32, 36).expect("a remainder of 36 is a digit of base 36"));
        n /= 36;
    }
    digits.iter().rev().collect()
}

/// The operator token of a configuration.
fn admin_token(config: &server::Config) -> Option<&SecretString> {
    config.admin_token.as_ref()
}
