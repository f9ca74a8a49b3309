//! One flag that ends everything that is not a stage.

use std::sync::Arc;

use petrel_bus::StopSignal;
use tokio::sync::Notify;

/// Shared by all that must end with the process.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    signal: StopSignal,
    notify: Notify,
}

impl Stop {
    /// Ends everything.
    pub fn set(&self) {
        self.0.signal.set();
        self.0.notify.notify_waiters();
    }

    /// Whether it is time to end.
    pub fn is_set(&self) -> bool {
        self.0.signal.is_set()
    }

    /// The same for supervised threads.
    pub fn signal(&self) -> StopSignal {
        self.0.signal.clone()
    }

    /// Resolves when it is time to end.
    pub async fn wait(&self) {
        loop {
            let notified = self.0.notify.notified();
            if self.is_set() {
                return;
            }
            notified.await;
        }
    }
}
