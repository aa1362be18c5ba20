//! `watch` full-screen: the program in a terminal, a daemon of its own, simulated venues. What a person sees, and what is left behind.

use std::path::Path;
use std::time::Duration;

use balance_gateway::venue::sim::{Book, Holding, Move};
use tokio::time::Instant;

use crate::support::picture::svg;
use crate::support::process::Process;
use crate::support::terminal::Terminal;
use crate::support::wire::Wire;
use crate::support::world::{World, file_at, given};
use crate::support::{own_address, poll};

const ESCAPE: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";

/// The view of alice on this gateway.
fn watch(world: &World, env: &[(&str, &str)], columns: u16, rows: u16) -> Terminal {
    let (url, token) = (format!("ws://{}/v1/ws", world.addr), world.token("alice"));
    let env = [&[("BALANCE_GATEWAY_TOKEN", &*token)], env].concat();
    Terminal::start(&["watch", "--url", &url], &env, columns, rows)
}

/// Has something been stale for so many seconds, or for longer? Each number of seconds is shown for one, and may be missed.
fn stale_for(screen: &str, seconds: u64) -> bool {
    let ages = screen.split("stale ").skip(1).filter_map(|rest| rest.split_once("s: ")?.0.parse::<u64>().ok());
    ages.max() >= Some(seconds)
}

#[tokio::test]
async fn rows_are_shown_and_an_update_shows_at_once() {
    let world = World::of(given("moonbase")).await;
    let terminal = watch(&world, &[], 150, 30);
    terminal.shows("✓ complete: 1 account").await;
    terminal.shows("12 850.75").await;
    world.set("1000004", "USDT", "77.123456789012345678");
    terminal.shows("77.123456789012345678").await;
    assert!(terminal.lines("77.123456789012345678")[0].contains('▼'));
}

#[tokio::test]
async fn a_venue_drop_reads_stale_with_its_reason_and_live_again() {
    let world = World::of(given("moonbase")).await;
    let terminal = watch(&world, &[], 150, 30);
    terminal.shows("● live").await;
    world.sim().fault("refuse").unwrap();
    world.sim().fault("disconnect").unwrap();
    terminal.until("all stale", |screen| stale_for(screen, 1) && !screen.contains("● live\n")).await;
    terminal.shows("◐ INCOMPLETE: 1 of 1 account not live").await;
    assert!(terminal.text().contains("12 850.75"), "the last known number stays");
    world.sim().fault("heal").unwrap();
    terminal.shows("✓ complete: 1 account").await;
    terminal.until("none stale", |screen| !screen.contains("stale")).await;
    assert!(terminal.lines("moon-main")[1].contains("reconnect"), "{}", terminal.text());
}

#[tokio::test]
async fn a_restarted_daemon_is_found_again_and_nothing_is_live_meanwhile() {
    let (sim, block) = given("moonbase").start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    let (config, address) = (path.to_str().unwrap(), own_address());
    std::fs::write(&path, file_at(address, "drain_ms = 500", std::slice::from_ref(&block))).unwrap();
    let mut first = Process::start(&["serve", "--config", config, "--log-format", "json"], &[]);
    let (addr, _) = first.listening().await;
    let token = Process::start(&["token", "--sub", "alice", "--config", config], &[]).ended().await.1;
    let token = token.lines().find(|line| line.split('.').count() == 3).unwrap().to_owned();
    let url = format!("ws://{addr}/v1/ws");
    let mut terminal = Terminal::start(&["watch", "--url", &url, "--token", &token], &[], 120, 24);
    terminal.shows("✓ complete: 1 account").await;
    first.signal("TERM");
    assert_eq!(first.ended().await.0, Some(0));
    terminal
        .until("not connected", |screen| screen.contains("resuming in") && screen.contains("the gateway is not heard"))
        .await;
    assert!(terminal.lines("● live").is_empty() && terminal.text().contains("12 850.75"), "{}", terminal.text());
    // The same address, and other money.
    sim.moves(&deposit("USDT", "1")).unwrap();
    std::fs::write(&path, file_at(address, "drain_ms = 500", &[block]).replacen(&format!("{address}:0"), &addr, 1)).unwrap();
    let second = Process::start(&["serve", "--config", config, "--log-format", "json"], &[]);
    // Nobody wants to wait for the next attempt.
    let back = poll("connected again", async || {
        terminal.press("c");
        terminal.text().contains("✓ complete: 1 account").then_some(())
    });
    back.await;
    terminal.shows("12 851.75").await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
    second.signal("TERM");
    assert_eq!(second.ended().await.0, Some(0));
}

