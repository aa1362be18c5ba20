//! A terminal's screen as an SVG picture, for the documentation. It draws what is there and decides nothing.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

/// A character's size, and the type's, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const TYPE: f64 = 14.0;
/// Around the text, and the bar above it.
const MARGIN: f64 = 14.0;
const BAR: f64 = 30.0;

/// Ground, text, bar and edge of a window, by the name of its theme.
fn window(theme: &str) -> [&'static str; 4] {
    if theme == "light" { ["#fbfaf7", "#1c1c1c", "#edeae3", "#d5d1c7"] } else { ["#121316", "#e4e4e4", "#1e2026", "#33363f"] }
}

/// The first 16 of the 256 colors are the terminal's own choice; the view uses none of them but black.
fn hex(color: Color, default: &str) -> String {
    let index = match color {
        Color::Default => return default.to_owned(),
        Color::Rgb(r, g, b) => return format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Idx(index) => index,
    };
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * u32::from(n) };
    match index {
        0..=15 => default.to_owned(),
        16..=231 => {
            let n = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        232..=255 => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * u32::from(index - 232)),
    }
}

/// What two neighbors must have in common to be one run.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: String,
    bold: bool,
    italic: bool,
    underline: bool,
    faint: bool,
}

fn look(cell: &Cell, theme: &str) -> Look {
    let [ground, text, ..] = window(theme);
    let (mut ink, mut paper) = (hex(cell.fgcolor(), text), hex(cell.bgcolor(), ground));
    if cell.fgcolor() == Color::Idx(16) {
        ink = "#000000".to_owned();
    }
    if cell.inverse() {
        std::mem::swap(&mut ink, &mut paper);
    }
    Look { ink, paper, bold: cell.bold(), italic: cell.italic(), underline: cell.underline(), faint: cell.dim() }
}

/// The picture of a screen in a window with this title.
pub fn svg(screen: &Screen, theme: &str, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let [ground, _, bar, edge] = window(theme);
    let (width, height) = (f64::from(columns) * CELL.0 + 2.0 * MARGIN, f64::from(rows) * CELL.1 + 2.0 * MARGIN + BAR);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text{{font:{TYPE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}\
         .b{{font-weight:600}}.i{{font-style:italic}}.f{{opacity:.6}}rect{{shape-rendering:crispEdges}}</style>\n\
         <rect x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"9\" fill=\"{ground}\" stroke=\"{edge}\"/>\n\
         <path d=\"M1 {BAR}V9.5a8.5 8.5 0 0 1 8.5-8.5H{:.1}a8.5 8.5 0 0 1 8.5 8.5V{BAR}z\" fill=\"{bar}\"/>\n",
        width - 1.0,
        height - 1.0,
        width - 9.5,
    );
    for (place, color) in ["#e0685f", "#e0b04f", "#6bb565"].iter().enumerate() {
        _ = writeln!(out, "<circle cx=\"{}\" cy=\"15\" r=\"5\" fill=\"{color}\"/>", 19 + 18 * place);
    }
    _ = writeln!(out, "<text x=\"{:.0}\" y=\"20\" text-anchor=\"middle\" fill=\"#888\">{title}</text>", width / 2.0);
    for row in 0..rows {
        line(&mut out, screen, row, columns, theme);
    }
    out.push_str("</svg>\n");
    out
}

fn line(out: &mut String, screen: &Screen, row: u16, columns: u16, theme: &str) {
    let top = BAR + MARGIN + f64::from(row) * CELL.1;
    let mut column = 0;
    while column < columns {
        let Some(first) = screen.cell(row, column) else { return };
        let look_of = look(first, theme);
        let (start, mut text) = (column, String::new());
        while let Some(cell) = screen.cell(row, column).filter(|cell| column < columns && look(cell, theme) == look_of) {
            text.push_str(if cell.contents().is_empty() { " " } else { cell.contents() });
            column += 1;
        }
        let (x, width) = (MARGIN + f64::from(start) * CELL.0, f64::from(column - start) * CELL.0);
        if look_of.paper != window(theme)[0] {
            let paper = &look_of.paper;
            _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{paper}\"/>",
                CELL.1
            );
        }
        if look_of.underline {
            let (y, ink) = (top + CELL.1 - 1.5, &look_of.ink);
            _ = writeln!(out, "<path d=\"M{x:.1} {y:.1}h{width:.1}\" stroke=\"{ink}\" opacity=\".5\"/>");
        }
        words(out, &text, start, top, &look_of);
    }
}

/// Each word at its own place, so that another font's widths do not add up.
fn words(out: &mut String, text: &str, start: u16, top: f64, look: &Look) {
    let mut class = String::new();
    for (on, name) in [(look.bold, "b "), (look.italic, "i "), (look.faint, "f ")] {
        class.push_str(if on { name } else { "" });
    }
    let (ink, y) = (&look.ink, top + CELL.1 * 0.73);
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{}\"", class.trim_end()) };
    let (mut place, mut rest) = (usize::from(start), text);
    while !rest.is_empty() {
        let blank = rest.chars().take_while(|c| *c == ' ').count();
        (place, rest) = (place + blank, &rest[blank..]);
        let word = &rest[..rest.find(' ').unwrap_or(rest.len())];
        let length = word.chars().count();
        if length > 0 {
            let (x, width) = (MARGIN + place as f64 * CELL.0, length as f64 * CELL.0);
            let safe = word.replace('&', "&amp;").replace('<', "&lt;");
            _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{ink}\"{class} textLength=\"{width:.1}\">{safe}</text>");
        }
        (place, rest) = (place + length, &rest[word.len()..]);
    }
}
