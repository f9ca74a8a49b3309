//! What the claim stage may know beside the tasks: the catalog, and how the worker stands.

use std::sync::Arc;

use petrel_bus::{GlobalsSource, Versioned};
use petrel_execution::worker::Said;

use super::attempts::Attempts;
use super::slots::Slots;
use crate::supervise::boot_ms;

/// The claim stage's globals, fixed for a turn of its driver.
#[derive(Debug)]
pub struct WorkerInputs<G> {
    /// The catalog.
    pub view: Arc<G>,
    /// Slots that were free.
    pub free_slots: usize,
    /// Whether the owners' orders are followed.
    pub following: bool,
    /// What they said about attempts that are not held.
    pub said: Said,
    /// Whether the worker is about to stop.
    pub draining: bool,
    /// When that was, in milliseconds of `CLOCK_BOOTTIME`: whatever is claimed is sent later.
    pub boot_ms: u64,
}

/// Looks at the catalog and the slots together.
pub(super) struct Inputs<G> {
    pub(super) view: Arc<dyn GlobalsSource<G>>,
    pub(super) slots: Slots,
    pub(super) attempts: Arc<Attempts>,
}

impl<G> GlobalsSource<WorkerInputs<G>> for Inputs<G>
where
    G: Send + Sync,
{
    fn current(&self) -> Versioned<WorkerInputs<G>> {
        let boot_ms = boot_ms();
        let Versioned { version, value: view } = self.view.current();
        let inputs = WorkerInputs {
            view,
            free_slots: self.slots.free(),
            following: self.attempts.is_following(),
            said: self.attempts.said(boot_ms),
            draining: self.slots.is_closed(),
            boot_ms,
        };
        Versioned { version, value: Arc::new(inputs) }
    }
}