fn deposit(asset: &str, amount: &str) -> Move {
    Move::Deposit {
        account: "moon-main".into(),
        wallet: "1000004".into(),
        asset: asset.into(),
        amount: amount.parse().unwrap(),
    }
}

#[tokio::test]
async fn a_frame_lost_on_the_way_is_noticed_and_made_good() {
    let world = World::of(given("moonbase")).await;
    let wire = Wire::to(world.addr).await;
    let (url, token) = (format!("ws://{}/v1/ws", wire.addr), world.token("alice"));
    let terminal = Terminal::start(&["watch", "--url", &url, "--token", &token], &[], 150, 30);
    terminal.shows("✓ complete").await;
    wire.lose_next("\"type\":\"update\"");
    world.set("1000004", "USDT", "11.25");
    poll("the frame is lost", async || (!wire.loses()).then_some(())).await;
    assert!(!terminal.text().contains("11.25"));
    world.set("1000004", "ETH", "33.75");
    terminal.until("both are there", |screen| screen.contains("11.25") && screen.contains("33.75")).await;
    terminal.shows("✓ complete").await;
    assert_eq!(world.metric("client_connections").await, 1.0);
}

#[tokio::test]
async fn silence_is_told_and_ends_in_another_connection() {
    let world = World::new("heartbeat_ms = 2000", vec![given("moonbase")]).await;
    let wire = Wire::to(world.addr).await;
    let (url, token) = (format!("ws://{}/v1/ws", wire.addr), world.token("alice"));
    let args = ["watch", "--url", &url, "--token", &token];
    let terminal = Terminal::start(&args, &[], 150, 30);
    let mut lines = Process::start(&[&args[..], &["--lines"]].concat(), &[]);
    terminal.shows("✓ complete").await;
    lines.line("the rows", |line| line.contains("12850.75").then_some(())).await;
    wire.freeze(true);
    // A line stays; what the screen says of it may be over before anybody looks.
    lines.line("the silence", |line| line.contains("nothing is heard").then_some(())).await;
    let unproven = |screen: &str| ["○ silent", "○ resuming"].iter().any(|word| screen.contains(word));
    terminal.until("unproven", |screen| unproven(screen) && !screen.contains("● live")).await;
    terminal.until("given up", |screen| screen.contains("resuming")).await;
    wire.freeze(false);
    terminal.shows("✓ complete").await;
}

#[tokio::test]
async fn a_view_that_was_stopped_for_longer_than_it_bears_silence_goes_on() {
    let world = World::new("heartbeat_ms = 1000", vec![given("moonbase")]).await;
    let terminal = watch(&world, &[], 150, 30);
    terminal.shows("✓ complete").await;
    terminal.signal("STOP");
    let beats = async || world.metric("client_frames_total{type=\"heartbeat\"}").await;
    let before = beats().await;
    poll("time passes", async || (beats().await >= before + 5.0).then_some(())).await;
    world.set("1000004", "USDT", "42.125");
    terminal.signal("CONT");
    terminal.shows("42.125").await;
    terminal.shows("✓ complete").await;
}

