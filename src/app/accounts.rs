//! The accounts that run: which links exist, and how a changed configuration changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::MAX_ROWS_PER_ACCOUNT;
use super::state::{KeptRow, State};
use crate::access::Listed;
use crate::config::AccountConfig;
use crate::metrics::Metrics;
use crate::model::{AccountIdx, AccountKey, AccountState, Channel, Filter, Reason, ReasonCode};
use crate::runtime::{Clock, Policy, Tasks};
use crate::store::Store;
use crate::venue::conn::{self, Ask, Net};
use crate::venue::link::{Link, LinkParts};
use crate::venue::{Connector, Shared, begin_series, remove_series};

/// Asks waiting for one connection; more than a few mean that it hangs, and then the newest add nothing.
const ASKS: usize = 8;

pub(super) struct Accounts {
    clock: Clock,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
    shared: Arc<Shared>,
    net: Net,
    running: Mutex<BTreeMap<Arc<str>, Account>>,
}

struct Account {
    idx: AccountIdx,
    config: AccountConfig,
    /// `None`: disabled, or not started yet.
    connection: Option<Connection>,
    /// Fires when the connection with earlier settings has ended.
    before: Option<CancellationToken>,
}

struct Connection {
    asks: mpsc::Sender<Ask>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Accounts {
    pub(super) fn new(clock: Clock, store: Arc<Store>, metrics: Arc<Metrics>, tasks: Tasks, net: Net) -> Self {
        Self { clock, store, metrics, tasks, shared: Arc::default(), net, running: Mutex::default() }
    }

    /// Brings the set of accounts in line with a configuration and lists them for access. Connections start with
    /// [`Accounts::start`]; those whose settings did not change are not touched.
    pub(super) fn apply(&self, configs: Vec<AccountConfig>) -> Vec<Listed> {
        let mut running = self.running.lock();
        let mut next = BTreeMap::new();
        for config in configs {
            let id = Arc::clone(&config.id);
            let account = match running.remove(&id) {
                Some(old) if same_rows(&old.config, &config) && !changes_hands(&old.config, &config) => self.rekey(old, config),
                Some(old) => {
                    self.remove(old);
                    self.add(config)
                }
                None => self.add(config),
            };
            next.insert(id, account);
        }
        for (_, gone) in std::mem::replace(&mut *running, next) {
            self.remove(gone);
        }
        let listed = running.values().map(|a| Listed { idx: a.idx, key: key(&a.config), owners: a.config.owners.clone() });
        listed.collect()
    }

    fn add(&self, config: AccountConfig) -> Account {
        let idx = self.store.add_account(key(&config), config.enabled, MAX_ROWS_PER_ACCOUNT, self.clock.now());
        if config.enabled {
            begin_series(&self.metrics, config.venue, &config.id);
        }
        Account { idx, config, connection: None, before: None }
    }

    fn remove(&self, account: Account) {
        if let Some(connection) = account.connection {
            connection.stop.cancel();
        }
        self.store.remove_account(account.idx);
        remove_series(&self.metrics, account.config.venue, &account.config.id);
    }

    /// The same account with other keys: its rows stay, as `stale`, until a new connection proves them.
    fn rekey(&self, mut old: Account, config: AccountConfig) -> Account {
        if old.config.spec.credentials.same(&config.spec.credentials) {
            // Credentials are kept: the running connection shares them.
            (old.config.owners, old.config.secrets) = (config.owners, config.secrets);
            return old;
        }
        if let Some(connection) = old.connection.take() {
            connection.stop.cancel();
            old.before = Some(connection.ended);
        }
        let reason = Reason::new(ReasonCode::OperatorResync, "the account's settings changed");
        self.store.lost(old.idx, self.clock.now(), AccountState::Stale, reason);
        Account { idx: old.idx, config, connection: None, before: old.before }
    }

    /// Connects every enabled account that has no connection.
    pub(super) fn start(&self) {
        for account in self.running.lock().values_mut().filter(|a| a.config.enabled && a.connection.is_none()) {
            let spec = &account.config.spec;
            match (account.config.venue.connect)(spec, &self.shared) {
                Ok(connector) => {
                    let before = account.before.take();
                    account.connection = Some(self.connect(account.idx, &account.config, connector, before));
                }
                // The configuration was checked with the same call.
                Err(problems) => tracing::error!(account = &*account.config.id, ?problems, "account not started"),
            }
        }
    }

    /// Connects once the connection `before` has ended: two must never speak for the same rows.
    fn connect(
        &self,
        idx: AccountIdx,
        config: &AccountConfig,
        connector: Arc<dyn Connector>,
        before: Option<CancellationToken>,
    ) -> Connection {
        let link = Link::new(LinkParts {
            idx,
            account: config.id.to_string(),
            venue: config.venue,
            store: Arc::clone(&self.store),
            metrics: Arc::clone(&self.metrics),
            connector,
            host: self.shared.host(&config.spec.ws_url, config.venue.limits),
            seed: fastrand::u64(..),
        });
        let (asks, receiver) = mpsc::channel(ASKS);
        let stop = self.tasks.stop_token().child_token();
        let run = conn::run(link, self.clock, self.net.clone(), receiver, stop.clone());
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        self.tasks.spawn(format!("venue {} {}", config.venue.name, config.id), Policy::Detached, async move {
            let _guard = guard;
            if let Some(before) = before {
                before.cancelled().await;
            }
            run.await;
        });
        Connection { asks, stop, ended }
    }

    /// Reads secrets from their sources again; an account whose secrets changed is told.
    pub(super) async fn reread_secrets(&self) {
        let configs: Vec<_> = self.running.lock().values().map(|a| a.config.clone()).collect();
        // Files may be on a slow mount.
        let read = tokio::task::spawn_blocking(move || {
            configs.into_iter().map(|config| (config.read_secrets(), config)).collect::<Vec<_>>()
        });
        for (secrets, config) in read.await.unwrap_or_default() {
            match secrets {
                Ok(secrets) => {
                    if config.spec.credentials.replace(secrets) {
                        tracing::info!(account = &*config.id, "credentials changed");
                        self.ask(&config.id, Ask::CredentialsChanged);
                    }
                }
                Err(problems) => {
                    let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
                    tracing::warn!(account = &*config.id, ?keys, "credentials cannot be read anew; the known ones stay");
                }
            }
        }
    }

    /// Tells an account's connection; false when there is none.
    pub(super) fn ask(&self, id: &str, ask: Ask) -> bool {
        let running = self.running.lock();
        let connection = running.get(id).and_then(|account| account.connection.as_ref());
        connection.is_some_and(|connection| connection.asks.try_send(ask).is_ok())
    }

    /// Tells every connection that the machine slept.
    pub(super) fn slept(&self) {
        let ids: Vec<_> = self.running.lock().keys().cloned().collect();
        ids.iter().for_each(|id| _ = self.ask(id, Ask::Slept));
    }

    /// Puts in place what an earlier run left: nonces continue above it; rows are shown as `stale`, if wanted.
    pub(super) fn recall(&self, state: State, rows: bool) {
        for (key, mark) in state.nonces {
            self.shared.nonce(&key).raise(mark);
        }
        if !rows {
            return;
        }
        let mut by_account: BTreeMap<(String, String), Vec<KeptRow>> = BTreeMap::new();
        for row in state.rows {
            by_account.entry((row.venue.clone(), row.account.clone())).or_default().push(row);
        }
        let known = |account: &Account| state.origins.contains(&origin(&account.config));
        for account in self.running.lock().values().filter(|a| a.config.enabled && known(a)) {
            let key = key(&account.config);
            let kept = by_account.remove(&(key.venue.to_owned(), key.account.to_string())).unwrap_or_default();
            let rows = kept.into_iter().map(|row| row.restore(&key)).collect();
            self.store.restore(account.idx, self.clock.now(), rows);
        }
    }

    /// What a later run should know.
    pub(super) fn keep(&self) -> State {
        let (accounts, origins): (Vec<_>, _) = self.running.lock().values().map(|a| (a.idx, origin(&a.config))).unzip();
        // One account at a time: the store is not held up for the rows of all of them at once.
        let rows = |idx| self.store.changes_since(0, &[idx], &Filter::default(), Channel::Balances).balances;
        State {
            written: self.clock.now().unix,
            nonces: self.shared.nonce_marks(),
            origins,
            rows: accounts.into_iter().flat_map(rows).map(|row| KeptRow::of(&row)).collect(),
        }
    }

    /// The highest nonce of each key.
    pub(super) fn nonces(&self) -> Vec<(String, u64)> {
        self.shared.nonce_marks()
    }

    /// Is there an account whose venue told all its rows and stands by them?
    pub(super) fn any_whole(&self) -> bool {
        self.each().into_iter().any(|idx| self.store.record(idx).is_some_and(|record| record.state.is_proven()))
    }

    /// Every account.
    pub(super) fn each(&self) -> Vec<AccountIdx> {
        self.running.lock().values().map(|account| account.idx).collect()
    }
}

fn key(config: &AccountConfig) -> AccountKey {
    AccountKey { venue: config.venue.name, account: Arc::clone(&config.id) }
}

/// Would a connection made from either tell of the same rows? If not, rows of the one are nothing the other could prove, or call gone:
/// the account starts anew without them.
fn same_rows(a: &AccountConfig, b: &AccountConfig) -> bool {
    let (x, y) = (&a.spec, &b.spec);
    a.venue.name == b.venue.name
        && a.enabled == b.enabled
        && x.ws_url == y.ws_url
        && x.rest_url == y.rest_url
        && x.wallets == y.wallets
        && x.options == y.options
}

/// Other keys and other owners at once: whoever the rows belonged to, the new owners may be others.
fn changes_hands(a: &AccountConfig, b: &AccountConfig) -> bool {
    !a.spec.credentials.same(&b.spec.credentials) && a.owners != b.owners
}

/// Where an account's rows come from and whose they are, as a digest for the state file. A run whose configuration says otherwise does
/// not show them: under the same name it may be another account. Keys are left out, as a token may be another one every day.
fn origin(config: &AccountConfig) -> String {
    let spec = &config.spec;
    let wallets: Vec<_> = spec.wallets.iter().map(|wallet| (&wallet.address, &wallet.assets)).collect();
    let told = format!("{:?}", (config.venue.name, &spec.id, &spec.ws_url, &spec.rest_url, wallets, &config.owners));
    hex::encode(&Sha256::digest(told)[..16])
}

#[cfg(test)]
mod tests;
