//! The program as a process of its own: its lines as they come, signals to it, its exit code.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::soon;

/// A running command. Killed when dropped.
pub struct Process {
    pid: u32,
    lines: mpsc::UnboundedReceiver<String>,
    exit: oneshot::Receiver<Option<i32>>,
    seen: Vec<String>,
}

impl Process {
    /// Starts the program with exactly these variables.
    pub fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_balance-gateway"))
            .args(args)
            .env_clear()
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let (sender, lines) = mpsc::unbounded_channel();
        let (done, exit) = oneshot::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let pid = child.id();
        let readers = [read(out, sender.clone()), read(err, sender)];
        thread::spawn(move || _ = done.send(wait(&mut child, readers)));
        Self { pid, lines, exit, seen: Vec::new() }
    }

    /// The first line from now on of which something is made.
    pub async fn line<T>(&mut self, what: &str, mut make: impl FnMut(&str) -> Option<T>) -> T {
        loop {
            let Some(line) = soon(what, self.lines.recv()).await else { panic!("ended before {what}: {:#?}", self.seen) };
            self.seen.push(line);
            if let Some(made) = self.seen.last().and_then(|line| make(line)) {
                return made;
            }
        }
    }

    /// Leaves out of [`Process::ended`] what was said so far.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// Where `serve --log-format json` listens: for clients, for operators.
    pub async fn listening(&mut self) -> (String, String) {
        let addresses = |line: &str| {
            let entry: Value = serde_json::from_str(line).ok()?;
            Some((entry["listen"].as_str()?.to_owned(), entry["admin"].as_str()?.to_owned()))
        };
        self.line("the addresses", addresses).await
    }

    /// Sends a signal by its short name: TERM, HUP.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid)]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: exit code and everything said, stdout and stderr.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let code = soon("the process's end", &mut self.exit).await.unwrap();
        while let Some(line) = self.lines.recv().await {
            self.seen.push(line);
        }
        (code, self.seen.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            _ = Command::new("sh").args(["-c", &format!("kill -KILL {}", self.pid)]).status();
        }
    }
}

fn read(stream: impl Read + Send + 'static, lines: mpsc::UnboundedSender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            _ = lines.send(line);
        }
    })
}

fn wait(child: &mut Child, readers: [thread::JoinHandle<()>; 2]) -> Option<i32> {
    let code = child.wait().ok().and_then(|status| status.code());
    for reader in readers {
        _ = reader.join();
    }
    code
}
