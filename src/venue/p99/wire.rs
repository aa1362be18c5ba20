//! P99's JSON in P99's words: what the socket and `GET /spot/balances` may say, and what we say to the socket.
//!
//! Pure translation of text. It knows no order of messages and keeps nothing. Amounts go from raw JSON to [`Amount`] without
//! passing through a number type. Errors name a field, never its content.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Amount, Field, Name, RowUpdate, UnixMs, cut_name, is_name};
use crate::venue::Reply;

/// The one channel we follow.
pub(super) const CHANNEL: &str = "spot:user:balances";
/// The one wallet P99 spot has.
pub(super) const WALLET: &str = "spot";
/// Most rows taken from one answer: as many as an account may have. The venue lists every token ever credited; its spot market has two.
pub(super) const MAX_ROWS: usize = 200_000;

/// A frame from the venue.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming<'a> {
    AuthResult {
        success: bool,
        /// The venue's text for people; empty where it sends none.
        message: Cow<'a, str>,
    },
    /// Our channel is subscribed.
    Subscribed,
    /// Our channel is unsubscribed.
    Unsubscribed,
    Pong,
    Error {
        code: Cow<'a, str>,
    },
    Balance(Row),
    /// A type or channel that is not ours: spot and perpetuals share the socket.
    Other,
}

/// One token's balance. Whole: a push replaces the row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// It may be none that a row can have: see [`Row::is_nameless`].
    pub token: Name,
    pub available: Amount,
    pub frozen: Amount,
    /// When a push was computed. The venue's unit is a second. `None`: REST, which gives no time.
    pub ts: Option<UnixMs>,
}

impl Row {
    /// Is this no name that a row can have?
    pub fn is_nameless(&self) -> bool {
        !is_name(&self.token)
    }

    /// Does it say that nothing is held?
    pub fn is_zero(&self) -> bool {
        self.available.is_zero() && self.frozen.is_zero()
    }

    /// The row in the gateway's words. The total is `available + frozen`: the venue's pages define the two as the free and the
    /// reserved part of one balance.
    pub fn update(self) -> RowUpdate {
        RowUpdate {
            total: Field::Derived(self.available.plus(&self.frozen)),
            available: Field::Is(self.available),
            locked: Field::Is(self.frozen),
            venue_ts: self.ts,
            ..RowUpdate::new(WALLET, self.token)
        }
    }
}

/// Why a text could not be read. Holds no content except, for a push, the token it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("not a JSON object of this venue")]
    Json,
    #[error("{0} is missing or not what the manual says")]
    Field(&'static str),
    #[error("data.{field} is missing or not what the manual says")]
    Push { token: Option<Name>, field: &'static str },
    #[error("more than {MAX_ROWS} balances")]
    TooMany,
    #[error("a token is listed twice")]
    Twice,
}

/// The answer of `GET /spot/balances`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    pub rows: Vec<Row>,
    /// Tokens that are listed without readable amounts, or with two: what the venue says of them nobody knows.
    pub unreadable: Vec<Name>,
    /// What is held under names that no row can have.
    pub nameless: Vec<Name>,
    /// A row does not say which token it is of.
    pub has_unnamed: bool,
    /// The first thing that is wrong.
    pub problem: Option<WireError>,
}

/// Every field of every frame as raw text, so that a foreign frame with a foreign shape is still recognized as foreign.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    success: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawRow<'a> {
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    available: Option<&'a RawValue>,
    #[serde(borrow)]
    frozen: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
}

/// Reads one frame.
///
/// # Errors
/// No JSON object, no `type`, or a frame of ours whose fields are not as documented.
pub(super) fn frame(text: &str) -> Result<Incoming<'_>, WireError> {
    let envelope: Envelope<'_> = object(text).ok_or(WireError::Json)?;
    let kind = string(envelope.kind).ok_or(WireError::Field("type"))?;
    Ok(match &*kind {
        "spot_user_balance" => Incoming::Balance(push(&envelope)?),
        "pong" => Incoming::Pong,
        "subscribed" if ours(&envelope)? => Incoming::Subscribed,
        "unsubscribed" if ours(&envelope)? => Incoming::Unsubscribed,
        "auth_result" => Incoming::AuthResult {
            success: match envelope.success.map(RawValue::get) {
                Some("true") => true,
                Some("false") => false,
                _ => return Err(WireError::Field("success")),
            },
            message: string(envelope.message).unwrap_or_default(),
        },
        "error" => Incoming::Error { code: string(envelope.code).ok_or(WireError::Field("code"))? },
        _ => Incoming::Other,
    })
}

/// Reads a JSON object. Checked, because serde would also fill the fields from a list, by position.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// Is this of our channel?
fn ours(envelope: &Envelope<'_>) -> Result<bool, WireError> {
    string(envelope.channel).map(|channel| channel == CHANNEL).ok_or(WireError::Field("channel"))
}

