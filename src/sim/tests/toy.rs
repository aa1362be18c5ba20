//! A venue of a few words, and a client for it: what the tests of the sockets need and no more.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::model::{Mono, Now};
use crate::sim::{SimServer, Trading};
use crate::venue::sim::{
    Book, ConnId, Market as Pair, Move, Sample, Sim, SimAccount, SimAction, SimOut, SimReply, SimRequest, SimSetup,
};
use crate::venue::{HostLimits, Venue, WalletSpec, Window};

pub const TOY: Venue = Venue {
    name: "toy",
    title: "Toy",
    manual: "",
    ws_url: "",
    rest_url: "",
    limits: HostLimits { connects: Window { count: 1, per_ms: 1 }, open: 1, calls: Window { count: 1, per_ms: 1 } },
    liveness_bound_ms: 1,
    resyncs: &[],
    connect: |_, _| Err(Vec::new()),
    simulate: |setup| Box::new(Toy::new(setup)),
    sample,
};

pub const TOYS: &[Venue] = &[
    TOY,
    Venue {
        name: "tic",
        sample: || {
            let mut sample = sample();
            sample.account.id = "tic-main".into();
            sample
        },
        ..TOY
    },
];

fn sample() -> Sample {
    Sample {
        account: SimAccount {
            id: "toy-main".into(),
            credentials: BTreeMap::from([("api_key".into(), "k\"1".into())]),
            book: Book::of(&[("spot", "BTC", "2.50000000", "0"), ("spot", "USD", "90000.00", "0")]),
        },
        wallets: vec![
            WalletSpec { address: "0xab".into(), assets: None },
            WalletSpec { address: "7x".into(), assets: Some(vec!["USDC".into(), "2174".into()]) },
        ],
        ws_path: "/ws",
        rest_path: "/api/",
        markets: vec![Pair {
            wallet: "spot".into(),
            base: "BTC".into(),
            quote: "USD".into(),
            price: "7804.6".parse().unwrap(),
            size: "0.05".parse().unwrap(),
        }],
    }
}

/// Echoes frames and requests. `tick in N`: a deadline; `many N`: a flood; `bye`: a close; `ping me`: a ping. Its row
/// (`meta`, `requests`) counts requests.
struct Toy {
    account: String,
    book: Book,
    conns: Vec<ConnId>,
    deadline: Option<Mono>,
}

impl Toy {
    fn new(setup: SimSetup) -> Self {
        let account = setup.accounts.into_iter().next().expect("one account");
        Self { account: account.id, book: account.book, conns: Vec::new(), deadline: None }
    }
    fn tell(&self, text: &str, out: &mut SimOut) {
        self.conns.iter().for_each(|conn| out.send(*conn, text));
    }
}

