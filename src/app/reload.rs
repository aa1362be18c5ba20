//! What changes while the gateway runs: the configuration when asked, files with secrets and certificates by themselves.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Gateway, door_limits, keys, limits, make_access};
use crate::access::JwksConfig;
use crate::client::Deps;
use crate::config::{Config, LogConfig, OtlpConfig};
use crate::runtime::Policy;
use crate::server::{self, Certificate};

/// What only a start puts in place, as it was then: a reload that changes it says so, each time.
pub(super) struct Started {
    pub(super) server: server::Config,
    pub(super) upstream_ca_file: Option<PathBuf>,
    pub(super) log: LogConfig,
    pub(super) otlp: Option<OtlpConfig>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) warm_start: bool,
}

impl Gateway {
    /// Reads the configuration file again and puts it in place. What did not change goes on undisturbed; where anything is wrong,
    /// nothing changes. Blocks while the file is read: not for the event loop.
    pub(super) fn reload(&self) -> Result<String, String> {
        let _one_at_a_time = self.reloading.lock();
        let config =
            Config::load_again(self.file.as_deref(), crate::config::process_env()).map_err(|errors| errors.to_string())?;
        let access = make_access(self.access.load().renewed(&config.access)).map_err(|error| error.to_string())?;
        for certificate in self.certificates() {
            certificate.refresh().map_err(|error| error.to_string())?;
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let waits = self.waits_for_a_start(&config);
        let source = |access: &crate::access::Access| access.jwks().map(|jwks| jwks.config().clone());
        let fetched_before: Option<JwksConfig> = source(&self.access.load());
        self.access.store(Arc::new(access));
        if source(&self.access.load()) != fetched_before {
            self.fetch_keys();
        }
        self.move_limits(config.server);
        self.directory.replace(self.accounts.apply(config.accounts));
        self.accounts.start();
        self.hub.wake_all();
        let waits = waits.join(", ");
        Ok(if waits.is_empty() { "in place".to_owned() } else { format!("in place, but for {waits}: at the next start") })
    }

    /// The changed keys that only a start puts in place.
    fn waits_for_a_start(&self, config: &Config) -> Vec<&'static str> {
        use secrecy::ExposeSecret;
        let started = &self.started;
        let (old, new) = (&started.server, &config.server);
        let token = |config: &server::Config| config.admin_token.as_ref().map(|token| token.expose_secret().to_owned());
        let otlp = |otlp: Option<&OtlpConfig>| otlp.map(|o| (o.endpoint.clone(), o.sample_one_in));
        let changes = [
            ("server.listen", old.listen != new.listen),
            ("server.admin_listen", old.admin_listen != new.admin_listen),
            ("server.admin_token", token(old) != token(new)),
            ("server.tls", old.tls != new.tls),
            ("server.admin_tls", old.admin_tls != new.admin_tls),
            ("log", started.log != config.log),
            ("otlp", otlp(started.otlp.as_ref()) != otlp(config.otlp.as_ref())),
            ("state_dir", started.state_dir != config.state_dir),
            ("upstream.ca_file", started.upstream_ca_file != config.upstream_ca_file),
            ("warm_start", started.warm_start != config.warm_start),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    /// For connections and requests to come; nobody who is connected is dropped.
    fn move_limits(&self, config: server::Config) {
        let deps = Deps { limits: limits(&config), ..(*self.front.deps()).clone() };
        self.front.doors.set_limits(door_limits(&config));
        self.admin_doors.set_limits(door_limits(&config));
        self.front.reset(Arc::new(deps), config.clone());
        self.server.store(Arc::new(config));
    }

    /// Fetches the issuer's keys as they are configured now, in place of an earlier way.
    pub(super) fn fetch_keys(&self) {
        let stop = self.core.stop_token().child_token();
        std::mem::replace(&mut *self.fetching.lock(), CancellationToken::clone(&stop)).cancel();
        let Some(jwks) = self.access.load().jwks().cloned() else { return };
        let run = keys::run(jwks, self.clock, self.net.http.clone(), Arc::clone(&self.metrics), Arc::clone(&self.hub), stop);
        self.core.spawn("issuer's keys", Policy::Detached, run);
    }

    fn certificates(&self) -> impl Iterator<Item = Arc<Certificate>> {
        [&self.front.doors, &self.admin_doors].into_iter().filter_map(|doors| doors.certificate.clone())
    }

    /// Looks at files with secrets and certificates.
    pub(super) async fn reread(&self) {
        for certificate in self.certificates() {
            let cert_file = certificate.files().cert_file.clone();
            let refreshed = tokio::task::spawn_blocking(move || certificate.refresh()).await;
            match refreshed {
                Ok(Ok(true)) => tracing::info!(file = %cert_file.display(), "certificate renewed"),
                Ok(Err(error)) => tracing::error!(%error, "certificate not renewed; the known one stays"),
                _ => {}
            }
        }
        self.accounts.reread_secrets().await;
    }
}
