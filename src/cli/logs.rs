//! Sets up the log from the configuration and the command line, which goes before it.

use super::LogArgs;
use crate::config::{LogConfig, LogFormat, check_level};
use crate::runtime::logging;

/// Starts logging. Later calls in the same process change nothing.
pub(super) fn start(config: &LogConfig, args: &LogArgs) {
    // Both sources have been checked when they were read.
    let level = args.log_level.as_deref().unwrap_or(&config.level);
    logging::start(level, args.log_format.unwrap_or(config.format) == LogFormat::Json);
}

/// Checks a level given on the command line.
pub(super) fn level(text: &str) -> Result<String, String> {
    check_level(text).map(|()| text.to_owned()).map_err(str::to_owned)
}
