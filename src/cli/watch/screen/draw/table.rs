//! The table of balances, by account or by asset.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::super::text::{columns as columns_of, shorten};
use super::super::entries::{Entry, Turn};
use super::super::list::{Group, Item};
use super::super::number::{aligned, plain, unknown, was};
use super::super::state::{Column, State, View};
use super::super::theme::Palette;
use super::super::words::{account_state, ago, count, row_state};
use super::columns::{Columns, Place};
use super::{put, strip};

/// How long a change is marked.
const FLASH_MS: i64 = 1_500;
/// Width of the state from which the begin of a reason is shown.
const REASON_FROM: u16 = 24;
const STEPS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// What drawing a line needs.
struct Pen<'a> {
    state: &'a State,
    palette: &'a Palette,
    columns: Columns,
    area: Rect,
}

pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    let pen = Pen { state, palette, columns: Columns::of(area, &state.list), area };
    pen.heads(buf);
    let lines = usize::from(area.height - 1);
    for (line, place) in (state.top..state.list.items.len()).take(lines).enumerate() {
        let y = area.y + 1 + line as u16;
        match state.list.items[place] {
            Item::Group(group) => pen.group(buf, y, &state.list.groups[group], place == state.chosen),
            Item::Row(entry) => pen.row(buf, y, &state.entries.all[entry], place == state.chosen),
        }
    }
    if state.list.items.is_empty() {
        let text = match (state.begun, state.list.rows) {
            (false, _) => "Waiting for the first rows …",
            (true, 0) => "There is no account that this token may see, or none has a row yet.",
            (true, _) => "No row is like that. Esc shows all rows; z brings back zeros and dust.",
        };
        put(buf, area.x + 2, area.y + 2, area.width.saturating_sub(3), text, palette.dim);
    }
}

