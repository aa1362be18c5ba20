//! A link over its whole life, in virtual time, with a session that does what its frames say.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::{Absence, AccountPush, AccountRecord, Reconcile, RowState, Scope, Verdict};
use crate::store::tests::{key, list, push};
use crate::venue::{HostLimits, Shared, VENUES, Window};

/// Counts its sessions; its sessions obey.
#[derive(Default)]
struct Puppet {
    sessions: AtomicUsize,
    refused: Option<Closing>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

impl Connector for Puppet {
    fn handshake(&self) -> Handshake {
        Handshake { url: "ws://venue".into(), headers: Vec::new() }
    }
    fn session(&self, _: u64) -> Box<dyn Session> {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Box::new(Strings { at: None, verdicts: Arc::clone(&self.verdicts) })
    }
    fn refused(&self, _: u16) -> Option<Closing> {
        self.refused.clone()
    }
    fn rest_url(&self) -> &'static str {
        "http://venue"
    }
}

struct Strings {
    at: Option<Mono>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

fn reconcile(now: Now, row: &str) -> VenueEvent {
    let rows = vec![crate::store::tests::update(row)];
    VenueEvent::Reconcile(Reconcile { sent: now.mono, scope: Scope::Account, absence: Absence::Nothing, rows })
}

impl Session for Strings {
    fn on_open(&mut self, now: Now, out: &mut Out) {
        self.at = Some(now.mono.plus_ms(5_000));
        out.send("hello");
    }
    fn on_frame(&mut self, now: Now, frame: Frame<'_>, out: &mut Out) {
        let Frame::Text(text) = frame else { return };
        for word in text.split(';') {
            let class = match word {
                "live" => {
                    out.event(list(&["BTC 1/1/0"]));
                    out.event(VenueEvent::Synced);
                    continue;
                }
                "same" => {
                    out.event(reconcile(now, "BTC 1/1/0"));
                    continue;
                }
                "other" => {
                    out.event(reconcile(now, "BTC 2/2/0"));
                    continue;
                }
                "alive" => {
                    out.event(VenueEvent::Alive);
                    continue;
                }
                "malformed" => {
                    out.malformed("somewhere");
                    continue;
                }
                "panic" => panic!("on purpose"),
                "credential" => ErrorClass::Credential,
                "maybe" => ErrorClass::CredentialMaybe,
                "transient" => ErrorClass::Transient,
                "limited" => ErrorClass::RateLimited { wait_ms: 90_000 },
                "maintenance" => ErrorClass::Maintenance { wait_ms: 20_000 },
                "protocol" => ErrorClass::Protocol,
                "configuration" => ErrorClass::Configuration,
                "restart" => ErrorClass::Restart,
                row => {
                    out.event(push(&[row]));
                    continue;
                }
            };
            out.close(class, ReasonCode::ProtocolError, "as told");
        }
    }
    fn on_reply(&mut self, _: Now, call: CallId, _: Result<Reply<'_>, CallError>, out: &mut Out) {
        out.event(push(&[&format!("REPLY {}", call.0)]));
    }
    fn on_timeout(&mut self, _: Now, out: &mut Out) {
        self.at = None;
        out.send("timeout");
    }
    fn on_verdict(&mut self, _: Now, verdict: Verdict, out: &mut Out) {
        self.verdicts.lock().push(verdict);
        out.send(format!("{} doubted", verdict.doubted));
    }
    fn on_credentials(&mut self, _: Now, out: &mut Out) {
        out.send("credentials");
    }
    fn resync(&mut self, _: Now, out: &mut Out) {
        out.send("resync");
        out.event(VenueEvent::Unsynced(AccountPush::Syncing(Reason::new(ReasonCode::OperatorResync, "asked"))));
    }
    fn deadline(&self) -> Option<Mono> {
        self.at
    }
}

/// A link, its store, and what it was told to do.
struct Rig {
    link: Link,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    puppet: Arc<Puppet>,
    host: Arc<Mutex<HostBudget>>,
    idx: AccountIdx,
    now: Now,
    commands: Vec<Command>,
}

fn roomy() -> HostLimits {
    let window = Window { count: 10_000, per_ms: 1 };
    HostLimits { connects: window, open: 3, calls: window }
}

impl Rig {
    fn new() -> Self {
        Self::with(Puppet::default(), roomy())
    }

