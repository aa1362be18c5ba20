//! `watch` full-screen: the program in a terminal, a daemon of its own, simulated venues. What a person would see.

use crate::support::terminal::Terminal;
use crate::support::world::{World, given};

/// The view of alice on this gateway.
fn watch(world: &World, env: &[(&str, &str)], columns: u16, rows: u16) -> Terminal {
    let (url, token) = (format!("ws://{}/v1/ws", world.addr), world.token("alice"));
    let env = [&[("BALANCE_GATEWAY_TOKEN", &*token)], env].concat();
    Terminal::start(&["watch", "--url", &url], &env, columns, rows)
}

#[tokio::test]
async fn rows_are_shown_and_an_update_shows_at_once() {
    let world = World::of(given("moonbase")).await;
    let terminal = watch(&world, &[], 150, 30);
    terminal.shows("✓ complete: 1 account").await;
    terminal.shows("12 850.75").await;
    world.set("1000004", "USDT", "77.123456789012345678");
    terminal.shows("77.123456789012345678").await;
    eprintln!("{}", terminal.text());
}
