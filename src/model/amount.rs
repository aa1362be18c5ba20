//! An exact decimal amount: the venue's digits, in plain notation, never through a float.
//!
//! The text is the value. `rust_decimal` (28 digits) is only the fast path for sums; a sum it would round is redone
//! with `bigdecimal`, so no operation here ever loses a digit.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use compact_str::CompactString;
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Longest plain text an amount may have, without its sign. An IEEE double needs 309 digits at most and a 256-bit integer 78; what is longer
/// (`1e999999999`) is refused instead of filling memory.
const MAX_CHARS: usize = 512;

/// Longest text of a sum of two amounts as read: the one's digits before the point, the other's behind it, and a carry.
const MAX_SUM_CHARS: usize = 2 * MAX_CHARS + 2;

/// A decimal amount. **Shape**: `-?digits[.digits]` without exponent, `+` or redundant leading zeros; trailing zeros are kept
/// as the venue wrote them. **Units**: whole units of the asset. **Zero** is a statement ("the venue said zero"); unknown is
/// `Option::None`, never an `Amount`. `==` compares the text; [`Amount::same_value`] compares the number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Amount(CompactString);

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A decimal number in plain notation, every digit the venue's, in whole units of the asset. Exact as text \
                            alone: a float cannot hold it.",
            "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$",
        })
    }
}

/// Why a text is no amount. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("not a decimal number")]
    Syntax,
    #[error("a number of more than 512 characters in plain notation")]
    TooLong,
}

impl Amount {
    /// The amount `0`.
    pub const ZERO: Self = Self(CompactString::const_new("0"));

    /// The text, in plain notation.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a JSON number or a JSON string holding a number, from its raw text: no digit passes through a float.
    ///
    /// # Errors
    /// Anything else, `null` included: the caller decides what absence means.
    pub fn from_json(raw: &RawValue) -> Result<Self, AmountError> {
        let text = raw.get();
        match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or(AmountError::Syntax)?.parse(),
            None => text.parse(),
        }
    }

    /// True for `0`, `0.000` and the like.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| matches!(b, b'0' | b'.'))
    }

    /// True below zero.
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    /// Equality of the numbers: `1.10` and `1.1` are the same value.
    pub fn same_value(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }

    /// The text without trailing zeros of the fraction.
    fn significant(&self) -> &str {
        if self.0.contains('.') { self.0.trim_end_matches('0').trim_end_matches('.') } else { &self.0 }
    }

    /// The exact sum, with as many decimals as the finer operand.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal())
            && let Some(sum) = add_exact(a, b)
        {
            return sum.into();
        }
        Self::from_big(&(self.big() + other.big()))
    }

    /// The exact difference, with as many decimals as the finer operand.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }

    /// The amount with the other sign; zero has none.
    #[must_use]
    pub fn negated(&self) -> Self {
        match self.0.strip_prefix('-') {
            Some(rest) => Self(rest.into()),
            None if self.is_zero() => self.clone(),
            None => Self(compact_str::format_compact!("-{}", self.0)),
        }
    }

    /// The amount as a `Decimal`, where it fits without rounding.
    pub fn decimal(&self) -> Option<Decimal> {
        Decimal::from_str_exact(&self.0).ok()
    }

    /// Order of the numbers.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.decimal(), other.decimal()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.big().cmp(&other.big()),
        }
    }

    fn big(&self) -> BigDecimal {
        BigDecimal::from_str(&self.0).expect("an Amount's text is a plain decimal")
    }

    /// The sum of two amounts may be longer than what is read from a venue: up to [`MAX_SUM_CHARS`].
    fn from_big(value: &BigDecimal) -> Self {
        Self(value.to_plain_string().into())
    }
}

/// `None` when `rust_decimal` would drop a digit: it rounds silently, its checked addition too.
fn add_exact(a: Decimal, b: Decimal) -> Option<Decimal> {
    #[expect(clippy::disallowed_methods, reason = "the one place that checks the scale of the sum")]
    let sum = a.checked_add(b)?;
    (sum.scale() >= a.scale().max(b.scale())).then_some(sum)
}

impl FromStr for Amount {
    type Err = AmountError;

    /// JSON's number grammar; a leading `+` and leading zeros are tolerated and dropped, an exponent is written out.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(AmountError::Syntax),
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(AmountError::Syntax);
        }
        let canonical = mantissa.len() == rest.len() && (whole == "0" || !whole.starts_with('0')) && !text.starts_with('+');
        let zero = whole.bytes().chain(fraction.bytes()).all(|b| b == b'0');
        if canonical && !(negative && zero) {
            // The sign is not counted, here or in [`plain`]: what was read must read again.
            return if rest.len() <= MAX_CHARS { Ok(Self(text.into())) } else { Err(AmountError::TooLong) };
        }
        plain(negative && !zero, whole, fraction, exponent)
    }
}

/// Exponents beyond ±1,000,000 are clamped there: far past what [`MAX_CHARS`] lets through.
fn parse_exponent(text: &str) -> Result<i64, AmountError> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AmountError::Syntax);
    }
    Ok(sign * digits.bytes().fold(0, |n, b| (n * 10 + i64::from(b - b'0')).min(1_000_000)))
}

/// Writes digits with a moved decimal point: `1.5e3` → `1500`, `1e-8` → `0.00000001`.
fn plain(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Amount, AmountError> {
    let digits = whole.len() + fraction.len();
    if digits > MAX_CHARS {
        return Err(AmountError::TooLong);
    }
    if exponent > 0 && whole.bytes().chain(fraction.bytes()).all(|b| b == b'0') {
        return Ok(Amount::ZERO);
    }
    let point = whole.len() as i64 + exponent; // digits before the decimal point
    let length = if point <= 0 { digits as i64 - point + 2 } else { point.max(digits as i64) + 1 };
    if length > MAX_CHARS as i64 {
        return Err(AmountError::TooLong);
    }
    let mut text = String::with_capacity(length as usize + 1);
    text.extend(std::iter::repeat_n('0', (-point).max(0) as usize));
    text.push_str(whole);
    text.push_str(fraction);
    text.extend(std::iter::repeat_n('0', (point - digits as i64).max(0) as usize));
    let (before, after) = text.split_at(point.max(0) as usize);
    let before = before.trim_start_matches('0');
    let before = if before.is_empty() { "0" } else { before };
    let sign = if negative { "-" } else { "" };
    let dot = if after.is_empty() { "" } else { "." };
    Ok(Amount(compact_str::format_compact!("{sign}{before}{dot}{after}")))
}

impl From<Decimal> for Amount {
    /// Keeps the scale: `1.10` stays `1.10`. A negative zero loses its sign.
    fn from(value: Decimal) -> Self {
        let mut value = value;
        if value.is_zero() {
            value.set_sign_positive(true);
        }
        Self(compact_str::format_compact!("{value}"))
    }
}

impl From<u64> for Amount {
    fn from(value: u64) -> Self {
        Self(compact_str::format_compact!("{value}"))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    /// From a JSON string; a JSON number is refused here, because serde would hand it over as a float. Use
    /// [`Amount::from_json`] for those.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        // What we wrote ourselves may be a sum.
        let is_sum =
            (MAX_CHARS..=MAX_SUM_CHARS).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.'));
        match is_sum && digits.split('.').count() <= 2 && digits.split('.').all(|part| !part.is_empty()) {
            true => Ok(Self(text.as_ref().into())),
            false => text.parse().map_err(serde::de::Error::custom),
        }
    }
}
