//! The state file: what outlives a restart. The highest nonce of each key, always; the last known rows, for a warm start.
//!
//! A torn or foreign file is refused aloud, set aside, and ignored: what it held comes again from the venues. It holds no secret.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sealed::Sealed;
use crate::model::{AccountKey, Amount, Balance, LastKnown, Name, Origin, RowState, UnixMs};

const FILE: &str = "balance-gateway.state";
const FORMAT: &str = "balance-gateway state 2";
/// Nonces are microseconds; a mark is written this far ahead, so that it is above every nonce used until the next writing, even
/// when the process dies in between.
const NONCE_AHEAD: u64 = 120_000_000;

/// Where the state is kept.
#[derive(Debug, Clone)]
pub(super) struct StateFile(Sealed);

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

impl State {
    /// Differs, within a run, where what is kept differs. The time of writing does not count.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.nonces, &self.origins, &self.rows).hash(&mut hasher);
        hasher.finish()
    }
}

/// A balance row as kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
        Sealed::open(dir, FILE, FORMAT).map(Self)
    }

    /// What the last run left. Nothing, where there is no file, or one that cannot be trusted.
    pub(super) fn read(&self) -> State {
        self.0.read().map(Option::unwrap_or_default).unwrap_or_else(|error| {
            let file = self.0.path();
            let kept = std::fs::rename(file, file.with_extension("refused")).is_ok();
            tracing::error!(file = %file.display(), %error, kept, "state file refused and ignored; starting without it");
            State::default()
        })
    }

    /// Puts the state in place of the old one.
    ///
    /// # Errors
    /// What kept it from being written; the old file is whole then.
    pub(super) fn write(&self, mut state: State) -> anyhow::Result<()> {
        for (_, mark) in &mut state.nonces {
            *mark += NONCE_AHEAD;
        }
        self.0.write(&state)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            let text = fs::read_to_string(file.0.path()).unwrap();
            fs::write(file.0.path(), spoil(&text)).unwrap();
            assert!(file.read().rows.is_empty());
            assert!(!file.0.path().exists() && dir.path().join("balance-gateway.refused").exists());
        }
    }

    #[test]
    fn a_directory_that_takes_no_files_is_refused_at_once() {
        let error = StateFile::open(Path::new("/proc/nowhere")).unwrap_err().to_string();
        assert!(error.contains("state_dir") && error.contains("/proc/nowhere"), "{error}");
    }
}
