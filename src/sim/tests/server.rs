//! Frames, requests, timers and ends, with the network as it should be.

use futures_util::SinkExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::toy::{Client, TOYS, counted, deposit, rest, toy, until, within};
use crate::sim::{SimServer, Trading};
use crate::venue::sim::SimSetup;

#[tokio::test]
async fn frames_reach_the_simulator_and_come_back() {
    let server = toy().await;
    let mut request = server.ws_url("/ws").into_client_request().unwrap();
    request.headers_mut().insert("X-Name", "ada".parse().unwrap());
    let (socket, _) = within(connect_async(request)).await.unwrap();
    let mut client = Client(socket);
    assert_eq!(client.text().await, "hello ada");
    assert_eq!(client.ask("one").await, "echo one");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn refused_handshake_is_the_simulators_answer() {
    let server = toy().await;
    let Err(Error::Http(answer)) = Client::try_open(&server, "/elsewhere").await else { panic!("refused") };
    assert_eq!((answer.status().as_u16(), answer.body().clone().unwrap()), (403, b"not here".to_vec()));
    assert_eq!(server.connections(), 0);
    assert_eq!(counted(&server, "disconnects"), "0");
}

#[tokio::test]
async fn request_of_any_method_and_path_reaches_the_simulator() {
    let server = toy().await;
    let url = format!("{}/deep/path?a=1&b=%20", server.rest_url("/api/"));
    assert_eq!(rest("PUT", &url, "the body").await, (201, "PUT /api/deep/path?a=1&b=%20 ada the body 2.50000000".into()));
}

#[tokio::test]
async fn body_over_the_bound_is_refused() {
    let server = toy().await;
    let (url, most) = (server.rest_url(""), 64 * 1024);
    assert_eq!(rest("POST", &url, &"x".repeat(most)).await.0, 201);
    assert_eq!(rest("POST", &url, &"x".repeat(most + 1)).await.0, 413);
    assert_eq!(counted(&server, "requests"), "1");
}

#[tokio::test]
async fn request_can_make_the_stream_speak() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    rest("GET", &server.rest_url("/api"), "").await;
    assert_eq!(client.text().await, "requested");
}

#[tokio::test]
async fn deadline_set_by_a_frame_fires_once() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    client.send("tick in 20").await;
    assert_eq!(client.text().await, "tick");
    assert_eq!(client.ask("after").await, "echo after");
}

#[tokio::test]
async fn pings_go_out_and_are_answered_without_the_simulator() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    within(client.0.send(Message::Ping("p".into()))).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    client.send("ping me").await;
    assert!(client.next().await.unwrap().unwrap().is_ping());
}

#[tokio::test]
async fn close_carries_the_simulators_code() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    client.send("bye").await;
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else { panic!("a close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4000, "as asked"));
    drop(client);
    until(|| server.connections() == 0).await;
}

#[tokio::test]
async fn binary_frame_is_refused() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    within(client.0.send(Message::binary(vec![1, 2]))).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else { panic!("a close frame") };
    assert_eq!(u16::from(frame.code), 1003);
}

#[tokio::test]
async fn frame_over_the_bound_ends_the_connection() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    let most = "x".repeat(64 * 1024);
    assert_eq!(client.ask(&most).await, format!("echo {most}"));
    // The end may come while the frame is still being written.
    let _ = within(client.0.send(Message::text(most + "x"))).await;
    client.assert_dropped().await;
    until(|| server.connections() == 0).await;
}

#[tokio::test]
async fn vanished_client_is_told_to_the_simulator_once() {
    let server = toy().await;
    drop(Client::open(&server).await);
    until(|| server.connections() == 0).await;
    assert_eq!(counted(&server, "disconnects"), "1");
}

#[tokio::test]
async fn full_queue_ends_that_connection_and_no_other() {
    let server = toy().await;
    let (mut flooded, mut other) = (Client::open(&server).await, Client::open(&server).await);
    flooded.send("many 5000").await;
    flooded.assert_dropped().await;
    until(|| server.connections() == 1).await;
    assert_eq!(other.ask("still").await, "echo still");
    assert_eq!(server.failure(), None);
}

#[tokio::test]
async fn movement_is_told_and_stands_in_the_book() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    server.moves(&deposit("toy-main", "spot", "BTC", "0.10000000")).unwrap();
    assert_eq!(client.text().await, "spot BTC 2.60000000");
    assert_eq!(server.book("toy-main").unwrap().holding("spot", "BTC").total().as_str(), "2.60000000");
    assert!(server.book("nobody").is_none());
    assert_eq!(server.moves(&deposit("nobody", "spot", "BTC", "1")), Err("no such account".into()));
}

#[tokio::test]
async fn market_moves_while_it_has_a_pace() {
    let server = toy().await;
    let book = || server.book("toy-main").unwrap();
    let before = book();
    server.set_rate(2_000.0).unwrap();
    until(|| book() != before).await;
    server.set_rate(0.0).unwrap();
    assert_eq!(server.rate_hz(), 0.0);
    // The timer, the market and this share one thread: once the halt is taken in, a round trip finds nothing changed.
    let mut client = Client::open(&server).await;
    client.ask("settle").await;
    let halted = book();
    for _ in 0..20 {
        assert_eq!(client.ask("still").await, "echo still");
    }
    assert_eq!(book(), halted);
}

#[tokio::test]
async fn senseless_pace_is_refused() {
    let server = toy().await;
    for pace in [-1.0, f64::NAN, f64::INFINITY, 10_001.0] {
        assert!(server.set_rate(pace).unwrap_err().contains("0 to 10000"), "{pace}");
    }
    // So slow that the period is no duration: it must not panic.
    server.set_rate(1e-300).unwrap();
    let mut client = Client::open(&server).await;
    assert_eq!(client.ask("alive").await, "echo alive");
    assert_eq!(server.failure(), None);

    let trading = Trading { pairs: Vec::new(), rate_hz: -1.0 };
    let refused = SimServer::start(&TOYS[0], SimSetup::default(), "127.0.0.1:0".parse().unwrap(), trading).await;
    assert_eq!(refused.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn stop_says_goodbye_and_frees_the_port() {
    let server = toy().await;
    let mut client = Client::open(&server).await;
    let goodbye = async {
        let Some(Ok(Message::Close(Some(frame)))) = client.next().await else { panic!("a close frame") };
        assert_eq!(u16::from(frame.code), 1001);
        while client.next().await.is_some_and(|next| next.is_ok()) {}
    };
    let stop = async {
        server.stop().await;
        server.connections()
    };
    let (left, ()) = within(async { tokio::join!(stop, goodbye) }).await;
    assert_eq!((left, server.failure()), (0, None));
    assert!(matches!(Client::try_open(&server, "/ws").await, Err(Error::Io(_))));
    assert!(std::net::TcpListener::bind(server.addr()).is_ok());
}

#[tokio::test]
async fn stop_does_not_wait_for_held_handshakes_and_answers() {
    let server = toy().await;
    server.fault("half_open").unwrap();
    server.fault("rest_slow:3600000").unwrap();
    let url = server.rest_url("/api");
    let handshake = Client::try_open(&server, "/ws");
    let stop = async {
        until(|| counted(&server, "requests") == "1").await;
        server.stop().await;
    };
    let (handshake, answer, ()) = within(async { tokio::join!(handshake, rest("GET", &url, ""), stop) }).await;
    assert_eq!(answer.0, 503);
    assert!(handshake.is_err());
}
