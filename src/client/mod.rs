//! Downstream: one client connection. `session` thinks, `conn` moves bytes, `limits` says how much is too much.

pub mod codec;
pub mod conn;
mod drain;
mod limits;
mod session;
mod stream;

use std::sync::Arc;

use crate::access::{Access, AuthError, Directory};
use crate::hub::Hub;
use crate::metrics::{AuthLabels, ChannelLabels, CodeLabels, LimitLabels, Metrics};
use crate::model::Channel;
use crate::protocol::{CloseCode, FrameKind};

pub use drain::Drain;
pub use limits::{Bucket, Place, Places};
pub use session::{ClientOut, ClientSession};
pub(crate) use session::{count_auth_failure, error_code};
pub use stream::{Socket, Stream};

/// What every client session works with.
#[derive(Clone)]
pub struct Deps {
    pub hub: Arc<Hub>,
    pub access: Arc<arc_swap::ArcSwap<Access>>,
    pub directory: Arc<Directory>,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
}

/// Every limit by its name in `client_refusals_total`.
pub const LIMITS: [&str; 6] = ["connections", "address", "unauthenticated", "handshakes", "requests", "user"];

/// Begins the series of the closed sets at zero: what counts increases would miss the first of a series that appears with it.
pub fn begin_series(metrics: &Metrics) {
    for code in CloseCode::ALL {
        _ = metrics.client_closes.get_or_create(&CodeLabels { code: code.number() });
    }
    for reason in AuthError::REASONS {
        _ = metrics.client_auth_failures.get_or_create(&AuthLabels { reason });
    }
    for limit in LIMITS {
        _ = metrics.client_refusals.get_or_create(&LimitLabels { limit });
    }
    for channel in Channel::ALL {
        _ = metrics.client_subscriptions.get_or_create(&ChannelLabels { channel: channel.as_str() });
    }
    for kind in FrameKind::ALL {
        metrics.count_client_frames(kind.as_str(), 0);
    }
}

/// Bounds of one connection. Times in milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    pub heartbeat_ms: u64,
    pub auth_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub write_stall_ms: u64,
    pub max_frame_bytes: usize,
    /// Requests a second, and how many at once.
    pub max_requests_per_second: u32,
    pub max_requests_burst: u32,
}

#[cfg(test)]
mod tests;
