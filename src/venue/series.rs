//! The counters of one account that have a reason: begun at zero with the account, since what counts increases would miss the first event
//! of a series that appears with it, and taken away with it. Counting is the link's.

use super::Venue;
use super::link::OPERATOR;
use crate::metrics::{FrameLabels, Metrics, ReasonLabels};
use crate::model::ReasonCode;

/// Reasons that usually end a connection. The others appear with their first event: a series for each of them, for thousands of
/// accounts, would be most of what a scrape reads.
const USUAL: [ReasonCode; 12] = [
    ReasonCode::UpstreamDisconnected,
    ReasonCode::ConnectFailed,
    ReasonCode::LivenessTimeout,
    ReasonCode::VenueRestart,
    ReasonCode::Maintenance,
    ReasonCode::RateLimited,
    ReasonCode::SyncTimeout,
    ReasonCode::SubscribeRefused,
    ReasonCode::ProtocolError,
    ReasonCode::WrongKey,
    ReasonCode::TokenExpired,
    ReasonCode::AuthUncertain,
];
/// Every kind in `venue_frames_total`.
pub(super) const FRAME_KINDS: [&str; 5] = ["text", "binary", "ping", "pong", "reply"];

/// Begins the series of an account, and those of its venue.
pub fn begin_series(metrics: &Metrics, venue: &Venue, account: &str) {
    for reason in USUAL {
        _ = metrics.venue_reconnects.get_or_create(&labels(venue, account, reason.as_str()));
    }
    for reason in resyncs(venue) {
        _ = metrics.venue_resyncs.get_or_create(&labels(venue, account, reason));
    }
    for kind in FRAME_KINDS {
        _ = metrics.venue_frames.get_or_create(&FrameLabels { venue: venue.name, kind });
    }
}

/// Takes the series of an account away; those of its venue stay.
pub fn remove_series(metrics: &Metrics, venue: &Venue, account: &str) {
    for reason in ReasonCode::ALL {
        metrics.venue_reconnects.remove(&labels(venue, account, reason.as_str()));
    }
    for reason in resyncs(venue) {
        metrics.venue_resyncs.remove(&labels(venue, account, reason));
    }
}

/// Every reason in `venue_resyncs_total` at a venue.
fn resyncs(venue: &Venue) -> impl Iterator<Item = &'static str> {
    venue.resyncs.iter().copied().chain([OPERATOR])
}

fn labels(venue: &Venue, account: &str, reason: &'static str) -> ReasonLabels {
    ReasonLabels { venue: venue.name, account: account.to_owned(), reason }
}
