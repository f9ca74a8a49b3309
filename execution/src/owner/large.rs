//! The log cannot take what an owner would remember of an execution.

use super::Owner;
use super::enter::Left;
use crate::code;
use crate::execution::Execution;
use crate::state::{End, Failed, In, LeadsTo};
use crate::subject::Note;

impl Owner<'_> {
    /// The execution ends here, for it could not be written as it is. What makes it large is left out. Its worker, if
    /// it has one, is told to stop with its next heartbeat.
    pub fn too_large(&mut self, execution: Execution, why: &str) {
        match execution {
            Execution::Delayed(delayed) => self.end_too_large(delayed, why),
            Execution::Scheduled(scheduled) => self.end_too_large(scheduled, why),
            Execution::Running(running) => self.end_too_large(running, why),
            Execution::Pausing(pausing) => self.end_too_large(pausing, why),
            Execution::Pending(pending) => self.end_too_large(pending, why),
            Execution::Canceling(canceling) => self.end_too_large(canceling, why),
            Execution::Paused(paused) => self.end_too_large(paused, why),
            Execution::Resuming(resuming) => self.end_too_large(resuming, why),
            // The others hold no more than those before them, and of what is over hardly anything is remembered.
            _ => {}
        }
    }

    fn end_too_large<S: LeadsTo<Failed>>(&mut self, mut from: In<S>, why: &str) {
        let left = Left::of(&from);
        from.core.parameters = "{}".to_owned();
        // The change that could not be written was not made.
        from.core.sequence -= 1;
        let note = Note::new(code::STATE_TOO_LARGE, format!("its state is too large: {why}"));
        self.enter(left, from.fail(End::unheld(self.now_ms()), note));
    }
}
