//! Bitfinex's JSON in Bitfinex's words: frames of the stream and answers of REST, decoded in one pass.
//!
//! Pure, and without opinion: what a message means for rows is the session's matter. Amounts are read from their raw text. Nothing
//! of a payload ever enters an error. Array lengths are never relied upon: the venue appends fields without a new version.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{Amount, Cause, CauseKind, Extra, Name, cut_name, is_name};

/// Longest META kept in a cause, in bytes. A longer one is left out whole: half a JSON object is none.
const MAX_META_BYTES: usize = 4096;
/// Longest DESCRIPTION kept in a cause, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 1024;
/// Longest `caps` passed on, in bytes.
const MAX_CAPS_BYTES: usize = 4096;
/// A wallet row's fields that must be there, in order. Source: docs.bitfinex.com/reference/ws-auth-wallets.
const FIELDS: [&str; 5] = ["WALLET_TYPE", "CURRENCY", "BALANCE", "UNSETTLED_INTEREST", "BALANCE_AVAILABLE"];

/// A frame the venue may send.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// `[0,"hb"]`
    Heartbeat,
    /// `[0,"ws",[row, …]]`: everything the account holds.
    Wallets(Vec<Row<'a>>),
    /// `[0,"wu",row]`: one wallet as it is now.
    Wallet(Row<'a>),
    /// Another kind on channel 0, or another channel.
    OtherFrame,
    /// The greeting. `maintenance`: `platform.status` is 0.
    Hello { version: u32, maintenance: bool },
    /// An info event with a code.
    Info(u32),
    /// The answer to `auth`.
    Auth(Auth),
    /// An error event, with its code (0 where there is none).
    Error(u32),
    /// Another event: `conf`, `pong`, and what is yet to be invented.
    OtherEvent,
}

/// What the venue says of an authentication.
#[derive(Debug)]
pub(super) enum Auth {
    /// `caps`: absent where the venue sent none, an error where it could not be read.
    Ok(Option<Result<Caps, WireError>>),
    /// Anything but `OK`, with its code (0 where there is none).
    Failed(u32),
}

/// What the key may do.
#[derive(Debug)]
pub(super) struct Caps {
    /// The venue's object, verbatim.
    pub raw: Box<RawValue>,
    /// `None`: not said.
    pub wallets_read: Option<bool>,
    pub withdraw_write: Option<bool>,
    pub orders_write: Option<bool>,
}

/// A row, or what is wrong with it.
pub(super) type Row<'a> = Result<WalletRow<'a>, BadRow>;

/// One wallet: a currency in a compartment of the account.
#[derive(Debug)]
pub(super) struct WalletRow<'a> {
    /// `exchange`, `margin`, `funding`, or what is yet to be invented.
    pub wallet: Name,
    pub currency: Name,
    pub balance: Amount,
    /// `None`: `null`.
    pub unsettled_interest: Option<Amount>,
    /// `None`: `null`, not yet calculated. That is not zero.
    pub available: Option<Amount>,
    description: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
}

/// A row that cannot be read.
#[derive(Debug)]
pub(super) struct BadRow {
    /// Which row it is, where at least that can be read. The names may be empty or too long for a row.
    pub key: Option<(Name, Name)>,
    pub error: WireError,
}

/// Why a message cannot be read. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a frame that is no JSON")]
    NotJson,
    #[error("a wallet message of another shape")]
    Shape,
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("field {0} cannot be read")]
    Field(&'static str),
}

/// An answer to `POST /v2/auth/r/wallets`.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    Wallets(Vec<Row<'a>>),
    /// `["error", code, message]`
    Error(u32),
    /// `{"error":"ERR_RATE_LIMIT"}`
    RateLimited,
}

/// Decodes a frame of the stream.
///
/// # Errors
/// What is no JSON, or no message this venue documents.
pub(super) fn decode(text: &str) -> Result<Message<'_>, WireError> {
    match text.trim_start().as_bytes().first() {
        Some(b'[') => {
            let mut json = serde_json::Deserializer::from_str(text);
            let message = json.deserialize_seq(FrameVisitor).map_err(|e| error_of(&e))?;
            json.end().map_err(|_| WireError::NotJson)?;
            message
        }
        Some(b'{') => decode_event(text),
        _ => Err(WireError::NotJson),
    }
}

/// Decodes a REST answer of any status.
///
/// # Errors
/// What is neither a list of wallets nor an error of the venue's.
pub(super) fn decode_answer(body: &[u8]) -> Result<Answer<'_>, WireError> {
    let text = std::str::from_utf8(body).map_err(|_| WireError::NotJson)?;
    let mut json = serde_json::Deserializer::from_str(text);
    match json.deserialize_seq(RowsVisitor).map_err(|e| error_of(&e)) {
        Ok(rows) => json.end().map_err(|_| WireError::NotJson).map(|()| Answer::Wallets(rows)),
        Err(WireError::NotJson) => Err(WireError::NotJson),
        Err(_) => decode_refusal(text),
    }
}