fn push(envelope: &Envelope<'_>) -> Result<Row, WireError> {
    let data = envelope.data.and_then(|data| object::<RawRow<'_>>(data.get()));
    let data = data.ok_or(WireError::Push { token: None, field: "*" })?;
    if !ours(envelope)? {
        return Err(WireError::Field("channel"));
    }
    let seconds = data.ts.and_then(|ts| ts.get().parse::<i64>().ok()).filter(|ts| *ts >= 0);
    let ts = seconds.and_then(|seconds| seconds.checked_mul(1000)).map(UnixMs);
    let row = row(&data).and_then(|row| if ts.is_some() { Ok(Row { ts, ..row }) } else { Err("ts") });
    row.map_err(|field| WireError::Push { token: token(data.token), field })
}

/// Reads the answer of `GET /spot/balances`: an object with `balances` (the manual) or the bare list (the manual's sample code). A row that
/// cannot be read concerns its own token alone.
///
/// # Errors
/// Another shape, rows of which none says its token, or more rows than can be taken.
pub(super) fn balances(body: &[u8]) -> Result<Listing, WireError> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        balances: Option<Vec<&'a RawValue>>,
    }
    let text = std::str::from_utf8(body).map_err(|_| WireError::Json)?;
    let raw: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|_| WireError::Json)?
    } else {
        let wrapped: Wrapped<'_> = serde_json::from_str(text).map_err(|_| WireError::Json)?;
        wrapped.balances.ok_or(WireError::Field("balances"))?
    };
    if raw.len() > MAX_ROWS {
        return Err(WireError::TooMany);
    }
    let mut listing = Listing { rows: Vec::with_capacity(raw.len()), ..Listing::default() };
    let (mut seen, mut twice) = (HashSet::with_capacity(raw.len()), HashSet::new());
    for raw in &raw {
        let raw = object::<RawRow<'_>>(raw.get());
        let named = raw.as_ref().and_then(|raw| token(raw.token).zip(Some(raw)));
        let problem = match named {
            None => {
                listing.has_unnamed = true;
                WireError::Field("token")
            }
            Some((token, _)) if !seen.insert(token.clone()) => {
                twice.insert(token);
                WireError::Twice
            }
            Some((token, raw)) => match row(raw) {
                Ok(row) if row.is_nameless() => {
                    listing.nameless.extend((!row.is_zero()).then_some(token));
                    WireError::Field("token")
                }
                Ok(row) => {
                    listing.rows.push(row);
                    continue;
                }
                Err(field) => {
                    listing.unreadable.push(token);
                    WireError::Field(field)
                }
            },
        };
        listing.problem.get_or_insert(problem);
    }
    if listing.has_unnamed && seen.is_empty() {
        return Err(WireError::Field("token"));
    }
    if !twice.is_empty() {
        listing.rows.retain(|row| !twice.contains(&row.token));
        listing.unreadable.retain(|token| !twice.contains(token));
        listing.unreadable.extend(twice);
    }
    Ok(listing)
}

/// The row without its time, or the name of the field that is wrong.
fn row(raw: &RawRow<'_>) -> Result<Row, &'static str> {
    let amount = |raw: Option<&RawValue>| raw.and_then(|raw| Amount::from_json(raw).ok());
    Ok(Row {
        token: token(raw.token).ok_or("token")?,
        available: amount(raw.available).ok_or("available")?,
        frozen: amount(raw.frozen).ok_or("frozen")?,
        ts: None,
    })
}

fn token(raw: Option<&RawValue>) -> Option<Name> {
    string(raw).map(|text| cut_name(&text))
}

/// A JSON string's text, copied only where it holds an escape. `None`: absent, or no string.
fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<String>(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The `listenKey` of an answer that holds one.
///
/// # Errors
/// No JSON object, or no such text in it.
pub(super) fn listen_key(body: &[u8]) -> Result<String, WireError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        listen_key: Option<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| WireError::Json)?;
    let key = string(answer.listen_key).filter(|key| !key.is_empty()).ok_or(WireError::Field("listenKey"))?;
    Ok(key.into_owned())
}

/// What a REST refusal says of itself: `{"error":"CODE"}` of spot, `{"code":-1021}` of the signed interface.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Refusal {
    pub error: String,
    pub code: Option<i64>,
}

/// Reads a refusal as far as it goes: a 401 of this venue has an empty body.
pub(super) fn refusal_of(reply: &Reply<'_>) -> Refusal {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        code: Option<&'a RawValue>,
    }
    if reply.status < 400 {
        return Refusal::default();
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(reply.body) else { return Refusal::default() };
    Refusal {
        error: string(answer.error).unwrap_or_default().into_owned(),
        code: answer.code.and_then(|code| code.get().parse().ok()),
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

pub(super) fn auth_token(token: &str) -> String {
    format!(r#"{{"type":"auth_token","token":{}}}"#, quoted(token))
}

pub(super) fn auth_listen_key(key: &str) -> String {
    format!(r#"{{"type":"auth","listenKey":{}}}"#, quoted(key))
}

pub(super) const SUBSCRIBE: &str = r#"{"type":"subscribe","channel":"spot:user:balances"}"#;
pub(super) const PING: &str = r#"{"type":"ping"}"#;
