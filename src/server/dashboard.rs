//! The dashboard: one page and its assets, compiled in. It uses only the public protocol; nothing here knows an account.
//!
//! `app.js` is built from `clients/dashboard` and committed, so that neither building nor running the gateway needs Node.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Scripts and styles come from us and stand in files of their own; connections go to us alone; nobody frames the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// Sent with everything here. The tag is asked for each time, so a page never outlives the gateway that it belongs to.
const HEADERS: [(HeaderName, &str); 7] = [
    (HeaderName::from_static("content-security-policy"), CONTENT_SECURITY_POLICY),
    (HeaderName::from_static("cache-control"), "no-cache"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

static ASSETS: [Asset; 4] = [
    Asset { path: "/", content_type: "text/html; charset=utf-8", body: include_bytes!("dashboard/index.html") },
    Asset { path: "/app.js", content_type: "text/javascript; charset=utf-8", body: include_bytes!("dashboard/app.js") },
    Asset { path: "/style.css", content_type: "text/css; charset=utf-8", body: include_bytes!("dashboard/style.css") },
    Asset { path: "/icon.svg", content_type: "image/svg+xml", body: include_bytes!("dashboard/icon.svg") },
];

/// One tag for all: the page and its script change together.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let hash = ASSETS.iter().fold(Sha256::new(), |hash, asset| hash.chain_update(asset.body)).finalize();
    format!("\"{}\"", hex::encode(&hash[..8]))
});

/// The page's routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |routes, asset| {
        routes.route(asset.path, get(move |headers: HeaderMap| async move { answer(asset, &headers) }))
    })
}

fn answer(asset: &Asset, request: &HeaderMap) -> Response {
    let tags = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = tags.flat_map(|list| list.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == *TAG);
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, asset.content_type)], asset.body).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&TAG).expect("a quoted hexadecimal number is a header value"));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

#[cfg(test)]
mod tests;
