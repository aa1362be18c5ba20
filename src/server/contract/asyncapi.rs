//! The WebSocket half of the contract, as AsyncAPI 3.0. The application described is the gateway: it receives requests, it sends frames.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::DESCRIPTION;
use crate::protocol::shape::{self, Schemas};
use crate::protocol::{CloseCode, SUBPROTOCOL};

/// Messages by the name of their type, and the schemas they refer to.
struct Messages {
    schemas: Schemas,
    messages: Map<String, Value>,
}

impl Messages {
    fn add<T: JsonSchema>(mut self, summary: &str) -> Self {
        let payload = self.schemas.add::<T>();
        let name = T::schema_name().into_owned();
        let message = json!({ "name": name, "title": name, "summary": summary, "payload": payload });
        self.messages.insert(name, message);
        self
    }

    fn of(schemas: Schemas) -> Self {
        Self { schemas, messages: Map::new() }
    }
}

pub(super) fn document() -> Value {
    let (asked, sent) = (requests(), frames());
    let names = |messages: &Map<String, Value>| messages.keys().cloned().collect::<Vec<_>>();
    let all: Map<_, _> = names(&asked.messages)
        .into_iter()
        .chain(names(&sent.messages))
        .map(|name| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") })))
        .collect();
    let (mut messages, mut schemas) = (asked.messages, asked.schemas.finish());
    messages.extend(sent.messages);
    // Both hold a few plain types, which read alike in both directions.
    schemas.extend(sent.schemas.finish());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "balance-gateway over WebSocket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{DESCRIPTION} What is served over plain HTTP is described by /openapi.json."),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}",
                "protocol": "ws",
                "description": "The clients' listener of a gateway; `wss` where it, or a proxy before it, speaks TLS.",
                "variables": { "host": { "default": "127.0.0.1:8080" } },
                "security": [{ "$ref": "#/components/securitySchemes/token" }],
            },
        },
        "channels": { "socket": socket(all) },
        "operations": operations(),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A user's token, in the upgrade's header or in a first frame (AuthTokenRequest). Never in the address.",
                },
            },
        },
    })
}

fn requests() -> Messages {
    Messages::of(Schemas::asked())
        .add::<shape::AuthTokenRequest>("Log in, or renew the login")
        .add::<shape::SubscribeRequest>("Ask for a channel")
        .add::<shape::UnsubscribeRequest>("End a subscription")
        .add::<shape::ResyncRequest>("Ask for a fresh snapshot")
        .add::<shape::PingRequest>("Ask for a pong")
        .add::<shape::PongRequest>("A sign of life")
}

fn frames() -> Messages {
    Messages::of(Schemas::sent())
        .add::<shape::AuthAccepted>("The token is good")
        .add::<shape::AuthRefused>("The token is refused")
        .add::<shape::AuthExpiring>("The token ends soon")
        .add::<shape::Subscribed>("A subscription stands")
        .add::<shape::Unsubscribed>("A subscription ended")
        .add::<shape::BalancesSnapshot>("Everything of user:balances")
        .add::<shape::BalancesUpdate>("What changed of user:balances")
        .add::<shape::OrdersSnapshot>("Everything of user:orders")
        .add::<shape::OrdersUpdate>("What changed of user:orders")
        .add::<shape::Heartbeat>("Nothing else was sent for a while")
        .add::<shape::Pong>("The answer to a ping")
        .add::<shape::ErrorFrame>("A request was refused")
        .add::<shape::Draining>("The gateway goes away")
}

fn socket(messages: Map<String, Value>) -> Value {
    let codes: Vec<_> = CloseCode::ALL
        .into_iter()
        .map(|code| json!({ "code": code.number(), "meaning": code.meaning(), "action": code.action() }))
        .collect();
    json!({
        "address": "/v1/ws",
        "title": "The WebSocket",
        "description": "Text frames, one JSON object each. Two channels run over it, user:balances and user:orders. Requests are \
            answered in order. Close codes go by band: 4000-4099 stop; 4100-4199 get a new token and reconnect; 4200-4299 reconnect \
            with backoff and jitter, and resume; 4300-4399 reconnect as told.",
        "servers": [{ "$ref": "#/servers/gateway" }],
        "messages": messages,
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "properties": {
                        "Authorization": { "type": "string", "description": "`Bearer <token>`, where the login does not come in a frame." },
                        "Sec-WebSocket-Protocol": { "type": "string", "enum": [SUBPROTOCOL], "description": "Optional." },
                    },
                },
            },
        },
        "x-close-codes": codes,
    })
}

fn operations() -> Value {
    let refer = |names: &[&str]| {
        let each = names.iter().map(|name| json!({ "$ref": format!("#/channels/socket/messages/{name}") }));
        each.collect::<Vec<_>>()
    };
    let channel = json!({ "$ref": "#/channels/socket" });
    let receive = |summary: &str, request: &str, replies: &[&str]| {
        let mut operation =
            json!({ "action": "receive", "channel": channel, "summary": summary, "messages": refer(&[request]) });
        if !replies.is_empty() {
            operation["reply"] = json!({ "channel": channel, "messages": refer(replies) });
        }
        operation
    };
    let send = |summary: &str, frames: &[&str]| json!({ "action": "send", "channel": channel, "summary": summary, "messages": refer(frames) });
    json!({
        "logIn": receive("Log in, or renew the login", "AuthTokenRequest", &["AuthAccepted", "AuthRefused", "ErrorFrame"]),
        "subscribe": receive("Ask for a channel", "SubscribeRequest", &["Subscribed", "ErrorFrame"]),
        "unsubscribe": receive("End a subscription", "UnsubscribeRequest", &["Unsubscribed", "ErrorFrame"]),
        "resync": receive(
            "Ask for a fresh snapshot; it is the reply", "ResyncRequest", &["BalancesSnapshot", "OrdersSnapshot", "ErrorFrame"]
        ),
        "ping": receive("Ask for a pong", "PingRequest", &["Pong", "ErrorFrame"]),
        "pong": receive("A sign of life, without a reply", "PongRequest", &[]),
        "greet": send("Whom the upgrade's token is of", &["AuthAccepted"]),
        "tellBalances": send("user:balances: after Subscribed, and then as rows change", &["BalancesSnapshot", "BalancesUpdate"]),
        "tellOrders": send("user:orders: after Subscribed, and then as rows change", &["OrdersSnapshot", "OrdersUpdate"]),
        "beat": send("A sign of life", &["Heartbeat"]),
        "warnOfExpiry": send("The token ends soon", &["AuthExpiring"]),
        "drain": send("The gateway goes away", &["Draining"]),
    })
}
