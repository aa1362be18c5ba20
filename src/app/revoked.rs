//! Revocations past a restart: a file in `state_dir`, written before an operator is told that the token is out.
//!
//! Starting without what it held would let revoked tokens in again, so a torn or foreign file keeps the gateway from starting: unlike
//! everything else here, nobody says again what it held.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use parking_lot::Mutex;

use super::sealed::Sealed;
use crate::access::{Revocation, Revocations};
use crate::model::UnixMs;

const FILE: &str = "balance-gateway.revoked";
const FORMAT: &str = "balance-gateway revocations 1";

/// See the module.
#[derive(Debug)]
pub(super) struct RevokedFile {
    file: Sealed,
    /// How often it was asked for, and which of these askings the file holds.
    asked: AtomicU64,
    written: Mutex<u64>,
}

impl RevokedFile {
    /// Makes sure that the directory takes files.
    ///
    /// # Errors
    /// It does not: one sentence with the cure.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let file = Sealed::open(dir, FILE, FORMAT)?;
        Ok(Self { file, asked: AtomicU64::new(0), written: Mutex::new(0) })
    }

    /// Puts in force again what earlier runs left.
    ///
    /// # Errors
    /// The file cannot be trusted: one sentence with the cure.
    pub(super) fn recall(&self, revocations: &Revocations, now: UnixMs) -> anyhow::Result<()> {
        let wants = || {
            format!(
                "{} holds the revoked tokens and cannot be trusted; put a copy of it back, or remove it and revoke again",
                self.file.path().display()
            )
        };
        let kept: Vec<Revocation> = self.file.read().with_context(wants)?.unwrap_or_default();
        for revocation in kept {
            revocations.add(revocation, now).with_context(wants)?;
        }
        Ok(())
    }

    /// Writes what is in force. Returns when it is on the disk. Writes a file: not for the event loop.
    ///
    /// # Errors
    /// What kept it from being written; the old file is whole then.
    pub(super) fn keep(&self, revocations: &Revocations, now: UnixMs) -> anyhow::Result<()> {
        let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut written = self.written.lock();
        if *written >= mine {
            return Ok(()); // whoever wrote while we waited wrote ours, too
        }
        let all = self.asked.load(Ordering::Acquire);
        self.file.write(&revocations.needed(now))?;
        *written = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Revoked;

    const NOW: UnixMs = UnixMs(1_763_121_359_960);
    const DAY_MS: i64 = 86_400_000;

    fn token(id: &str, until: Option<UnixMs>) -> Revocation {
        Revocation { what: Revoked::Token(id.into()), until }
    }

    fn file() -> (tempfile::TempDir, RevokedFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = RevokedFile::open(dir.path()).unwrap();
        (dir, file)
    }

    /// What a start finds.
    fn recalled(file: &RevokedFile, now: UnixMs) -> anyhow::Result<Vec<Revocation>> {
        let revocations = Revocations::default();
        file.recall(&revocations, now)?;
        let mut all = revocations.needed(now);
        all.sort_by_key(|revocation| format!("{revocation:?}"));
        Ok(all)
    }

    #[test]
    fn what_was_revoked_is_revoked_after_a_restart_until_its_token_has_long_expired() {
        let (_dir, file) = file();
        assert!(recalled(&file, NOW).unwrap().is_empty());
        let revocations = Revocations::default();
        let user = Revoked::User { user: "alice \"x\"\u{e9}".into(), issued_before: NOW };
        let all = [
            token("endless", None),
            token("ending", Some(NOW)),
            Revocation { what: user, until: Some(UnixMs(NOW.0 + 2 * DAY_MS)) },
        ];
        for revocation in &all {
            revocations.add(revocation.clone(), NOW).unwrap();
        }
        file.keep(&revocations, NOW).unwrap();
        assert_eq!(recalled(&file, NOW).unwrap(), [all[1].clone(), all[0].clone(), all[2].clone()]);
        // A token is accepted a little past its expiry, and clocks are set back.
        assert_eq!(recalled(&file, UnixMs(NOW.0 + DAY_MS - 1)).unwrap().len(), 3);
        assert_eq!(recalled(&file, UnixMs(NOW.0 + DAY_MS)).unwrap().len(), 2);
        assert_eq!(recalled(&file, UnixMs(NOW.0 + 3 * DAY_MS)).unwrap(), [all[0].clone()]);
    }

    #[test]
    fn a_torn_changed_or_foreign_file_of_revocations_is_refused_by_its_name_and_stays() {
        for spoil in [
            |text: &str| text[..text.len() / 2].to_owned(),
            |text: &str| text.replace("stolen", "others"),
            |_: &str| "balance-gateway state 1\n{}\n".to_owned(),
            |_: &str| String::new(),
        ] {
            let (_dir, file) = file();
            let revocations = Revocations::default();
            revocations.add(token("stolen", None), NOW).unwrap();
            file.keep(&revocations, NOW).unwrap();
            let path = file.file.path();
            let spoiled = spoil(&std::fs::read_to_string(path).unwrap());
            std::fs::write(path, &spoiled).unwrap();
            let error = format!("{:#}", recalled(&file, NOW).unwrap_err());
            assert!(error.contains(&path.display().to_string()) && !error.contains("stolen"), "{error}");
            assert_eq!(std::fs::read_to_string(path).unwrap(), spoiled);
        }
    }

    #[test]
    fn each_of_many_who_revoke_at_once_is_told_only_when_the_file_holds_its_own() {
        let (_dir, file) = file();
        let revocations = Revocations::default();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (file, revocations) = (&file, &revocations);
                scope.spawn(move || {
                    let mine = token(&format!("t{n}"), None);
                    revocations.add(mine.clone(), NOW).unwrap();
                    file.keep(revocations, NOW).unwrap();
                    assert!(recalled(file, NOW).unwrap().contains(&mine));
                });
            }
        });
        assert_eq!(recalled(&file, NOW).unwrap().len(), 8);
    }

    #[test]
    fn nobody_else_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, file) = file();
        file.keep(&Revocations::default(), NOW).unwrap();
        assert_eq!(std::fs::metadata(file.file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
