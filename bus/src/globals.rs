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

/// Where a driver finds the globals. It looks between two batches and keeps what it saw for a whole one.
pub trait GlobalsSource<G>: Send + Sync {
    /// The globals in force now.
    fn current(&self) -> Versioned<G>;
}

/// Globals that never change, for stages that need none and for tests.
impl<G: Send + Sync> GlobalsSource<G> for Versioned<G> {
    fn current(&self) -> Versioned<G> {
        self.clone()
    }
}
