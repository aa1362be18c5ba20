//! Which columns a table of this width has, and where. What matters most stays longest.

use ratatui::layout::Rect;

use super::super::list::List;
use super::super::number::Width;

/// Between two columns.
const GAP: u16 = 2;
/// A mark and an indent before the name.
const INDENT: u16 = 3;
/// Room of the columns that hold no amounts: at least, and at most.
const NAME: (u16, u16) = (12, 20);
const WALLET: (u16, u16) = (10, 15);
const STATE: (u16, u16) = (11, 44);
const CHANGE: (u16, u16) = (18, 46);
const TREND: u16 = super::super::entries::HISTORY as u16;
/// An amount's head is a word; decimals beyond these give way, marked, where another column fits then. Never those of a total.
const HEAD: u16 = 9;
const DECIMALS: usize = 8;

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

/// The columns by importance; the first three are always there.
const NAME_AT: usize = 0;
const TOTAL_AT: usize = 1;
const STATE_AT: usize = 2;
const AVAILABLE_AT: usize = 3;
const CHANGE_AT: usize = 4;
const WALLET_AT: usize = 5;
const TREND_AT: usize = 6;
const LOCKED_AT: usize = 7;

impl Columns {
    pub(super) fn of(area: Rect, list: &List) -> Self {
        let bounds = bounds(list);
        let mut widths = [0; 8];
        let mut left = area.width.saturating_sub(1);
        for (at, (least, _)) in bounds.iter().enumerate() {
            let gap = if at == 0 { 0 } else { GAP };
            if at == TOTAL_AT {
                // The state comes after it, and is always there.
                widths[at] = (*least).min(left.saturating_sub(2 * GAP + STATE.0));
            } else if least + gap <= left {
                widths[at] = *least;
            } else {
                continue;
            }
            left -= widths[at] + gap;
        }
        let mut grow = |at: usize, most: u16| {
            if widths[at] > 0 {
                let more = most.min(bounds[at].1).saturating_sub(widths[at]).min(left);
                (widths[at], left) = (widths[at] + more, left - more);
            }
        };
        [(AVAILABLE_AT, u16::MAX), (LOCKED_AT, u16::MAX), (STATE_AT, 16), (NAME_AT, u16::MAX), (CHANGE_AT, 26)]
            .into_iter()
            .chain([(WALLET_AT, u16::MAX), (STATE_AT, 32), (CHANGE_AT, u16::MAX), (STATE_AT, u16::MAX)])
            .for_each(|(at, most)| grow(at, most));
        Self::placed(area, list, widths)
    }

    /// From left to right.
    fn placed(area: Rect, list: &List, widths: [u16; 8]) -> Self {
        let mut x = area.x + 1;
        let mut next = |at: usize| {
            let place = Place { x, width: widths[at] };
            (place.width > 0).then(|| {
                x += place.width + GAP;
                place
            })
        };
        let (name, wallet) = (next(NAME_AT).unwrap_or_default(), next(WALLET_AT));
        let amounts = [TOTAL_AT, AVAILABLE_AT, LOCKED_AT].map(&mut next);
        let (change, trend) = (next(CHANGE_AT), next(TREND_AT));
        let with_width = |column: usize| amounts[column].map(|p| (p, list.widths[column].within(usize::from(p.width))));
        Self { name, wallet, amounts: [0, 1, 2].map(with_width), change, trend, state: next(STATE_AT).unwrap_or_default() }
    }
}

/// What each column wants, at least and at most.
fn bounds(list: &List) -> [(u16, u16); 8] {
    let text = |wanted: usize, (least, most): (u16, u16), more: u16| {
        let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
        (wanted.clamp(8, least) + more, wanted.clamp(8, most) + more)
    };
    let amount = |column: usize| {
        let width = list.widths[column];
        let short = Width { fraction: width.fraction.min(DECIMALS + 2), ..width };
        let cells = |width: Width| u16::try_from(width.columns()).unwrap_or(u16::MAX).max(HEAD);
        (cells(short), cells(width))
    };
    let total = amount(0).1;
    [
        text(list.name_width, NAME, INDENT),
        (total, total),
        STATE,
        amount(1),
        CHANGE,
        text(list.wallet_width, WALLET, 0),
        (TREND, TREND),
        amount(2),
    ]
}
