//! What is to be shown, in order: entries filtered, grouped, sorted, with totals that say whether they are whole. It draws nothing.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use super::super::text::columns;
use super::super::wire::{Account, Row, RowKey};
use super::entries::{Entries, Entry};
use super::number::Width;
use super::state::{Column, Query, Show, State, View};
use crate::model::Amount;

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// Place among the groups.
    Group(usize),
    /// Place among the entries.
    Row(usize),
}

/// A sum over the known parts of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub known: Amount,
    /// Parts that are not known.
    pub unknown: usize,
}

#[derive(Debug)]
pub(super) struct Group {
    /// What it is folded by.
    pub key: String,
    /// The account or the asset, safe to show.
    pub title: String,
    /// Place among the entries of any row of it; absent for an account without rows.
    pub sample: Option<usize>,
    pub folded: bool,
    /// Rows that pass the search, and all.
    pub shown: usize,
    pub rows: usize,
    /// By asset: total, available, locked over all rows.
    pub sums: Option<[Sum; 3]>,
    /// Why the sums are not the whole; empty: they are.
    pub missing: Vec<String>,
    /// Parts are not even known by name: the known sum is a part, which is never shown as a total.
    pub part: bool,
}

#[derive(Debug, Default)]
pub(super) struct List {
    pub items: Vec<Item>,
    pub groups: Vec<Group>,
    /// All rows, and those that pass the search.
    pub rows: usize,
    pub shown: usize,
    /// Room that the amounts of each column need, and the names, in columns of the terminal.
    pub widths: [Width; 3],
    pub name_width: usize,
    pub wallet_width: usize,
}

impl Group {
    /// The account, in the views by account.
    pub(super) fn account<'a>(&self, state: &'a State) -> Option<&'a Account> {
        let (venue, account) = self.key.split_once('\0')?;
        state.accounts.get(venue, account)
    }
}

impl List {
    pub(super) fn build(state: &State) -> Self {
        let (all, query) = (&state.entries.all, &state.query);
        let words = words(query);
        let mut groups: HashMap<&str, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let name = |account: &'_ Account| format!("{}\0{}", account.venue.raw(), account.account.raw());
        let keys: HashMap<[&str; 2], String> =
            state.accounts.all().map(|account| ([account.venue.raw(), account.account.raw()], name(account))).collect();
        if query.view != View::Asset {
            // An account without rows is told too: it may hold what is not known yet.
            keys.values().for_each(|key| _ = groups.entry(key).or_default());
        }
        let orphan = String::new();
        for (place, entry) in all.iter().enumerate() {
            let key = match query.view {
                View::Asset => entry.row.asset.raw(),
                _ => keys.get(&[entry.row.venue.raw(), entry.row.account.raw()]).unwrap_or(&orphan),
            };
            let (members, visible) = groups.entry(key).or_default();
            members.push(place);
            if passes(state, entry, &words) {
                visible.push(place);
            }
        }
        let missing = if query.view == View::Asset { Missing::of(state) } else { Missing::default() };
        let mut made: Vec<(Group, Vec<usize>)> = groups
            .into_iter()
            .map(|(key, (members, mut visible))| {
                visible.sort_by(|a, b| order(&all[*a], &all[*b], query));
                (group(state, key, &members, visible.len(), &missing), visible)
            })
            .collect();
        made.sort_by(|a, b| group_order(all, query, a, b));
        Self::arrange(state, made)
    }

    fn arrange(state: &State, made: Vec<(Group, Vec<usize>)>) -> Self {
        let mut list = Self { rows: state.entries.all.len(), ..Self::default() };
        for (group, visible) in made {
            let told = match state.query.view {
                View::Asset => !visible.is_empty(),
                View::Account => !visible.is_empty() || state.query.find.is_empty(),
                View::Status => group.account(state).is_some_and(|account| account_passes(account, &words(&state.query))),
            };
            if !told {
                continue;
            }
            list.shown += visible.len();
            list.items.push(Item::Group(list.groups.len()));
            if let Some(sums) = group.sums.as_ref().filter(|_| !group.part) {
                for (width, sum) in list.widths.iter_mut().zip(sums).filter(|(_, sum)| sum.unknown == 0) {
                    width.hold(sum.known.as_str(), false);
                }
            }
            list.name_width = list.name_width.max(if state.query.view == View::Asset { columns(&group.title) } else { 0 });
            let folded = group.folded || state.query.view == View::Status;
            if let Some(only) = group.sample.filter(|_| group.rows == 1 && state.query.view == View::Asset) {
                list.wallet_width = list.wallet_width.max(columns(&state.entries.all[only].row.account));
            }
            list.groups.push(group);
            if folded {
                continue;
            }
            for place in visible {
                list.items.push(Item::Row(place));
                let row = &state.entries.all[place].row;
                let by_asset = state.query.view == View::Asset;
                // An account and its venue, with a dot between.
                let name = if by_asset { columns(&row.account) + columns(&row.venue) + 3 } else { columns(&row.asset) };
                list.name_width = list.name_width.max(name);
                list.wallet_width = list.wallet_width.max(columns(&row.wallet));
                for (width, (amount, last)) in list.widths.iter_mut().zip(row.amounts().into_iter().zip(row.last_amounts())) {
                    if let Some(amount) = amount.or(last) {
                        width.hold(amount.as_str(), amount_is_last(row, amount));
                    }
                }
            }
        }
        list
    }

