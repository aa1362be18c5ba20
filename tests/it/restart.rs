//! What `state_dir` carries over a restart: nonces, and the last known rows. The file's form is `src/app/state.rs`'s own matter.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use balance_gateway::app::App;
use balance_gateway::config::Config;
use balance_gateway::model::Amount;
use balance_gateway::venue::sim::Move;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::poll;
use crate::support::world::{World, file, given};

/// A gateway that keeps its state, ready, and the directory it keeps it in.
async fn keeping(venue: &'static str) -> (World, TempDir) {
    let mut world = World::of(given(venue)).await;
    let dir = tempfile::tempdir().unwrap();
    let top = format!("state_dir = \"{}\"\nwarm_start = true\n", dir.path().display());
    std::fs::write(&world.path, top + &file("", &world.blocks)).unwrap();
    world.restart().await;
    world.ready().await;
    (world, dir)
}

fn state(dir: &TempDir) -> PathBuf {
    dir.path().join("balance-gateway.state")
}

async fn subscribed(world: &World) -> Client {
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    client
}

#[tokio::test]
async fn the_last_known_rows_are_stale_after_a_restart_until_the_venue_confirms_them() {
    let (mut world, _dir) = keeping("moonbase").await;
    let book = world.sim().book("moon-main").unwrap();
    world.sim().fault("refuse").unwrap();
    world.restart().await;
    let mut client = subscribed(&world).await;
    let held = client.balances();
    assert!(!held.complete);
    let rows: Vec<&Value> = held.rows.values().collect();
    assert_eq!(rows.len(), book.rows.values().filter(|holding| !holding.is_zero()).count());
    for ((_, wallet, asset), row) in &held.rows {
        let total: Amount = row["total"].as_str().unwrap().parse().unwrap();
        assert!(row["state"] == "stale" && total.same_value(&book.holding(wallet, asset).total()), "{row}");
    }
    world.sim().fault("heal").unwrap();
    client.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
}

/// The total of an asset in the state file of a directory.
fn kept(dir: &TempDir, asset: &str) -> Option<Amount> {
    let text = std::fs::read_to_string(state(dir)).ok()?;
    let kept: Value = serde_json::from_str(text.lines().nth(1)?).ok()?;
    let row = kept["rows"].as_array()?.iter().find(|row| row["asset"] == asset)?;
    row["total"].as_str()?.parse().ok()
}

#[tokio::test]
async fn rows_are_kept_while_the_gateway_runs_for_whoever_kills_it() {
    let (world, dir) = keeping("moonbase").await;
    let began = Instant::now();
    let book = || world.sim().book("moon-main").unwrap();
    let is_kept = async |what: &str, dir: &TempDir| {
        let whole = || {
            let mut rows = book().rows.into_iter();
            rows.all(|((_, asset), holding)| kept(dir, &asset).is_some_and(|total| total.same_value(&holding.total())))
        };
        poll(what, async || whole().then_some(())).await;
    };
    is_kept("the first rows", &dir).await;
    let amount = "0.125".parse().unwrap();
    let deposit = Move::Deposit { account: "moon-main".into(), wallet: "1000004".into(), asset: "BTC".into(), amount };
    world.sim().moves(&deposit).unwrap();
    is_kept("a change", &dir).await;
    assert!(began.elapsed() < Duration::from_secs(45), "each took half a minute");
    // What would be found after a kill now: the next run writes what it was shown as soon as it has read it.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(state(&dir), state(&copy)).unwrap();
    let config = std::fs::read_to_string(&world.path).unwrap();
    let path = copy.path().join("gateway.toml");
    std::fs::write(&path, config.replace(dir.path().to_str().unwrap(), copy.path().to_str().unwrap())).unwrap();
    drop(App::bind(Config::load(Some(&path), []).unwrap()).await.unwrap());
    is_kept("the rows of the run that was killed", &copy).await;
}

#[tokio::test]
async fn a_torn_state_file_is_set_aside_and_the_venues_are_asked() {
    let (mut world, dir) = keeping("moonbase").await;
    world.sim().fault("refuse").unwrap();
    world.restart().await;
    let whole = std::fs::read_to_string(state(&dir)).unwrap();
    // The end of the run that reads it writes a whole one again.
    let torn = tempfile::tempdir().unwrap();
    let half = &whole[..whole.len() / 2];
    std::fs::write(state(&torn), half).unwrap();
    let config = std::fs::read_to_string(&world.path).unwrap();
    std::fs::write(&world.path, config.replace(dir.path().to_str().unwrap(), torn.path().to_str().unwrap())).unwrap();
    world.restart().await;
    let mut client = subscribed(&world).await;
    assert!(client.balances().rows.is_empty());
    assert_eq!(std::fs::read_to_string(state(&torn).with_extension("refused")).unwrap(), half);
    world.sim().fault("heal").unwrap();
    client.settle_book("moon-main", || world.sim().book("moon-main").unwrap()).await;
}

#[tokio::test]
async fn no_two_runs_share_nonces_even_if_the_first_dies_before_it_writes_again() {
    let (world, dir) = keeping("bitfinex").await;
    let path = dir.path().join("gateway.toml");
    std::fs::copy(&world.path, &path).unwrap();
    world.stop.cancel();
    world.end().await.unwrap(); // one gateway a directory
    let mark = || {
        let text = std::fs::read_to_string(state(&dir)).unwrap();
        let kept: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        kept["nonces"][0][1].as_u64().unwrap()
    };
    let mut before = mark();
    for _ in 0..3 {
        // Begun, and gone before it does anything.
        drop(App::bind(Config::load(Some(&path), []).unwrap()).await.unwrap());
        // A run counts on from the mark it finds, and writes a new one within half a minute: 30 s of microseconds.
        let after = mark();
        assert!(after >= before + 30_000_000, "{after} after {before}");
        before = after;
    }
}
