//! What lies over the table: the help, and everything about one row.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph, Widget, Wrap};

use super::super::super::text::{Text, shorten};
use super::super::entries::Entry;
use super::super::keys::HELP;
use super::super::number::{UNKNOWN, plain};
use super::super::state::State;
use super::super::theme::Palette;
use super::super::words::{account_state, age, row_state};

pub(super) fn help(buf: &mut Buffer, area: Rect, state: &mut State, palette: &Palette) {
    let key = |(key, what): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("{key:<11}"), palette.accent), Span::raw(*what)])
    };
    let mut lines: Vec<Line<'_>> = HELP.iter().map(key).collect();
    lines.push(Line::default());
    let signs = "● live  ◐ in part  ○ stale: last known, not proven  ◌ pending  ✖ someone must act";
    lines.extend(
        [
            signs,
            "— the venue has not said; “— was 1.2”: it said so once and withdrew it",
            "… does not fit; Enter shows it whole",
        ]
        .map(Line::raw),
    );
    panel(buf, area, " Keys ", lines, state, palette);
}

pub(super) fn details(buf: &mut Buffer, area: Rect, state: &mut State, palette: &Palette) {
    let Some(entry) = state.chosen_entry() else { return };
    let lines = about(state, entry, palette);
    let title = format!(" {} ", shorten(&entry.row.asset, 40));
    panel(buf, area, &title, lines, state, palette);
}

/// Everything that is known of a row, each number whole.
fn about(state: &State, entry: &Entry, palette: &Palette) -> Vec<Line<'static>> {
    let row = &entry.row;
    let mut lines = Vec::new();
    let mut say = |name: &str, text: String, style: Style| {
        lines.push(Line::from(vec![Span::styled(format!("{name:<13}"), palette.dim), Span::styled(text, style)]));
    };
    let plainly = Style::new();
    for (name, text) in [("venue", &row.venue), ("account", &row.account), ("wallet", &row.wallet), ("asset", &row.asset)] {
        say(name, text.to_string(), plainly);
    }
    let last_ts = row.last_known.as_ref().map_or(0, |last| last.ts);
    for ((name, amount), last) in ["total", "available", "locked"].into_iter().zip(row.amounts()).zip(row.last_amounts()) {
        let mut text = amount.map_or_else(|| format!("{UNKNOWN} the venue has not said"), |amount| plain(amount.as_str()));
        if let Some((_, basis)) = row.basis.iter().find(|(of, _)| &***of == name) {
            text.push_str(match &**basis {
                "derived" => "  (computed, by an identity that the venue documents)",
                "absent" => "  (a complete list of the venue no longer names it)",
                _ => "  (not plainly reported)",
            });
        }
        if let Some(last) = last {
            text.push_str(&format!("; it was {} {} ago", plain(last.as_str()), age(state.now - last_ts)));
        }
        say(name, text, plainly);
    }
    let said = row_state(state, row);
    say("state", format!("{} {}", said.kind.sign(), said.text), palette.kind(said.kind));
    if let Some(account) = state.account_of(row) {
        let said = account_state(state, account);
        say("account is", format!("{} {}", said.kind.sign(), said.text), palette.kind(said.kind));
        if let Some(fees) = &account.fees {
            let fee = |fee: &Option<Text>| fee.as_deref().unwrap_or(UNKNOWN).to_owned();
            say("fees", format!("maker {}, taker {} (parts of 1)", fee(&fees.maker), fee(&fees.taker)), plainly);
        }
        for warning in &account.warnings {
            say("warning", warning.to_string(), palette.stale);
        }
    }
    let ago = |ts: i64| format!("{} ago", age(state.now - ts));
    say("changed", ago(row.changed_ts), plainly);
    say("received", ago(row.received_ts), plainly);
    say("venue's time", row.venue_ts.map_or_else(|| format!("{UNKNOWN} it sends none"), ago), plainly);
    if let Some(cause) = &row.cause {
        let text = cause.description.as_ref().map_or_else(String::new, |text| format!(": {text}"));
        say("cause", format!("{}{text}", cause.r#type), plainly);
    }
    for (name, text) in &row.extra {
        say(&name.replace('_', " "), text.to_string(), plainly);
    }
    lines
}

/// A framed text in the middle, as large as it needs to be, scrolled as far as it goes.
fn panel(buf: &mut Buffer, area: Rect, title: &str, lines: Vec<Line<'_>>, state: &mut State, palette: &Palette) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0) as u16;
    let width = (widest + 6).clamp(30, area.width - 4);
    let room = usize::from(width - 6).max(1);
    let height: usize = lines.iter().map(|line| line.width().div_ceil(room).max(1)).sum();
    // What is wrapped at words may need more than what is wrapped at columns.
    let spare = if usize::from(widest) > room { 2 } else { 0 };
    let shown = ((height + spare) as u16 + 2).min(area.height - 2);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - shown) / 2, width, height: shown };
    state.scroll = state.scroll.min(((height + spare) as u16 + 2).saturating_sub(shown));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(palette.accent)
        .title(title.to_owned())
        .title_bottom(Line::from(" Esc closes ").right_aligned())
        .padding(Padding::horizontal(2));
    Clear.render(place, buf);
    Paragraph::new(lines).block(block).wrap(Wrap { trim: false }).scroll((state.scroll, 0)).render(place, buf);
}
