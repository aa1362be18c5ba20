//! Sends finished spans to an OpenTelemetry collector: OTLP over HTTP, protobuf.
//!
//! Nobody waits for it. A collector that does not answer costs one request a second; what it did not take is counted, not kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan};
use prost::Message;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::OtlpConfig;
use crate::metrics::traces::{Attributes, Span, SpanId, Value};
use crate::metrics::{Metrics, ResultLabels};
use crate::runtime::Clock;

/// Spans in one request.
const BATCH: usize = 512;
/// A request goes out this often while there is anything to send.
const EVERY: Duration = Duration::from_secs(1);
/// A collector that takes longer does not answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What is left at the stop may take this long: the stop waits for it.
const LAST: Duration = Duration::from_secs(1);
/// A collector's answer is a few bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Why a batch was not taken. Never holds an answer's content, nor the address.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("a header's secret cannot be read or sent")]
    Header,
    #[error("the collector cannot be reached or does not answer in time")]
    Unreachable,
    #[error("the collector answers with status {0}")]
    Status(u16),
}

/// Carries spans to one collector.
pub(super) struct Exporter {
    config: OtlpConfig,
    /// The settings' secrets as last read. `None`: read them first.
    headers: Option<HeaderMap>,
    http: reqwest::Client,
    clock: Clock,
    resource: Resource,
    well: bool,
}

impl Exporter {
    /// `instance` differs from run to run.
    pub(super) fn new(config: OtlpConfig, http: reqwest::Client, clock: Clock, instance: &str) -> Self {
        let attributes = vec![
            text("service.name", env!("CARGO_PKG_NAME")),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", instance),
        ];
        let resource = Resource { attributes, ..Resource::default() };
        Self { config, headers: None, http, clock, resource, well: true }
    }

    /// Sends until `stop`, and then once more what is left.
    pub(super) async fn run(mut self, mut spans: mpsc::Receiver<Span>, metrics: &Metrics, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = spans.recv_many(&mut batch, BATCH) => {}
            }
            // A batch that is full goes at once; else more may join it.
            if batch.len() < BATCH {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(EVERY) => {}
                }
                let room = BATCH - batch.len();
                batch.extend(std::iter::from_fn(|| spans.try_recv().ok()).take(room));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.send(&mut batch, TIMEOUT, metrics) => {}
            }
        }
        // Connections close while the gateway stops; their spans are the last.
        let last = async {
            loop {
                let room = BATCH - batch.len();
                batch.extend(std::iter::from_fn(|| spans.try_recv().ok()).take(room));
                if batch.is_empty() {
                    return;
                }
                self.send(&mut batch, LAST, metrics).await;
            }
        };
        _ = tokio::time::timeout(LAST, last).await;
    }

    /// Sends a batch and counts what became of it.
    async fn send(&mut self, batch: &mut Vec<Span>, within: Duration, metrics: &Metrics) {
        let count = |result, spans| _ = metrics.trace_spans.get_or_create(&ResultLabels { result }).inc_by(spans);
        let request = self.request(batch);
        let sent = tokio::time::timeout(within, self.export(request.encode_to_vec())).await;
        let spans = std::mem::take(batch).len() as u64;
        let result = sent.unwrap_or(Err(ExportError::Unreachable));
        let refused = result.as_ref().map_or(spans, |refused| spans.min(*refused));
        count("failed", refused);
        count("ok", spans - refused);
        match (&result, self.well) {
            (Err(error), true) => tracing::warn!(%error, "traces are not taken; they are dropped"),
            (Ok(_), false) => tracing::info!("traces are taken again"),
            _ => {}
        }
        self.well = result.is_ok();
        if !self.well {
            self.headers = None;
        }
    }

    /// Sends it; tells how many of its spans the collector did not want.
    async fn export(&mut self, body: Vec<u8>) -> Result<u64, ExportError> {
        let headers = match &self.headers {
            Some(headers) => headers.clone(),
            None => self.headers.insert(read_headers(self.config.clone()).await?).clone(),
        };
        let request = self.http.post(&self.config.endpoint).headers(headers).body(body);
        let mut answer = request.send().await.map_err(|_| ExportError::Unreachable)?;
        if !answer.status().is_success() {
            return Err(ExportError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| ExportError::Unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Ok(0); // taken, and talkative about it
            }
            body.extend_from_slice(&chunk);
        }
        let partial = ExportTraceServiceResponse::decode(&*body).ok().and_then(|answer| answer.partial_success);
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }

    fn request(&self, batch: &[Span]) -> ExportTraceServiceRequest {
        // Where the wall clock stands now, and the spans' own beside it: a step of the first moves spans, never their length.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let now = self.clock.now().mono.0;
        let at = |micros: u64| unix.saturating_sub(now.saturating_sub(micros).saturating_mul(1_000));
        let spans = batch.iter().map(|span| wire(span, at)).collect();
        let scope = InstrumentationScope { name: env!("CARGO_PKG_NAME").into(), ..InstrumentationScope::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }] }
    }
}

/// The headers, their secrets read from where they are.
async fn read_headers(config: OtlpConfig) -> Result<HeaderMap, ExportError> {
    // Files may be on a slow mount.
    let read = tokio::task::spawn_blocking(move || {
        let mut headers = HeaderMap::from_iter([(
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/x-protobuf"),
        )]);
        for (name, source) in &config.headers {
            let value = source.read().map_err(|_| ExportError::Header)?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| ExportError::Header)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| ExportError::Header)?, value);
        }
        Ok(headers)
    });
    read.await.unwrap_or(Err(ExportError::Header))
}

fn wire(span: &Span, at: impl Fn(u64) -> u64) -> WireSpan {
    let link = |id: SpanId| Link { trace_id: trace(id), span_id: id.span.to_be_bytes().to_vec(), ..Link::default() };
    WireSpan {
        trace_id: trace(span.id),
        span_id: span.id.span.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: at(span.start),
        end_time_unix_nano: at(span.end),
        attributes: attributes(&span.attributes),
        links: span.link.map(link).into_iter().collect(),
        ..WireSpan::default()
    }
}

fn trace(id: SpanId) -> Vec<u8> {
    id.trace.to_be_bytes().to_vec()
}

fn attributes(given: &Attributes) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&'static str, Value)| match value {
        Value::Text(value) => text(key, value),
        Value::Number(number) => pair(key, Any::IntValue(i64::try_from(*number).unwrap_or(i64::MAX))),
    };
    given.iter().map(attribute).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
