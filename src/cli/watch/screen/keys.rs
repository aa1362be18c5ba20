//! What a key does to the state. Reads no terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::list::Item;
use super::state::{Column, Mode, Show, State, View};

/// What is left to do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    Quit,
    /// Do not wait for the next attempt.
    Hurry,
}

/// Key and meaning, for the help.
pub(super) const HELP: &[(&str, &str)] = &[
    ("↑ ↓  k j", "move"),
    ("PgUp PgDn", "a page; Home End  first, last  (g G)"),
    ("Tab", "by account, by asset, accounts  (1 2 3)"),
    ("/", "find as you type: asset, wallet, account, venue, live, stale"),
    ("Esc", "all rows again"),
    ("s  S", "sort by the next column, the one before"),
    ("r", "sort the other way round"),
    ("z", "all rows, those not zero, those that are no dust"),
    ("Space", "fold or unfold a group"),
    ("Enter", "everything about the row"),
    ("c", "connect now instead of waiting"),
    ("?", "this help"),
    ("q  Ctrl-C", "leave"),
];

/// Takes a key in.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Flow {
    if key.kind == KeyEventKind::Release {
        return Flow::Stay;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return Flow::Quit;
    }
    if state.mode == Mode::Find {
        find(state, key.code, control);
        return Flow::Stay;
    }
    match (state.mode, key.code) {
        (Mode::Help | Mode::Details, code) => overlay(state, code),
        (_, KeyCode::Char('q')) => return Flow::Quit,
        (_, KeyCode::Char('c')) => return Flow::Hurry,
        (_, code) => table(state, code),
    }
    state.refresh();
    Flow::Stay
}

/// Text that was pasted. It is no key: a pasted `q` does not leave.
pub(super) fn paste(state: &mut State, text: &str) {
    if state.mode == Mode::Find {
        state.find_more(text.trim());
    }
}

fn find(state: &mut State, code: KeyCode, control: bool) {
    match code {
        KeyCode::Esc => {
            state.query.find.clear();
            state.mode = Mode::Table;
        }
        KeyCode::Enter => state.mode = Mode::Table,
        KeyCode::Backspace => _ = state.query.find.pop(),
        KeyCode::Char('u' | 'w') if control => state.query.find.clear(),
        KeyCode::Char(c) if !control => state.find_more(c.encode_utf8(&mut [0; 4])),
        KeyCode::Up => state.step(-1),
        KeyCode::Down => state.step(1),
        _ => {}
    }
    state.search_changed();
}

fn overlay(state: &mut State, code: KeyCode) {
    match code {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?' | ' ' | 'q') => state.mode = Mode::Table,
        // How far it goes is known to who draws it.
        KeyCode::Down | KeyCode::Char('j') => state.scroll = state.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => state.scroll = state.scroll.saturating_sub(1),
        KeyCode::PageDown => state.scroll = state.scroll.saturating_add(10),
        KeyCode::PageUp => state.scroll = state.scroll.saturating_sub(10),
        _ => {}
    }
}

fn table(state: &mut State, code: KeyCode) {
    let page = state.height.saturating_sub(1).max(1).cast_signed();
    match code {
        KeyCode::Up | KeyCode::Char('k') => state.step(-1),
        KeyCode::Down | KeyCode::Char('j') => state.step(1),
        KeyCode::PageUp => state.step(-page),
        KeyCode::PageDown => state.step(page),
        KeyCode::Home | KeyCode::Char('g') => state.step(isize::MIN / 2),
        KeyCode::End | KeyCode::Char('G') => state.step(isize::MAX / 2),
        KeyCode::Tab | KeyCode::BackTab => {
            let order = [View::Account, View::Asset, View::Status];
            let at = order.iter().position(|view| *view == state.query.view).unwrap_or(0);
            show(state, order[(at + if code == KeyCode::Tab { 1 } else { 2 }) % 3]);
        }
        KeyCode::Char('1') => show(state, View::Account),
        KeyCode::Char('2') => show(state, View::Asset),
        KeyCode::Char('3') => show(state, View::Status),
        KeyCode::Char('/') => state.mode = Mode::Find,
        KeyCode::Esc => state.query.find.clear(),
        KeyCode::Char('?' | 'h') => open(state, Mode::Help),
        KeyCode::Enter if state.chosen_entry().is_some() => open(state, Mode::Details),
        KeyCode::Char('s') => sort(state, 1),
        KeyCode::Char('S') => sort(state, Column::ALL.len() - 1),
        KeyCode::Char('r') => state.query.ascending = !state.query.ascending,
        KeyCode::Char('z') => {
            state.query.show = match state.query.show {
                Show::All => Show::Nonzero,
                Show::Nonzero => Show::NoDust,
                Show::NoDust => Show::All,
            };
        }
        KeyCode::Char(' ') | KeyCode::Enter => fold(state),
        _ => return,
    }
    let only_moved =
        matches!(code, KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown | KeyCode::Home | KeyCode::End)
            || matches!(code, KeyCode::Char('j' | 'k' | 'g' | 'G'));
    state.outdated |= !only_moved;
}

fn open(state: &mut State, mode: Mode) {
    state.mode = mode;
    state.scroll = 0;
}

fn show(state: &mut State, view: View) {
    if state.query.view != view {
        state.query.view = view;
        (state.chosen, state.top) = (0, 0);
    }
}

/// The next column; numbers and times begin with the largest and the newest.
fn sort(state: &mut State, by: usize) {
    let at = Column::ALL.iter().position(|column| *column == state.query.sort).unwrap_or(0);
    state.query.sort = Column::ALL[(at + by) % Column::ALL.len()];
    state.query.ascending = matches!(state.query.sort, Column::Name);
}

fn fold(state: &mut State) {
    let Some(group) = state.list.group_of(state.chosen) else { return };
    let key = group.key.clone();
    // The group's own line is where one stands afterwards.
    if let Some(place) = state.list.items[..=state.chosen].iter().rposition(|item| matches!(item, Item::Group(_))) {
        state.chosen = place;
    }
    if !state.query.turned.remove(&key) {
        state.query.turned.insert(key);
    }
}
