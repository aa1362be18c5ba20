//! Moonbase's JSON in Moonbase's words: what the socket says, what is said to it, how a login is signed.
//!
//! Pure translation: no state, no policy, no clock. Amounts go from raw text to [`Amount`] and never through a float; no error
//! here holds a word of the message.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;

use crate::model::{Amount, Fees, Field, MAX_ASSET_CHARS, Name, UnixMs};

/// The one channel we follow.
pub(super) const CHANNEL: &str = "portfolio";

/// A request for the portfolio.
pub(super) const SUBSCRIBE: &str = r#"{"op":"sub","channel":"portfolio"}"#;
/// The end of it.
pub(super) const UNSUBSCRIBE: &str = r#"{"op":"unsub","channel":"portfolio"}"#;

/// Everything the venue may say to us.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// `{"type":"message","connection_id":…}`: comes first and answers nothing.
    Greeting,
    Authenticated,
    Subscribed,
    Unsubscribed,
    Error(VenueError),
    Portfolio(Portfolio<'a>),
    /// An answer to a ping, another channel, a kind we do not know: proof of life, nothing more.
    Other,
}

/// An error frame of any of the three documented forms. The venue's text is left out on purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VenueError {
    pub channel: Channel,
    /// `None`: a word such as `E0101_…`, or nothing.
    pub code: Option<u16>,
}

/// What an error frame is about. Errors carry no request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Auth,
    Portfolio,
    /// The frame names no channel: it answers whatever was asked last.
    Unnamed,
    Foreign,
}

/// A snapshot or an update of the portfolio channel.
#[derive(Debug)]
pub(super) struct Portfolio<'a> {
    pub is_snapshot: bool,
    /// One for now; the format allows several, or none.
    pub accounts: Vec<Account<'a>>,
    pub at: UnixMs,
    pub gsn: u64,
}

/// One element of `data`.
#[derive(Debug)]
pub(super) struct Account<'a> {
    pub id: Name,
    /// `None`: absent or not numbers (then [`Account::problem`] says so). Balances do not depend on them.
    pub fees: Option<Fees>,
    pub stats: Option<&'a RawValue>,
    pub assets: Vec<Asset>,
    /// The last of the names that no row can have, and under which something is held.
    pub nameless: Option<Name>,
    pub problem: Option<String>,
}

/// One element of `asset_balances`.
#[derive(Debug)]
pub(super) struct Asset {
    pub name: Name,
    /// `Keep` in all three where [`Asset::unreadable`].
    pub balance: Field,
    pub free: Field,
    pub locked: Field,
    /// The venue says that nothing is held.
    pub is_zero: bool,
    /// The numbers could not be read: the asset is named, and nothing else is known.
    pub unreadable: bool,
    /// What is wrong with the row, for counting: an unreadable number, or a sum that does not hold.
    pub problem: Option<String>,
}

/// A message that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodeError {
    /// It was meant for the portfolio: what we hold is no longer proven.
    pub is_portfolio: bool,
    /// The place, never the content.
    pub what: String,
}

/// The whole message in one pass: whatever holds an amount, a time or a sequence number stays raw text.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<Vec<RawAccount<'a>>>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    gsn: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The same without `data`: for messages whose `data` is not the portfolio's.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAccount<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    maker_fee_rate: Option<&'a RawValue>,
    #[serde(borrow)]
    taker_fee_rate: Option<&'a RawValue>,
    #[serde(borrow)]
    asset_balances: Option<Vec<RawAsset<'a>>>,
    #[serde(borrow)]
    stats: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAsset<'a> {
    #[serde(borrow)]
    asset: Option<&'a RawValue>,
    #[serde(borrow)]
    balance: Option<&'a RawValue>,
    #[serde(borrow)]
    free: Option<&'a RawValue>,
    #[serde(borrow)]
    locked: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawError<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

