//! The HTTP half of the contract, as OpenAPI 3.1.

use serde_json::{Map, Value, json};

use super::DESCRIPTION;
use crate::model::{MAX_ASSET_CHARS, MAX_FILTER_ENTRIES};
use crate::protocol::shape::{AccountsAnswer, BalancesSnapshot, HttpErrorCode, OrdersAnswer, Problem, Schemas};

pub(super) fn document() -> Value {
    let mut schemas = Schemas::sent();
    let paths = paths(&mut schemas);
    let problem = schemas.add::<Problem>();
    schemas.add::<HttpErrorCode>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "balance-gateway over HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{DESCRIPTION} The WebSocket is described by /asyncapi.json."),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The clients' listener of a gateway." }],
        "security": [{ "token": [] }],
        "tags": [
            { "name": "balances", "description": "What a user may see." },
            { "name": "about", "description": "The page and the contract. No token needed." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A user's token, in the header alone: never in the address.",
                },
            },
            "parameters": parameters(),
            "headers": headers(),
            "responses": refusals(&problem),
        },
    })
}

fn paths(schemas: &mut Schemas) -> Value {
    let snapshot = schemas.add::<BalancesSnapshot>();
    let tagged = json!({ "ETag": { "$ref": "#/components/headers/ETag" } });
    let mut balances = read("balances", "The rows in view, whole", &["IfNoneMatch"]);
    balances["description"] = "The same object as a WebSocket snapshot of `user:balances`. Its `epoch` and `gsn` are a valid \
        `since` for a subscription with the same filter."
        .into();
    balances["responses"]["200"] = body("A snapshot with reason `request`", "application/json", &snapshot);
    balances["responses"]["200"]["headers"] = tagged.clone();
    balances["responses"]["304"] = json!({ "description": "Nothing but times changed since the tag.", "headers": tagged });
    let mut accounts = read("accounts", "The account records in view", &[]);
    accounts["responses"]["200"] = body("Account records", "application/json", &schemas.add::<AccountsAnswer>());
    let mut orders = read("orders", "The orders in view", &[]);
    orders["responses"]["200"] = body("Orders", "application/json", &schemas.add::<OrdersAnswer>());
    json!({
        "/v1/balances": { "get": balances },
        "/v1/accounts": { "get": accounts },
        "/v1/orders": { "get": orders },
        "/v1/stream/balances": { "get": stream() },
        "/v1/ws": { "get": upgrade() },
        "/": { "get": about("dashboard", "The dashboard: one page", "text/html; charset=utf-8") },
        "/openapi.json": { "get": about("openapi", "This document", "application/json") },
        "/asyncapi.json": { "get": about("asyncapi", "The WebSocket's half of the contract", "application/json") },
    })
}

/// A route that answers with what a token's user may see, narrowed by the query.
fn read(name: &str, summary: &str, more: &[&str]) -> Value {
    let names = ["venues", "accounts", "assets", "nonzero"].iter().chain(more);
    let parameters: Vec<_> = names.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
    let responses = named_refusals(&["400", "401", "403", "429", "503"]);
    json!({ "operationId": name, "summary": summary, "tags": ["balances"], "parameters": parameters, "responses": responses })
}

fn stream() -> Value {
    let mut stream = read("streamBalances", "The frames of user:balances as Server-Sent Events", &["LastEventId"]);
    stream["description"] = "An event's name is the frame's `type`, its data the frame: what a WebSocket subscription with this \
        filter gets (see /asyncapi.json), from `subscribed` on. The last event of each answer has an id, `<epoch>:<gsn>`; sent back \
        as `Last-Event-ID` it resumes."
        .into();
    let text = json!({ "type": "string" });
    stream["responses"]["200"] = body("Events, until the token ends or the gateway goes away", "text/event-stream", &text);
    stream
}

