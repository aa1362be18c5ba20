//! Error codes of frames and close codes of sockets.

use schemars::JsonSchema;
use serde::Serialize;

/// What was wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The frame is no JSON object.
    BadJson,
    /// A field is missing, twice there, or of another type.
    BadRequest,
    /// No such request.
    UnknownType,
    /// Log in first.
    NotAuthenticated,
    /// The token is refused.
    TokenInvalid,
    /// The token has ended.
    TokenExpired,
    /// The token is another user's; open another connection.
    SubjectMismatch,
    /// No such channel.
    UnknownChannel,
    /// A list is empty, too long, or of another type.
    BadFilter,
    /// Nothing to unsubscribe or resync.
    NotSubscribed,
    /// All connections are taken.
    LimitConnections,
    /// More requests than allowed.
    RateLimited,
    /// The gateway's fault.
    Internal,
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "BAD_JSON",
            Self::BadRequest => "BAD_REQUEST",
            Self::UnknownType => "UNKNOWN_TYPE",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::TokenInvalid => "TOKEN_INVALID",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::SubjectMismatch => "SUBJECT_MISMATCH",
            Self::UnknownChannel => "UNKNOWN_CHANNEL",
            Self::BadFilter => "BAD_FILTER",
            Self::NotSubscribed => "NOT_SUBSCRIBED",
            Self::LimitConnections => "LIMIT_CONNECTIONS",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
        }
    }

    /// What a client should do.
    pub const fn retry(self) -> Retry {
        match self {
            Self::NotAuthenticated | Self::TokenInvalid | Self::TokenExpired | Self::SubjectMismatch => Retry::Reauth,
            Self::LimitConnections | Self::RateLimited | Self::Internal => Retry::Backoff,
            Self::BadJson
            | Self::BadRequest
            | Self::UnknownType
            | Self::UnknownChannel
            | Self::BadFilter
            | Self::NotSubscribed => Retry::Never,
        }
    }
}

/// What a client should do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// Get a new token first.
    Reauth,
    /// Later, with backoff.
    Backoff,
    /// At once.
    Now,
}

/// Why the gateway closes a socket. The band tells a client what to do, also for codes it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    // 4000–4099: stop
    ProtocolError = 4000,
    FrameTooLarge = 4001,
    Forbidden = 4003,
    // 4100–4199: get a new token, reconnect
    TokenExpired = 4100,
    TokenInvalid = 4101,
    AuthTimeout = 4102,
    TokenRevoked = 4104,
    // 4200–4299: reconnect with backoff and jitter, resume
    Internal = 4200,
    WriteStall = 4201,
    NoPong = 4203,
    RateLimited = 4204,
    ConnectionLimit = 4205,
    // 4300–4399: reconnect as told
    Draining = 4300,
}

impl CloseCode {
    /// Every code, in order.
    pub const ALL: [Self; 13] = [
        Self::ProtocolError,
        Self::FrameTooLarge,
        Self::Forbidden,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::AuthTimeout,
        Self::TokenRevoked,
        Self::Internal,
        Self::WriteStall,
        Self::NoPong,
        Self::RateLimited,
        Self::ConnectionLimit,
        Self::Draining,
    ];

    /// For people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ProtocolError => "protocol error: a binary frame, broken UTF-8, not WebSocket",
            Self::FrameTooLarge => "the frame is larger than the gateway takes",
            Self::Forbidden => "forbidden",
            Self::TokenExpired => "the token has expired",
            Self::TokenInvalid => "the token was refused",
            Self::AuthTimeout => "no authentication in time",
            Self::TokenRevoked => "the token was revoked",
            Self::Internal => "internal error",
            Self::WriteStall => "the socket took no byte in time",
            Self::NoPong => "no answer to pings",
            Self::RateLimited => "far more requests than allowed",
            Self::ConnectionLimit => "connection limit",
            Self::Draining => "the gateway goes away",
        }
    }

    /// What the code's band asks of a client.
    pub const fn action(self) -> &'static str {
        match self.number() {
            4000..4100 => "stop",
            4100..4200 => "get a new token, reconnect",
            4300..4400 => "reconnect within the time that `draining` told, resume",
            _ => "reconnect with backoff and jitter, resume",
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }
}
