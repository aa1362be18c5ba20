//! What is known of an account besides its rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Amount, Mono, Now, UnixMs};

/// Which account: the venue's name in the list of venues, and the operator's name for the account. Unique in a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    pub venue: &'static str,
    pub account: Arc<str>,
}

/// Names an account in this process. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountIdx(pub u32);

/// How far an account's rows can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Configured; nothing tried yet and nothing received.
    Pending,
    /// No rows yet; a connection is being made.
    Connecting,
    /// No rows yet; connected, waiting for the first complete snapshot.
    Syncing,
    /// A complete snapshot was taken in this connection, and the connection is proven alive.
    Live,
    /// As `live`, but a part of the duties fails (the reason says which).
    Degraded,
    /// Rows are the last known ones; the upstream is not proven.
    Stale,
    /// The venue announced maintenance.
    Maintenance,
    /// The venue refuses the credentials; someone must act.
    AuthFailed,
    /// Switched off in the configuration.
    Disabled,
}

impl AccountState {
    /// Every state, for metrics and tests.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Connecting,
        Self::Syncing,
        Self::Live,
        Self::Degraded,
        Self::Stale,
        Self::Maintenance,
        Self::AuthFailed,
        Self::Disabled,
    ];

    /// True where rows may be `live`.
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Live | Self::Degraded)
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connecting => "connecting",
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Degraded => "degraded",
            Self::Stale => "stale",
            Self::Maintenance => "maintenance",
            Self::AuthFailed => "auth_failed",
            Self::Disabled => "disabled",
        }
    }
}

/// Why an account is not `live`: a code to branch on, a text for people. The text never holds a payload or a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    pub code: ReasonCode,
    /// For people.
    pub text: Arc<str>,
}

impl Reason {
    pub fn new(code: ReasonCode, text: impl Into<Arc<str>>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The closed set of reasons. `docs/operations.md` gives each one's cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The first connection is under way.
    Starting,
    /// The venue closed the connection, or it broke.
    UpstreamDisconnected,
    /// The venue cannot be reached.
    ConnectFailed,
    /// Nothing proved the connection alive within the venue's liveness bound.
    LivenessTimeout,
    /// The venue asked for a reconnect.
    VenueRestart,
    /// The venue announced maintenance.
    Maintenance,
    /// The key or its secret is wrong, or the key was revoked.
    WrongKey,
    /// The venue finds our clock, or our nonce, out of its range.
    ClockSkew,
    /// The token has expired; a new one is needed.
    TokenExpired,
    /// The key is accepted but may not read balances.
    MissingPermission,
    /// Authentication failed in a way the venue also shows for good keys; a few slow retries are made.
    AuthUncertain,
    /// The venue limits us; we wait.
    RateLimited,
    /// No snapshot or acknowledgement came in time.
    SyncTimeout,
    /// The venue refused the subscription.
    SubscribeRefused,
    /// The periodic comparison with the venue's REST answer fails.
    ReconcileFailed,
    /// The venue's REST interface refuses our credentials.
    RestUnauthorized,
    /// The address or an option is wrong.
    Configuration,
    /// The venue sent what its documents do not allow.
    ProtocolError,
    /// More rows than the configured bound.
    RowLimit,
    /// The rows come from the state file of an earlier run.
    WarmStart,
    /// An operator asked for a fresh snapshot.
    OperatorResync,
    /// Switched off in the configuration.
    Disabled,
}

impl ReasonCode {
    /// Every reason.
    pub const ALL: [Self; 22] = [
        Self::Starting,
        Self::UpstreamDisconnected,
        Self::ConnectFailed,
        Self::LivenessTimeout,
        Self::VenueRestart,
        Self::Maintenance,
        Self::WrongKey,
        Self::ClockSkew,
        Self::TokenExpired,
        Self::MissingPermission,
        Self::AuthUncertain,
        Self::RateLimited,
        Self::SyncTimeout,
        Self::SubscribeRefused,
        Self::ReconcileFailed,
        Self::RestUnauthorized,
        Self::Configuration,
        Self::ProtocolError,
        Self::RowLimit,
        Self::WarmStart,
        Self::OperatorResync,
        Self::Disabled,
    ];

