//! One client's conversation, as a pure state machine: texts and wake-ups in, frames out.
//!
//! Whoever drives it asks again ([`ClientSession::on_wake`]) after each write until nothing more comes. A slow reader simply asks less
//! often, and then gets the newest version of each row: memory per connection is a cursor and the frames of one answer.

use std::sync::{Arc, Weak};

use secrecy::{ExposeSecret, SecretString};
use smallvec::SmallVec;

use super::{Bucket, Deps};
use crate::access::{AuthError, Basis, Fresher, Grant, Identity, Seat};
use crate::hub::{Frames, View, Wake, Waker, Watch};
use crate::metrics::{AuthLabels, ChannelLabels, LimitLabels};
use crate::model::{Channel, Filter, Mono, Now, UnixMs};
use crate::protocol::{self, CloseCode, ErrorCode, FrameKind, Id, Refusal, Request, Subscribe, WireText};

/// How long before a token ends its holder is told.
const EXPIRY_NOTICE_MS: i64 = 60_000;
/// Refused requests after which a client that does not listen is closed. Forgotten when it has paused long enough for a whole burst.
const MAX_REFUSED: u32 = 100;
/// Frames before a token: one for it, and what an impatient client sends along or again.
const MAX_BEFORE_LOGIN: u32 = 16;

/// What the driver has to write, in order, and whether to close afterwards.
#[derive(Default)]
pub struct ClientOut {
    /// One, in most answers.
    pub frames: SmallVec<[WireText; 1]>,
    /// Send a protocol ping.
    pub ping: bool,
    pub close: Option<(CloseCode, &'static str)>,
    /// The client asks for too much: leave its socket unread for a moment. What it sends meanwhile waits on its side.
    pub rest: bool,
    /// A token waits for fresher keys: call [`ClientSession::on_keys`] when this has ended.
    pub keys: Option<Fresher>,
    /// There is something to tell that cannot be told now: look at the deadline again, and ask again from a task that may take long.
    pub later: bool,
    /// The oldest venue frame read among what is written here, for the delivery histogram.
    pub read_at: Option<Mono>,
}

/// See the module. In memory as it is written here: what a delivery reads stands first.
#[repr(C)]
pub struct ClientSession {
    deps: Arc<Deps>,
    auth: Auth,
    subs: Subs,
    last_sent: Mono,
    last_heard: Mono,
    last_ping: Mono,
    /// The first ping since anything was heard.
    asked: Mono,
    reader: Option<Weak<dyn Wake>>,
    own_waker: Option<Arc<Waker>>,
    /// Rights may change while nothing is subscribed.
    enrolled: Option<Watch>,
    /// A token whose key may just have been published, and the id of its request.
    pending: Option<(Option<Id>, SecretString)>,
    bucket: Bucket,
    refused: u32,
    before_login: u32,
}

enum Auth {
    Waiting {
        until: Mono,
    },
    /// `ends_at` is the identity's: a delivery reads it, and nothing else of that while rights are judged by the same as before.
    Known {
        ends_at: UnixMs,
        judged: Basis,
        grant: Grant,
        noticed: bool,
        identity: Box<Identity>,
        seat: Seat<Arc<str>>,
    },
}

struct Sub {
    view: Arc<View>,
    _watch: Option<Watch>,
    /// The gsn of the last frame sent.
    prev: u64,
    /// Everything up to here was looked at.
    cursor: u64,
    /// At least this long between updates; 0: no bound.
    pace_ms: u64,
    next: Mono,
    /// Something may have changed before `next`.
    skipped: bool,
    versions: u64,
}

/// Subscriptions by channel. Balances, which nearly every client asks for, lie in place.
#[derive(Default)]
struct Subs {
    balances: Option<Sub>,
    orders: Option<Box<Sub>>,
}

impl Subs {
    fn get(&self, channel: Channel) -> Option<&Sub> {
        match channel {
            Channel::Balances => self.balances.as_ref(),
            Channel::Orders => self.orders.as_deref(),
        }
    }

    fn get_mut(&mut self, channel: Channel) -> Option<&mut Sub> {
        match channel {
            Channel::Balances => self.balances.as_mut(),
            Channel::Orders => self.orders.as_deref_mut(),
        }
    }

