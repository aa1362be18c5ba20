//! The toy bank from the gateway's side.

use balance_gateway::model::{Amount, Field, Freshness, Mono, Name, Now, ReasonCode, RowUpdate, Scope, Snapshot, VenueEvent};
use balance_gateway::venue::{
    AccountSpec, CallError, CallId, Connector, ErrorClass, Frame, Handshake, Liveness, Out, Pulse, Reply, Session,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::VENUE;

const ANSWER_MS: u64 = 5_000;
const AUDIT_MS: u64 = 20_000;

pub struct Toy(pub AccountSpec);

impl Connector for Toy {
    fn handshake(&self) -> Handshake {
        Handshake { url: self.0.ws_url.clone(), headers: Vec::new() }
    }
    fn session(&self, _: u64) -> Box<dyn Session> {
        let liveness = Liveness::new(Mono::default(), VENUE.liveness_bound_ms);
        Box::new(Conversation { spec: self.0.clone(), liveness, answer_by: None, audit_at: None, closed: false })
    }
    fn rest_url(&self) -> &str {
        &self.0.rest_url
    }
}

struct Conversation {
    spec: AccountSpec,
    liveness: Liveness,
    answer_by: Option<Mono>,
    audit_at: Option<Mono>,
    closed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Message {
    All(Vec<[String; 4]>),
    Row([String; 4]),
    Denied(IgnoredAny),
}

fn update([wallet, asset, free, held]: [String; 4]) -> Option<RowUpdate> {
    let (free, held): (Amount, Amount) = (free.parse().ok()?, held.parse().ok()?);
    let total = Field::Derived(free.plus(&held));
    Some(RowUpdate {
        total,
        available: Field::Is(free),
        locked: Field::Is(held),
        ..RowUpdate::new(Name::from(wallet), Name::from(asset))
    })
}

impl Conversation {
    fn ask(&mut self, now: Now, text: String, out: &mut Out) {
        out.send(text);
        (self.answer_by, self.audit_at) = (Some(now.mono.plus_ms(ANSWER_MS)), None);
    }
    fn list(&mut self, now: Now, out: &mut Out) {
        self.ask(now, r#"{"list":true}"#.into(), out);
    }
    fn close(&mut self, class: ErrorClass, code: ReasonCode, text: &str, out: &mut Out) {
        self.closed = true;
        out.close(class, code, text);
    }
    fn text(&mut self, now: Now, text: &str, out: &mut Out) {
        match serde_json::from_str(text) {
            Ok(Message::All(rows)) => {
                let Some(rows) = rows.into_iter().map(update).collect() else { return out.malformed("all: an amount") };
                out.event(VenueEvent::Snapshot(Snapshot { freshness: Freshness::Stream, scope: Scope::Account, rows }));
                out.event(VenueEvent::Synced);
                (self.answer_by, self.audit_at) = (None, Some(now.mono.plus_ms(AUDIT_MS)));
            }
            Ok(Message::Row(row)) => match update(row) {
                Some(row) => out.event(VenueEvent::Rows(vec![row])),
                None => out.malformed("row: an amount"),
            },
            Ok(Message::Denied(IgnoredAny)) => {
                self.close(ErrorClass::Credential, ReasonCode::WrongKey, "the bank does not know the key", out);
            }
            Err(_) => out.malformed("no message of the bank"),
        }
    }
}

impl Session for Conversation {
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.liveness = Liveness::new(now.mono, VENUE.liveness_bound_ms);
        let key = self.spec.credentials.get("key").unwrap_or_default();
        self.ask(now, serde_json::json!({"login": key.expose_secret()}).to_string(), out);
    }
    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        if self.closed {
            return;
        }
        self.liveness.proof(now.mono);
        out.event(VenueEvent::Alive);
        match frame {
            Frame::Text(text) => self.text(now, text, out),
            Frame::Binary(_) => out.malformed("a binary frame"),
            Frame::Ping | Frame::Pong => {}
        }
    }
    fn on_reply(&mut self, _: Now, _: CallId, _: Result<Reply<'_>, CallError>, _: &mut Out) {}
    fn on_timeout(&mut self, now: Now, out: &mut Out) {
        match self.liveness.check(now.mono) {
            Pulse::Fine => {}
            Pulse::Probe => out.ping(),
            Pulse::Dead => {
                return self.close(ErrorClass::Transient, ReasonCode::LivenessTimeout, "the bank is silent", out);
            }
        }
        if self.answer_by.is_some_and(|at| at <= now.mono) {
            return self.close(ErrorClass::Transient, ReasonCode::SyncTimeout, "the bank does not answer", out);
        }
        if self.audit_at.is_some_and(|at| at <= now.mono) {
            self.list(now, out);
        }
    }
    fn resync(&mut self, now: Now, out: &mut Out) {
        self.list(now, out);
    }
    fn deadline(&self) -> Option<Mono> {
        let mine = [self.answer_by, self.audit_at, Some(self.liveness.deadline())];
        mine.into_iter().flatten().min().filter(|_| !self.closed)
    }
}
