//! An account's secrets, readable under their names and replaceable while the account runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

use super::options::{Problem, hint};

/// Secrets by name (`api_key`, `api_secret`, `jwt`, …). Clones share: what [`Credentials::replace`] sets is seen by all.
#[derive(Clone, Default)]
pub struct Credentials(Arc<ArcSwap<BTreeMap<String, SecretString>>>);

impl Credentials {
    pub fn new(secrets: BTreeMap<String, SecretString>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(secrets)))
    }

    /// For simulators and tests, where nothing is secret.
    pub fn plain<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(secrets.into_iter().map(|(name, value)| (name.to_owned(), SecretString::from(value))).collect())
    }

    /// The secret's present value. `None`: not configured.
    pub fn get(&self, name: &str) -> Option<SecretString> {
        self.0.load().get(name).cloned()
    }

    /// Is a secret of that name configured?
    pub fn has(&self, name: &str) -> bool {
        self.0.load().contains_key(name)
    }

    /// The names configured.
    pub fn names(&self) -> Vec<String> {
        self.0.load().keys().cloned().collect()
    }

    /// A problem for each secret of a name that the venue does not know: it would be of no use, and is probably another one misspelt.
    pub fn unknown(&self, known: &[&str]) -> Vec<Problem> {
        let names = self.names().into_iter().filter(|name| !known.contains(&name.as_str()));
        let problem = |name: String| {
            Problem::new(format!("credentials.{name}"), format!("unknown credential; {}", hint(&name, known.iter().copied())))
        };
        names.map(problem).collect()
    }

    /// Do both hold the same secrets now?
    pub fn same(&self, other: &Self) -> bool {
        same(&self.0.load(), &other.0.load())
    }

    /// Puts re-read secrets in place. True when any differs.
    pub fn replace(&self, secrets: BTreeMap<String, SecretString>) -> bool {
        let old = self.0.load();
        let changed = !same(&old, &secrets);
        if changed {
            self.0.store(Arc::new(secrets));
        }
        changed
    }
}

fn same(a: &BTreeMap<String, SecretString>, b: &BTreeMap<String, SecretString>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.expose_secret() == b.1.expose_secret())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_a_name_that_is_not_known_is_a_problem_beside_good_ones() {
        let known = ["jwt", "api_key"];
        assert_eq!(Credentials::plain([("jwt", "x")]).unknown(&known), []);
        let found = Credentials::plain([("jwt", "x"), ("jtw", "y"), ("foo", "z")]).unknown(&known);
        let problem = |key: &str, hint: &str| Problem::new(key, format!("unknown credential; {hint}"));
        let wanted =
            [problem("credentials.foo", "known are jwt, api_key"), problem("credentials.jtw", "did you mean \"jwt\"?")];
        assert_eq!(found, wanted);
    }
}