    fn put(&mut self, channel: Channel, sub: Sub) {
        match channel {
            Channel::Balances => self.balances = Some(sub),
            Channel::Orders => self.orders = Some(Box::new(sub)),
        }
    }

    fn take(&mut self, channel: Channel) -> Option<Sub> {
        match channel {
            Channel::Balances => self.balances.take(),
            Channel::Orders => self.orders.take().map(|sub| *sub),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Sub> {
        Channel::ALL.into_iter().filter_map(|channel| self.get(channel))
    }
}

impl ClientOut {
    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.ping && self.close.is_none()
    }
}

impl ClientSession {
    /// A connection that has shown no token yet.
    pub fn new(deps: Arc<Deps>, now: Now) -> Self {
        let limits = &deps.limits;
        let bucket = Bucket::new(limits.max_requests_per_second, limits.max_requests_burst, now.mono);
        let until = now.mono.plus_ms(limits.auth_timeout_ms);
        Self {
            deps,
            reader: None,
            own_waker: None,
            enrolled: None,
            auth: Auth::Waiting { until },
            pending: None,
            subs: Subs::default(),
            bucket,
            refused: 0,
            before_login: 0,
            last_sent: now.mono,
            last_heard: now.mono,
            last_ping: now.mono,
            asked: now.mono,
        }
    }

    /// A connection whose token came with the upgrade. It is told what an `auth_token` would be told.
    pub fn with_identity(deps: Arc<Deps>, identity: Identity, now: Now, out: &mut ClientOut) -> Self {
        let mut session = Self::new(deps, now);
        session.admit(None, identity, now, out);
        session
    }

    /// Who is woken when there may be something to send. Set before anything is subscribed.
    pub fn set_reader(&mut self, reader: Weak<dyn Wake>) {
        self.enrolled = Some(self.deps.hub.enroll(&reader));
        self.reader = Some(reader);
    }

    /// A word of each part that a delivery reads, so that they come to the processor together.
    pub(super) fn warm(&self) -> u64 {
        let ends_at = match &self.auth {
            Auth::Known { ends_at, .. } => ends_at.0 as u64,
            Auth::Waiting { until } => until.0,
        };
        let sub = self.subs.balances.as_ref().map_or(0, |sub| sub.prev ^ sub.versions);
        ends_at ^ sub ^ self.last_sent.0
    }

    /// A waker for a driver that waits in a task of its own.
    pub fn waker(&mut self) -> Arc<Waker> {
        let waker = Arc::clone(self.own_waker.get_or_insert_default());
        self.set_reader(Arc::downgrade(&(Arc::clone(&waker) as Arc<dyn Wake>)));
        waker
    }

    /// The user, once known.
    pub fn user(&self) -> Option<&Arc<str>> {
        match &self.auth {
            Auth::Known { identity, .. } => Some(&identity.user),
            Auth::Waiting { .. } => None,
        }
    }

    /// A token waits for fresher keys: what was sent after it is not for a stranger to ask, and waits too.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Something of the client shows that it is there.
    pub fn on_heard(&mut self, now: Now) {
        self.last_heard = now.mono;
    }

    /// A protocol ping or pong came. A ping is answered if this gives true.
    pub fn on_control(&mut self, now: Now, out: &mut ClientOut) -> bool {
        self.on_heard(now);
        !self.is_over(now, out) && self.take_request(now, out)
    }

    /// One request more, of whatever kind. False: it is one too many.
    fn take_request(&mut self, now: Now, out: &mut ClientOut) -> bool {
        if matches!(self.auth, Auth::Waiting { .. }) {
            self.before_login += 1;
            if self.before_login > MAX_BEFORE_LOGIN {
                out.close = Some((CloseCode::RateLimited, "too many requests before a token"));
                return false;
            }
        }
        if self.bucket.is_full(now.mono) {
            self.refused = 0;
        }
        if self.bucket.take(now.mono) {
            return true;
        }
        self.refused += 1;
        out.rest = true;
        if self.refused > MAX_REFUSED {
            out.close = Some((CloseCode::RateLimited, "too many requests"));
        }
        false
    }

    // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A text frame came.
    pub fn on_text(&mut self, now: Now, text: &str, out: &mut ClientOut) {
        self.on_heard(now);
        // What a request is answered with must not rest on rights that were taken away in this very moment.
        if self.is_over(now, out) {
            return;
        }
        self.regrant(now, out);
        if out.close.is_some() {
            return;
        }
        if !self.take_request(now, out) {
            if out.close.is_some() {
                return;
            }
            let limit = self.deps.limits.max_requests_per_second;
            let message = format!("more than {limit} requests a second; wait a second");
            let id = protocol::parse(text).ok().and_then(|(id, _)| id);
            return self.refuse(now, id.as_ref(), ErrorCode::RateLimited, &message, out);
        }
        match protocol::parse(text) {
            Ok((id, request)) => self.on_request(now, id.as_ref(), request, out),
            Err(Refusal { id, code, message }) => self.refuse(now, id.as_ref(), code, &message, out),
        }
    }

    fn on_request(&mut self, now: Now, id: Option<&Id>, request: Request, out: &mut ClientOut) {
        let known = matches!(self.auth, Auth::Known { .. });
        match request {
            Request::Ping => self.send(now, FrameKind::Pong, protocol::pong(id, now.unix), out),
            Request::Pong => {}
            Request::AuthToken { token } => self.authenticate(now, id, token, out),
            _ if !known => {
                let message = "send {\"type\":\"auth_token\",\"token\":…} first";
                self.refuse(now, id, ErrorCode::NotAuthenticated, message, out);
            }
            Request::Subscribe(subscribe) => self.subscribe(now, id, subscribe, out),
            Request::Unsubscribe { channel } => match self.subs.take(channel) {
                Some(_) => {
                    self.count_subscription(channel, -1);
                    self.send(now, FrameKind::Unsubscribed, protocol::unsubscribed(id, channel), out);
                }
                None => self.not_subscribed(now, id, channel, out),
            },
            Request::Resync { channel } => match self.subs.get(channel) {
                Some(sub) => {
                    let frames = sub.view.snapshot_from("resync", sub.prev, now.unix);
                    self.deliver(now, channel, &frames, out);
                }
                None => self.not_subscribed(now, id, channel, out),
            },
        }
    }

    fn not_subscribed(&mut self, now: Now, id: Option<&Id>, channel: Channel, out: &mut ClientOut) {
        let message = format!("there is no subscription to {}", channel.as_str());
        self.refuse(now, id, ErrorCode::NotSubscribed, &message, out);
    }

    fn authenticate(&mut self, now: Now, id: Option<&Id>, token: String, out: &mut ClientOut) {
        let access = self.deps.access.load();
        let identified = access.identify(&token, now.unix);
        if let Err(error) = &identified
            && let Some(fresher) = access.fresher(&token, error, now.mono)
        {
            self.pending = Some((id.cloned(), token.into()));
            out.keys = Some(fresher);
            return;
        }
        drop(access);
        self.pending = None;
        self.identified(now, id, identified, out);
    }

    /// The issuer's keys were looked at again.
    pub fn on_keys(&mut self, now: Now, out: &mut ClientOut) {
        let Some((id, token)) = self.pending.take() else { return };
        let identified = self.deps.access.load().identify(token.expose_secret(), now.unix);
        self.identified(now, id.as_ref(), identified, out);
    }

    fn identified(&mut self, now: Now, id: Option<&Id>, result: Result<Identity, AuthError>, out: &mut ClientOut) {
        match result {
            Ok(identity) if self.user().is_some_and(|user| *user != identity.user) => {
                let message = "the token is another user's; open another connection";
                self.turn_away(now, id, ErrorCode::SubjectMismatch, message, CloseCode::TokenInvalid, out);
            }
            Ok(identity) => self.admit(id, identity, now, out),
            Err(error) => {
                count_auth_failure(&self.deps, &error);
                self.turn_away(now, id, error_code(&error), &error.to_string(), close_code(&error), out);
            }
        }
    }

    fn turn_away(&mut self, now: Now, id: Option<&Id>, code: ErrorCode, message: &str, close: CloseCode, out: &mut ClientOut) {
        self.send(now, FrameKind::AuthResult, protocol::auth_refused(id, code, message), out);
        out.close = Some((close, "authentication failed"));
    }