#[tokio::test]
async fn keys_find_sort_fold_and_change_the_view() {
    let world = World::of(given("moonbase")).await;
    let mut terminal = watch(&world, &[], 120, 24);
    terminal.shows("VND").await;
    terminal.press("/us");
    terminal.until("only USDT", |screen| screen.contains("USDT") && !screen.contains("VND")).await;
    terminal.shows("1 of 5 rows").await;
    terminal.press(ESCAPE);
    terminal.shows("VND").await;
    terminal.press("s");
    terminal.shows("by total ↓").await;
    let place = |screen: &str, text: &str| screen.find(text).unwrap_or(usize::MAX);
    terminal.until("the largest first", |screen| place(screen, "VND") < place(screen, "BTC")).await;
    terminal.press("?");
    terminal.shows("sort by the next column").await;
    terminal.press(ESCAPE);
    terminal.hides("sort by the next column").await;
    terminal.press("\t");
    terminal.shows("✓ complete").await;
    terminal.shows("▸ USDT").await;
    terminal.press("\t");
    terminal.shows("Reconnects").await;
    terminal.press("1 ");
    terminal.until("folded", |screen| screen.contains("▸ moon-main") && !screen.contains("VND")).await;
    terminal.press(" j\r");
    terminal.shows("venue's time").await;
}

#[tokio::test]
async fn a_new_size_is_drawn_and_one_too_small_says_so() {
    let world = World::of(given("moonbase")).await;
    let mut terminal = watch(&world, &[], 150, 30);
    terminal.shows("Locked").await;
    terminal.resize(60, 12);
    terminal.until("the narrow table", |screen| screen.contains("850 102 477.111") && !screen.contains("Locked")).await;
    terminal.resize(40, 8);
    terminal.shows("too small: 40×8").await;
    terminal.resize(150, 30);
    terminal.shows("Locked").await;
}

#[tokio::test]
async fn however_it_ends_the_terminal_is_given_back() {
    let world = World::of(given("moonbase")).await;
    for keys in ["q", CTRL_C] {
        let mut terminal = watch(&world, &[], 100, 24);
        terminal.shows("✓ complete").await;
        assert!(terminal.ask(|screen| screen.alternate_screen() && screen.hide_cursor()));
        terminal.press(keys);
        assert_eq!(terminal.ended().await, 0);
        terminal.is_given_back().await;
    }
    for signal in ["TERM", "INT"] {
        let mut terminal = watch(&world, &[], 100, 24);
        terminal.shows("✓ complete").await;
        terminal.signal(signal);
        assert_eq!(terminal.ended().await, 0);
        terminal.is_given_back().await;
    }
}

#[tokio::test]
async fn a_refused_token_is_told_after_the_terminal_is_given_back() {
    let world = World::of(given("moonbase")).await;
    let url = format!("ws://{}/v1/ws", world.addr);
    let mut terminal = Terminal::start(&["watch", "--url", &url, "--token", "bad"], &[], 100, 24);
    assert_eq!(terminal.ended().await, 70);
    terminal.is_given_back().await;
    terminal.shows("the token is not accepted: TOKEN_INVALID").await;
}

#[tokio::test]
async fn a_token_file_is_read_again_when_the_token_ends() {
    let world = World::of(given("moonbase")).await;
    let dir = tempfile::tempdir().unwrap();
    let (ending, renewed) = (dir.path().join("ending"), dir.path().join("renewed"));
    let url = format!("ws://{}/v1/ws", world.addr);
    let watch = |file: &Path| Terminal::start(&["watch", "--url", &url, "--token-file", file.to_str().unwrap()], &[], 100, 24);
    // `auth_expiring` comes at once, because both end soon.
    std::fs::write(&ending, world.token_for("alice", None, 0, 3)).unwrap();
    std::fs::write(&renewed, world.token_for("alice", None, 0, 12)).unwrap();
    let ends = Instant::now() + Duration::from_secs(13);
    let (mut late, mut in_time) = (watch(&ending), watch(&renewed));
    in_time.shows("✓ complete").await;
    // Renewed on the standing connection: it is never given up.
    std::fs::write(&renewed, world.token("alice")).unwrap();
    late.shows("waiting for another token").await;
    assert!(late.lines("● live").is_empty(), "{}", late.text());
    std::fs::write(&ending, world.token("alice")).unwrap();
    late.shows("✓ complete").await;
    poll("the first token's end", async || (Instant::now() > ends).then_some(())).await;
    assert!(in_time.text().contains("✓ complete"), "{}", in_time.text());
    assert_eq!(world.metric("client_closes_total").await, 1.0, "the one that came too late");
    for terminal in [&mut late, &mut in_time] {
        terminal.press("q");
        assert_eq!(terminal.ended().await, 0);
    }
}

