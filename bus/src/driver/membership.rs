//! Partitions come and go: restore on assignment, commit before giving up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::{Driver, DriverPoint, Failure};
use crate::session::{GroupEvent, Position, SessionError, TopicPartition};
use crate::stage::{Input, Stage};

impl<S: Stage> Driver<'_, S> {
    pub(super) fn group_event(&mut self, event: GroupEvent) -> Result<(), Failure> {
        match event {
            GroupEvent::Assigned(partitions) => self.assigned(&partitions),
            GroupEvent::Revoked(partitions) => {
                self.point(DriverPoint::Revoking)?;
                self.commit()?;
                self.released(&partitions)
            }
            GroupEvent::Lost(partitions) => {
                self.abort()?;
                self.released(&partitions)
            }
            GroupEvent::Halted(at, why) => {
                let at = format!("{}/{}", at.topic, at.partition);
                tracing::error!(stage = %self.stage.spec().name, partition = %at, %why, "partition halted");
                self.stats.halted(at, why);
                Ok(())
            }
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        self.point(DriverPoint::Assigned)?;
        let positions = self.session.begin(partitions)?;
        let mut by_number: BTreeMap<u32, Vec<Position>> = BTreeMap::new();
        for position in positions {
            by_number.entry(position.at.partition).or_default().push(position);
        }
        for (number, positions) in &by_number {
            let task = self.tasks.ensure(*number);
            if task.is_new()
                && let Some(changelog) = self.stage.spec().changelog.clone()
            {
                let at = TopicPartition { topic: changelog, partition: *number };
                self.session.restore(&at, &mut |key, value| task.state.restore(key, value))?;
            }
            task.add(positions);
        }
        self.check_co_assignment()?;
        self.point(DriverPoint::Restored)?;
        let positions: Vec<Position> = by_number.into_values().flatten().collect();
        self.session.accept(&positions)?;
        self.stats.assigned.store(self.tasks.topic_partitions() as u64, Ordering::Relaxed);
        self.stats.ready.store(true, Ordering::Relaxed);
        self.stats.session_problem(None);
        // Restored state may wait for a globals change that this member never saw happen.
        for number in positions.iter().map(|p| p.at.partition).collect::<BTreeSet<_>>() {
            self.step(number, Input::GlobalsChanged);
            self.touch(number);
        }
        Ok(())
    }

    /// State that several topics share is only whole if each of them is assigned here.
    fn check_co_assignment(&self) -> Result<(), Failure> {
        if !self.stage.spec().co_partitioned {
            return Ok(());
        }
        for (number, task) in self.tasks.iter() {
            let missing: Vec<&str> = self
                .inputs
                .iter()
                .map(|i| &*i.name)
                .filter(|name| !task.topics().any(|at| &*at.topic == *name))
                .collect();
            if !missing.is_empty() {
                return Err(SessionError::Halt(format!(
                    "stage {} was assigned partition {number} without that of {}: its topics need the same number of partitions",
                    self.stage.spec().name,
                    missing.join(", "),
                ))
                .into());
            }
        }
        Ok(())
    }

    fn released(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        self.session.release(partitions)?;
        for number in self.tasks.remove(partitions) {
            self.stage.revoked(number);
        }
        self.stats.assigned.store(self.tasks.topic_partitions() as u64, Ordering::Relaxed);
        self.stats.forget_halted();
        Ok(())
    }
}
