//! Moonbase: the venue's row in the list.

use crate::venue::{HostLimits, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "moonbase",
    title: "Moonbase",
    manual: "https://docs.moonbase.vn/docs/websocket/channel-portfolio",
    ws_url: "wss://ws.mbhq.net/ws",
    rest_url: "https://api.moonbase.vn",
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
