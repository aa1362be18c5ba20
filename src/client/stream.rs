//! The socket under a client connection, as something that can be tried without waiting, by whoever has something to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP socket that several parts share, and that counts what its peer has taken.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    tcp: TcpStream,
    taken: AtomicU64,
}

impl Socket {
    pub fn new(tcp: TcpStream) -> Self {
        Self(Arc::new(Counted { tcp, taken: AtomicU64::new(0) }))
    }

    /// Bytes the socket has taken so far.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    fn count(&self, wrote: io::Result<usize>) -> io::Result<usize> {
        wrote.inspect(|n| _ = self.0.taken.fetch_add(*n as u64, Ordering::Relaxed))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.count(self.0.tcp.try_write(bytes))
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.count(self.0.tcp.try_write_vectored(pieces))
    }

    fn shut_down(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.0.tcp).shutdown(std::net::Shutdown::Write)
    }

    fn poll_write_with(&self, cx: &mut Context<'_>, write: impl Fn(&Self) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.tcp.poll_write_ready(cx))?;
            match write(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.tcp.poll_read_ready(cx))?;
            match self.0.tcp.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |socket| socket.try_write(buf))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |socket| socket.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_down())
    }
}

/// What lies over a socket: TLS.
pub trait Layer: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Layer for T {}

/// A connection's socket. Reads and writes may be tried from any thread.
pub struct Stream {
    socket: Socket,
    layer: Option<Mutex<Box<dyn Layer>>>,
    /// Kept until the connection is over: its places among the open sockets.
    _held: Box<dyn Send + Sync>,
}

impl Stream {
    /// The bare socket.
    pub fn plain(socket: Socket, held: impl Send + Sync + 'static) -> Self {
        Self { socket, layer: None, _held: Box::new(held) }
    }

    /// TLS over the socket.
    pub fn layered(socket: Socket, layer: impl Layer + 'static) -> Self {
        Self { socket, layer: Some(Mutex::new(Box::new(layer))), _held: Box::new(()) }
    }

    /// Bytes the socket has taken so far.
    pub fn taken(&self) -> u64 {
        self.socket.taken()
    }

    /// Writes what is taken now. With TLS, [`Stream::try_flush`] hands it on to the socket.
    ///
    /// # Errors
    /// `WouldBlock` when it is full; anything else means that it is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.layer {
            None => self.socket.try_write(bytes),
            Some(layer) => tried(Pin::new(&mut *layer.lock()).poll_write(&mut nobody(), bytes)),
        }
    }

    /// The same for several pieces at once.
    ///
    /// # Errors
    /// As [`Stream::try_write`].
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.layer {
            None => self.socket.try_write_vectored(pieces),
            Some(layer) => tried(Pin::new(&mut *layer.lock()).poll_write_vectored(&mut nobody(), pieces)),
        }
    }

    /// Hands what was written to the socket.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full; anything else means that it is broken.
    pub fn try_flush(&self) -> io::Result<()> {
        match &self.layer {
            None => Ok(()),
            Some(layer) => tried(Pin::new(&mut *layer.lock()).poll_flush(&mut nobody())),
        }
    }

    /// Reads what is there. `Ok(0)`: the peer has ended. Try again until it would block: TLS may hold more than the socket shows.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else means that it is broken.
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.layer {
            None => self.socket.0.tcp.try_read(bytes),
            Some(layer) => {
                let mut buf = ReadBuf::new(bytes);
                tried(Pin::new(&mut *layer.lock()).poll_read(&mut nobody(), &mut buf))?;
                Ok(buf.filled().len())
            }
        }
    }

    /// Waits until there may be something to read. May be cancelled.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.0.tcp.readable().await
    }

    /// Waits until something may be written. May be cancelled.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.0.tcp.writable().await
    }

    /// Tells the peer that nothing more is coming.
    pub fn shut_down(&self) {
        if let Some(layer) = &self.layer {
            _ = Pin::new(&mut *layer.lock()).poll_shutdown(&mut nobody());
        } else {
            _ = self.socket.shut_down();
        }
    }
}

/// Nobody waits for this: whoever must waits for the socket itself.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn tried<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
