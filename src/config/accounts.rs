//! The accounts: what every one has, and what its venue says of the rest.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

use super::reader::{Reader, Section};
use super::secret::{self, SecretSource};
use crate::venue::{self, AccountSpec, Credentials, Options, Problem, Shared, Venue, WalletSpec, hint};

/// The most accounts in one gateway.
pub const MAX_ACCOUNTS: usize = 10_000;
/// The most addresses in one account.
const MAX_WALLETS: usize = 10_000;
const MAX_ID_BYTES: usize = 64;

/// One account, checked by its venue.
#[derive(Clone)]
pub struct AccountConfig {
    /// Unique; 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub id: Arc<str>,
    pub venue: &'static Venue,
    /// Users that see it with a token that has no accounts claim.
    pub owners: Vec<String>,
    /// False: nothing is dialed, and what is wrong with its secrets or options was only warned of.
    pub enabled: bool,
    pub spec: AccountSpec,
    /// Where the secrets in `spec.credentials` came from.
    pub secrets: BTreeMap<String, SecretSource>,
}

impl fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountConfig")
            .field("venue", &self.venue.name)
            .field("owners", &self.owners)
            .field("enabled", &self.enabled)
            .field("spec", &self.spec)
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}

impl AccountConfig {
    /// Reads the secrets anew, for [`Credentials::replace`].
    ///
    /// # Errors
    /// Every secret that cannot be read, with its key below the account.
    pub fn read_secrets(&self) -> Result<BTreeMap<String, SecretString>, Vec<Problem>> {
        let (values, problems) = read_all(&self.secrets);
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

fn read_all(secrets: &BTreeMap<String, SecretSource>) -> (BTreeMap<String, SecretString>, Vec<Problem>) {
    let (mut values, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, source) in secrets {
        match source.read() {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(error) => problems.push(Problem::new(format!("credentials.{name}"), error.to_string())),
        }
    }
    (values, problems)
}

pub(super) fn read(reader: &Reader, sections: Vec<Section<'_>>, venues: &'static [Venue]) -> Vec<AccountConfig> {
    // One for all of them, as when the gateway runs: venues may count what accounts share.
    let shared = Shared::default();
    let mut accounts: Vec<AccountConfig> = Vec::with_capacity(sections.len());
    let mut places: HashMap<String, String> = HashMap::new();
    for section in sections {
        let path = section.path.clone();
        let (id, account) = account(section, venues, &shared);
        if let Some(id) = id
            && let Some(first) = places.insert(id, path.clone())
        {
            reader.problem(format!("{path}.id"), format!("{first} has the same id; give each account its own"));
        }
        accounts.extend(account);
    }
    accounts
}

/// The id, where there is a good one, and the account, where enough of it is right.
fn account(mut s: Section<'_>, venues: &'static [Venue], shared: &Shared) -> (Option<String>, Option<AccountConfig>) {
    let (reader, path) = (s.reader, s.path.clone());
    let before = reader.problem_count();
    let id = id(&mut s);
    let venue = venue(&mut s, venues);
    let owners = s.texts("owners").unwrap_or_default();
    let enabled = s.boolean("enabled").unwrap_or(true);
    let ws_url = url(&mut s, "ws_url", ["wss", "ws"]);
    let rest_url = url(&mut s, "rest_url", ["https", "http"]).map(|url| url.trim_end_matches('/').to_owned());
    let wallets = s.sections("wallets", MAX_WALLETS).into_iter().map(wallet).collect();
    let options = s.open_table("options").into_iter().map(|(name, node)| (name, node.into_toml())).collect();
    let (secrets, unreadable) = credentials(&mut s, enabled);
    s.finish();
    let (values, mut problems) = read_all(&secrets);
    let account = venue.map(|venue| {
        let spec = AccountSpec {
            id: Arc::from(id.as_deref().unwrap_or_default()),
            ws_url: ws_url.unwrap_or_else(|| venue.ws_url.to_owned()),
            rest_url: rest_url.unwrap_or_else(|| venue.rest_url.trim_end_matches('/').to_owned()),
            credentials: Credentials::new(values),
            wallets,
            options: Options::new(options),
        };
        AccountConfig { id: Arc::clone(&spec.id), venue, owners, enabled, spec, secrets }
    });
    if let Some(account) = &account {
        let found = venues_problems(account, unreadable, shared);
        // What is wrong in itself is told once, in this module's words.
        problems.extend(found.into_iter().filter(|found| !reader.told_since(before, &format!("{path}.{}", found.key))));
    }
    for Problem { key, message } in problems {
        if enabled {
            reader.problem(format!("{path}.{key}"), message);
        } else {
            reader.warn(format!("{path}.{key}: {message} (the account is disabled)"));
        }
    }
    let named = id.is_some();
    (id, account.filter(|_| named))
}

/// What the venue finds wrong. Secrets that are configured but cannot be read count as given: to call them missing would send the
/// operator the wrong way.
fn venues_problems(account: &AccountConfig, unreadable: Vec<String>, shared: &Shared) -> Vec<Problem> {
    const STAND_IN: &str = "unreadable";
    let given = unreadable.iter().chain(account.secrets.keys());
    let value = |name: &String| account.spec.credentials.get(name).unwrap_or_else(|| SecretString::from(STAND_IN));
    let credentials = Credentials::new(given.map(|name| (name.clone(), value(name))).collect());
    (account.venue.connect)(&AccountSpec { credentials, ..account.spec.clone() }, shared).err().unwrap_or_default()
}

fn id(s: &mut Section<'_>) -> Option<String> {
    let id = s.required_text("id", "give the account a name, such as \"bfx-main\"")?;
    let good = id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !good {
        s.problem("id", format!("wants 1 to {MAX_ID_BYTES} of the characters A-Z a-z 0-9 . _ -"));
    }
    good.then_some(id)
}

fn venue(s: &mut Section<'_>, venues: &'static [Venue]) -> Option<&'static Venue> {
    let names = || venues.iter().map(|venue| venue.name);
    let known = || names().collect::<Vec<_>>().join(", ");
    let name = s.required_text("venue", &format!("give one of {}", known()))?;
    let found = venue::find(venues, &name);
    if found.is_none() {
        s.problem("venue", format!("unknown venue; {}", hint(&name, names())));
    }
    found
}

/// The secrets' sources, and the names of those whose source is no sound one.
fn credentials(s: &mut Section<'_>, enabled: bool) -> (BTreeMap<String, SecretSource>, Vec<String>) {
    let base = s.key("credentials");
    let (mut sources, mut unsound) = (BTreeMap::new(), Vec::new());
    for (name, node) in s.open_table("credentials") {
        match secret::source(s.reader, &format!("{base}.{name}"), node, enabled) {
            Some(source) => drop(sources.insert(name, source)),
            None => unsound.push(name),
        }
    }
    (sources, unsound)
}

/// A wallet keeps its place in the list even where a problem with its address is on record.
fn wallet(mut s: Section<'_>) -> WalletSpec {
    let address = s.required_text("address", "give the wallet's address");
    let assets = s.texts("assets");
    if assets.as_ref().is_some_and(Vec::is_empty) {
        s.problem("assets", "is empty, which would follow nothing; remove it to follow every asset");
    }
    s.finish();
    WalletSpec { address: address.unwrap_or_default(), assets }
}

/// An address with one of two schemes, the first of them encrypted. Never repeats it: it may hold a key.
fn url(s: &mut Section<'_>, name: &'static str, [safe, plain]: [&str; 2]) -> Option<String> {
    let text = s.text(name)?;
    let url = match reqwest::Url::parse(&text) {
        Ok(url) if [safe, plain].contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()) => url,
        _ => {
            s.problem(name, format!("wants an address that begins with {safe}:// or {plain}:// and names a host"));
            return None;
        }
    };
    // A path is appended to the REST address, so nothing may follow the one it has.
    let query = url.query().is_some() && safe == "https";
    if query || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        s.problem(name, "wants scheme, host, port and path alone; secrets belong under credentials");
        return None;
    }
    if url.scheme() == plain && !is_loopback(&url) {
        s.reader.warn(format!("{}: {plain}:// sends credentials in the clear; use {safe}://", s.key(name)));
    }
    Some(text)
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