    fn with(puppet: Puppet, limits: HostLimits) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::new("e", Arc::clone(&metrics));
        let now = Now::default().plus_ms(1_000_000);
        let idx = store.add_account(key("main"), true, 100, now);
        let (puppet, host) = (Arc::new(puppet), Shared::default().host("ws://venue", limits));
        let link = Link::new(LinkParts {
            idx,
            account: "main".into(),
            venue: &VENUES[0],
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            connector: Arc::clone(&puppet) as Arc<dyn Connector>,
            host: Arc::clone(&host),
            seed: 7,
        });
        Self { link, store, metrics, puppet, host, idx, now, commands: Vec::new() }
    }

    /// A link whose connection stands.
    fn open() -> Self {
        let mut rig = Self::new();
        rig.dial();
        rig
    }

    /// Waits for the dial and answers it; tells how long that took, in ms.
    fn dial(&mut self) -> u64 {
        let waited = self.wait();
        assert!(matches!(self.take().last(), Some(Command::Dial(_))));
        self.link.on_dialed(self.now, Ok(()), &mut self.commands);
        waited
    }

    /// Waits until the link dials; tells how long that took, in ms.
    fn wait(&mut self) -> u64 {
        let start = self.now;
        for _ in 0..10_000 {
            if self.commands.iter().any(|command| matches!(command, Command::Dial(_))) {
                return self.now.mono.since_ms(start.mono);
            }
            let at = self.link.deadline().expect("a waiting link has a deadline");
            self.now = self.now.plus_ms(at.0.saturating_sub(self.now.mono.0).div_ceil(1000));
            self.link.on_timer(self.now, &mut self.commands);
        }
        panic!("the link never dials");
    }

    fn refuse(&mut self, error: DialError) -> u64 {
        let waited = self.wait();
        self.take();
        self.link.on_dialed(self.now, Err(error), &mut self.commands);
        waited
    }

    fn hear(&mut self, text: &str) {
        self.now = self.now.plus_ms(1);
        self.link.on_frame(self.now, Frame::Text(text), &mut self.commands);
    }

    fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// What was sent since, `hangup` among it.
    fn sent(&mut self) -> Vec<String> {
        let words = self.take().into_iter().map(|command| match command {
            Command::Send(text) => text,
            Command::Hangup => "hangup".into(),
            Command::Dial(_) => "dial".into(),
            Command::Ping | Command::Call(_) => unreachable!("the puppet makes none"),
        });
        words.collect()
    }

    fn state(&self) -> AccountState {
        self.store.record(self.idx).expect("held").state
    }

    fn row(&self, asset: &str) -> Option<(String, RowState)> {
        let all = self.store.changes_since(0, &[self.idx], &Default::default(), crate::model::Channel::Balances);
        let row = all.balances.into_iter().find(|row| row.asset == asset)?;
        Some((row.total.as_ref().map_or("-".into(), |t| t.to_string()), row.state))
    }

    /// The last proof of life that readers of the account's record see.
    fn proven(&self) -> Option<Now> {
        self.store.record(AccountIdx(0)).and_then(|record| record.proof.last())
    }

    /// The open connections the host counts.
    fn taken(&self) -> usize {
        let mut host = self.host.lock();
        let free = (0..3).take_while(|_| host.connect(self.now.mono).is_ok()).count();
        (0..free).for_each(|_| host.closed());
        3 - free
    }
}

