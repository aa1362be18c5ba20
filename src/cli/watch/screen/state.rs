//! What the view knows: entries, accounts, how the connection stands, what the person asked for. Pure: the time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use super::super::cursor::Batch;
use super::super::feed::{Link, Told};
use super::super::wire::{Account, Row};
use super::entries::{Entries, Entry};
use super::list::List;

/// Longest search text.
const MAX_FIND: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Account,
    Asset,
    /// The accounts themselves.
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Total,
    Available,
    Locked,
    Changed,
    State,
}

impl Column {
    pub(super) const ALL: [Self; 6] = [Self::Name, Self::Total, Self::Available, Self::Locked, Self::Changed, Self::State];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Total => "total",
            Self::Available => "available",
            Self::Locked => "locked",
            Self::Changed => "changed",
            Self::State => "state",
        }
    }
}

/// Which rows are shown by their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    All,
    Nonzero,
    NoDust,
}

/// What has the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Table,
    Find,
    Help,
    Details,
}

/// What the person asked for.
#[derive(Debug)]
pub(super) struct Query {
    pub view: View,
    pub find: String,
    pub show: Show,
    pub sort: Column,
    pub ascending: bool,
    /// Groups that are not as they come: an asset of one row comes folded, all else unfolded.
    pub turned: BTreeSet<String>,
}

/// Account records by venue and account.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<Box<str>, BTreeMap<Box<str>, Account>>);

impl Accounts {
    fn put(&mut self, account: Account) {
        self.0.entry(account.venue.raw().into()).or_default().insert(account.account.raw().into(), account);
    }

    /// By the names as they came.
    pub(super) fn get(&self, venue: &str, account: &str) -> Option<&Account> {
        self.0.get(venue)?.get(account)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Account> {
        self.0.values().flat_map(BTreeMap::values)
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub entries: Entries,
    pub accounts: Accounts,
    /// The gateway's word in the last frame.
    pub complete: bool,
    pub link: Link,
    /// When it came to stand so, and since when it is live or is not; in the gateway's time.
    pub link_at: i64,
    pub link_since: i64,
    /// Has there been a snapshot at all?
    pub begun: bool,
    pub problem: Option<String>,
    pub query: Query,
    pub mode: Mode,
    pub list: List,
    /// The list no longer says what the rest says.
    pub outdated: bool,
    /// Place of the chosen line in the list, and of the first one in sight.
    pub chosen: usize,
    pub top: usize,
    /// Lines in sight, as last drawn.
    pub height: usize,
    /// First line of the help or the details in sight.
    pub scroll: u16,
    /// What the gateway's clock is ahead of ours.
    ahead_ms: i64,
    /// The time that everything is shown for, in the gateway's time.
    pub now: i64,
}

impl State {
    pub(super) fn new(local_ms: i64) -> Self {
        let query = Query {
            view: View::Account,
            find: String::new(),
            show: Show::All,
            sort: Column::Name,
            ascending: true,
            turned: BTreeSet::new(),
        };
        Self {
            entries: Entries::default(),
            accounts: Accounts::default(),
            complete: false,
            link: Link::Connecting,
            link_at: local_ms,
            link_since: local_ms,
            begun: false,
            problem: None,
            query,
            mode: Mode::Table,
            list: List::default(),
            outdated: true,
            chosen: 0,
            top: 0,
            height: 1,
            scroll: 0,
            ahead_ms: 0,
            now: local_ms,
        }
    }

    /// Moves the time that everything is shown for.
    pub(super) fn at(&mut self, local_ms: i64) {
        self.now = local_ms + self.ahead_ms;
    }

    /// Takes in what the feed tells.
    pub(super) fn take(&mut self, told: Told, local_ms: i64) {
        match told {
            Told::Batch(batch) => self.batch(batch, local_ms),
            Told::Link(link) => {
                self.at(local_ms);
                self.link_at = self.now;
                // Attempt after attempt, the connection has been gone since it was live last.
                if (link == Link::Live) != self.is_live() {
                    self.link_since = self.now;
                }
                if link == Link::Live {
                    self.problem = None;
                }
                self.link = link;
            }
            Told::Problem(why) => self.problem = Some(why),
            Told::Frame(_) => {}
        }
        self.outdated = true;
    }

    fn batch(&mut self, batch: Batch, local_ms: i64) {
        if batch.ts > 0 {
            self.ahead_ms = batch.ts - local_ms;
        }
        self.at(local_ms);
        if batch.whole {
            self.accounts = Accounts::default();
        }
        self.begun = true;
        self.complete = batch.complete;
        for account in batch.accounts {
            self.accounts.put(account);
        }
        self.entries.take(batch.rows, batch.whole, self.now);
    }

    pub(super) fn is_live(&self) -> bool {
        self.link == Link::Live
    }

    pub(super) fn account_of(&self, row: &Row) -> Option<&Account> {
        self.accounts.get(row.venue.raw(), row.account.raw())
    }

    /// True where the account's rows may be live as of now: never while our own connection is unproven.
    pub(super) fn is_proven(&self, account: &Account) -> bool {
        self.is_live() && account.is_proven()
    }

    /// True where the row is live as of now.
    pub(super) fn row_is_live(&self, row: &Row) -> bool {
        &*row.state == "live" && self.account_of(row).is_some_and(|account| self.is_proven(account))
    }

    /// The gateway's word, as long as it is heard.
    pub(super) fn is_complete(&self) -> bool {
        self.is_live() && self.complete
    }

    /// Makes the list anew where it is outdated, and keeps the chosen line on its row.
    pub(super) fn refresh(&mut self) {
        if !self.outdated {
            return;
        }
        let name = self.list.name(self.chosen, &self.entries);
        self.list = List::build(self);
        self.outdated = false;
        if let Some(place) = name.and_then(|name| self.list.find(&name, &self.entries)) {
            self.chosen = place;
        }
        self.step(0);
    }

    /// Moves the chosen line, and what is in sight with it.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.list.items.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
        let lowest_top = self.chosen.saturating_sub(self.height.saturating_sub(1));
        self.top = self.top.clamp(lowest_top, self.chosen.max(lowest_top));
        self.top = self.top.min((last + 1).saturating_sub(self.height.max(1)));
        // The head of the first group stays in sight.
        if self.chosen < self.height.min(2) {
            self.top = 0;
        }
    }

    /// The entry of the chosen line, where that is a row.
    pub(super) fn chosen_entry(&self) -> Option<&Entry> {
        self.list.entry(self.chosen).map(|place| &self.entries.all[place])
    }

    /// Adds to the search text.
    pub(super) fn find_more(&mut self, text: &str) {
        let room = MAX_FIND.saturating_sub(self.query.find.chars().count());
        self.query.find.extend(super::super::text::clean(text).chars().take(room));
        self.search_changed();
    }

    /// The search text is another one: what is found begins at the top.
    pub(super) fn search_changed(&mut self) {
        self.outdated = true;
        self.refresh();
    }
}
