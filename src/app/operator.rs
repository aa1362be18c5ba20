//! What the admin listener may ask of the gateway.

use secrecy::SecretString;

use super::{Gateway, admin_token};
use crate::access::{Revocation, RevokeError};
use crate::metrics::{AccountLabels, ListenerLabels, Metrics};
use crate::model::{AccountState, UnixMs};
use crate::runtime::logging;
use crate::server::admin::{AccountHealth, InForce, Kept, Operator};
use crate::venue::conn::Ask;

impl Operator for Gateway {
    fn accounts(&self) -> Vec<AccountHealth> {
        let records = self.accounts.each().into_iter().filter_map(|idx| self.store.record(idx));
        let health = records.map(|record| AccountHealth {
            venue: record.key.venue,
            account: record.key.account.to_string(),
            state: record.state,
            reason: record.reason.as_ref().map(|reason| (reason.code.as_str(), reason.text.to_string())),
            had_snapshot: record.last_confirmed.is_some(),
        });
        health.collect()
    }

    fn is_draining(&self) -> bool {
        self.stop.is_cancelled()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn refresh_metrics(&self) {
        let now = self.clock.now().mono;
        for record in self.accounts.each().into_iter().filter_map(|idx| self.store.record(idx)) {
            let enabled = record.state != AccountState::Disabled;
            let Some(proof) = record.proof.last().filter(|_| enabled) else { continue };
            let labels = AccountLabels { venue: record.key.venue, account: record.key.account.to_string() };
            let age = now.0.saturating_sub(proof.mono.0) as f64 / 1e6;
            self.metrics.venue_age_seconds.get_or_create(&labels).set(age);
        }
        for (listener, doors) in [("clients", &self.front.doors), ("operators", &self.admin_doors)] {
            if let Some(at) = doors.certificate.as_ref().and_then(|certificate| certificate.not_after()) {
                self.metrics.tls_expiry.get_or_create(&ListenerLabels { listener }).set(at);
            }
        }
        let caught = self.core.panics() + self.clients.panics() + self.exporting.panics() + self.metrics.process.caught.get();
        let counted = &self.metrics.process.panics;
        counted.inc_by(caught.saturating_sub(counted.get()));
    }

    fn resync(&self, account: &str) -> bool {
        self.accounts.ask(account, Ask::Resync)
    }

    fn drain(&self) {
        self.stop.cancel();
    }

    fn reload(&self) -> Result<String, String> {
        Gateway::reload(self)
    }

    fn log_level(&self) -> Option<String> {
        logging::level()
    }

    fn set_log_level(&self, level: &str) -> Result<String, String> {
        crate::config::check_level(level)?;
        let was = logging::set_level(level).ok_or("this process keeps no log")?;
        tracing::warn!(level, was, "log level changed by an operator");
        Ok(was)
    }

    fn now(&self) -> UnixMs {
        self.clock.now().unix
    }

    fn revoke(&self, revocation: Revocation) -> Result<InForce, RevokeError> {
        let now = self.clock.now().unix;
        let access = self.access.load_full();
        let held = access.revocations().add(revocation, now)?;
        self.hub.wake_all();
        let kept = match &self.revoked {
            None => Kept::NoPlace,
            Some(file) => match file.keep(access.revocations(), now) {
                Ok(()) => Kept::Written,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "revocations not written; a restart forgets the newest");
                    Kept::Failed
                }
            },
        };
        tracing::info!(held, kept = kept == Kept::Written, "tokens revoked");
        Ok(InForce { held, kept })
    }

    fn token(&self) -> Option<&SecretString> {
        admin_token(&self.started.server)
    }
}
