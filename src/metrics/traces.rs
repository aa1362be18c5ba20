//! Spans of what was sampled, on their way out: a commit, the flush that woke its readers, the writes to them, and the lives of
//! connections.
//!
//! It dials nothing and encodes nothing: finished spans wait in a bounded queue for whoever exports them; what does not fit is
//! counted and dropped, and nobody waits. Off, which is the default, every call ends at one load and no span is made.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

/// Finished spans that wait for the exporter: some seconds of a busy gateway, about 1 MB.
const QUEUE: usize = 4_096;
/// Sampled commits whose flush or writes may still come. Older ones get no further spans.
const RECENT: usize = 64;
/// Writes of one commit that get a span: a commit seen by thousands must not fill the queue alone.
const WRITES: u32 = 64;

/// A trace's and a span's name, as OpenTelemetry has them; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId {
    pub trace: u128,
    pub span: u64,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Names from a closed set, values that no secret is among.
pub type Attributes = Vec<(&'static str, Value)>;

/// A finished span. Times in microseconds of the clock given to [`Traces::start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub id: SpanId,
    /// `None`: it begins its trace.
    pub parent: Option<u64>,
    /// The connection it went over, which is another trace.
    pub link: Option<SpanId>,
    pub name: &'static str,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
}

/// A connection that has not ended.
#[derive(Debug)]
pub struct Open {
    id: SpanId,
    name: &'static str,
    start: u64,
    attributes: Attributes,
}

/// A flush of readers that is under way, for the sampled commits it serves.
#[derive(Debug)]
pub struct Flush {
    start: u64,
    commits: Vec<(SpanId, u64)>,
    pub readers: u64,
}

/// See the module.
#[derive(Default)]
pub struct Traces(OnceLock<Recorder>);

struct Recorder {
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    sample_one_in: u64,
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    recent: Mutex<VecDeque<Sampled>>,
    /// The present connection of each account: its span and its number.
    upstream: Mutex<HashMap<String, (SpanId, u64)>>,
}

/// A sampled commit.
struct Sampled {
    id: SpanId,
    /// When its frame was read: what frames to clients carry on.
    read_at: u64,
    gsn: u64,
    /// The span of its flush, once that has begun.
    flush: Option<u64>,
    writes: u32,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Traces").field(&self.0.get().is_some()).finish()
    }
}

impl Traces {
    /// Begins to record: every connection, and one commit in `sample_one_in`. `clock` tells microseconds; spans that find the queue
    /// full are counted in `dropped`. A second start changes nothing and gives a queue that stays empty.
    pub fn start(
        &self,
        sample_one_in: u64,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
        dropped: Counter,
    ) -> mpsc::Receiver<Span> {
        let (queue, spans) = mpsc::channel(QUEUE);
        let (recent, upstream) = Default::default();
        let clock = Box::new(clock);
        _ = self.0.set(Recorder { clock, sample_one_in: sample_one_in.max(1), queue, dropped, recent, upstream });
        spans
    }

    /// Is this commit to be traced? Always no while off.
    #[inline]
    pub fn picks(&self) -> bool {
        self.0.get().is_some_and(|recorder| fastrand::u64(..recorder.sample_one_in) == 0)
    }

    /// A picked commit is done; its readers have not been woken yet.
    pub fn committed(&self, read_at: u64, gsn: u64, venue: &'static str, account: &str) {
        let Some(recorder) = self.0.get() else { return };
        let id = new_trace();
        let upstream = recorder.upstream.lock().get(account).copied();
        let mut attributes = vec![("venue", venue.into()), ("account", account.into()), ("gsn", gsn.into())];
        attributes.extend(upstream.map(|(_, conn)| ("conn", conn.into())));
        {
            let mut recent = recorder.recent.lock();
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(Sampled { id, read_at, gsn, flush: None, writes: 0 });
        }
        let (end, link) = ((recorder.clock)(), upstream.map(|(id, _)| id));
        recorder.send(Span { id, parent: None, link, name: "commit", start: read_at, end, attributes });
    }

    /// Readers of everything up to `cut` are about to be woken. `None`: nothing among it was picked.
    #[inline]
    pub fn flushing(&self, cut: u64) -> Option<Flush> {
        self.0.get().and_then(|recorder| recorder.flushing(cut))
    }

    /// They have been.
    pub fn flushed(&self, flush: Flush) {
        let Some(recorder) = self.0.get() else { return };
        let end = (recorder.clock)();
        for (commit, span) in flush.commits {
            let (id, parent) = (SpanId { span, ..commit }, Some(commit.span));
            let attributes = vec![("readers", flush.readers.into())];
            recorder.send(Span { id, parent, link: None, name: "flush", start: flush.start, end, attributes });
        }
    }

    /// A client's socket took the last byte of what a venue frame read at `read_at` led to. `began`: when it was offered the first.
    #[inline]
    pub fn written(&self, read_at: u64, began: u64, client: u64, over: Option<&Open>) {
        if let Some(recorder) = self.0.get() {
            recorder.written(read_at, began, client, over);
        }
    }

    /// A connection begins. `None` while off.
    pub fn open(&self, name: &'static str, attributes: impl FnOnce() -> Attributes) -> Option<Box<Open>> {
        let recorder = self.0.get()?;
        Some(Box::new(Open { id: new_trace(), name, start: (recorder.clock)(), attributes: attributes() }))
    }

