//! Partitions that are this member's and that it does not begin: going on there would lose something, or do it
//! once more. They stand still, loudly, until they are assigned anew; all others go on.
//!
//! A state of which nobody knows what led to it stops all topics of its partition number: what one of them changed
//! would be a state that knows its positions, and to which the others are new.

use super::{Driver, Failure};
use crate::session::{Position, TopicPartition};
use crate::stage::Stage;

/// A topic's partition that is not begun.
#[derive(Debug)]
pub(super) struct Refused {
    /// Somewhere in the partition: it is taken there, for it is the group's will, and not read.
    pub(super) position: Position,
    /// Why, and what to do, for people.
    pub(super) why: String,
}

impl<S: Stage> Driver<'_, S> {
    /// Lets partitions that were just accepted stand still.
    pub(super) fn stand_still(&mut self, refused: Vec<Refused>) -> Result<(), Failure> {
        for Refused { position: Position { at, .. }, why } in refused {
            self.session.pause(&at)?;
            self.tell_halted(&at, why);
            self.refused.insert(at);
        }
        for at in self.running_adrift() {
            let why = self.adrift.get(&at.partition).cloned().unwrap_or_default();
            self.session.pause(&at)?;
            self.tell_halted(&at, why);
            self.leave_partitions(std::slice::from_ref(&at));
            self.refused.insert(at);
        }
        // A partition number without a topic would commit without an offset, which nobody fences: none of its timers
        // may fire either.
        self.leave_partitions(&[]);
        Ok(())
    }

    /// Somebody else has these partitions now.
    pub(super) fn forget_refused(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|at| _ = self.refused.remove(at));
        let Self { adrift, refused, .. } = self;
        adrift.retain(|number, _| refused.iter().any(|at| at.partition == *number));
    }

    /// What was begun before a topic came that showed that the state is adrift.
    fn running_adrift(&self) -> Vec<TopicPartition> {
        let tasks = self.adrift.keys().filter_map(|number| self.tasks.get(*number));
        tasks.flat_map(|task| &task.progress).map(|progress| progress.at.clone()).collect()
    }
}
