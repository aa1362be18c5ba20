//! `GET /openapi.json` and `GET /asyncapi.json`: the protocol for machines, assembled from the types of [`crate::protocol::shape`].
//!
//! Names no account and no setting of this gateway, so it needs no token. `docs/` holds a copy of both; a test keeps them equal.

mod asyncapi;
mod openapi;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;

static OPENAPI: LazyLock<String> = LazyLock::new(|| text(&openapi::document()));
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| text(&asyncapi::document()));

/// What both documents are about.
const DESCRIPTION: &str = "Balances held at trading venues, as each venue last said, to the last digit, or marked `stale`. \
    Unknown is `null`, never zero. Amounts are decimal strings; times are integer milliseconds since the Unix epoch. Fields that a \
    reader does not know must be ignored, and enumerations may grow.";

/// The OpenAPI 3.1 document: what is served over HTTP.
pub fn openapi() -> &'static str {
    &OPENAPI
}

/// The AsyncAPI 3.0 document: the WebSocket.
pub fn asyncapi() -> &'static str {
    &ASYNCAPI
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let answer = |text: &'static str| ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text).into_response();
    Router::new()
        .route("/openapi.json", get(move || async move { answer(openapi()) }))
        .route("/asyncapi.json", get(move || async move { answer(asyncapi()) }))
}

fn text(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("a JSON value serializes");
    text.push('\n');
    text
}
