//! A simulated Synthesis on many loopback ports, as light as can be: the project's own simulator speaks, bare sockets carry.
//!
//! Each account is a simulator of its own, so that a push costs the same however many there are. Ports are many because the
//! gateway dials one host no faster than its manners allow.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use balance_gateway::model::{Amount, Mono, Name, Now, UnixMs};
use balance_gateway::protocol::WireText;
use balance_gateway::venue::sim::{Book, ConnId, Holding, Move, Sim, SimAccount, SimAction, SimOut, SimRequest, SimSetup};
use balance_gateway::venue::{VENUES, Venue as Entry};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, accept_with_config};

const PATH: &str = "/ws/balance";
/// Connections the gateway opens at once to one host of this venue.
const PER_PORT: usize = 5;
const CONN: ConnId = ConnId(1);

pub struct Venue {
    ports: Vec<TcpListener>,
    accounts: Vec<Upstream>,
    assets: Vec<Name>,
    /// Makes every pushed number a new one.
    pushes: u64,
}

struct Upstream {
    sim: Box<dyn Sim>,
    stream: Option<TcpStream>,
    /// Frames that leave with the next flush, in one write.
    waiting: Vec<u8>,
}

/// An account's name at both sides.
pub fn name(account: usize) -> String {
    format!("a{account}")
}

fn address(account: usize) -> String {
    format!("0x{account:040x}")
}

fn entry() -> anyhow::Result<&'static Entry> {
    VENUES.iter().find(|venue| venue.name == "synthesis").context("the venue is in the list")
}

/// Simulators read no clock of their own, and nothing here depends on the hour.
const NOW: Now = Now { mono: Mono(0), unix: UnixMs(1_763_121_359_960) };

impl Venue {
    /// `accounts` accounts that hold `assets` assets each. `ports` bounds the listeners used; the gateway dials more slowly
    /// where they are few.
    pub fn bind(accounts: usize, assets: usize) -> anyhow::Result<Self> {
        let names: Vec<Name> = (0..assets).map(|n| format!("TOKEN{n}").into()).collect();
        let ports = (0..accounts.div_ceil(PER_PORT)).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let simulate = entry()?.simulate;
        let upstream = |account: usize| {
            let holding = Holding { available: "1250.5".parse()?, locked: Amount::ZERO };
            let rows = names.iter().map(|asset| ((address(account).into(), asset.clone()), holding.clone()));
            let account = SimAccount { id: name(account), credentials: [].into(), book: Book { rows: rows.collect() } };
            let sim = simulate(SimSetup { accounts: vec![account], seed: 1 });
            anyhow::Ok(Upstream { sim, stream: None, waiting: Vec::new() })
        };
        let accounts = (0..accounts).map(upstream).collect::<anyhow::Result<_>>()?;
        Ok(Self { ports, accounts, assets: names, pushes: 0 })
    }

    /// The gateway's side of the accounts, as TOML. `owner` names who may see an account.
    pub fn accounts_toml(&self, owner: impl Fn(usize) -> String) -> anyhow::Result<String> {
        let mut text = String::new();
        for account in 0..self.accounts.len() {
            let port = self.ports[account / PER_PORT].local_addr()?.port();
            let (name, owner, address) = (name(account), owner(account), address(account));
            text += &format!(
                "[[accounts]]\nid = \"{name}\"\nvenue = \"synthesis\"\nowners = [\"{owner}\"]\n\
                 ws_url = \"ws://127.0.0.1:{port}{PATH}\"\nrest_url = \"http://127.0.0.1:{port}\"\n\
                 wallets = [{{ address = \"{address}\" }}]\noptions = {{ liveness_ms = 600000, reconcile_ms = 0 }}\n"
            );
        }
        Ok(text)
    }

    /// Takes the gateway's connections and answers their subscriptions.
    pub fn accept(&mut self) -> anyhow::Result<()> {
        for account in 0..self.accounts.len() {
            let (stream, _) = self.ports[account / PER_PORT].accept()?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(0);
            let mut socket = accept_with_config(stream, Some(config)).map_err(|_| anyhow::anyhow!("no handshake"))?;
            let Message::Text(text) = socket.read()? else { anyhow::bail!("the gateway sends text") };
            // Which of the port's accounts it is stands in the request.
            let asked = (0..self.accounts.len()).skip(account / PER_PORT * PER_PORT).take(PER_PORT);
            let asked =
                asked.into_iter().find(|account| text.contains(&address(*account))).context("an account is asked for")?;
            let (upstream, mut out) = (&mut self.accounts[asked], SimOut::default());
            let request = SimRequest { method: "GET".into(), path: PATH.into(), ..SimRequest::default() };
            upstream.sim.on_connect(NOW, CONN, &request, &mut out).map_err(|reply| anyhow::anyhow!("{reply:?}"))?;
            upstream.sim.on_frame(NOW, CONN, &text, &mut out);
            upstream.stream = Some(socket.get_ref().try_clone()?);
            upstream.take(out);
            self.flush(asked)?;
        }
        Ok(())
    }

    /// Changes a row and queues what the venue tells of it.
    pub fn push(&mut self, account: usize, asset: usize) -> anyhow::Result<()> {
        self.pushes += 1;
        let available = format!("1250.{:08}", self.pushes).parse()?;
        let mv = Move::Set {
            account: name(account),
            wallet: address(account).into(),
            asset: self.assets[asset % self.assets.len()].clone(),
            available,
            locked: Amount::ZERO,
        };
        let (upstream, mut out) = (&mut self.accounts[account], SimOut::default());
        upstream.sim.on_move(NOW, &mv, &mut out).map_err(|why| anyhow::anyhow!(why))?;
        upstream.take(out);
        Ok(())
    }

    /// Writes what is queued for an account, as one piece. Tells when.
    pub fn flush(&mut self, account: usize) -> anyhow::Result<Instant> {
        let Upstream { stream, waiting, .. } = &mut self.accounts[account];
        let now = Instant::now();
        stream.as_mut().context("the gateway is connected")?.write_all(waiting)?;
        waiting.clear();
        Ok(now)
    }

    /// The text of the last number pushed.
    pub fn last_pushed(&self) -> String {
        format!("1250.{:08}", self.pushes)
    }
}

impl Upstream {
    fn take(&mut self, out: SimOut) {
        for action in out.actions {
            if let SimAction::Send(_, text) = action {
                self.waiting.extend_from_slice(WireText::new(&text).frame());
            }
        }
    }
}
