//! An amount in a column: aligned at the point, thousands apart, never rounded. What does not fit ends in `…`. It computes nothing.

/// What stands for "the venue has not said".
pub(super) const UNKNOWN: &str = "—";
/// Before a value that the venue withdrew.
const WAS: &str = "— was ";

/// Room that a column of amounts needs, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Width {
    /// Before the point, with sign and spaces.
    pub whole: usize,
    /// From the point on.
    pub fraction: usize,
}

impl Width {
    /// Makes room for an amount; `was`: for one that the venue withdrew.
    pub(super) fn hold(&mut self, amount: &str, was: bool) {
        let (whole, fraction) = split(amount);
        let digits = whole.trim_start_matches('-').len();
        let lead = if was { WAS.chars().count() } else { 0 };
        self.whole = self.whole.max(whole.len() + digits.saturating_sub(1) / 3 + lead);
        self.fraction = self.fraction.max(fraction.len());
    }

    pub(super) fn columns(self) -> usize {
        self.whole + self.fraction
    }

    /// The most of it that fits: the fraction gives way first, but never without a mark.
    pub(super) fn within(self, columns: usize) -> Self {
        let whole = self.whole.min(columns.saturating_sub(self.fraction.min(1)));
        Self { whole, fraction: self.fraction.min(columns - whole) }
    }
}

fn split(amount: &str) -> (&str, &str) {
    amount.split_at(amount.find('.').unwrap_or(amount.len()))
}

/// Thousands apart by a space.
pub(super) fn grouped(whole: &str) -> String {
    let digits = whole.trim_start_matches('-');
    let mut text = whole[..whole.len() - digits.len()].to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The whole amount, thousands apart.
pub(super) fn plain(amount: &str) -> String {
    let (whole, fraction) = split(amount);
    grouped(whole) + fraction
}

/// The amount in exactly the column's width.
pub(super) fn aligned(amount: &str, width: Width) -> String {
    let (whole, fraction) = split(amount);
    let whole = grouped(whole);
    if whole.chars().count() > width.whole {
        // A part of the digits before the point would be another number.
        let mark = format!("{:>w$}", "…", w = width.whole.max(1));
        return format!("{mark:c$}", c = width.columns());
    }
    let fraction = if fraction.len() > width.fraction {
        // Characters of a fraction are ASCII.
        format!("{}…", &fraction[..width.fraction.saturating_sub(1)])
    } else {
        fraction.to_owned()
    };
    format!("{whole:>w$}{fraction:f$}", w = width.whole, f = width.fraction)
}

/// The sign for an unknown amount, where the last digit before the point would stand.
pub(super) fn unknown(width: Width) -> String {
    format!("{UNKNOWN:>w$}{:f$}", "", w = width.whole, f = width.fraction)
}

/// An unknown amount and its last known value, where there is room for both.
pub(super) fn was(amount: &str, width: Width) -> String {
    let text = aligned(amount, width);
    let room = text.chars().take_while(|c| *c == ' ').count();
    if room < WAS.chars().count() || text.contains('…') {
        return unknown(width);
    }
    format!("{}{WAS}{}", " ".repeat(room - WAS.chars().count()), text.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(amounts: &[&str]) -> Width {
        let mut width = Width::default();
        amounts.iter().for_each(|amount| width.hold(amount, false));
        width
    }

    #[test]
    fn points_stand_below_each_other_and_no_digit_is_lost() {
        let amounts = ["849207927.2960636", "0", "-1234.50", "0.000000000000000001"];
        let width = width(&amounts);
        let column: Vec<_> = amounts.iter().map(|amount| aligned(amount, width)).collect();
        assert_eq!(
            column,
            [
                "849 207 927.2960636           ",
                "          0                   ",
                "     -1 234.50                ",
                "          0.000000000000000001",
            ]
        );
        assert_eq!(plain("-1234567.890"), "-1 234 567.890");
    }

    #[test]
    fn what_does_not_fit_is_marked_and_never_another_number() {
        let full = width(&["12345.678901"]);
        assert_eq!(full, Width { whole: 6, fraction: 7 });
        assert_eq!(aligned("12345.678901", full.within(10)), "12 345.67…");
        assert_eq!(aligned("12345.678901", full.within(7)), "12 345…");
        assert_eq!(aligned("12345.678901", full.within(5)).trim(), "…");
        assert_eq!(aligned("12345", width(&["12345"]).within(4)).trim(), "…");
        for columns in 1..20 {
            assert_eq!(aligned("12345.678901", full.within(columns)).chars().count(), columns.min(13));
        }
    }

    #[test]
    fn unknown_is_no_zero_and_keeps_the_last_known_value_apart() {
        let mut width = Width::default();
        width.hold("24831.04", true);
        assert_eq!(was("24831.04", width), "— was 24 831.04");
        assert_eq!(was("1.5", width), "     — was 1.5 ");
        assert_eq!(unknown(width), "           —   ");
        assert_eq!(was("24831.04", width.within(10)).trim(), "—");
    }
}
