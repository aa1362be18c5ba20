//! Pace, conflation, heartbeats and pulses.

use super::*;

#[test]
fn a_paced_reader_gets_the_last_value_at_its_pace() {
    let mut c = Client::alice();
    c.say(r#"{"type":"subscribe","channel":"user:balances","max_rate_hz":2}"#);
    let gsn = c.b.store.gsn();
    for n in 2..6 {
        c.push(&[&format!("BTC {n}/{n}/0")]);
        assert!(c.wake().is_empty(), "not yet");
    }
    let said = c.pass(500);
    assert_eq!((kinds(&said), rows(&said[0])), (vec!["update"], vec!["BTC 5".into()]));
    assert_eq!((said[0]["prev"].as_u64(), said[0]["gsn"].as_u64()), (Some(gsn), Some(gsn + 4)));
    c.push(&["BTC 6/6/0"]);
    assert_eq!((c.pass(490).len(), kinds(&c.pass(10))), (0, vec!["update"]), "half a second from the frame before");
    c.pass(600);
    c.push(&["BTC 7/7/0"]);
    assert_eq!(kinds(&c.wake()), ["update"], "who has waited long enough is told at once");
}

#[test]
fn what_came_too_early_is_asked_for_however_late_its_time_is_looked_at() {
    let mut c = Client::alice();
    c.say(r#"{"type":"subscribe","channel":"user:balances","max_rate_hz":2}"#);
    c.push(&["BTC 2/2/0"]);
    assert!(c.wake().is_empty() && std::mem::take(&mut c.out.later), "its driver has to look at the deadline again");
    assert!(c.wake().is_empty() && !c.out.later, "once");
    c.b.now = c.b.now.plus_ms(600);
    assert!(c.session.deadline(c.b.now) <= c.b.now.mono);
    assert_eq!(kinds(&c.pass(0)), ["update"]);
}

#[test]
fn whom_others_wait_for_leaves_a_long_answer_for_later() {
    let mut c = Client::subscribed();
    let rows: Vec<_> = (0..900).map(|n| format!("{n:0110} 1/1/0")).collect();
    c.push(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    c.session.on_quick_wake(c.b.now, &mut c.out);
    assert!(c.out.is_empty() && c.out.later);
    let said = c.wake();
    assert_eq!((said[0]["type"].as_str(), said[0]["reason"].as_str()), (Some("snapshot"), Some("bulk")));
    c.push(&["BTC 3/3/0"]);
    c.session.on_quick_wake(c.b.now, &mut c.out);
    assert_eq!(kinds(&c.take()), ["update"]);
    assert!(c.out.read_at.is_some());
}

#[test]
fn skipped_versions_are_counted_and_nothing_else() {
    let mut c = Client::subscribed();
    let conflated = |c: &Client| c.deps.metrics.client_rows_conflated.get();
    for n in 2..6 {
        c.push(&[&format!("BTC {n}/{n}/0")]);
    }
    c.push(&["USD 6/6/0"]);
    c.wake();
    assert_eq!(conflated(&c), 3, "BTC 2, 3 and 4");
    c.push(&["BTC 7/7/0"]);
    c.wake();
    c.b.lose(crate::model::AccountState::Stale);
    c.wake();
    c.b.reopen();
    c.b.say([crate::store::tests::list(&["BTC 8/8/0", "USD 6/6/0", "ETH 1/1/0"]), crate::model::VenueEvent::Synced]);
    c.wake();
    assert_eq!(conflated(&c), 3, "what is told whole is not skipped");
}

#[test]
fn silence_is_broken_by_heartbeats_with_the_last_frames_gsn() {
    let mut c = Client::subscribed();
    let gsn = c.b.store.gsn();
    c.b.store.connecting(c.other, c.b.now);
    assert!(c.wake().is_empty());
    let said = c.pass(15_000);
    let wanted = serde_json::json!({"type": "heartbeat", "ts": c.b.now.unix.0, "gsn": {"user:balances": gsn}});
    assert_eq!(said, [wanted], "what a client compares its own number with");
    c.pass(14_000);
    c.push(&["BTC 2/2/0"]);
    assert_eq!(kinds(&c.wake()), ["update"]);
    assert!(c.pass(14_999).is_empty(), "something was sent meanwhile");
    assert_eq!(kinds(&c.pass(1)), ["heartbeat"]);
}

#[test]
fn a_client_that_answers_no_ping_is_gone() {
    let mut c = Client::alice();
    let mut pings = 0;
    for _ in 0..200 {
        c.pass(1_000);
        pings += usize::from(std::mem::take(&mut c.out.ping));
        if c.closed().is_some() {
            break;
        }
    }
    assert_eq!((c.closed(), pings), (Some(CloseCode::NoPong), 2));
    assert_eq!(c.b.now.mono.since_ms(crate::model::Mono::default().plus_ms(1_000_000)) / 1_000, 90);
}

#[test]
fn a_client_that_is_heard_stays() {
    let mut c = Client::alice();
    for _ in 0..20 {
        c.pass(30_000);
        assert!(std::mem::take(&mut c.out.ping));
        c.session.on_heard(c.b.now);
    }
    assert_eq!(c.closed(), None);
}

#[test]
fn a_gone_client_is_told_nothing_more() {
    let mut c = Client::subscribed();
    c.pass(89_000);
    c.push(&["BTC 2/2/0"]);
    assert_eq!((c.pass(5_000), c.closed()), (vec![], Some(CloseCode::NoPong)));
}

#[test]
fn a_drain_is_announced() {
    let mut c = Client::subscribed();
    c.session.on_drain(c.b.now, 5_000, &mut c.out);
    assert_eq!(c.take(), [serde_json::json!({"type": "draining", "reconnect_within_ms": 5_000})]);
}

#[test]
fn a_large_snapshot_comes_in_parts_that_belong_together() {
    let mut c = Client::alice();
    let many: Vec<String> = (0..900).map(|i| format!("A{i} 1/1/0")).collect();
    c.push(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let said = c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    let parts = &said[1..];
    assert!(parts.len() > 2);
    for (i, part) in parts.iter().enumerate() {
        assert_eq!((part["part"].as_u64(), part["parts"].as_u64()), (Some(i as u64 + 1), Some(parts.len() as u64)));
        assert_eq!((&part["gsn"], &part["epoch"], part["prev"].as_u64()), (&said[0]["gsn"], &said[0]["epoch"], Some(0)));
        assert!(part.to_string().len() <= crate::protocol::PART_BYTES);
    }
    assert_eq!(parts.iter().map(|part| rows(part).len()).sum::<usize>(), 902);
    c.push(&["A1 2/2/0"]);
    assert_eq!(c.wake()[0]["prev"], said[0]["gsn"]);
}

/// A client that does as the protocol says, against random commits, pauses, paces and reconnects: it holds what the store holds.
#[test]
fn a_client_that_follows_the_rules_holds_what_the_store_holds() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut c = Client::alice();
        let mut held = Held::default();
        let pace = ["", r#","max_rate_hz":20"#][rng.usize(..2)];
        let filter = ["", r#","filter":{"assets":["BTC","ETH"]}"#, r#","filter":{"nonzero":true}"#][rng.usize(..3)];
        let subscribe = |since: &str| format!(r#"{{"type":"subscribe","channel":"user:balances"{pace}{filter}{since}}}"#);
        held.take(c.say(&subscribe("")));
        for _ in 0..120 {
            match rng.usize(..12) {
                0 => c.b.lose(crate::model::AccountState::Stale),
                1 => {
                    c.b.reopen();
                    let events = [crate::store::tests::list(&["BTC 1/1/0", "ETH 2/2/0"]), crate::model::VenueEvent::Synced];
                    c.b.say(events);
                }
                2 => {
                    c.session = ClientSession::new(Arc::clone(&c.deps), c.b.now);
                    c.auth("alice", None, 3_600_000);
                    let since = format!(r#","since":{{"epoch":"{}","gsn":{}}}"#, held.epoch, held.gsn);
                    held.take(c.say(&subscribe(&since)));
                }
                3 => held.take(c.pass(rng.u64(..200))),
                4 => held.take(c.wake()),
                _ => {
                    let n = rng.u32(..3);
                    c.push(&[&format!("{} {n}/{n}/0", ["BTC", "ETH", "USD", "DOT"][rng.usize(..4)])]);
                }
            }
        }
        held.take(c.pass(100));
        held.take(c.wake());
        let mut fresh = Held::default();
        fresh.take(c.say(&subscribe("")));
        assert_eq!(held.rows, fresh.rows, "seed {seed}");
        assert!(held.gsn <= fresh.gsn);
    }
}

/// What such a client keeps.
#[derive(Default)]
struct Held {
    epoch: String,
    gsn: u64,
    rows: std::collections::BTreeMap<String, String>,
}

impl Held {
    fn take(&mut self, frames: Vec<Value>) {
        for frame in frames {
            let whole = frame["type"] == "snapshot";
            match frame["type"].as_str().unwrap() {
                "snapshot" => self.rows.clear(),
                "update" => assert_eq!(frame["prev"].as_u64(), Some(self.gsn), "a gap"),
                "subscribed" => {
                    assert!(!frame["resumed"].as_bool().unwrap() || frame["epoch"] == self.epoch.as_str());
                    continue;
                }
                _ => continue,
            }
            assert!(whole || frame["gsn"].as_u64() >= Some(self.gsn));
            self.gsn = frame["gsn"].as_u64().unwrap();
            self.epoch = frame["epoch"].as_str().unwrap().into();
            for row in frame["balances"].as_array().unwrap() {
                // A zero row says that there is nothing: the same to a client that asked for no zeros.
                let name = row["asset"].as_str().unwrap().to_owned();
                match row["total"] == "0" {
                    true => self.rows.remove(&name),
                    false => self.rows.insert(name, row.to_string()),
                };
            }
        }
    }
}
