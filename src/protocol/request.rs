//! What a client may ask, read from one text frame.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ErrorCode;
use crate::model::{Channel, Filter, MAX_ASSET_CHARS, MAX_FILTER_ENTRIES};

/// Longest `id`, in characters of JSON.
pub(super) const MAX_ID_CHARS: usize = 128;
/// Fastest and slowest pace a client may ask for.
const RATE_HZ: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

/// A request's `id`, echoed verbatim: a JSON string or integer.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Id(Box<RawValue>);

impl Id {
    /// The JSON text.
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    AuthToken {
        token: String,
    },
    Subscribe(Subscribe),
    Unsubscribe {
        channel: Channel,
    },
    Resync {
        channel: Channel,
    },
    Ping,
    /// An answer to a ping of ours.
    Pong,
}

/// The wish to be told of a channel.
#[derive(Debug, Clone)]
pub struct Subscribe {
    pub channel: Channel,
    pub filter: Filter,
    /// Most updates a second. `None`: as they come.
    pub max_rate_hz: Option<f64>,
    /// Where an earlier subscription ended. `None`: start with a snapshot.
    pub since: Option<Since>,
}

/// A point in a history: the `epoch` and `gsn` of the last frame of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Since {
    pub epoch: String,
    pub gsn: u64,
}

/// A request that was not understood.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub id: Option<Id>,
    pub code: ErrorCode,
    /// Names the place and the cure; holds nothing of a token.
    pub message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
    #[serde(borrow)]
    max_rate_hz: Option<&'a RawValue>,
    #[serde(borrow)]
    since: Option<&'a RawValue>,
}

/// Reads a request. Unknown fields are ignored.
///
/// # Errors
/// A refusal to send back; the socket stays open.
pub fn parse(text: &str) -> Result<(Option<Id>, Request), Refusal> {
    let refuse = |code, message: &str| Refusal { id: None, code, message: message.to_owned() };
    if !text.trim_start().starts_with('{') {
        return Err(refuse(ErrorCode::BadJson, "a frame is one JSON object, such as {\"type\":\"ping\"}"));
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => refuse(ErrorCode::BadRequest, "a field stands twice in the frame"),
        _ => refuse(ErrorCode::BadJson, &format!("the frame is no JSON: line {}, column {}", e.line(), e.column())),
    })?;
    let id = envelope.id.map(id).transpose()?.flatten();
    let request = request(&envelope).map_err(|(code, message)| Refusal { id: id.clone(), code, message })?;
    Ok((id, request))
}

fn id(raw: &RawValue) -> Result<Option<Id>, Refusal> {
    let text = raw.get();
    let integer = text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
    if text == "null" {
        return Ok(None);
    }
    if text.len() <= MAX_ID_CHARS && (integer || text.starts_with('"')) {
        return Ok(Some(Id(raw.to_owned())));
    }
    let message = format!("id: wants a string or an integer of at most {MAX_ID_CHARS} characters");
    Err(Refusal { id: None, code: ErrorCode::BadRequest, message })
}

type Refused = (ErrorCode, String);

