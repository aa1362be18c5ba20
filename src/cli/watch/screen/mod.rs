//! The full-screen view: takes the terminal, draws when something changed, gives the terminal back. What is shown is the state's matter.
//!
//! [`state`], [`entries`], [`list`] and [`keys`] are pure; [`draw`] makes cells of them.

mod draw;
mod entries;
mod keys;
mod list;
mod number;
mod state;
mod theme;
mod words;

#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Stdout, stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute};
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::feed::Told;
use crate::runtime::stop_signal;
use keys::Flow;
use state::State;

pub(super) use theme::{Palette, Theme};

/// What counts as dust.
const DUST: &str = "0.0001";
/// Least time between two pictures: for changes, and for keys, where a person waits.
const CHANGES_MS: u64 = 66;
const KEYS_MS: u64 = 16;
/// Ages move even when nothing changes.
const AGES_MS: u64 = 500;

/// The terminal, taken. Gives it back when dropped, and before a panic is told.
pub(super) struct Screen(Terminal<CrosstermBackend<BufWriter<Stdout>>>);

impl Screen {
    /// Takes the terminal: raw mode, the other screen, no cursor.
    pub(super) fn enter() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enable_raw_mode()?;
        let entered = execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::new(stdout()))));
        match entered {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Harmless where it was given back before. A terminal that is gone wants nothing back.
fn give_back() {
    let _ = execute!(stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Milliseconds since 1970 by our own clock.
fn local_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Shows what is told until the person leaves, the terminal is gone, or the process is asked to stop.
pub(super) async fn run(
    mut screen: Screen,
    mut told: mpsc::Receiver<Told>,
    hurry: &Notify,
    palette: Palette,
) -> anyhow::Result<()> {
    let (mut state, mut events) = (State::new(local_ms()), EventStream::new());
    let mut stop = std::pin::pin!(stop_signal());
    let mut drawn = Instant::now() - Duration::from_millis(AGES_MS);
    let mut due = drawn;
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => return Ok(()),
            event = events.next() => match event {
                Some(Ok(event)) => {
                    match take(&mut state, event) {
                        Flow::Stay => {}
                        Flow::Quit => return Ok(()),
                        Flow::Hurry => hurry.notify_one(),
                    }
                    due = due.min(drawn + Duration::from_millis(KEYS_MS));
                }
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            () = sleep_until(due) => {
                state.at(local_ms());
                state.refresh();
                // Terminals that know of it show the picture whole.
                execute!(stdout(), BeginSynchronizedUpdate)?;
                screen.0.draw(|frame| draw::draw(frame, &mut state, &palette))?;
                execute!(stdout(), EndSynchronizedUpdate)?;
                drawn = Instant::now();
                due = drawn + Duration::from_millis(AGES_MS);
            }
            // Before the picture is due all that waits is taken in; the feed goes no further ahead than its channel.
            Some(told) = told.recv() => {
                state.take(told, local_ms());
                due = due.min(drawn + Duration::from_millis(CHANGES_MS));
            }
        }
    }
}

fn take(state: &mut State, event: Event) -> Flow {
    match event {
        Event::Key(key) => keys::press(state, key),
        Event::Paste(text) => {
            keys::paste(state, &text);
            Flow::Stay
        }
        // The next picture has the new size.
        _ => Flow::Stay,
    }
}
