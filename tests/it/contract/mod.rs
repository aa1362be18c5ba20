//! `GET /openapi.json` and `GET /asyncapi.json`: served without a token, kept in `docs/`, and true of real traffic in both directions.
//!
//! Every other test's frames and answers are judged by them too, see `support::contract`. The official validators and a fuzzer read
//! them in `scripts/stages/35-contract`.

use std::collections::BTreeSet;

use balance_gateway::protocol;
use balance_gateway::server::contract;
use serde_json::{Value, json};

use crate::protocol_examples::live;
use crate::support::contract::{SOCKET, check_answer, check_frame, check_request, content_type};
use crate::support::soon;
use crate::support::world::{World, given, http};

const SOURCES: [&str; 6] = [
    include_str!("../../../src/server/mod.rs"),
    include_str!("../../../src/server/guard.rs"),
    include_str!("../../../src/server/rest.rs"),
    include_str!("../../../src/server/sse.rs"),
    include_str!("../../../src/server/ws.rs"),
    include_str!("../../../src/server/listener.rs"),
];

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_copies_in_the_documentation_are_what_is_served() {
    for (name, served) in [("openapi.json", contract::openapi()), ("asyncapi.json", contract::asyncapi())] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        if std::env::var_os("UPDATE_CONTRACT").is_some() {
            std::fs::write(&path, served).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            !kept.is_empty() && document(&kept) == document(served),
            "docs/{name} is not what is served; run this test with UPDATE_CONTRACT=1, and `npm run contract` in clients/"
        );
    }
}

#[tokio::test]
async fn the_contract_is_served_to_anybody() {
    let world = World::new("", vec![]).await;
    for (path, text) in [("/openapi.json", contract::openapi()), ("/asyncapi.json", contract::asyncapi())] {
        let answer = http().get(format!("http://{}{path}", world.addr)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &*content_type(answer.headers())), (200, "application/json"), "{path}");
        assert_eq!(answer.text().await.unwrap(), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_traffic_is_as_the_contract_tells_and_shows_all_of_it() {
    let traffic = live::traffic().await;
    let mut seen: BTreeSet<_> = traffic.frames.iter().map(check_frame).collect();
    seen.extend(traffic.requests.iter().map(check_request));
    for (path, status, content_type, body) in &traffic.answers {
        check_answer(path, *status, content_type, body);
    }
    let told: BTreeSet<_> = SOCKET.frames.iter().chain(&SOCKET.requests).map(|message| &*message.name).collect();
    assert_eq!(seen, told);
}

#[tokio::test]
async fn events_over_http_are_frames_of_the_contract() {
    let world = World::of(given("moonbase").options("reconcile_ms = 0")).await;
    let url = format!("http://{}/v1/stream/balances", world.addr);
    let mut answer = http().get(url).bearer_auth(world.token("alice")).send().await.unwrap();
    let kind = content_type(answer.headers());
    check_answer("/v1/stream/balances", answer.status().as_u16(), &kind, "");
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.last() != Some(&"BalancesUpdate") {
        text.push_str(std::str::from_utf8(&soon("an event", answer.chunk()).await.unwrap().unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let frame: Value = serde_json::from_str(&field("data: ").expect("data")).unwrap();
            assert_eq!(field("event: ").as_deref(), frame["type"].as_str());
            seen.push(check_frame(&frame));
            text = rest.to_owned();
        }
        if seen == ["Subscribed", "BalancesSnapshot"] {
            world.set("1000004", "ETH", "5.5");
        }
    }
    assert_eq!(seen, ["Subscribed", "BalancesSnapshot", "BalancesUpdate"]);
}

#[test]
fn a_frame_with_a_field_that_the_contract_does_not_tell_is_found() {
    let good = json!({ "type": "pong", "id": "x", "ts": 1 });
    assert_eq!(check_frame(&good), "Pong");
    for (name, value) in [("shiny", json!(1)), ("ts", json!("1")), ("id", Value::Null), ("type", json!("nothing"))] {
        let mut wrong = good.clone();
        wrong[name] = value;
        assert!(std::panic::catch_unwind(|| check_frame(&wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn every_refusal_of_the_clients_listener_is_told() {
    let schemas = &document(contract::openapi())["components"]["schemas"];
    let codes = schemas["HttpErrorCode"]["oneOf"].as_array().unwrap().iter();
    let told: BTreeSet<_> = codes.map(|one| one["const"].as_str().unwrap().to_owned()).collect();
    let mut found = BTreeSet::new();
    for source in SOURCES {
        for place in source.split("problem(StatusCode::").skip(1) {
            let code = place.split('"').nth(1).expect("a code");
            found.insert(code.to_owned());
        }
    }
    found.retain(|code| code.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    assert!(found.len() >= 4, "{found:?}");
    assert!(found.is_subset(&told), "{found:?} are not all in {told:?}");
}

#[test]
fn the_documents_tell_every_close_code_and_the_subprotocol() {
    let socket = &document(contract::asyncapi())["channels"]["socket"];
    let codes: Vec<_> = socket["x-close-codes"].as_array().unwrap().iter().map(|one| one["code"].as_u64().unwrap()).collect();
    let source = include_str!("../../../src/protocol/codes.rs");
    let variants = source.split_once("pub enum CloseCode").unwrap().1.split("\n}").next().unwrap();
    let known: Vec<u64> = variants.split(" = ").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(codes, known);
    assert!(socket["bindings"]["ws"].to_string().contains(protocol::SUBPROTOCOL));
}