    fn admit(&mut self, id: Option<&Id>, identity: Identity, now: Now, out: &mut ClientOut) {
        // A renewal keeps the seat of the connection: the user is the same.
        let seat = match std::mem::replace(&mut self.auth, Auth::Waiting { until: now.mono }) {
            Auth::Known { seat, .. } => Some(seat),
            Auth::Waiting { .. } => self.deps.access.load().seat(&identity.user),
        };
        let Some(seat) = seat else {
            self.deps.metrics.client_refusals.get_or_create(&LimitLabels { limit: "user" }).inc();
            let message = "all connections of this user are taken; close one or try later";
            return self.turn_away(now, id, ErrorCode::LimitConnections, message, CloseCode::ConnectionLimit, out);
        };
        let grant = self.deps.directory.grant(&identity);
        let text = protocol::auth_result(id, &identity.user, identity.expires_at, self.deps.limits.heartbeat_ms);
        let (ends_at, judged) = (identity.ends_at, Basis::default());
        self.auth = Auth::Known { ends_at, judged, grant, noticed: false, identity: Box::new(identity), seat };
        self.send(now, FrameKind::AuthResult, text, out);
        // At once: no end comes unannounced, however late the timer is.
        self.announce_end(now, out);
        self.look_again(now, out);
    }

    /// What a `subscribe` frame does.
    pub(crate) fn subscribe(&mut self, now: Now, id: Option<&Id>, subscribe: Subscribe, out: &mut ClientOut) {
        let Subscribe { channel, filter, max_rate_hz, since } = subscribe;
        // Rates are bounded below by 0.001 Hz, so the pace fits.
        let pace_ms = max_rate_hz.map_or(0, |hz| (1000.0 / hz).ceil() as u64);
        let replaced = self.subs.take(channel);
        let view = self.view(&filter, channel);
        // The watch stands before the first read: a commit in between is found by the next wake.
        let watch = self.watch(&view);
        let frames = match since {
            Some(since) => view.resume(&since.epoch, since.gsn, now.unix),
            None => {
                let held = replaced.as_ref().filter(|old| old.view.epoch() == view.epoch()).map_or(0, |old| old.prev);
                view.snapshot_from("subscribe", held, now.unix)
            }
        };
        let text = protocol::subscribed(id, channel, view.epoch(), frames.cut, !frames.full);
        self.send(now, FrameKind::Subscribed, text, out);
        self.subs.put(
            channel,
            Sub { view, _watch: watch, prev: 0, cursor: 0, pace_ms, next: now.mono, skipped: false, versions: 0 },
        );
        if replaced.is_none() {
            self.count_subscription(channel, 1);
        }
        self.deliver(now, channel, &frames, out);
        out.read_at = None; // what it missed while it was away says nothing of how fast it is told
    }

    fn watch(&self, view: &View) -> Option<Watch> {
        self.reader.as_ref().map(|reader| self.deps.hub.watch(view, reader))
    }

    fn view(&self, filter: &Filter, channel: Channel) -> Arc<View> {
        let visible = match &self.auth {
            Auth::Known { grant, .. } => grant.accounts(),
            Auth::Waiting { .. } => &[],
        };
        self.deps.hub.view(visible, filter, channel)
    }

    // ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Something may have changed, or the last write is done: writes what there is to tell now.
    pub fn on_wake(&mut self, now: Now, out: &mut ClientOut) {
        self.tell(now, true, out);
    }

    /// The same for a caller that others wait for: what would take long is left for later ([`ClientOut::later`]).
    pub fn on_quick_wake(&mut self, now: Now, out: &mut ClientOut) {
        self.tell(now, false, out);
    }

    fn tell(&mut self, now: Now, may_take_long: bool, out: &mut ClientOut) {
        if self.is_over(now, out) {
            return;
        }
        self.regrant(now, out);
        for channel in Channel::ALL {
            let Some(sub) = self.subs.get_mut(channel) else { continue };
            if now.mono < sub.next {
                out.later |= !std::mem::replace(&mut sub.skipped, true);
                continue;
            }
            sub.skipped = false;
            let frames = if may_take_long {
                sub.view.update(sub.prev, sub.cursor, now.unix)
            } else if let Ok(frames) = sub.view.small_update(sub.prev, sub.cursor, now.unix) {
                frames
            } else {
                out.later = true;
                continue;
            };
            if frames.texts.is_empty() {
                (sub.cursor, sub.versions) = (frames.cut, frames.versions);
            } else {
                self.deliver(now, channel, &frames, out);
            }
        }
    }

