//! Views, shared frames and wake-ups.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use serde_json::Value;

use super::*;
use crate::model::{AccountState, Name, Now, RowUpdate, UnixMs, VenueEvent};
use crate::store::tests::{Bench, key, list, push, reason};

/// A hub over two accounts, `main` (live) and `other` (pending).
struct Pair {
    b: Bench,
    hub: Arc<Hub>,
    other: AccountIdx,
}

impl Pair {
    fn new() -> Self {
        let b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
        let other = b.store.add_account(key("other"), true, 10, b.now);
        let hub = Hub::new(Arc::clone(&b.store), Arc::clone(&b.metrics));
        Self { b, hub, other }
    }

    fn both(&self) -> [AccountIdx; 2] {
        [self.b.idx, self.other]
    }

    fn view(&self, filter: &Filter) -> Arc<View> {
        self.hub.view(&self.both(), filter, Channel::Balances)
    }
}

fn filter(assets: &[&str], accounts: &[&str]) -> Filter {
    let list = |names: &[&str]| (!names.is_empty()).then(|| names.iter().map(|n| (*n).to_owned()).collect());
    let mut filter = Filter { assets: list(assets), accounts: list(accounts), ..Filter::default() };
    filter.normalize();
    filter
}

fn json(frames: &Frames) -> Value {
    assert_eq!(frames.texts.len(), 1);
    serde_json::from_str(frames.texts[0].text()).expect("a frame is JSON")
}

fn assets(frame: &Value) -> Vec<&str> {
    frame["balances"].as_array().expect("rows").iter().map(|row| row["asset"].as_str().expect("an asset")).collect()
}

const TS: UnixMs = UnixMs(7);

#[test]
fn readers_of_the_same_view_share_its_frames() {
    let mut p = Pair::new();
    let (a, b) = (p.view(&filter(&["USD", "BTC"], &[])), p.view(&filter(&["BTC", "USD"], &[])));
    assert!(Arc::ptr_eq(&a, &b), "the order of a filter's entries is nothing");
    let snapshot = a.snapshot("subscribe", TS);
    assert!(Arc::ptr_eq(&snapshot, &b.snapshot("subscribe", TS)));
    p.b.say([push(&["BTC 2/2/0"])]);
    let update = a.update(snapshot.cut, snapshot.cut, TS);
    assert!(Arc::ptr_eq(&update, &b.update(snapshot.cut, snapshot.cut, TS)));
    assert_eq!((assets(&json(&update)), update.rows), (vec!["BTC"], 1));
}

#[test]
fn a_shared_frame_is_never_given_out_after_a_change() {
    let mut p = Pair::new();
    let view = p.view(&Filter::default());
    let old = view.snapshot("subscribe", TS);
    p.b.say([push(&["BTC 2/2/0"])]);
    let new = view.snapshot("subscribe", TS);
    assert!(new.cut > old.cut);
    assert_eq!(json(&new)["balances"][0]["total"], "2");
    let nothing = view.update(new.cut, new.cut, TS);
    assert!(nothing.texts.is_empty());
    p.b.say([push(&["BTC 3/3/0"])]);
    assert_eq!(json(&view.update(new.cut, new.cut, TS))["balances"][0]["total"], "3");
}

#[test]
fn a_shared_snapshot_is_never_old() {
    let p = Pair::new();
    let view = p.view(&Filter::default());
    let of_then = view.snapshot("subscribe", TS);
    assert!(Arc::ptr_eq(&of_then, &view.snapshot("subscribe", UnixMs(TS.0 + 1_000))));
    p.b.store.record(p.b.idx).expect("it is there").proof.give(p.b.now);
    let of_now = view.snapshot("subscribe", UnixMs(TS.0 + 1_001));
    assert_eq!((of_now.cut, json(&of_now)["ts"].as_i64()), (of_then.cut, Some(TS.0 + 1_001)), "nothing changed but the time");
    assert_eq!((&json(&of_then)["accounts"][0]["proven_ts"], of_now.ts), (&Value::Null, UnixMs(TS.0 + 1_001)));
    assert_eq!(json(&of_now)["accounts"][0]["proven_ts"], p.b.now.unix.0);
    let stepped_back = view.snapshot("subscribe", UnixMs(TS.0));
    assert_eq!(json(&stepped_back)["ts"].as_i64(), Some(TS.0), "a clock that stepped back makes none old or of the future");
}

