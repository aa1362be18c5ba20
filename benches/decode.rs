//! What one frame of each venue costs, from its text to the store's commit: the venue's wire, its session, and the ledger.
//!
//! Frames come from the venue's own simulator, so that each is a new one. Moving the simulated money is not timed.

mod pair;

use std::hint::black_box;
use std::time::{Duration, Instant};

use balance_gateway::venue::{Frame, VENUES};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pair::Pair;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("venue frame to commit");
    group.throughput(Throughput::Elements(1)).sample_size(30).measurement_time(Duration::from_secs(3));
    for venue in VENUES {
        group.bench_function(venue.name, |b| {
            b.iter_custom(|iters| {
                let mut pair = Pair::live(venue);
                let (mut spent, mut done, mut commands) = (Duration::ZERO, 0, Vec::new());
                while done < iters {
                    let frames = pair.frames(64.min(iters - done).max(1));
                    assert!(!frames.is_empty(), "{} pushes something", venue.name);
                    let frames = &frames[..frames.len().min((iters - done) as usize)];
                    let (start, before) = (Instant::now(), pair.store.gsn());
                    for frame in frames {
                        pair.link.on_frame(pair.now, Frame::Text(black_box(frame)), &mut commands);
                    }
                    spent += start.elapsed();
                    done += frames.len() as u64;
                    commands.clear();
                    assert!(pair.store.gsn() > before, "{} tells of changes", venue.name);
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
