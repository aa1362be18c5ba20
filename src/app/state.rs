//! The state file: what outlives a restart. The highest nonce of each key, always; the last known rows, for a warm start.
//!
//! Written whole to a temporary file, synced, and renamed over the old one, so that a crash leaves one or the other. The last line
//! is a checksum: a torn or foreign file is refused aloud, set aside, and ignored. It holds no secret.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{AccountKey, Amount, Balance, LastKnown, Name, Origin, RowState, UnixMs};

const FILE: &str = "balance-gateway.state";
const FORMAT: &str = "balance-gateway state 2";
/// Nonces are microseconds; a mark is written this far ahead, so that it is above every nonce used until the next writing, even
/// when the process dies in between.
const NONCE_AHEAD: u64 = 120_000_000;
/// Largest file read: far above 10,000 accounts of 1,000 rows.
const MAX_BYTES: u64 = 4 << 30;

/// Where the state is kept.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    path: PathBuf,
}

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub written: UnixMs,
    /// Key (its public half) and a number above every nonce used with it.
    pub nonces: Vec<(String, u64)>,
    /// Of each account, a digest of where its rows come from and whose they are.
    pub origins: Vec<String>,
    pub rows: Vec<KeptRow>,
}

/// A balance row as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRow {
    pub venue: String,
    pub account: String,
    wallet: Name,
    asset: Name,
    total: Option<Amount>,
    available: Option<Amount>,
    locked: Option<Amount>,
    basis: [u8; 3],
    venue_ts: Option<UnixMs>,
    received_ts: UnixMs,
    changed_ts: UnixMs,
    last_known: Option<(Amount, UnixMs)>,
}

impl KeptRow {
    pub(super) fn of(row: &Balance) -> Self {
        Self {
            venue: row.key.venue.to_owned(),
            account: row.key.account.to_string(),
            wallet: row.wallet.clone(),
            asset: row.asset.clone(),
            total: row.total.clone(),
            available: row.available.clone(),
            locked: row.locked.clone(),
            basis: row.basis.map(|origin| origin as u8),
            venue_ts: row.venue_ts,
            received_ts: row.received_ts,
            changed_ts: row.changed_ts,
            last_known: row.last_known.as_ref().map(|last| (last.available.clone(), last.ts)),
        }
    }

    /// The row again, unproven.
    pub(super) fn restore(self, key: &AccountKey) -> Balance {
        let origin = |n: u8| match n {
            1 => Origin::Derived,
            2 => Origin::Absent,
            _ => Origin::Reported,
        };
        Balance {
            key: std::sync::Arc::new(key.clone()),
            wallet: self.wallet,
            asset: self.asset,
            total: self.total,
            available: self.available,
            locked: self.locked,
            basis: self.basis.map(origin),
            state: RowState::Stale,
            gsn: 0,
            value_gsn: 0,
            venue_ts: self.venue_ts,
            received_ts: self.received_ts,
            changed_ts: self.changed_ts,
            last_known: self.last_known.map(|(available, ts)| Box::new(LastKnown { available, ts })),
            cause: None,
            extra: None,
        }
    }
}

