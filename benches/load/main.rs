//! The load program: what the gateway costs, next to the floor that no gateway can go below.
//!
//! It runs the daemon as a child process on one core against a simulated venue, opens thousands of real WebSocket clients over
//! loopback from another core, and interleaves every measurement with the *floor*: a bare program that writes the same bytes
//! to as many sockets with one `send` each. Ratios of CPU time are the result; absolute times only inform. It needs no
//! outside service and ends by itself.
//!
//! `cargo bench --bench load` measures everything (minutes); `-- --quick` is a smoke test; `-- fanout latency` picks parts.

mod child;
mod config;
mod core;
mod fanout;
mod flood;
mod floor;
mod latency;
#[path = "../pair/mod.rs"]
mod pair;
mod stats;
mod swarm;
mod users;
mod venue;

use std::time::Duration;

use anyhow::Context;
use stats::Row;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How large the runs are.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Clients that all see one account.
    crowd: usize,
    /// Users that each see an account of their own; the second number is bounded by the open files allowed.
    users: [usize; 2],
    /// Clients of the latency runs.
    watchers: usize,
    /// Interleaved rounds.
    rounds: usize,
    /// Updates in a round of the crowd.
    updates: usize,
    /// How long the latency runs and the silent client's pause last.
    window: Duration,
}

const FULL: Scale =
    Scale { crowd: 5_000, users: [1_000, 10_000], watchers: 1_000, rounds: 7, updates: 16, window: Duration::from_secs(15) };

const QUICK: Scale =
    Scale { crowd: 200, users: [50, 100], watchers: 100, rounds: 3, updates: 8, window: Duration::from_secs(2) };

const PARTS: [&str; 5] = ["core", "fanout", "users", "latency", "flood"];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "floor") {
        return floor::run(&args[1..]);
    }
    if args.first().is_some_and(|arg| arg == "leash") {
        return child::leash(&args[1..]);
    }
    if args.iter().any(|arg| arg == "--list") {
        return Ok(()); // a test runner asks what there is to run: nothing
    }
    let scale = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let picked: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = picked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        anyhow::bail!("there is no part {unknown:?}; the parts are {}", PARTS.join(", "));
    }
    install_crypto();
    let files = child::open_files()?;
    child::pin(1);
    println!("open files: {files}; load average before: {}", child::load_average());
    let mut rows: Vec<Row> = Vec::new();
    for part in PARTS.into_iter().filter(|part| picked.is_empty() || picked.iter().any(|p| p == part)) {
        eprintln!("── {part}");
        let measured = match part {
            "core" => core::run(scale),
            "fanout" => fanout::run(scale),
            "users" => users::run(scale, files),
            "flood" => flood::run(scale),
            _ => latency::run(scale),
        };
        rows.extend(measured.with_context(|| format!("the part {part}"))?);
    }
    println!("load average after: {}\n", child::load_average());
    stats::print(&rows);
    if let Some(row) = rows.iter().find(|row| row.must_hold && !row.holds()) {
        anyhow::bail!("does not hold: {}", row.name);
    }
    Ok(())
}

/// As the program's `main` does.
fn install_crypto() {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
