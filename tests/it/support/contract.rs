//! The machine-readable contract as a judge of real traffic. Closed: a field that it does not describe is wrong.
//!
//! The tests' client has every frame judged, and the tests' world every HTTP answer, so that each test is one of the contract too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use balance_gateway::server::contract;
use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};

/// One message of the AsyncAPI document.
pub struct Message {
    pub name: String,
    /// Its `type`, and `success` where that tells one from another.
    kind: String,
    validator: Validator,
}

pub struct Socket {
    pub frames: Vec<Message>,
    pub requests: Vec<Message>,
}

pub static SOCKET: LazyLock<Socket> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(contract::asyncapi()).expect("JSON");
    let schemas = closed(&document);
    let of = |action: &str| {
        let operations = document["operations"].as_object().unwrap().values().filter(|one| one["action"] == action);
        let named = operations.flat_map(|one| one["messages"].as_array().unwrap().iter().chain(replies(one)));
        let mut names: Vec<_> = named.map(|message| last(message).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let message = |name: String| {
        let at = last(&document["components"]["messages"][&name]["payload"]).to_owned();
        let kind = schemas[&at]["properties"]["type"]["const"].as_str().expect("every message has a type").to_owned();
        Message { validator: validator(&json!({ "$ref": format!("#/components/schemas/{at}") }), &schemas), name, kind }
    };
    // A reply to what is received is sent.
    let (received, sent) = (of("receive"), of("send"));
    let (requests, replies): (Vec<_>, Vec<_>) = received.into_iter().partition(|name| name.ends_with("Request"));
    let mut frames: Vec<_> = sent.into_iter().chain(replies).collect();
    frames.sort_unstable();
    frames.dedup();
    Socket { frames: frames.into_iter().map(message).collect(), requests: requests.into_iter().map(message).collect() }
});

fn replies(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["reply"]["messages"].as_array().into_iter().flatten()
}

/// By path, status and content type. Without content: no body may come.
static ANSWERS: LazyLock<BTreeMap<(String, u16, String), Validator>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(contract::openapi()).expect("JSON");
    let schemas = closed(&document);
    let mut answers = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (status, response) in item["get"]["responses"].as_object().unwrap() {
            let response = match response["$ref"].as_str() {
                Some(_) => &document["components"]["responses"][last(response)],
                None => response,
            };
            let status: u16 = status.parse().unwrap();
            let Some(content) = response["content"].as_object() else {
                answers.insert((path.clone(), status, String::new()), validator(&json!({ "const": null }), &schemas));
                continue;
            };
            for (kind, content) in content {
                answers.insert((path.clone(), status, kind.clone()), validator(&content["schema"], &schemas));
            }
        }
    }
    answers
});

static PROBLEM: LazyLock<Validator> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(contract::openapi()).expect("JSON");
    validator(&json!({ "$ref": "#/components/schemas/Problem" }), &closed(&document))
});

/// The last name of a reference.
fn last(reference: &Value) -> &str {
    reference["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_else(|| panic!("no reference: {reference}"))
}

/// The document's schemas, with nothing admitted that they do not describe.
fn closed(document: &Value) -> Map<String, Value> {
    let mut schemas = document["components"]["schemas"].as_object().expect("schemas").clone();
    for schema in schemas.values_mut().filter(|schema| schema.get("properties").is_some()) {
        assert!(schema.get("additionalProperties").is_none(), "the document itself is open: {schema}");
        schema["additionalProperties"] = false.into();
    }
    schemas
}

fn validator(schema: &Value, schemas: &Map<String, Value>) -> Validator {
    let whole = json!({ "allOf": [schema], "components": { "schemas": schemas } });
    jsonschema::draft202012::new(&whole).unwrap_or_else(|why| panic!("{why}: {schema}"))
}

/// The name of the one message that the frame is.
pub fn check_frame(frame: &Value) -> &'static str {
    check(&SOCKET.frames, frame)
}

/// The name of the one message that the request is.
pub fn check_request(request: &Value) -> &'static str {
    check(&SOCKET.requests, request)
}

fn check(messages: &'static [Message], object: &Value) -> &'static str {
    let kind = object["type"].as_str().unwrap_or_else(|| panic!("no type: {object}"));
    let named: Vec<_> = messages.iter().filter(|message| message.kind == kind).collect();
    let fits: Vec<_> = named.iter().filter(|message| message.validator.is_valid(object)).collect();
    if let [one] = fits[..] {
        return &one.name;
    }
    let why = named.iter().flat_map(|message| {
        let errors = message.validator.iter_errors(object).take(5);
        errors.map(|error| format!("{}{}: {error}", message.name, error.instance_path()))
    });
    let why: Vec<_> = why.collect();
    panic!("{} messages of the contract fit {object}:\n  {}", fits.len(), why.join("\n  "))
}

/// Without its parameters; empty where there is none.
pub fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Is this an answer that the contract tells of?
pub fn check_answer(path: &str, status: u16, content_type: &str, body: &str) {
    let route = path.split('?').next().expect("a first piece");
    let known = ANSWERS.keys().any(|(of, ..)| of == route);
    let validator = match ANSWERS.get(&(route.to_owned(), status, content_type.to_owned())) {
        Some(validator) => validator,
        None if (!known && status == 404 || status == 405) && content_type == "application/json" => &PROBLEM,
        None => panic!("the contract has no answer {status} {content_type:?} of {route}: {body}"),
    };
    let value = match (content_type, body) {
        ("application/json", _) => serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {body}")),
        ("", "") => Value::Null,
        (_, text) => text.into(),
    };
    let why: Vec<_> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(why.is_empty(), "{status} of {route}: {}\n{body}", why.join("; "));
}