fn request(envelope: &Envelope) -> Result<Request, Refused> {
    const KNOWN: &str = "known are auth_token, subscribe, unsubscribe, resync, ping";
    let bad = |message: &str| (ErrorCode::BadRequest, message.to_owned());
    let Some(kind) = envelope.kind.and_then(string) else {
        return Err(bad(&format!("type: wants a string; {KNOWN}")));
    };
    match kind.as_str() {
        "auth_token" => {
            let token = envelope.token.and_then(string).ok_or_else(|| bad("token: wants a string holding a JWT"))?;
            Ok(Request::AuthToken { token })
        }
        "subscribe" => Ok(Request::Subscribe(Subscribe {
            channel: channel(envelope)?,
            filter: envelope.filter.map(filter).transpose()?.unwrap_or_default(),
            max_rate_hz: envelope.max_rate_hz.map(rate).transpose()?.flatten(),
            since: envelope.since.map(since).transpose()?.flatten(),
        })),
        "unsubscribe" => Ok(Request::Unsubscribe { channel: channel(envelope)? }),
        "resync" => Ok(Request::Resync { channel: channel(envelope)? }),
        "ping" => Ok(Request::Ping),
        "pong" => Ok(Request::Pong),
        _ => Err((ErrorCode::UnknownType, format!("type: not known here; {KNOWN}"))),
    }
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn channel(envelope: &Envelope) -> Result<Channel, Refused> {
    let name = envelope.channel.and_then(string);
    let found = name.as_deref().and_then(|name| Channel::ALL.into_iter().find(|channel| channel.as_str() == name));
    match (found, name) {
        (Some(channel), _) => Ok(channel),
        (None, Some(_)) => Err((ErrorCode::UnknownChannel, "channel: known are user:balances and user:orders".into())),
        (None, None) => Err((ErrorCode::BadRequest, "channel: wants \"user:balances\" or \"user:orders\"".into())),
    }
}

fn rate(raw: &RawValue) -> Result<Option<f64>, Refused> {
    if raw.get() == "null" {
        return Ok(None);
    }
    match serde_json::from_str::<f64>(raw.get()) {
        Ok(hz) if RATE_HZ.contains(&hz) => Ok(Some(hz)),
        _ => Err((ErrorCode::BadRequest, "max_rate_hz: wants a number from 0.001 to 1000".into())),
    }
}

fn since(raw: &RawValue) -> Result<Option<Since>, Refused> {
    let read = if is_list(raw) { None } else { serde_json::from_str(raw.get()).ok() };
    read.ok_or_else(|| (ErrorCode::BadRequest, "since: wants {\"epoch\": a string, \"gsn\": a non-negative integer}".into()))
}

/// A list would pass for an object whose fields come in order.
fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

#[derive(Deserialize)]
struct RawFilter<'a> {
    #[serde(borrow)]
    venues: Option<&'a RawValue>,
    #[serde(borrow)]
    accounts: Option<&'a RawValue>,
    #[serde(borrow)]
    assets: Option<&'a RawValue>,
    #[serde(borrow)]
    nonzero: Option<&'a RawValue>,
}

fn filter(raw: &RawValue) -> Result<Filter, Refused> {
    let bad = |message: String| (ErrorCode::BadFilter, message);
    if raw.get() == "null" {
        return Ok(Filter::default());
    }
    let read = if is_list(raw) { None } else { serde_json::from_str::<RawFilter>(raw.get()).ok() };
    let raw = read.ok_or_else(|| {
        bad("filter: wants an object with venues, accounts, assets (lists) and nonzero (true or false)".into())
    })?;
    let nonzero = match raw.nonzero.map(RawValue::get) {
        None | Some("null" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(bad("filter.nonzero: wants true or false".into())),
    };
    let mut filter = Filter {
        venues: list(raw.venues, "venues")?,
        accounts: list(raw.accounts, "accounts")?,
        assets: list(raw.assets, "assets")?,
        nonzero,
    };
    filter.normalize();
    Ok(filter)
}

fn list(raw: Option<&RawValue>, name: &str) -> Result<Option<Vec<String>>, Refused> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    let wants = || (ErrorCode::BadFilter, format!("filter.{name}: wants a list of 1 to {MAX_FILTER_ENTRIES} strings"));
    let entries: Vec<String> = serde_json::from_str(raw.get()).map_err(|_| wants())?;
    check_list(entries, name).map(Some).map_err(|message| (ErrorCode::BadFilter, message))
}

/// The bounds of a filter's list, wherever it comes from.
fn check_list(entries: Vec<String>, name: &str) -> Result<Vec<String>, String> {
    if entries.is_empty() || entries.len() > MAX_FILTER_ENTRIES {
        return Err(format!("filter.{name}: wants a list of 1 to {MAX_FILTER_ENTRIES} strings"));
    }
    if entries.iter().any(|entry| entry.chars().count() > MAX_ASSET_CHARS) {
        return Err(format!("filter.{name}: an entry has more than {MAX_ASSET_CHARS} characters"));
    }
    Ok(entries)
}

impl Filter {
    /// The filter of a REST query: comma-separated lists and `nonzero=true`. A list may also come in several parameters of its name.
    ///
    /// # Errors
    /// What is wrong, and what is wanted.
    pub fn from_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut filter = Self::default();
        // An empty value is a form's way of saying that nothing was chosen.
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let list = match name {
                "venues" => Some(&mut filter.venues),
                "accounts" => Some(&mut filter.accounts),
                "assets" => Some(&mut filter.assets),
                _ => None,
            };
            if let Some(list) = list {
                let mut entries = list.take().unwrap_or_default();
                entries.extend(value.split(',').filter(|entry| !entry.is_empty()).map(str::to_owned));
                *list = Some(check_list(entries, name)?);
            }
            match name {
                "nonzero" => filter.nonzero = value.parse().map_err(|_| "nonzero: wants true or false".to_owned())?,
                _ => {}
            }
        }
        filter.normalize();
        Ok(filter)
    }
}
