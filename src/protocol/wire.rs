//! A frame's text together with its WebSocket header, made once and shared by every reader.
//!
//! Server frames are not masked, so the very bytes on the wire are the same for all.

use bytes::Bytes;

/// One text frame, ready to be written to any number of sockets. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireText {
    bytes: Bytes,
    text_at: u8,
}

/// In the place of a header while the text behind it is written.
const ROOM: &str = "          ";
/// The longest header of a server's frame: opcode, length mark, length.
const MAX_HEADER: usize = ROOM.len();

impl WireText {
    /// Frames a text.
    pub fn new(text: &str) -> Self {
        let mut room = Self::begin(text.len());
        room.push_str(text);
        Self::end(room)
    }

    /// Where to write a text of about `length` bytes, behind the place of its header.
    pub(super) fn begin(length: usize) -> String {
        let mut text = String::with_capacity(MAX_HEADER + length);
        text.push_str(ROOM);
        text
    }

    /// Frames what was written since [`WireText::begin`], without a copy.
    pub(super) fn end(text: String) -> Self {
        let mut bytes = text.into_bytes();
        let (head, length) = header(OPCODE_TEXT, bytes.len() - MAX_HEADER);
        let start = MAX_HEADER - length;
        bytes[start..MAX_HEADER].copy_from_slice(&head[..length]);
        Self { bytes: Bytes::from(bytes).slice(start..), text_at: length as u8 }
    }

    /// Header and text.
    pub fn frame(&self) -> &Bytes {
        &self.bytes
    }

    /// The same, without a copy.
    pub fn into_frame(self) -> Bytes {
        self.bytes
    }

    /// The text alone.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[usize::from(self.text_at)..]).expect("it was made from a str")
    }
}

impl From<String> for WireText {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

const OPCODE_TEXT: u8 = 0x1;

/// A final, unmasked control or data frame (RFC 6455, section 5.2).
pub fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let (head, length) = header(opcode, payload.len());
    [&head[..length], payload].concat().into()
}

/// A header, and how much of the room it takes.
fn header(opcode: u8, length: usize) -> ([u8; MAX_HEADER], usize) {
    const FINAL: u8 = 0x80;
    let mut head = [0; MAX_HEADER];
    head[0] = FINAL | opcode;
    match length {
        0..=125 => {
            head[1] = length as u8;
            (head, 2)
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&(length as u64).to_be_bytes());
            (head, MAX_HEADER)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_standard_wants_them() {
        for (length, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (0xffff, vec![0x81, 126, 0xff, 0xff]),
            (0x1_0000, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(length);
            let wire = WireText::new(&text);
            assert_eq!(&wire.frame()[..head.len()], head);
            assert_eq!(wire.text(), text);
        }
    }
}