    /// A connection is over, and why.
    pub fn close(&self, open: Option<Box<Open>>, more: impl FnOnce() -> Attributes) {
        let (Some(recorder), Some(open)) = (self.0.get(), open) else { return };
        let Open { id, name, start, mut attributes } = *open;
        attributes.extend(more());
        recorder.send(Span { id, parent: None, link: None, name, start, end: (recorder.clock)(), attributes });
    }

    /// Commits of this account came over this connection from now on; `None`: over none.
    pub fn set_upstream(&self, account: &str, over: Option<(&Open, u64)>) {
        let Some(recorder) = self.0.get() else { return };
        let mut upstream = recorder.upstream.lock();
        match over {
            Some((open, conn)) => _ = upstream.insert(account.to_owned(), (open.id, conn)),
            None => _ = upstream.remove(account),
        }
    }
}

impl Recorder {
    fn flushing(&self, cut: u64) -> Option<Flush> {
        let mut recent = self.recent.lock();
        let waiting = recent.iter_mut().filter(|sampled| sampled.flush.is_none() && sampled.gsn <= cut);
        let commits: Vec<_> = waiting
            .map(|sampled| {
                let span = fastrand::u64(1..);
                sampled.flush = Some(span);
                (sampled.id, span)
            })
            .collect();
        (!commits.is_empty()).then(|| Flush { start: (self.clock)(), commits, readers: 0 })
    }

    fn written(&self, read_at: u64, began: u64, client: u64, over: Option<&Open>) {
        let (commit, parent) = {
            let mut recent = self.recent.lock();
            let Some(sampled) = recent.iter_mut().rev().find(|s| s.read_at == read_at && s.writes < WRITES) else { return };
            sampled.writes += 1;
            (sampled.id, sampled.flush.unwrap_or(sampled.id.span))
        };
        let id = SpanId { span: fastrand::u64(1..), ..commit };
        let (end, link) = ((self.clock)(), over.map(|open| open.id));
        let attributes = vec![("client", client.into())];
        self.send(Span { id, parent: Some(parent), link, name: "write", start: began, end, attributes });
    }

    fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

fn new_trace() -> SpanId {
    SpanId { trace: fastrand::u128(1..), span: fastrand::u64(1..) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Records everything, with a clock that goes on by one at each look.
    fn recording(one_in: u64) -> (Traces, mpsc::Receiver<Span>, Counter) {
        let (traces, dropped, ticks) = (Traces::default(), Counter::default(), Arc::new(AtomicU64::new(100)));
        let spans = traces.start(one_in, move || ticks.fetch_add(1, Ordering::Relaxed), dropped.clone());
        (traces, spans, dropped)
    }

    fn drain(spans: &mut mpsc::Receiver<Span>) -> Vec<Span> {
        std::iter::from_fn(|| spans.try_recv().ok()).collect()
    }

    #[test]
    fn nothing_is_picked_or_opened_while_off() {
        let traces = Traces::default();
        assert!((0..1_000).all(|_| !traces.picks()));
        assert!(traces.open("x", || unreachable!("nobody asks for attributes")).is_none());
        assert!(traces.flushing(u64::MAX).is_none());
    }

    #[test]
    fn a_commit_its_flush_and_its_writes_are_one_trace() {
        let (traces, mut spans, _) = recording(1);
        assert!(traces.picks());
        let (up, client) = (traces.open("venue", Vec::new).unwrap(), traces.open("client", Vec::new).unwrap());
        traces.set_upstream("bfx-main", Some((&up, 3)));
        traces.committed(50, 9, "bitfinex", "bfx-main");
        assert!(traces.flushing(8).is_none(), "a cut before the commit does not serve it");
        let mut flush = traces.flushing(9).unwrap();
        traces.written(50, 60, 7, Some(&client));
        flush.readers = 1;
        traces.flushed(flush);
        assert!(traces.flushing(9).is_none(), "it was served once");
        let all = drain(&mut spans);
        let [commit, write, flush] = &all[..] else { panic!("{all:?}") };
        assert_eq!((commit.name, write.name, flush.name), ("commit", "write", "flush"));
        assert!(all.iter().all(|span| span.id.trace == commit.id.trace && span.start <= span.end));
        assert_eq!((commit.parent, flush.parent, write.parent), (None, Some(commit.id.span), Some(flush.id.span)));
        assert_eq!((commit.link, write.link), (Some(up.id), Some(client.id)));
        assert!(commit.attributes.contains(&("conn", Value::Number(3))));
        assert_eq!((commit.start, write.start), (50, 60));
    }

    #[test]
    fn writes_of_commits_that_were_not_picked_leave_nothing() {
        let (traces, mut spans, _) = recording(1);
        traces.committed(50, 9, "bitfinex", "bfx-main");
        traces.written(51, 60, 7, None);
        assert_eq!(drain(&mut spans).len(), 1);
    }

    #[test]
    fn one_commit_in_so_many_is_picked() {
        fastrand::seed(3);
        let (traces, ..) = recording(10);
        let picked = (0..10_000).filter(|_| traces.picks()).count();
        assert!((800..1_200).contains(&picked), "{picked}");
    }

    #[test]
    fn the_writes_of_a_commit_and_the_queue_are_bounded_and_losses_counted() {
        let (traces, mut spans, dropped) = recording(1);
        traces.committed(50, 9, "bitfinex", "bfx-main");
        (0..1_000).for_each(|client| traces.written(50, 60, client, None));
        assert_eq!(drain(&mut spans).len(), 1 + WRITES as usize);
        (0..5_000).for_each(|gsn| traces.committed(gsn, gsn, "bitfinex", "bfx-main"));
        assert_eq!((drain(&mut spans).len(), dropped.get()), (QUEUE, 5_000 - QUEUE as u64));
    }
}
