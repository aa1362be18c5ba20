//! A wire between a client and the gateway: it can lose a frame, and it can swallow everything with its sockets kept open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Wire {
    pub addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    frozen: AtomicBool,
    /// The next frame to the client that holds this text is lost.
    lose: Mutex<Option<String>>,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "the tests' own wire")]
    pub async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(far).await {
                    tokio::spawn(join(near, far, Arc::clone(&shared)));
                }
            }
        });
        Self { addr, state }
    }

    pub fn lose_next(&self, with: &str) {
        *self.state.lose.lock() = Some(with.to_owned());
    }
    /// Is there still one to be lost?
    pub fn loses(&self) -> bool {
        self.state.lose.lock().is_some()
    }
    /// Swallows every byte from now on, or no longer.
    pub fn freeze(&self, frozen: bool) {
        self.state.frozen.store(frozen, Ordering::SeqCst);
    }
}

/// Carries bytes both ways until one side ends.
async fn join(near: TcpStream, far: TcpStream, state: Arc<State>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let up = async {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from_near.read(&mut bytes).await {
            if !state.frozen.load(Ordering::SeqCst) && to_far.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let (mut held, mut upgraded) = (Vec::new(), false);
        while let Ok(1..) = from_far.read_buf(&mut held).await {
            while let Some(length) = piece(&held, upgraded) {
                upgraded = true;
                let piece: Vec<u8> = held.drain(..length).collect();
                if !lost(&state, &piece) && to_near.write_all(&piece).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

fn lost(state: &State, piece: &[u8]) -> bool {
    let mut lose = state.lose.lock();
    let hit = lose.as_ref().is_some_and(|text| piece.windows(text.len()).any(|at| at == text.as_bytes()));
    if hit {
        *lose = None;
    }
    hit || state.frozen.load(Ordering::SeqCst)
}

/// Length of the first whole piece held: the answer to the upgrade, then frames, which a server does not mask.
fn piece(held: &[u8], upgraded: bool) -> Option<usize> {
    if !upgraded {
        return Some(held.windows(4).position(|end| end == b"\r\n\r\n")? + 4);
    }
    let length = match held.get(1)? & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes(held.get(2..4)?.try_into().unwrap())),
        127 => 10 + usize::try_from(u64::from_be_bytes(held.get(2..10)?.try_into().unwrap())).unwrap(),
        short => 2 + usize::from(short),
    };
    (held.len() >= length).then_some(length)
}
