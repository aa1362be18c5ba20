//! What each venue's own faults do to the truth, and how they end. A venue's page in this list is part of adding a venue to the
//! random worlds: a fault that is not named here is not thrown, and a test says so.

use balance_gateway::model::Now;
use balance_gateway::venue::sim::SimAccount;

/// One of a venue's own faults.
pub struct Own {
    pub venue: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub end: End,
}

/// What its frames are worth afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each frame is still what the venue said next; what it does not say, it does not say at all.
    Honest,
    /// A part of what one move gives is lost, or a frame tells of an earlier book.
    Rough,
    /// Not for random worlds: the venue shuts the operator out for good, or states what it does not hold, or does what the worlds'
    /// network does better, because there it is known which version an answer tells of.
    Apart,
}

/// How it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Itself,
    /// By this other fault.
    Fault(&'static str),
    /// By being thrown again.
    Again,
    /// The operator puts a new token in place.
    Token,
}

const fn own(venue: &'static str, name: &'static str, kind: Kind, end: End) -> Own {
    Own { venue, name, kind, end }
}

use End::{Again, Fault, Itself, Token};
use Kind::{Apart, Honest, Rough};

/// Every fault of every venue in the list of venues.
pub const OWN: &[Own] = &[
    own("p99", "drop_next_push", Rough, Itself),
    own("p99", "drop_next_ack", Honest, Itself),
    own("p99", "drop_next_pong", Honest, Itself),
    own("p99", "repeat_push", Honest, Itself),
    own("p99", "lower_ts", Honest, Itself),
    own("p99", "old_push", Honest, Itself),
    own("p99", "cut_push", Honest, Itself),
    own("p99", "swap_fill_order", Honest, Itself),
    own("p99", "silent_cancel", Honest, Itself),
    own("p99", "perp_noise", Honest, Itself),
    own("p99", "garbage", Honest, Itself),
    own("p99", "unsubscribe_all", Honest, Itself),
    own("p99", "forget_logins", Honest, Itself),
    own("p99", "restart", Honest, Itself),
    own("p99", "expire_tokens", Honest, Token),
    own("p99", "rest_500", Honest, Itself),
    own("p99", "rest_busy", Honest, Itself),
    own("p99", "rest_401", Honest, Itself),
    own("p99", "rest_429", Honest, Itself),
    own("p99", "rest_cut", Honest, Itself),
    own("p99", "rest_behind", Apart, Itself),
    own("p99", "rest_array", Honest, Itself),
    own("bitfinex", "maintenance_begin", Honest, Fault("maintenance_end")),
    own("bitfinex", "maintenance_end", Honest, Itself),
    own("bitfinex", "restart", Honest, Itself),
    own("bitfinex", "silence", Honest, Fault("heal")),
    own("bitfinex", "null_available", Honest, Fault("heal")),
    own("bitfinex", "calc_silence", Honest, Fault("heal")),
    own("bitfinex", "quiet_orders", Honest, Fault("heal")),
    own("bitfinex", "no_wallets_permission", Honest, Fault("heal")),
    own("bitfinex", "withdraw_permission", Honest, Fault("heal")),
    own("bitfinex", "trade_permission", Honest, Fault("heal")),
    own("bitfinex", "caps_as_string", Honest, Fault("heal")),
    own("bitfinex", "wide_rows", Honest, Fault("heal")),
    own("bitfinex", "rest_down", Honest, Fault("heal")),
    own("bitfinex", "heal", Honest, Itself),
    own("bitfinex", "nonce_small_once", Honest, Itself),
    own("bitfinex", "apikey_invalid_once", Honest, Itself),
    own("bitfinex", "auth_ignored_once", Honest, Itself),
    own("bitfinex", "ws_withheld_once", Honest, Itself),
    own("bitfinex", "rest_rate_limit", Honest, Itself),
    own("bitfinex", "ws_again", Honest, Itself),
    own("bitfinex", "lose_next_wu", Rough, Itself),
    own("bitfinex", "short_row", Honest, Itself),
    own("bitfinex", "cut_next_wu", Honest, Itself),
    own("bitfinex", "garbage", Honest, Itself),
    own("synthesis", "silence", Honest, Again),
    own("synthesis", "lose_next_update", Rough, Itself),
    own("synthesis", "unreadable_next_update", Honest, Itself),
    own("synthesis", "snapshot_in_parts", Rough, Again),
    own("synthesis", "lagging_snapshot", Rough, Again),
    own("synthesis", "omit_empty_wallets", Honest, Again),
    own("synthesis", "empty_list", Honest, Again),
    own("synthesis", "null_balances", Honest, Itself),
    own("synthesis", "uppercase_addresses", Honest, Again),
    own("synthesis", "no_resubscribe_snapshot", Honest, Again),
    own("synthesis", "resubscribe_replaces", Honest, Again),
    own("synthesis", "invalid_wallet", Honest, Again),
    own("synthesis", "rate_limit", Honest, Itself),
    own("synthesis", "odd_refusal", Honest, Itself),
    own("synthesis", "unknown_address_update", Honest, Itself),
    own("synthesis", "unsubscribe", Honest, Itself),
    own("moonbase", "silence", Honest, Itself),
    own("moonbase", "kick", Honest, Itself),
    own("moonbase", "garbage", Honest, Itself),
    own("moonbase", "bad_amount", Honest, Itself),
    own("moonbase", "wrong_sum", Apart, Itself),
    own("moonbase", "no_data", Honest, Itself),
    own("moonbase", "empty_snapshot", Honest, Itself),
    own("moonbase", "empty_snapshot_twice", Honest, Itself),
    own("moonbase", "two_accounts", Honest, Itself),
    own("moonbase", "lose_next_update", Honest, Itself),
    own("moonbase", "lose_next_snapshot", Honest, Itself),
    own("moonbase", "repeat_update", Honest, Itself),
    own("moonbase", "gsn_back", Honest, Itself),
    own("moonbase", "gsn_restart", Honest, Itself),
    own("moonbase", "gsn_global", Honest, Fault("gsn_contiguous")),
    own("moonbase", "gsn_contiguous", Honest, Itself),
    own("moonbase", "updates_full", Rough, Itself),
    own("moonbase", "updates_partial", Honest, Fault("updates_full")),
    own("moonbase", "updates_silent", Rough, Fault("updates_full")),
    own("moonbase", "stats_only", Honest, Itself),
    own("moonbase", "error_frame", Honest, Itself),
    own("moonbase", "end_subscription", Honest, Itself),
    own("moonbase", "deny_portfolio", Apart, Itself),
    own("moonbase", "expire_tokens", Honest, Itself),
    own("moonbase", "revoke_keys", Apart, Itself),
    own("toy", "lose_next_row", Honest, Itself),
    own("toy", "kick", Honest, Itself),
    own("toy", "mute", Honest, Again),
];

/// Venues whose REST answer gives every number of every row: what it says has been said.
pub const WHOLE_REST: &[&str] = &["p99"];

/// Documented alternatives in how a venue speaks: a world may begin with one, and keeps it.
pub const HABITS: &[(&str, &str)] = &[("moonbase", "updates_partial")];

/// The account's secrets with a token issued now, signed as the venue would.
pub fn renewed(account: &SimAccount, now: Now) -> std::collections::BTreeMap<String, String> {
    use jsonwebtoken::{EncodingKey, Header, encode};
    let mut secrets = account.credentials.clone();
    let claims = serde_json::json!({"sub": account.id, "iat": now.unix.0 / 1000 + 1, "exp": 4_102_444_800_u64});
    let key = EncodingKey::from_secret(format!("{}: the venue's signing secret", account.id).as_bytes());
    secrets.insert("jwt".into(), encode(&Header::default(), &claims, &key).expect("HS256 signs any claims"));
    secrets
}