fn upgrade() -> Value {
    let header = |name: &str, schema: Value| json!({ "name": name, "in": "header", "schema": schema });
    let mut responses = named_refusals(&["400", "401", "403", "429", "503"]);
    responses.insert("101".into(), json!({ "description": "The WebSocket stands." }));
    json!({
        "operationId": "webSocket",
        "summary": "The WebSocket",
        "description": "See /asyncapi.json. The token may come with the upgrade or in a first frame. A request that is no upgrade is \
                        answered with 400.",
        "tags": ["balances"],
        "security": [{ "token": [] }, {}],
        "parameters": [
            header("Upgrade", json!({ "type": "string", "const": "websocket" })),
            header("Sec-WebSocket-Version", json!({ "type": "string", "const": "13" })),
            header("Sec-WebSocket-Key", json!({ "type": "string" })),
            header("Sec-WebSocket-Protocol", json!({ "type": "string", "examples": [crate::protocol::SUBPROTOCOL] })),
        ],
        "responses": responses,
    })
}

fn about(name: &str, summary: &str, content_type: &str) -> Value {
    let schema = if content_type.starts_with("text/") { json!({ "type": "string" }) } else { json!({ "type": "object" }) };
    let mut responses = named_refusals(&["403"]);
    responses.insert("200".into(), body(summary, content_type, &schema));
    if name == "dashboard" {
        responses.insert("304".into(), json!({ "description": "As the tag of `If-None-Match` says." }));
    }
    json!({ "operationId": name, "summary": summary, "tags": ["about"], "security": [], "responses": responses })
}

fn body(description: &str, content_type: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { content_type: { "schema": schema } } })
}

fn parameters() -> Value {
    let entry = json!({ "type": "string", "minLength": 1, "maxLength": MAX_ASSET_CHARS, "pattern": "^[^,]+$" });
    let list = |name: &str, what: &str| {
        json!({
            "name": name,
            "in": "query",
            "description": format!("{what}, with commas between. Absent or empty: all. Narrows, never grants."),
            "style": "form",
            "explode": false,
            "allowEmptyValue": true,
            "schema": { "type": "array", "items": entry, "minItems": 1, "maxItems": MAX_FILTER_ENTRIES },
        })
    };
    let text =
        |name: &str, what: &str| json!({ "name": name, "in": "header", "description": what, "schema": { "type": "string" } });
    json!({
        "venues": list("venues", "Venues"),
        "accounts": list("accounts", "Accounts"),
        "assets": list("assets", "Assets, as the venue writes them"),
        "nonzero": {
            "name": "nonzero",
            "in": "query",
            "description": "Leaves out rows that hold nothing.",
            "allowEmptyValue": true,
            "schema": { "type": "boolean", "default": false },
        },
        "IfNoneMatch": text("If-None-Match", "Tags of earlier answers, or `*`."),
        "LastEventId": text("Last-Event-ID", "Where an earlier stream with the same filter ended. Anything else: from a snapshot."),
    })
}

fn headers() -> Value {
    let text = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    json!({
        "ETag": text("Names what the answer says of rows and states. Weak: each answer has its own times."),
        "RetryAfter": { "description": "Seconds.", "schema": { "type": "integer", "minimum": 0 } },
        "WWWAuthenticate": text("`Bearer`."),
    })
}

const REFUSALS: [(&str, &str, &str); 5] = [
    ("400", "BadRequest", "The query cannot be read, or is no filter; or, for `/v1/ws`, the request is no WebSocket upgrade."),
    ("401", "Unauthorized", "There is no token, or it is refused."),
    ("403", "Forbidden", "A page of this origin may not connect."),
    ("429", "TooManyRequests", "More requests, or new connections, than allowed."),
    ("503", "Unavailable", "All connections are taken, the gateway goes away, or the issuer's keys cannot be had."),
];

fn named_refusals(statuses: &[&str]) -> Map<String, Value> {
    let wanted = REFUSALS.iter().filter(|(status, ..)| statuses.contains(status));
    wanted
        .map(|(status, name, _)| ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{name}") })))
        .collect()
}

fn refusals(problem: &Value) -> Value {
    let each = REFUSALS.iter().map(|(status, name, description)| {
        let mut response = body(description, "application/json", problem);
        let header = match *status {
            "401" => Some(("WWW-Authenticate", "WWWAuthenticate")),
            "429" => Some(("Retry-After", "RetryAfter")),
            _ => None,
        };
        if let Some((name, at)) = header {
            response["headers"] = json!({ name: { "$ref": format!("#/components/headers/{at}") } });
        }
        ((*name).to_owned(), response)
    });
    Value::Object(each.collect())
}