fn decode_refusal(text: &str) -> Result<Answer<'_>, WireError> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let is_error = list.first().is_some_and(|word| word.get() == r#""error""#);
        return if is_error { Ok(Answer::Error(list.get(1).map_or(0, |c| number(c)))) } else { Err(WireError::Shape) };
    }
    let refusal: Refusal<'_> = serde_json::from_str(text).map_err(|_| WireError::Shape)?;
    match refusal.error.map(RawValue::get) {
        Some(r#""ERR_RATE_LIMIT""#) => Ok(Answer::RateLimited),
        Some(_) => Ok(Answer::Error(0)),
        None => Err(WireError::Shape),
    }
}

fn decode_event(text: &str) -> Result<Message<'_>, WireError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        event: Option<&'a RawValue>,
        version: Option<&'a RawValue>,
        platform: Option<&'a RawValue>,
        status: Option<&'a RawValue>,
        code: Option<&'a RawValue>,
        caps: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Platform<'a> {
        #[serde(borrow)]
        status: Option<&'a RawValue>,
    }
    let event: Event<'_> = serde_json::from_str(text).map_err(|_| WireError::NotJson)?;
    let code = event.code.map_or(0, number);
    Ok(match event.event.ok_or(WireError::Missing("event"))?.get() {
        r#""info""# => match event.version {
            Some(version) => {
                let platform = event.platform.and_then(|raw| serde_json::from_str::<Platform<'_>>(raw.get()).ok());
                let maintenance = platform.and_then(|p| p.status).is_some_and(|status| flag(status) == Some(false));
                Message::Hello { version: number(version), maintenance }
            }
            None => Message::Info(code),
        },
        r#""auth""# if event.status.is_some_and(|status| status.get() == r#""OK""#) => {
            Message::Auth(Auth::Ok(event.caps.map(decode_caps)))
        }
        r#""auth""# => Message::Auth(Auth::Failed(code)),
        r#""error""# => Message::Error(code),
        _ => Message::OtherEvent,
    })
}

/// `caps` is an object, or (in older documents) a string that holds one.
fn decode_caps(raw: &RawValue) -> Result<Caps, WireError> {
    #[derive(Deserialize)]
    struct Flags<'a> {
        #[serde(borrow)]
        read: Option<&'a RawValue>,
        write: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Areas<'a> {
        #[serde(borrow)]
        wallets: Option<Flags<'a>>,
        #[serde(borrow)]
        withdraw: Option<Flags<'a>>,
        #[serde(borrow)]
        orders: Option<Flags<'a>>,
    }
    let refused = WireError::Field("caps");
    let text = if raw.get().starts_with('"') { string(raw).ok_or(refused)? } else { Cow::Borrowed(raw.get()) };
    if text.len() > MAX_CAPS_BYTES {
        return Err(refused);
    }
    let areas: Areas<'_> = serde_json::from_str(&text).map_err(|_| refused)?;
    Ok(Caps {
        wallets_read: areas.wallets.and_then(|flags| flags.read).and_then(flag),
        withdraw_write: areas.withdraw.and_then(|flags| flags.write).and_then(flag),
        orders_write: areas.orders.and_then(|flags| flags.write).and_then(flag),
        raw: RawValue::from_string(text.into_owned()).map_err(|_| refused)?,
    })
}

