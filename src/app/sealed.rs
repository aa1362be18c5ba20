//! A file that outlives a restart, whatever it holds: written whole, sealed with a checksum, refused where it is torn or foreign.
//!
//! It is written to a temporary file, synced, and renamed over the old one, so that a crash leaves one or the other. What a refusal
//! means is for whoever reads it to say.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Largest file read: far above 10,000 accounts of 1,000 rows.
const MAX_BYTES: u64 = 4 << 30;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    path: PathBuf,
    /// The first line: what the file is, and the version of its form.
    format: &'static str,
}

impl Sealed {
    /// The file of that name in `dir`. Makes sure that the directory takes files.
    ///
    /// # Errors
    /// It does not: one sentence with the cure.
    pub(super) fn open(dir: &Path, name: &str, format: &'static str) -> anyhow::Result<Self> {
        let wants = || format!("state_dir: cannot write in {}; make it writable or leave state_dir out", dir.display());
        fs::create_dir_all(dir).with_context(wants)?;
        let probe = dir.join(format!("{name}.probe"));
        fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).with_context(wants)?;
        Ok(Self { path: dir.join(name), format })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written last; `None`: nothing yet.
    ///
    /// # Errors
    /// It is not what was written, or not by this program's version. Quotes nothing of it.
    pub(super) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > MAX_BYTES => bail!("it has more than {MAX_BYTES} bytes"),
            other => other.context("it cannot be looked at")?,
        };
        let text = fs::read_to_string(&self.path).context("it cannot be read")?;
        let Some(rest) = text.strip_prefix(self.format).and_then(|rest| rest.strip_prefix('\n')) else {
            bail!("it is no file of this program's version");
        };
        let Some((body, sum)) = rest.trim_end().rsplit_once('\n') else { bail!("it is torn") };
        if sum != checksum(body) {
            bail!("its checksum does not match: it is torn or was changed");
        }
        let content = serde_json::from_str(body).map_err(|e| anyhow::anyhow!("column {} cannot be read", e.column()))?;
        Ok(Some(content))
    }

    /// Puts the content in place of the old one.
    ///
    /// # Errors
    /// What kept it from being written; the old file is whole then.
    pub(super) fn write(&self, content: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_string(content).context("the content cannot be written as JSON")?;
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        // What is kept is nobody else's business.
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary).context("the temporary file cannot be made")?;
        let text = format!("{}\n{body}\n{}\n", self.format, checksum(&body));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("the temporary file cannot be written")?;
        fs::rename(&temporary, &self.path).context("the new file cannot be put in place")?;
        // The rename itself must survive a power cut.
        let dir = self.path.parent().and_then(|dir| fs::File::open(dir).ok());
        dir.map_or(Ok(()), |dir| dir.sync_all()).context("the directory cannot be synced")
    }
}

fn checksum(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}
