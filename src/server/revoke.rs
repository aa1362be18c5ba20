//! `POST /admin/revoke`: ends the validity of one token, or of all that a user holds.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::admin::{InForce, Kept, Operator, allow};
use super::{json as json_answer, problem};
use crate::access::{Revocation, RevokeError, Revoked};
use crate::model::UnixMs;

/// An unknown field is an error: a misspelt one would revoke something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    jti: Option<String>,
    user: Option<String>,
    /// With `user` alone. Absent: until now.
    issued_before: Option<UnixMs>,
    /// When the last token concerned has expired. Absent: not known, so it is never forgotten.
    expires_at: Option<UnixMs>,
}

const WANTS: &str = "wants {\"jti\": \"…\"} or {\"user\": \"…\", \"issued_before\": ms}, and either with \"expires_at\": ms";
const NOT_KEPT: &str =
    "it is in force, but was not written to state_dir: a restart would forget it; see the log, then ask again";

pub(super) async fn revoke(State(operator): State<Arc<dyn Operator>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = allow(&operator, &headers) {
        return *refusal;
    }
    let Some(revocation) = read(&body, operator.now()) else {
        return problem(StatusCode::BAD_REQUEST, "BAD_REQUEST", WANTS);
    };
    // It is answered when it is on the disk, where it is kept at all.
    let done = tokio::task::spawn_blocking(move || operator.revoke(revocation)).await;
    match done {
        Ok(Ok(InForce { kept: Kept::Failed, .. })) | Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "NOT_KEPT", NOT_KEPT),
        Ok(Ok(InForce { held, kept })) => {
            json_answer(json!({ "revoked": true, "held": held, "kept": kept == Kept::Written }).to_string())
        }
        Ok(Err(error @ RevokeError::Full)) => problem(StatusCode::SERVICE_UNAVAILABLE, "FULL", &error.to_string()),
        Ok(Err(error)) => problem(StatusCode::BAD_REQUEST, "BAD_REQUEST", &error.to_string()),
    }
}

fn read(body: &[u8], now: UnixMs) -> Option<Revocation> {
    let Body { jti, user, issued_before, expires_at } = serde_json::from_slice(body).ok()?;
    let what = match (jti, user) {
        (Some(id), None) if issued_before.is_none() => Revoked::Token(id),
        (None, Some(user)) => Revoked::User { user, issued_before: issued_before.unwrap_or(now) },
        _ => return None,
    };
    Some(Revocation { what, until: expires_at })
}
