//! One view of the store, and the frames that its readers share.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::metrics::Metrics;
use crate::model::{AccountIdx, Changes, Channel, Filter, Mono, UnixMs};
use crate::protocol::{self, SnapshotHead, UpdateHead, WireText};
use crate::store::Store;
use crate::sync::Mutex;

/// An update larger than this goes out as a snapshot in parts: common WebSocket clients refuse messages of 1 MiB.
const MAX_UPDATE_BYTES: usize = 256 << 10;
/// And so does one of more rows than this, without being tried: they would hardly fit.
const MAX_UPDATE_ROWS: usize = 2_000;
/// Encoded answers of each kind kept for other readers. Readers that keep up all ask for the newest; a few more serve those one step
/// behind.
const SHARED: usize = 4;

/// A snapshot older than this is written anew for the next reader, though nothing changed: it tells when accounts were last proven
/// alive, and clients that come back together still share one.
const SHARED_FOR_MS: i64 = 1_000;
/// Snapshots larger than this are let go after that time; smaller ones stay with the view.
const MAX_KEPT_BYTES: usize = 256 << 10;
/// A view of more rows takes a snapshot longer to write, some ms, than others should have to wait.
const MANY_ROWS: usize = 5_000;

/// Accounts, a filter and a channel, seen by any number of readers.
pub struct View {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    epoch: String,
    channel: Channel,
    accounts: Vec<AccountIdx>,
    filter: Filter,
    /// By reason. Apart from the updates, which must not wait for it, because the hub would: encoding one may take long.
    snapshots: Shared<&'static str>,
    /// By `prev` and cursor.
    updates: Shared<(u64, u64)>,
}

/// What one read gave, encoded.
#[derive(Debug, Default)]
pub struct Frames {
    /// Everything up to this commit is in. The next read starts here.
    pub cut: u64,
    /// In order; none when nothing concerned the view.
    pub texts: SmallVec<[WireText; 1]>,
    /// A snapshot, even if an update was asked for.
    pub full: bool,
    /// When they were written.
    pub ts: UnixMs,
    /// Rows in the frames.
    pub rows: usize,
    /// [`Changes::versions`].
    pub versions: u64,
    /// When the newest venue frame behind it was read.
    pub read_at: Mono,
    /// No frames: it is too much for an update, and a snapshot with this reason is to be asked for.
    instead: Option<&'static str>,
}

impl View {
    pub(super) fn new(
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        epoch: String,
        channel: Channel,
        accounts: Vec<AccountIdx>,
        filter: Filter,
    ) -> Self {
        Self { store, metrics, epoch, channel, accounts, filter, snapshots: Shared::default(), updates: Shared::default() }
    }

