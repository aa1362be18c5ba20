//! Colors and styles. No state is told by color alone, so that all of this may be switched off.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};

use super::words::Kind;

/// What the terminal's background is taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::watch) enum Theme {
    Auto,
    Dark,
    Light,
}

/// Styles by meaning.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::watch) struct Palette {
    pub live: Style,
    pub stale: Style,
    pub bad: Style,
    /// What is less important.
    pub dim: Style,
    pub accent: Style,
    /// Numbers that just went up, down, or from or to unknown.
    pub up: Style,
    pub down: Style,
    pub changed: Style,
    /// The line of a group, the chosen line, the heads of the columns.
    pub group: Style,
    pub chosen: Style,
    pub heads: Style,
    /// The view that is shown, among the others.
    pub tab: Style,
}

impl Theme {
    /// `NO_COLOR` (no-color.org) wins. Auto asks `COLORFGBG`, which some terminals set.
    pub(in crate::cli::watch) fn palette(self) -> Palette {
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return MONO;
        }
        match self {
            Self::Dark => DARK,
            Self::Light => LIGHT,
            Self::Auto => {
                match std::env::var("COLORFGBG").ok().and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok()) {
                    Some(0..=6 | 8) => DARK,
                    Some(7 | 15) => LIGHT,
                    _ => EITHER,
                }
            }
        }
    }
}

impl Palette {
    pub(super) fn kind(&self, kind: Kind) -> Style {
        match kind {
            Kind::Live => self.live,
            Kind::Degraded | Kind::Stale => self.stale,
            Kind::Pending => self.dim,
            Kind::Bad => self.bad,
        }
    }
}

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

const fn ink(color: u8) -> Style {
    Style::new().fg(Color::Indexed(color))
}

const fn paper(color: u8) -> Style {
    Style::new().bg(Color::Indexed(color))
}

/// Inks of the fixed 256 colors at 3.9 : 1 or more against white and against black alike.
const EITHER: Palette = Palette {
    live: ink(28),
    stale: ink(130),
    bad: ink(160),
    dim: DIM,
    accent: ink(31),
    up: ink(231).bg(Color::Indexed(28)),
    down: ink(231).bg(Color::Indexed(160)),
    changed: ink(231).bg(Color::Indexed(31)),
    group: BOLD,
    chosen: BOLD,
    heads: DIM.add_modifier(Modifier::UNDERLINED),
    tab: BOLD.add_modifier(Modifier::REVERSED),
};

const DARK: Palette = Palette {
    live: ink(114),
    stale: ink(179),
    bad: ink(210),
    dim: ink(246),
    accent: ink(110),
    up: ink(231).bg(Color::Indexed(22)),
    down: ink(231).bg(Color::Indexed(88)),
    changed: ink(231).bg(Color::Indexed(24)),
    group: paper(235).add_modifier(Modifier::BOLD),
    chosen: paper(238),
    heads: ink(246).add_modifier(Modifier::UNDERLINED),
    tab: ink(16).bg(Color::Indexed(110)).add_modifier(Modifier::BOLD),
};

const LIGHT: Palette = Palette {
    live: ink(22),
    stale: ink(94),
    bad: ink(124),
    dim: ink(241),
    accent: ink(25),
    up: ink(16).bg(Color::Indexed(157)),
    down: ink(16).bg(Color::Indexed(217)),
    changed: ink(16).bg(Color::Indexed(153)),
    group: paper(254).add_modifier(Modifier::BOLD),
    chosen: paper(252),
    heads: ink(241).add_modifier(Modifier::UNDERLINED),
    tab: ink(231).bg(Color::Indexed(25)).add_modifier(Modifier::BOLD),
};

const MONO: Palette = Palette {
    live: PLAIN,
    stale: PLAIN,
    bad: BOLD,
    dim: DIM,
    accent: BOLD,
    up: BOLD.add_modifier(Modifier::UNDERLINED),
    down: BOLD.add_modifier(Modifier::UNDERLINED),
    changed: BOLD.add_modifier(Modifier::UNDERLINED),
    group: BOLD,
    chosen: Style::new().add_modifier(Modifier::REVERSED),
    heads: DIM.add_modifier(Modifier::UNDERLINED),
    tab: BOLD.add_modifier(Modifier::REVERSED),
};
