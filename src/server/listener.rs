//! Accepts connections, speaks TLS where there is a certificate, and serves HTTP/1.1 on them, one task each, until told to stop.
//!
//! What a connection costs before its request is understood is bounded here: how many there are, how long a TLS handshake and a request's
//! head may take, and how long a socket may take no byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::doors::Doors;
use super::metered::Metered;
use super::{TOO_MANY_FROM_ADDRESS, later, refused};
use crate::client::{Bucket, Socket};
use crate::model::Mono;
use crate::protocol::ErrorCode;
use crate::runtime::{Policy, Tasks};

/// A client that has not sent its request's head by then is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest request head: tokens of 16 KiB fit, and not much more.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Longest TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of file descriptors, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) addr: IpAddr,
    /// It speaks for many, so what comes over one of its sockets is not one asker's.
    pub(super) is_proxy: bool,
}

/// Accepts until `stop`; connections already made go on.
pub async fn serve(listener: TcpListener, routes: Router, tasks: Tasks, stop: CancellationToken, doors: Arc<Doors>) {
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
        let peer = Peer { addr, is_proxy: doors.is_proxy(addr) };
        let routes = if pass.entry.is_some() { routes.clone() } else { turned_away() };
        let stream = Metered::new(Socket::new(stream), pass);
        let (stop, doors) = (stop.clone(), Arc::clone(&doors));
        tasks.spawn("client", Policy::Detached, async move {
            match &doors.certificate {
                None => connection(stream, peer, routes, stop).await,
                Some(certificate) => {
                    // In this task, so that a slow peer keeps nobody else waiting.
                    let handshake = TlsAcceptor::from(certificate.config()).accept(stream);
                    if let Ok(Ok(stream)) = tokio::time::timeout(TLS_TIMEOUT, handshake).await {
                        connection(stream, peer, routes, stop).await;
                    }
                }
            }
        });
    }
}

/// A socket's requests, in a lasting second and at once.
const PACE: (u32, u32) = (100, 200);

/// The pace of one socket. Who is faster is not refused, which would cost as much, but waits, and its own socket fills.
struct Pace {
    start: Instant,
    bucket: Mutex<Bucket>,
}

impl Pace {
    fn new() -> Self {
        Self { start: Instant::now(), bucket: Bucket::new(PACE.0, PACE.1, Mono(0)).into() }
    }

    async fn wait(&self) {
        while !self.take() {
            tokio::time::sleep(Duration::from_secs(1) / PACE.0).await;
        }
    }

    fn take(&self) -> bool {
        let now = Mono(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.bucket.lock().take(now)
    }
}

/// What a socket hears whose address has too many.
fn turned_away() -> Router {
    Router::new().fallback(|| async {
        let mut response = later(refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::LimitConnections, TOO_MANY_FROM_ADDRESS));
        response.headers_mut().insert("connection", axum::http::HeaderValue::from_static("close"));
        response
    })
}

async fn connection<S>(stream: S, peer: Peer, routes: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = (!peer.is_proxy).then(|| Arc::new(Pace::new()));
    // The peer goes with each request: a layer would be laid around every route anew for each connection.
    let first = AtomicBool::new(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (routes, pace) = (routes.clone(), pace.clone());
        request.extensions_mut().insert(peer.clone());
        let is_first = first.swap(false, Ordering::Relaxed);
        async move {
            // Requests that are all there already are one long piece of work to the HTTP server: others must get their turn.
            if !is_first {
                tokio::task::yield_now().await;
            }
            if let Some(pace) = pace {
                pace.wait().await;
            }
            routes.oneshot(request).await
        }
    });
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// How long the listener bears with a peer that writes `chunk` now and then, and what it says.
    async fn borne(chunk: &'static [u8]) -> (Duration, String) {
        let (near, far) = tokio::io::duplex(1 << 20);
        let peer = Peer { addr: [192, 0, 2, 1].into(), is_proxy: false };
        let routes = Router::new().fallback(|| async { "served" });
        let start = tokio::time::Instant::now();
        let (mut read, mut write) = tokio::io::split(far);
        let serve = connection(near, peer, routes, CancellationToken::new());
        let drip = async {
            _ = write.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await;
            while write.write_all(chunk).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let mut said = String::new();
        tokio::select! {
            () = serve => {}
            () = drip => {}
        }
        let took = start.elapsed();
        drop(write);
        _ = read.read_to_string(&mut said).await;
        (took, said)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_head_that_never_ends_is_cut() {
        let (took, said) = borne(b"x: y\r\n").await;
        assert!(took <= HEADER_TIMEOUT + Duration::from_secs(1) && !said.contains("served"), "{took:?} {said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_head_in_time_is_served() {
        let (_, said) = borne(b"connection: close\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200") && said.contains("served"), "{said}");
    }

    /// How long 1,000 requests take that are all written at once.
    async fn answered(is_proxy: bool) -> Duration {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let peer = Peer { addr: [192, 0, 2, 1].into(), is_proxy };
        let routes = Router::new().fallback(|| async { "served" });
        let start = Instant::now();
        let ask = async {
            far.write_all(&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000)).await.unwrap();
            let mut text = Vec::new();
            while text.windows(6).filter(|bytes| bytes == b"served").count() < 1_000 {
                assert!(far.read_buf(&mut text).await.unwrap() > 0);
            }
        };
        tokio::select! {
            () = connection(near, peer, routes, CancellationToken::new()) => panic!("closed"),
            () = ask => start.elapsed(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_at_once_on_one_socket_are_paced_but_for_a_proxys() {
        let paced = answered(false).await;
        // 200 at once, and the others at 100 a second.
        assert!((7.9..8.5).contains(&paced.as_secs_f64()), "{paced:?}");
        assert!(answered(true).await < Duration::from_secs(1));
    }
}