#[test]
fn changes_elsewhere_leave_a_views_frames_shared() {
    let p = Pair::new();
    let view = p.view(&filter(&[], &["main"]));
    let before = view.snapshot("subscribe", TS);
    p.b.store.connecting(p.other, p.b.now);
    assert!(Arc::ptr_eq(&before, &view.snapshot("subscribe", TS)));
    assert!(view.update(before.cut, before.cut, TS).texts.is_empty());
}

#[test]
fn a_filter_narrows_and_never_grants() {
    let p = Pair::new();
    let only = p.hub.view(&[p.b.idx], &filter(&[], &["other", "none"]), Channel::Balances);
    let nothing = p.hub.view(&[p.b.idx], &filter(&[], &["none"]), Channel::Balances);
    for view in [only, nothing] {
        let frame = json(&view.snapshot("subscribe", TS));
        assert_eq!((frame["accounts"].as_array().map(Vec::len), assets(&frame).len()), (Some(0), 0));
    }
}

#[test]
fn every_right_and_filter_is_a_history_of_its_own() {
    let p = Pair::new();
    let both = p.view(&Filter::default());
    let one = p.hub.view(&[p.b.idx], &Filter::default(), Channel::Balances);
    let named = p.view(&filter(&[], &["main"]));
    assert!(both.epoch() != one.epoch() && both.epoch() != named.epoch() && one.epoch() != named.epoch());
    assert!(!one.is_same(&both) && !named.is_same(&both) && both.is_same(&p.view(&Filter::default())));
    let snapshot = both.snapshot("subscribe", TS);
    assert!(one.resume(both.epoch(), snapshot.cut, TS).full, "rows of the other right would be missing or too many");
}

#[test]
fn a_shared_snapshot_takes_no_reader_back() {
    let mut p = Pair::new();
    let view = p.hub.view(&[], &Filter::default(), Channel::Balances);
    let shared = view.snapshot("resync", TS);
    p.b.say([push(&["USD 6/6/0"])]);
    let held = view.resume(view.epoch(), shared.cut, TS).cut;
    assert!(held > shared.cut, "nothing of the view changed, and yet its reader is further now");
    assert!(Arc::ptr_eq(&shared, &view.snapshot("resync", TS)));
    assert!(view.snapshot_from("resync", held, TS).cut >= held);
}

#[test]
fn resume_gives_one_update_where_it_can_and_a_snapshot_where_not() {
    let mut p = Pair::new();
    let view = p.view(&Filter::default());
    let at = view.snapshot("subscribe", TS).cut;
    let empty = view.resume(view.epoch(), at, TS);
    assert_eq!((json(&empty)["type"].as_str(), json(&empty)["prev"].as_u64()), (Some("update"), Some(at)));
    p.b.say([push(&["USD 6/6/0"])]);
    let resumed = view.resume(view.epoch(), at, TS);
    assert_eq!((resumed.full, assets(&json(&resumed)), json(&resumed)["prev"].as_u64()), (false, vec!["USD"], Some(at)));
    for (epoch, gsn) in [("other", at), (view.epoch(), 0), (view.epoch(), u64::MAX)] {
        let frames = view.resume(epoch, gsn, TS);
        assert_eq!((frames.full, json(&frames)["prev"].as_u64()), (true, Some(0)), "{epoch} {gsn}");
    }
}

