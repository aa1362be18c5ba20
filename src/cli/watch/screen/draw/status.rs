//! The accounts themselves: state, since when and why, what went wrong, when last confirmed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::text::shorten;
use super::super::super::wire::Account;
use super::super::state::State;
use super::super::theme::Palette;
use super::super::words::{account_state, age};
use super::put;

/// Heads and widths of the columns of numbers.
const NUMBERS: [(&str, u16); 5] = [("Rows", 6), ("Reconnects", 10), ("Resyncs", 7), ("Drift", 5), ("Confirmed", 9)];
const NAME: u16 = 20;
const VENUE: u16 = 10;

pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    buf.set_style(Rect { height: 1, ..area }, palette.heads);
    // From the right, what matters least is left out first.
    let wide = area.width >= 100;
    let numbers = if wide { &NUMBERS[..] } else { &NUMBERS[..0] };
    let mut x = area.x + 3;
    let name = if wide { NAME } else { NAME - 4 };
    x = head(buf, x, area.y, name, "Account", palette);
    x = head(buf, x, area.y, VENUE, "Venue", palette);
    for (text, width) in numbers {
        put(buf, x, area.y, *width, &format!("{text:>w$}", w = usize::from(*width)), palette.heads);
        x += width + 2;
    }
    put(buf, x, area.y, area.right().saturating_sub(x), "State", palette.heads);
    let lines = usize::from(area.height - 1);
    for (line, place) in (state.top..state.list.groups.len()).take(lines).enumerate() {
        let (y, group, chosen) = (area.y + 1 + line as u16, &state.list.groups[place], place == state.chosen);
        let Some(account) = group.account(state) else { continue };
        let ground = if chosen { palette.chosen } else { Style::new() };
        buf.set_style(Rect { y, height: 1, ..area }, ground);
        if chosen {
            buf.set_string(area.x, y, "▌", ground.patch(palette.accent));
        }
        let mut x = area.x + 3;
        put(buf, x, y, name, &shorten(&account.account, usize::from(name)), ground.patch(palette.accent));
        x += name + 2;
        put(buf, x, y, VENUE, &account.venue, ground.patch(palette.dim));
        x += VENUE + 2;
        for (text, (_, width)) in texts(state, account, group.rows).iter().zip(numbers) {
            put(buf, x, y, *width, &format!("{text:>w$}", w = usize::from(*width)), ground);
            x += width + 2;
        }
        let said = account_state(state, account);
        let mut text = format!("{} {}", said.kind.sign(), said.text);
        for warning in &account.warnings {
            text.push_str(&format!(" · {warning}"));
        }
        let style = if account.warnings.is_empty() { palette.kind(said.kind) } else { palette.stale };
        put(buf, x, y, area.right().saturating_sub(x), &text, ground.patch(style));
    }
}

fn head(buf: &mut Buffer, x: u16, y: u16, width: u16, text: &str, palette: &Palette) -> u16 {
    put(buf, x, y, width, text, palette.heads);
    x + width + 2
}

/// A count that the gateway leaves out is none.
fn texts(state: &State, account: &Account, rows: usize) -> [String; 5] {
    let number = |n: Option<u64>| n.unwrap_or(0).to_string();
    let confirmed = account.last_confirmed_ts.map_or_else(|| "never".to_owned(), |ts| age(state.now - ts));
    [rows.to_string(), number(account.reconnect_count), number(account.resync_count), number(account.drift_count), confirmed]
}
