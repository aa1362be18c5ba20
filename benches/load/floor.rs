//! The floor: a bare program that writes the same bytes to as many sockets, one `send` each, and does nothing else.
//!
//! This file is both ends: the child process, and the handle the load program steers it with.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use anyhow::Context;
use balance_gateway::protocol::WireText;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::child::Measured;
use crate::swarm::Swarm;

/// To every socket, so many times; or once to the socket of that number.
const TO_ALL: u8 = b'a';
const TO_ONE: u8 = b'o';
/// A command's letter and its number.
const COMMAND_BYTES: usize = 5;

/// The floor's process and its clients.
pub struct Floor {
    pub process: Measured,
    pub swarm: Swarm,
    steer: TcpStream,
    pub addr: SocketAddr,
}

impl Floor {
    /// Starts it with as many clients, whose handshakes get answers of these sizes, and frames of `frame_bytes`.
    pub fn start(count: usize, answer_bytes: [usize; 2], frame_bytes: usize) -> anyhow::Result<Self> {
        let (process, addr, steer) = Self::spawn(answer_bytes, frame_bytes)?;
        let swarm = Swarm::connect(addr, count, |_| String::new(), SUBSCRIBE)?;
        Ok(Self { process, swarm, steer, addr })
    }

    /// The process alone, without clients.
    pub fn spawn(answer_bytes: [usize; 2], frame_bytes: usize) -> anyhow::Result<(Measured, SocketAddr, TcpStream)> {
        let program = std::env::current_exe()?;
        let [hello, snapshot, frame] = [answer_bytes[0], answer_bytes[1], frame_bytes].map(|n| n.to_string());
        let args = ["floor", &hello, &snapshot, &frame].map(OsStr::new);
        let mut process = Measured::spawn(program.as_os_str(), &args, |command| command.stdout(Stdio::piped()))?;
        let addr: SocketAddr = process.out()?.next().context("the floor did not start")??.parse()?;
        let steer = TcpStream::connect(addr)?;
        steer.set_nodelay(true)?;
        Ok((process, addr, steer))
    }

    /// One frame to each client, `times` over.
    pub fn send_all(&mut self, times: usize) -> anyhow::Result<()> {
        self.command(&[(TO_ALL, times)])
    }

    /// One frame to each of these clients.
    pub fn send_each(&mut self, clients: std::ops::Range<usize>) -> anyhow::Result<()> {
        let commands: Vec<_> = clients.map(|client| (TO_ONE, client)).collect();
        self.command(&commands)
    }

    fn command(&mut self, commands: &[(u8, usize)]) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(commands.len() * COMMAND_BYTES);
        for (letter, number) in commands {
            bytes.push(*letter);
            bytes.extend_from_slice(&u32::try_from(*number)?.to_be_bytes());
        }
        Ok(self.steer.write_all(&bytes)?)
    }
}

/// What a client of either server asks for.
pub const SUBSCRIBE: &str = r#"{"type":"subscribe","channel":"user:balances"}"#;

/// The child process: the first connection steers, the others are clients.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let sizes = args.iter().map(|arg| arg.parse()).collect::<Result<Vec<usize>, _>>()?;
    let &[hello_bytes, snapshot_bytes, frame_bytes] = &sizes[..] else { anyhow::bail!("floor takes three sizes") };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (steer, _) = listener.accept()?;
    listener.set_nonblocking(true)?;
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n";
    let half = snapshot_bytes / 2;
    let answers = [
        [head.as_bytes(), &frame(hello_bytes.saturating_sub(head.len()))].concat(),
        [frame(half), frame(snapshot_bytes - half)].concat(),
    ];
    let poll = epoll::create(CreateFlags::empty())?;
    epoll::add(&poll, &steer, EventData::new_u64(STEER), EventFlags::IN)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    Server { listener, steer, poll, answers, frame: row(frame_bytes), clients: Vec::new(), asked: Vec::new() }.serve()
}

const STEER: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

struct Server {
    listener: TcpListener,
    steer: TcpStream,
    poll: std::os::fd::OwnedFd,
    answers: [Vec<u8>; 2],
    frame: Vec<u8>,
    /// `None`: gone.
    clients: Vec<Option<TcpStream>>,
    /// Requests each client has made. After the second it is only written to.
    asked: Vec<usize>,
}

impl Server {
    fn serve(mut self) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(1024);
        let mut bytes = vec![0; 64 << 10];
        loop {
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                let Event { data, .. } = *event;
                match data.u64() {
                    STEER => match self.steer.read(&mut bytes)? {
                        0 => return Ok(()),
                        // Commands come in one piece: they are short, and answered before the next are sent.
                        n => self.obey(&bytes[..n])?,
                    },
                    LISTENER => self.accept()?,
                    client => self.answer(client as usize, &mut bytes)?,
                }
            }
        }
    }

    fn obey(&mut self, commands: &[u8]) -> anyhow::Result<()> {
        for command in commands.chunks_exact(COMMAND_BYTES) {
            let number = u32::from_be_bytes([command[1], command[2], command[3], command[4]]) as usize;
            match command[0] {
                TO_ALL => {
                    for _ in 0..number {
                        self.clients.iter_mut().flatten().try_for_each(|client| client.write_all(&self.frame))?;
                    }
                }
                TO_ONE => self.clients[number].as_mut().context("the client is here")?.write_all(&self.frame)?,
                letter => anyhow::bail!("no command {letter}"),
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nodelay(true)?;
            let number = self.clients.len() as u64;
            epoll::add(&self.poll, &stream, EventData::new_u64(number), EventFlags::IN | EventFlags::ET)?;
            self.clients.push(Some(stream));
            self.asked.push(0);
        }
        Ok(())
    }

    fn answer(&mut self, client: usize, bytes: &mut [u8]) -> anyhow::Result<()> {
        let (place, asked) = (&mut self.clients[client], &mut self.asked[client]);
        let Some(stream) = place else { return Ok(()) };
        // A client that goes with something unread resets its connection.
        if stream.read(bytes).unwrap_or(0) == 0 {
            *place = None;
        } else if let Some(answer) = self.answers.get(*asked) {
            stream.write_all(answer)?;
            *asked += 1;
        }
        Ok(())
    }
}

/// A frame of `bytes` bytes, its header included.
fn frame(bytes: usize) -> Vec<u8> {
    let header = if bytes > 127 { 4 } else { 2 };
    WireText::new(&"x".repeat(bytes.saturating_sub(header))).frame().to_vec()
}

/// The same that counts as one row.
fn row(bytes: usize) -> Vec<u8> {
    let mut frame = frame(bytes);
    let word = b"\"wallet\":";
    let at = frame.len() - word.len();
    frame[at..].copy_from_slice(word);
    frame
}