#[test]
fn a_link_dials_at_once_and_its_session_speaks_first() {
    let mut rig = Rig::new();
    assert_eq!(rig.proven(), None);
    assert_eq!(rig.dial(), 0);
    assert_eq!((rig.sent(), rig.state()), (vec!["hello".to_owned()], AccountState::Syncing));
    rig.hear("live");
    assert_eq!((rig.state(), rig.row("BTC")), (AccountState::Live, Some(("1".into(), RowState::Live))));
    assert_eq!(rig.proven().map(|at| rig.now.mono.since_ms(at.mono)), Some(1), "since it opened");
    let told = (rig.store.gsn(), rig.store.record(AccountIdx(0)));
    rig.hear("alive");
    assert_eq!(rig.proven(), Some(rig.now));
    let told_of = |(_, record): &(u64, Option<Arc<AccountRecord>>)| record.as_ref().and_then(|record| record.proof.last());
    assert_eq!(
        (rig.store.gsn(), told_of(&told)),
        (told.0, Some(rig.now)),
        "no commit, and readers of an older record see it too"
    );
}

#[test]
fn all_events_of_a_frame_are_one_commit() {
    let mut rig = Rig::open();
    let gsn = rig.store.gsn();
    rig.hear("live;ETH 2/2/0;ETH 3/3/0");
    assert_eq!((rig.store.gsn(), rig.row("ETH").map(|r| r.0)), (gsn + 1, Some("3".into())));
    rig.hear("alive;malformed");
    assert_eq!(rig.store.gsn(), gsn + 1);
    assert!(rig.metrics.render().contains("decode_errors_total{venue=\"p99\"} 1"));
}

#[test]
fn a_broken_connection_leaves_stale_rows_and_is_made_anew() {
    let mut rig = Rig::open();
    rig.hear("live");
    rig.link.on_closed(rig.now, Some(1006));
    assert_eq!((rig.state(), rig.row("BTC").map(|r| r.1)), (AccountState::Stale, Some(RowState::Stale)));
    assert!((150..=300).contains(&rig.dial()));
    assert_eq!(rig.puppet.sessions.load(Ordering::Relaxed), 2, "a session serves one connection");
    rig.hear("live");
    assert_eq!(rig.state(), AccountState::Live);
}

#[test]
fn what_follows_a_close_in_the_same_frame_is_not_done() {
    let mut rig = Rig::open();
    rig.take();
    rig.hear("live;transient;ETH 1/1/0");
    assert_eq!((rig.sent(), rig.row("ETH"), rig.state()), (vec!["hangup".to_owned()], None, AccountState::Stale));
    let gsn = rig.store.gsn();
    rig.hear("ETH 1/1/0");
    rig.link.on_closed(rig.now, None);
    rig.link.on_reply(rig.now, CallId(1), Err(CallError::Timeout), &mut rig.commands);
    assert_eq!((rig.store.gsn(), rig.sent().len()), (gsn, 0), "a connection that is over says nothing more");
}

#[test]
fn plain_failures_back_off_up_to_half_a_minute() {
    let mut rig = Rig::new();
    let waits: Vec<_> = (0..12).map(|_| rig.refuse(DialError::Unreachable)).collect();
    for (n, wait) in waits.iter().enumerate().skip(1) {
        let whole = (300u64 << (n - 1)).min(30_000);
        assert!((whole / 2..=whole).contains(wait), "{waits:?}");
    }
    assert_eq!(rig.state(), AccountState::Connecting, "nothing was ever known");
    assert_eq!(rig.taken(), 0, "each attempt gives its place back");
}

#[test]
fn a_connection_that_lasted_starts_the_backoff_anew_and_a_short_one_does_not() {
    let mut rig = Rig::open();
    for _ in 0..8 {
        rig.hear("live;transient");
        rig.dial();
    }
    rig.hear("live");
    rig.now = rig.now.plus_ms(9_000);
    rig.hear("transient");
    assert!(rig.dial() > 10_000, "nine seconds are no success");
    rig.hear("live");
    rig.now = rig.now.plus_ms(10_000);
    rig.hear("transient");
    assert!(rig.dial() <= 300);
}

