//! The log cannot take what an owner would remember of an execution.

use super::Owner;
use crate::code;
use crate::execution::Execution;
use crate::status::Status;
use crate::subject::Note;

impl Owner<'_> {
    /// The execution ends here, for it could not be written as it is, after so many changes that were not written either.
    /// What makes it large is left out. Its worker, if it has one, is told to stop with its next heartbeat; what a workflow
    /// has started is ended first.
    pub fn too_large(&mut self, mut execution: Execution, unwritten: i64, why: &str) {
        execution.core_mut().sequence -= unwritten;
        execution.core_mut().parameters = "{}".to_owned();
        let note = Note::new(code::STATE_TOO_LARGE, format!("its state is too large: {why}"));
        let has_begun = execution.is_conducted() && execution.core().has_begun();
        if has_begun && execution.status() != Status::Canceling {
            return self.doom(execution, note);
        }
        match execution {
            Execution::Delayed(delayed) => self.refuse(delayed, note),
            Execution::Scheduled(scheduled) => self.refuse(scheduled, note),
            Execution::Running(running) => self.refuse(running, note),
            Execution::Pausing(pausing) => self.refuse(pausing, note),
            Execution::Pending(pending) => self.refuse(pending, note),
            Execution::Canceling(canceling) => self.refuse(canceling, note),
            Execution::Paused(paused) => self.refuse(paused, note),
            Execution::Resuming(resuming) => self.refuse(resuming, note),
            // The others hold no more than those before them, and of what is over hardly anything is remembered.
            _ => {}
        }
    }
}