    /// A name of the line that outlives the list.
    pub(super) fn name(&self, place: usize, entries: &Entries) -> Option<Name> {
        Some(match *self.items.get(place)? {
            Item::Group(group) => Name::Group(self.groups[group].key.clone()),
            Item::Row(entry) => Name::Row(entries.all.get(entry)?.row.key()),
        })
    }

    pub(super) fn find(&self, name: &Name, entries: &Entries) -> Option<usize> {
        self.items.iter().position(|item| match (*item, name) {
            (Item::Group(group), Name::Group(key)) => self.groups[group].key == *key,
            (Item::Row(entry), Name::Row([venue, account, wallet, asset])) => {
                let row = &entries.all[entry].row;
                row.asset.raw() == &**asset
                    && row.wallet.raw() == &**wallet
                    && row.account.raw() == &**account
                    && row.venue.raw() == &**venue
            }
            _ => false,
        })
    }

    /// Place among the entries, where the line is a row.
    pub(super) fn entry(&self, place: usize) -> Option<usize> {
        match self.items.get(place)? {
            Item::Row(entry) => Some(*entry),
            Item::Group(_) => None,
        }
    }

    /// The group that the line is of.
    pub(super) fn group_of(&self, place: usize) -> Option<&Group> {
        self.items[..(place + 1).min(self.items.len())].iter().rev().find_map(|item| match item {
            Item::Group(group) => self.groups.get(*group),
            Item::Row(_) => None,
        })
    }
}

/// See [`List::name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Group(String),
    Row(RowKey),
}

fn amount_is_last(row: &Row, amount: &Amount) -> bool {
    row.last_amounts().iter().flatten().any(|last| std::ptr::eq(*last, amount))
}

fn words(query: &Query) -> Vec<String> {
    query.find.to_lowercase().split_whitespace().map(str::to_owned).collect()
}

fn account_passes(account: &Account, words: &[String]) -> bool {
    let text = format!("{} {} {}", account.account, account.venue, account.state.replace('_', " ")).to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

fn passes(state: &State, entry: &Entry, words: &[String]) -> bool {
    let state_word = || if state.row_is_live(&entry.row) { "live" } else { "stale" };
    words.iter().all(|word| entry.text.contains(word.as_str()) || (matches!(&**word, "live" | "stale") && state_word() == word))
        && (state.query.show == Show::All || !is_small(entry, state.query.show))
}

/// Below this an amount is dust. Assets differ in worth; the view knows no prices, so the bound is one for all and says so.
fn dust() -> Amount {
    super::DUST.parse().unwrap_or(Amount::ZERO)
}

/// True where every known amount is zero (or dust). What is not known may be anything, so it is never small.
fn is_small(entry: &Entry, show: Show) -> bool {
    let [total, available, locked] = entry.row.amounts();
    if total.is_none() && (available.is_none() || locked.is_none()) {
        return false;
    }
    [total, available, locked].into_iter().flatten().all(|amount| {
        let size = || if amount.is_negative() { amount.negated() } else { amount.clone() };
        amount.is_zero() || (show == Show::NoDust && size().compare(&dust()).is_lt())
    })
}

/// Why no total across accounts is whole.
#[derive(Default)]
struct Missing<'a> {
    why: Vec<String>,
    /// Accounts that are not proven.
    unproven: Vec<&'a Account>,
    /// Rows may be missing altogether.
    part: bool,
}

impl<'a> Missing<'a> {
    fn of(state: &'a State) -> Self {
        let mut missing = Self::default();
        if !state.is_live() {
            missing.why.push("the gateway is not heard".to_owned());
        }
        for account in state.accounts.all().filter(|account| !account.is_proven()) {
            missing.unproven.push(account);
            // Before the first complete list nobody knows what is in it.
            missing.part |= account.last_confirmed_ts.is_none();
        }
        if missing.why.is_empty() && missing.unproven.is_empty() && !state.complete {
            missing.why.push("rows were left out".to_owned());
            missing.part = true;
        }
        missing
    }

    /// Of one asset: what is in it and stale is one thing, that an account which may hold more is not in it another.
    fn told(&self, state: &State, members: &[usize]) -> Vec<String> {
        let rows = || members.iter().map(|place| &state.entries.all[*place].row);
        let of =
            |account: &Account, row: &Row| row.account.raw() == account.account.raw() && row.venue.raw() == account.venue.raw();
        let mut told = self.why.clone();
        for account in &self.unproven {
            let (id, word) = (&account.account, account.state.replace('_', " "));
            let is_in = rows().any(|row| of(account, row));
            told.push(if is_in { format!("{id} {word}") } else { format!("without {id} ({word})") });
        }
        if state.is_live() {
            // Rows may be doubted although their account is proven.
            let is_told = |row: &Row| self.unproven.iter().any(|account| of(account, row));
            let doubted = rows().filter(|row| !state.row_is_live(row) && !is_told(row));
            told.extend(doubted.map(|row| &*row.account).collect::<BTreeSet<_>>().into_iter().map(|id| format!("{id} stale")));
        }
        told
    }
}