#[test]
fn each_class_of_error_waits_as_it_asks() {
    for (class, wait, state) in [
        ("transient", 150..=300, AccountState::Stale),
        ("protocol", 150..=300, AccountState::Stale),
        ("restart", 150..=300, AccountState::Stale),
        ("limited", 90_000..=90_300, AccountState::Stale),
        ("maintenance", 20_000..=20_300, AccountState::Maintenance),
        ("configuration", 5_000..=10_000, AccountState::Stale),
        ("credential", 30_000..=60_000, AccountState::AuthFailed),
        ("maybe", 2_500..=5_000, AccountState::Stale),
    ] {
        let mut rig = Rig::open();
        rig.hear("live");
        rig.hear(class);
        assert_eq!((rig.state(), rig.row("BTC").map(|r| r.1)), (state, Some(RowState::Stale)), "{class}");
        rig.take();
        let waited = rig.dial();
        assert!(wait.contains(&waited), "{class}: {waited}");
    }
}

#[test]
fn refused_credentials_are_retried_ever_more_slowly() {
    let mut rig = Rig::new();
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(rig.dial());
        rig.hear("credential");
        rig.take();
    }
    assert!(waits[9] >= 1_800_000 && waits.iter().all(|wait| *wait <= 3_600_000), "{waits:?}");
    assert_eq!(rig.state(), AccountState::AuthFailed);
}

#[test]
fn a_refusal_that_good_keys_also_meet_becomes_a_refusal_after_a_few() {
    let mut rig = Rig::new();
    let mut states = Vec::new();
    for _ in 0..5 {
        rig.dial();
        rig.hear("maybe");
        rig.take();
        states.push(rig.state());
    }
    use AccountState::{AuthFailed, Connecting};
    assert_eq!(states, [Connecting, Connecting, Connecting, AuthFailed, AuthFailed]);
    rig.dial();
    rig.hear("live;maybe");
    assert_eq!(rig.state(), AccountState::Stale, "a sync forgives");
}

#[test]
fn new_credentials_end_the_wait_for_refused_ones_only() {
    for (class, at_once) in [("credential", true), ("maybe", true), ("transient", false), ("limited", false)] {
        let mut rig = Rig::open();
        rig.hear(class);
        rig.take();
        rig.link.on_credentials(rig.now, &mut rig.commands);
        assert_eq!(rig.dial() == 0, at_once, "{class}");
    }
    let mut rig = Rig::open();
    rig.take();
    rig.link.on_credentials(rig.now, &mut rig.commands);
    assert_eq!(rig.sent(), ["credentials"], "an open session is told");
}

#[test]
fn handshakes_are_judged_by_status() {
    for (error, wait, state) in [
        (DialError::Refused(429), 60_000..=60_500, AccountState::Connecting),
        (DialError::Refused(401), 2_500..=5_000, AccountState::Connecting),
        (DialError::Refused(404), 5_000..=10_000, AccountState::Connecting),
        (DialError::Refused(503), 150..=300, AccountState::Connecting),
        (DialError::BadAddress, 5_000..=10_000, AccountState::Connecting),
    ] {
        let mut rig = Rig::new();
        rig.refuse(error);
        assert_eq!(rig.state(), state, "{error:?}");
        let waited = rig.dial();
        assert!(wait.contains(&waited), "{error:?}: {waited}");
    }
    let closing = Closing { class: ErrorClass::Credential, reason: Reason::new(ReasonCode::WrongKey, "its own word") };
    let mut rig = Rig::with(Puppet { refused: Some(closing), ..Puppet::default() }, roomy());
    rig.refuse(DialError::Refused(418));
    assert_eq!(rig.state(), AccountState::AuthFailed, "the venue's own judgement comes first");
}

#[test]
fn accounts_of_one_host_share_its_budget() {
    let limits = HostLimits { connects: Window { count: 2, per_ms: 60_000 }, ..roomy() };
    let mut rig = Rig::with(Puppet::default(), limits);
    rig.host.lock().connect(rig.now.mono).unwrap(); // another account
    assert_eq!(rig.dial(), 0);
    rig.link.on_closed(rig.now, None);
    let waited = rig.dial();
    assert!((60_000..60_300).contains(&waited), "{waited}");
}

