//! Text from outside on its way to a terminal: no character of it may steer one. It decides nothing about what is shown.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Deref;

use serde::{Deserialize, Deserializer};
use unicode_width::UnicodeWidthChar;

/// Longest text kept of one field, in characters; descriptions of venues have no bound of their own.
const MAX_CHARS: usize = 512;
/// What stands for a character that would steer the terminal.
const STAND_IN: char = '\u{fffd}';

/// A text that is safe to show. It remembers what it was, so that two names that look alike stay two.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    shown: String,
    /// As it came, where that differs.
    came: Option<Box<str>>,
}

impl Text {
    /// As it came: for keys, never for showing.
    pub(super) fn raw(&self) -> &str {
        self.came.as_deref().unwrap_or(&self.shown)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let shown = clean(text);
        let came = (shown != text).then(|| text.into());
        Self { shown, came }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.shown
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from(text.as_ref()))
    }
}

/// True for what moves a cursor, changes a mode or turns the direction of writing: control characters (C0, DEL, C1), line and
/// paragraph separators, marks and overrides of direction, what has no width and hides.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with a stand-in for each character that would steer, and bounded.
pub(super) fn clean(text: &str) -> String {
    let mut chars = text.chars();
    let mut clean: String = chars.by_ref().take(MAX_CHARS).map(|c| if steers(c) { STAND_IN } else { c }).collect();
    if chars.next().is_some() {
        clean.push('…');
    }
    clean
}

/// A frame as one line for a pipe or a terminal. Characters that would steer are written as JSON escapes, which mean the same:
/// in a frame they can only stand inside strings. A break between lines would end the line, and is a space.
pub(super) fn json_line(frame: &str) -> String {
    let mut line = String::with_capacity(frame.len() + 1);
    for c in frame.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if steers(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                // Writing into a String cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }),
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// Columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text in at most so many columns. A name that is longer keeps both ends, by which identifiers are told apart.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    if columns(text) <= longest {
        return text.to_owned();
    }
    let tail = longest.saturating_sub(1) / 3;
    let head = longest.saturating_sub(1 + tail);
    let back: Vec<char> = fitting(text.chars().rev(), tail).collect();
    fitting(text.chars(), head).chain(['…']).chain(back.into_iter().rev()).collect()
}

/// The text in at most so many columns, cut at its end.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if columns(text) <= longest {
        return text.to_owned();
    }
    fitting(text.chars(), longest.saturating_sub(1)).chain(['…']).collect()
}

fn fitting(chars: impl Iterator<Item = char>, longest: usize) -> impl Iterator<Item = char> {
    let mut taken = 0;
    chars.take_while(move |c| {
        taken += c.width().unwrap_or(0);
        taken <= longest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_that_steers_a_terminal_is_shown() {
        let text = Text::from("BTC\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\r\n\u{200b}é");
        assert_eq!(&*text, "BTC�[31m�2J�����é");
        assert_eq!(text.raw(), "BTC\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\r\n\u{200b}é");
    }

    #[test]
    fn names_that_look_alike_stay_two() {
        let (a, b) = (Text::from("A\u{1}"), Text::from("A\u{2}"));
        assert_eq!(&*a, &*b);
        assert_ne!(a.raw(), b.raw());
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let text = Text::from(&*"x".repeat(100_000));
        assert_eq!(text.chars().count(), MAX_CHARS + 1);
        assert!(text.ends_with('…'));
    }

    #[test]
    fn a_line_of_json_means_the_same_and_steers_nothing() {
        let frame = "{\"a\":\"x\u{9b}y\u{7f}\u{202e}\u{e0041}é\"}";
        let line = json_line(frame);
        assert_eq!(line, "{\"a\":\"x\\u009by\\u007f\\u202e\\udb40\\udc41é\"}\n");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&line), read(frame));
    }

    #[test]
    fn long_names_keep_both_ends_within_their_columns() {
        assert_eq!(shorten("0x742d35Cc6634C0532925a3b844Bc454e4438f44e", 12), "0x742d35…44e");
        assert_eq!(shorten("USDC", 12), "USDC");
        assert_eq!(columns(&shorten("漢字漢字漢字漢字漢字", 9)), 9);
        assert_eq!(cut("the connection broke", 9), "the conn…");
        assert_eq!(cut("", 0), "");
    }
}
