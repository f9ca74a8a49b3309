//! The catalog as one process knows it: it learns of a revision some time after it was applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use petrel_bus::{GlobalsSource, Versioned};

use crate::pack::{Known, revisions};

/// The newest revision that a process knows.
#[derive(Debug, Default)]
pub struct Catalog(AtomicUsize);

impl Catalog {
    /// It knows all revisions up to this one now.
    pub fn learn(&self, number: usize) {
        self.0.store(number.min(revisions().len() - 1), Ordering::Relaxed);
    }

    /// Number of the newest revision that it knows.
    pub fn number(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl GlobalsSource<Known> for Catalog {
    fn current(&self) -> Versioned<Known> {
        let number = self.number();
        Versioned { version: number as u64 + 1, value: Arc::clone(&revisions()[number]) }
    }
}
