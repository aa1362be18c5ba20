//! What an answer of `GET /spot/balances` means, and how long to wait after one that is of no use.
//!
//! Asks nothing itself: the session decides when.

use super::auth;
use super::wire::{self, Listing, Refusal, WireError};
use crate::model::ReasonCode;
use crate::venue::{CallError, Reply};

/// The pauses the venue wants after `ENGINE_BUSY`.
const BUSY_MS: [u64; 3] = [200, 400, 800];
/// First pause after another failure; it doubles up to [`MAX_RETRY_MS`].
const RETRY_MS: u64 = 1_000;
const MAX_RETRY_MS: u64 = 30_000;

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: ReasonCode,
    pub text: &'static str,
    pub kind: Kind,
}

/// What a failure asks for besides another try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The engine is busy for a moment: tried again shortly before anything is said of it.
    Busy,
    /// We asked too often: nobody may ask this host for a while.
    Limited,
    /// The answer is to be counted as unreadable.
    Unreadable(WireError),
    Plain,
}

impl Failure {
    const fn plain(code: ReasonCode, text: &'static str) -> Self {
        Self { code, text, kind: Kind::Plain }
    }

    /// The token has expired, whoever found out.
    pub const TOKEN_EXPIRED: Self =
        Self::plain(ReasonCode::TokenExpired, "the token has expired; put a new one in credentials.jwt");

    /// The host's budget does not allow the request for long.
    pub const PUT_OFF: Self =
        Self::plain(ReasonCode::RateLimited, "the requests allowed to this host are used up, and the comparison waits");

    /// How long to wait after this failure, the `step`th in a row counted from 0; and whether it is worth telling yet.
    pub fn pause_ms(&self, step: u32) -> (u64, bool) {
        match BUSY_MS.get(step as usize).filter(|_| self.kind == Kind::Busy) {
            Some(pause) => (*pause, false),
            None => ((RETRY_MS << step.min(5)).min(MAX_RETRY_MS), true),
        }
    }
}

/// Reads an answer, the status before the body: a 401 of this venue is empty. `by_token`: the request bore a JWT.
///
/// # Errors
/// What keeps it from being a list of balances.
pub(super) fn read(reply: Result<Reply<'_>, CallError>, by_token: bool) -> Result<Listing, Failure> {
    let fails = |text| Err(Failure::plain(ReasonCode::ReconcileFailed, text));
    let reply = match reply {
        Ok(reply) => reply,
        Err(CallError::Timeout) => return fails("REST does not answer in time"),
        Err(CallError::Unreachable) => return fails("REST cannot be reached"),
        Err(CallError::TooLarge) => return fails("REST answers more than the bound"),
    };
    match (reply.status, wire::refusal_of(&reply)) {
        (200..=299, _) => wire::balances(reply.body).map_err(|error| {
            let (code, text) = match error {
                WireError::TooMany => (ReasonCode::RowLimit, "REST lists more tokens than an account may have rows"),
                _ => (ReasonCode::ReconcileFailed, "REST answers what its manual does not allow"),
            };
            Failure { code, text, kind: Kind::Unreadable(error) }
        }),
        (_, Refusal { code: Some(auth::INVALID_TIMESTAMP), .. }) => {
            Err(Failure::plain(ReasonCode::ClockSkew, "REST finds our clock out of its range"))
        }
        (401, _) if by_token => Err(Failure::TOKEN_EXPIRED),
        (400 | 401 | 403, _) => {
            Err(Failure::plain(ReasonCode::RestUnauthorized, "REST refuses us; check the credentials and their rights"))
        }
        (418 | 429, _) => Err(Failure { code: ReasonCode::RateLimited, text: "REST limits our requests", kind: Kind::Limited }),
        (503, Refusal { error, .. }) if error == "ENGINE_BUSY" => {
            Err(Failure { code: ReasonCode::ReconcileFailed, text: "REST stays busy", kind: Kind::Busy })
        }
        (503, _) => fails("REST is out of service; spot trading may be disabled"),
        (404, _) => fails("REST has no /spot/balances; check rest_url"),
        _ => fails("REST answers with an error"),
    }
}
