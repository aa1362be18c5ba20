//! `watch`: follows balances of a running gateway, full-screen in a terminal, else one line a change. Uses only the public protocol.
//!
//! [`feed`] is the connection; [`lines`] and [`screen`] show what it tells. All of it runs in one task.

mod address;
mod cursor;
mod feed;
mod lines;
mod screen;
mod text;
mod token;
mod wire;

use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use tokio::sync::{Notify, mpsc};

use super::{Exit, block_on, complain};
use crate::runtime::install_crypto;
use feed::{Feed, TOLD};
use lines::Lines;
use screen::Theme;
use token::TokenSource;

#[derive(Debug, Clone, Args)]
pub(super) struct WatchArgs {
    /// Address of the gateway: ws:// or wss://, or as a browser has it; without a path it is /v1/ws
    #[arg(long, default_value = "ws://127.0.0.1:8080/v1/ws", value_parser = address::address)]
    url: String,
    /// Token to show; in the environment it stays out of the process list
    #[arg(long, env = "BALANCE_GATEWAY_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<SecretString>,
    /// File with the token, read anew for each connection and when the token is about to end; wins over --token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the frames themselves, one a line
    #[arg(long)]
    json: bool,
    /// End after the first snapshot
    #[arg(long)]
    once: bool,
    /// One line a change, in a terminal too
    #[arg(long)]
    lines: bool,
    /// Colors for a terminal that is dark or light; auto takes those that can be read on both. NO_COLOR switches them off
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    theme: Theme,
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

pub(super) fn command(args: WatchArgs) -> Exit {
    let plain = args.json || args.once || args.lines || !capable();
    let source = match source(&args) {
        Ok(source) => source,
        Err(problem) => {
            complain(&problem);
            return Exit::Usage;
        }
    };
    block_on(async move {
        if plain {
            follow(&args.url, &source, Lines::new(args.json, args.once)).await
        } else {
            full_screen(&args.url, &source, args.theme).await
        }
    })
}

/// One line a change on stdout, until that is closed.
pub(super) async fn print(url: &str, token: &str) -> anyhow::Result<()> {
    follow(url, &TokenSource::Given(SecretString::from(token)), Lines::new(false, false)).await
}

/// Can a picture be drawn and a key be read?
fn capable() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Where the token comes from; the text says what is missing.
fn source(args: &WatchArgs) -> Result<TokenSource, &'static str> {
    match (&args.token, &args.token_file) {
        (_, Some(path)) => Ok(TokenSource::File(path.clone())),
        (Some(token), None) => Ok(TokenSource::Given(token.clone())),
        (None, None) => Err("balance-gateway: a token is needed: BALANCE_GATEWAY_TOKEN, --token or --token-file"),
    }
}

/// Prints lines until the output closes, the snapshot is shown (`--once`), or the gateway says stop.
async fn follow(url: &str, token: &TokenSource, mut lines: Lines) -> anyhow::Result<()> {
    install_crypto();
    let ((tell, mut told), hurry) = (mpsc::channel(TOLD), Notify::new());
    let feed = Feed { url, token, frames: lines.json, hurry: &hurry, tell };
    let showing = async {
        while let Some(told) = told.recv().await {
            if !lines.show(told) {
                break;
            }
        }
    };
    let mut showing = std::pin::pin!(showing);
    tokio::select! {
        () = &mut showing => Ok(()),
        ended = feed.run() => {
            // What was told before the end is still to be shown.
            showing.await;
            ended
        }
    }
}

async fn full_screen(url: &str, token: &TokenSource, theme: Theme) -> anyhow::Result<()> {
    install_crypto();
    let ((tell, told), hurry) = (mpsc::channel(TOLD), Notify::new());
    let feed = Feed { url, token, frames: false, hurry: &hurry, tell };
    let screen = screen::Screen::enter().context("the terminal cannot be drawn on; --lines prints lines")?;
    let showing = screen::run(screen, told, &hurry, theme.palette());
    tokio::select! {
        // The screen is left before the error is told.
        ended = feed.run() => ended,
        shown = showing => shown,
    }
}
