//! Bitfinex: the venue's row in the list.

use crate::venue::{HostLimits, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "bitfinex",
    title: "Bitfinex",
    manual: "https://docs.bitfinex.com/reference/ws-auth-wallets",
    ws_url: "wss://api.bitfinex.com/ws/2",
    rest_url: "https://api.bitfinex.com",
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
