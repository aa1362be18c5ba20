//! Downstream: one client connection. `session` thinks, `conn` moves bytes, `limits` says how much is too much.

pub mod codec;
pub mod conn;
mod drain;
mod limits;
mod session;
mod stream;

use std::sync::Arc;

use crate::access::{Access, Directory};
use crate::hub::Hub;
use crate::metrics::Metrics;

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
