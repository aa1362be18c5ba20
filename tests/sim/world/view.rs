//! What a client makes of the frames it is sent, by the published rules alone: nothing here knows how the gateway writes them.

use std::collections::BTreeMap;

use serde_json::Value;

type Fault = String;

/// venue, account, and wallet and asset (or order and nothing).
pub type RowKey = [String; 4];

/// A client's picture of one channel.
#[derive(Default)]
pub struct View {
    pub channel: &'static str,
    /// Rows that hold nothing are dropped: the client asked for no such rows.
    pub nonzero: bool,
    pub epoch: String,
    pub gsn: u64,
    pub complete: bool,
    pub rows: BTreeMap<RowKey, Value>,
    pub accounts: BTreeMap<[String; 2], Value>,
    /// A whole snapshot or a resuming update has been installed.
    pub installed: bool,
    /// Snapshots that came in parts.
    pub in_parts: u64,
    /// `subscribed` was read and its first frame was not.
    first: Option<First>,
    /// Parts so far of a snapshot in parts.
    parts: Vec<Value>,
}

struct First {
    epoch: String,
    gsn: u64,
    resumed: bool,
}

impl View {
    pub fn new(channel: &'static str, nonzero: bool) -> Self {
        Self { channel, nonzero, ..Self::default() }
    }

    /// Where a later subscription may go on.
    pub fn since(&self) -> Option<(String, u64)> {
        self.installed.then(|| (self.epoch.clone(), self.gsn))
    }

    /// The connection is gone. What is held stays, for a `since`.
    pub fn disconnected(&mut self) {
        self.first = None;
        self.parts.clear();
    }

