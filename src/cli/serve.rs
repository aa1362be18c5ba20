//! `serve`: the daemon.

use super::{ConfigArgs, Exit, LogArgs, complain, load, logs};

pub(super) fn run(args: &ConfigArgs, log: &LogArgs) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    logs::start(&config.log, log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format_args!("cannot start: {error}"));
            return Exit::Failed;
        }
    };
    match runtime.block_on(crate::app::serve(config)) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(&format_args!("balance-gateway failed: {error:#}"));
            Exit::Failed
        }
    }
}
