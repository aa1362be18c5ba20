//! What a client may send, for the contract. [`crate::protocol::parse`] reads it, by rules of its own; a test holds both together.

use schemars::JsonSchema;

use super::{Id, literal};
use crate::model::{Channel, Filter};
use crate::protocol::Since;

/// Logs in, or renews the login of the open socket. The first frame, within 10 s, where the upgrade carried no token.
#[derive(Debug, JsonSchema)]
pub struct AuthTokenRequest {
    pub r#type: literal::AuthToken,
    pub id: Option<Id>,
    /// A JWT.
    pub token: String,
}

/// Asks for a channel. Replaces an earlier subscription to it.
#[derive(Debug, JsonSchema)]
pub struct SubscribeRequest {
    pub r#type: literal::Subscribe,
    pub id: Option<Id>,
    pub channel: Channel,
    pub filter: Option<Filter>,
    /// Most updates a second; what lies between is merged, a last value is never skipped. Absent: as they come.
    #[schemars(range(min = 0.001, max = 1000))]
    pub max_rate_hz: Option<f64>,
    /// Where an earlier subscription with the same filter ended: only what changed since is sent, where that can be told.
    pub since: Option<Since>,
}

/// Ends a subscription.
#[derive(Debug, JsonSchema)]
pub struct UnsubscribeRequest {
    pub r#type: literal::Unsubscribe,
    pub id: Option<Id>,
    pub channel: Channel,
}

/// Asks for a fresh snapshot, which is the answer.
#[derive(Debug, JsonSchema)]
pub struct ResyncRequest {
    pub r#type: literal::Resync,
    pub id: Option<Id>,
    pub channel: Channel,
}

/// Asks for a pong. Needs no login.
#[derive(Debug, JsonSchema)]
pub struct PingRequest {
    pub r#type: literal::Ping,
    pub id: Option<Id>,
}

/// A sign of life. It has no reply.
#[derive(Debug, JsonSchema)]
pub struct PongRequest {
    pub r#type: literal::Pong,
    pub id: Option<Id>,
}
