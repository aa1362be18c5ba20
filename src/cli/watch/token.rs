//! Where the token comes from: the command line, the environment, or a file that somebody keeps fresh. It judges no token.

use std::path::PathBuf;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

/// Longest token file read.
const MAX_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) enum TokenSource {
    Given(SecretString),
    /// Read anew for every connection, and when the token is about to end.
    File(PathBuf),
}

impl TokenSource {
    /// The token as of now.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub(super) async fn read(&self) -> anyhow::Result<SecretString> {
        let path = match self {
            Self::Given(token) => return Ok(token.clone()),
            Self::File(path) => path,
        };
        let text = tokio::fs::read_to_string(path).await.with_context(|| format!("--token-file {}", path.display()))?;
        if text.trim().is_empty() || text.len() > MAX_BYTES {
            bail!("--token-file {}: holds no token", path.display());
        }
        Ok(SecretString::from(text.trim()))
    }

    /// Another token than this one, where there is one by now.
    pub(super) async fn another(&self, than: &SecretString) -> Option<SecretString> {
        let token = self.read().await.ok()?;
        (token.expose_secret() != than.expose_secret()).then_some(token)
    }

    /// Can there ever be another one?
    pub(super) fn renews(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_anew_and_an_empty_one_holds_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let source = TokenSource::File(path.clone());
        assert!(source.read().await.is_err());
        std::fs::write(&path, " one\n").unwrap();
        let one = source.read().await.unwrap();
        assert_eq!(one.expose_secret(), "one");
        assert!(source.another(&one).await.is_none());
        std::fs::write(&path, "two").unwrap();
        assert_eq!(source.another(&one).await.unwrap().expose_secret(), "two");
        std::fs::write(&path, "\n").unwrap();
        assert!(source.read().await.is_err() && source.another(&one).await.is_none());
        assert!(!format!("{:?}", TokenSource::Given(one)).contains("one"));
    }
}
