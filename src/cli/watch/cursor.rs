//! Our place in the history, and whether a frame continues it. It holds no rows but those of a snapshot whose parts are under way.

use serde_json::{Value, json};

use super::wire::{Account, Frame, Row};

/// The only channel shown.
pub(super) const CHANNEL: &str = "user:balances";
/// Most rows of one snapshot: more than a gateway's users have; a gateway that sends more without end is not followed.
const MAX_ROWS: usize = 4_000_000;

/// Rows and accounts to take in together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Everything there is: what is not named is gone. Otherwise what changed.
    pub whole: bool,
    pub complete: bool,
    pub accounts: Vec<Account>,
    pub rows: Vec<Row>,
    /// The gateway's time.
    pub ts: i64,
}

/// What a frame is to us.
#[derive(Debug)]
pub(super) enum Taken {
    Batch(Batch),
    /// A part of a snapshot, or nothing of the channel.
    Nothing,
    /// A frame is missing: ask for a snapshot.
    Gap,
}

#[derive(Debug, Default)]
pub(super) struct Cursor {
    place: Option<(String, u64)>,
    /// Parts so far, and how many of them.
    parts: Option<(u32, Batch)>,
    /// A snapshot was asked for: updates until then say nothing that it will not say.
    resyncing: bool,
}

impl Cursor {
    /// What to resume from; absent before the first snapshot.
    pub(super) fn since(&self) -> Option<Value> {
        self.place.as_ref().map(|(epoch, gsn)| json!({ "epoch": epoch, "gsn": gsn }))
    }

    /// The connection is gone, and with it the parts under way.
    pub(super) fn abandon(&mut self) {
        self.parts = None;
        self.resyncing = false;
    }

    /// Takes a frame in.
    pub(super) fn take(&mut self, frame: Frame) -> Taken {
        match frame.r#type.as_str() {
            _ if frame.channel.as_deref().is_some_and(|channel| channel != CHANNEL) => Taken::Nothing,
            "snapshot" => self.snapshot(frame),
            "update" if self.resyncing => Taken::Nothing,
            "update" => self.update(frame),
            // It names the gsn of the last frame sent: what is not here by now was lost on the way.
            "heartbeat" => match (frame.gsn.as_ref().and_then(|gsn| gsn[CHANNEL].as_u64()), &self.place) {
                (Some(sent), Some((_, held))) if sent != *held && self.parts.is_none() && !self.resyncing => self.gap(),
                _ => Taken::Nothing,
            },
            _ => Taken::Nothing,
        }
    }

    fn gap(&mut self) -> Taken {
        self.resyncing = true;
        self.parts = None;
        Taken::Gap
    }

    fn snapshot(&mut self, frame: Frame) -> Taken {
        let (part, parts) = (frame.part.unwrap_or(1), frame.parts.unwrap_or(1));
        let place = place(&frame);
        let (done, batch) = match self.parts.take() {
            Some((done, mut batch)) if part > 1 => {
                batch.rows.extend(frame.balances);
                batch.accounts.extend(frame.accounts);
                (done, batch)
            }
            _ => (0, batch(frame, true)),
        };
        if part != done + 1 || batch.rows.len() > MAX_ROWS {
            return self.gap();
        }
        if part < parts {
            self.parts = Some((part, batch));
            return Taken::Nothing;
        }
        self.resyncing = false;
        self.place = place;
        Taken::Batch(batch)
    }

    fn update(&mut self, frame: Frame) -> Taken {
        let held = self.place.as_ref().map(|(_, gsn)| *gsn);
        // Without a place a snapshot is on its way; between its parts nothing of the channel comes.
        if held.is_none() || frame.prev != held || self.parts.is_some() {
            return self.gap();
        }
        self.place = place(&frame);
        Taken::Batch(batch(frame, false))
    }
}

fn place(frame: &Frame) -> Option<(String, u64)> {
    Some((frame.epoch.clone()?, frame.gsn.as_ref()?.as_u64()?))
}

