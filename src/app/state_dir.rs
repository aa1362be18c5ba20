//! The directory for what outlives a restart: made and tried at the start, so that what is wrong with it shows then and not
//! when the first row is to be saved. What goes into it is not decided here.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Makes the directory where it is missing and tries to write in it.
///
/// # Errors
/// It cannot be made or written: one sentence with the key, the cause and the cure.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<()> {
    let tried = fs::create_dir_all(dir).and_then(|()| {
        let file = dir.join(".writable");
        fs::write(&file, b"").and_then(|()| fs::remove_file(&file))
    });
    tried.with_context(|| {
        let dir = dir.display();
        format!("state_dir: cannot write in {dir}; give the user that runs the gateway this directory, or another")
    })
}
