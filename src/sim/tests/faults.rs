//! Every fault of the network, each with what it must leave alone.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::toy::{Client, counted, deposit, rest, toy, until, within};
use crate::sim::{FaultError, NET_FAULTS, NetFault, SimServer};

fn status(answer: Result<Client, Error>) -> u16 {
    match answer {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    }
}

/// Gives the connections many turns in which to do what they must not.
async fn round_trips(server: &SimServer) {
    for _ in 0..10 {
        assert_eq!(rest("GET", &server.rest_url("/api"), "").await.0, 201);
    }
}

#[test]
fn every_listed_fault_parses_as_listed() {
    for (listed, _) in NET_FAULTS {
        let text = listed.replace("<ms>", "250").replace("<n>", "4");
        assert!(NetFault::parse(&text).unwrap().is_ok(), "{text}");
    }
}

#[test]
fn fault_texts_are_read_exactly() {
    let cases = [
        ("delay:250", Some(Ok(NetFault::DelayMs(250)))),
        ("lose:1", Some(Ok(NetFault::Lose(1)))),
        ("half_open", Some(Ok(NetFault::HalfOpen))),
        ("half_open:1", Some(Err(FaultError::NoNumber("half_open")))),
        ("lose", Some(Err(FaultError::Number("lose", "frames", 1_000_000_000, 3)))),
        ("delay:-1", Some(Err(FaultError::Number("delay", "ms", 3_600_000, 500)))),
        ("delay:3600001", Some(Err(FaultError::Number("delay", "ms", 3_600_000, 500)))),
        ("delay:", Some(Err(FaultError::Number("delay", "ms", 3_600_000, 500)))),
        ("Disconnect", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(NetFault::parse(text), expected, "{text:?}");
    }
    let message = NetFault::parse("delay").unwrap().unwrap_err().to_string();
    assert_eq!(message, "fault \"delay\" wants a number of ms up to 3600000, as in \"delay:500\"");
}

#[tokio::test]
async fn venue_faults_are_listed_and_thrown_beside_the_networks() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    let listed = server.faults();
    assert!(listed.contains(&("hiccup", "says hiccup")) && listed.len() == NET_FAULTS.len() + 1);
    server.fault("hiccup").unwrap();
    assert_eq!(client.text().await, "hiccup");
    assert_eq!(server.fault("hiccup:2"), Err(FaultError::Refused("hiccup takes no number".into())));
    assert_eq!(server.fault("earthquake"), Err(FaultError::Unknown));
}

#[tokio::test]
async fn disconnect_drops_every_connection_without_a_word() {
    let server = toy().await;
    let (mut one, mut two) = (Client::open(&server).await, Client::open(&server).await);
    server.fault("disconnect").unwrap();
    one.assert_dropped().await;
    two.assert_dropped().await;
    until(|| server.connections() == 0).await;
    assert_eq!(Client::open(&server).await.ask("anew").await, "echo anew");
}

#[tokio::test]
async fn half_open_silences_a_connection_but_keeps_it() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("half_open").unwrap();
    within(client.0.send(Message::Ping("p".into()))).await.unwrap();
    client.send("anyone?").await;
    round_trips(&server).await;
    assert_eq!(server.connections(), 1);
    server.fault("disconnect").unwrap();
    // Had the ping or the frame been answered, the answer would stand before the end.
    client.assert_dropped().await;
}

#[tokio::test]
async fn healed_half_open_connection_goes_on_where_it_was() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("half_open").unwrap();
    server.moves(&deposit("toy-main", "spot", "BTC", "1")).unwrap();
    client.send("anyone?").await;
    round_trips(&server).await;
    server.fault("heal").unwrap();
    assert_eq!(client.text().await, "spot BTC 3.50000000");
    for _ in 0..10 {
        assert_eq!(client.text().await, "requested");
    }
    assert_eq!(client.text().await, "echo anyone?");
}