#[test]
fn an_update_too_large_for_one_frame_is_a_snapshot_in_parts() {
    let mut p = Pair::new();
    let view = p.view(&Filter::default());
    let at = view.snapshot("subscribe", TS).cut;
    let rows = |total: u64| {
        let row = |i| RowUpdate {
            total: crate::model::Field::Is(total.into()),
            ..RowUpdate::new("spot", Name::from(format!("{i:0110}")))
        };
        VenueEvent::Rows((0..900).map(row).collect())
    };
    p.b.say([rows(1)]);
    assert_eq!(view.small_update(at, at, TS).err(), Some("bulk"), "who must not take long is told what it takes");
    let frames = view.update(at, at, TS);
    assert!(frames.full && frames.texts.len() > 1);
    let first: Value = serde_json::from_str(frames.texts[0].text()).unwrap();
    assert_eq!((first["reason"].as_str(), first["prev"].as_u64(), first["part"].as_u64()), (Some("bulk"), Some(0), Some(1)));
}

#[test]
fn views_that_nobody_reads_are_forgotten() {
    let p = Pair::new();
    for i in 0..1_000 {
        p.view(&filter(&[&format!("A{i}")], &[]));
    }
    assert!(p.hub.views.len() <= 128, "{}", p.hub.views.len());
}

fn reader(waker: &Arc<Waker>) -> Weak<dyn Wake> {
    let reader: Arc<dyn Wake> = Arc::clone(waker) as Arc<dyn Wake>;
    Arc::downgrade(&reader)
}

#[test]
fn only_watchers_of_a_changed_account_are_woken() {
    let mut p = Pair::new();
    let (main, other) = (Arc::<Waker>::default(), Arc::<Waker>::default());
    let _one = p.hub.watch(&p.view(&filter(&[], &["main"])), &reader(&main));
    let two = p.hub.watch(&p.view(&filter(&[], &["other"])), &reader(&other));
    let cursor = p.hub.wake_since(p.b.store.gsn());
    p.b.say([push(&["BTC 2/2/0"])]);
    let cursor = p.hub.wake_since(cursor);
    assert!(main.woken().now_or_never().is_some(), "a wake is kept for who does not wait");
    assert!(main.woken().now_or_never().is_none(), "once");
    assert!(other.woken().now_or_never().is_none());
    drop(two);
    p.b.store.connecting(p.other, p.b.now);
    p.hub.wake_since(cursor);
    p.hub.wake_all();
    assert!(other.woken().now_or_never().is_none(), "a dropped watch is over");
    assert!(main.woken().now_or_never().is_some(), "everybody is everybody");
}

#[test]
fn the_hub_wakes_for_commits_from_before_it_ran() {
    let mut p = Pair::new();
    let waker = Arc::<Waker>::default();
    let _watch = p.hub.watch(&p.view(&Filter::default()), &reader(&waker));
    p.b.say([push(&["BTC 2/2/0"])]);
    let mut run = Box::pin(Arc::clone(&p.hub).run(|| Now { mono: crate::model::Mono(0), unix: TS }));
    assert!((&mut run).now_or_never().is_none());
    assert!(waker.woken().now_or_never().is_some());
    p.b.say([push(&["BTC 3/3/0"])]);
    // It lets others commit first, who are ready, and then wakes for all of them.
    assert!((&mut run).now_or_never().is_none());
    assert!((&mut run).now_or_never().is_none());
    assert!(waker.woken().now_or_never().is_some());
}

