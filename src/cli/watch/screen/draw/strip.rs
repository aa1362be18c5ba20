//! All accounts in one line: those that want a look first. It decides no state.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::super::text::{columns, cut, shorten};
use super::super::state::State;
use super::super::theme::Palette;
use super::super::words::{Kind, account_state, count};
use super::put;

/// Longest name and longest state in the strip.
const NAME: usize = 20;
const STATE: usize = 44;

pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, palette: &Palette) {
    let mut accounts: Vec<_> = state.accounts.all().map(|account| (account, account_state(state, account))).collect();
    accounts.sort_by_key(|(_, said)| said.kind == Kind::Live);
    let (mut x, all) = (area.x + 1, accounts.len());
    for (place, (account, said)) in accounts.into_iter().enumerate() {
        let name = shorten(&account.account, NAME);
        let text = cut(&said.text, STATE);
        let more = format!("… {} more", all - place);
        let left = if place + 1 < all { columns(&more) as u16 + 2 } else { 0 };
        let needs = (columns(&name) + columns(&text)) as u16 + 3;
        // The first one is shown, whatever is cut of it.
        if place > 0 && x + needs + left > area.right() {
            put(buf, x, area.y, area.right().saturating_sub(x), &more, palette.dim);
            return;
        }
        let style = palette.kind(said.kind);
        x = put(buf, x, area.y, 2, said.kind.sign(), style) + 1;
        x = put(buf, x, area.y, area.right() - x, &name, palette.accent) + 1;
        x = put(buf, x, area.y, area.right().saturating_sub(x), &text, style) + 3;
        if x >= area.right() {
            return;
        }
    }
}

/// What went wrong with an account since the gateway started; empty where nothing did.
pub(super) fn troubles(account: &super::super::super::wire::Account) -> String {
    let counts =
        [(account.reconnect_count, "reconnect"), (account.resync_count, "resync"), (account.drift_count, "drifted row")];
    let told =
        counts.into_iter().filter_map(|(n, what)| n.filter(|n| *n > 0).map(|n| format!(" · {}", count(n as usize, what))));
    told.collect()
}
