//! The event stream: cut again and again it resumes by the last event's id, and a drain ends it in good order.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::client::Held;
use crate::support::soon;
use crate::support::world::{World, given, http};

/// One event.
struct Event {
    id: Option<String>,
    frame: Value,
}

/// A reader of the stream, event by event.
struct Stream {
    answer: reqwest::Response,
    read: Vec<u8>,
}

impl Stream {
    async fn open(world: &World, last: Option<&str>) -> Self {
        let url = format!("http://{}/v1/stream/balances", world.addr);
        let mut request = http().get(url).bearer_auth(world.token("alice"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = soon("the stream", request.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, read: Vec::new() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(parse(std::str::from_utf8(&event).unwrap()));
            }
            self.read.extend(soon("an event", self.answer.chunk()).await.unwrap()?);
        }
    }
}

fn parse(event: &str) -> Event {
    let fields: BTreeMap<_, _> = event.trim_end().lines().map(|line| line.split_once(": ").unwrap()).collect();
    let frame: Value = serde_json::from_str(fields["data"]).unwrap();
    assert_eq!(frame["type"], fields["event"], "an event's name is its frame's type");
    Event { id: fields.get("id").map(|id| (*id).to_owned()), frame }
}

#[tokio::test]
async fn a_stream_cut_again_and_again_resumes_and_misses_nothing() {
    let world = World::of(given("moonbase")).await;
    let (mut held, mut last) = (Held::default(), None::<String>);
    for turn in 0..20 {
        let mut stream = Stream::open(&world, last.as_deref()).await;
        let subscribed = stream.next().await.unwrap();
        assert_eq!(subscribed.frame["resumed"], last.is_some(), "turn {turn}");
        // Money moves while the stream stands, and once more after it was cut.
        world.set("1000004", "ETH", &format!("{turn}.5"));
        let told = format!("{turn}.5");
        while !held.rows.values().any(|row| row["asset"] == "ETH" && row["total"] == *told) {
            let event = stream.next().await.unwrap();
            assert!(turn == 0 || event.frame["type"] != "snapshot", "only what changed");
            if ["snapshot", "update"].contains(&event.frame["type"].as_str().unwrap()) {
                held.take(&event.frame, event.frame.to_string().len());
                last = Some(event.id.expect("whoever holds this frame can resume"));
            }
        }
        drop(stream);
        world.set("1000004", "BTC", &format!("{turn}.25"));
    }
    let mut stream = Stream::open(&world, last.as_deref()).await;
    let book = || world.sim().book("moon-main").unwrap();
    while !held.agrees("moon-main", &book()) {
        let event = stream.next().await.unwrap();
        if event.frame["type"] == "update" {
            held.take(&event.frame, 0);
        }
    }
    let mut stranger = Stream::open(&world, Some("another-history:7")).await;
    assert_eq!(stranger.next().await.unwrap().frame["resumed"], false);
    assert_eq!(stranger.next().await.unwrap().frame["type"], "snapshot");
}

#[tokio::test]
async fn a_drain_tells_a_stream_and_ends_it() {
    let world = World::of(given("moonbase")).await;
    let mut stream = Stream::open(&world, None).await;
    while stream.next().await.unwrap().frame["type"] != "snapshot" {}
    world.stop.cancel();
    let mut draining = stream.next().await.unwrap();
    while draining.frame["type"] != "draining" {
        draining = stream.next().await.unwrap();
    }
    assert!(draining.frame["reconnect_within_ms"].is_u64(), "{}", draining.frame);
    while stream.next().await.is_some() {}
    world.end().await.unwrap();
}
