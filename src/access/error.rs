//! Why a token is refused: a variant to branch on, a code for the client, a label for metrics.

/// A refused token. The texts help the holder of the token and never hold a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("the token has expired; get a new one")]
    Expired,
    #[error("the token's signature matches no configured key")]
    Signature,
    #[error("the token's algorithm is none of those the configured keys use")]
    Algorithm,
    #[error("this is not a signed token of three base64url parts that hold JSON objects")]
    Malformed,
    #[error("the token's issuer (`iss`) is missing or not the expected one")]
    Issuer,
    #[error("the token's audience (`aud`) is missing or does not hold this gateway's")]
    Audience,
    #[error("the token is not valid yet; compare the clocks of issuer and gateway")]
    NotYetValid,
    #[error("the token names a key (`kid`) that is not configured")]
    UnknownKey,
    #[error("the token's subject (`sub`) is missing, empty or not a usable name")]
    NoSubject,
    /// `claim` is a name we looked for, `wants` what we looked for in it.
    #[error("the token's claim `{claim}` is missing or malformed; it must be {wants}")]
    BadClaim { claim: String, wants: &'static str },
    #[error("the token is larger than {} bytes", super::MAX_TOKEN_BYTES)]
    TooLarge,
    #[error("the token was revoked; log in again")]
    Revoked,
    /// No fault of the token: nothing is known that it could be checked with.
    #[error("the issuer's keys cannot be fetched at the moment; try again later")]
    KeysUnavailable,
}

impl AuthError {
    /// Every [`reason`](Self::reason).
    pub const REASONS: [&'static str; 13] = [
        "expired",
        "signature",
        "algorithm",
        "malformed",
        "issuer",
        "audience",
        "not_yet_valid",
        "unknown_key",
        "no_subject",
        "bad_claim",
        "too_large",
        "revoked",
        "keys_unavailable",
    ];

    /// The error code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expired => "TOKEN_EXPIRED",
            Self::Signature
            | Self::Algorithm
            | Self::Malformed
            | Self::Issuer
            | Self::Audience
            | Self::NotYetValid
            | Self::UnknownKey
            | Self::NoSubject
            | Self::BadClaim { .. }
            | Self::TooLarge
            | Self::Revoked => "TOKEN_INVALID",
            Self::KeysUnavailable => "INTERNAL",
        }
    }

    /// The metric label: a closed set.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Malformed => "malformed",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownKey => "unknown_key",
            Self::NoSubject => "no_subject",
            Self::BadClaim { .. } => "bad_claim",
            Self::TooLarge => "too_large",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_once() {
        use AuthError::*;
        let bad = BadClaim { claim: "accounts".into(), wants: "a list" };
        let all = [Expired, Signature, Algorithm, Malformed, Issuer, Audience, NotYetValid, UnknownKey, NoSubject, bad];
        let all = all.into_iter().chain([TooLarge, Revoked, KeysUnavailable]);
        assert_eq!(all.map(|error| error.reason()).collect::<Vec<_>>(), AuthError::REASONS);
    }
}
