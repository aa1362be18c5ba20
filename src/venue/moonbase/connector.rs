//! What outlives single connections of one account: how to log in, why a login was refused, what the venue's habits are.
//!
//! The venue has one answer to every failed login, so the reason is worked out from what is known besides: the token's own
//! end, and how the venue's clock stood against ours when it last told a time.

use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use super::held::Habit;
use super::session::MoonbaseSession;
use super::wire;
use crate::model::{Mono, Now, Reason, ReasonCode, UnixMs};
use crate::venue::{AccountSpec, Closing, Connector, ErrorClass, Handshake, Session};

/// The connection limits count by the minute.
pub(super) const LIMIT_WINDOW_MS: u64 = 60_000;
/// The allowed skew of a login is not documented. Half a minute is what servers usually grant.
const SKEW_BOUND_MS: i64 = 30_000;

/// How to read an update that does not name an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Updates {
    /// Find out, and doubt the row until it is found out.
    Detect,
    /// An update lists everything held: what it leaves out is gone.
    Full,
    /// An update lists what changed: what it leaves out is as it was.
    Partial,
}

/// The account's options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub updates: Updates,
    pub liveness_ms: u64,
    /// Time between two snapshots taken as an audit. 0: none.
    pub reconcile_ms: u64,
    pub sync_timeout_ms: u64,
}

/// One account.
pub(super) struct Account {
    spec: AccountSpec,
    pub settings: Settings,
    pub habit: Mutex<Habit>,
    clock: Mutex<Option<ClockSample>>,
    form: Mutex<Form>,
}

/// A time the venue told, and when it told it on a clock that cannot be set.
#[derive(Debug, Clone, Copy)]
struct ClockSample {
    venue: UnixMs,
    heard: Mono,
}

/// How the timestamp of a signed login is written. The manual says both; what is refused is written the other way next time.
#[derive(Debug, Default)]
struct Form {
    as_text: bool,
    worked: bool,
    refusals: u32,
}

/// The secrets one login was made with, to see whether they have been replaced since.
#[derive(Clone)]
pub(super) enum Login {
    Signed { key: SecretString, secret: SecretString },
    Token(SecretString),
}

impl Login {
    /// When the login's token ends. `None`: it is no token, or does not say.
    pub fn ends(&self) -> Option<UnixMs> {
        match self {
            Self::Signed { .. } => None,
            Self::Token(token) => wire::token_end(token.expose_secret()),
        }
    }

    pub fn same(&self, other: &Self) -> bool {
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        match (self, other) {
            (Self::Signed { key, secret }, Self::Signed { key: k, secret: s }) => same(key, k) && same(secret, s),
            (Self::Token(a), Self::Token(b)) => same(a, b),
            _ => false,
        }
    }
}

impl Account {
    pub fn new(spec: AccountSpec, settings: Settings) -> Self {
        Self { spec, settings, habit: Mutex::default(), clock: Mutex::default(), form: Mutex::default() }
    }

    /// The present secrets. `None`: a reload took them away.
    pub fn login(&self) -> Option<Login> {
        let secrets = &self.spec.credentials;
        match (secrets.get("access_token"), secrets.get("api_key"), secrets.get("api_secret")) {
            (Some(token), ..) => Some(Login::Token(token)),
            (None, Some(key), Some(secret)) => Some(Login::Signed { key, secret }),
            _ => None,
        }
    }

    /// The frame that logs in.
    pub fn login_frame(&self, login: &Login, now: Now) -> String {
        match login {
            Login::Token(token) => wire::token_login(token.expose_secret()),
            Login::Signed { key, secret } => {
                let seconds = now.unix.0.div_euclid(1000);
                wire::signed_login(key.expose_secret(), secret.expose_secret(), seconds, self.form.lock().as_text)
            }
        }
    }

    /// The venue took the login.
    pub fn accepted(&self, login: &Login) {
        if matches!(login, Login::Signed { .. }) {
            let mut form = self.form.lock();
            (form.worked, form.refusals) = (true, 0);
        }
    }

    /// The venue told its time, in a message it sends at once.
    pub fn heard_time(&self, venue: UnixMs, now: Now) {
        *self.clock.lock() = Some(ClockSample { venue, heard: now.mono });
    }

    /// How far our clock is ahead of the venue's, in ms, as far as the venue ever told a time.
    fn skew_ms(&self, now: Now) -> Option<i64> {
        let sample = (*self.clock.lock())?;
        let elapsed = i64::try_from(now.mono.since_ms(sample.heard)).ok()?;
        now.unix.0.checked_sub(sample.venue.0.checked_add(elapsed)?)
    }

    /// The venue's one answer to a failed login, told apart.
    pub fn refused(&self, login: &Login, now: Now) -> Closing {
        let skew = self.skew_ms(now);
        let (class, code, text) = match login {
            Login::Token(_) => {
                // Ended by our clock, or by the venue's where ours is behind it.
                let latest = now.unix.0.max(now.unix.0.saturating_sub(skew.unwrap_or(0)));
                token_refusal(login.ends().is_some_and(|end| end.0 <= latest))
            }
            Login::Signed { .. } => {
                let mut form = self.form.lock();
                form.refusals = form.refusals.saturating_add(1);
                form.as_text ^= !form.worked;
                key_refusal(skew, form.worked || form.refusals > 1)
            }
        };
        Closing { class, reason: Reason::new(code, text) }
    }
}

fn token_refusal(ended: bool) -> (ErrorClass, ReasonCode, String) {
    if ended {
        let text = "the access token has expired; put a new one in place";
        return (ErrorClass::Credential, ReasonCode::TokenExpired, text.into());
    }
    let text =
        "the venue refuses the access token, though by its own date it is valid: it may be revoked or of another environment";
    (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, text.into())
}

/// `form_is_right`: the refusal cannot come from how the timestamp was written.
fn key_refusal(skew: Option<i64>, form_is_right: bool) -> (ErrorClass, ReasonCode, String) {
    match skew {
        Some(skew) if skew.abs() > SKEW_BOUND_MS => {
            let (seconds, side) = (skew.abs() / 1000, if skew > 0 { "ahead of" } else { "behind" });
            let text = format!(
                "the venue refuses the login, and this machine's clock is {seconds} s {side} the venue's: set the clock"
            );
            (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew, text)
        }
        Some(_) if form_is_right => {
            let text =
                "the venue refuses the login, and the clocks agree: the API key or its secret is wrong, expired or revoked";
            (ErrorClass::Credential, ReasonCode::WrongKey, text.into())
        }
        _ => {
            let text = "the venue refuses the login and does not say why: the API key or its secret is wrong, expired or revoked, \
                        or this machine's clock is off; check both";
            (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain, text.into())
        }
    }
}

/// The account as the link sees it.
pub(super) struct MoonbaseConnector(pub Arc<Account>);

impl Connector for MoonbaseConnector {
    fn handshake(&self) -> Handshake {
        Handshake { url: self.0.spec.ws_url.clone(), headers: Vec::new() }
    }

    fn session(&self, seed: u64) -> Box<dyn Session> {
        Box::new(MoonbaseSession::new(Arc::clone(&self.0), seed))
    }

    fn refused(&self, status: u16) -> Option<Closing> {
        let text =
            "the venue limits this address to 10 new connections a minute and 10 at once, over all accounts and programs";
        (status == 429).then(|| Closing {
            class: ErrorClass::RateLimited { wait_ms: LIMIT_WINDOW_MS },
            reason: Reason::new(ReasonCode::RateLimited, text),
        })
    }

    fn rest_url(&self) -> &str {
        &self.0.spec.rest_url
    }
}
