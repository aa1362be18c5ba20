//! From a checked configuration to a running gateway: the only file that knows every stage.

use crate::config::Config;

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// What kept it from starting, or ended it early.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let _ = config;
    anyhow::bail!("the stages are not wired together yet")
}
