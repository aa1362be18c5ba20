//! The picture: cells from the state. Only lines in sight are made. It changes of the state what the size of the terminal decides.

mod columns;
mod overlay;
mod status;
mod strip;
mod table;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::text::{columns as width_of, cut};
use super::state::{Mode, Show, State, View};
use super::theme::Palette;
use super::words::{Kind, count, link};

/// Below this nothing true fits.
const LEAST: (u16, u16) = (60, 10);
/// Height from which the strip of accounts has a line.
const STRIP_FROM: u16 = 14;

/// Writes a text, cut where its room ends; tells where it ended.
fn put(buf: &mut Buffer, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
    let text = cut(text, usize::from(room));
    buf.set_string(x, y, &text, style);
    x + width_of(&text).min(usize::from(room)) as u16
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, palette: &Palette) {
    let area = frame.area();
    let buf = frame.buffer_mut();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("The terminal is too small: {}×{}.", area.width, area.height);
        let wants = format!("It needs {}×{}. q leaves.", LEAST.0, LEAST.1);
        for (line, text) in [text, wants].iter().enumerate().take(usize::from(area.height)) {
            put(buf, area.x, area.y + line as u16, area.width, text, palette.stale);
        }
        return;
    }
    let strip = u16::from(area.height >= STRIP_FROM && state.query.view != View::Status);
    state.height = usize::from(area.height - 4 - strip);
    state.step(0);
    header(buf, area, state, palette);
    tabs(buf, Rect { y: area.y + 1, ..area }, state, palette);
    if strip > 0 {
        strip::draw(buf, Rect { y: area.y + 2, height: 1, ..area }, state, palette);
    }
    let body = Rect { y: area.y + 2 + strip, height: area.height - 3 - strip, ..area };
    if state.query.view == View::Status {
        status::draw(buf, body, state, palette);
    } else {
        table::draw(buf, body, state, palette);
    }
    foot(buf, Rect { y: area.bottom() - 1, height: 1, ..area }, state, palette);
    match state.mode {
        Mode::Help => overlay::help(buf, area, state, palette),
        Mode::Details => overlay::details(buf, area, state, palette),
        Mode::Table | Mode::Find => {}
    }
}

/// How the connection stands, whether what is shown is all there is, how much it is.
fn header(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    let rows = match (state.list.shown, state.list.rows) {
        (shown, rows) if shown == rows => count(rows, "row"),
        (shown, rows) => format!("{shown} of {}", count(rows, "row")),
    };
    let right = area.right() - 1 - width_of(&rows) as u16;
    buf.set_string(right, area.y, &rows, palette.dim);
    let end = right - 2;
    let mut x = put(buf, area.x + 1, area.y, 8, "Balances", palette.group.bg(ratatui::style::Color::Reset)) + 2;
    let said = link(state);
    let text = format!("{} {}", said.kind.sign(), said.text);
    x = put(buf, x, area.y, end.saturating_sub(x), &text, palette.kind(said.kind)) + 3;
    let (text, kind) = whole(state);
    if x < end {
        put(buf, x, area.y, end - x, &text, palette.kind(kind));
    }
}

/// Is what is shown all there is?
fn whole(state: &State) -> (String, Kind) {
    let all = state.accounts.all().count();
    let proven = state.accounts.all().filter(|account| state.is_proven(account)).count();
    if !state.begun {
        ("no rows yet".to_owned(), Kind::Pending)
    } else if state.is_complete() {
        (format!("✓ complete: {}", count(all, "account")), Kind::Live)
    } else if proven == all {
        ("◐ INCOMPLETE: rows were left out".to_owned(), Kind::Stale)
    } else {
        (format!("◐ INCOMPLETE: {} of {} not live", all - proven, count(all, "account")), Kind::Stale)
    }
}

fn tabs(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    let mut x = area.x + 1;
    for (view, word) in [(View::Account, " By account "), (View::Asset, " By asset "), (View::Status, " Accounts ")] {
        let style = if view == state.query.view { palette.tab } else { palette.dim };
        x = put(buf, x, area.y, area.right() - x, word, style) + 1;
    }
    let show = match state.query.show {
        Show::All => String::new(),
        Show::Nonzero => "zero hidden · ".to_owned(),
        Show::NoDust => format!("below {} hidden · ", super::DUST),
    };
    let arrow = if state.query.ascending { '↑' } else { '↓' };
    let text = format!("{show}by {} {arrow}", state.query.sort.word());
    let at = area.right().saturating_sub(1 + width_of(&text) as u16);
    if at > x && state.query.view != View::Status {
        buf.set_string(at, area.y, &text, palette.dim);
    }
}

/// The search, a problem, or the keys.
fn foot(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    let room = area.width - 2;
    if state.mode == Mode::Find || !state.query.find.is_empty() {
        let mark = if state.mode == Mode::Find { "▏" } else { "" };
        let x = put(buf, area.x + 1, area.y, room, &format!("/{}{mark}", state.query.find), palette.accent);
        let hint = if state.mode == Mode::Find { "Enter keep · Esc all rows" } else { "/ change · Esc all rows" };
        let at = area.right() - 1 - width_of(hint) as u16;
        if at > x + 2 {
            buf.set_string(at, area.y, hint, palette.dim);
        }
        return;
    }
    if let Some(problem) = &state.problem {
        put(buf, area.x + 1, area.y, room, problem, palette.bad);
        return;
    }
    let mut x = area.x + 1;
    for (key, what) in [
        ("/", "find"),
        ("Tab", "view"),
        ("s", "sort"),
        ("z", "zeros"),
        ("Enter", "details"),
        ("?", "help"),
        ("q", "quit"),
        ("Space", "fold"),
    ] {
        if x + (key.len() + what.len()) as u16 + 1 > area.right() {
            break;
        }
        x = put(buf, x, area.y, room, key, palette.accent) + 1;
        x = put(buf, x, area.y, room, what, palette.dim) + 2;
    }
}
