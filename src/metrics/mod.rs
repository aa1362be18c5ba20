//! Counters and gauges of every stage, and their text for Prometheus.
//!
//! Labels come from configuration or closed sets, never from users, tokens or venues' payloads. Handles that are touched on
//! the hot path are cached by whoever touches them.

pub mod traces;

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A gauge of fractional seconds.
pub type SecondsGauge = Gauge<f64, AtomicU64>;

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $type:ty),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $(pub $field: $type),+ }
    };
}

labels!(
    /// One configured account.
    AccountLabels { venue: &'static str, account: String });
labels!(
    /// One configured account in one of its states.
    StateLabels { venue: &'static str, account: String, state: &'static str });
labels!(
    /// One configured account and why something happened.
    ReasonLabels { venue: &'static str, account: String, reason: &'static str });
labels!(
    /// Frames of a venue by kind: `text`, `binary`, `ping`, `pong`, `reply`.
    FrameLabels { venue: &'static str, kind: &'static str });
labels!(
    /// A venue.
    VenueLabels { venue: &'static str });
labels!(
    /// A downstream channel.
    ChannelLabels { channel: &'static str });
labels!(
    /// A downstream frame's type.
    TypeLabels { r#type: &'static str });
labels!(
    /// A close code.
    CodeLabels { code: u16 });
labels!(
    /// Why a token was refused.
    AuthLabels { reason: &'static str });

labels!(
    /// A listener: `clients` or `operators`.
    ListenerLabels { listener: &'static str });
labels!(
    /// How something ended: `ok` or `failed`, or `dropped` before it was tried.
    ResultLabels { result: &'static str });
labels!(
    /// What was refused for want of room: `connections`, `address`, `unauthenticated`, `handshakes`, `requests`, `user`.
    LimitLabels { limit: &'static str });

/// Every metric of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub venue_state: Family<StateLabels, Gauge>,
    pub venue_age_seconds: Family<AccountLabels, SecondsGauge>,
    pub venue_frames: Family<FrameLabels, Counter>,
    pub venue_decode_errors: Family<VenueLabels, Counter>,
    pub venue_reconnects: Family<ReasonLabels, Counter>,
    pub venue_resyncs: Family<ReasonLabels, Counter>,
    pub venue_drift_rows: Family<AccountLabels, Counter>,
    pub store_rows: Gauge,
    pub store_commits: Counter,
    pub client_connections: Gauge,
    pub client_subscriptions: Family<ChannelLabels, Gauge>,
    pub client_frames: Family<TypeLabels, Counter>,
    pub client_bytes: Counter,
    pub client_rows_conflated: Counter,
    pub client_closes: Family<CodeLabels, Counter>,
    pub client_auth_failures: Family<AuthLabels, Counter>,
    pub client_refusals: Family<LimitLabels, Counter>,
    pub client_unauthenticated: Gauge,
    pub jwks_fetches: Family<ResultLabels, Counter>,
    pub jwks_keys: Gauge,
    pub delivery_seconds: Delivery,
    pub tls_expiry: Family<ListenerLabels, Gauge>,
    pub trace_spans: Family<ResultLabels, Counter>,
    pub traces: traces::Traces,
    pub process: Process,
    pub hot: Hot,
}

/// Counters looked up once.
#[derive(Debug, Default)]
pub struct Hot {
    snapshots: OnceLock<Counter>,
    updates: OnceLock<Counter>,
}

/// The delivery histogram, from 10 µs to 10 s.
#[derive(Debug)]
pub struct Delivery(pub Histogram);

impl Default for Delivery {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.000_01, 2.0, 20)))
    }
}

/// What the process costs, read from `/proc` at each scrape; zero where there is none.
#[derive(Debug, Default)]
pub struct Process {
    pub resident_memory_bytes: Gauge,
    pub open_fds: Gauge,
    pub cpu_seconds: SecondsGauge,
    pub start_time_seconds: SecondsGauge,
    pub panics: Counter,
    /// Panics that ended no task, for whoever adds up [`Process::panics`].
    pub caught: Counter,
}

impl Metrics {
    /// Counts client frames of a type. The counters of `snapshot` and `update` are looked up once.
    pub fn count_client_frames(&self, r#type: &'static str, count: u64) {
        let look_up = || self.client_frames.get_or_create(&TypeLabels { r#type }).clone();
        match r#type {
            "snapshot" => _ = self.hot.snapshots.get_or_init(look_up).inc_by(count),
            "update" => _ = self.hot.updates.get_or_init(look_up).inc_by(count),
            _ => _ = look_up().inc_by(count),
        }
    }

    /// Everything as Prometheus (OpenMetrics) text.
    pub fn render(&self) -> String {
        self.process.read();
        let mut registry = Registry::with_prefix("balance_gateway");
        self.register(&mut registry);
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }

    fn register(&self, r: &mut Registry) {
        r.register("venue_state", "1 for the state the account is in", self.venue_state.clone());
        r.register("venue_age_seconds", "Seconds since the last proof of life", self.venue_age_seconds.clone());
        r.register("venue_frames", "Frames and replies read from a venue", self.venue_frames.clone());
        r.register("venue_decode_errors", "Messages of a venue that could not be decoded", self.venue_decode_errors.clone());
        r.register("venue_reconnects", "Connections that ended", self.venue_reconnects.clone());
        r.register("venue_resyncs", "Fresh snapshots asked for within a connection", self.venue_resyncs.clone());
        r.register("venue_drift_rows", "Rows that a reconcile had to correct", self.venue_drift_rows.clone());
        r.register("store_rows", "Balance rows held", self.store_rows.clone());
        r.register("store_commits", "Commits to the store", self.store_commits.clone());
        r.register("client_connections", "Open client connections", self.client_connections.clone());
        r.register("client_subscriptions", "Live subscriptions", self.client_subscriptions.clone());
        r.register("client_frames", "Frames handed to clients", self.client_frames.clone());
        r.register("client_bytes", "Bytes written to clients", self.client_bytes.clone());
        r.register(
            "client_rows_conflated",
            "Row versions skipped for slow or throttled readers",
            self.client_rows_conflated.clone(),
        );
        r.register("client_closes", "Client connections closed by the gateway", self.client_closes.clone());
        r.register("client_auth_failures", "Tokens refused", self.client_auth_failures.clone());
        r.register("client_refusals", "Connections and requests over a limit", self.client_refusals.clone());
        r.register("client_unauthenticated", "Open client connections without a token", self.client_unauthenticated.clone());
        r.register("jwks_fetches", "Fetches of the issuer's keys", self.jwks_fetches.clone());
        r.register("jwks_keys", "Keys that the issuer publishes", self.jwks_keys.clone());
        r.register(
            "delivery_seconds",
            "From a venue frame read to the client frame handed to the socket",
            self.delivery_seconds.0.clone(),
        );
        r.register(
            "tls_expiry_timestamp_seconds",
            "When a listener's certificate ends, since the Unix epoch",
            self.tls_expiry.clone(),
        );
        r.register("trace_spans", "Spans for the collector", self.trace_spans.clone());
        let p = &self.process;
        r.register("process_resident_memory_bytes", "Resident memory", p.resident_memory_bytes.clone());
        r.register("process_open_fds", "Open file descriptors", p.open_fds.clone());
        r.register("process_cpu_seconds", "User and system time spent", p.cpu_seconds.clone());
        r.register("process_start_time_seconds", "Start time since the Unix epoch", p.start_time_seconds.clone());
        r.register("process_task_panics", "Tasks that panicked", p.panics.clone());
    }
}

impl Process {
    /// Reads Linux's `/proc/self`. The page size and clock tick are those of every Linux this runs on (4096, 100 Hz).
    fn read(&self) {
        const PAGE_BYTES: i64 = 4096;
        const TICKS_PER_SECOND: f64 = 100.0;
        if let Ok(statm) = std::fs::read_to_string("/proc/self/statm")
            && let Some(pages) = statm.split(' ').nth(1).and_then(|n| n.parse::<i64>().ok())
        {
            self.resident_memory_bytes.set(pages * PAGE_BYTES);
        }
        if let Ok(dir) = std::fs::read_dir("/proc/self/fd") {
            self.open_fds.set(dir.count() as i64);
        }
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
            && let Some((_, rest)) = stat.rsplit_once(')')
        {
            // Fields 14 and 15 of proc(5), counted from after the command's name (field 2).
            let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
            self.cpu_seconds.set(ticks / TICKS_PER_SECOND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_contract_is_rendered_under_its_name() {
        let m = Metrics::default();
        m.venue_decode_errors.get_or_create(&VenueLabels { venue: "p99" }).inc();
        m.client_closes.get_or_create(&CodeLabels { code: 4101 }).inc();
        m.client_frames.get_or_create(&TypeLabels { r#type: "update" }).inc();
        let text = m.render();
        for name in [
            "balance_gateway_venue_decode_errors_total{venue=\"p99\"} 1",
            "balance_gateway_client_closes_total{code=\"4101\"} 1",
            "balance_gateway_client_frames_total{type=\"update\"} 1",
            "balance_gateway_store_rows 0",
            "balance_gateway_store_commits_total 0",
            "balance_gateway_client_bytes_total 0",
            "balance_gateway_delivery_seconds_bucket",
            "balance_gateway_process_resident_memory_bytes",
        ] {
            assert!(text.contains(name), "{name} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
