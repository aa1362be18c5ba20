//! `check-config`: says everything that is wrong with a configuration at once, and starts nothing.

use super::{ConfigArgs, Exit, load, say, warn};

pub(super) fn run(args: &ConfigArgs) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    warn(&config.warnings);
    let disabled = config.accounts.iter().filter(|account| !account.enabled).count();
    let accounts = config.accounts.len();
    let keys = config.access.keys.len();
    let warnings = config.warnings.len();
    say(&format_args!(
        "the configuration is valid: accounts {accounts} (disabled {disabled}), access keys {keys}, warnings {warnings}"
    ));
    Exit::Ok
}