/// Wrong types are ours to name; all else is the venue's grammar.
fn error_of(error: &serde_json::Error) -> WireError {
    if error.is_data() { WireError::Shape } else { WireError::NotJson }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Result<Message<'de>, WireError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Some(channel) = seq.next_element::<&RawValue>()? else { return Ok(Err(WireError::Missing("CHAN_ID"))) };
        let message = if channel.get() == "0" {
            match seq.next_element::<&RawValue>()?.map(RawValue::get) {
                Some(r#""ws""#) => seq.next_element_seed(RowsSeed)?.map(Message::Wallets).ok_or(WireError::Shape),
                Some(r#""wu""#) => seq.next_element_seed(RowSeed)?.map(Message::Wallet).ok_or(WireError::Shape),
                Some(r#""hb""#) => Ok(Message::Heartbeat),
                Some(_) => Ok(Message::OtherFrame),
                None => Err(WireError::Missing("TYPE")),
            }
        } else {
            Ok(Message::OtherFrame)
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(message)
    }
}

struct RowsSeed;

impl<'de> DeserializeSeed<'de> for RowsSeed {
    type Value = Vec<Row<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Vec<Row<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wallet rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element_seed(RowSeed)? {
            rows.push(row);
        }
        Ok(rows)
    }
}

struct RowSeed;

impl<'de> DeserializeSeed<'de> for RowSeed {
    type Value = Row<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a wallet row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut fields = [None; 7];
        for field in &mut fields {
            match seq.next_element::<&RawValue>()? {
                Some(raw) => *field = Some(raw),
                None => return Ok(WalletRow::read(fields)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(WalletRow::read(fields))
    }
}

impl<'a> WalletRow<'a> {
    fn read(fields: [Option<&'a RawValue>; 7]) -> Row<'a> {
        let [wallet, currency, balance, interest, available, description, meta] = fields;
        let wallet = name(wallet, FIELDS[0]).map_err(|error| BadRow { key: None, error })?;
        let currency = name(currency, FIELDS[1]).map_err(|error| BadRow { key: None, error })?;
        let unfit = [(&wallet, FIELDS[0]), (&currency, FIELDS[1])].into_iter().find(|(name, _)| !is_name(name));
        if let Some(error) = unfit.map(|(_, field)| WireError::Field(field)) {
            return Err(BadRow { key: Some((wallet, currency)), error });
        }
        let amounts = required(balance, FIELDS[2])
            .and_then(|balance| Ok((balance, optional(interest, FIELDS[3])?, optional(available, FIELDS[4])?)));
        match amounts {
            Ok((balance, unsettled_interest, available)) => {
                Ok(Self { wallet, currency, balance, unsettled_interest, available, description, meta })
            }
            Err(error) => Err(BadRow { key: Some((wallet, currency)), error }),
        }
    }

    /// The row's further words, the same `Arc` for the usual zero.
    pub fn extra(&self) -> Extra {
        static NO_INTEREST: LazyLock<Extra> = LazyLock::new(|| Arc::new([("unsettled_interest", "0".into())]));
        match &self.unsettled_interest {
            Some(interest) if interest.as_str() == "0" => Arc::clone(&NO_INTEREST),
            Some(interest) => Arc::new([("unsettled_interest", interest.as_str().into())]),
            None => Arc::new([]),
        }
    }

    /// Why the wallet changed, from META and DESCRIPTION. `None`: the venue gives no reason, as in the answer to a `calc`.
    pub fn cause(&self) -> Option<Cause> {
        let meta = self.meta.filter(|raw| raw.get().starts_with('{'));
        let description = self.description.and_then(string).filter(|text| !text.is_empty());
        if meta.is_none() && description.is_none() {
            return None;
        }
        Some(Cause {
            kind: kind(meta.and_then(reason), description.as_deref().unwrap_or("")),
            description: description.filter(|text| text.len() <= MAX_DESCRIPTION_BYTES).map(|text| text.into()),
            venue: meta.filter(|raw| raw.get().len() <= MAX_META_BYTES).map(RawValue::to_owned),
        })
    }
}

/// META.reason.
fn reason(meta: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow)]
        reason: Option<&'a RawValue>,
    }
    serde_json::from_str::<Meta<'_>>(meta.get()).ok()?.reason.and_then(string)
}

/// The reason is a code and comes first. Most ledger entries have none, and the text is all there is; the venue's own words stay
/// beside our guess, so a wrong guess misleads nobody.
fn kind(reason: Option<Cow<'_, str>>, description: &str) -> CauseKind {
    let by_reason = match reason.as_deref() {
        Some("TRADE") => Some(CauseKind::Trade),
        Some("FEE") => Some(CauseKind::Fee),
        Some("DEPOSIT") => Some(CauseKind::Deposit),
        Some("WITHDRAWAL") => Some(CauseKind::Withdrawal),
        Some("TRANSFER") => Some(CauseKind::Transfer),
        Some(_) | None => None,
    };
    let by_text = || {
        let text = description.to_ascii_lowercase();
        let starts = |word: &str| text.starts_with(word);
        match () {
            () if starts("trading fee") => CauseKind::Fee,
            () if starts("exchange ") => CauseKind::Trade,
            () if starts("deposit") => CauseKind::Deposit,
            () if text.contains("withdrawal") => CauseKind::Withdrawal,
            () if starts("transfer") => CauseKind::Transfer,
            () if starts("margin funding payment") => CauseKind::Interest,
            () if text.contains("funding") => CauseKind::Funding,
            () if starts("adjustment") => CauseKind::Adjustment,
            () => CauseKind::Other,
        }
    };
    by_reason.unwrap_or_else(by_text)
}

fn name(raw: Option<&RawValue>, field: &'static str) -> Result<Name, WireError> {
    let text = string(raw.ok_or(WireError::Missing(field))?).ok_or(WireError::Field(field))?;
    Ok(cut_name(&text))
}

fn required(raw: Option<&RawValue>, field: &'static str) -> Result<Amount, WireError> {
    Amount::from_json(raw.ok_or(WireError::Missing(field))?).map_err(|_| WireError::Field(field))
}

/// `null` is the venue's word for unknown; a field that is not there at all is an error.
fn optional(raw: Option<&RawValue>, field: &'static str) -> Result<Option<Amount>, WireError> {
    match raw.ok_or(WireError::Missing(field))?.get() {
        "null" => Ok(None),
        _ => required(raw, field).map(Some),
    }
}

/// The text of a JSON string.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A small number; 0 where it is none. Only for codes, which an unknown one treats like.
fn number(raw: &RawValue) -> u32 {
    raw.get().trim_matches('"').parse().unwrap_or(0)
}

/// `1`, `0`, `true`, `false`, as numbers or strings.
fn flag(raw: &RawValue) -> Option<bool> {
    match raw.get().trim_matches('"') {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}
