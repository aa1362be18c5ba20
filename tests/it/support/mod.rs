//! What the tests share: a gateway against simulated venues, a client of the public protocol, processes. No test stands here.
//!
//! The client reads frames by its own rules and shares no code with the gateway's side, so that both can be wrong apart.

pub mod client;
pub mod contract;
pub mod picture;
pub mod process;
pub mod terminal;
pub mod wire;
pub mod world;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// Longer than anything a test waits for on whatever machine, which may stand still for seconds at a time; a test that meets it has
/// failed. The only bound of time in the tests that says "too late": everything else is told by what came, and in which order.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Lines for a configuration's `[server]` section: what the gateway does by the clock alone is put off, unless `given` sets it, so that
/// a machine that stands still for a while brings no frame or close that a test did not ask for.
pub fn unhurried(given: &str) -> String {
    let keys = ["heartbeat_ms", "ping_interval_ms", "auth_timeout_ms", "write_stall_ms"];
    keys.iter().filter(|key| !given.contains(*key)).map(|key| format!("{key} = 300000\n")).collect()
}

/// An address of this machine that no other test listens at. A port of it that was let go is free still when it is wanted again: nobody
/// else is given a port of this address. Elsewhere than on Linux there is but one address, and a little luck.
pub fn own_address() -> Ipv4Addr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST;
    }
    // Of 127.128.0.0/9: what tells processes apart that run at the same time, and what tells the tests of one process apart.
    let (process, turn) = (std::process::id() & 0x1_ffff, TAKEN.fetch_add(1, Ordering::Relaxed) & 0x3f);
    Ipv4Addr::from_bits(0x7f80_0000 | process << 6 | turn)
}

/// The future's value, or the test's failure where it takes too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Asks again and again until there is an answer: for what nobody announces.
pub async fn poll<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut pause = interval(Duration::from_millis(20));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asking = async {
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    soon(what, asking).await
}
