//! Who may come in: the bearer token and, for browsers, the origin.

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Front, refused};
use crate::access::Identity;
use crate::client::{count_auth_failure, error_code};
use crate::protocol::ErrorCode;

/// The identity in `Authorization: Bearer`, where there is one.
///
/// # Errors
/// The answer for a token that is refused.
pub(super) fn bearer(front: &Front, headers: &HeaderMap) -> Result<Option<Identity>, Box<Response>> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let refuse = |code, message: &str| Box::new(refused(StatusCode::UNAUTHORIZED, code, message));
    let token =
        value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return Err(refuse(ErrorCode::TokenInvalid, "Authorization: wants \"Bearer <token>\""));
    };
    let identified = front.deps.access.load().identify(token.trim(), front.clock.now().unix);
    identified.map(Some).map_err(|error| {
        count_auth_failure(&front.deps, &error);
        refuse(error_code(&error), &error.to_string())
    })
}

/// Like [`bearer`], where nothing is served without one.
pub(super) fn identity(front: &Front, headers: &HeaderMap) -> Result<Identity, Box<Response>> {
    bearer(front, headers)?.ok_or_else(|| {
        let message = "send Authorization: Bearer <token>";
        Box::new(refused(StatusCode::UNAUTHORIZED, ErrorCode::NotAuthenticated, message))
    })
}

/// Browsers may come from this host's own pages and from the configured origins. A request without `Origin` is no browser's.
pub(super) fn origin(front: &Front, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same = origin.split_once("://").is_some_and(|(_, authority)| own == Some(authority));
    if same || front.allowed_origins.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    let message = "pages of this origin may not connect; add it to server.allowed_origins";
    Err(Box::new(super::problem(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", message)))
}
