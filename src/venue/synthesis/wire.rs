//! Synthesis's JSON in Synthesis's words: frames in, subscribe requests out, and what an address looks like.
//!
//! Pure decoding in one pass over the text. It does not know which wallets were asked for and keeps nothing.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::model::{Amount, AmountError, MAX_ASSET_CHARS, Name};

/// What a frame says, told apart by the shape of its `response`: the venue sends no message type.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// Current balances of whole wallets: the answer to a subscribe, or a part of it.
    Wallets(Vec<Listing<'a>>),
    Order(Order<'a>),
    Update(Update<'a>),
    /// The acknowledgement of an unsubscribe.
    Unsubscribed,
    /// An acknowledgement in words the documents do not name.
    Acknowledged,
    /// `success` is false.
    Refused(Refusal),
}

/// Why the venue refuses a request. Only the first text is documented for the stream; the second is documented for REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidWallets,
    RateLimited,
    /// Words of no documented meaning; they are not kept.
    Other,
}

/// One wallet in a snapshot.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    pub(super) address: Cow<'a, str>,
    /// `POL`, `SOL`, or what the venue adds. `None`: not said.
    pub(super) chain: Option<Cow<'a, str>>,
    /// `None`: absent or `null`, which is not the same as holding nothing.
    pub(super) balances: Option<Vec<Holding<'a>>>,
}

/// One asset in a listing. An unreadable amount spoils its row, not the frame.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    pub(super) asset: Cow<'a, str>,
    pub(super) total: Result<Amount, AmountError>,
}

impl Holding<'_> {
    /// Does it surely hold nothing?
    pub(super) fn is_zero(&self) -> bool {
        self.total.as_ref().is_ok_and(Amount::is_zero)
    }
}

/// The new total of one asset of one wallet.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) address: Cow<'a, str>,
    /// Of any length: no row can have a name that is empty or beyond 128 characters.
    pub(super) asset: Name,
    /// An error still names the row it concerns.
    pub(super) total: Result<Amount, WireError>,
}

/// An order's status. It names no wallet.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) order_id: Name,
    pub(super) token_id: Name,
    pub(super) filled: Option<Amount>,
    pub(super) status: Name,
    /// Side, type, amount, shares and price, as far as they were sent.
    pub(super) details: Vec<(&'static str, &'a RawValue)>,
}

/// Why a frame, or a part of it, could not be read. Names the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("not a message of the documented form (column {0})")]
    Form(usize),
    #[error("response: none of the documented shapes")]
    Shape,
    #[error("{0}: missing")]
    Missing(&'static str),
    #[error("{0}: {1}")]
    Amount(&'static str, AmountError),
    #[error("{0}: no identifier of 1 to 128 characters")]
    Name(&'static str),
}

/// Reads one frame.
///
/// # Errors
/// Anything the documents do not describe. Unknown fields are ignored, missing ones refused.
pub(super) fn decode(text: &str) -> Result<Message<'_>, WireError> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| WireError::Form(e.column()))?;
    match (envelope.success, envelope.response) {
        // `success` comes first: an error's response may have any shape.
        (false, Response::Text(words)) => Ok(Message::Refused(match &*words {
            "Invalid wallets" => Refusal::InvalidWallets,
            "Rate limit exceeded" => Refusal::RateLimited,
            _ => Refusal::Other,
        })),
        (false, _) => Ok(Message::Refused(Refusal::Other)),
        (true, Response::Text(words)) if words == "Unsubscribed" => Ok(Message::Unsubscribed),
        (true, Response::Text(_)) => Ok(Message::Acknowledged),
        (true, Response::Body(body)) => body.message(),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    success: bool,
    #[serde(borrow)]
    response: Response<'a>,
}

enum Response<'a> {
    Text(Cow<'a, str>),
    Body(Box<Body<'a>>),
}

/// Every field a documented `response` object can have. Amounts stay raw text.
#[derive(Deserialize, Default)]
struct Body<'a> {
    #[serde(borrow, default)]
    wallets: Option<Vec<Listing<'a>>>,
    #[serde(borrow, default)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    token_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filled: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    side: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    amount: Option<&'a RawValue>,
    #[serde(borrow, default)]
    shares: Option<&'a RawValue>,
    #[serde(borrow, default)]
    price: Option<&'a RawValue>,
    #[serde(borrow, default)]
    address: Option<Text<'a>>,
    #[serde(borrow, default)]
    asset: Option<&'a RawValue>,
    #[serde(borrow, default)]
    balance: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// In the order of the venue's own sample: an order has no `asset`, an update no `wallets`.
    fn message(self) -> Result<Message<'a>, WireError> {
        if let Some(wallets) = self.wallets {
            return Ok(Message::Wallets(wallets));
        }
        if self.order_id.is_some() {
            return self.order().map(Message::Order);
        }
        if self.asset.is_some() {
            return self.update().map(Message::Update);
        }
        Err(WireError::Shape)
    }

    fn order(self) -> Result<Order<'a>, WireError> {
        let details =
            [("side", self.side), ("type", self.kind), ("amount", self.amount), ("shares", self.shares), ("price", self.price)];
        Ok(Order {
            order_id: name("response.order_id", self.order_id)?,
            token_id: name("response.token_id", self.token_id)?,
            filled: self.filled.map(|raw| amount("response.filled", Some(raw))).transpose()?,
            status: name("response.status", self.status)?,
            details: details.into_iter().filter_map(|(word, raw)| raw.map(|raw| (word, raw))).collect(),
        })
    }

    fn update(self) -> Result<Update<'a>, WireError> {
        Ok(Update {
            address: self.address.ok_or(WireError::Missing("response.address"))?.0,
            asset: word("response.asset", self.asset)?,
            total: amount("response.balance", self.balance),
        })
    }
}

