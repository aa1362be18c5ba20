//! The bodies of HTTP answers, beside the snapshot that `/v1/balances` shares with the WebSocket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rows::{Account, Order};
use crate::model::UnixMs;

/// The account records of a snapshot.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccountsAnswer {
    /// The history in which gsn values compare.
    pub epoch: String,
    /// Everything up to this commit is in.
    pub gsn: u64,
    /// When the answer was written.
    pub ts: UnixMs,
    /// False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out.
    pub complete: bool,
    pub accounts: Vec<Account>,
}

/// The orders of a snapshot.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrdersAnswer {
    /// The history in which gsn values compare.
    pub epoch: String,
    /// Everything up to this commit is in.
    pub gsn: u64,
    /// When the answer was written.
    pub ts: UnixMs,
    /// False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out.
    pub complete: bool,
    pub orders: Vec<Order>,
}

/// Why an HTTP request was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    pub error: ProblemDetail<'a>,
}

/// A code to branch on, and a text for people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemDetail<'a> {
    pub code: HttpErrorCode,
    /// For people.
    pub message: &'a str,
}

/// What was wrong with an HTTP request.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HttpErrorCode {
    /// Something of the request is missing or cannot be read.
    BadRequest,
    /// A list of the query is empty or too long, or a value is of another type.
    BadFilter,
    /// Send a token.
    NotAuthenticated,
    /// The token is refused.
    TokenInvalid,
    /// The token has ended.
    TokenExpired,
    /// A page of an origin that may not connect.
    ForbiddenOrigin,
    /// There is nothing at this path.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// More requests than allowed.
    RateLimited,
    /// All connections are taken.
    LimitConnections,
    /// The gateway goes away.
    Draining,
    /// The gateway's fault, or its issuer's: keys cannot be had.
    Internal,
}
