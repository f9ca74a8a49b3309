//! What is the same for all partitions: the catalog's revision and the key-value store.

use std::sync::Arc;

/// A value together with the version that orders it.
#[derive(Debug)]
pub struct Versioned<G> {
    /// Grows with every change.
    pub version: u64,
    /// The value in force.
    pub value: Arc<G>,
}

impl<G> Clone for Versioned<G> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: self.value.clone() }
    }
}

/// Ends a wait for records early, from any thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Where a driver finds the globals. It looks between two batches and keeps what it saw for a whole one.
pub trait GlobalsSource<G>: Send + Sync {
    /// The globals in force now, for a turn of the driver.
    fn current(&self) -> Versioned<G>;

    /// The globals in force now, in the same turn: records have been read since, and whoever wrote them may have waited
    /// for a change.
    fn anew(&self) -> Arc<G> {
        self.current().value
    }

    /// How to wake the driver that looks here, if something has changed that shall be seen at once.
    fn wake_with(&self, waker: Waker) {
        let _ = waker;
    }
}

/// Globals that never change, for stages that need none and for tests.
impl<G: Send + Sync> GlobalsSource<G> for Versioned<G> {
    fn current(&self) -> Versioned<G> {
        self.clone()
    }
}