#[test]
fn stopping_gives_the_place_back_in_every_phase() {
    let mut waiting = Rig::new();
    waiting.link.stop(&mut waiting.commands);
    assert!(waiting.take().is_empty() && waiting.link.deadline().is_none());
    let mut dialing = Rig::new();
    dialing.wait();
    assert_eq!(dialing.taken(), 1);
    dialing.link.stop(&mut dialing.commands);
    assert_eq!(dialing.taken(), 0);
    dialing.link.on_dialed(dialing.now, Ok(()), &mut dialing.commands);
    assert_eq!(dialing.puppet.sessions.load(Ordering::Relaxed), 0, "too late");
    let mut open = Rig::open();
    open.link.stop(&mut open.commands);
    assert_eq!((open.sent(), open.taken()), (vec!["hello".to_owned(), "hangup".to_owned()], 0));
}

#[test]
fn deadlines_of_the_session_are_the_links() {
    let mut rig = Rig::open();
    rig.take();
    let at = rig.link.deadline().expect("the session has one");
    rig.link.on_timer(Now { mono: Mono(at.0 - 1), ..rig.now }, &mut rig.commands);
    assert!(rig.sent().is_empty(), "early calls do nothing");
    rig.link.on_timer(Now { mono: at, ..rig.now }, &mut rig.commands);
    assert_eq!((rig.sent(), rig.link.deadline()), (vec!["timeout".to_owned()], None));
}

#[test]
fn every_comparison_is_answered_with_its_verdict() {
    let mut rig = Rig::open();
    rig.hear("live");
    rig.take();
    rig.now = rig.now.plus_ms(1);
    rig.hear("same");
    rig.hear("other");
    rig.hear("other");
    rig.hear("ETH 1/1/0");
    assert_eq!(rig.sent(), ["0 doubted", "1 doubted", "0 doubted"]);
    let verdicts = rig.puppet.verdicts.lock().clone();
    assert_eq!(verdicts[2], Verdict { doubted: 0, corrected: 1 });
    assert_eq!(rig.row("BTC"), Some(("2".into(), RowState::Live)));
}

#[test]
fn an_operators_resync_reaches_the_session_and_is_counted() {
    let mut rig = Rig::open();
    rig.hear("live");
    rig.take();
    rig.link.resync(rig.now, &mut rig.commands);
    assert_eq!((rig.sent(), rig.state()), (vec!["resync".to_owned()], AccountState::Stale));
    assert!(rig.metrics.render().contains(r#"resyncs_total{venue="p99",account="main",reason="operator"} 1"#));
}

#[test]
fn a_panic_ends_the_connection_and_not_the_account() {
    let mut rig = Rig::open();
    rig.hear("live");
    rig.take();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.hear("ETH 1/1/0;panic")));
    assert!(caught.is_err());
    rig.link.on_panic(rig.now, &mut rig.commands);
    assert_eq!((rig.state(), rig.row("BTC").map(|r| r.1)), (AccountState::Stale, Some(RowState::Stale)));
    assert_eq!((rig.sent(), rig.taken(), rig.row("ETH")), (vec!["hangup".to_owned()], 0, None));
    rig.dial();
    rig.hear("live");
    assert_eq!((rig.state(), rig.metrics.process.caught.get()), (AccountState::Live, 1));
    rig.link.on_closed(rig.now, None);
    rig.link.on_panic(rig.now, &mut rig.commands);
    assert!(rig.dial() >= 150, "a panic before the dial does not spin");
}

#[test]
fn a_machine_that_slept_believes_nothing_of_before() {
    let mut rig = Rig::open();
    rig.hear("live");
    rig.take();
    rig.link.on_slept(rig.now, &mut rig.commands);
    assert_eq!((rig.state(), rig.row("BTC").map(|r| r.1)), (AccountState::Stale, Some(RowState::Stale)));
    assert_eq!((rig.sent(), rig.taken()), (vec!["hangup".to_owned()], 0));
    rig.dial();
    rig.link.on_slept(rig.now, &mut rig.commands);
    rig.hear("live");
    assert_eq!(rig.state(), AccountState::Stale, "it slept again, before anything was said");
}

#[test]
fn too_much_said_of_one_account_makes_the_host_wait_for_all() {
    let mut rig = Rig::open();
    rig.hear("limited");
    assert!(rig.link.host.lock().connect(rig.now.mono).is_err());
}
