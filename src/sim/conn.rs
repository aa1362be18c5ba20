//! One client's WebSocket at a simulated venue: moves bytes and suffers the network's faults. It understands no frame.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::core::{Line, Outgoing, What};
use super::server::Shared;

/// How long a closed connection waits for the client's own close frame; without the wait a reset could overtake ours.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Close code for what a text-only venue does not speak.
const UNSUPPORTED_DATA: u16 = 1003;

/// Close code of a server that stops.
const GOING_AWAY: u16 = 1001;

/// A connection the simulator knows of. Dropping it tells the simulator, also where the handshake was never finished.
pub(super) struct Conn {
    pub shared: std::sync::Arc<Shared>,
    pub line: Line,
}

impl Drop for Conn {
    fn drop(&mut self) {
        let conn = self.line.conn;
        self.shared.with(|core, now| core.disconnected(now, conn));
    }
}

enum Step {
    Cut,
    Stop,
    NetworkChanged,
    Write(Option<What>),
    Read(Option<Result<Message, axum::Error>>),
}

impl Conn {
    /// Serves the socket until either side ends it.
    pub async fn run(mut self, mut socket: WebSocket) {
        let mut half_open = self.shared.half_open.subscribe();
        let mut held = None;
        loop {
            if *half_open.borrow_and_update() {
                tokio::select! {
                    () = self.line.cut.cancelled() => return,
                    () = self.shared.tasks.stopping() => return,
                    _ = half_open.changed() => continue,
                }
            }
            let step = tokio::select! {
                biased;
                () = self.line.cut.cancelled() => Step::Cut,
                () = self.shared.tasks.stopping() => Step::Stop,
                _ = half_open.changed() => Step::NetworkChanged,
                // Fair between the two: a flood to write must not leave pings unanswered.
                step = async { tokio::select! {
                    what = next_due(&mut held, &mut self.line.queue) => Step::Write(what),
                    message = socket.recv() => Step::Read(message),
                } } => step,
            };
            let go_on = match step {
                Step::Cut => false,
                Step::Stop => close(&mut socket, GOING_AWAY, "the simulator stops").await,
                Step::NetworkChanged => true,
                // The queue overflowed while the network was half open.
                Step::Write(None) => false,
                Step::Write(Some(what)) => self.write(&mut socket, what).await,
                Step::Read(message) => self.read(&mut socket, message).await,
            };
            if !go_on {
                return;
            }
        }
    }

    /// Writes one thing. False: the connection is over.
    async fn write(&self, socket: &mut WebSocket, what: What) -> bool {
        let message = match what {
            What::Text(text) => Message::Text(text),
            What::Ping => Message::Ping(Default::default()),
            What::Close(code, reason) => return close(socket, code, reason).await,
        };
        // A client that reads nothing must not hold up a cut or a stop.
        tokio::select! {
            sent = socket.send(message) => sent.is_ok(),
            () = self.line.cut.cancelled() => false,
            () = self.shared.tasks.stopping() => false,
        }
    }

    /// Hands a frame to the simulator. False: the connection is over.
    async fn read(&self, socket: &mut WebSocket, message: Option<Result<Message, axum::Error>>) -> bool {
        match message {
            Some(Ok(Message::Text(text))) => {
                let conn = self.line.conn;
                self.shared.with(|core, now| core.frame(now, conn, &text));
                true
            }
            // Answered by the protocol layer.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => true,
            Some(Ok(Message::Binary(_))) => close(socket, UNSUPPORTED_DATA, "text only").await,
            Some(Err(_)) | None => false,
        }
    }
}

/// The next thing to write once it is due. `None`: nothing will ever come. May be cancelled: what waits stays in `held`.
async fn next_due(held: &mut Option<Outgoing>, queue: &mut mpsc::Receiver<Outgoing>) -> Option<What> {
    if held.is_none() {
        *held = Some(queue.recv().await?);
    }
    if let Some(outgoing) = held {
        sleep_until(outgoing.due).await;
    }
    held.take().map(|outgoing| outgoing.what)
}

/// Says goodbye and waits a moment for the other side. Always false: the connection is over.
async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) -> bool {
    let goodbye = async {
        if socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(CLOSE_WAIT, goodbye).await;
    false
}
