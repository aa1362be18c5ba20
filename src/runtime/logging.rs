//! The process's log: started once, to stderr, one line an event; its level can change while it runs.
//!
//! What a level may look like is checked where it is read; nothing here knows configuration or commands.

use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The level in force, and what replaces it.
struct Log {
    level: Mutex<String>,
    filter: reload::Handle<EnvFilter, Registry>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the log at a level (or directives) that was checked. Later calls in the same process change nothing.
pub fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let (layer, filter) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    if tracing_subscriber::registry().with(layer).with(lines).try_init().is_ok() {
        _ = LOG.set(Log { level: Mutex::new(level.to_owned()), filter });
    }
}

/// The level in force. `None`: this process has no log of ours.
pub fn level() -> Option<String> {
    LOG.get().map(|log| log.level.lock().clone())
}

/// Puts another level in force at once, for every thread; gives the one before. `None`: there is no log, or it cannot.
pub fn set_level(level: &str) -> Option<String> {
    let log = LOG.get()?;
    let filter = EnvFilter::try_new(level).ok()?;
    let mut held = log.level.lock();
    log.filter.reload(filter).is_ok().then(|| std::mem::replace(&mut *held, level.to_owned()))
}
