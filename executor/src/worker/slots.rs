//! How many attempts a worker runs at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::supervise::boot_ms;

/// The slots of a worker.
#[derive(Debug, Clone)]
pub struct Slots {
    free: Arc<Semaphore>,
    total: usize,
}

/// A taken slot; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    taken_at_ms: u64,
}

impl Slots {
    /// That many slots, all free.
    pub fn new(total: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(total)), total }
    }

    /// A free slot, if there is one and the worker is not about to stop.
    pub fn try_take(&self) -> Option<Slot> {
        // The lease that a claim gets runs from before the claim is sent, so the time comes first.
        let taken_at_ms = boot_ms();
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Slot { _permit: permit, taken_at_ms })
    }

    /// Whether no slot is free, or given out any more.
    pub fn is_full(&self) -> bool {
        self.free.is_closed() || self.free.available_permits() == 0
    }

    /// No slot is given out any more.
    pub fn close(&self) {
        self.free.close();
    }

    /// Number of taken slots.
    pub fn busy(&self) -> usize {
        self.total - self.free.available_permits().min(self.total)
    }
}

impl Slot {
    /// When it was taken, in milliseconds of `CLOCK_BOOTTIME`.
    pub fn taken_at_ms(&self) -> u64 {
        self.taken_at_ms
    }
}