    fn deliver(&mut self, now: Now, channel: Channel, frames: &Arc<Frames>, out: &mut ClientOut) {
        let Some(sub) = self.subs.get_mut(channel) else { return };
        if !frames.full && sub.view.is_unfiltered() && sub.versions > 0 {
            let written = frames.versions.saturating_sub(sub.versions);
            self.deps.metrics.client_rows_conflated.inc_by(written.saturating_sub(frames.rows as u64));
        }
        (sub.prev, sub.cursor, sub.versions) = (frames.cut, frames.cut, frames.versions);
        sub.next = now.mono.plus_ms(sub.pace_ms);
        let kind = if frames.full { FrameKind::Snapshot } else { FrameKind::Update };
        self.deps.metrics.count_client_frames(kind.as_str(), frames.texts.len() as u64);
        out.frames.extend(frames.texts.iter().cloned());
        if !frames.full {
            out.read_at = Some(out.read_at.map_or(frames.read_at, |at| at.min(frames.read_at)));
        }
        self.last_sent = now.mono;
    }

    /// Rights are checked at delivery too: when the accounts changed, what has become forbidden is taken away at once, with a fresh
    /// snapshot.
    fn regrant(&mut self, now: Now, out: &mut ClientOut) {
        let Auth::Known { identity, grant, .. } = &mut self.auth else { return };
        if self.deps.directory.is_newer_than(grant) {
            *grant = self.deps.directory.grant(identity);
            self.look_again(now, out);
        }
    }

    /// The grant is another one: subscriptions that it changes start anew.
    fn look_again(&mut self, now: Now, out: &mut ClientOut) {
        for channel in Channel::ALL {
            let Some(sub) = self.subs.get(channel) else { continue };
            let view = self.view(sub.view.filter(), channel);
            if view.is_same(&sub.view) {
                continue;
            }
            let watch = self.watch(&view);
            let frames = view.snapshot("grant", now.unix);
            if let Some(sub) = self.subs.get_mut(channel) {
                (sub.view, sub._watch) = (view, watch);
            }
            self.deliver(now, channel, &frames, out);
        }
    }

    // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Where a subscription stands: epoch, and the gsn of the last frame.
    pub fn position(&self, channel: Channel) -> Option<(String, u64)> {
        self.subs.get(channel).map(|sub| (sub.view.epoch().to_owned(), sub.prev))
    }

    /// Does a subscription want a bound on its updates a second?
    pub fn is_paced(&self) -> bool {
        self.subs.iter().any(|sub| sub.pace_ms > 0)
    }

    /// When to call [`ClientSession::on_timeout`]. Paced subscriptions are asked by [`ClientSession::on_wake`] then, too.
    pub fn deadline(&self, now: Now) -> Mono {
        let limits = &self.deps.limits;
        let mut at = self.last_sent.plus_ms(limits.heartbeat_ms).min(self.last_ping.plus_ms(limits.ping_interval_ms));
        match &self.auth {
            Auth::Waiting { until } => at = at.min(*until),
            Auth::Known { ends_at, identity, noticed, .. } => {
                let next = if *noticed { ends_at.0 } else { identity.expires_at.0 - EXPIRY_NOTICE_MS };
                at = at.min(now.mono.plus_ms(u64::try_from(next - now.unix.0).unwrap_or(0)));
            }
        }
        for sub in self.subs.iter().filter(|sub| sub.skipped || sub.next > now.mono) {
            at = at.min(sub.next);
        }
        at
    }

    /// The deadline has passed.
    pub fn on_timeout(&mut self, now: Now, out: &mut ClientOut) {
        if self.is_over(now, out) || self.is_gone(now, out) {
            return;
        }
        self.announce_end(now, out);
        self.on_wake(now, out);
        if out.frames.is_empty() && now.mono >= self.last_sent.plus_ms(self.deps.limits.heartbeat_ms) {
            let gsn: Vec<_> = self.subs.iter().map(|sub| (sub.view.channel(), sub.prev)).collect();
            self.send(now, FrameKind::Heartbeat, protocol::heartbeat(now.unix, &gsn), out);
        }
    }

