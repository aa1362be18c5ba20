//! What the view decides without a terminal: states in words, order, sums, keys, and pictures on a surface in memory.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::super::cursor::{Cursor, Taken};
use super::super::feed::{Link, Told};
use super::draw::draw;
use super::keys::{Flow, paste, press};
use super::list::Item;
use super::state::{Mode, State, View};
use super::theme::Theme;

const T0: i64 = 1_795_000_000_000;

fn row(account: &str, asset: &str, total: Option<&str>) -> Value {
    json!({ "venue": format!("v-{account}"), "account": account, "wallet": "spot", "asset": asset, "total": total,
        "available": total, "locked": total.map(|_| "0"), "state": "live", "received_ts": T0, "changed_ts": T0 })
}

fn account(account: &str, state: &str) -> Value {
    json!({ "venue": format!("v-{account}"), "account": account, "state": state, "since": T0, "last_confirmed_ts": T0,
        "reason": { "code": "upstream_disconnected", "text": "the connection broke" } })
}

struct Desk {
    state: State,
    cursor: Cursor,
    gsn: u64,
}

impl Desk {
    fn new(accounts: Value, rows: Value) -> Self {
        let mut desk = Self { state: State::new(T0), cursor: Cursor::default(), gsn: 0 };
        desk.snapshot(accounts, rows);
        desk.state.take(Told::Link(Link::Live), T0);
        desk.state.refresh();
        desk
    }

    fn snapshot(&mut self, accounts: Value, rows: Value) {
        self.frame("snapshot", 0, T0, accounts, rows);
    }

    /// An update, so many ms after the start.
    fn update(&mut self, after: i64, accounts: Value, rows: Value) {
        self.frame("update", self.gsn, T0 + after, accounts, rows);
        self.state.refresh();
    }

    fn frame(&mut self, kind: &str, prev: u64, ts: i64, accounts: Value, rows: Value) {
        self.gsn += 1;
        let complete = accounts.as_array().unwrap().iter().all(|account| account["state"] == "live");
        let frame = json!({ "type": kind, "channel": "user:balances", "epoch": "e", "prev": prev, "gsn": self.gsn, "ts": ts,
            "complete": complete, "accounts": accounts, "balances": rows });
        let Taken::Batch(batch) = self.cursor.take(serde_json::from_value(frame).unwrap()) else { panic!("no batch") };
        self.state.take(Told::Batch(batch), ts);
    }

    fn press(&mut self, keys: &str) -> Flow {
        keys.chars().map(|c| self.key(KeyCode::Char(c))).last().unwrap()
    }

    fn key(&mut self, code: KeyCode) -> Flow {
        press(&mut self.state, KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn picture(&mut self, width: u16, height: u16) -> String {
        self.state.refresh();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &mut self.state, &Theme::Dark.palette())).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
        (0..height).map(line).collect()
    }

    fn line(&mut self, with: &str) -> String {
        let picture = self.picture(160, 40);
        picture.lines().skip(3).find(|line| line.contains(with)).unwrap_or_else(|| panic!("no {with}:\n{picture}")).to_owned()
    }

    /// Assets of the rows in order, groups as their titles with a star.
    fn order(&self) -> Vec<String> {
        let list = &self.state.list;
        let name = |item: &Item| match *item {
            Item::Group(group) => format!("*{}", list.groups[group].title),
            Item::Row(entry) => self.state.entries.all[entry].row.asset.to_string(),
        };
        list.items.iter().map(name).collect()
    }
}

/// Two accounts that are live, four rows.
fn desk() -> Desk {
    Desk::new(
        json!([account("a", "live"), account("b", "live")]),
        json!([
            row("a", "BTC", Some("1.5")),
            row("a", "ETH", Some("20")),
            row("b", "BTC", Some("0.25")),
            row("b", "DUST", Some("0.00001"))
        ]),
    )
}

#[test]
fn a_dropped_venue_reads_stale_with_its_age_and_reason() {
    let mut desk = desk();
    assert!(desk.line("ETH").ends_with("● live"));
    let mut stale = row("a", "ETH", Some("20"));
    stale["state"] = "stale".into();
    desk.update(1_000, json!([account("a", "stale")]), json!([stale]));
    desk.state.at(T0 + 12_400);
    assert!(desk.line("ETH").ends_with("○ stale 12s: the connection broke"), "{}", desk.line("ETH"));
    assert!(desk.line("20").contains("20"));
    // A row that the update did not name is not live either: its account is not proven.
    assert!(desk.line("BTC").contains("○ stale 12s"));
    assert!(desk.picture(100, 20).contains("◐ INCOMPLETE: 1 of 2 accounts not live"));
}