#[tokio::test]
async fn half_open_leaves_new_handshakes_unanswered_until_healed() {
    let server = toy().await;
    server.fault("half_open").unwrap();
    let mut handshake = Box::pin(Client::open(&server));
    for _ in 0..10 {
        assert!(handshake.as_mut().now_or_never().is_none());
        round_trips(&server).await;
    }
    assert_eq!(server.connections(), 0);
    server.fault("heal").unwrap();
    assert_eq!(handshake.await.ask("at last").await, "echo at last");
}

#[tokio::test]
async fn overflow_while_half_open_is_noticed_only_after_it() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("half_open").unwrap();
    for _ in 0..4_097 {
        server.moves(&deposit("toy-main", "spot", "BTC", "1")).unwrap();
    }
    assert_eq!(server.connections(), 0);
    server.fault("heal").unwrap();
    for n in 3..4_099 {
        assert_eq!(client.text().await, format!("spot BTC {n}.50000000"));
    }
    client.assert_dropped().await;
    until(|| counted(&server, "disconnects") == "1").await;
}

#[tokio::test]
async fn refuse_turns_new_handshakes_away_and_leaves_old_connections() {
    let server = toy().await;
    let mut old = Client::open(&server).await;
    server.fault("refuse").unwrap();
    assert_eq!(status(Client::try_open(&server, "/ws").await), 503);
    assert_eq!(old.ask("still").await, "echo still");
    server.fault("heal").unwrap();
    assert_eq!(status(Client::try_open(&server, "/ws").await), 101);
}

#[tokio::test]
async fn delay_holds_frames_back_and_keeps_their_order() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("delay:80").unwrap();
    let start = Instant::now();
    client.send("one").await;
    client.send("two").await;
    assert_eq!(client.text().await, "echo one");
    assert!(start.elapsed() >= Duration::from_millis(80));
    server.fault("heal").unwrap();
    client.send("three").await;
    assert_eq!(client.text().await, "echo two");
    assert_eq!(client.text().await, "echo three");
}

#[tokio::test]
async fn garbage_reaches_every_connection_and_is_no_json() {
    let server = toy().await;
    let (mut one, mut two) = (Client::open(&server).await, Client::open(&server).await);
    server.fault("garbage").unwrap();
    for client in [&mut one, &mut two] {
        assert!(serde_json::from_str::<serde_json::Value>(&client.text().await).is_err());
        assert_eq!(client.ask("after").await, "echo after");
    }
}

#[tokio::test]
async fn lose_swallows_just_that_many_frames() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("lose:2").unwrap();
    client.send("one").await;
    client.send("two").await;
    assert_eq!(client.ask("three").await, "echo three");
    server.fault("lose:1000").unwrap();
    server.fault("heal").unwrap();
    assert_eq!(client.ask("four").await, "echo four");
}

#[tokio::test]
async fn duplicate_repeats_just_that_many_frames() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("duplicate:1").unwrap();
    client.send("one").await;
    client.send("two").await;
    for expected in ["echo one", "echo one", "echo two"] {
        assert_eq!(client.text().await, expected);
    }
    assert_eq!(client.ask("three").await, "echo three");
}

#[tokio::test]
async fn rest_down_answers_500_and_leaves_the_stream() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.fault("rest_down").unwrap();
    assert_eq!(rest("GET", &server.rest_url("/api"), "").await.0, 500);
    assert_eq!(counted(&server, "requests"), "0");
    assert_eq!(client.ask("still").await, "echo still");
    server.fault("heal").unwrap();
    assert_eq!(rest("GET", &server.rest_url("/api"), "").await.0, 201);
}

#[tokio::test]
async fn rest_slow_delivers_an_old_answer() {
    let server = toy().await;
    server.fault("rest_slow:80").unwrap();
    let (start, url) = (Instant::now(), server.rest_url("/api"));
    let later = async {
        until(|| counted(&server, "requests") == "1").await;
        server.moves(&deposit("toy-main", "spot", "BTC", "1")).unwrap();
    };
    let ((status, body), ()) = tokio::join!(rest("GET", &url, ""), later);
    assert!(start.elapsed() >= Duration::from_millis(80));
    assert_eq!((status, body.as_str()), (201, "GET /api ada  2.50000000"));
}