    /// Tells once that the token ends soon.
    fn announce_end(&mut self, now: Now, out: &mut ClientOut) {
        if let Auth::Known { identity, noticed, .. } = &mut self.auth
            && !*noticed
            && identity.expires_at.0 - now.unix.0 <= EXPIRY_NOTICE_MS
        {
            *noticed = true;
            let text = protocol::auth_expiring(identity.expires_at);
            self.send(now, FrameKind::AuthExpiring, text, out);
        }
    }

    /// Why the connection must end now, even if its socket takes nothing: the time to show a token, or the token's own time, has run out,
    /// or the token was revoked or its key taken away. `None`: it may go on.
    pub fn over(&mut self, now: Now) -> Option<(CloseCode, &'static str)> {
        match &mut self.auth {
            Auth::Waiting { until } if *until <= now.mono => Some((CloseCode::AuthTimeout, "no authentication in time")),
            Auth::Waiting { .. } => None,
            Auth::Known { ends_at, judged, identity, .. } => {
                let access = self.deps.access.load();
                let basis = access.basis();
                if *judged != basis && access.is_revoked(identity) {
                    return Some((CloseCode::TokenRevoked, "the token was revoked"));
                }
                *judged = basis;
                (*ends_at <= now.unix).then_some((CloseCode::TokenExpired, "the token has expired"))
            }
        }
    }

    /// Asked before anything is told, whoever is late.
    fn is_over(&mut self, now: Now, out: &mut ClientOut) -> bool {
        out.close = out.close.or_else(|| self.over(now));
        out.close.is_some()
    }

    /// A client that answers neither of two pings is gone, whatever TCP says. Silence alone says nothing: while a slow client was busy
    /// with its rows it may not have been asked.
    fn is_gone(&mut self, now: Now, out: &mut ClientOut) -> bool {
        let interval = self.deps.limits.ping_interval_ms;
        if now.mono < self.last_ping.plus_ms(interval) {
            return false;
        }
        let answered = self.last_heard >= self.asked;
        if !answered && now.mono.since_ms(self.asked) >= interval + interval / 2 {
            out.close = Some((CloseCode::NoPong, "no pong"));
            return true;
        }
        if answered {
            self.asked = now.mono;
        }
        self.last_ping = now.mono;
        out.ping = true;
        false
    }

    /// The gateway goes away.
    pub fn on_drain(&mut self, now: Now, reconnect_within_ms: u64, out: &mut ClientOut) {
        self.send(now, FrameKind::Draining, protocol::draining(reconnect_within_ms), out);
    }

    // ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────

    fn refuse(&mut self, now: Now, id: Option<&Id>, code: ErrorCode, message: &str, out: &mut ClientOut) {
        self.send(now, FrameKind::Error, protocol::error(id, code, message), out);
    }

    fn send(&mut self, now: Now, kind: FrameKind, text: String, out: &mut ClientOut) {
        self.deps.metrics.count_client_frames(kind.as_str(), 1);
        out.frames.push(text.into());
        self.last_sent = now.mono;
    }

    fn count_subscription(&self, channel: Channel, by: i64) {
        let labels = ChannelLabels { channel: channel.as_str() };
        self.deps.metrics.client_subscriptions.get_or_create(&labels).inc_by(by);
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        for channel in Channel::ALL {
            if self.subs.get(channel).is_some() {
                self.count_subscription(channel, -1);
            }
        }
    }
}

/// Counts a refused token, wherever it came from.
pub(crate) fn count_auth_failure(deps: &Deps, error: &AuthError) {
    deps.metrics.client_auth_failures.get_or_create(&AuthLabels { reason: error.reason() }).inc();
}

/// A refused token's error code.
pub(crate) fn error_code(error: &AuthError) -> ErrorCode {
    match error {
        AuthError::Expired => ErrorCode::TokenExpired,
        AuthError::KeysUnavailable => ErrorCode::Internal,
        _ => ErrorCode::TokenInvalid,
    }
}

/// How a socket is closed that showed a refused token.
fn close_code(error: &AuthError) -> CloseCode {
    match error {
        AuthError::Revoked => CloseCode::TokenRevoked,
        AuthError::KeysUnavailable => CloseCode::Internal,
        _ => CloseCode::TokenInvalid,
    }
}
