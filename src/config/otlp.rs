//! The section `[otlp]`: where traces go. Nothing is sent from here.

use std::collections::BTreeMap;

use super::reader::Section;
use super::secret::{self, SecretSource};

/// The most headers: collectors ask for one or two.
const MAX_HEADERS: usize = 16;

/// Where traces go, and how many.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// `http://` or `https://`, with its path.
    pub endpoint: String,
    /// Headers by name, in lower case.
    pub headers: BTreeMap<String, SecretSource>,
    /// One commit in so many is traced; at least 1.
    pub sample_one_in: u64,
}

/// `None`: there is no endpoint, or a problem is on record.
pub(super) fn read(mut s: Section<'_>) -> Option<OtlpConfig> {
    let endpoint = s.text("endpoint");
    let headers = headers(&mut s);
    let sample_one_in = s.integer("sample_one_in", 1..=1_000_000).unwrap_or(100);
    match endpoint.as_deref().map(check) {
        Some(Err(cure)) => s.problem("endpoint", cure),
        Some(Ok(true)) if !headers.is_empty() => {
            s.reader.warn("otlp.headers: cross the network in plain text; give an https:// endpoint");
        }
        None if !headers.is_empty() => s.problem("endpoint", "is missing, though headers are given for it"),
        _ => {}
    }
    s.finish();
    endpoint.map(|endpoint| OtlpConfig { endpoint, headers, sample_one_in })
}

/// True: what is sent there can be read on the way.
fn check(text: &str) -> Result<bool, &'static str> {
    const WANTS: &str = "wants an http:// or https:// address with its path, such as \"http://127.0.0.1:4318/v1/traces\"";
    let url = reqwest::Url::parse(text).map_err(|_| WANTS)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let bare = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() || url.path() == "/" || !bare {
        return Err(WANTS);
    }
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    Ok(url.scheme() == "http" && !here)
}

fn headers(s: &mut Section<'_>) -> BTreeMap<String, SecretSource> {
    let given = s.open_table("headers");
    if given.len() > MAX_HEADERS {
        s.problem("headers", format!("holds more than {MAX_HEADERS} entries"));
        return BTreeMap::new();
    }
    let mut headers = BTreeMap::new();
    for (name, node) in given {
        let key = s.key(&format!("headers.{name}"));
        if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            s.reader.problem(key, "is no name of an HTTP header");
            continue;
        }
        let Some(source) = secret::source(s.reader, &key, node, true) else { continue };
        match source.read() {
            Ok(_) => drop(headers.insert(name.to_ascii_lowercase(), source)),
            Err(error) => s.reader.problem(key, error.to_string()),
        }
    }
    headers
}