fn amount(field: &'static str, raw: Option<&RawValue>) -> Result<Amount, WireError> {
    Amount::from_json(raw.ok_or(WireError::Missing(field))?).map_err(|e| WireError::Amount(field, e))
}

/// An identifier: a string, or an integer taken by its digits (a token id has up to 78 of them and is never a number).
fn name(field: &'static str, raw: Option<&RawValue>) -> Result<Name, WireError> {
    let word = word(field, raw)?;
    if identifier(&word).is_some() { Ok(word) } else { Err(WireError::Name(field)) }
}

/// The same of any length.
fn word(field: &'static str, raw: Option<&RawValue>) -> Result<Name, WireError> {
    let text = raw.ok_or(WireError::Missing(field))?.get();
    if text.starts_with('"') {
        let Text(text) = serde_json::from_str(text).map_err(|_| WireError::Name(field))?;
        return Ok(text.into());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) { Ok(text.into()) } else { Err(WireError::Name(field)) }
}

/// The text as an identifier, if it has 1 to 128 characters.
pub(super) fn identifier(text: &str) -> Option<Name> {
    // Bytes first: counting characters costs a pass.
    let fits = text.len() <= MAX_ASSET_CHARS || text.chars().count() <= MAX_ASSET_CHARS;
    (fits && !text.is_empty()).then(|| text.into())
}

/// A detail of an order as text: a string as it is, a number in plain notation. `None`: neither, or too long.
pub(super) fn detail(raw: &RawValue) -> Option<Name> {
    match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(Text(text)) => identifier(&text),
        Err(_) => identifier(Amount::from_json(raw).ok()?.as_str()),
    }
}

/// A string, borrowed from the frame where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Response<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = Response<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Response::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Response::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                Body::deserialize(MapAccessDeserializer::new(map)).map(|body| Response::Body(Box::new(body)))
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Listing<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(borrow)]
            address: Text<'a>,
            #[serde(borrow, default)]
            chain_id: Option<Text<'a>>,
            #[serde(borrow, default)]
            balances: Balances<'a>,
        }
        let entry = Entry::deserialize(deserializer)?;
        Ok(Listing { address: entry.address.0, chain: entry.chain_id.map(|text| text.0), balances: entry.balances.0 })
    }
}

/// `balances`: asset to amount, each amount read from its raw text.
#[derive(Default)]
struct Balances<'a>(Option<Vec<Holding<'a>>>);

impl<'de: 'a, 'a> Deserialize<'de> for Balances<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Balances<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Balances(None))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut rows = Vec::new();
                while let Some(Text(asset)) = map.next_key()? {
                    let raw: &'de RawValue = map.next_value()?;
                    rows.push(Holding { asset, total: Amount::from_json(raw) });
                }
                Ok(Balances(Some(rows)))
            }
        }
        deserializer.deserialize_any(Rows)
    }
}

/// A request of a client, read by the simulator and written by the session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request<'a> {
    /// `subscribe` or `unsubscribe`.
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) wallets: Vec<Asked<'a>>,
}

/// One wallet of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked<'a> {
    #[serde(borrow)]
    pub(super) address: Cow<'a, str>,
    /// `None`: every asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) assets: Option<Vec<Name>>,
}

/// The chain an address belongs to by its form, in the venue's word. `None`: not an address of either form.
pub(super) fn chain_of(address: &str) -> Option<&'static str> {
    if let Some(digits) = address.strip_prefix("0x") {
        return (digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some("POL");
    }
    let base58 = |b: u8| b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l');
    ((32..=44).contains(&address.len()) && address.bytes().all(base58)).then_some("SOL")
}

/// The spelling to look an address up by: `0x` addresses mean the same in any case, base58 does not.
pub(super) fn canonical(address: &str) -> Cow<'_, str> {
    let polygon = address.starts_with("0x") || address.starts_with("0X");
    if polygon && address.bytes().any(|b| b.is_ascii_uppercase()) {
        return Cow::Owned(address.to_ascii_lowercase());
    }
    Cow::Borrowed(address)
}