fn batch(frame: Frame, whole: bool) -> Batch {
    let (complete, ts) = (frame.complete.unwrap_or(false), frame.ts.unwrap_or(0));
    Batch { whole, complete, accounts: frame.accounts, rows: frame.balances, ts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(json: Value) -> Frame {
        serde_json::from_value(json).unwrap()
    }
    fn snapshot(gsn: u64, part: u32, parts: u32) -> Frame {
        let row = json!({ "venue": "v", "account": "a", "wallet": "w", "asset": format!("A{part}"),
            "total": "1", "available": null, "locked": null, "state": "live" });
        frame(json!({ "type": "snapshot", "channel": CHANNEL, "epoch": "e", "prev": 0, "gsn": gsn, "ts": 5, "complete": true,
            "part": part, "parts": parts, "accounts": [], "balances": [row] }))
    }
    fn update(prev: u64, gsn: u64) -> Frame {
        frame(json!({ "type": "update", "channel": CHANNEL, "epoch": "e", "prev": prev, "gsn": gsn, "ts": 6 }))
    }

    #[test]
    fn parts_are_installed_together() {
        let mut cursor = Cursor::default();
        assert!(matches!(cursor.take(snapshot(7, 1, 3)), Taken::Nothing));
        assert!(matches!(cursor.take(snapshot(7, 2, 3)), Taken::Nothing));
        assert_eq!(cursor.since(), None);
        let Taken::Batch(batch) = cursor.take(snapshot(7, 3, 3)) else { panic!() };
        assert!(batch.whole && batch.complete && batch.rows.len() == 3);
        assert_eq!(cursor.since(), Some(json!({ "epoch": "e", "gsn": 7 })));
    }

    #[test]
    fn a_missing_part_is_a_gap() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, 1, 3));
        assert!(matches!(cursor.take(snapshot(7, 3, 3)), Taken::Gap));
        assert!(matches!(Cursor::default().take(snapshot(7, 2, 2)), Taken::Gap));
    }

    #[test]
    fn a_missing_frame_is_a_gap_and_updates_wait_for_the_snapshot() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, 1, 1));
        assert!(matches!(cursor.take(update(7, 9)), Taken::Batch(Batch { whole: false, .. })));
        assert!(matches!(cursor.take(update(10, 11)), Taken::Gap));
        assert!(matches!(cursor.take(update(9, 12)), Taken::Nothing));
        assert!(matches!(cursor.take(snapshot(12, 1, 1)), Taken::Batch(_)));
        assert!(matches!(cursor.take(update(12, 13)), Taken::Batch(_)));
    }

    #[test]
    fn a_heartbeat_tells_of_a_frame_that_never_came() {
        let mut cursor = Cursor::default();
        let beat = |gsn: u64| frame(json!({ "type": "heartbeat", "ts": 1, "gsn": { CHANNEL: gsn } }));
        assert!(matches!(cursor.take(beat(7)), Taken::Nothing));
        cursor.take(snapshot(7, 1, 1));
        assert!(matches!(cursor.take(beat(7)), Taken::Nothing));
        assert!(matches!(cursor.take(beat(8)), Taken::Gap));
    }

    #[test]
    fn a_lost_connection_forgets_the_parts_but_not_the_place() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, 1, 1));
        cursor.take(snapshot(9, 1, 2));
        cursor.abandon();
        assert_eq!(cursor.since(), Some(json!({ "epoch": "e", "gsn": 7 })));
        assert!(matches!(cursor.take(update(7, 8)), Taken::Batch(_)));
    }

    #[test]
    fn another_channel_is_none_of_our_business() {
        let mut cursor = Cursor::default();
        let orders = json!({ "type": "snapshot", "channel": "user:orders", "epoch": "e", "gsn": 3, "ts": 1 });
        assert!(matches!(cursor.take(frame(orders)), Taken::Nothing));
        assert_eq!(cursor.since(), None);
    }
}
