//! A socket that holds its place at the door, gives up on a peer that takes nothing, and keeps back the answer to a WebSocket handshake.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::doors::Pass;

/// An answer that no byte of is taken for this long is dropped with its socket. WebSocket connections have their own, shorter bound
/// with a close code.
const STALL: Duration = Duration::from_secs(60);

/// How the answer to a WebSocket handshake begins. What the connection says first is ready a moment later, and they leave together: each
/// write costs about as much as all else of a handshake. No body of ours can begin so, nor a rest of one: JSON holds no such line.
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n";

/// See the module.
pub(super) struct Metered<S> {
    stream: S,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    pass: Pass,
    /// Kept back. Nothing is written to the HTTP connection after it.
    answer: BytesMut,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, pass: Pass) -> Self {
        Self { stream, stall: None, pass, answer: BytesMut::new() }
    }

    /// The socket itself, for who bounds it otherwise, its place, and the answer to be written first; empty: there is none.
    pub(super) fn into_parts(self) -> (S, Pass, Bytes) {
        (self.stream, self.pass, self.answer.freeze())
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Keeps back what has to be; tells how much that is.
    fn keep_back(&mut self, pieces: &[IoSlice<'_>]) -> Option<usize> {
        let first = pieces.iter().find(|piece| !piece.is_empty())?;
        if self.answer.is_empty() && !first.starts_with(SWITCHING) {
            return None;
        }
        pieces.iter().for_each(|piece| self.answer.extend_from_slice(piece));
        Some(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.stall = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
                stall.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(kept) = self.keep_back(&[IoSlice::new(buf)]) {
            return Poll::Ready(Ok(kept));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(kept) = self.keep_back(bufs) {
            return Poll::Ready(Ok(kept));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::server::doors::{DoorLimits, Doors};

    #[tokio::test(start_paused = true)]
    async fn only_a_peer_that_takes_nothing_at_all_is_given_up() {
        let limits = DoorLimits { max_sockets: 1, max_per_address: 1, trusted_proxies: Vec::new() };
        let pass = Doors::new(limits, None).enter([192, 0, 2, 1].into()).unwrap();
        let (near, mut far) = tokio::io::duplex(8);
        let mut metered = Metered::new(near, pass);
        let trickle = async {
            for _ in 0..5 {
                tokio::time::sleep(STALL - Duration::from_secs(1)).await;
                far.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(metered.write_all(&[0; 28]), trickle);
        assert!(written.is_ok(), "it took some bytes in time each time");
        assert_eq!(metered.write_all(&[0; 28]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_answer_to_a_handshake_waits_for_what_is_told_first_and_nothing_else_does() {
        let limits = DoorLimits { max_sockets: 1, max_per_address: 1, trusted_proxies: Vec::new() };
        let pass = Doors::new(limits, None).enter([192, 0, 2, 1].into()).unwrap();
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let mut metered = Metered::new(near, pass);
        let (head, rest) = (b"HTTP/1.1 101 Switching Protocols\r\n", b"upgrade: websocket\r\n\r\n");
        metered.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        _ = metered.write_vectored(&[IoSlice::new(&[]), IoSlice::new(head)]).await.unwrap();
        metered.write_all(rest).await.unwrap();
        metered.flush().await.unwrap();
        let (near, _pass, answer) = metered.into_parts();
        assert_eq!(answer, [&head[..], rest].concat());
        drop(near);
        let mut seen = String::new();
        far.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, "HTTP/1.1 200 OK\r\n\r\n");
    }
}
