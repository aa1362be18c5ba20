//! A gateway on free ports from a real file, a bare client, and an issuer with keys of its own. No test stands here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance_gateway::access::{self, Claims};
use balance_gateway::app::App;
use balance_gateway::config::Config;
use balance_gateway::model::UnixMs;
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::unhurried;
/// Asking again and again is what most tests here do until a gateway has done its part.
pub use crate::support::{poll as until, soon};

pub const OPERATOR: &str = "MARKER-operator-0123456789abcdef";
const SECRET: &str = "MARKER-tokens-0123456789abcdef0123456789";

/// Runs beside the test until its runtime ends.
#[expect(clippy::disallowed_methods, reason = "a test's own tasks end with its runtime")]
pub fn beside(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Counts time in ticks of the test's own runtime, which is the gateway's too: time in which the machine did not let them run is no
/// time that the gateway took.
pub struct Stopwatch(Arc<AtomicU32>);

impl Stopwatch {
    const TICK: Duration = Duration::from_millis(10);

    pub fn start() -> Self {
        let ticks = Arc::<AtomicU32>::default();
        let counted = Arc::downgrade(&ticks);
        beside(async move {
            let mut tick = tokio::time::interval(Self::TICK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick.tick().await; // the first comes at once
            while let Some(ticks) = counted.upgrade() {
                tick.tick().await;
                ticks.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self(ticks)
    }

    pub fn elapsed(&self) -> Duration {
        Self::TICK * self.0.load(Ordering::Relaxed)
    }
}

/// A running gateway. It ends with the test's runtime.
pub struct Gateway {
    pub addr: SocketAddr,
    pub admin: SocketAddr,
    pub http: reqwest::Client,
    pub file: PathBuf,
    _dir: TempDir,
    access: access::Config,
}

impl Gateway {
    /// `server` holds lines of that section, `rest` whole sections.
    pub async fn start(server: &str, rest: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), server, rest).await
    }

    pub async fn start_in(dir: TempDir, server: &str, rest: &str) -> Self {
        Self::start_with(dir, text(server, rest)).await
    }

    /// `top` holds lines that belong to no section.
    pub async fn start_under(top: &str, server: &str, rest: &str) -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), top.to_owned() + &text(server, rest)).await
    }

    async fn start_with(dir: TempDir, text: String) -> Self {
        balance_gateway::runtime::install_crypto();
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), []).unwrap_or_else(|errors| panic!("{errors}"));
        let access = config.access.clone();
        let app = App::bind(config).await.unwrap();
        let (addr, admin) = (app.addr(), app.admin_addr());
        beside(async move { app.run().await.unwrap() });
        let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).pool_max_idle_per_host(0).build().unwrap();
        Self { addr, admin, http, file, _dir: dir, access }
    }

    /// Puts another file in place and has it read.
    pub async fn reload(&self, server: &str, rest: &str) {
        std::fs::write(&self.file, text(server, rest)).unwrap();
        let (status, body) = self.operate("reload", "").await;
        assert_eq!(status, 200, "{body}");
    }

    /// A token of our own key, good for an hour.
    pub fn token(&self, user: &str) -> String {
        self.token_at(user, None, now_ms())
    }

    pub fn token_at(&self, user: &str, accounts: Option<&[String]>, issued_ms: i64) -> String {
        let claims = Claims { user, accounts, issued_at: UnixMs(issued_ms), ttl_ms: 3_600_000 };
        access::sign(&self.access, &self.access.keys[0], &claims).unwrap()
    }

    pub async fn operate(&self, what: &str, body: &str) -> (u16, Value) {
        self.operate_as(Some(OPERATOR), what, body).await
    }

    pub async fn operate_as(&self, token: Option<&str>, what: &str, body: &str) -> (u16, Value) {
        let mut request = self.http.post(format!("http://{}/admin/{what}", self.admin)).body(body.to_owned());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = soon("an answer", request.send()).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// `GET` with a token.
    pub async fn get(&self, path: &str, token: &str) -> (u16, HeaderMap, String) {
        let headers = [("authorization", format!("Bearer {token}"))];
        self.get_with("GET", path, &headers.each_ref().map(|(name, value)| (*name, value.as_str()))).await
    }

    pub async fn get_with(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("http://{}{path}", self.addr));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = soon("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap())
    }

    pub async fn metrics(&self) -> String {
        let response = self.http.get(format!("http://{}/metrics", self.admin)).send().await.unwrap();
        String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap()
    }

    /// A connection; with a token, shown in the upgrade. Otherwise the refusal's status and body.
    pub async fn connect(&self, token: Option<&str>) -> Result<Client, (u16, String)> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.connect_with(&headers).await
    }

    pub async fn connect_with(&self, headers: &[(&str, &str)]) -> Result<Client, (u16, String)> {
        Client::connect(&format!("ws://{}/v1/ws", self.addr), headers).await
    }

    /// A connection that was told that its token is good.
    pub async fn login(&self, token: &str) -> Client {
        let mut client = self.connect(Some(token)).await.unwrap();
        let frame = client.frame().await;
        assert_eq!(frame["success"], true, "{frame}");
        client
    }
}

