//! Headers for browsers: who may read an answer, and what a page may do. A handler's own header goes before these.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Front, guard};

/// For every answer. An answer that is no page may load, run and embed nothing.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// A year. Only where this listener itself speaks TLS: a proxy in front says it for itself.
const TRANSPORT: &str = "max-age=31536000";

/// Adds the headers every answer carries.
pub(super) async fn secure(State(tls): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if tls {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HeaderValue::from_static(TRANSPORT));
    }
    response
}

/// Cross-origin requests: preflights are answered, and answers may be read by pages of the allowed origins alone. Tokens are sent by
/// hand, never by the browser, so credentials are not allowed along.
pub(super) async fn cors(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return vary(next.run(request).await);
    };
    if let Err(refusal) = guard::origin(&front, request.headers()) {
        return vary(*refusal);
    }
    let preflight = request.method() == Method::OPTIONS && request.headers().contains_key("access-control-request-method");
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        let fixed = HeaderValue::from_static;
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed("GET"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed("authorization, if-none-match, last-event-id"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed("600"));
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after"));
    }
    vary(response)
}

/// Caches must keep the answers for one origin from another.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}
