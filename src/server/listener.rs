//! Accepts connections, speaks TLS where there is a certificate, and serves HTTP/1.1 on them, one task each, until told to stop.
//!
//! What a connection costs before its request is understood is bounded here: how many there are, how long a TLS handshake and a request's
//! head may take, and how long a socket may take no byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::metered::Metered;
use super::{TOO_MANY_FROM_ADDRESS, refused};
use crate::client::conn::Taken;
use crate::protocol::ErrorCode;
use crate::runtime::{Policy, Tasks};

/// A client that has not sent its request's head by then is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest request head: tokens of 16 KiB fit, and not much more.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Longest TLS handshake, the wait for a turn included.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes at the same time: each costs about a millisecond of a core, and they must not take all cores.
const TLS_AT_ONCE: usize = 64;
/// Pause after a failed accept (out of file descriptors, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) addr: IpAddr,
    pub(super) taken: Taken,
}

/// Accepts until `stop`; connections already made go on.
pub async fn serve(listener: TcpListener, routes: Router, tasks: Tasks, stop: CancellationToken, doors: Arc<Doors>) {
    let turns = Arc::new(Semaphore::new(TLS_AT_ONCE));
    loop {
        let (stream, addr) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, addr)) => (stream, addr.ip()),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Some(pass) = doors.enter(addr) else { continue };
        // Small frames must not wait for an acknowledgement of the frame before.
        _ = stream.set_nodelay(true);
        let peer = Peer { addr, taken: Taken::default() };
        let routes = if pass.entry.is_some() { routes.clone() } else { turned_away() };
        let stream = Metered::new(stream, peer.taken.clone(), pass);
        let (stop, doors, turns) = (stop.clone(), Arc::clone(&doors), Arc::clone(&turns));
        tasks.spawn("client", Policy::Detached, async move {
            match &doors.certificate {
                None => connection(stream, peer, routes, stop).await,
                Some(certificate) => {
                    let acceptor = TlsAcceptor::from(certificate.config());
                    if let Some(stream) = shake_hands(acceptor, stream, &turns).await {
                        connection(stream, peer, routes, stop).await;
                    }
                }
            }
        });
    }
}

type Encrypted = tokio_rustls::server::TlsStream<Metered<TcpStream>>;

/// `None`: no TLS, or not in time.
async fn shake_hands(acceptor: TlsAcceptor, stream: Metered<TcpStream>, turns: &Semaphore) -> Option<Encrypted> {
    let handshake = async {
        // Who has said nothing yet waits without a turn: silent sockets cannot keep the others out.
        stream.get_ref().readable().await.ok()?;
        let _turn = turns.acquire().await.ok()?;
        acceptor.accept(stream).await.ok()
    };
    tokio::time::timeout(TLS_TIMEOUT, handshake).await.ok()?
}

/// What a socket hears whose address has too many.
fn turned_away() -> Router {
    Router::new().fallback(|| async {
        let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, TOO_MANY_FROM_ADDRESS);
        response.headers_mut().insert("connection", axum::http::HeaderValue::from_static("close"));
        response
    })
}

async fn connection<S>(stream: S, peer: Peer, routes: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(routes.layer(axum::Extension(peer)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            _ = connection.await;
        }
    }
}