    /// The word on the wire, also used as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::UpstreamDisconnected => "upstream_disconnected",
            Self::ConnectFailed => "connect_failed",
            Self::LivenessTimeout => "liveness_timeout",
            Self::VenueRestart => "venue_restart",
            Self::Maintenance => "maintenance",
            Self::WrongKey => "wrong_key",
            Self::ClockSkew => "clock_skew",
            Self::TokenExpired => "token_expired",
            Self::MissingPermission => "missing_permission",
            Self::AuthUncertain => "auth_uncertain",
            Self::RateLimited => "rate_limited",
            Self::SyncTimeout => "sync_timeout",
            Self::SubscribeRefused => "subscribe_refused",
            Self::ReconcileFailed => "reconcile_failed",
            Self::RestUnauthorized => "rest_unauthorized",
            Self::Configuration => "configuration",
            Self::ProtocolError => "protocol_error",
            Self::RowLimit => "row_limit",
            Self::WarmStart => "warm_start",
            Self::OperatorResync => "operator_resync",
            Self::Disabled => "disabled",
        }
    }
}

/// Trading fees as the venue states them: fractions (`0.0005` is 0.05 %).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fees {
    pub maker: Amount,
    pub taker: Amount,
}

/// What a venue says of the account itself. `None` leaves what was known.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub fees: Option<Fees>,
    /// The venue's statistics, a JSON object in its own words.
    pub stats: Option<Box<RawValue>>,
    /// What the key may do, a JSON object in the venue's own words.
    pub permissions: Option<Box<RawValue>>,
    /// Warnings for people, such as a key that may withdraw.
    pub warnings: Option<Vec<String>>,
}

impl Facts {
    /// True when both say the same.
    pub fn same(&self, other: &Self) -> bool {
        let raw = |r: &Option<Box<RawValue>>| r.as_deref().map(|r| r.get().to_owned());
        self.fees == other.fees
            && raw(&self.stats) == raw(&other.stats)
            && raw(&self.permissions) == raw(&other.permissions)
            && self.warnings == other.warnings
    }
}

/// When an account's upstream last proved to be alive. The link writes it with every frame, whoever tells of the account reads it:
/// no commit, and no frame to a client, for what changes nothing else.
#[derive(Debug, Default)]
pub struct Proof {
    /// Zero: never.
    mono: AtomicU64,
    unix: AtomicI64,
}

impl Proof {
    /// A sign of life came in.
    pub fn give(&self, now: Now) {
        self.unix.store(now.unix.0, Ordering::Relaxed);
        self.mono.store(now.mono.0.max(1), Ordering::Release);
    }

    /// The last sign of life; `None` before the first.
    pub fn last(&self) -> Option<Now> {
        let mono = Some(self.mono.load(Ordering::Acquire)).filter(|at| *at > 0).map(Mono)?;
        Some(Now { mono, unix: UnixMs(self.unix.load(Ordering::Relaxed)) })
    }
}

/// An account as clients see it.
#[derive(Debug, Clone)]
pub struct AccountRecord {
    pub key: AccountKey,
    pub state: AccountState,
    /// When `state` was entered.
    pub since: UnixMs,
    /// Present where `state` is not `Live`.
    pub reason: Option<Reason>,
    pub facts: Facts,
    /// Rows a reconcile had to correct, since the process started.
    pub drift_count: u64,
    /// Connections made after the first, since the process started.
    pub reconnect_count: u64,
    /// Snapshots that had to be asked for anew on a standing connection, since the process started.
    pub resync_count: u64,
    /// When the venue's own REST answer or a fresh snapshot last confirmed the rows. `None`: never.
    pub last_confirmed: Option<UnixMs>,
    /// Shared by every version of the record: read as of now, not as of `gsn`.
    pub proof: Arc<Proof>,
    /// The commit that last changed this record.
    pub gsn: u64,
}
