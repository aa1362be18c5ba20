//! States and ages in words, one way everywhere. It draws nothing.

use super::super::feed::Link;
use super::super::wire::{Account, Row};
use super::state::State;

/// How a state is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Live,
    /// Live in part.
    Degraded,
    Stale,
    Pending,
    /// Someone must act.
    Bad,
}

impl Kind {
    /// So that no state is told by color alone.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Live => "●",
            Self::Degraded => "◐",
            Self::Stale => "○",
            Self::Pending => "◌",
            Self::Bad => "✖",
        }
    }
}

/// A state in words: `stale 12s: the connection broke`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub kind: Kind,
    pub text: String,
}

/// A time that has passed: `0s`, `12s`, `3m`, `5h`, `2d`.
pub(super) fn age(ms: i64) -> String {
    let seconds = (ms / 1000).max(0);
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `now`, `12s`.
pub(super) fn ago(ms: i64) -> String {
    if ms < 1000 { "now".to_owned() } else { age(ms) }
}

/// `1 row`, `2 rows`.
pub(super) fn count(n: usize, one: &str) -> String {
    let number = super::number::grouped(&n.to_string());
    if n == 1 { format!("{number} {one}") } else { format!("{number} {one}s") }
}

/// An account's state as of now.
pub(super) fn account_state(state: &State, account: &Account) -> Said {
    let kind = match &*account.state {
        "live" => Kind::Live,
        "degraded" => Kind::Degraded,
        "auth_failed" => Kind::Bad,
        "pending" | "connecting" | "syncing" | "disabled" => Kind::Pending,
        _ => Kind::Stale,
    };
    if account.is_proven() && !state.is_live() {
        return unheard(state);
    }
    let word = account.state.replace('_', " ");
    let reason = account.reason.as_ref().filter(|_| kind != Kind::Live).map(|reason| format!(": {}", reason.text));
    Said { kind, text: format!("{word} {}{}", age(state.now - account.since), reason.unwrap_or_default()) }
}

fn unheard(state: &State) -> Said {
    Said { kind: Kind::Stale, text: format!("stale {}: the gateway is not heard", age(state.now - state.link_since)) }
}

/// A row's state as of now.
pub(super) fn row_state(state: &State, row: &Row) -> Said {
    if state.row_is_live(row) {
        return Said { kind: Kind::Live, text: "live".to_owned() };
    }
    if &*row.state == "pending" {
        return Said { kind: Kind::Pending, text: "pending".to_owned() };
    }
    if !state.is_live() {
        return unheard(state);
    }
    match state.account_of(row).filter(|account| !account.is_proven()) {
        Some(account) => {
            let reason =
                account.reason.as_ref().map_or_else(|| account.state.replace('_', " "), |reason| reason.text.to_string());
            Said { kind: Kind::Stale, text: format!("stale {}: {reason}", age(state.now - account.since)) }
        }
        None => Said {
            kind: Kind::Stale,
            text: format!("stale: said {} ago, not confirmed since", age(state.now - row.received_ts)),
        },
    }
}

/// How the connection stands: a word, and why.
pub(super) fn link(state: &State) -> Said {
    let since = state.now - state.link_since;
    match &state.link {
        Link::Live => Said { kind: Kind::Live, text: "live".to_owned() },
        Link::Connecting if state.begun => Said { kind: Kind::Stale, text: format!("resuming, stale {}", age(since)) },
        Link::Connecting => Said { kind: Kind::Pending, text: "connecting".to_owned() },
        Link::Silent => Said { kind: Kind::Stale, text: format!("silent {}: nothing is heard", age(since)) },
        Link::Waiting { wait_ms, why } => {
            let left = (*wait_ms as i64 - (state.now - state.link_at)).max(0);
            let seconds = (left + 999) / 1000;
            let verb = if state.begun { "resuming" } else { "connecting" };
            Said { kind: Kind::Stale, text: format!("{verb} in {seconds} s: {why}") }
        }
        Link::Token { why } => Said { kind: Kind::Bad, text: format!("waiting for another token: {why}") },
    }
}