/// Reads one text frame. The order of keys does not matter, unknown keys are ignored.
///
/// # Errors
/// A message that is no JSON object, or a portfolio message that lacks what it must have.
pub(super) fn decode(text: &str) -> Result<Message<'_>, DecodeError> {
    // A JSON array would pass for an object with its keys left out.
    if !text.trim_start().starts_with('{') {
        return Err(foreign("frame: not a JSON object"));
    }
    let raw: Raw<'_> = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(_) => return decode_foreign(text),
    };
    let channel = raw.channel.and_then(word);
    let kind = raw.kind.and_then(word);
    match (channel.as_deref(), kind.as_deref()) {
        (Some(CHANNEL), Some("snapshot")) => portfolio(raw, true).map(Message::Portfolio),
        (Some(CHANNEL), Some("update")) => portfolio(raw, false).map(Message::Portfolio),
        (Some(CHANNEL), Some("subscribed")) => Ok(Message::Subscribed),
        (Some(CHANNEL), Some("unsubscribed")) => Ok(Message::Unsubscribed),
        (Some("auth"), Some("authenticated")) => Ok(Message::Authenticated),
        (None, Some("message")) => Ok(Message::Greeting),
        (channel, Some("error")) => Ok(error(channel, raw.code.or_else(|| inner_code(raw.error)))),
        (channel, None) if raw.error.is_some() => Ok(error(channel, inner_code(raw.error))),
        (channel, None) if raw.code.is_some() => Ok(error(channel, raw.code)),
        (Some(CHANNEL), _) => Err(foreign("portfolio: type: unknown")),
        (None, None) => Err(foreign("frame: neither channel nor type")),
        (Some(_), _) | (None, Some(_)) => Ok(Message::Other),
    }
}

/// A message that does not have the portfolio's shape: another channel's, or a broken one.
fn decode_foreign(text: &str) -> Result<Message<'_>, DecodeError> {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        return Err(foreign("frame: not a JSON object"));
    };
    match envelope.channel.and_then(word).as_deref() {
        Some(CHANNEL) => Err(broken("data: not a list of accounts")),
        None if envelope.kind.is_none() => Err(foreign("frame: neither channel nor type")),
        _ => Ok(Message::Other),
    }
}

fn foreign(what: &'static str) -> DecodeError {
    DecodeError { is_portfolio: false, what: what.into() }
}

