//! The shapes of everything on the wire, as types: what the machine-readable contract is made from, and with it the clients' types.
//!
//! Short frames and refusals are written from these types. Snapshots and updates are written by hand ([`super::snapshot`] and its
//! kin), for speed; tests hold what is written there against the types here, both ways. Nothing here is read from a client.

mod answers;
mod frames;
mod requests;
mod rows;

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub use answers::{AccountsAnswer, HttpErrorCode, OrdersAnswer, Problem, ProblemDetail};
pub use frames::{
    AuthAccepted, AuthExpiring, AuthRefused, BalancesSnapshot, BalancesUpdate, Draining, ErrorFrame, Gsns, Heartbeat,
    OrdersSnapshot, OrdersUpdate, Pong, Refusal, SnapshotReason, Subscribed, Unsubscribed,
};
pub use requests::{AuthTokenRequest, PingRequest, PongRequest, ResyncRequest, SubscribeRequest, UnsubscribeRequest};
pub use rows::{Account, Balance, Basis, BasisWord, Cause, LastKnown, Order};

use super::Id;

/// Types of one value each: a frame's `type`, a channel's name.
macro_rules! literals {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Types of one value each.
        pub mod literal {
            $(
                #[doc = concat!("Always `\"", $text, "\"`.")]
                #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
                pub struct $name;

                impl serde::Serialize for $name {
                    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                        to.serialize_str($text)
                    }
                }

                impl<'de> serde::Deserialize<'de> for $name {
                    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                        let wanted = || serde::de::Error::custom(concat!("wants ", $text));
                        (text == $text).then_some(Self).ok_or_else(wanted)
                    }
                }

                impl schemars::JsonSchema for $name {
                    fn inline_schema() -> bool {
                        true
                    }

                    fn schema_name() -> std::borrow::Cow<'static, str> {
                        stringify!($name).into()
                    }

                    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                        schemars::json_schema!({ "type": "string", "const": $text })
                    }
                }
            )*
        }
    };
}

literals! {
    AuthToken = "auth_token",
    AuthResult = "auth_result",
    AuthExpiring = "auth_expiring",
    Subscribe = "subscribe",
    Subscribed = "subscribed",
    Unsubscribe = "unsubscribe",
    Unsubscribed = "unsubscribed",
    Resync = "resync",
    Snapshot = "snapshot",
    Update = "update",
    Heartbeat = "heartbeat",
    Ping = "ping",
    Pong = "pong",
    Error = "error",
    Draining = "draining",
    Balances = "user:balances",
    Orders = "user:orders",
}

/// `true` or `false`, and never the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Always<const VALUE: bool>;

impl<const VALUE: bool> Serialize for Always<VALUE> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(VALUE)
    }
}

impl<const VALUE: bool> JsonSchema for Always<VALUE> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        if VALUE { "True".into() } else { "False".into() }
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean", "const": VALUE })
    }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "RequestId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The client's own name for a request, echoed in every reply to it. At most 128 characters of JSON, quotes \
                            included.",
            "type": ["string", "integer"],
            "maxLength": super::request::MAX_ID_CHARS - 2,
        })
    }
}

/// Collects JSON Schemas under `#/components/schemas/`, as OpenAPI and AsyncAPI have them.
pub struct Schemas(SchemaGenerator);

impl Schemas {
    /// For what the gateway sends. A field that may be missing is never `null`; one that may be `null` is never missing.
    pub fn sent() -> Self {
        Self(settings().for_serialize().with_transform(missing_is_not_null).into_generator())
    }

    /// For what a client sends. A field given as `null` counts as not given.
    pub fn asked() -> Self {
        Self(settings().for_deserialize().into_generator())
    }

    /// Takes a type in; a reference to it.
    pub fn add<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// Everything taken in so far, and what it refers to, by name.
    pub fn finish(mut self) -> Map<String, Value> {
        self.0.take_definitions(true)
    }
}

fn settings() -> SchemaSettings {
    let plain = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
    SchemaSettings::draft2020_12().with(plain).with_transform(plain_numbers).with_transform(flowing_text)
}

/// Widths are Rust's matter; JSON Schema knows no `uint64`.
fn plain_numbers(schema: &mut Schema) {
    schemars::transform::transform_subschemas(&mut plain_numbers, schema);
    let odd = |format: &Value| format.as_str().is_some_and(|format| format.starts_with("uint") || format == "double");
    if schema.get("format").is_some_and(odd) {
        schema.remove("format");
    }
}

/// Our lines end where the source's do; a reader's do elsewhere.
fn flowing_text(schema: &mut Schema) {
    schemars::transform::transform_subschemas(&mut flowing_text, schema);
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Takes `null` out of what an object may lack.
fn missing_is_not_null(schema: &mut Schema) {
    schemars::transform::transform_subschemas(&mut missing_is_not_null, schema);
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !required(name)) {
        let Value::Object(property) = property else { continue };
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|one| one != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                property.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(mut choices)) = property.remove("anyOf") {
            choices.retain(|choice| choice["type"] != "null");
            match &choices[..] {
                [Value::Object(only)] => property.extend(only.clone()),
                _ => _ = property.insert("anyOf".into(), choices.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
