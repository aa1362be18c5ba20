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

use std::time::Duration;

use tokio::time::timeout;

/// Longer than anything a test waits for; a test that meets it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The future's value, or the test's failure where it takes too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Asks again and again until there is an answer: for what nobody announces.
pub async fn poll<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut pause = tokio::time::interval(Duration::from_millis(20));
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