#[test]
fn no_row_is_live_while_the_gateway_is_not_heard() {
    let mut desk = desk();
    desk.state.take(Told::Link(Link::Silent), T0 + 1_000);
    desk.state.at(T0 + 4_000);
    let picture = desk.picture(160, 20);
    assert!(!picture.contains("● live") && picture.contains("○ stale 3s: the gateway is not heard"), "{picture}");
    desk.state.take(Told::Link(Link::Waiting { wait_ms: 2_500, why: "refused".into() }), T0 + 5_000);
    desk.state.at(T0 + 5_100);
    let picture = desk.picture(160, 20);
    assert!(picture.contains("resuming in 3 s: refused") && picture.contains("stale 4s"), "{picture}");
    desk.state.take(Told::Link(Link::Live), T0 + 9_000);
    assert!(!desk.picture(160, 20).contains("stale"));
}

#[test]
fn unknown_is_a_dash_and_the_withdrawn_value_stays_apart() {
    let mut unknown = row("a", "USD", Some("24925.14"));
    unknown["available"] = Value::Null;
    unknown["locked"] = Value::Null;
    unknown["last_known"] = json!({ "available": "24831.04", "ts": T0 });
    let mut desk = Desk::new(json!([account("a", "live")]), json!([unknown, row("a", "BTC", None)]));
    let line = desk.line("USD");
    assert!(line.contains("24 925.14") && line.contains("— was 24 831.04"), "{line}");
    let line = desk.line("BTC");
    assert!(!line.contains('0') && line.contains('—'), "{line}");
}

#[test]
fn a_part_is_never_a_total() {
    let mut desk = desk();
    desk.press("2");
    let line = desk.line("▾ BTC");
    assert!(line.contains("1.75") && line.contains("✓ complete"), "{line}");
    desk.update(10, json!([]), json!([row("b", "BTC", None)]));
    let line = desk.line("▾ BTC");
    assert!(line.contains("INCOMPLETE: 1 of 2 unknown (known part 1.5)"), "{line}");
    assert!(!line.split("INCOMPLETE").next().unwrap().contains("1.5"), "{line}");
    // An account that never gave a complete list may hold anything.
    let mut young = account("c", "syncing");
    young["last_confirmed_ts"] = Value::Null;
    desk.update(20, json!([young]), json!([row("b", "BTC", Some("0.25"))]));
    let line = desk.line("▾ BTC");
    assert!(line.contains("INCOMPLETE: without c (syncing) (known part 1.75)"), "{line}");
    assert!(!line.split("INCOMPLETE").next().unwrap().contains("1.75"), "{line}");
}

#[test]
fn a_sum_of_last_known_values_is_marked() {
    let mut desk = desk();
    desk.press("2");
    desk.update(10, json!([account("b", "stale")]), json!([]));
    let line = desk.line("▾ BTC");
    assert!(line.contains("1.75") && line.contains("INCOMPLETE: b stale"), "{line}");
    // What it has no part of may hold more of it, and is not what is stale in it.
    assert!(desk.line("ETH").contains("INCOMPLETE: without b (stale)"), "{}", desk.line("ETH"));
}

#[test]
fn a_row_doubted_in_a_live_account_makes_its_sum_incomplete() {
    let mut desk = desk();
    desk.press("2");
    let mut doubted = row("b", "BTC", Some("0.25"));
    doubted["state"] = "stale".into();
    desk.update(10, json!([]), json!([doubted]));
    assert!(desk.line("▾ BTC").contains("INCOMPLETE: b stale"));
    assert!(desk.line("b · v-b").contains("○ stale: said 0s ago"), "{}", desk.line("b · v-b"));
}

#[test]
fn a_change_shows_its_direction_amount_and_cause() {
    let mut desk = desk();
    let mut changed = row("a", "BTC", Some("1.4"));
    changed["changed_ts"] = (T0 + 5_000).into();
    changed["cause"] = json!({ "type": "trade", "description": "Sold 0.1" });
    desk.update(5_000, json!([]), json!([changed]));
    let line = desk.line("BTC");
    assert!(line.contains("now ▼ 0.1 Sold 0.1") && line.contains("█▁"), "{line}");
    desk.state.at(T0 + 20_000);
    assert!(desk.line("BTC").contains("15s ▼ 0.1"));
}

#[test]
fn a_snapshot_keeps_what_a_row_was_and_drops_what_is_gone() {
    let mut desk = desk();
    desk.snapshot(json!([account("a", "live")]), json!([row("a", "BTC", Some("2"))]));
    desk.state.refresh();
    assert_eq!(desk.order(), ["*a", "BTC"]);
    assert!(desk.line("BTC").contains("▲ 0.5"));
}

