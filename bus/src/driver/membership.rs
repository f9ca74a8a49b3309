//! Partitions come and go: restore on assignment, commit before giving up.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::{Driver, DriverPoint, Failure};
use crate::session::{Begin, GroupEvent, Position, SessionError, TopicPartition};
use crate::stage::Stage;

impl<S: Stage> Driver<'_, S> {
    pub(super) fn group_event(&mut self, event: GroupEvent) -> Result<(), Failure> {
        match event {
            GroupEvent::Assigned(partitions) => {
                // Taking them may mean to wait for a transaction that their last owner left open: longer than
                // one may stay open, and perhaps for somebody who waits for this one.
                self.close_transaction()?;
                self.assigned(&partitions).map_err(|failure| match failure {
                    // Half restored, there is nothing to go back to.
                    Failure::Session(SessionError::Abort(why)) => SessionError::Rebuild(why).into(),
                    other => other,
                })
            }
            GroupEvent::Revoked(partitions) => {
                self.point(DriverPoint::Revoking)?;
                // Undone here, it is done again by whoever gets them: they must be given up all the same.
                let last = self.commit_last();
                self.or_abort(last)?;
                self.released(&partitions)
            }
            GroupEvent::Lost(partitions) => {
                self.abort()?;
                self.released(&partitions)
            }
            GroupEvent::Halted(at, why) => {
                // Nobody reads one that was not begun: that it was not is what counts.
                if !self.refused.contains_key(&at) {
                    self.tell_halted(&at, why);
                    self.halts.halted(&at, &*self.session, self.clock.now_ms());
                    self.look.soon();
                }
                Ok(())
            }
            GroupEvent::Missing(topic, why) => {
                self.tell_missing(topic, why);
                Ok(())
            }
        }
    }

    /// Commits what is open, or else undoes it.
    fn close_transaction(&mut self) -> Result<(), Failure> {
        let committed = self.commit();
        self.or_abort(committed)
    }

    pub(super) fn or_abort(&mut self, committed: Result<(), Failure>) -> Result<(), Failure> {
        match committed {
            Err(Failure::Session(SessionError::Abort(why))) => {
                tracing::warn!(stage = %self.stage.spec().name, %why, "transaction aborted");
                self.abort()
            }
            committed => committed,
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        self.point(DriverPoint::Assigned)?;
        // Whatever halted them is looked at anew.
        self.forget_halted(partitions);
        self.forget_missing(|topic| partitions.iter().any(|at| at.topic == *topic));
        self.look_for_missing();
        let begun = self.session.begin(partitions)?;
        let now_ms = self.clock.now_ms();
        let numbers: BTreeSet<u32> = begun.iter().map(|begin| begin.position.at.partition).collect();
        let new: Vec<u32> = numbers.into_iter().filter(|number| self.tasks.ensure(*number, now_ms).is_new()).collect();
        self.restore(&new)?;
        self.note_withheld(&begun);
        let (begun, refused) = self.continue_positions(begun)?;
        let (begun, refused) = self.refuse_together(begun, refused);
        for begin in &begun {
            self.tasks.ensure(begin.position.at.partition, now_ms).add(begin);
        }
        self.point(DriverPoint::Restored)?;
        let begun = begun.into_iter().map(|Begin { position, .. }| position);
        let positions: Vec<Position> = begun.chain(refused.iter().map(|refused| refused.position.clone())).collect();
        self.session.accept(&positions)?;
        self.stand_still(refused)?;
        self.commit_starts()?;
        self.stats.assigned.store(self.tasks.topic_partitions() as u64, Ordering::Relaxed);
        self.tell_delayed();
        self.stats.ready.store(true, Ordering::Relaxed);
        self.stats.session_problem(None);
        // Restored state may wait for a globals change that this member never saw happen: the next turn
        // begins with telling it.
        Ok(())
    }

    fn released(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        self.session.release(partitions)?;
        partitions.iter().for_each(|at| self.suspects.forget(at));
        self.leave_partitions(partitions);
        self.recovered_by_giving_up();
        self.forget_refused(partitions);
        self.stats.assigned.store(self.tasks.topic_partitions() as u64, Ordering::Relaxed);
        self.forget_halted(partitions);
        self.look_for_missing();
        Ok(())
    }

    /// Forgets partitions, and numbers that nothing is left of.
    pub(super) fn leave_partitions(&mut self, partitions: &[TopicPartition]) {
        for number in self.tasks.remove(partitions) {
            self.suspects.timers.forget(number);
            self.stage.revoked(number);
        }
        self.tell_delayed();
    }

    pub(super) fn tell_halted(&self, at: &TopicPartition, why: String) {
        let at = name(at);
        tracing::error!(stage = %self.stage.spec().name, partition = %at, %why, "partition halted");
        self.stats.halted(at, why);
    }

    /// A bus may go on by itself with what it could not read, once the topic's leader is back.
    pub(super) fn forget_read_again(&mut self) {
        let read = self.halts.read_again(&*self.session);
        if !read.is_empty() {
            self.forget_halted(&read);
        }
    }

    fn forget_halted(&mut self, partitions: &[TopicPartition]) {
        self.halts.forget(partitions);
        let names: Vec<String> = partitions.iter().map(name).collect();
        self.stats.forget_halted(|at| names.iter().any(|name| name == at));
    }
}

/// How a partition is named to people.
fn name(at: &TopicPartition) -> String {
    format!("{}/{}", at.topic, at.partition)
}