/// Threads commit while readers follow by cursor: none misses a change, sees half a commit, or goes back.
#[test]
fn readers_that_follow_concurrent_commits_miss_nothing() {
    const COMMITS: u64 = 2_000;
    let p = Pair::new();
    let (hub, store, idx) = (&p.hub, &p.b.store, p.b.idx);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 2..COMMITS {
                let both = format!("{n}/{n}/0");
                store.apply(idx, p.b.now, [push(&[&format!("BTC {both}"), &format!("USD {both}")])]);
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            for _ in 0..COMMITS {
                store.connecting(p.other, p.b.now);
                store.lost(p.other, p.b.now, AccountState::Maintenance, reason());
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let view = hub.view(&[idx], &Filter::default(), Channel::Balances);
                let first = view.snapshot("subscribe", TS);
                let (mut prev, mut cursor, mut seen) = (first.cut, first.cut, (0u64, 0u64));
                loop {
                    let last = done.load(Ordering::Acquire);
                    let frames = view.update(prev, cursor, TS);
                    assert!(frames.cut >= cursor);
                    cursor = frames.cut;
                    if frames.texts.is_empty() {
                        if last {
                            break;
                        }
                        continue;
                    }
                    let frame = json(&frames);
                    assert_eq!((frame["prev"].as_u64(), frame["gsn"].as_u64()), (Some(prev), Some(frames.cut)));
                    prev = frames.cut;
                    let total = |i: usize| frame["balances"][i]["total"].as_str().and_then(|t| t.parse::<u64>().ok());
                    let now = (total(0).expect("both rows"), total(1).expect("both rows"));
                    assert!(now.0 == now.1 && now > seen, "{seen:?} then {now:?}");
                    seen = now;
                }
                assert!(seen.0 == COMMITS - 1 || seen.0 == 0, "the last value is never missed: {seen:?}");
                let all = view.read_all();
                assert!(all.balances.iter().all(|row| row.total == Some((COMMITS - 1).into())));
            });
        }
    });
}

#[test]
fn the_orders_channel_has_its_own_view() {
    let p = Pair::new();
    let orders = p.hub.view(&p.both(), &Filter::default(), Channel::Orders);
    assert!(!orders.is_same(&p.view(&Filter::default())));
    assert_eq!(json(&orders.snapshot("subscribe", TS))["orders"], serde_json::json!([]));
    assert!(!orders.is_unfiltered() && p.view(&filter(&[], &["main"])).is_unfiltered());
    assert!(!p.view(&filter(&["BTC"], &[])).is_unfiltered());
}

#[test]
fn a_large_snapshot_is_let_go_when_nobody_can_be_given_it_and_a_small_one_stays() {
    let mut b = Bench::limited(2_000);
    b.reopen();
    let rows: Vec<String> = (0..2_000).map(|n| format!("A{n} 1/1/0")).collect();
    b.say([list(&rows.iter().map(String::as_str).collect::<Vec<_>>()), VenueEvent::Synced]);
    let hub = Hub::new(Arc::clone(&b.store), Arc::clone(&b.metrics));
    let small = hub.view(&[b.idx], &filter(&["A1"], &[]), Channel::Balances);
    let large = hub.view(&[b.idx], &Filter::default(), Channel::Balances);
    let held = [&small, &large].map(|view| Arc::downgrade(&view.snapshot("subscribe", TS)));
    let kept = |after_ms: i64| {
        hub.forget(UnixMs(TS.0 + after_ms));
        [&held[0], &held[1]].map(|frames| frames.strong_count())
    };
    assert_eq!(kept(1_000), [1, 1]);
    assert_eq!(kept(1_001), [1, 0]);
}

#[test]
fn an_empty_account_list_is_still_a_snapshot() {
    let p = Pair::new();
    let frame = json(&p.hub.view(&[], &Filter::default(), Channel::Balances).snapshot("subscribe", TS));
    assert_eq!((frame["complete"].as_bool(), assets(&frame).len()), (Some(true), 0));
    let mut b = Bench::open();
    b.say([list(&[])]);
    let hub = Hub::new(Arc::clone(&b.store), Arc::clone(&b.metrics));
    let frame = json(&hub.view(&[b.idx], &Filter::default(), Channel::Balances).snapshot("subscribe", TS));
    assert_eq!(frame["complete"].as_bool(), Some(false), "no assets and not loaded yet are different answers");
}
