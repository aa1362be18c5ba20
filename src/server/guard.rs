//! Who may come in: the bearer token and, for browsers, the origin.

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Front, refused};
use crate::access::{AuthError, Identity};
use crate::client::{count_auth_failure, error_code};
use crate::protocol::ErrorCode;

/// The identity in `Authorization: Bearer`, where there is one. May wait for fresher keys of the issuer.
///
/// # Errors
/// The answer for a token that is refused.
pub(super) async fn bearer(front: &Front, headers: &HeaderMap) -> Result<Option<Identity>, Box<Response>> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let token =
        value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        let message = "Authorization: wants \"Bearer <token>\"";
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, ErrorCode::TokenInvalid, message)));
    };
    identify(front, token.trim()).await.map(Some).map_err(|error| {
        count_auth_failure(&front.deps(), &error);
        let status = if matches!(error, AuthError::KeysUnavailable) {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::UNAUTHORIZED
        };
        Box::new(refused(status, error_code(&error), &error.to_string()))
    })
}

async fn identify(front: &Front, token: &str) -> Result<Identity, AuthError> {
    let deps = front.deps();
    let now = front.clock.now();
    let access = deps.access.load_full();
    let identified = access.identify(token, now.unix);
    let Err(error) = &identified else { return identified };
    let Some(fresher) = access.fresher(token, error, now.mono) else { return identified };
    fresher.wait().await;
    deps.access.load().identify(token, front.clock.now().unix)
}

/// Like [`bearer`], where nothing is served without one.
pub(super) async fn identity(front: &Front, headers: &HeaderMap) -> Result<Identity, Box<Response>> {
    bearer(front, headers).await?.ok_or_else(|| {
        let message = "send Authorization: Bearer <token>";
        Box::new(refused(StatusCode::UNAUTHORIZED, ErrorCode::NotAuthenticated, message))
    })
}

/// Browsers may come from this host's own pages and from the configured origins. A request without `Origin` is no browser's.
pub(super) fn origin(front: &Front, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let mut shown = headers.get_all(ORIGIN).iter();
    let Some(origin) = shown.next() else { return Ok(()) };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let allowed = &front.config().allowed_origins;
    let tls = front.doors.certificate.is_some();
    if shown.next().is_none() && origin.to_str().is_ok_and(|origin| may_connect(origin, host, tls, allowed)) {
        return Ok(());
    }
    let message = "pages of this origin may not connect; add it to server.allowed_origins";
    Err(Box::new(super::problem(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", message)))
}

/// Is this the origin of our own pages, or one of `allowed`? A page without an origin of its own (`null`) is neither. Where we speak TLS
/// ourselves our pages came over it; otherwise a proxy in front may.
fn may_connect(origin: &str, host: Option<&str>, tls: bool, allowed: &[String]) -> bool {
    let origin = origin.to_ascii_lowercase();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Browsers leave the scheme's own port out; a proxy or a configuration may write it.
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return allowed.contains(&origin),
    };
    let bare = |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    let same = host.is_some_and(|host| !host.is_empty() && bare(host) == bare(authority)) && (!tls || scheme == "https");
    same || allowed.iter().any(|allowed| {
        allowed.split_once("://").is_some_and(|(other, authority_of)| other == scheme && bare(authority_of) == bare(authority))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_connect_from_their_own_host_and_from_allowed_origins_alone() {
        let allowed =
            ["https://app.example.com".to_owned(), "http://localhost:3000".to_owned(), "tauri://localhost".to_owned()];
        let cases = [
            ("https://app.example.com", true),
            ("HTTPS://APP.Example.com", true),
            ("https://app.example.com:443", true),
            ("https://app.example.com:8443", false),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.example", false),
            ("https://evil.example/https://app.example.com", false),
            ("https://evil-app.example.com", false),
            ("https://app.example.co", false),
            ("https://user@app.example.com", false),
            ("http://localhost:3000", true),
            ("http://localhost:3001", false),
            ("http://localhost", false),
            ("tauri://localhost", true),
            ("file://", false),
            ("null", false),
            ("", false),
            ("https://", false),
            ("https://gateway.example", true),
            ("http://gateway.example", true),
            ("https://GATEWAY.example:443", true),
            ("https://gateway.example:8443", false),
        ];
        for (origin, expected) in cases {
            assert_eq!(may_connect(origin, Some("Gateway.example"), false, &allowed), expected, "{origin}");
        }
        assert!(may_connect("http://gateway.example:8080", Some("gateway.example:8080"), false, &[]));
        assert!(!may_connect("http://gateway.example:8080", Some("gateway.example"), false, &[]));
        assert!(may_connect("https://gateway.example", Some("gateway.example"), true, &[]));
        assert!(
            !may_connect("http://gateway.example", Some("gateway.example"), true, &[]),
            "no page of ours came in the clear"
        );
        for host in [None, Some("")] {
            assert!(!may_connect("https://gateway.example", host, false, &[]) && !may_connect("https://", host, false, &[]));
        }
    }
}