    /// The history in which this view's gsn values compare.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What its readers asked for, within what they may see.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(super) fn accounts(&self) -> &[AccountIdx] {
        &self.accounts
    }

    /// Would readers of both be told the same? Compared in full: an epoch is only a short digest.
    pub fn is_same(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.accounts == other.accounts
            && self.filter == other.filter
            && self.channel == other.channel
    }

    /// Does every version of every row of the accounts reach this view's readers?
    pub fn is_unfiltered(&self) -> bool {
        self.filter.assets.is_none() && !self.filter.nonzero && self.channel == Channel::Balances
    }

    /// The newest commit that touched one of the view's accounts.
    pub fn newest(&self) -> u64 {
        self.store.newest_of(&self.accounts)
    }

    /// Everything, as of now.
    pub fn read_all(&self) -> Changes {
        self.store.changes_since(0, &self.accounts, &self.filter, self.channel)
    }

    /// For a reader who comes back holding everything up to `gsn` of the history `epoch`: one update, even an empty one, where that can
    /// be honoured; else a snapshot.
    pub fn resume(&self, epoch: &str, gsn: u64, now: UnixMs) -> Arc<Frames> {
        if epoch != self.epoch || gsn == 0 {
            return self.snapshot("subscribe", now);
        }
        let changes = self.store.changes_since(gsn, &self.accounts, &self.filter, self.channel);
        if changes.full {
            return self.snapshot("subscribe", now);
        }
        let frames = self.encode_update(gsn, changes, now);
        match frames.instead {
            Some(reason) => self.snapshot_from(reason, gsn, now),
            None => Arc::new(frames),
        }
    }

    /// A snapshot, in parts where it is large.
    pub fn snapshot(&self, reason: &'static str, now: UnixMs) -> Arc<Frames> {
        self.snapshot_from(reason, 0, now)
    }

    /// The same for a reader who has been told that it holds everything up to `held`: its gsn must not fall, though one of other readers
    /// may be as good in all it shows.
    pub fn snapshot_from(&self, reason: &'static str, held: u64, now: UnixMs) -> Arc<Frames> {
        let good = |frames: &Frames| {
            frames.cut >= held && self.is_newest(frames) && (0..=SHARED_FOR_MS).contains(&(now.0 - frames.ts.0))
        };
        if let Some(frames) = self.snapshots.held(reason, good) {
            return frames;
        }
        self.aside(|| self.snapshots.get(reason, good, || self.encode_snapshot(reason, self.read_all(), now)))
    }

    /// Does work on all rows. Where they are many, the other tasks of this thread go on in another one meanwhile, so call it where a task
    /// may wait; what is waited for inside may be another reader's.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.store.rows_of(&self.accounts) > MANY_ROWS { aside(work) } else { work() }
    }

    /// Lets large snapshots go that are too old to be given to anybody. Their view may live for months, and nobody come back to it.
    pub(super) fn forget(&self, now: UnixMs) {
        let is_kept = |frames: &Frames| {
            let bytes: usize = frames.texts.iter().map(|text| text.frame().len()).sum();
            bytes <= MAX_KEPT_BYTES || now.0 - frames.ts.0 <= SHARED_FOR_MS
        };
        // Where one is being written just now, there is a next time.
        if let Some(mut held) = self.snapshots.0.try_lock() {
            held.retain(|(_, frames)| is_kept(frames));
        }
    }

    /// What changed after `cursor`, as one update that follows the frame with gsn `prev`. A reader too far behind gets a snapshot.
    pub fn update(self: &Arc<Self>, prev: u64, cursor: u64, now: UnixMs) -> Arc<Frames> {
        let frames = self.small_update(prev, cursor, now);
        frames.unwrap_or_else(|reason| self.snapshot_from(reason, cursor, now))
    }

    /// The same for who must not take long: instead of a snapshot, its reason.
    ///
    /// # Errors
    /// It takes a snapshot, whose encoding takes long where rows are many.
    pub fn small_update(self: &Arc<Self>, prev: u64, cursor: u64, now: UnixMs) -> Result<Arc<Frames>, &'static str> {
        let encode = || {
            let changes = self.store.changes_since(cursor, &self.accounts, &self.filter, self.channel);
            if changes.is_empty() && !changes.full {
                return Frames { cut: changes.cut, versions: changes.versions, ..Frames::default() };
            }
            self.encode_update(prev, changes, now)
        };
        // An only reader shares with nobody. What it was told is forgotten while it is still in the processor's cache.
        let frames = if Arc::strong_count(self) == 1 {
            Arc::new(encode())
        } else {
            self.updates.get((prev, cursor), |frames| self.is_newest(frames), encode)
        };
        frames.instead.map_or(Ok(frames), Err)
    }

    fn encode_update(&self, prev: u64, changes: Changes, now: UnixMs) -> Frames {
        let rows = changes.balances.len() + changes.orders.len();
        let mut frames = Frames {
            cut: changes.cut,
            ts: now,
            rows,
            versions: changes.versions,
            read_at: changes.read_at,
            ..Frames::default()
        };
        if changes.full || rows > MAX_UPDATE_ROWS {
            frames.instead = Some(if changes.full { "resync" } else { "bulk" });
        } else {
            let head = UpdateHead { channel: self.channel, epoch: &self.epoch, prev, ts: now };
            let text = protocol::update(&head, &changes);
            match text.frame().len() {
                ..=MAX_UPDATE_BYTES => frames.texts.push(text),
                _ => frames.instead = Some("bulk"),
            }
        }
        frames
    }

    fn encode_snapshot(&self, reason: &'static str, changes: Changes, now: UnixMs) -> Frames {
        let head = SnapshotHead { channel: self.channel, reason, epoch: &self.epoch, ts: now };
        Frames {
            cut: changes.cut,
            texts: protocol::snapshot(&head, &changes).into(),
            full: true,
            ts: now,
            rows: changes.balances.len() + changes.orders.len(),
            versions: changes.versions,
            read_at: changes.read_at,
            instead: None,
        }
    }

    fn is_newest(&self, frames: &Frames) -> bool {
        self.store.is_newest_of(&self.accounts, frames.cut)
    }

    /// Counts what a reader of this view was given.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// See [`View::aside`]. Without a runtime of several threads, as in tests, it is just done.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The answers to the newest questions, by question.
struct Shared<K>(Mutex<VecDeque<(K, Arc<Frames>)>>);

impl<K> Default for Shared<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq> Shared<K> {
    /// The frames another reader was just given for the same question, without waiting for who makes some.
    fn held(&self, key: K, good: impl Fn(&Frames) -> bool) -> Option<Arc<Frames>> {
        let held = self.0.try_lock()?;
        held.iter().find(|(k, frames)| *k == key && good(frames)).map(|(_, frames)| Arc::clone(frames))
    }

    /// The frames another reader was just given for the same question, if they are still good. Who asks meanwhile waits for them.
    fn get(&self, key: K, good: impl Fn(&Frames) -> bool, encode: impl FnOnce() -> Frames) -> Arc<Frames> {
        let mut held = self.0.lock();
        if let Some((_, frames)) = held.iter().find(|(k, frames)| *k == key && good(frames)) {
            return Arc::clone(frames);
        }
        let frames = Arc::new(encode());
        held.retain(|(k, _)| *k != key);
        if held.len() == SHARED {
            held.pop_front();
        }
        held.push_back((key, Arc::clone(&frames)));
        frames
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// With one worker the other task would have to wait for ever.
    #[test]
    fn others_go_on_while_long_work_is_done_aside() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let (told, tell) = (mpsc::channel(), mpsc::channel());
        let long = runtime.spawn(async move {
            tell.0.send(()).expect("somebody waits");
            aside(|| told.1.recv_timeout(Duration::from_secs(20)))
        });
        tell.1.recv().expect("it has begun");
        runtime.spawn(async move { told.0.send(()) });
        assert!(runtime.block_on(long).expect("no panic").is_ok());
    }
}
