//! `token`: signs a token with a configured symmetric key. Only the token goes to stdout.

use std::time::{Duration, SystemTime};

use clap::Args;

use super::{ConfigArgs, Exit, complain, load, say, warn};
use crate::access::{self, Claims, Config, KeyConfig, SignError};
use crate::model::UnixMs;

/// A development token that outlives this is a mistake.
const MAX_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The user the token names
    #[arg(long, value_name = "USER")]
    sub: String,
    /// Account ids or patterns, with commas between ("bfx-*"); without it, the user sees the accounts owned
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    accounts: Option<Vec<String>>,
    /// How long it is valid, such as 15m, 1h or 7d
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = ttl)]
    ttl: Duration,
    /// Which key signs [default: the first symmetric one]
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

fn ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(ttl) if (Duration::from_secs(1)..=MAX_TTL).contains(&ttl) => Ok(ttl),
        _ => Err("give a time from 1s to 366d, such as 15m, 1h or 7d".to_owned()),
    }
}

pub(super) fn run(args: &TokenArgs) -> Exit {
    let config = match load(args.config.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    warn(&config.warnings);
    let key = match choose(&config.access, args.kid.as_deref()) {
        Ok(key) => key,
        Err((exit, message)) => {
            complain(&message);
            return exit;
        }
    };
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let grant = Claims {
        user: &args.sub,
        accounts: args.accounts.as_deref(),
        issued_at: UnixMs(since_1970.as_millis() as i64),
        ttl_ms: args.ttl.as_millis() as u64,
    };
    match access::sign(&config.access, key, &grant) {
        Ok(token) if say(&token) => Exit::Ok,
        Ok(_) => Exit::Failed,
        Err(error) => {
            complain(&format_args!("no token: {error}"));
            match error {
                SignError::Subject | SignError::Pattern => Exit::Usage,
                SignError::Asymmetric | SignError::Failed => Exit::Failed,
            }
        }
    }
}

/// The key to sign with.
fn choose<'c>(config: &'c Config, kid: Option<&str>) -> Result<&'c KeyConfig, (Exit, String)> {
    const CURE: &str = "add one: [[access.keys]] algorithm = \"HS256\" and secret = { env = \"GATEWAY_JWT_SECRET\" }";
    let symmetric = || config.keys.iter().filter(|key| key.secret.is_some());
    let found = match kid {
        None => symmetric().next(),
        Some(kid) => symmetric().find(|key| key.kid.as_deref() == Some(kid)),
    };
    if let Some(key) = found {
        return Ok(key);
    }
    let kids: Vec<_> = symmetric().filter_map(|key| key.kid.as_deref()).collect();
    Err(match kid {
        Some(_) if !kids.is_empty() => (Exit::Usage, format!("no symmetric key has that kid; known are {}", kids.join(", "))),
        Some(_) if symmetric().next().is_some() => (Exit::Usage, "no symmetric key has a kid; leave --kid out".to_owned()),
        _ if config.keys.is_empty() => (Exit::Config, format!("no key is configured under access.keys; {CURE}")),
        _ => (Exit::Config, format!("access.keys hold public keys alone, and those cannot sign; {CURE}")),
    })
}
