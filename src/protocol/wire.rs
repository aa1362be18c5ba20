//! A frame's text together with its WebSocket header, made once and shared by every reader.
//!
//! Server frames are not masked, so the very bytes on the wire are the same for all.

use bytes::{BufMut, Bytes, BytesMut};

/// One text frame, ready to be written to any number of sockets. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireText {
    bytes: Bytes,
    text_at: u8,
}

impl WireText {
    /// Frames a text.
    pub fn new(text: &str) -> Self {
        let mut bytes = BytesMut::with_capacity(text.len() + 10);
        let text_at = header(&mut bytes, 0x1, text.len());
        bytes.put_slice(text.as_bytes());
        Self { bytes: bytes.freeze(), text_at }
    }

    /// Header and text.
    pub fn frame(&self) -> &Bytes {
        &self.bytes
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

/// A final, unmasked control or data frame (RFC 6455, section 5.2).
pub fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    header(&mut bytes, opcode, payload.len());
    bytes.put_slice(payload);
    bytes.freeze()
}

fn header(bytes: &mut BytesMut, opcode: u8, length: usize) -> u8 {
    const FINAL: u8 = 0x80;
    bytes.put_u8(FINAL | opcode);
    match length {
        0..=125 => {
            bytes.put_u8(length as u8);
            2
        }
        126..=0xffff => {
            bytes.put_u8(126);
            bytes.put_u16(length as u16);
            4
        }
        _ => {
            bytes.put_u8(127);
            bytes.put_u64(length as u64);
            10
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
