//! The socket under a client connection, as something that can be tried without waiting.

use std::io::{self, IoSlice};

use tokio::net::TcpStream;

/// A connection's socket. Reads and writes may be tried from any thread.
#[derive(Debug)]
pub enum Stream {
    /// No TLS: the socket itself.
    Plain(TcpStream),
}

impl Stream {
    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` when it is full; anything else means that it is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
        }
    }

    /// The same for several pieces at once.
    ///
    /// # Errors
    /// As [`Stream::try_write`].
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write_vectored(pieces),
        }
    }

    /// Reads what is there. `Ok(0)`: the peer has ended.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else means that it is broken.
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_read(bytes),
        }
    }

    /// Waits until there may be something to read. May be cancelled.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.readable().await,
        }
    }

    /// Waits until something may be written. May be cancelled.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.writable().await,
        }
    }

    /// Tells the peer that nothing more is coming.
    pub fn shut_down(&self) {
        match self {
            Self::Plain(stream) => _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write),
        }
    }
}
