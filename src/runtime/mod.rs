//! What a long-running process needs under its feet: the clock, supervised tasks, retry delays, stop signals, the log, cryptography.
//!
//! Nothing here knows what the process does; nothing else in the crate may spawn a task.

mod backoff;
mod clock;
pub mod logging;
mod signals;
mod tasks;
mod tls;

pub use backoff::Backoff;
pub use clock::{Alarm, Clock};
pub use signals::stop_signal;
pub use tasks::{Failure, How, Policy, Tasks};
pub use tls::{TlsError, client_tls, not_after, own_tls, server_tls};

#[cfg(test)]
mod tests;

/// Why a file could not be read, in an operator's words.
pub fn io_words(kind: std::io::ErrorKind) -> String {
    match kind {
        // The library's own are "entity not found".
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        kind => kind.to_string(),
    }
}

/// Makes aws-lc the process's cryptography, for TLS and for tokens. Call before the first connection or token; again is harmless.
pub fn install_crypto() {
    // Each refuses when a provider is in place already, which is what a second call wants.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