#[test]
fn sorting_goes_by_value_and_unknown_comes_last_either_way() {
    let rows = json!([row("a", "A", Some("9")), row("a", "B", Some("10.0")), row("a", "C", None), row("a", "D", Some("-3"))]);
    let mut desk = Desk::new(json!([account("a", "live")]), rows);
    assert_eq!(desk.order(), ["*a", "A", "B", "C", "D"]);
    desk.press("s");
    assert_eq!(desk.order(), ["*a", "B", "A", "D", "C"]);
    desk.press("r");
    assert_eq!(desk.order(), ["*a", "D", "A", "B", "C"]);
    desk.press("S");
    assert_eq!(desk.order(), ["*a", "A", "B", "C", "D"]);
}

#[test]
fn finding_narrows_as_one_types_and_escape_brings_all_back() {
    let mut desk = desk();
    desk.press("/BT");
    assert_eq!(desk.order(), ["*a", "BTC", "*b", "BTC"]);
    desk.press("c v-b");
    assert_eq!(desk.order(), ["*b", "BTC"]);
    assert_eq!(desk.state.mode, Mode::Find);
    // A key that means something in the table is a letter here; what is pasted is text.
    desk.press("q");
    paste(&mut desk.state, "\u{1b}q\n");
    assert_eq!(desk.state.query.find, "BTc v-bq�q");
    assert!(desk.picture(100, 20).contains("No row is like that"));
    desk.key(KeyCode::Esc);
    assert_eq!((desk.order().len(), desk.state.mode), (6, Mode::Table));
    paste(&mut desk.state, "q");
    assert_eq!(desk.state.query.find, "");
}

#[test]
fn finding_by_state_shows_the_rows_that_want_a_look() {
    let mut desk = desk();
    desk.update(10, json!([account("b", "stale")]), json!([]));
    desk.press("/stale");
    assert_eq!(desk.order(), ["*b", "BTC", "DUST"]);
}

#[test]
fn zeros_and_dust_are_hidden_but_never_what_is_unknown() {
    let mut rows = vec![row("a", "ZERO", Some("0.00")), row("a", "DUST", Some("-0.00001")), row("a", "NULL", None)];
    rows.push(row("a", "MONEY", Some("1")));
    let mut desk = Desk::new(json!([account("a", "live")]), json!(rows));
    desk.press("z");
    assert_eq!(desk.order(), ["*a", "DUST", "MONEY", "NULL"]);
    desk.press("z");
    assert_eq!(desk.order(), ["*a", "MONEY", "NULL"]);
    assert!(desk.picture(100, 20).contains("below 0.0001 hidden"));
    desk.press("z");
    assert_eq!(desk.order().len(), 5);
}

#[test]
fn the_chosen_row_stays_chosen_while_others_come_before_it() {
    let mut desk = desk();
    desk.picture(100, 20);
    desk.press("jj");
    assert_eq!(&*desk.state.chosen_entry().unwrap().row.asset, "ETH");
    desk.update(10, json!([]), json!([row("a", "AAA", Some("1"))]));
    assert_eq!(&*desk.state.chosen_entry().unwrap().row.asset, "ETH");
}

#[test]
fn only_lines_in_sight_are_drawn_and_scrolling_reaches_the_last() {
    let rows: Vec<Value> = (0..10_000).map(|n| row("a", &format!("T{n:05}"), Some("1"))).collect();
    let mut desk = Desk::new(json!([account("a", "live")]), json!(rows));
    assert!(desk.picture(80, 20).contains("T00000"));
    desk.key(KeyCode::End);
    let picture = desk.picture(80, 20);
    assert!(picture.contains("T09999") && !picture.contains("T00000") && picture.contains("10 000 rows"), "{picture}");
    desk.key(KeyCode::PageUp);
    assert!(!desk.picture(80, 20).contains("T09999") || desk.state.chosen < 10_000);
    desk.key(KeyCode::Home);
    assert!(desk.picture(80, 20).contains("T00000"));
}

#[test]
fn folding_hides_the_rows_of_a_group_alone() {
    let mut desk = desk();
    desk.press("j ");
    assert_eq!(desk.order(), ["*a", "*b", "BTC", "DUST"]);
    assert_eq!(desk.state.chosen, 0);
    desk.press(" ");
    assert_eq!(desk.order().len(), 6);
}

#[test]
fn every_width_from_60_on_shows_whole_totals_and_states() {
    let mut long = row("a", "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", Some("-849207927.296063612345678901"));
    long["wallet"] = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e".into();
    for width in 60..240 {
        let mut desk = Desk::new(json!([account("a", "live")]), json!([long.clone(), row("a", "B", Some("1"))]));
        let picture = desk.picture(width, 12);
        let line = picture.lines().find(|line| line.contains("0x742")).unwrap_or_else(|| panic!("{width}:\n{picture}"));
        let shown = line.contains("-849 207 927.296063612345678901") || (line.contains("-849 207 927.") && line.contains('…'));
        assert!(shown && line.contains("● live"), "{width}: {line}");
        for view in ["2", "3", "?"] {
            desk.press(view);
            desk.picture(width, 12);
        }
    }
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    let mut desk = desk();
    assert!(desk.picture(59, 10).contains("too small: 59×10"));
    assert!(desk.picture(60, 9).contains("too small: 60×9"));
    for (width, height) in [(1, 1), (1, 60), (200, 1), (20, 5)] {
        desk.picture(width, height);
    }
    assert!(desk.picture(60, 10).contains("BTC"));
}

