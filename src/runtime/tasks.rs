//! Supervised tasks: the only place that spawns. Each task has a name and a policy, and none ends unnoticed.
//!
//! It restarts nothing: what should come back loops inside its own task, with a [`Backoff`](super::Backoff).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What a task's end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The group cannot do without it: an end before the stop was asked for, or a panic at any time, stops the group.
    Fatal,
    /// It may end whenever it likes. A panic is logged and counted; the others go on.
    Detached,
}

/// The task that brought its group down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {name} {how}")]
pub struct Failure {
    pub name: Arc<str>,
    pub how: How,
}

/// How a fatal task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    EndedEarly,
    Panicked,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EndedEarly => "ended early",
            Self::Panicked => "panicked",
        })
    }
}

/// A group of tasks that stop together. Clones are the same group.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Watch {
    /// The first failure: those after it are its consequences.
    failure: Mutex<Option<Failure>>,
    panics: AtomicU64,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task. It is never aborted: a task that waits for anything must also wait for [`Tasks::stopping`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(&self, name: impl Into<Arc<str>>, policy: Policy, task: impl Future<Output = ()> + Send + 'static) {
        let (name, stop, watch) = (name.into(), self.stop.clone(), self.watch.clone());
        // A panic ends its task alone: whatever the future borrowed dies with it, and shared state is behind locks.
        self.tracker
            .spawn(AssertUnwindSafe(task).catch_unwind().map(move |end| watch.ended(name, policy, end.is_err(), &stop)));
    }

    /// Asks every task to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the stop was asked for, by [`Tasks::stop`] or by a fatal end. May be cancelled.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Has the stop been asked for?
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// The token behind [`Tasks::stopping`], to hand to parts or to derive children from.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Makes [`Tasks::wait`] wait for work that another library spawned (an upgraded connection), until the token is dropped.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Tasks and holds that have not ended.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until every task has ended and every hold is dropped; asks for nothing, so call [`Tasks::stop`] first. May be
    /// cancelled.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The first fatal end. `None`: all is well.
    pub fn failure(&self) -> Option<Failure> {
        self.watch.failure.lock().clone()
    }

    /// Panics caught so far, of either policy.
    pub fn panics(&self) -> u64 {
        self.watch.panics.load(Ordering::Relaxed)
    }
}

impl Watch {
    fn ended(&self, name: Arc<str>, policy: Policy, panicked: bool, stop: &CancellationToken) {
        if panicked {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(task = %name, "task panicked");
        }
        let how = match policy {
            Policy::Detached => return,
            Policy::Fatal if panicked => How::Panicked,
            Policy::Fatal if stop.is_cancelled() => return,
            Policy::Fatal => How::EndedEarly,
        };
        tracing::error!(task = %name, %how, "a task the process needs is gone: stopping");
        self.failure.lock().get_or_insert(Failure { name, how });
        stop.cancel();
    }
}
