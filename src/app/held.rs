//! One gateway a state directory: two that wrote into it would each undo what the other keeps. The lock ends with the process,
//! however that ends; the file of it stays and says nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};

const FILE: &str = "balance-gateway.lock";

/// The directory is this process's until it is dropped.
pub(super) struct Held {
    _lock: File,
}

impl Held {
    /// Takes the directory.
    ///
    /// # Errors
    /// Another process has it, or it takes no files: one sentence with the cure.
    pub(super) fn take(dir: &Path) -> anyhow::Result<Self> {
        let place = dir.display();
        let wants = || format!("state_dir: cannot write in {place}; make it writable or leave state_dir out");
        std::fs::create_dir_all(dir).with_context(wants)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(FILE));
        let lock = lock.with_context(wants)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("state_dir: another gateway uses {place}; stop it, or give this one a directory of its own")
            }
            // Some network file systems have no locks; what is written there is no worse than before.
            Err(TryLockError::Error(error)) => tracing::warn!(%error, "the state directory cannot be locked"),
        }
        Ok(Self { _lock: lock })
    }
}