impl StateFile {
    /// Makes sure that the directory takes files.
    ///
    /// # Errors
    /// It does not: one sentence with the cure.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let wants = || format!("state_dir: cannot write in {}; make it writable or leave state_dir out", dir.display());
        fs::create_dir_all(dir).with_context(wants)?;
        let probe = dir.join(format!("{FILE}.probe"));
        fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).with_context(wants)?;
        Ok(Self { path: dir.join(FILE) })
    }

    /// What the last run left. Nothing, where there is no file, or one that cannot be trusted.
    pub(super) fn read(&self) -> State {
        match self.parse() {
            Ok(Some(state)) => state,
            Ok(None) => State::default(),
            Err(error) => {
                let aside = self.path.with_extension("refused");
                let kept = fs::rename(&self.path, &aside).is_ok();
                tracing::error!(file = %self.path.display(), %error, kept, "state file refused and ignored; starting without it");
                State::default()
            }
        }
    }

    fn parse(&self) -> anyhow::Result<Option<State>> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > MAX_BYTES => bail!("it has more than {MAX_BYTES} bytes"),
            other => other.context("it cannot be looked at")?,
        };
        let text = fs::read_to_string(&self.path).context("it cannot be read")?;
        let Some(rest) = text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')) else {
            bail!("it is no state file of this program's version");
        };
        let Some((body, sum)) = rest.trim_end().rsplit_once('\n') else { bail!("it is torn") };
        if sum != checksum(body) {
            bail!("its checksum does not match: it is torn or was changed");
        }
        let state = serde_json::from_str(body).map_err(|e| anyhow::anyhow!("column {} cannot be read", e.column()))?;
        Ok(Some(state))
    }

    /// Puts the state in place of the old one.
    ///
    /// # Errors
    /// What kept it from being written; the old file is whole then.
    pub(super) fn write(&self, mut state: State) -> anyhow::Result<()> {
        for (_, mark) in &mut state.nonces {
            *mark += NONCE_AHEAD;
        }
        let body = serde_json::to_string(&state).context("rows and numbers always serialize")?;
        let temporary = self.path.with_extension("new");
        // Balances are nobody else's business.
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary).context("the temporary file cannot be made")?;
        let text = format!("{FORMAT}\n{body}\n{}\n", checksum(&body));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(total: &str) -> KeptRow {
        KeptRow {
            venue: "p99".into(),
            account: "p99-main".into(),
            wallet: "spot".into(),
            asset: "DF".into(),
            total: Some(total.parse().unwrap()),
            available: None,
            locked: Some("0.10".parse().unwrap()),
            basis: [1, 0, 2],
            venue_ts: None,
            received_ts: UnixMs(5),
            changed_ts: UnixMs(4),
            last_known: Some(("1.50".parse().unwrap(), UnixMs(3))),
        }
    }

    fn file() -> (tempfile::TempDir, StateFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path()).unwrap();
        (dir, file)
    }

    #[test]
    fn what_was_written_is_read_to_the_last_digit() {
        let (_dir, file) = file();
        assert!(file.read().rows.is_empty());
        let total = "420690000000000.123456789012345678000";
        file.write(State { written: UnixMs(9), nonces: vec![("k".into(), 7)], rows: vec![row(total)], ..State::default() })
            .unwrap();
        let state = file.read();
        assert_eq!(state.rows, [row(total)]);
        assert_eq!(state.nonces, [("k".to_owned(), 7 + NONCE_AHEAD)]);
        let key = AccountKey { venue: "p99", account: "p99-main".into() };
        let back = state.rows[0].clone().restore(&key);
        assert_eq!((back.state, KeptRow::of(&back)), (RowState::Stale, row(total)));
    }

    #[test]
    fn a_torn_changed_or_foreign_file_is_set_aside_and_ignored() {
        for spoil in [
            |text: &str| text[..text.len() / 2].to_owned(),
            |text: &str| text.replace("1.5", "9.5"),
            |_: &str| "[section]\nkey = 1\n".to_owned(),
            |_: &str| String::new(),
        ] {
            let (dir, file) = file();
            file.write(State { rows: vec![row("1.5")], ..State::default() }).unwrap();
            let text = fs::read_to_string(&file.path).unwrap();
            fs::write(&file.path, spoil(&text)).unwrap();
            assert!(file.read().rows.is_empty());
            assert!(!file.path.exists() && dir.path().join("balance-gateway.refused").exists());
        }
    }

    #[test]
    fn a_directory_that_takes_no_files_is_refused_at_once() {
        let error = StateFile::open(Path::new("/proc/nowhere")).unwrap_err().to_string();
        assert!(error.contains("state_dir") && error.contains("/proc/nowhere"), "{error}");
    }
}