fn portfolio(raw: Raw<'_>, is_snapshot: bool) -> Result<Portfolio<'_>, DecodeError> {
    let data = raw.data.ok_or_else(|| broken("data: missing"))?;
    let at = raw.timestamp.and_then(nanoseconds).ok_or_else(|| broken("timestamp: not a count of nanoseconds"))?;
    let gsn = raw.gsn.and_then(|gsn| gsn.get().parse().ok()).ok_or_else(|| broken("gsn: not a whole number"))?;
    let accounts = data.into_iter().enumerate().map(|(at, raw)| account(at, raw)).collect::<Result<_, _>>()?;
    Ok(Portfolio { is_snapshot, accounts, at, gsn })
}

fn account(index: usize, raw: RawAccount<'_>) -> Result<Account<'_>, DecodeError> {
    let place = |field: &str| format!("data[{index}].{field}");
    let id = raw.id.and_then(word).filter(|id| is_name(id)).ok_or_else(|| broken(place("id: not a name")))?;
    let list = raw.asset_balances.ok_or_else(|| broken(place("asset_balances: missing")))?;
    let (mut problem, mut nameless) = (None, None);
    let mut assets = Vec::with_capacity(list.len());
    for (row, raw) in list.iter().enumerate() {
        let place = || format!("data[{index}].asset_balances[{row}]");
        let name = raw.asset.and_then(word).ok_or_else(|| broken(format!("{}.asset: not a name", place())))?;
        let fits = is_name(&name);
        let asset = asset(name, raw, place);
        if fits {
            assets.push(asset);
        } else if !asset.is_zero {
            // No row ever had such a name, so nothing seems to vanish; but what it holds is left out, and that is told.
            nameless = Some(asset.name);
            problem = Some(format!("{}.asset: empty, or longer than {MAX_ASSET_CHARS} characters", place()));
        }
    }
    let rate = |raw: Option<&RawValue>| raw.and_then(|raw| Amount::from_json(raw).ok());
    let fees = rate(raw.maker_fee_rate).zip(rate(raw.taker_fee_rate)).map(|(maker, taker)| Fees { maker, taker });
    let stats = raw.stats.filter(|stats| stats.get().starts_with('{'));
    let problem = problem.or_else(|| match (&fees, &stats) {
        (None, _) => Some(place("maker_fee_rate, taker_fee_rate: not two numbers")),
        (_, None) => Some(place("stats: not an object")),
        _ => None,
    });
    Ok(Account { id, fees, stats, assets, nameless, problem })
}

/// `balance = free + locked` is documented, so one missing number is derived; a number that is there is never replaced.
fn asset(name: Name, raw: &RawAsset<'_>, place: impl Fn() -> String) -> Asset {
    let mut problem = None;
    let mut number = |field: &str, raw: Option<&RawValue>| match raw.map(Amount::from_json) {
        Some(Ok(amount)) => Some(amount),
        Some(Err(error)) => {
            problem = Some(format!("{}.{field}: {error}", place()));
            None
        }
        None => None,
    };
    let (balance, free, locked) = (number("balance", raw.balance), number("free", raw.free), number("locked", raw.locked));
    let is = |amount: &Amount| Field::Is(amount.clone());
    let fields = match (&balance, &free, &locked) {
        _ if problem.is_some() => None,
        (Some(b), Some(f), Some(l)) => {
            if !b.same_value(&f.plus(l)) {
                problem = Some(format!("{}: balance is not free + locked", place()));
            }
            Some((is(b), is(f), is(l)))
        }
        (Some(b), Some(f), None) => Some((is(b), is(f), Field::Derived(b.minus(f)))),
        (Some(b), None, Some(l)) => Some((is(b), Field::Derived(b.minus(l)), is(l))),
        (None, Some(f), Some(l)) => Some((Field::Derived(f.plus(l)), is(f), is(l))),
        _ => {
            problem = Some(format!("{}: balance, free, locked: two are missing", place()));
            None
        }
    };
    let is_zero = fields.is_some() && [&balance, &free, &locked].into_iter().flatten().all(Amount::is_zero);
    let unreadable = fields.is_none();
    let (balance, free, locked) = fields.unwrap_or((Field::Keep, Field::Keep, Field::Keep));
    Asset { name, balance, free, locked, is_zero, unreadable, problem }
}

fn broken(what: impl Into<String>) -> DecodeError {
    DecodeError { is_portfolio: true, what: format!("{CHANNEL}: {}", what.into()) }
}

fn error(channel: Option<&str>, code: Option<&RawValue>) -> Message<'static> {
    let channel = match channel {
        Some("auth") => Channel::Auth,
        Some(CHANNEL) => Channel::Portfolio,
        None => Channel::Unnamed,
        Some(_) => Channel::Foreign,
    };
    // A number, or a number in quotes; a word has no meaning we know.
    let code = code.and_then(|code| code.get().trim_matches('"').parse().ok());
    Message::Error(VenueError { channel, code })
}

/// The code of `{"error":{"code":…,"message":…}}`.
fn inner_code(error: Option<&RawValue>) -> Option<&RawValue> {
    serde_json::from_str::<RawError<'_>>(error?.get()).ok()?.code
}

/// A JSON string.
fn word(raw: &RawValue) -> Option<Name> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw.get()).ok() } else { Some(inner.into()) }
}

/// An identifier is neither empty nor longer than the gateway carries.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().count() <= MAX_ASSET_CHARS
}

/// Nanoseconds as text, cut to milliseconds. 19 digits do not fit a double, so none is used.
fn nanoseconds(raw: &RawValue) -> Option<UnixMs> {
    let nanos: u64 = raw.get().trim_matches('"').parse().ok()?;
    i64::try_from(nanos / 1_000_000).ok().map(UnixMs)
}

/// Hex HMAC-SHA256, with the API secret, of `<key>,<unix seconds>`.
pub(super) fn signature(key: &str, secret: &str, seconds: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("an HMAC key may have any length");
    mac.update(format!("{key},{seconds}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A signed login. The manual's table calls `timestamp` an integer, its example shows a string: both can be said.
pub(super) fn signed_login(key: &str, secret: &str, seconds: i64, as_text: bool) -> String {
    let quote = if as_text { "\"" } else { "" };
    let (signature, key) = (signature(key, secret, seconds), json_text(key));
    format!(r#"{{"op":"auth","data":{{"key":{key},"timestamp":{quote}{seconds}{quote},"signature":"{signature}"}}}}"#)
}

/// A login by access token.
pub(super) fn token_login(token: &str) -> String {
    format!(r#"{{"op":"auth","data":{{"access_token":{}}}}}"#, json_text(token))
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always valid JSON")
}

/// When an access token ends, by its own `exp` claim. `None`: not a JWT, or no such claim. Verifies nothing: that is the
/// venue's business.
pub(super) fn token_end(token: &str) -> Option<UnixMs> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.exp.checked_mul(1000).map(UnixMs)
}
