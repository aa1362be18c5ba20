//! Where a secret comes from, and reading it: from a file again and again, so that rotated ones are found.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::node::{Kind, Node};
use super::reader::{Reader, Section};

/// A secret's file is read up to here; keys in PEM are below 4 KiB.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A secret's source. No form of it shows the value.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// The text stands in the configuration.
    Inline(SecretString),
    /// An environment variable, with the value it had at the start: a process's environment does not change from outside.
    Env { name: String, value: SecretString },
    /// A file, read anew by each [`SecretSource::read`].
    File(PathBuf),
}

/// Why a secret cannot be read. Names the source, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the file {path} cannot be read ({}); check the path and its rights", crate::runtime::io_words(*kind))]
    Unreadable { path: String, kind: std::io::ErrorKind },
    #[error("the file {0} is empty; put the secret into it")]
    Empty(String),
    #[error("the file {0} is larger than {MAX_SECRET_BYTES} bytes; is it the right file?")]
    TooLarge(String),
    #[error("the file {0} is not UTF-8 text; is it the right file?")]
    NotText(String),
}

impl SecretSource {
    /// The present value. One newline at the end of a file is not part of it.
    ///
    /// # Errors
    /// The file is unreadable, empty or no text.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Inline(value) | Self::Env { value, .. } => Ok(value.clone()),
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| SecretError::Unreadable { path: name(), kind: error.kind() })?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretError::TooLarge(name()));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(name()))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(SecretError::Empty(name()));
    }
    Ok(SecretString::from(line))
}

impl Section<'_> {
    /// A secret: its source and its value. The value is absent where the file cannot be read; the error says why.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        let node = self.take(name)?;
        let key = self.key(name);
        let source = source(self.reader, &key, node, true)?;
        source.read().map_err(|error| self.reader.problem(key, error.to_string())).ok()
    }
}

/// The source a node names. `None`: a problem is on record, or, where the secret is not `needed`, a warning for a variable that
/// is not set.
pub(super) fn source(reader: &Reader, key: &str, node: Node, needed: bool) -> Option<SecretSource> {
    let from_env = node.variable.is_some();
    match node.kind {
        Kind::Text(text) if !text.is_empty() => {
            if !from_env {
                reader.inline_secret.borrow_mut().get_or_insert_with(|| key.to_owned());
            }
            Some(SecretSource::Inline(SecretString::from(text)))
        }
        Kind::Table(table) => {
            let mut entries = table.into_iter();
            match (entries.next(), entries.next()) {
                (Some((form, Node { kind: Kind::Text(text), .. })), None) => named_source(reader, key, &form, text, needed),
                _ => refuse(reader, key),
            }
        }
        Kind::Text(_) => {
            reader.problem(key, "is empty; give the secret, or { env = \"NAME\" } or { file = \"/path\" }");
            None
        }
        _ => refuse(reader, key),
    }
}

fn named_source(reader: &Reader, key: &str, form: &str, text: String, needed: bool) -> Option<SecretSource> {
    match form {
        "env" => {
            let value = reader.env.get(&text);
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                return Some(SecretSource::Env { name: text, value: SecretString::from(value.as_str()) });
            }
            let state = if value.is_some() { "empty" } else { "not set" };
            let message = format!("the environment variable {text} is {state}; set it to the secret");
            if needed {
                reader.problem(key, message);
            } else {
                reader.warn(format!("{key}: {message} (the account is disabled)"));
            }
            None
        }
        "file" => {
            let path = PathBuf::from(text);
            warn_of_open_file(reader, key, &path);
            Some(SecretSource::File(path))
        }
        _ => refuse(reader, key),
    }
}

fn refuse(reader: &Reader, key: &str) -> Option<SecretSource> {
    reader.problem(key, "wants a secret: a text in quotes, { env = \"NAME\" } or { file = \"/path\" }");
    None
}

/// Warns where everybody can read a secret's file.
pub(super) fn warn_of_open_file(reader: &Reader, key: &str, path: &Path) {
    if is_open(path) {
        reader.warn(format!("{key}: every user can read {}; chmod 600 it", path.display()));
    }
}

/// Warns where secrets stand in a configuration file that everybody can read.
pub(super) fn warn_of_open_config(reader: &Reader, file: Option<&Path>) {
    let Some(file) = file.filter(|file| is_open(file)) else { return };
    let inline = reader.inline_secret.borrow().clone();
    if let Some(key) = inline {
        reader.warn(format!(
            "{key}: stands in {}, which every user can read; chmod 600 it or use {{ file = … }}",
            file.display()
        ));
    }
}

/// May users outside owner and group read it? False where that cannot be told.
#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