#[tokio::test]
async fn no_color_means_none_and_states_are_told_all_the_same() {
    let world = World::of(given("moonbase")).await;
    let colors = |terminal: &Terminal| {
        terminal.ask(|screen| {
            let cells = (0..24).flat_map(|y| (0..100).filter_map(move |x| screen.cell(y, x)));
            cells.filter(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default).count()
        })
    };
    let plain = watch(&world, &[("NO_COLOR", "1")], 100, 24);
    plain.shows("● live").await;
    assert_eq!(colors(&plain), 0);
    let colorful = watch(&world, &[], 100, 24);
    colorful.shows("● live").await;
    assert!(colors(&colorful) > 20);
}

#[tokio::test]
async fn what_is_no_terminal_gets_lines() {
    let world = World::of(given("moonbase")).await;
    let dumb = watch(&world, &[("TERM", "dumb")], 150, 24);
    dumb.shows("moon-main    is live").await;
    assert!(!dumb.ask(vt100::Screen::alternate_screen));
    dumb.signal("KILL");
    let (url, token) = (format!("ws://{}/v1/ws", world.addr), world.token("alice"));
    let lines = Terminal::start(&["watch", "--url", &url, "--token", &token, "--lines"], &[], 200, 24);
    lines.shows("12850.75 +").await;
    lines.signal("KILL");
}

#[tokio::test]
async fn ten_thousand_rows_scroll_without_falling_behind() {
    let mut book = Book::default();
    for n in 0..10_000 {
        let holding = Holding { available: "1.5".parse().unwrap(), ..Holding::default() };
        book.rows.insert(("exchange".into(), format!("T{n:05}").as_str().into()), holding);
    }
    let world = World::of(given("bitfinex").book(book)).await;
    let mut terminal = watch(&world, &[], 120, 30);
    terminal.shows("10 000 rows").await;
    for _ in 0..200 {
        terminal.press("j");
    }
    terminal.shows("T00199").await;
    terminal.press("G");
    terminal.shows("T09999").await;
    terminal.press("/T05000");
    terminal.shows("1 of 10 000 rows").await;
}

/// The picture of the README. `UPDATE_IMAGES` replaces the one in the documentation.
#[tokio::test]
async fn the_picture_in_the_documentation_can_be_made_anew() {
    let ports = ["--port", "0", "--admin-port", "0", "--control-port", "0", "--quiet", "--rate", "1.5"];
    let mut demo = Process::start(&[&["demo"], &ports[..]].concat(), &[]);
    let after = |line: &str, begin: &str| Some(line.split_once(begin)?.1.trim().to_owned());
    let url = demo.line("the address", |line| after(line, "WebSocket ")).await;
    let faults = demo.line("the controls", |line| after(line, "faults ")).await;
    let token = demo.line("the token", |line| after(line, "TOKEN=")).await;
    let env = [("BALANCE_GATEWAY_TOKEN", &*token)];
    let views = ["dark", "light"].map(|theme| {
        let args = ["watch", "--url", &url, "--theme", theme];
        (theme, Terminal::start(&args, &env, 140, 36))
    });
    for (_, terminal) in &views {
        terminal.until("money has moved", |screen| screen.matches(['▲', '▼']).count() >= 9).await;
    }
    let control = faults.split("/faults").next().unwrap();
    for fault in ["refuse", "disconnect"] {
        let asked = crate::support::world::http().post(format!("{control}/fault?venue=moonbase"));
        assert!(asked.body(format!("{{\"fault\":\"{fault}\"}}")).send().await.unwrap().status().is_success());
    }
    let folder = if std::env::var_os("UPDATE_IMAGES").is_some() { "docs/images" } else { "target/images" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (theme, terminal) in &views {
        terminal.until("one is stale", |screen| stale_for(screen, 3)).await;
        let picture = terminal.ask(|screen| svg(screen, theme, "balance-gateway watch"));
        assert!(picture.contains("INCOMPLETE") && picture.contains("▁"));
        std::fs::write(folder.join(format!("watch-{theme}.svg")), picture).unwrap();
    }
    demo.signal("TERM");
    assert_eq!(demo.ended().await.0, Some(0));
}
