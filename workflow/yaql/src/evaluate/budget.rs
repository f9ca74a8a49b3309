//! What an evaluation has used of what it may use.

use std::cell::Cell;

use crate::error::EvaluationError;
use crate::options::Limits;

/// What an evaluation has used.
pub(crate) struct Budget {
    limits: Limits,
    steps: Cell<u64>,
    memory: Cell<u64>,
    depth: Cell<u32>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Budget {
        Budget { limits, steps: Cell::new(0), memory: Cell::new(0), depth: Cell::new(0) }
    }

    pub(crate) fn step(&self, steps: u64) -> Result<(), EvaluationError> {
        let used = self.steps.get().saturating_add(steps);
        self.steps.set(used);
        let most = self.limits.steps_max;
        if used > most {
            return Err(EvaluationError::budget(format!("the expression takes more than {most} steps (steps_max)")));
        }
        Ok(())
    }

    pub(crate) fn use_memory(&self, bytes: u64) -> Result<(), EvaluationError> {
        let used = self.memory.get().saturating_add(bytes);
        self.memory.set(used);
        let most = self.limits.memory_bytes_max;
        if used > most {
            let message = format!("the expression takes more than {most} bytes of memory (memory_bytes_max)");
            return Err(EvaluationError::budget(message));
        }
        Ok(())
    }

    pub(crate) fn enter(&self) -> Result<(), EvaluationError> {
        let most = self.limits.call_depth_max;
        if self.depth.get() >= most {
            let message = format!("calls nest more than {most} deep while it is evaluated (call_depth_max)");
            return Err(EvaluationError::budget(message));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
}
