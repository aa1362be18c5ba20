//! The gateway's own work without sockets: frames of a venue, commits, reads, rows in memory. All in this process and on this
//! thread's clock.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use balance_gateway::hub::{Hub, View, Wake};
use balance_gateway::metrics::Metrics;
use balance_gateway::model::{
    AccountIdx, AccountKey, Channel, Field, Filter, Freshness, Mono, Now, RowUpdate, Scope, Snapshot, UnixMs, VenueEvent,
};
use balance_gateway::store::Store;
use balance_gateway::venue::{Frame, VENUES};
use rustix::time::{ClockId, clock_gettime};

use crate::Scale;
use crate::pair::Pair;
use crate::stats::{Goal, Row, median, number};

/// Commits between two wake-ups of the readers.
const BATCH: usize = 64;
const VIEWS: usize = 1_000;

pub fn run(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let changes = if scale.crowd < 1_000 { 50_000 } else { 1_000_000 };
    let rows = if scale.crowd < 1_000 { 20_000 } else { 200_000 };
    Ok(vec![
        row_bytes(rows),
        venue_frame(changes / 10),
        alone(changes),
        watched("row changes/s, 1,000 views of an account each", VIEWS, changes),
        watched("row changes/s, 1,000 views of one account", 1, changes / 10),
        resume(rows),
    ])
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

fn now(n: usize) -> Now {
    Now { mono: Mono(n as u64), unix: UnixMs(1_763_121_359_960 + n as i64) }
}

/// A row as Bitfinex tells it: total and available.
fn row(asset: usize, n: usize) -> RowUpdate {
    let amount = || Field::Is(format!("{n}.61169184").parse().expect("a number"));
    RowUpdate { total: amount(), available: amount(), ..RowUpdate::new("exchange", format!("TOKEN{asset}")) }
}

fn account(store: &Store, name: usize, rows: usize) -> AccountIdx {
    let key = AccountKey { venue: "bitfinex", account: format!("a{name}").into() };
    let idx = store.add_account(key, true, rows.max(1_000), now(0));
    store.opened(idx, now(0));
    let rows = (0..rows).map(|asset| row(asset, 0)).collect();
    let snapshot = Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows };
    store.apply(idx, now(0), [VenueEvent::Snapshot(snapshot), VenueEvent::Synced]);
    idx
}

fn row_bytes(rows: usize) -> Row {
    let store = Store::new("e", Arc::new(Metrics::default()));
    let before = resident_bytes();
    account(&store, 0, rows);
    // What the making took goes back to the system after a second, as memory is asked for.
    for _ in 0..30 {
        crate::child::pause(Duration::from_millis(50));
        drop(black_box(vec![0_u8; 1 << 20]));
    }
    let each = (resident_bytes() - before) / rows as f64;
    black_box(&store);
    Row::new("memory per row, all included", Some(Goal::AtMost(400.0)), each, "B", format!("{rows} rows of one snapshot"))
}

/// From a frame's text to the commit of its row.
fn venue_frame(frames: usize) -> Row {
    let venue = VENUES.iter().find(|venue| venue.name == "bitfinex").expect("the venue is in the list");
    let mut pair = Pair::live(venue);
    let (mut commands, before) = (Vec::new(), pair.store.gsn());
    let mut bytes = 0;
    let runs = (0..20).map(|_| {
        let texts = pair.frames(frames as u64 / 40);
        bytes = texts[0].len();
        let began = cpu();
        for text in &texts {
            pair.link.on_frame(pair.now, Frame::Text(text), &mut commands);
        }
        (cpu() - began) * 1e6 / texts.len() as f64
    });
    let micros = median(&runs.collect::<Vec<_>>());
    assert!(pair.store.gsn() - before >= frames as u64 / 2, "every frame tells of a change");
    let note = format!("decoded, judged by its session, committed; the first has {bytes} bytes");
    Row::new("one wu frame of Bitfinex, from its text to the commit", Some(Goal::AtMost(3.0)), micros, "µs", note)
}

