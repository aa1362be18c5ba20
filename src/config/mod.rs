//! From files and environment to each stage's own settings, or to everything that is wrong with them.
//!
//! No stage imports this module: it knows them. It opens no socket; it reads the configuration file and the secrets' files.

mod accounts;
mod error;
mod file;
mod layers;
mod node;
mod otlp;
mod reader;
mod secret;
mod sections;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::venue::{VENUES, Venue};
use crate::{access, server};
use reader::Reader;

pub use accounts::{AccountConfig, MAX_ACCOUNTS};
pub use error::{ConfigErrors, ConfigProblem};
pub use layers::{DEFAULTS, ENV_PREFIX};
pub use otlp::OtlpConfig;
pub use secret::{SecretError, SecretSource};
pub use sections::{LogConfig, LogFormat, check_level};

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The file it came from, for reading it anew. `None`: defaults and environment only.
    pub file: Option<PathBuf>,
    pub server: server::Config,
    pub access: access::Config,
    /// In the file's order, disabled ones included; the ids are unique.
    pub accounts: Vec<AccountConfig>,
    /// Certificate roots besides the system's, as PEM. `None`: the system's alone.
    pub upstream_ca_file: Option<PathBuf>,
    pub log: LogConfig,
    /// Where traces go. `None`: nothing is traced.
    pub otlp: Option<OtlpConfig>,
    /// Where to keep what outlives a restart. `None`: nowhere.
    pub state_dir: Option<PathBuf>,
    /// Show the last known rows of the earlier run, as `stale`, until the venue confirms them. Wants `state_dir`.
    pub warm_start: bool,
    /// What works but deserves a look, each with its key. Never holds a secret.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks everything: built-in defaults, then `file`, then the variables in `env` that begin with [`ENV_PREFIX`].
    /// `env` also answers `{ env = "NAME" }`.
    ///
    /// # Errors
    /// Everything that is wrong, at once, each with its key and its cure; no value of a secret is in it.
    pub fn load(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::load_with(file, env, VENUES)
    }

    /// The same with another list of venues.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        venues: &'static [Venue],
    ) -> Result<Self, ConfigErrors> {
        Self::of(file, file.map_or_else(|| Ok(String::new()), file::text), env, venues)
    }

    /// The same for a file that is in use, where nobody should fall for one that is being written at this moment: blocks until it has lain
    /// still for a tenth of a second.
    ///
    /// # Errors
    /// As [`Config::load`]; also a file that holds no key at all, and one that changes for longer than two seconds.
    pub fn load_again(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::of(file, file.map_or_else(|| Ok(String::new()), file::settled_text), env, VENUES)
    }

    fn of(
        file: Option<&Path>,
        text: file::Text,
        env: impl IntoIterator<Item = (String, String)>,
        venues: &'static [Venue],
    ) -> Result<Self, ConfigErrors> {
        let env: BTreeMap<String, String> = env.into_iter().collect();
        let fail = |problems, warnings| ConfigErrors { file: file.map(Path::to_path_buf), problems, warnings };
        let root = layers::read(text, &env).map_err(|problems| fail(problems, Vec::new()))?;
        let reader = Reader::new(env);
        let mut config = Self::read(&reader, root, venues);
        config.file = file.map(Path::to_path_buf);
        secret::warn_of_open_config(&reader, file);
        let (problems, warnings) = reader.finish();
        if !problems.is_empty() {
            return Err(fail(problems, warnings));
        }
        config.warnings = warnings;
        Ok(config)
    }

    fn read(reader: &Reader, root: node::Table, venues: &'static [Venue]) -> Self {
        let mut top = reader.root(root);
        let mut config = Self {
            file: None,
            server: top.section("server").map(sections::server).unwrap_or_default(),
            access: top.section("access").map(sections::access).unwrap_or_default(),
            accounts: accounts::read(reader, top.sections("accounts", MAX_ACCOUNTS), venues),
            upstream_ca_file: top.section("upstream").and_then(sections::upstream),
            log: top.section("log").map(sections::log).unwrap_or_default(),
            otlp: top.section("otlp").and_then(otlp::read),
            state_dir: top.text("state_dir").map(PathBuf::from),
            warm_start: top.boolean("warm_start").unwrap_or(false),
            warnings: Vec::new(),
        };
        if config.warm_start && config.state_dir.is_none() {
            top.problem("warm_start", "needs a place for the rows; set state_dir");
        }
        top.finish();
        // It stands with the other limits of connections, and is kept where users are known.
        config.access.max_connections_per_user = config.server.max_connections_per_user;
        config
    }
}

/// How to ask the gateway itself whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminDoor {
    pub listen: SocketAddr,
    /// The certificate it shows, as PEM, the leaf first. `None`: it speaks plain text.
    pub cert_file: Option<PathBuf>,
}

impl AdminDoor {
    /// Reads this and nothing else: a health check must not fail over a mistake that the running gateway does not know of yet.
    ///
    /// # Errors
    /// The configuration cannot be read, or these keys are wrong.
    pub fn load(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let env: BTreeMap<String, String> = env.into_iter().collect();
        let fail = |problems| ConfigErrors { file: file.map(Path::to_path_buf), problems, warnings: Vec::new() };
        let text = file.map_or_else(|| Ok(String::new()), file::text);
        let root = layers::read(text, &env).map_err(fail)?;
        let reader = Reader::new(env);
        let server = reader.root(root).section("server");
        let (listen, cert_file) = server.map(sections::admin_door).unwrap_or_default();
        let (problems, _) = reader.finish();
        let listen = listen.unwrap_or(server::Config::default().admin_listen);
        if problems.is_empty() { Ok(Self { listen, cert_file }) } else { Err(fail(problems)) }
    }
}

/// The process's environment, without the variables whose name or value is not Unicode: they read as not set.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
