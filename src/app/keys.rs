//! Fetches the keys that the issuer publishes: one fetch at a time, and never more often than the key set allows.
//!
//! What a document means is the matter of [`crate::access`]; this moves its bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::access::{FETCH_TIMEOUT, JwksSource, KeySet, MAX_JWKS_BYTES};
use crate::hub::Hub;
use crate::metrics::{Metrics, ResultLabels};
use crate::runtime::{Backoff, Clock};

/// How often a file is looked at: it costs next to nothing.
const FILE_EVERY: Duration = Duration::from_secs(5);
/// Pauses between tries while an address does not answer.
const RETRY_MS: (u64, u64) = (1_000, 60_000);

/// Why there is no document. Never holds a part of one, nor the address, which may hold a key.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the address does not answer in time")]
    Timeout,
    #[error("the address cannot be reached")]
    Unreachable,
    #[error("the address answers with status {0}")]
    Status(u16),
    #[error("the document is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    #[error("the file cannot be read ({})", crate::runtime::io_words(*.0))]
    File(std::io::ErrorKind),
}

/// Keeps `keys` fresh until `stop`. Where they change, who is connected is looked at again: a withdrawn key may have signed its token.
pub(super) async fn run(
    keys: Arc<KeySet>,
    clock: Clock,
    http: reqwest::Client,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(RETRY_MS.0, RETRY_MS.1);
    let mut rng = fastrand::Rng::new();
    let mut well = true;
    let mut known = keys.marks();
    loop {
        keys.begin(clock.now().mono);
        let fetched = tokio::select! {
            () = stop.cancelled() => return,
            fetched = fetch(&keys.config().source, &http) => fetched,
        };
        let document = fetched.as_ref().ok().map(Vec::as_slice);
        let problem = match (&fetched, keys.end(document)) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(_), Err(error)) => Some(error.to_string()),
            (Ok(_), Ok(())) => None,
        };
        let before = std::mem::replace(&mut known, keys.marks());
        if known != before {
            hub.wake_all();
        }
        metrics.jwks_fetches.get_or_create(&ResultLabels { result: if problem.is_none() { "ok" } else { "failed" } }).inc();
        metrics.jwks_keys.set(keys.len() as i64);
        match (&problem, well) {
            (Some(problem), true) => tracing::warn!(%problem, kept = keys.len(), "the issuer's keys are not fetched"),
            (None, false) => tracing::info!(keys = keys.len(), "the issuer's keys are fetched again"),
            _ => {}
        }
        well = problem.is_none();
        let pause = match &keys.config().source {
            JwksSource::File(_) => FILE_EVERY,
            JwksSource::Url(_) if well => {
                backoff.reset();
                Duration::from_secs(keys.config().refresh_seconds)
            }
            JwksSource::Url(_) => Duration::from_millis(backoff.next(&mut rng)),
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = keys.asked() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn fetch(source: &JwksSource, http: &reqwest::Client) -> Result<Vec<u8>, FetchError> {
    let fetch = async {
        match source {
            JwksSource::Url(url) => over_http(http, url).await,
            JwksSource::File(path) => from_file(path).await.map_err(|error| FetchError::File(error.kind())),
        }
    };
    let document = tokio::time::timeout(FETCH_TIMEOUT, fetch).await.map_err(|_| FetchError::Timeout)??;
    if document.len() > MAX_JWKS_BYTES { Err(FetchError::TooLarge) } else { Ok(document) }
}

async fn over_http(http: &reqwest::Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let request = http.get(url).header("accept", "application/jwk-set+json, application/json");
    let mut response = request.send().await.map_err(|_| FetchError::Unreachable)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| FetchError::Unreachable)? {
        if document.len() + chunk.len() > MAX_JWKS_BYTES {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

async fn from_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut document = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_JWKS_BYTES as u64 + 1).read_to_end(&mut document).await?;
    Ok(document)
}
