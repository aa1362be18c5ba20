//! A venue's own options of one account, read with errors that name the key and the cure.

use std::collections::BTreeMap;

/// Something wrong with an account's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key below the account: `credentials.jwt`, `options.liveness_ms`, `wallets[2].address`.
    pub key: String,
    /// What is wrong and how to mend it. Never holds a secret.
    pub message: String,
}

impl Problem {
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// The rest of a message about a name that is not known: the one that was probably meant, or all there are.
pub fn hint<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    if let Some(near) = nearest(name, &known) {
        return format!("did you mean {near:?}?");
    }
    if known.is_empty() { "none is known here".to_owned() } else { format!("known are {}", known.join(", ")) }
}

/// The most similar name, if it is near: one holds the other, or a third of the letters differ at most.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let holds = |long: &str, short: &str| short.chars().count() >= 3 && long.contains(short);
    let near = |one: &&&str| {
        let letters = name.chars().count().max(one.chars().count());
        holds(one, &name) || holds(&name, one) || strsim::osa_distance(&name, one) <= (letters / 3).max(1)
    };
    let likeness = |one: &str| strsim::jaro_winkler(one, &name);
    known.iter().filter(near).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).copied()
}

/// Options as configured: names with integers, booleans or words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options(BTreeMap<String, toml::Value>);

impl Options {
    pub fn new(values: BTreeMap<String, toml::Value>) -> Self {
        Self(values)
    }

    /// Starts reading; end with [`OptionReader::finish`].
    pub fn reader(&self) -> OptionReader<'_> {
        OptionReader { values: &self.0, known: Vec::new(), problems: Vec::new() }
    }
}

/// Reads options one by one and gathers what is wrong with them.
pub struct OptionReader<'a> {
    values: &'a BTreeMap<String, toml::Value>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl OptionReader<'_> {
    /// An integer within `range`, or `default` where the option is absent.
    pub fn integer(&mut self, name: &'static str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.known.push(name);
        let Some(value) = self.values.get(name) else { return default };
        match value.as_integer().and_then(|v| u64::try_from(v).ok()) {
            Some(v) if range.contains(&v) => v,
            _ => {
                self.refuse(name, format!("wants an integer from {} to {} (default {default})", range.start(), range.end()));
                default
            }
        }
    }

    /// A boolean, or `default` where the option is absent.
    pub fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.known.push(name);
        let Some(value) = self.values.get(name) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.refuse(name, format!("wants true or false (default {default})"));
            default
        })
    }

    /// A text, or `default` where the option is absent. What it must look like is the caller's to check.
    pub fn text(&mut self, name: &'static str, default: &'static str) -> String {
        self.known.push(name);
        let Some(value) = self.values.get(name) else { return default.to_owned() };
        value.as_str().map(str::to_owned).unwrap_or_else(|| {
            self.refuse(name, format!("wants a text (default {default:?})"));
            default.to_owned()
        })
    }

    /// One of `choices`; the first is the default.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&'static str, T)]) -> T {
        self.known.push(name);
        let Some(value) = self.values.get(name) else { return choices[0].1 };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| value.as_str() == Some(word)) {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        self.refuse(name, format!("wants one of {} (default {:?})", words.join(", "), choices[0].0));
        choices[0].1
    }

    /// Every problem met, and one for each option that was never asked for.
    pub fn finish(mut self) -> Vec<Problem> {
        let known = &self.known;
        for name in self.values.keys().filter(|name| !known.contains(&name.as_str())) {
            let hint = hint(name, known.iter().copied());
            self.problems.push(Problem::new(format!("options.{name}"), format!("unknown option; {hint}")));
        }
        self.problems
    }

    fn refuse(&mut self, name: &str, message: String) {
        self.problems.push(Problem::new(format!("options.{name}"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["liveness_ms", "reconcile_ms", "sync_timeout_ms", "jwt", "api_key", "api_secret"];
        let near = [
            ("reconcile", "reconcile_ms"),
            ("livenes_ms", "liveness_ms"),
            ("timeout", "sync_timeout_ms"),
            ("jtw", "jwt"),
            ("token_jwt", "jwt"),
            ("apiKey", "api_key"),
            ("API_SECRET", "api_secret"),
            ("secret", "api_secret"),
        ];
        for (name, meant) in near {
            assert_eq!(hint(name, known), format!("did you mean {meant:?}?"));
        }
        for name in ["foo", "y", "", "ms", "wallets"] {
            assert_eq!(hint(name, known), format!("known are {}", known.join(", ")), "{name}");
        }
        assert_eq!(hint("foo", []), "none is known here");
    }
}
