//! Everything that is wrong with a configuration, told at once.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The full key (`accounts[1].credentials.api_secret`), the environment variable, or `line 3, column 7`.
    pub key: String,
    /// What is wrong and how to mend it. Never holds a secret.
    pub message: String,
}

impl ConfigProblem {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// All of it, in the order of the configuration. Displays as one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The configuration file. `None`: there was none.
    pub file: Option<PathBuf>,
    /// Never empty.
    pub problems: Vec<ConfigProblem>,
    /// What else deserves a look, as in [`Config::warnings`](super::Config::warnings); not displayed.
    pub warnings: Vec<String>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.problems.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        match &self.file {
            Some(file) => write!(f, "{count} in the configuration ({})", file.display())?,
            None => write!(f, "{count} in the configuration (no file given)")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
