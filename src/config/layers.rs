//! Lays the built-in defaults, a file and environment variables over one another.
//!
//! Which keys exist and what they want is not known here.

use std::collections::BTreeMap;

use config::{FileFormat, Map, Source, Value};

use super::ConfigProblem;
use super::file::Text;
use super::node::{Kind, Node, Table};

/// The lowest layer, and the manual of every key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");
/// What the names of environment variables begin with that set a key.
pub const ENV_PREFIX: &str = "BALANCE_GATEWAY__";

/// The highest place in a list that a variable may name: below the bound of every list.
const MAX_INDEX: usize = 9_999;

/// The layers, merged.
///
/// # Errors
/// What keeps a layer from being read at all: an unreadable file, bad TOML with line and column, impossible variables.
pub(super) fn read(text: Text, env: &BTreeMap<String, String>) -> Result<Table, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let text = text.and_then(checked).map_err(|problem| problems.push(problem)).ok();
    let env = Variables::new(env, &mut problems);
    let (Some(text), true) = (text, problems.is_empty()) else { return Err(problems) };
    let merged = config::Config::builder()
        .add_source(config::File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(config::File::from_str(&text, FileFormat::Toml))
        .add_source(env)
        .build();
    // The crate's own message may quote values.
    let merged = merged
        .map_err(|_| vec![ConfigProblem::new("configuration", "holds a number that TOML cannot carry; write a smaller one")])?;
    match Node::from(merged.cache).kind {
        Kind::Table(table) => Ok(table),
        _ => Ok(Table::new()),
    }
}

fn checked(text: String) -> Text {
    let table = toml::from_str::<toml::Table>(&text).map_err(|error| syntax(&text, &error))?;
    // The layers would take dots and brackets in a quoted key for a path.
    let odd = |key: &&String| key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if table.keys().any(|key| odd(&key)) {
        return Err(ConfigProblem::new("the top level", "has a key that is none; keys hold letters, digits, _ and - alone"));
    }
    Ok(text)
}

/// The place and the parser's message, without the line itself: a secret may stand on it.
fn syntax(text: &str, error: &toml::de::Error) -> ConfigProblem {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    ConfigProblem::new(format!("line {line}, column {column}"), format!("is not TOML: {}", error.message()))
}

/// The environment as a layer: path (`access.keys[0].secret`) → variable and value.
#[derive(Debug, Clone)]
struct Variables(Vec<(String, String, String)>);

impl Variables {
    fn new(env: &BTreeMap<String, String>, problems: &mut Vec<ConfigProblem>) -> Self {
        let mut found: Vec<(String, String, String)> = Vec::new();
        for (name, value) in env {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            match path(rest) {
                Some(path) => found.push((path, name.clone(), value.clone())),
                None => {
                    problems.push(ConfigProblem::new(name, "is no key; write levels as in BALANCE_GATEWAY__SERVER__LISTEN"))
                }
            }
        }
        found.sort();
        // A table and a key inside it, both set: whichever came last would silently win.
        for pair in found.windows(2) {
            let (outer, inner) = (&pair[0], &pair[1]);
            let inside = inner.0.strip_prefix(&outer.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
            if inside {
                problems.push(ConfigProblem::new(&inner.1, format!("sets what {} sets too; keep one of them", outer.1)));
            }
        }
        Self(found)
    }
}

/// `ACCESS__KEYS__0__SECRET` → `access.keys[0].secret`. `None` where it names no key.
fn path(name: &str) -> Option<String> {
    let mut path = String::new();
    for part in name.split("__") {
        if let Ok(index) = part.parse::<usize>() {
            if path.is_empty() || index > MAX_INDEX {
                return None;
            }
            path.push_str(&format!("[{index}]"));
            continue;
        }
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return None;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&part.to_ascii_lowercase());
    }
    Some(path)
}

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.iter().map(|(path, name, value)| (path.clone(), Value::new(Some(name), value.as_str()))).collect())
    }
}
