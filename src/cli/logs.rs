//! Sets up the log: to stderr, as text or as JSON, one line an event.

use tracing_subscriber::EnvFilter;

use super::LogArgs;
use crate::config::{LogConfig, LogFormat, check_level};

/// Starts logging. Later calls in the same process change nothing.
pub(super) fn start(config: &LogConfig, args: &LogArgs) {
    let level = args.log_level.as_deref().unwrap_or(&config.level);
    // Both sources have been checked when they were read.
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    let _ = match args.log_format.unwrap_or(config.format) {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
}

/// Checks a level given on the command line.
pub(super) fn level(text: &str) -> Result<String, String> {
    check_level(text).map(|()| text.to_owned()).map_err(str::to_owned)
}