    /// Takes a frame of this channel.
    ///
    /// # Errors
    /// What the frame breaks of the protocol.
    pub fn take(&mut self, frame: Value) -> Result<(), Fault> {
        let kind = frame["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "subscribed" => {
                let (epoch, gsn) = place(&frame)?;
                let resumed = frame["resumed"].as_bool().ok_or("resumed is missing")?;
                self.first = Some(First { epoch, gsn, resumed });
                Ok(())
            }
            "snapshot" => self.snapshot(frame),
            "update" => self.update(frame),
            other => Err(format!("{other} is no frame of a channel")),
        }
    }

    fn snapshot(&mut self, frame: Value) -> Result<(), Fault> {
        let (epoch, gsn) = place(&frame)?;
        if frame["prev"] != 0 {
            return Err("a snapshot has a prev".into());
        }
        let parts = frame["parts"].as_u64().unwrap_or(1);
        if let Some(begun) = self.parts.first()
            && (begun["gsn"] != frame["gsn"] || begun["epoch"] != frame["epoch"] || begun["parts"] != frame["parts"])
        {
            return Err("parts of different snapshots are mixed".into());
        }
        if frame["part"].as_u64().unwrap_or(1) != self.parts.len() as u64 + 1 {
            return Err("parts are not in order".into());
        }
        self.parts.push(frame);
        if (self.parts.len() as u64) < parts {
            return Ok(());
        }
        match self.first.take() {
            Some(first) if first.resumed => return Err("a snapshot follows resumed: true".into()),
            Some(first) if (&first.epoch, first.gsn) != (&epoch, gsn) => {
                return Err(format!("subscribed says {}/{}, the snapshot {epoch}/{gsn}", first.epoch, first.gsn));
            }
            None if !self.installed => return Err("a snapshot before subscribed".into()),
            None if epoch == self.epoch && gsn < self.gsn => return Err(format!("gsn fell from {} to {gsn}", self.gsn)),
            _ => {}
        }
        (self.epoch, self.gsn, self.installed) = (epoch, gsn, true);
        self.rows.clear();
        self.accounts.clear();
        self.in_parts += u64::from(parts > 1);
        for part in std::mem::take(&mut self.parts) {
            self.install(&part, None)?;
        }
        self.judge()
    }

    fn update(&mut self, frame: Value) -> Result<(), Fault> {
        let (epoch, gsn) = place(&frame)?;
        let prev = frame["prev"].as_u64().ok_or("prev is missing")?;
        if !self.parts.is_empty() {
            return Err("an update between the parts of a snapshot".into());
        }
        if !self.installed {
            return Err("an update before anything was installed".into());
        }
        if epoch != self.epoch || prev != self.gsn {
            return Err(format!("holding {}/{}, an update follows {epoch}/{prev}", self.epoch, self.gsn));
        }
        match self.first.take() {
            Some(first) if !first.resumed || (&first.epoch, first.gsn) != (&epoch, gsn) => {
                return Err("subscribed does not announce this update".into());
            }
            None if gsn <= prev => return Err(format!("gsn does not grow: {prev} to {gsn}")),
            _ => {}
        }
        self.gsn = gsn;
        self.install(&frame, Some(prev))?;
        self.judge()
    }

    fn install(&mut self, frame: &Value, prev: Option<u64>) -> Result<(), Fault> {
        self.complete = frame["complete"].as_bool().ok_or("complete is missing")?;
        for account in list(frame, "accounts")? {
            self.accounts.insert([text(account, "venue")?, text(account, "account")?], account.clone());
        }
        let name = self.channel.strip_prefix("user:").unwrap_or_default();
        for row in list(frame, name)? {
            let gsn = row["gsn"].as_u64().ok_or("a row without gsn")?;
            if gsn > self.gsn || prev.is_some_and(|prev| gsn <= prev) {
                return Err(format!("a row of gsn {gsn} in a frame from {prev:?} to {}", self.gsn));
            }
            let key = row_key(row)?;
            if self.nonzero && is_zero(row) {
                self.rows.remove(&key);
            } else {
                self.rows.insert(key, row.clone());
            }
        }
        Ok(())
    }

    /// What a picture may never show, whatever the gateway knows.
    fn judge(&self) -> Result<(), Fault> {
        let proven = |account: &Value| matches!(account["state"].as_str(), Some("live" | "degraded"));
        if self.complete && !self.accounts.values().all(proven) {
            return Err("complete, though an account is neither live nor degraded".into());
        }
        for (key, row) in &self.rows {
            let Some(account) = self.accounts.get(&[key[0].clone(), key[1].clone()]) else {
                return Err(format!("{key:?} belongs to no account shown"));
            };
            let is_final = row["final"] == true;
            if row["state"] == "live" && !proven(account) && !is_final {
                return Err(format!("{key:?} is live in an account that is {}", account["state"]));
            }
        }
        Ok(())
    }
}

/// The row's key from its own fields.
pub fn row_key(row: &Value) -> Result<RowKey, Fault> {
    let inner = if row["order_id"].is_string() {
        [text(row, "order_id")?, String::new()]
    } else {
        [text(row, "wallet")?, text(row, "asset")?]
    };
    let [a, b] = inner;
    Ok([text(row, "venue")?, text(row, "account")?, a, b])
}

/// Does the row say that nothing is held? Unknown is not zero.
pub fn is_zero(row: &Value) -> bool {
    let zero = |name: &str| row[name].as_str().map(|text| text.bytes().all(|b| b == b'0' || b == b'.'));
    match zero("total") {
        Some(total) => total && zero("available") != Some(false),
        None => zero("available") == Some(true) && zero("locked") == Some(true),
    }
}

fn place(frame: &Value) -> Result<(String, u64), Fault> {
    Ok((text(frame, "epoch")?, frame["gsn"].as_u64().ok_or("gsn is missing")?))
}

fn text(value: &Value, name: &str) -> Result<String, Fault> {
    value[name].as_str().map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
}

fn list<'a>(frame: &'a Value, name: &str) -> Result<&'a Vec<Value>, Fault> {
    frame[name].as_array().ok_or_else(|| format!("{name} is missing"))
}
