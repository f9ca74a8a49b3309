//! What is told to a stage beside the log, by somebody in the same process.

use super::{Driver, Failure};
use crate::stage::Stage;

impl<S: Stage> Driver<'_, S> {
    /// Gives it to the partitions that it is for. What makes the stage panic may be among it: after a panic it goes
    /// another way.
    pub(super) fn take_told(&mut self) -> Result<(), Failure> {
        let mine = if self.is_recovering { Vec::new() } else { self.tasks.partitions() };
        let told = self.stage.told(&self.globals.value, &mine);
        told.into_iter().try_for_each(|partition| self.step(partition, |stage, context| stage.take_told(context)))
    }

    /// Nobody shall wait for what will not be taken.
    pub(super) fn refuse_told(&mut self) {
        let current = self.source.current();
        self.stage.told(&current.value, &[]);
    }
}
