//! P99 / ZTDX: the venue's row in the list.

use crate::venue::{HostLimits, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "p99",
    title: "P99 / ZTDX",
    manual: "https://docs.p99.world/spot/user-ws/user-balances",
    ws_url: "wss://api-sepolia.p99.world/ws",
    rest_url: "https://api-sepolia.p99.world/api/v1",
    limits: HostLimits {
        connects: Window { count: 5, per_ms: 15_000 },
        open: 1_000,
        calls: Window { count: 60, per_ms: 60_000 },
    },
    liveness_bound_ms: 30_000,
    connect: |_, _| unimplemented!(),
    simulate: |_| unimplemented!(),
    sample: || unimplemented!(),
};
