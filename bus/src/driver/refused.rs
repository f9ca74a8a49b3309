//! Partitions that are this member's and that it does not begin: going on there would lose something, or do it
//! once more. They stand still, loudly, until they are assigned anew; all others go on.
//!
//! A topic that follows another, and that other, tell one thing together: where one of them stands still, so does the
//! other.
//!
//! A state of which nobody knows what led to it stops all topics of its partition number: what one of them changed
//! would be a state that knows its positions, and to which the others are new.

use std::sync::Arc;

use super::{Driver, Failure};
use crate::session::{Begin, Position, TopicPartition};
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
    /// Refuses what is read together with something that is refused.
    pub(super) fn refuse_together(&self, begun: Vec<Begin>, mut refused: Vec<Refused>) -> (Vec<Begin>, Vec<Refused>) {
        let mut going_on = Vec::with_capacity(begun.len());
        for begin in begun {
            let together = refused.iter().find(|refused| self.are_together(&refused.position.at, &begin.position.at));
            let together = together.map(|refused| goes_with(&refused.position.at, &refused.why));
            match together.or_else(|| self.why_with_refused(&begin.position.at)) {
                Some(why) => refused.push(Refused { position: begin.position, why }),
                None => going_on.push(begin),
            }
        }
        (going_on, refused)
    }

    /// Lets partitions that were just accepted stand still.
    pub(super) fn stand_still(&mut self, refused: Vec<Refused>) -> Result<(), Failure> {
        for Refused { position: Position { at, .. }, why } in refused {
            self.refuse(at, why)?;
        }
        for (at, why) in self.running_and_refused() {
            self.leave_partitions(std::slice::from_ref(&at));
            self.refuse(at, why)?;
        }
        // A partition number without a topic would commit without an offset, which nobody fences: none of its timers
        // may fire either.
        self.leave_partitions(&[]);
        Ok(())
    }

    fn refuse(&mut self, at: TopicPartition, why: String) -> Result<(), Failure> {
        self.session.pause(&at)?;
        self.tell_halted(&at, why.clone());
        self.refused.insert(at, why);
        Ok(())
    }

    /// Somebody else has these partitions now.
    pub(super) fn forget_refused(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|at| _ = self.refused.remove(at));
        let Self { adrift, refused, withheld, .. } = self;
        withheld.retain(|at| refused.contains_key(at));
        adrift.retain(|number, _| refused.keys().any(|at| at.partition == *number));
    }

    /// What was begun before a topic came that is refused and stops it, too; and why.
    fn running_and_refused(&self) -> Vec<(TopicPartition, String)> {
        let why = |at: &TopicPartition| self.adrift.get(&at.partition).cloned().or_else(|| self.why_with_refused(at));
        let running = self.tasks.progress().map(|progress| &progress.at);
        running.filter_map(|at| Some((at.clone(), why(at)?))).collect()
    }

    /// Why a partition cannot be read, if it is read together with one that is refused.
    fn why_with_refused(&self, at: &TopicPartition) -> Option<String> {
        let (other, why) = self.refused.iter().find(|(other, _)| self.are_together(other, at))?;
        Some(goes_with(other, why))
    }

    /// Whether two partitions of a number are of topics of which one follows the other, or both a third.
    fn are_together(&self, one: &TopicPartition, other: &TopicPartition) -> bool {
        one.partition == other.partition && one != other && self.leader(&one.topic) == self.leader(&other.topic)
    }

    fn leader<'t>(&'t self, topic: &'t Arc<str>) -> &'t Arc<str> {
        let input = self.inputs.iter().find(|input| input.name == *topic);
        input.and_then(|input| input.with.as_ref()).unwrap_or(topic)
    }
}

fn goes_with(other: &TopicPartition, why: &str) -> String {
    format!("it is read together with {}/{}, which stands still: {why}", other.topic, other.partition)
}
