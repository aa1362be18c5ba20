//! Reads sections key by key, and gathers what is wrong instead of stopping at it.
//!
//! A reader method gives `None` where a key is absent or wrong; where it is wrong, a problem is on record and no configuration
//! comes of it, so the caller may go on with any value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::ConfigProblem;
use super::node::{Kind, Node, Table};
use crate::venue::hint;

/// The most entries in a plain list of texts.
const MAX_TEXTS: usize = 10_000;

/// Where problems and warnings gather.
pub(super) struct Reader {
    pub(super) env: BTreeMap<String, String>,
    problems: RefCell<Vec<ConfigProblem>>,
    warnings: RefCell<Vec<String>>,
    /// The first key whose secret stands in the file itself.
    pub(super) inline_secret: RefCell<Option<String>>,
    /// Every key asked for, without places in lists.
    asked: RefCell<Vec<String>>,
}

impl Reader {
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        let (problems, warnings, inline_secret, asked) = Default::default();
        Self { env, problems, warnings, inline_secret, asked }
    }

    pub(super) fn root(&self, entries: Table) -> Section<'_> {
        Section { reader: self, path: String::new(), entries, known: Vec::new() }
    }

    pub(super) fn problem(&self, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().push(ConfigProblem::new(key, message));
    }

    /// How many problems there are so far.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// Is there a problem with this key or what it stands in, later than the first so many?
    pub(super) fn told_since(&self, count: usize, key: &str) -> bool {
        let holds = |told: &str| key.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.problems.borrow()[count..].iter().any(|problem| holds(&problem.key))
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.warnings.borrow_mut().push(text.into());
    }

    /// Everything gathered: problems, warnings.
    pub(super) fn finish(self) -> (Vec<ConfigProblem>, Vec<String>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    #[cfg(test)]
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

/// One table. Take its keys, then [`Section::finish`] it.
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader,
    pub(super) path: String,
    entries: Table,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The full name of a key in here.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Records a problem with a key in here.
    pub(super) fn problem(&self, name: &str, message: impl Into<String>) {
        self.reader.problem(self.key(name), message);
    }

    /// Takes a value out. An unfilled place counts as absent.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        self.reader.asked.borrow_mut().push(self.key(name));
        self.entries.remove(name).filter(|node| !matches!(node.kind, Kind::Nothing))
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let node = self.take(name)?;
        match node.kind {
            Kind::Text(text) if !text.is_empty() => Some(text),
            Kind::Text(_) => self.refuse(name, "is empty; give a text or remove the key", &node.variable),
            kind => self.refuse(name, &format!("wants a text in quotes, not {}", kind.describe()), &node.variable),
        }
    }

    /// As [`Section::text`], where a missing one is a problem too.
    pub(super) fn required_text(&mut self, name: &'static str, cure: &str) -> Option<String> {
        if !self.has(name) {
            self.take(name);
            self.problem(name, format!("is missing; {cure}"));
            return None;
        }
        self.text(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|node| !matches!(node.kind, Kind::Nothing))
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let node = self.take(name)?;
        let text = if let Kind::Text(text) = &node.kind { text.as_str() } else { "" };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        self.refuse(name, &format!("wants {}", words.join(" or ")), &node.variable)
    }

    /// An integer in a range.
    pub(super) fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = self.take(name)?;
        let value = match &node.kind {
            Kind::Integer(integer) => u64::try_from(*integer).ok(),
            Kind::Text(text) if node.variable.is_some() => text.trim().parse().ok(),
            _ => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        let not = match node.kind {
            Kind::Integer(integer) => integer.to_string(),
            kind => kind.describe().to_owned(),
        };
        self.refuse(name, &format!("wants an integer from {} to {}, not {not}", range.start(), range.end()), &node.variable)
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let node = self.take(name)?;
        match &node.kind {
            Kind::Boolean(value) => Some(*value),
            Kind::Text(text) if node.variable.is_some() && matches!(text.trim(), "true" | "false") => {
                Some(text.trim() == "true")
            }
            kind => self.refuse(name, &format!("wants true or false, not {}", kind.describe()), &node.variable),
        }
    }

    /// An IP address with a port.
    pub(super) fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let node = self.take(name)?;
        let parsed = if let Kind::Text(text) = &node.kind { text.trim().parse().ok() } else { None };
        if parsed.is_none() {
            return self.refuse(
                name,
                "wants an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"",
                &node.variable,
            );
        }
        parsed
    }

    /// A list of texts that are not empty. From the environment: a TOML list, or texts with commas between.
    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let node = self.take(name)?;
        let list = match node.kind {
            Kind::List(list) => list,
            Kind::Text(text) if node.variable.is_some() => self.list_in_variable(name, &text, &node.variable)?,
            kind => {
                return self.refuse(name, &format!("wants a list of texts, not {}", kind.describe()), &node.variable);
            }
        };
        if list.len() > MAX_TEXTS {
            return self.refuse(name, &format!("holds more than {MAX_TEXTS} entries"), &node.variable);
        }
        let mut texts = Vec::with_capacity(list.len());
        for (index, entry) in list.into_iter().enumerate() {
            match entry.kind {
                Kind::Text(text) if !text.is_empty() => texts.push(text),
                Kind::Text(_) => self.problem(&format!("{name}[{index}]"), "is empty; give a text or remove it"),
                kind => self.problem(&format!("{name}[{index}]"), format!("wants a text in quotes, not {}", kind.describe())),
            }
        }
        Some(texts)
    }

    fn list_in_variable(&self, name: &str, text: &str, variable: &Option<String>) -> Option<Vec<Node>> {
        if text.trim_start().starts_with('[') {
            return match self.toml_in_variable(name, text, variable)?.kind {
                Kind::List(list) => Some(list),
                kind => self.refuse(name, &format!("wants a list, not {}", kind.describe()), variable),
            };
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Some(parts.map(|part| Node { kind: Kind::Text(part.to_owned()), variable: variable.clone() }).collect())
    }

    /// A list or table written as TOML in an environment variable.
    fn toml_in_variable(&self, name: &str, text: &str, variable: &Option<String>) -> Option<Node> {
        let origin = variable.as_deref().unwrap_or_default();
        let parsed = toml::from_str::<toml::Table>(&format!("value = {text}")).ok().filter(|table| table.len() == 1);
        match parsed.and_then(|mut table| table.remove("value")) {
            Some(value) => Some(Node::from_toml(value, origin)),
            None => self.refuse(name, "wants a list or table in TOML on one line", variable),
        }
    }

    /// A table. From the environment also one written as an inline TOML table.
    pub(super) fn section(&mut self, name: &'static str) -> Option<Section<'a>> {
        let node = self.take(name)?;
        let entries = self.table(name, node)?;
        Some(Section { reader: self.reader, path: self.key(name), entries, known: Vec::new() })
    }

    /// A table with names of anybody's choosing.
    pub(super) fn open_table(&mut self, name: &'static str) -> Table {
        self.take(name).and_then(|node| self.table(name, node)).unwrap_or_default()
    }

    fn table(&self, name: &str, node: Node) -> Option<Table> {
        match node.kind {
            Kind::Table(table) => Some(table),
            // Whole sections with defaults (no dot in their path) are not replaced at once: their other keys would be lost.
            Kind::Text(text) if node.variable.is_some() && !self.path.is_empty() => {
                match self.toml_in_variable(name, &text, &node.variable)?.kind {
                    Kind::Table(table) => Some(table),
                    kind => self.refuse(name, &format!("wants a table, not {}", kind.describe()), &node.variable),
                }
            }
            kind => self.refuse(name, &format!("wants a table of keys, not {}", kind.describe()), &node.variable),
        }
    }

    /// A list of tables. From the environment also one written as TOML.
    pub(super) fn sections(&mut self, name: &'static str, max: usize) -> Vec<Section<'a>> {
        let Some(node) = self.take(name) else { return Vec::new() };
        let list = match node.kind {
            Kind::List(list) => Some(list),
            Kind::Text(text) if node.variable.is_some() => match self.toml_in_variable(name, &text, &node.variable) {
                Some(Node { kind: Kind::List(list), .. }) => Some(list),
                Some(_) => self.refuse(name, "wants a list of tables", &node.variable),
                None => None,
            },
            kind => self.refuse(name, &format!("wants a list of tables, not {}", kind.describe()), &node.variable),
        };
        let list = list.unwrap_or_default();
        if list.len() > max {
            self.problem(name, format!("holds {} entries; at most {max} are read", list.len()));
            return Vec::new();
        }
        let mut sections = Vec::with_capacity(list.len());
        for (index, entry) in list.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.key(name));
            match entry.kind {
                Kind::Table(entries) => {
                    sections.push(Section { reader: self.reader, path, entries, known: Vec::new() });
                }
                Kind::Nothing => self.reader.problem(path, "is missing, though a later one is set; number them from 0"),
                kind => self.reader.problem(path, format!("wants a table, not {}", kind.describe())),
            }
        }
        sections
    }

    /// A problem that also names the environment variable at fault. Always `None`, so that it can end a reader.
    fn refuse<T>(&self, name: &str, message: &str, variable: &Option<String>) -> Option<T> {
        match variable {
            Some(variable) => self.problem(name, format!("{message} (set by {variable})")),
            None => self.problem(name, message),
        }
        None
    }

    /// Names every key that nobody asked for, with the one that was probably meant.
    pub(super) fn finish(self) {
        for (name, node) in &self.entries {
            let message = format!("unknown key; {}", hint(name, self.known.iter().copied()));
            self.refuse::<()>(name, &message, &node.blamed().map(str::to_owned));
        }
    }
}
