//! REST: the snapshot as one answer.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Front, guard, json, refused};
use crate::hub::View;
use crate::model::{Channel, Filter};
use crate::protocol::{self, ErrorCode, SnapshotHead};

type Pairs = Query<Vec<(String, String)>>;

pub(super) async fn balances(State(front): State<Arc<Front>>, headers: HeaderMap, Query(pairs): Pairs) -> Response {
    let view = match view(&front, &headers, &pairs, Channel::Balances).await {
        Ok(view) => view,
        Err(refusal) => return *refusal,
    };
    // Read before the rows: a commit in between makes the answer newer than its tag, never older. Weak: two answers of one tag have
    // the same rows and states, but each its own `ts` and `proven_ts`.
    let tag = format!("W/\"{}.{}\"", view.epoch(), view.newest());
    // Compared weakly (RFC 9110, section 13.1.2).
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let is_it = |listed: &str| opaque(listed) == opaque(&tag) || listed.trim() == "*";
    let matches = |value: &HeaderValue| value.to_str().is_ok_and(|list| list.split(',').any(is_it));
    let etag = HeaderValue::from_str(&tag).expect("epochs and numbers are ASCII");
    if headers.get_all(IF_NONE_MATCH).iter().any(matches) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let head = SnapshotHead { channel: Channel::Balances, reason: "request", epoch: view.epoch(), ts: front.clock.now().unix };
    let mut response = json(view.aside(|| protocol::snapshot_whole(&head, &view.read_all())));
    response.headers_mut().insert(ETAG, etag);
    response.headers_mut().insert("cache-control", HeaderValue::from_static("private, no-cache"));
    response
}

pub(super) async fn accounts(State(front): State<Arc<Front>>, headers: HeaderMap, Query(pairs): Pairs) -> Response {
    listing(&front, &headers, &pairs, Channel::Orders, "accounts").await
}

pub(super) async fn orders(State(front): State<Arc<Front>>, headers: HeaderMap, Query(pairs): Pairs) -> Response {
    listing(&front, &headers, &pairs, Channel::Orders, "orders").await
}

async fn listing(
    front: &Front,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    channel: Channel,
    name: &'static str,
) -> Response {
    match view(front, headers, pairs, channel).await {
        Ok(view) => {
            let now = front.clock.now().unix;
            json(view.aside(|| protocol::listing(view.epoch(), now, name, &view.read_all())))
        }
        Err(refusal) => *refusal,
    }
}

async fn view(
    front: &Front,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    channel: Channel,
) -> Result<Arc<View>, Box<Response>> {
    let identity = guard::identity(front, headers).await?;
    front.take_request(&identity.user)?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let filter = Filter::from_query(pairs)
        .map_err(|message| Box::new(refused(StatusCode::BAD_REQUEST, ErrorCode::BadFilter, &message)))?;
    let deps = front.deps();
    let grant = deps.directory.grant(&identity);
    Ok(deps.hub.view(grant.accounts(), &filter, channel))
}
