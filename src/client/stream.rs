//! The socket under a client connection, as something that can be tried without waiting, by whoever has something to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
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

impl Counted {
    fn count(&self, wrote: io::Result<usize>) -> io::Result<usize> {
        wrote.inspect(|n| _ = self.taken.fetch_add(*n as u64, Ordering::Relaxed))
    }

    /// Hands the bytes to the system, which nearly always takes them: what the runtime remembers of the socket lies elsewhere in
    /// memory, and is asked only after a refusal. Then it tries again, because it must see a refusal itself in order to tell when
    /// that is over. The C library's `send`, which a thread may be canceled in, costs more around the call.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let wrote = match send(&self.tcp, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => self.tcp.try_write(bytes),
            wrote => wrote.map_err(io::Error::from),
        };
        self.count(wrote)
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.count(self.tcp.try_write_vectored(pieces))
    }

    fn shut_down(&self) -> io::Result<()> {
        shutdown(&self.tcp, Shutdown::Write).map_err(io::Error::from)
    }
}

impl Socket {
    pub fn new(tcp: TcpStream) -> Self {
        Self(Arc::new(Counted { tcp, taken: AtomicU64::new(0) }))
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
        self.poll_write_with(cx, |socket| socket.0.count(socket.0.tcp.try_write(buf)))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |socket| socket.0.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shut_down())
    }
}

/// What lies over a socket: TLS.
pub trait Layer: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Layer for T {}

/// A connection's socket. Reads and writes may be tried from any thread.
pub struct Stream {
    socket: Held,
    layer: Option<Mutex<Box<dyn Layer>>>,
    /// Kept until the connection is over: its places among the open sockets.
    _held: Box<dyn Send + Sync>,
}

/// A bare socket is nobody else's, and lies where its connection lies: a delivery reads it. One under a layer is shared with that.
enum Held {
    Alone(Counted),
    Shared(Socket),
}

impl std::ops::Deref for Held {
    type Target = Counted;

    fn deref(&self) -> &Counted {
        match self {
            Self::Alone(socket) => socket,
            Self::Shared(socket) => &socket.0,
        }
    }
}

impl Stream {
    /// The bare socket.
    pub fn plain(socket: Socket, held: impl Send + Sync + 'static) -> Self {
        let socket = Arc::try_unwrap(socket.0).map_or_else(|shared| Held::Shared(Socket(shared)), Held::Alone);
        Self { socket, layer: None, _held: Box::new(held) }
    }

    /// TLS over the socket.
    pub fn layered(socket: Socket, layer: impl Layer + 'static) -> Self {
        Self { socket: Held::Shared(socket), layer: Some(Mutex::new(Box::new(layer))), _held: Box::new(()) }
    }

    /// Bytes the socket has taken so far.
    pub fn taken(&self) -> u64 {
        self.socket.taken.load(Ordering::Relaxed)
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
            None => self.socket.tcp.try_read(bytes),
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
        self.socket.tcp.readable().await
    }

    /// Waits until something may be written. May be cancelled.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.tcp.writable().await
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
