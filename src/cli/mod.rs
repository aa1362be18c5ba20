//! The command line: one file a command, and the exit codes they share.

mod check_config;
mod demo;
mod health;
mod logs;
mod serve;
mod simulate;
mod token;
mod watch;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, LogFormat, process_env};

/// How a command ended, as sysexits.h numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done, or stopped gracefully.
    Ok,
    /// The answer is no: not ready, for instance.
    No,
    /// The command line is wrong.
    Usage,
    /// It could not start, or ended by itself.
    Failed,
    /// The configuration is wrong.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::No => 1,
            Exit::Usage => 64,
            Exit::Failed => 70,
            Exit::Config => 78,
        })
    }
}

/// One exact, live view of the balances held at many trading venues, served to many frontends.
#[derive(Debug, Parser)]
#[command(name = "balance-gateway", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

/// How to log; overrides the configuration.
#[derive(Debug, Clone, Args)]
struct LogArgs {
    /// Form of the log lines on stderr [default: the configuration's, else text]
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug, trace, or directives such as info,balance_gateway::venue=debug
    #[arg(long, global = true, value_name = "LEVEL", value_parser = logs::level)]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ConfigArgs),
    /// See it live: simulated venues and a gateway against them, with nothing to configure
    Demo(demo::DemoArgs),
    /// Run the venue simulators alone, with their fault switches
    Simulate(simulate::SimulateArgs),
    /// Follow balances in the terminal
    Watch(watch::WatchArgs),
    /// Say everything that is wrong with a configuration; exit 0 or 78
    CheckConfig(ConfigArgs),
    /// Sign a token with a configured symmetric key, for development
    Token(token::TokenArgs),
    /// Exit 0 if the gateway is ready, 1 if not: for a container's health check
    Health(health::HealthArgs),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
struct ConfigArgs {
    /// Configuration file (TOML); without one, defaults and BALANCE_GATEWAY__… variables alone
    #[arg(long, value_name = "FILE", env = "BALANCE_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where stdout or stderr is closed, nobody is left to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    match cli.command {
        Command::Serve(args) => serve::run(&args, &cli.log),
        Command::Demo(args) => demo::run(&args, &cli.log),
        Command::Simulate(args) => simulate::command(args, &cli.log),
        Command::Watch(args) => watch::command(args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Health(args) => health::run(&args),
    }
    .into()
}

/// Runs a future on a runtime of its own; its error goes to stderr.
fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> Exit {
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(&format_args!("balance-gateway: {error:#}"));
            Exit::Failed
        }
    }
}

/// The configuration, or all of its problems and warnings on stderr.
fn load(file: Option<&Path>) -> Result<Config, Exit> {
    Config::load(file, process_env()).map_err(|errors| {
        complain(&errors);
        warn(&errors.warnings);
        Exit::Config
    })
}

/// A line on stderr; not through the log, which may not stand yet.
fn complain(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A line on stdout. False where it cannot be written, such as to a closed pipe.
fn say(text: &dyn std::fmt::Display) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// The configuration's warnings, on stderr.
fn warn(warnings: &[String]) {
    for warning in warnings {
        complain(&format_args!("warning: {warning}"));
    }
}