fn group(state: &State, key: &str, members: &[usize], shown: usize, missing: &Missing<'_>) -> Group {
    let (all, query) = (&state.entries.all, &state.query);
    let sample = members.first().copied();
    let folded = query.turned.contains(key) != (query.view == View::Asset && members.len() == 1);
    let mut group = Group {
        key: key.to_owned(),
        title: String::new(),
        sample,
        folded,
        shown,
        rows: members.len(),
        sums: None,
        missing: Vec::new(),
        part: missing.part,
    };
    if query.view != View::Asset {
        let (venue, account) = key.split_once('\0').unwrap_or_default();
        group.title = state.accounts.get(venue, account).map_or_else(String::new, |account| account.account.to_string());
        return group;
    }
    group.title = sample.map_or_else(String::new, |place| all[place].row.asset.to_string());
    let sums: [Sum; 3] = std::array::from_fn(|column| sum(members.iter().map(|place| all[*place].row.amounts()[column])));
    group.missing = missing.told(state, members);
    if sums[0].unknown > 0 {
        group.missing.push(format!("{} of {} unknown", sums[0].unknown, members.len()));
    }
    group.sums = Some(sums);
    group
}

fn sum<'a>(amounts: impl Iterator<Item = Option<&'a Amount>>) -> Sum {
    let mut sum = Sum { known: Amount::ZERO, unknown: 0 };
    let mut first = true;
    for amount in amounts {
        match amount {
            // A sum of one is that one, with its digits.
            Some(amount) if first => (sum.known, first) = (amount.clone(), false),
            Some(amount) => sum.known = sum.known.plus(amount),
            None => sum.unknown += 1,
        }
    }
    sum
}

/// By name where all else is equal, so that rows never swap places by chance.
fn order(a: &Entry, b: &Entry, query: &Query) -> Ordering {
    let by_name = || {
        let (x, y) = (&a.row, &b.row);
        if query.view == View::Asset {
            (&x.venue, &x.account, &x.wallet).cmp(&(&y.venue, &y.account, &y.wallet))
        } else {
            (&x.asset, &x.wallet).cmp(&(&y.asset, &y.wallet))
        }
    };
    let turn = |order: Ordering| if query.ascending { order } else { order.reverse() };
    match query.sort {
        Column::Name => turn(by_name()),
        Column::Total => by_amount(a, b, 0, query.ascending).then_with(by_name),
        Column::Available => by_amount(a, b, 1, query.ascending).then_with(by_name),
        Column::Locked => by_amount(a, b, 2, query.ascending).then_with(by_name),
        Column::Changed => turn(a.row.changed_ts.cmp(&b.row.changed_ts)).then_with(by_name),
        Column::State => turn(a.row.state.cmp(&b.row.state)).then_with(by_name),
    }
}

/// Unknown amounts come last in either direction.
fn by_amount(a: &Entry, b: &Entry, column: usize, ascending: bool) -> Ordering {
    let (x, y) = (a.row.amounts()[column], b.row.amounts()[column]);
    match (x, y) {
        (Some(x), Some(y)) => {
            let order = match (a.order[column], b.order[column]) {
                (Some(x), Some(y)) => x.cmp(&y),
                _ => x.compare(y),
            };
            if ascending { order } else { order.reverse() }
        }
        _ => y.is_some().cmp(&x.is_some()),
    }
}

fn group_order(all: &[Entry], query: &Query, a: &(Group, Vec<usize>), b: &(Group, Vec<usize>)) -> Ordering {
    let by_name = || a.0.title.cmp(&b.0.title).then_with(|| a.0.key.cmp(&b.0.key));
    let turn = |order: Ordering| if query.ascending { order } else { order.reverse() };
    let column = match query.sort {
        Column::Name => return turn(by_name()),
        Column::Changed => {
            let newest = |rows: &[usize]| rows.iter().map(|place| all[*place].row.changed_ts).max().unwrap_or(0);
            return turn(newest(&a.1).cmp(&newest(&b.1))).then_with(by_name);
        }
        Column::State => return turn((!a.0.missing.is_empty()).cmp(&!b.0.missing.is_empty())).then_with(by_name),
        Column::Total => 0,
        Column::Available => 1,
        Column::Locked => 2,
    };
    let known = |group: &Group| {
        let sum = &group.sums.as_ref()?[column];
        (sum.unknown == 0 && !group.part).then(|| sum.known.clone())
    };
    match (known(&a.0), known(&b.0)) {
        (Some(x), Some(y)) => turn(x.compare(&y)).then_with(by_name),
        (x, y) => y.is_some().cmp(&x.is_some()).then_with(by_name),
    }
}
