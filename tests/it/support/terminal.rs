//! The program in a terminal of its own: what a person would see on it, the keys they press, and what it leaves behind.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use super::poll;

/// A running command and the terminal it runs in. Killed when dropped.
pub struct Terminal {
    seen: Arc<Mutex<Parser>>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).expect("a terminal has cells")
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    /// Starts the program with exactly these variables and `TERM`.
    pub fn start(args: &[&str], env: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_balance-gateway"));
        command.args(args);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        env.iter().for_each(|(name, value)| command.env(name, value));
        let pty = native_pty_system().openpty(size(columns, rows)).unwrap();
        let child = pty.slave.spawn_command(command).unwrap();
        // The only other holder of the far end is the child: its end is the end of what is read.
        drop(pty.slave);
        let seen = Arc::new(Mutex::new(Parser::new(cells(rows), cells(columns), 0)));
        let (mut reader, screen) = (pty.master.try_clone_reader().unwrap(), Arc::clone(&seen));
        thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                screen.lock().process(&bytes[..length]);
            }
        });
        let keys = pty.master.take_writer().unwrap();
        Self { seen, master: pty.master, keys, child }
    }

    /// Asks about the terminal as it stands.
    pub fn ask<T>(&self, ask: impl FnOnce(&vt100::Screen) -> T) -> T {
        ask(self.seen.lock().screen())
    }

    /// The picture as text, line by line.
    pub fn text(&self) -> String {
        self.ask(vt100::Screen::contents)
    }

    /// The lines that hold this text.
    pub fn lines(&self, with: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }

    /// Waits until the picture is like that.
    pub async fn until(&self, what: &str, like: impl Fn(&str) -> bool) {
        // A moment earlier than the test would give up, and with the picture.
        let patience = super::PATIENCE.mul_f64(0.9);
        let found = tokio::time::timeout(patience, poll(what, async || like(&self.text()).then_some(())));
        if found.await.is_err() {
            panic!("never {what}:\n{}", self.text());
        }
    }

    /// Waits until the text is to be seen, or is not.
    pub async fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contains(text)).await;
    }
    pub async fn hides(&self, text: &str) {
        self.until(&format!("without {text}"), |screen| !screen.contains(text)).await;
    }

    /// Presses keys, as the terminal sends them.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.seen.lock().screen_mut().set_size(cells(rows), cells(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap();
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: its exit code.
    pub async fn ended(&mut self) -> u32 {
        poll("the program ends", async || self.child.try_wait().unwrap()).await.exit_code()
    }

    /// Everything is as it was before: the first screen, a cursor, no mode left on.
    pub async fn is_given_back(&self) {
        let given_back =
            |screen: &vt100::Screen| !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste();
        poll("the terminal is given back", async || self.ask(given_back).then_some(())).await;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
    }
}
