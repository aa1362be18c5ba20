//! What the middle costs: commits, reads by cursor, views, encoded frames, and memory per row.

mod held;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use balance_gateway::hub::{Hub, Wake, Waker};
use balance_gateway::model::{Channel, Filter, Freshness, Scope, Snapshot, VenueEvent};
use balance_gateway::protocol::{self, SnapshotHead};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use held::{Held, row};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    let mut held = Held::new(1_000);
    group.bench_function("1 of 1,000 rows", |b| b.iter(|| held.commit(1)));
    group.bench_function("1 of 1,000 rows and its read by cursor", |b| {
        b.iter(|| {
            let cursor = held.store.gsn();
            held.commit(1);
            black_box(held.store.changes_since(cursor, &[held.idx], &Filter::default(), Channel::Balances))
        });
    });
    group.bench_function("100 of 1,000 rows", |b| b.iter(|| held.commit(100)));
    for views in [0, 1_000] {
        let mut held = Held::new(1_000);
        let hub = Hub::new(Arc::clone(&held.store), Arc::clone(&held.metrics));
        let kept: Vec<_> = (0..views)
            .map(|i| {
                let filter = Filter { assets: Some(vec![format!("A{i}")]), ..Filter::default() };
                let (view, waker) = (hub.view(&[held.idx], &filter, Channel::Balances), Arc::<Waker>::default());
                let reader: Arc<dyn Wake> = Arc::clone(&waker) as Arc<dyn Wake>;
                let watch = hub.watch(&view, &Arc::downgrade(&reader));
                (view, waker, watch)
            })
            .collect();
        let _bell = held.store.bell();
        group.bench_function(BenchmarkId::new("1 row, watched by views", views), |b| b.iter(|| held.commit(1)));
        group.bench_function(BenchmarkId::new("1 row and waking its views", views), |b| {
            b.iter(|| {
                let cursor = held.store.gsn();
                held.commit(1);
                hub.wake_since(cursor)
            });
        });
        drop(kept);
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for rows in [1_000, 100_000] {
        let mut held = Held::new(rows);
        let cursor = held.store.gsn();
        (0..10).for_each(|_| held.commit(1));
        held.commit(10);
        let hub = Hub::new(Arc::clone(&held.store), Arc::clone(&held.metrics));
        let view = hub.view(&[held.idx], &Filter::default(), Channel::Balances);
        group.bench_function(BenchmarkId::new("resume of 10 changed among", rows), |b| {
            b.iter(|| black_box(view.resume(view.epoch(), cursor, held.now.unix)));
        });
        group.bench_function(BenchmarkId::new("everything, under the lock", rows), |b| b.iter(|| black_box(view.read_all())));
    }
    let mut held = Held::new(1_000);
    let hub = Hub::new(Arc::clone(&held.store), Arc::clone(&held.metrics));
    let view = hub.view(&[held.idx], &Filter::default(), Channel::Balances);
    group.bench_function("update of 1 row, encoded", |b| {
        b.iter(|| {
            let cursor = held.store.gsn();
            held.commit(1);
            black_box(view.update(cursor, cursor, held.now.unix))
        });
    });
    let cursor = held.store.gsn();
    held.commit(1);
    group.bench_function("update of 1 row, shared", |b| b.iter(|| black_box(view.update(cursor, cursor, held.now.unix))));
    group.bench_function("a view that exists", |b| b.iter(|| hub.view(&[held.idx], &Filter::default(), Channel::Balances)));
    group.finish();
}

fn snapshots(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    let held = Held::new(10_000);
    let all = held.store.changes_since(0, &[held.idx], &Filter::default(), Channel::Balances);
    let head = SnapshotHead { channel: Channel::Balances, reason: "subscribe", epoch: "k3f9a1", ts: held.now.unix };
    let bytes: usize = protocol::snapshot(&head, &all).iter().map(|part| part.frame().len()).sum();
    println!("a row takes {} bytes on the wire", bytes / 10_000);
    group.bench_function("snapshot of 10,000 rows", |b| b.iter(|| black_box(protocol::snapshot(&head, &all))));
    group.finish();
}

fn losses(c: &mut Criterion) {
    let mut group = c.benchmark_group("account");
    group.sample_size(10);
    for rows in [1_000, 100_000] {
        let held = Held::new(rows);
        let reason = || balance_gateway::model::Reason::new(balance_gateway::model::ReasonCode::UpstreamDisconnected, "gone");
        group.bench_function(BenchmarkId::new("all rows stale, then live, of", rows), |b| {
            b.iter(|| {
                let unsynced = balance_gateway::model::AccountPush::Syncing(reason());
                held.store.apply(held.idx, held.now, [VenueEvent::Unsynced(unsynced)]);
                let list = (0..rows).map(|i| row(i, 1)).collect();
                let list = Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows: list };
                held.store.apply(held.idx, held.now, [VenueEvent::Snapshot(list), VenueEvent::Synced]);
            });
        });
    }
    group.finish();
}

/// Prints what a row takes in memory, from what the process holds before and after; no measurement of time.
fn memory(_: &mut Criterion) {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
    };
    const ROWS: usize = 200_000;
    let before = resident();
    let held = Held::new(ROWS);
    println!("a row takes about {} bytes of memory", (resident() - before) / ROWS);
    drop(held);
}

criterion_group!(benches, memory, commits, reads, snapshots, losses);
criterion_main!(benches);