impl Pen<'_> {
    fn heads(&self, buf: &mut Buffer) {
        let (columns, y) = (&self.columns, self.area.y);
        buf.set_style(Rect { height: 1, ..self.area }, self.palette.heads);
        let query = &self.state.query;
        let word = |column: Column, text: &str| {
            let arrow = if query.ascending { " ↑" } else { " ↓" };
            if query.sort == column { format!("{text}{arrow}") } else { text.to_owned() }
        };
        put(buf, columns.name.x + 2, y, columns.name.width - 2, &word(Column::Name, "Asset"), self.palette.heads);
        let amounts = [(Column::Total, "Total"), (Column::Available, "Available"), (Column::Locked, "Locked")];
        for ((column, text), place) in amounts.into_iter().zip(columns.amounts) {
            if let Some((place, width)) = place {
                // Above the last digit before the point, as far as it fits.
                let text = word(column, text);
                let end = (width.whole as u16).max(text.chars().count() as u16).min(place.width);
                let at = place.x + end.saturating_sub(text.chars().count() as u16);
                put(buf, at, y, place.width, &text, self.palette.heads);
            }
        }
        let change = word(Column::Changed, "Last change");
        for (place, text) in [(columns.wallet, "Wallet"), (columns.change, &*change), (columns.trend, "Trend")] {
            if let Some(place) = place {
                put(buf, place.x, y, place.width, text, self.palette.heads);
            }
        }
        put(buf, columns.state.x, y, columns.state.width, &word(Column::State, "State"), self.palette.heads);
    }

    /// The ground of a line, and the mark before it.
    fn ground(&self, buf: &mut Buffer, y: u16, style: Style, chosen: bool) -> Style {
        let style = if chosen { style.patch(self.palette.chosen) } else { style };
        buf.set_style(Rect { y, height: 1, ..self.area }, style);
        if chosen {
            buf.set_string(self.area.x, y, "▌", style.patch(self.palette.accent));
        }
        style
    }

    fn group(&self, buf: &mut Buffer, y: u16, group: &Group, chosen: bool) {
        let ground = self.ground(buf, y, self.palette.group, chosen);
        let name = self.columns.name;
        buf.set_string(name.x, y, if group.folded { "▸" } else { "▾" }, ground);
        let rows = if group.shown == group.rows {
            count(group.rows, "row")
        } else {
            format!("{} of {}", group.shown, count(group.rows, "row"))
        };
        if self.state.query.view == View::Asset {
            put(buf, name.x + 2, y, name.width - 2, &shorten(&group.title, usize::from(name.width - 2)), ground);
            // Where the only one is, or how many there are.
            let only = self.only(group);
            let rows =
                only.map_or(rows, |entry| shorten(&entry.row.account, usize::from(self.columns.wallet.map_or(0, |w| w.width))));
            if let Some(wallet) = self.columns.wallet {
                put(buf, wallet.x, y, wallet.width, &rows, ground.remove_modifier(Modifier::BOLD).patch(self.palette.dim));
            }
            return self.sums(buf, y, group, ground);
        }
        let light = ground.remove_modifier(Modifier::BOLD);
        let room = |x: u16| self.area.right().saturating_sub(x);
        let mut x = put(buf, name.x + 2, y, room(name.x + 2), &shorten(&group.title, 40), ground) + 2;
        let Some(account) = group.account(self.state) else { return };
        x = put(buf, x, y, room(x), &format!("{} · {rows}", account.venue), light.patch(self.palette.dim)) + 2;
        let said = account_state(self.state, account);
        let text = format!("{} {}{}", said.kind.sign(), said.text, strip::troubles(account));
        put(buf, x, y, room(x), &text, light.patch(self.palette.kind(said.kind)));
    }

    /// The entry that a group consists of.
    fn only(&self, group: &Group) -> Option<&Entry> {
        group.sample.filter(|_| group.rows == 1).map(|place| &self.state.entries.all[place])
    }

    /// An asset's sums. A part is never shown as a total.
    fn sums(&self, buf: &mut Buffer, y: u16, group: &Group, ground: Style) {
        let Some(sums) = &group.sums else { return };
        let whole = group.missing.is_empty();
        for ((sum, place), column) in sums.iter().zip(self.columns.amounts).zip(0..) {
            let Some((place, width)) = place else { continue };
            let said = sum.unknown == 0 && !group.part;
            let text = if said { aligned(sum.known.as_str(), width) } else { unknown(width) };
            let mut style = if column == 0 { ground } else { ground.remove_modifier(Modifier::BOLD) };
            if !whole {
                style = style.remove_modifier(Modifier::BOLD).patch(self.palette.dim).add_modifier(Modifier::ITALIC);
            }
            put(buf, place.x, y, place.width, &text, style);
            if let Some(entry) = self.only(group).filter(|_| whole) {
                self.flash(buf, place, y, &text, entry, column);
            }
        }
        let light = ground.remove_modifier(Modifier::BOLD);
        // The texts may run over what is empty in a group's line.
        let from = self.columns.change.unwrap_or(self.columns.state);
        let room = self.area.right().saturating_sub(from.x);
        if whole {
            put(buf, self.columns.state.x, y, self.columns.state.width, "✓ complete", light.patch(self.palette.live));
            if let Some(entry) = self.only(group) {
                self.past(buf, y, entry, light);
            }
            return;
        }
        let part = match (&sums[0], group.part || sums[0].unknown > 0) {
            (sum, true) if sum.unknown < group.rows => format!(" (known part {})", plain(sum.known.as_str())),
            _ => String::new(),
        };
        put(
            buf,
            from.x,
            y,
            room,
            &format!("◐ INCOMPLETE: {}{part}", group.missing.join(", ")),
            light.patch(self.palette.stale),
        );
    }

    fn row(&self, buf: &mut Buffer, y: u16, entry: &Entry, chosen: bool) {
        let ground = self.ground(buf, y, Style::new(), chosen);
        let (columns, palette, row) = (&self.columns, self.palette, &entry.row);
        let live = self.state.row_is_live(row);
        let ink = if live { ground } else { ground.patch(palette.dim).add_modifier(Modifier::ITALIC) };
        let room = columns.name.width - 2;
        let title = match self.state.query.view {
            View::Asset => {
                Some(format!("{} · {}", row.account, row.venue)).filter(|both| columns_of(both) <= usize::from(room))
            }
            _ => Some(row.asset.to_string()),
        };
        let title = title.unwrap_or_else(|| row.account.to_string());
        put(buf, columns.name.x + 2, y, room, &shorten(&title, usize::from(room)), ink);
        if let Some(wallet) = columns.wallet {
            put(buf, wallet.x, y, wallet.width, &shorten(&row.wallet, usize::from(wallet.width)), ground.patch(palette.dim));
        }
        self.amounts(buf, y, entry, ink);
        self.past(buf, y, entry, ground);
        let said = row_state(self.state, row);
        let mut text = format!("{} {}", said.kind.sign(), said.text);
        // The first letters of a reason tell nothing; the head of the account tells all of it.
        if columns_of(&text) > usize::from(columns.state.width) && columns.state.width < REASON_FROM {
            text.truncate(text.find(": ").unwrap_or(text.len()));
        }
        put(buf, columns.state.x, y, columns.state.width, &text, ground.patch(palette.kind(said.kind)));
    }

    /// What the row was: its last change, and the line of its totals.
    fn past(&self, buf: &mut Buffer, y: u16, entry: &Entry, ground: Style) {
        if let Some(place) = self.columns.change {
            self.change(buf, place, y, entry, ground);
        }
        if let Some(place) = self.columns.trend {
            for (x, level) in (place.x..place.x + place.width).zip(entry.line()) {
                buf.set_string(x, y, STEPS[usize::from(level.min(7))], ground.patch(self.palette.accent));
            }
        }
    }

    /// Marks an amount that just changed: its digits, and a cell on both sides.
    fn flash(&self, buf: &mut Buffer, place: Place, y: u16, text: &str, entry: &Entry, column: usize) {
        let Some(change) = entry.change.as_ref().filter(|change| (0..FLASH_MS).contains(&(self.state.now - change.at))) else {
            return;
        };
        let style = match change.turns[column] {
            Some(Turn::Up) => self.palette.up,
            Some(Turn::Down) => self.palette.down,
            Some(Turn::Changed) => self.palette.changed,
            None => return,
        };
        let before = text.chars().take_while(|c| *c == ' ').count() as u16;
        let width = columns_of(text.trim()) as u16;
        buf.set_style(Rect { x: place.x + before - 1, y, width: width + 2, height: 1 }, style);
    }

    fn amounts(&self, buf: &mut Buffer, y: u16, entry: &Entry, ink: Style) {
        let (amounts, last) = (entry.row.amounts(), entry.row.last_amounts());
        for (column, place) in self.columns.amounts.iter().enumerate() {
            let Some((place, width)) = *place else { continue };
            let dim = ink.patch(self.palette.dim);
            let (text, style) = match (amounts[column], last[column]) {
                (Some(amount), _) => (aligned(amount.as_str(), width), if column == 0 { ink } else { dim }),
                (None, Some(last)) => (was(last.as_str(), width), dim),
                (None, None) => (unknown(width), dim),
            };
            put(buf, place.x, y, place.width, &text, style);
            self.flash(buf, place, y, &text, entry, column);
        }
    }

    /// When, by how much, and why the numbers last changed.
    fn change(&self, buf: &mut Buffer, place: Place, y: u16, entry: &Entry, ground: Style) {
        let (row, end) = (&entry.row, place.x + place.width);
        let room = |x: u16| end.saturating_sub(x);
        let dim = ground.patch(self.palette.dim);
        let mut x = put(buf, place.x, y, place.width, &format!("{:>3}", ago(self.state.now - row.changed_ts)), dim) + 1;
        if let Some(change) = &entry.change {
            if let Some(delta) = &change.delta {
                let (sign, style) = if delta.is_negative() { ("▼", self.palette.bad) } else { ("▲", self.palette.live) };
                let text = format!("{sign} {}", plain(delta.as_str().trim_start_matches('-')));
                x = put(buf, x, y, room(x), &text, ground.patch(style)) + 1;
            } else if change.turns[0].is_none() {
                x = put(buf, x, y, room(x), "⇄", dim) + 1;
            }
        }
        if let Some(cause) = &row.cause {
            put(buf, x, y, room(x), cause.text(), dim);
        }
    }
}