#[test]
fn the_details_show_every_digit_and_every_word() {
    let mut whole = row("a", "BTC", Some("1234567.890123456789012345678901"));
    whole["basis"] = json!({ "total": "derived" });
    whole["extra"] = json!({ "unsettled_interest": "0.1" });
    let mut desk = Desk::new(json!([account("a", "live")]), json!([whole]));
    desk.picture(80, 30);
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Enter);
    let picture = desk.picture(80, 30);
    for text in ["1 234 567.890123456789012345678901", "computed", "unsettled interest", "it sends none"] {
        assert!(picture.contains(text), "{text}:\n{picture}");
    }
    assert_eq!(desk.press("q"), Flow::Stay);
    assert_eq!(desk.state.mode, Mode::Table);
    assert_eq!(desk.press("q"), Flow::Quit);
}

#[test]
fn accounts_are_told_with_what_went_wrong() {
    let mut troubled = account("a", "degraded");
    troubled["reconnect_count"] = 3.into();
    troubled["drift_count"] = 1.into();
    troubled["warnings"] = json!(["this key may withdraw"]);
    let mut desk = Desk::new(json!([troubled, account("b", "auth_failed")]), json!([]));
    let picture = desk.picture(160, 20);
    assert!(picture.contains("3 reconnects · 1 drifted row"), "{picture}");
    desk.press("3");
    let picture = desk.picture(160, 20);
    assert!(
        picture.contains("this key may withdraw") && picture.contains("✖ auth failed 0s: the connection broke"),
        "{picture}"
    );
    assert_eq!(desk.state.query.view, View::Status);
}

#[test]
fn ages_follow_the_gateways_clock() {
    let mut desk = desk();
    // Ours is an hour behind.
    desk.frame("update", desk.gsn, T0 + 3_600_000, json!([account("a", "stale")]), json!([]));
    let local = T0 + 3_600_000;
    desk.state.at(local + 5_000);
    assert_eq!(desk.state.now, T0 + 3_605_000);
    desk.gsn += 1;
    let frame = json!({ "type": "update", "channel": "user:balances", "epoch": "e", "prev": desk.gsn - 1, "gsn": desk.gsn,
        "ts": T0 + 3_610_000, "complete": true, "accounts": [], "balances": [] });
    let Taken::Batch(batch) = desk.cursor.take(serde_json::from_value(frame).unwrap()) else { panic!() };
    desk.state.take(Told::Batch(batch), T0);
    desk.state.at(T0 + 2_000);
    assert_eq!(desk.state.now, T0 + 3_612_000);
}

#[test]
fn text_of_a_venue_steers_no_terminal() {
    let mut evil = row("a", "\u{1b}]0;owned\u{7}BTC\u{9b}2J", Some("1"));
    evil["cause"] = json!({ "type": "other", "description": "\u{1b}[2J\r\n\u{202e}" });
    let mut desk = Desk::new(json!([account("a", "live")]), json!([evil]));
    let picture = desk.picture(160, 20);
    assert!(picture.lines().all(|line| !line.chars().any(char::is_control)) && picture.contains("�]0;owned"), "{picture}");
}

/// Set for the process that is to panic.
const PANIC: &str = "BALANCE_GATEWAY_TEST_PANICS";

/// This test runs itself in a terminal of its own, and panics there.
#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    if std::env::var_os(PANIC).is_some() {
        let _screen = super::Screen::enter().unwrap();
        panic!("the panic of a test");
    }
    let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
    let mut command = portable_pty::CommandBuilder::new(std::env::current_exe().unwrap());
    let name = concat!(module_path!(), "::a_panic_gives_the_terminal_back_before_it_is_told");
    command.args(["--exact", name.split_once("::").unwrap().1, "--nocapture"]);
    command.env(PANIC, "1");
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let (mut said, mut reader) = (Vec::new(), pty.master.try_clone_reader().unwrap());
    // The end of a terminal is told as an error.
    _ = std::io::Read::read_to_end(&mut reader, &mut said);
    assert!(!child.wait().unwrap().success());
    let said = String::from_utf8_lossy(&said);
    let place = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text:?} in {said:?}"));
    let order = ["\u{1b}[?1049h", "\u{1b}[?1049l", "\u{1b}[?25h", "the panic of a test"].map(place);
    assert!(order.is_sorted(), "{order:?} in {said:?}");
}
