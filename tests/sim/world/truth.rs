//! What each account truly held, move by move, and which of it a row may show. It knows nothing of frames or sessions.
//!
//! Every move of money gives the account's book the next version. A row is judged by the versions it may come from: a lower end
//! (what has surely been said by now) and an upper end (nothing is known before it was said).

use std::collections::BTreeMap;

use balance_gateway::model::{Amount, Balance, Mono, Name};
use balance_gateway::venue::sim::{Book, Holding, Move};

pub type Key = (Name, Name);

/// A holding as rows show it.
pub struct Held {
    total: Amount,
    holding: Holding,
}

impl From<Holding> for Held {
    fn from(holding: Holding) -> Self {
        Self { total: holding.total(), holding }
    }
}

/// One account's books.
#[derive(Default)]
pub struct Log {
    /// When each version came to be; the index is the version.
    times: Vec<Mono>,
    keys: BTreeMap<Key, Vec<Entry>>,
}

struct Entry {
    version: u64,
    held: Held,
    /// Held only within the move: what a fill gained before its fee left.
    passing: bool,
}

impl Log {
    pub fn new(book: &Book, now: Mono) -> Self {
        let entry = |holding: &Holding| vec![Entry { version: 0, held: holding.clone().into(), passing: false }];
        Self { times: vec![now], keys: book.rows.iter().map(|(key, holding)| (key.clone(), entry(holding))).collect() }
    }

    pub fn version(&self) -> u64 {
        self.times.len() as u64 - 1
    }

    /// The version that was in force at a moment.
    pub fn version_at(&self, at: Mono) -> u64 {
        (self.times.partition_point(|time| *time <= at) as u64).saturating_sub(1)
    }

    /// Every key that was ever in the book.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Notes a move that the book has taken.
    pub fn note(&mut self, now: Mono, mv: &Move, book: &Book) {
        self.times.push(now);
        let version = self.version();
        for key in touched(mv) {
            let holding = book.holding(&key.0, &key.1);
            let entries = self.keys.entry(key.clone()).or_default();
            if let Move::Fill { gain, fee, .. } = mv
                && *gain == key.1
            {
                let gross = Holding { available: holding.available.plus(fee), locked: holding.locked.clone() };
                entries.push(Entry { version, held: gross.into(), passing: true });
            }
            entries.push(Entry { version, held: holding.into(), passing: false });
        }
    }

    /// Did the key hold what the row shows at some version from `low` to `high`?
    pub fn allows(&self, row: &Balance, low: u64, high: u64) -> bool {
        let entries = self.keys.get(&(row.wallet.clone(), row.asset.clone())).map_or(&[][..], Vec::as_slice);
        // The newest first: that is what a row nearly always shows.
        let later = entries.iter().rev().skip_while(|entry| entry.version > high).take_while(|entry| entry.version > low);
        if later.into_iter().any(|entry| shows(row, &entry.held)) {
            return true;
        }
        match entries.iter().rfind(|entry| entry.version <= low && !entry.passing) {
            Some(entry) => shows(row, &entry.held),
            None => shows(row, &Holding::default().into()),
        }
    }

    /// Every key without a row, of which something was held at some time. Rows come in the order of their keys.
    pub fn without_row<'a>(&'a self, rows: &'a [std::sync::Arc<Balance>]) -> impl Iterator<Item = &'a Key> {
        let mut rows = rows.iter().map(|row| (&row.wallet, &row.asset)).peekable();
        self.keys.keys().filter(move |key| {
            let wanted = (&key.0, &key.1);
            while rows.next_if(|row| *row < wanted).is_some() {}
            rows.peek() != Some(&wanted)
        })
    }

    /// Was nothing held of the key at some version from `low` to `high`?
    pub fn allows_none(&self, key: &Key, low: u64, high: u64) -> bool {
        let entries = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let before = entries.iter().rfind(|entry| entry.version <= low && !entry.passing);
        let mut later = entries.iter().filter(|entry| entry.version > low && entry.version <= high);
        before.is_none_or(|entry| entry.held.holding.is_zero()) || later.any(|entry| entry.held.holding.is_zero())
    }

    /// What is held now.
    fn latest(&self) -> impl Iterator<Item = (&Key, &Held)> {
        self.keys.iter().filter_map(|(key, entries)| Some((key, &entries.last()?.held)))
    }
}

/// The rows a move touches.
pub fn touched(mv: &Move) -> Vec<Key> {
    match mv {
        Move::Deposit { wallet, asset, .. }
        | Move::WithdrawRequest { wallet, asset, .. }
        | Move::WithdrawDone { wallet, asset, .. }
        | Move::Adjust { wallet, asset, .. }
        | Move::Set { wallet, asset, .. }
        | Move::Place { wallet, spend: asset, .. }
        | Move::Cancel { wallet, spend: asset, .. } => vec![(wallet.clone(), asset.clone())],
        Move::Fill { wallet, spend, gain, .. } => vec![(wallet.clone(), gain.clone()), (wallet.clone(), spend.clone())],
    }
}

/// Do all numbers that the row gives agree with the holding? Unknown agrees with everything.
fn shows(row: &Balance, held: &Held) -> bool {
    let agrees = |said: &Option<Amount>, held: &Amount| said.as_ref().is_none_or(|said| said.same_value(held));
    let Held { total, holding } = held;
    agrees(&row.total, total) && agrees(&row.available, &holding.available) && agrees(&row.locked, &holding.locked)
}

/// Which of total, available and locked a row gives.
pub fn known(row: &Balance) -> [bool; 3] {
    [row.total.is_some(), row.available.is_some(), row.locked.is_some()]
}

/// How a difference ends that is a row's lack.
pub const NO_ROW: &str = "and has no row";

/// Where the rows differ from what is held now. Each row that holds something must give the numbers in `knows`.
pub fn differences(rows: &[std::sync::Arc<Balance>], log: &Log, knows: [bool; 3]) -> Vec<String> {
    let mut found = Vec::new();
    for (key, held) in log.latest() {
        match rows.iter().find(|row| row.wallet == key.0 && row.asset == key.1) {
            Some(row) if !shows(row, held) => found.push(format!("{key:?} holds {:?}, shown {}", held.holding, brief(row))),
            Some(row) if !row.is_zero() && known(row).iter().zip(knows).any(|(known, wanted)| wanted && !known) => {
                found.push(format!("{key:?} is not wholly known: {}", brief(row)));
            }
            None if !held.holding.is_zero() => found.push(format!("{key:?} holds {:?} {NO_ROW}", held.holding)),
            _ => {}
        }
    }
    let strangers =
        rows.iter().filter(|row| !row.is_zero() && !log.keys.contains_key(&(row.wallet.clone(), row.asset.clone())));
    found.extend(strangers.map(|row| format!("nothing is held of {}", brief(row))));
    found
}

/// A row for people.
pub fn brief(row: &Balance) -> String {
    let Balance { wallet, asset, total, available, locked, state, gsn, .. } = row;
    format!("{wallet}/{asset} total {total:?} available {available:?} locked {locked:?} {state:?} gsn {gsn}")
}
