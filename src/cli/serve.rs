//! `serve`: the daemon.

use super::{ConfigArgs, Exit, LogArgs, block_on, load, logs};

pub(super) fn run(args: &ConfigArgs, log: &LogArgs) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    logs::start(&config.log, log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    block_on(crate::app::serve(config))
}
