//! How many attempts a worker runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The slots of a worker.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    busy: AtomicUsize,
    closed: AtomicBool,
}

/// A taken slot; free again when dropped.
#[derive(Debug)]
pub struct Slot(Arc<Inner>);

impl Slots {
    /// That many slots, all free.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Inner { total, busy: AtomicUsize::new(0), closed: AtomicBool::new(false) }))
    }

    /// Takes a slot for a claim that has committed. Only the claim stage takes slots, and it has counted them.
    pub fn take(&self) -> Slot {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
        Slot(self.0.clone())
    }

    /// Number of free slots; none once they are closed.
    pub fn free(&self) -> usize {
        if self.is_closed() { 0 } else { self.0.total.saturating_sub(self.busy()) }
    }

    /// The worker is about to stop: nothing is to be claimed any more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the worker is about to stop.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Number of taken slots.
    pub fn busy(&self) -> usize {
        self.0.busy.load(Ordering::SeqCst)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}