fn alone(changes: usize) -> Row {
    let store = Store::new("e", Arc::new(Metrics::default()));
    let idx = account(&store, 0, 1_000);
    let rates = (0..5).map(|_| {
        let updates: Vec<_> = (0..changes / 5).map(|n| row(n % 1_000, n + 1)).collect();
        let began = cpu();
        for (n, update) in updates.into_iter().enumerate() {
            store.apply(idx, now(n), [VenueEvent::Rows(vec![update])]);
        }
        (changes / 5) as f64 / (cpu() - began)
    });
    let rate = median(&rates.collect::<Vec<_>>());
    Row::new("row changes/s, no reader, a commit each", Some(Goal::AtLeast(1e6)), rate, "/s", "1,000 rows")
}

/// Reads its view as a connection does, and writes nothing.
struct Reader {
    view: Arc<View>,
    cursor: AtomicU64,
    rows: AtomicU64,
}

impl Wake for Reader {
    fn wake(&self, _: Option<Now>) {
        let cursor = self.cursor.load(Ordering::Relaxed);
        let frames = self.view.update(cursor, cursor, UnixMs(0));
        self.cursor.store(frames.cut, Ordering::Relaxed);
        self.rows.fetch_add(frames.rows as u64, Ordering::Relaxed);
    }
}

/// Commits while [`VIEWS`] readers are woken after every batch; their reading and encoding is on the same clock.
fn watched(name: &str, accounts: usize, changes: usize) -> Row {
    let metrics = Arc::new(Metrics::default());
    let store = Store::new("e", Arc::clone(&metrics));
    let hub = Hub::new(Arc::clone(&store), metrics);
    let idxs: Vec<_> = (0..accounts).map(|name| account(&store, name, 1_000 / accounts.min(100))).collect();
    let readers: Vec<_> = (0..VIEWS)
        .map(|n| {
            // Filters that differ make views that differ.
            let assets = (accounts == 1).then(|| [format!("TOKEN{n}")].into());
            let filter = Filter { assets, ..Filter::default() };
            let view = hub.view(&idxs[n % accounts..=n % accounts], &filter, Channel::Balances);
            let reader = Arc::new(Reader { cursor: AtomicU64::new(view.newest()), view, rows: AtomicU64::new(0) });
            let weak: Weak<dyn Wake> = Arc::downgrade(&(Arc::clone(&reader) as Arc<dyn Wake>));
            let watch = hub.watch(&reader.view, &weak);
            (reader, watch)
        })
        .collect();
    let updates: Vec<_> = (0..changes).map(|n| row(n / accounts % 10, n + 1)).collect();
    let (began, mut cursor) = (cpu(), store.gsn());
    for (n, update) in updates.into_iter().enumerate() {
        store.apply(idxs[n % accounts], now(n), [VenueEvent::Rows(vec![update])]);
        if n % BATCH == BATCH - 1 {
            cursor = hub.wake_since(cursor);
        }
    }
    let rate = changes as f64 / (cpu() - began);
    let told: u64 = readers.iter().map(|(reader, _)| reader.rows.load(Ordering::Relaxed)).sum();
    let note = format!("{told} rows read and encoded for {changes} changes, woken every {BATCH}");
    Row::new(name, Some(Goal::AtLeast(3e5)), rate, "/s", note)
}

/// Ten rows changed: the cost of telling a client that returns must not depend on how many did not.
fn resume(rows: usize) -> Row {
    let micros = |rows: usize| {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let hub = Hub::new(Arc::clone(&store), metrics);
        let idx = account(&store, 0, rows);
        let view = hub.view(&[idx], &Filter::default(), Channel::Balances);
        let cursor = store.gsn();
        for n in 0..10 {
            store.apply(idx, now(n), [VenueEvent::Rows(vec![row(n * 97 % rows, 7)])]);
        }
        let runs = (0..9).map(|_| {
            let began = cpu();
            for _ in 0..1_000 {
                let frames = black_box(view.resume(view.epoch(), cursor, UnixMs(0)));
                assert!(!frames.full && frames.rows == 10);
            }
            (cpu() - began) * 1e3
        });
        median(&runs.collect::<Vec<_>>())
    };
    let (few, many) = (micros(1_000), micros(rows / 2));
    let note = format!("{} µs among {}, {} µs among 1,000, encoded", number(many), rows / 2, number(few));
    Row::new("resume of 10 changed rows of many, against 10 of 1,000", Some(Goal::AtMost(2.0)), many / few, "x", note)
}
