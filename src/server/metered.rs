//! A socket that holds its place at the door, and gives up on a peer that takes nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::doors::Pass;

/// An answer that no byte of is taken for this long is dropped with its socket. WebSocket connections have their own, shorter bound
/// with a close code.
const STALL: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Metered<S> {
    stream: S,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    pass: Pass,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, pass: Pass) -> Self {
        Self { stream, stall: None, pass }
    }

    /// The socket itself, for who bounds it otherwise, and its place.
    pub(super) fn into_parts(self) -> (S, Pass) {
        (self.stream, self.pass)
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
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
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
}
