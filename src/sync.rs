//! The lock and the bell that threads share in the store, the hub and a client's connection, so that `tests/model` can try their
//! interleavings.
//!
//! They are `parking_lot`'s and `tokio`'s own; only a build with the feature `model` puts the model checker's in their place. What is
//! not shared between a commit, a reader and the one who wakes has no need of them.

#[cfg(not(feature = "model"))]
pub use parking_lot::Mutex;
#[cfg(not(feature = "model"))]
pub use std::sync::atomic::AtomicU64;
#[cfg(not(feature = "model"))]
pub use tokio::sync::Notify;

#[cfg(feature = "model")]
pub use model::{Mutex, Notify};
#[cfg(feature = "model")]
pub use shuttle::sync::atomic::AtomicU64;

#[cfg(feature = "model")]
mod model {
    use shuttle::sync::atomic::{AtomicUsize, Ordering};

    /// A lock around which the checker may let any other thread run.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().expect("the checker stops at the first panic")
        }

        pub fn try_lock(&self) -> Option<shuttle::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// The real bell, which is one step to the checker: before each, any other thread may run.
    #[derive(Debug, Default)]
    pub struct Notify {
        step: AtomicUsize,
        bell: tokio::sync::Notify,
    }

    impl Notify {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn notify_one(&self) {
            self.step.fetch_add(1, Ordering::SeqCst);
            self.bell.notify_one();
        }

        pub async fn notified(&self) {
            self.step.fetch_add(1, Ordering::SeqCst);
            self.bell.notified().await;
        }
    }
}
