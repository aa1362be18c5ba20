//! A configuration value as the layers leave it: its form, and which environment variable set it.

use std::collections::BTreeMap;

use super::layers::ENV_PREFIX;

/// Names in order, so that problems are told in the same order each time.
pub(super) type Table = BTreeMap<String, Node>;

/// One value.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The environment variable it came from. What comes from one is text until a reader wants something else of it.
    pub(super) variable: Option<String>,
}

/// The forms a value can have.
#[derive(Clone)]
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    /// No setting is a float; kept only to say so.
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    /// A place in a list that no layer filled.
    Nothing,
}

impl Kind {
    /// The form in words, for "wants ..., not {this}".
    pub(super) const fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Nothing => "nothing",
        }
    }
}

impl Node {
    /// The node itself, or else the first one below it that an environment variable set: who is to blame for an unknown key.
    pub(super) fn blamed(&self) -> Option<&str> {
        let below = match &self.kind {
            Kind::Table(table) => table.values().find_map(Self::blamed),
            Kind::List(list) => list.iter().find_map(Self::blamed),
            _ => None,
        };
        self.variable.as_deref().or(below)
    }

    /// As TOML, for a venue's own options. Text from the environment becomes the number or boolean it looks like.
    pub(super) fn into_toml(self) -> toml::Value {
        match self.kind {
            Kind::Text(text) if self.variable.is_some() => match (text.parse::<i64>(), text.parse::<bool>()) {
                (Ok(integer), _) => toml::Value::Integer(integer),
                (_, Ok(boolean)) => toml::Value::Boolean(boolean),
                _ => toml::Value::String(text),
            },
            Kind::Text(text) => toml::Value::String(text),
            Kind::Integer(integer) => toml::Value::Integer(integer),
            Kind::Float(float) => toml::Value::Float(float),
            Kind::Boolean(boolean) => toml::Value::Boolean(boolean),
            Kind::List(list) => toml::Value::Array(list.into_iter().map(Self::into_toml).collect()),
            Kind::Table(table) => toml::Value::Table(table.into_iter().map(|(k, v)| (k, v.into_toml())).collect()),
            Kind::Nothing => toml::Value::String(String::new()),
        }
    }

    /// From TOML that an environment variable holds.
    pub(super) fn from_toml(value: toml::Value, variable: &str) -> Self {
        let kind = match value {
            toml::Value::String(text) => Kind::Text(text),
            toml::Value::Integer(integer) => Kind::Integer(integer),
            toml::Value::Float(float) => Kind::Float(float),
            toml::Value::Boolean(boolean) => Kind::Boolean(boolean),
            toml::Value::Datetime(date) => Kind::Text(date.to_string()),
            toml::Value::Array(list) => Kind::List(list.into_iter().map(|v| Self::from_toml(v, variable)).collect()),
            toml::Value::Table(table) => {
                Kind::Table(table.into_iter().map(|(k, v)| (k, Self::from_toml(v, variable))).collect())
            }
        };
        Self { kind, variable: Some(variable.to_owned()) }
    }
}

impl From<config::Value> for Node {
    fn from(value: config::Value) -> Self {
        let variable = value.origin().filter(|origin| origin.starts_with(ENV_PREFIX)).map(str::to_owned);
        let kind = match value.kind {
            config::ValueKind::Nil => Kind::Nothing,
            config::ValueKind::Boolean(boolean) => Kind::Boolean(boolean),
            config::ValueKind::I64(integer) => Kind::Integer(integer),
            // The TOML reader gives i64 only; a larger one is refused by every range.
            config::ValueKind::I128(integer) => Kind::Integer(i64::try_from(integer).unwrap_or(i64::MIN)),
            config::ValueKind::U64(integer) => Kind::Integer(i64::try_from(integer).unwrap_or(i64::MIN)),
            config::ValueKind::U128(integer) => Kind::Integer(i64::try_from(integer).unwrap_or(i64::MIN)),
            config::ValueKind::Float(float) => Kind::Float(float),
            config::ValueKind::String(text) => Kind::Text(text),
            config::ValueKind::Table(table) => Kind::Table(table.into_iter().map(|(k, v)| (k, v.into())).collect()),
            config::ValueKind::Array(list) => Kind::List(list.into_iter().map(Self::from).collect()),
        };
        Self { kind, variable }
    }
}
