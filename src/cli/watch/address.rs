//! The gateway's address as a person gives it, and what an answer says that does not come from a gateway's socket. It dials nothing.

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Where the protocol is spoken, unless the address says otherwise.
const PATH: &str = "/v1/ws";

/// An address that can be dialed: `ws://` or `wss://`, with host and path. `http://` and `https://` mean the same; without a path it
/// is the protocol's.
///
/// # Errors
/// No connection can ever come of this text; says what would do.
pub(super) fn address(text: &str) -> Result<String, String> {
    let wrong = "give an address such as ws://127.0.0.1:8080/v1/ws, or wss://… where the gateway or a proxy before it has a certificate";
    let mut url = reqwest::Url::parse(text.trim()).map_err(|_| wrong)?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err(wrong.to_owned()),
    };
    url.set_scheme(scheme).map_err(|()| wrong)?;
    if url.path() == "/" {
        url.set_path(PATH);
    }
    url.set_fragment(None);
    let dials = url.port() != Some(0) && url.as_str().into_client_request().is_ok();
    if dials { Ok(url.into()) } else { Err(wrong.to_owned()) }
}

/// Why no connection came of an address, in words that name the cure where the address seems to be wrong.
pub(super) fn refusal(address: &str, error: &Error) -> String {
    match error {
        Error::Http(answer) if is_elsewhere(answer.status().as_u16()) => {
            format!("{address} is no WebSocket: does the address end with {PATH}? HTTP {}", answer.status())
        }
        _ => error.to_string(),
    }
}

/// An answer of something that knows no such socket. All others may be a gateway's that cannot right now.
fn is_elsewhere(status: u16) -> bool {
    matches!(status, 200..=399 | 404 | 405)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_give_it() {
        for (given, dialed) in [
            ("ws://127.0.0.1:8080/v1/ws", "ws://127.0.0.1:8080/v1/ws"),
            ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/ws"),
            ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/ws"),
            ("https://gateway.example.com", "wss://gateway.example.com/v1/ws"),
            ("HTTPS://gateway.example.com:8443/desk/v1/ws", "wss://gateway.example.com:8443/desk/v1/ws"),
            ("wss://[::1]:8080/v1/ws?x=1#top", "wss://[::1]:8080/v1/ws?x=1"),
        ] {
            assert_eq!(address(given).as_deref(), Ok(dialed), "{given}");
        }
    }

    #[test]
    fn an_address_that_can_never_work_is_refused_with_one_that_can() {
        for wrong in
            ["nonsense", "", "localhost:8080", "127.0.0.1:8080", "ftp://gateway/v1/ws", "ws://", "ws://gateway:0", "ws://a b/"]
        {
            assert!(address(wrong).is_err_and(|told| told.contains("ws://127.0.0.1:8080/v1/ws")), "{wrong}");
        }
    }
}