impl Sim for Toy {
    fn on_connect(&mut self, _: Now, conn: ConnId, request: &SimRequest, out: &mut SimOut) -> Result<(), SimReply> {
        if request.path != "/ws" {
            return Err(SimReply::new(403, "not here"));
        }
        self.conns.push(conn);
        out.send(conn, format!("hello {}", request.header("x-name")));
        Ok(())
    }
    fn on_frame(&mut self, now: Now, conn: ConnId, text: &str, out: &mut SimOut) {
        let (word, number) = text.rsplit_once(' ').unwrap_or((text, ""));
        match word {
            "tick in" => self.deadline = Some(now.mono.plus_ms(number.parse().unwrap())),
            "many" => (0..number.parse().unwrap()).for_each(|n: u32| out.send(conn, n.to_string())),
            "bye" => out.close(conn, 4000, "as asked"),
            "ping" => out.actions.push(SimAction::Ping(conn)),
            _ => out.send(conn, format!("echo {text}")),
        }
    }
    fn on_disconnect(&mut self, _: Now, conn: ConnId) {
        self.conns.retain(|other| *other != conn);
        let _ = self.book.apply(&count(&self.account, "disconnects"));
    }
    fn on_request(&mut self, _: Now, request: &SimRequest, out: &mut SimOut) -> SimReply {
        let _ = self.book.apply(&count(&self.account, "requests"));
        self.tell("requested", out);
        let SimRequest { method, path, body, .. } = request;
        let held = self.book.holding("spot", "BTC").available;
        SimReply::new(201, format!("{method} {path} {} {body} {held}", request.header("x-name")))
    }
    fn on_timeout(&mut self, _: Now, out: &mut SimOut) {
        self.deadline = None;
        self.tell("tick", out);
    }
    fn deadline(&self) -> Option<Mono> {
        self.deadline
    }
    fn on_move(&mut self, _: Now, mv: &Move, out: &mut SimOut) -> Result<(), String> {
        if mv.account() != self.account {
            return Err("no such account".into());
        }
        let touched = self.book.apply(mv)?;
        for (wallet, asset) in touched {
            self.tell(&format!("{wallet} {asset} {}", self.book.holding(&wallet, &asset).available), out);
        }
        Ok(())
    }
    fn faults(&self) -> &'static [(&'static str, &'static str)] {
        let own = &[("hiccup", "says hiccup"), ("garbage", "says its own garbage"), ("heal", "says healed")];
        // The second venue has words that the network has too.
        if self.account == "tic-main" { own } else { &own[..1] }
    }
    fn on_fault(&mut self, _: Now, fault: &str, out: &mut SimOut) -> Result<(), String> {
        match fault {
            "hiccup" => self.tell("hiccup", out),
            "garbage" => self.tell("own garbage", out),
            "heal" => self.tell("healed", out),
            _ => return Err("hiccup takes no number".into()),
        }
        Ok(())
    }
    fn book(&self, account: &str) -> Option<&Book> {
        (account == self.account).then_some(&self.book)
    }
}

fn count(account: &str, what: &str) -> Move {
    deposit(account, "meta", what, "1")
}

pub fn deposit(account: &str, wallet: &str, asset: &str, amount: &str) -> Move {
    let amount = amount.parse().unwrap();
    Move::Deposit { account: account.into(), wallet: wallet.into(), asset: asset.into(), amount }
}

/// A toy venue on a free port, its market standing still.
pub async fn toy() -> SimServer {
    let trading = Trading { pairs: sample().markets, rate_hz: 0.0 };
    let setup = SimSetup { accounts: vec![sample().account], seed: 3 };
    let server = SimServer::start(&TOYS[0], setup, "127.0.0.1:0".parse().unwrap(), trading).await;
    server.unwrap()
}

/// How often the toy has counted something.
pub fn counted(server: &SimServer, what: &str) -> String {
    server.book("toy-main").unwrap().holding("meta", what).available.to_string()
}

/// Fails instead of hanging.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what).await.expect("in time")
}

/// Lets everything else run until the condition holds.
pub async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A client of the toy's stream.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub async fn try_open(server: &SimServer, path: &str) -> Result<Self, tungstenite::Error> {
        within(connect_async(server.ws_url(path))).await.map(|(socket, _)| Self(socket))
    }
    /// Connects and takes the greeting.
    pub async fn open(server: &SimServer) -> Self {
        let mut client = Self::try_open(server, "/ws").await.unwrap();
        assert_eq!(client.text().await, "hello ");
        client
    }
    pub async fn send(&mut self, text: &str) {
        within(self.0.send(Message::text(text))).await.unwrap();
    }
    pub async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        within(self.0.next()).await
    }
    /// The next frame, which is text.
    pub async fn text(&mut self) -> String {
        self.next().await.unwrap().unwrap().into_text().unwrap().to_string()
    }
    pub async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.text().await
    }
    /// Asserts that the connection has ended without a close frame.
    pub async fn assert_dropped(&mut self) {
        match self.next().await {
            None | Some(Err(_)) => {}
            Some(Ok(message)) => panic!("expected the end, got {message:?}"),
        }
    }
}

/// One REST request: status and body.
pub async fn rest(method: &str, url: &str, body: &str) -> (u16, String) {
    crate::runtime::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method.parse().unwrap(), url).header("X-Name", "ada").body(body.to_owned());
    let reply = within(request.send()).await.unwrap();
    (reply.status().as_u16(), within(reply.text()).await.unwrap())
}
