//! Plain output: one line a change, or one line a frame. For pipes, logs, and terminals that cannot do more.

use std::io::Write;

use super::cursor::Batch;
use super::feed::{Link, Told};
use super::text::{json_line, shorten};
use super::wire::Row;
use std::collections::BTreeMap;

/// What the lines need to remember.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Frames themselves instead of changes.
    pub json: bool,
    /// End after the first snapshot.
    pub once: bool,
    /// Account → state as last told.
    accounts: BTreeMap<[Box<str>; 2], String>,
}

impl Lines {
    pub(super) fn new(json: bool, once: bool) -> Self {
        Self { json, once, accounts: BTreeMap::new() }
    }

    /// Shows what is told; false when there is nothing more to show, or nobody to show it to.
    pub(super) fn show(&mut self, told: Told) -> bool {
        let (mut lines, mut more) = (String::new(), true);
        match told {
            Told::Frame(text) => lines = json_line(&text),
            Told::Batch(batch) => {
                more = !self.once;
                let told = self.changes(batch);
                if !self.json {
                    lines = told;
                }
            }
            Told::Link(Link::Waiting { wait_ms, why }) => {
                complain(&format!("not connected ({why}); next attempt in {wait_ms} ms"))
            }
            Told::Link(Link::Token { why }) => complain(&format!("waiting for another token: {why}")),
            Told::Link(Link::Silent) => complain("nothing is heard from the gateway; no row is live"),
            Told::Link(Link::Connecting | Link::Live) => {}
            Told::Problem(why) => complain(&why),
        }
        // A reader that went away (`| head`) ends the command.
        let written = std::io::stdout().write_all(lines.as_bytes()).and_then(|()| std::io::stdout().flush());
        more && written.is_ok()
    }

    /// What is new, one line each.
    fn changes(&mut self, batch: Batch) -> String {
        let mut lines = String::new();
        if batch.whole {
            self.accounts.clear();
        }
        for account in batch.accounts {
            let reason = account.reason.as_ref().map(|reason| format!(": {}", reason.text)).unwrap_or_default();
            let state = format!("{}{reason}", account.state);
            let key = [account.venue.raw().into(), account.account.raw().into()];
            if self.accounts.insert(key, state.clone()).as_ref() != Some(&state) {
                lines.push_str(&format!("{:<10} {:<12} is {state}\n", account.venue, account.account));
            }
        }
        for row in &batch.rows {
            lines.push_str(&line(row));
        }
        lines
    }
}

fn line(row: &Row) -> String {
    let [total, available, locked] = row.amounts().map(|amount| amount.map_or("—", |amount| amount.as_str()));
    let cause = row.cause.as_ref().map_or(String::new(), |cause| format!("  {}", cause.text()));
    format!(
        "{:<10} {:<12} {:<14} {:<12} {total:>24} = {available:>24} + {locked:>20}  {}{cause}\n",
        row.venue,
        row.account,
        shorten(&row.wallet, 12),
        shorten(&row.asset, 12),
        row.state,
    )
}

/// A line on stderr. Where that is closed, nobody is left to tell.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
