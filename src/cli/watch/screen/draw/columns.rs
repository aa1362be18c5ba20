//! Which columns a table of this width has, and where. What matters most stays longest.

use ratatui::layout::Rect;

use super::super::list::List;
use super::super::number::Width;

/// Between two columns.
const GAP: u16 = 2;
/// Room of the columns that hold no amounts: at least, and at most.
const NAME: (u16, u16) = (8, 20);
const WALLET: (u16, u16) = (6, 15);
const STATE: (u16, u16) = (10, 44);
const CHANGE: (u16, u16) = (18, 46);
pub(super) const TREND: u16 = super::super::entries::HISTORY as u16;

/// A column's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub x: u16,
    pub width: u16,
}

/// Where everything is. Absent: there is no room for it.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub name: Place,
    pub wallet: Option<Place>,
    /// Total, available, locked.
    pub amounts: [Option<(Place, Width)>; 3],
    pub change: Option<Place>,
    pub trend: Option<Place>,
    pub state: Place,
}

impl Columns {
    pub(super) fn of(area: Rect, list: &List) -> Self {
        let wide = |place: usize, (least, most): (u16, u16)| (place.min(usize::from(most)) as u16).max(least);
        // A mark and an indent stand before the name.
        let name = wide(list.name_width, NAME) + 3;
        let wallet = wide(list.wallet_width, WALLET);
        // A head is at least as wide as its word.
        let needs = list.widths.map(|width| (width.columns() as u16).max(9));
        let mut left = i32::from(area.width) - i32::from(name + 1 + GAP + STATE.0);
        let total = needs[0].min((left - i32::from(GAP)).max(4) as u16);
        left -= i32::from(total + GAP);
        let mut fits = |needs: u16| {
            let fits = i32::from(needs + GAP) <= left;
            left -= if fits { i32::from(needs + GAP) } else { 0 };
            fits
        };
        let has_available = fits(needs[1]);
        let has_wallet = fits(wallet);
        let has_change = fits(CHANGE.0);
        let has_locked = has_available && fits(needs[2]);
        let has_trend = fits(TREND);
        // What is left goes to the texts.
        let mut left = left.max(0) as u16;
        let mut more = |least: u16, most: u16| {
            let taken = left.min(most - least);
            left -= taken;
            least + taken
        };
        let state_first = more(STATE.0, 24);
        let change = if has_change { more(CHANGE.0, CHANGE.1) } else { 0 };
        let state = more(state_first, STATE.1);
        let mut x = area.x + 1;
        let mut next = |width: u16| {
            let place = Place { x, width };
            x += width + GAP;
            place
        };
        let mut columns = Self { name: next(name), wallet: has_wallet.then(|| next(wallet)), ..Self::default() };
        for (column, (has, needs)) in [(true, total), (has_available, needs[1]), (has_locked, needs[2])].into_iter().enumerate()
        {
            columns.amounts[column] = has.then(|| (next(needs), list.widths[column].within(usize::from(needs))));
        }
        columns.change = has_change.then(|| next(change));
        columns.trend = has_trend.then(|| next(TREND));
        columns.state = next(state);
        columns
    }
}
