//! Accepts connections and serves HTTP/1.1 on them, one task each, until told to stop.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::runtime::{Policy, Tasks};

/// A client that has not sent its request's head by then is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of file descriptors, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop`; connections already made go on.
pub async fn serve(listener: TcpListener, routes: Router, tasks: Tasks, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Small frames must not wait for an acknowledgement of the frame before.
        _ = stream.set_nodelay(true);
        let (routes, stop) = (routes.clone(), stop.clone());
        tasks.spawn("client", Policy::Detached, async move { connection(stream, routes, stop).await });
    }
}

async fn connection(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(routes));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(io, service)
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
