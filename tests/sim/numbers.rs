//! What a venue's own numbering proves to be lost, by the least that its manual says: the oracle's reading, not the session's.
//!
//! Eight messages in a row that counted by ones, and never a skip before on this connection: then a skip is a loss, and whoever heard
//! it knows that what it holds may not be what the venue said last. Anything less proves nothing here.

use serde_json::Value;

/// So many steps by one prove that the numbers count messages.
const PROOF: u32 = 8;

/// The number of a message.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A complete statement: what was lost before it does not matter.
    From(u64),
    Next(u64),
    /// A message that nobody can number: from here on the count proves nothing.
    Unreadable,
}

/// The number in a text frame of a venue that numbers its messages.
pub fn number(venue: &str, text: &str) -> Option<Number> {
    if venue != "moonbase" {
        return None;
    }
    let Ok(message) = serde_json::from_str::<Value>(text) else { return Some(Number::Unreadable) };
    let gsn = message["gsn"].as_u64().filter(|_| message["channel"] == "portfolio")?;
    Some(match message["type"].as_str() {
        _ if !message["data"].is_array() => Number::Unreadable,
        Some("snapshot") => Number::From(gsn),
        _ => Number::Next(gsn),
    })
}

/// The count of one connection.
#[derive(Debug, Default)]
pub struct Count {
    last: Option<u64>,
    streak: u32,
    broken: bool,
}

impl Count {
    /// Is a message before this one known to be lost?
    pub fn hear(&mut self, number: Number) -> bool {
        match (number, self.last) {
            (Number::Unreadable, _) => self.broken = true,
            (Number::From(n), _) | (Number::Next(n), None) => self.last = Some(n),
            (Number::Next(n), Some(last)) if n <= last => {}
            (Number::Next(n), Some(last)) => {
                let is_lost = n > last + 1 && self.streak >= PROOF && !self.broken;
                (self.last, self.streak) = (Some(n), if n == last + 1 { self.streak + 1 } else { 0 });
                self.broken |= n > last + 1;
                return is_lost;
            }
        }
        false
    }
}
