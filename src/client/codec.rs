//! WebSocket frames from a client (RFC 6455), read from bytes as they come. Pure: no socket.
//!
//! Client frames are small and rare, so the decoder holds a buffer only while a frame is incomplete: an idle connection costs
//! nothing. Extensions are never negotiated, hence reserved bits are errors.

/// One message or control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// The peer closes. The code to answer with: its own, where it gave one; the standard's, where its close frame breaks the standard.
    Close(Option<u16>),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Protocol(&'static str),
    /// A frame or message over the bound.
    TooLarge,
    NotUtf8,
}

/// See the module.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// How much of the buffer is taken already.
    at: usize,
    /// Opcode and content of a fragmented message, and how many of its fragments held nothing.
    message: Option<(u8, Vec<u8>)>,
    empty: usize,
    max_bytes: usize,
}

/// Fragments of a message that hold nothing: they cost work that no bound on its size sees. Nobody has a use for more than a few.
const MAX_EMPTY: usize = 16;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

struct Head {
    is_final: bool,
    opcode: u8,
    mask: [u8; 4],
    payload_at: usize,
    length: usize,
}

impl Decoder {
    /// Messages of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self { buffer: Vec::new(), at: 0, message: None, empty: 0, max_bytes }
    }

    /// Takes bytes in. Call [`Decoder::take_next`] until it gives nothing before feeding more: that bounds the buffer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if one is complete.
    ///
    /// # Errors
    /// The peer broke the protocol or a bound; nothing more can be read.
    pub fn take_next(&mut self) -> Result<Option<Incoming>, Broken> {
        loop {
            let Some(head) = self.head()? else { return Ok(None) };
            let (start, end) = (self.at + head.payload_at, self.at + head.payload_at + head.length);
            if self.buffer.len() < end {
                return Ok(None);
            }
            let mut payload = self.buffer[start..end].to_vec();
            payload.iter_mut().zip(head.mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            self.at = end;
            if self.at == self.buffer.len() {
                (self.buffer, self.at) = (Vec::new(), 0);
            }
            if let Some(incoming) = self.take(&head, payload)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn head(&self) -> Result<Option<Head>, Broken> {
        let &[first, second, ref rest @ ..] = &self.buffer[self.at..] else { return Ok(None) };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(Broken::Protocol("reserved bits are set"));
        }
        if second & 0x80 == 0 {
            return Err(Broken::Protocol("a client's frames are masked"));
        }
        let is_control = opcode & 0x8 != 0;
        let (length, length_bytes) = match second & 0x7f {
            126 if is_control => return Err(Broken::Protocol("a control frame is too long")),
            127 if is_control => return Err(Broken::Protocol("a control frame is too long")),
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            length => (u64::from(length), 0),
        };
        if is_control && !is_final {
            return Err(Broken::Protocol("a control frame is fragmented"));
        }
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(Broken::Protocol("the opcode is reserved"));
        }
        let before = self.message.as_ref().map_or(0, |(_, content)| content.len());
        let length = usize::try_from(length).ok().filter(|l| is_control || l.saturating_add(before) <= self.max_bytes);
        let length = length.ok_or(Broken::TooLarge)?;
        let Some(mask) = rest.get(length_bytes..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        Ok(Some(Head { is_final, opcode, mask: *mask, payload_at: 2 + length_bytes + 4, length }))
    }

    fn take(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Incoming>, Broken> {
        match head.opcode {
            PING => return Ok(Some(Incoming::Ping(payload))),
            PONG => return Ok(Some(Incoming::Pong)),
            CLOSE => return Ok(Some(Incoming::Close(close(&payload)))),
            _ => {}
        }
        match (&mut self.message, head.opcode) {
            (None, CONTINUATION) => return Err(Broken::Protocol("nothing to continue")),
            (Some(_), TEXT | BINARY) => return Err(Broken::Protocol("the message before is not complete")),
            (Some((_, content)), _) => content.extend_from_slice(&payload),
            (none, opcode) => *none = Some((opcode, payload)),
        }
        if !head.is_final {
            self.empty += usize::from(head.length == 0);
            return if self.empty > MAX_EMPTY { Err(Broken::Protocol("too many empty fragments")) } else { Ok(None) };
        }
        self.empty = 0;
        let Some((opcode, content)) = self.message.take() else { return Ok(None) };
        if opcode == BINARY {
            return Ok(Some(Incoming::Binary(content)));
        }
        String::from_utf8(content).map(|text| Some(Incoming::Text(text))).map_err(|_| Broken::NotUtf8)
    }
}

/// The answer to a close frame's content, which is nothing, or a code that may be used and a UTF-8 reason.
fn close(payload: &[u8]) -> Option<u16> {
    // RFC 6455, section 7.4.1.
    const PROTOCOL_ERROR: u16 = 1002;
    const NOT_UTF8: u16 = 1007;
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return (!payload.is_empty()).then_some(PROTOCOL_ERROR);
    };
    let code = u16::from_be_bytes(*code);
    match (code, std::str::from_utf8(reason)) {
        (1000..=1003 | 1007..=1014 | 3000..=4999, Ok(_)) => Some(code),
        (1000..=1003 | 1007..=1014 | 3000..=4999, Err(_)) => Some(NOT_UTF8),
        _ => Some(PROTOCOL_ERROR),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

    use super::*;

    /// A client's frame as another implementation writes it.
    fn masked(opcode: OpCode, payload: &[u8], is_final: bool) -> Vec<u8> {
        let header = FrameHeader { is_final, opcode, mask: Some([1, 2, 3, 250]), ..FrameHeader::default() };
        let frame = Frame::from_payload(header, payload.to_vec().into());
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8], max: usize) -> Result<Vec<Incoming>, Broken> {
        let mut decoder = Decoder::new(max);
        decoder.feed(bytes);
        let mut all = Vec::new();
        while let Some(incoming) = decoder.take_next()? {
            all.push(incoming);
        }
        Ok(all)
    }

    #[test]
    fn what_breaks_the_standard_is_refused() {
        let text = masked(OpCode::Data(Data::Text), b"hi", true);
        let unmasked = [0x81, 2, b'h', b'i'];
        assert_eq!(read(&unmasked, 99), Err(Broken::Protocol("a client's frames are masked")));
        let mut reserved = text.clone();
        reserved[0] |= 0x40;
        assert!(matches!(read(&reserved, 99), Err(Broken::Protocol(_))));
        let mut unknown = text.clone();
        unknown[0] = 0x83;
        assert!(matches!(read(&unknown, 99), Err(Broken::Protocol(_))));
        assert_eq!(read(&text, 1), Err(Broken::TooLarge));
        assert_eq!(read(&masked(OpCode::Data(Data::Text), &[0xff], true), 99), Err(Broken::NotUtf8));
        assert!(matches!(read(&masked(OpCode::Data(Data::Continue), b"x", true), 99), Err(Broken::Protocol(_))));
        let twice = [masked(OpCode::Data(Data::Text), b"a", false), text].concat();
        assert!(matches!(read(&twice, 99), Err(Broken::Protocol(_))));
    }

    #[test]
    fn a_close_is_answered_with_its_own_code_or_the_standards() {
        let cases: [(&[u8], Option<u16>); 8] = [
            (b"", None),
            (&[3, 232], Some(1000)),
            (&[15, 160, b'b', b'y', b'e'], Some(4000)),
            (&[3], Some(1002)),
            (&[3, 237], Some(1002)),
            (&[3, 236], Some(1002)),
            (&[19, 136], Some(1002)),
            (&[3, 232, 0xff], Some(1007)),
        ];
        for (payload, answer) in cases {
            let close = masked(OpCode::Control(Control::Close), payload, true);
            assert_eq!(read(&close, 99), Ok(vec![Incoming::Close(answer)]), "{payload:?}");
        }
    }

    #[test]
    fn fragments_cannot_grow_past_the_bound() {
        let first = masked(OpCode::Data(Data::Text), &[b'a'; 60], false);
        let second = masked(OpCode::Data(Data::Continue), &[b'a'; 60], true);
        assert_eq!(read(&[first, second].concat(), 100), Err(Broken::TooLarge));
    }

    #[test]
    fn empty_fragments_are_work_and_so_have_a_bound() {
        let first = masked(OpCode::Data(Data::Text), b"", false);
        let more = masked(OpCode::Data(Data::Continue), b"", false);
        let last = masked(OpCode::Data(Data::Continue), b"hi", true);
        let few = [first.clone(), more.repeat(MAX_EMPTY - 1), last].concat();
        assert_eq!(read(&few.repeat(3), 100), Ok(vec![Incoming::Text("hi".into()); 3]), "each message has its own");
        let many = [first, more.repeat(MAX_EMPTY)].concat();
        assert_eq!(read(&many, 100), Err(Broken::Protocol("too many empty fragments")));
    }

    #[test]
    fn an_idle_decoder_holds_no_buffer() {
        let mut decoder = Decoder::new(99);
        decoder.feed(&masked(OpCode::Data(Data::Text), b"hi", true));
        assert_eq!(decoder.take_next(), Ok(Some(Incoming::Text("hi".into()))));
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn bytes_in_any_pieces_give_the_same_messages(
            texts in proptest::collection::vec(".{0,200}", 1..5), cuts in proptest::collection::vec(1usize..50, 1..40)
        ) {
            let mut bytes = Vec::new();
            for text in &texts {
                let (head, tail) = text.as_bytes().split_at(text.len() / 2);
                bytes.extend(masked(OpCode::Data(Data::Text), head, false));
                bytes.extend(masked(OpCode::Control(Control::Ping), b"p", true));
                bytes.extend(masked(OpCode::Data(Data::Continue), tail, true));
            }
            let (mut decoder, mut got, mut at) = (Decoder::new(4096), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                decoder.feed(&bytes[at..end]);
                at = end;
                while let Some(incoming) = decoder.take_next().unwrap() {
                    if let Incoming::Text(text) = incoming { got.push(text) }
                }
                if at == bytes.len() { break }
            }
            prop_assert_eq!(got, texts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, 64);
        }
    }
}
