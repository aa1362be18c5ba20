//! Sends every message back: the gateway's own codec before the Autobahn test suite (`scripts/autobahn`).
//!
//! Built for that alone, and no part of the daemon. It prints its address, serves a thread a connection, and never ends.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use balance_gateway::client::codec::{Broken, Decoder, Incoming};
use balance_gateway::protocol::wire_frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The suite's largest message.
const MAX_BYTES: usize = 64 << 20;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xa;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // A peer that is gone is no error of this program.
        std::thread::spawn(move || drop(serve(stream)));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut decoder, mut bytes) = (Decoder::new(MAX_BYTES), vec![0; 64 << 10]);
    decoder.feed(&shake_hands(&mut stream)?);
    loop {
        match decoder.take_next() {
            Ok(Some(Incoming::Text(text))) => stream.write_all(&wire_frame(TEXT, text.as_bytes()))?,
            Ok(Some(Incoming::Binary(content))) => stream.write_all(&wire_frame(BINARY, &content))?,
            Ok(Some(Incoming::Ping(payload))) => stream.write_all(&wire_frame(PONG, &payload))?,
            Ok(Some(Incoming::Pong)) => {}
            Ok(Some(Incoming::Close(code))) => return leave(&mut stream, code),
            Err(broken) => return leave(&mut stream, Some(code_of(broken))),
            Ok(None) => match stream.read(&mut bytes)? {
                0 => return Ok(()),
                n => decoder.feed(&bytes[..n]),
            },
        }
    }
}

/// RFC 6455, section 7.4.1. The gateway itself closes with codes of its own protocol.
fn code_of(broken: Broken) -> u16 {
    match broken {
        Broken::Protocol(_) => 1002,
        Broken::NotUtf8 => 1007,
        Broken::TooLarge => 1009,
    }
}

fn leave(stream: &mut TcpStream, code: Option<u16>) -> io::Result<()> {
    let payload = code.map(u16::to_be_bytes);
    stream.write_all(&wire_frame(CLOSE, payload.as_ref().map_or(&[], |p| p)))?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // What the peer still says is read, or a reset could overtake the close frame.
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Answers the upgrade; gives what was read behind it.
fn shake_hands(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let end = loop {
        let mut bytes = [0; 1024];
        let n = stream.read(&mut bytes)?;
        read.extend_from_slice(&bytes[..n]);
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if n == 0 || read.len() > 16 << 10 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let rest = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
    write!(stream, "{upgrade}sec-websocket-accept: {accept}\r\n\r\n")?;
    Ok(rest)
}
