//! Traces over OTLP, against a collector of these tests' own on loopback that decodes the protocol's own messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::support::poll;
use crate::support::world::{OPERATOR, TOKEN_SECRET, World, given};

const HEADER: &str = "SECRET-collector";

/// What one export held: its head in lower case, and its spans.
struct Export {
    head: String,
    body: Vec<u8>,
    spans: Vec<Span>,
}

/// Answers every export with `status`, refusing `rejected` of its spans. Gives its address and what it is sent.
fn collector(status: &'static str, rejected: i64) -> (String, mpsc::Receiver<Export>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (sender, exports) = mpsc::channel();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&socket);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
            let head = head.to_ascii_lowercase();
            let Some(length) = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()) else { return };
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let request = ExportTraceServiceRequest::decode(&*body).expect("the protocol's own message");
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let spans = scopes.flat_map(|scope| scope.spans).collect();
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: String::new() };
            let answer = ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec();
            let length = answer.len();
            let head_out = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            _ = (&socket).write_all(&[head_out.as_bytes(), &answer].concat());
            if sender.send(Export { head, body, spans }).is_err() {
                return;
            }
        }
    });
    (endpoint, exports)
}

fn otlp(endpoint: &str) -> String {
    format!("[otlp]\nendpoint = \"{endpoint}\"\nheaders = {{ X-Scope = \"{HEADER}\" }}\nsample_one_in = 1\n")
}

fn text<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Any::IntValue(number) => Some(*number),
        _ => None,
    }
}

#[tokio::test]
async fn a_change_is_traced_from_its_commit_to_the_clients_socket() {
    let (endpoint, exports) = collector("200 OK", 0);
    let world = World::new(&otlp(&endpoint), vec![given("moonbase")]).await;
    world.ready().await;
    let mut client = world.client("alice").await;
    client.subscribe(json!({})).await;
    client.settle_book(world.account(), || world.sim().book(world.account()).unwrap()).await;
    world.set("1000004", "BTC", "7.25");
    client.until("update").await;
    drop(client);
    world.stop.cancel();
    world.end().await.unwrap();
    // The gateway has ended: whatever it had to send was sent.
    let exports: Vec<Export> = exports.try_iter().collect();
    let spans: Vec<&Span> = exports.iter().flat_map(|export| &export.spans).collect();
    let named = |name: &'static str| spans.iter().copied().filter(move |span| span.name == name);
    let child = |name, of: &Span| named(name).find(|span| span.trace_id == of.trace_id && span.parent_span_id == of.span_id);
    let mut whole = named("commit").filter_map(|commit| {
        let flush = child("flush", commit)?;
        Some((commit, flush, child("write", flush)?))
    });
    let (commit, flush, write) = whole.next_back().expect("a commit, its flush and its write");
    assert_eq!((text(commit, "venue"), text(commit, "account")), (Some("moonbase"), Some("moon-main")));
    assert!(
        commit.start_time_unix_nano <= flush.start_time_unix_nano && flush.start_time_unix_nano <= write.end_time_unix_nano
    );
    assert!(commit.end_time_unix_nano.abs_diff(now_nanos()) < Duration::from_secs(300).as_nanos() as u64);
    assert_eq!(number(flush, "readers"), Some(1));
    let (up, down) = (named("venue connection").next().unwrap(), named("client connection").next().unwrap());
    assert_eq!(commit.links[0].trace_id, up.trace_id);
    assert_eq!(write.links[0].span_id, down.span_id);
    assert_eq!((number(commit, "conn"), text(up, "reason")), (number(up, "conn"), Some("stopped")));
    assert_eq!((number(write, "client"), text(down, "user")), (number(down, "client"), Some("alice")));
    for export in &exports {
        assert!(export.head.starts_with("post /v1/traces ") && export.head.contains("content-type: application/x-protobuf"));
        assert!(export.head.contains(&format!("x-scope: {}", HEADER.to_ascii_lowercase())));
        let body = String::from_utf8_lossy(&export.body);
        assert!(![TOKEN_SECRET, OPERATOR, "SECRET", "7.25", "moonbase-sample"].iter().any(|secret| body.contains(secret)));
    }
}

fn now_nanos() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[tokio::test]
async fn spans_that_a_collector_does_not_want_are_counted() {
    for (status, rejected) in [("200 OK", i64::MAX), ("503 Service Unavailable", 0)] {
        let (endpoint, exports) = collector(status, rejected);
        let world = World::new(&otlp(&endpoint), vec![given("moonbase")]).await;
        world.ready().await;
        let sent = poll("an export", async || exports.try_recv().ok()).await.spans.len() as f64;
        let failed = async || (world.metric("trace_spans_total{result=\"failed\"}").await >= sent).then_some(());
        poll("the loss is counted", failed).await;
        assert_eq!(world.metric("trace_spans_total{result=\"ok\"}").await, 0.0);
    }
}

#[tokio::test]
async fn a_collector_that_is_gone_or_never_answers_hinders_nobody() {
    // The one takes connections and says nothing; nobody listens at the other's port.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let world = World::new(&otlp(&format!("http://{address}/v1/traces")), vec![given("moonbase")]).await;
        world.ready().await;
        let mut client = world.client("alice").await;
        client.subscribe(json!({})).await;
        let lost = async || (world.metric("trace_spans_total{result=\"failed\"}").await > 0.0).then_some(());
        poll("a failed export", lost).await;
        world.set("1000004", "BTC", "7.25");
        client.settle_book(world.account(), || world.sim().book(world.account()).unwrap()).await;
        drop(client);
        world.stop.cancel();
        world.end().await.unwrap();
    }
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_traced() {
    let world = World::of(given("moonbase")).await;
    assert!(!world.ask_admin("/metrics").await.1.contains("trace_spans_total{"));
}