fn text(server: &str, rest: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token = \"{OPERATOR}\"\n{}{server}\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nkid = \"own\"\nsecret = \"{SECRET}\"\n{rest}\n",
        unhurried(server)
    )
}

/// One connection.
pub struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub async fn connect(url: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        match soon("the upgrade", tokio_tungstenite::connect_async(request)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(refusal)) => {
                let body = refusal.body().clone().unwrap_or_default();
                Err((refusal.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends all of them in one write.
    pub async fn send_together(&mut self, frames: &[Value]) {
        for frame in frames {
            self.0.feed(Message::text(frame.to_string())).await.unwrap();
        }
        self.0.flush().await.unwrap();
    }

    pub async fn send(&mut self, frame: Value) {
        soon("room to write", self.0.send(Message::text(frame.to_string()))).await.unwrap();
    }

    /// The next frame, or the code of the close in its place.
    pub async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match soon("a frame", self.0.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(close))) => return Err(close.map_or(0, |close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    pub async fn frame(&mut self) -> Value {
        self.next().await.unwrap_or_else(|code| panic!("closed with {code}"))
    }

    /// The close code, whatever frames come before it.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.frame().await
    }

    /// Sends the frame without end until the gateway ends the connection: how many answers came, and the close code.
    pub async fn flood(self, frame: Value) -> (usize, u16) {
        let (mut write, mut read) = self.0.split();
        let pour = async { while write.send(Message::text(frame.to_string())).await.is_ok() {} };
        let count = async {
            let mut answers = 0;
            loop {
                match read.next().await {
                    Some(Ok(Message::Text(_))) => answers += 1,
                    Some(Ok(Message::Close(close))) => return (answers, close.map_or(0, |close| close.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return (answers, 0),
                }
            }
        };
        soon("the end of the flood", async { tokio::join!(count, pour).0 }).await
    }

    /// Is it open and served?
    pub async fn is_served(&mut self) -> bool {
        self.ask(json!({"type": "ping", "id": "alive"})).await["type"] == "pong"
    }
}

/// A key pair that somebody signs tokens with.
pub struct Signer {
    key: KeyPair,
    kid: String,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        Self { key: KeyPair::generate().unwrap(), kid: kid.into() }
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key_raw()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": base64url(x), "y": base64url(y)})
    }

    pub fn token(&self, user: &str) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        let claims = json!({"sub": user, "exp": now_ms() / 1000 + 3600});
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(self.key.serialized_der())).unwrap()
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |word: u32, place: u32| DIGITS[(word >> (18 - 6 * place) & 63) as usize] as char;
    let word = |chunk: &[u8]| (0..3).fold(0, |word, i| word << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
    let chunks = bytes.chunks(3).map(|chunk| (word(chunk), chunk.len() as u32));
    chunks.flat_map(|(word, len)| (0..=len).map(move |place| digit(word, place))).collect()
}
