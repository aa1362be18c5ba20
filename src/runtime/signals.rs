//! The operating system's request to stop. Ctrl-C and a service manager's SIGTERM mean the same.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT or SIGTERM. Once it was first called, neither ends the process by itself. May be cancelled.
///
/// # Errors
/// The handlers cannot be installed.
pub async fn stop_signal() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
