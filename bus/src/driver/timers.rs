//! Timers that are due, and those that make the stage panic.
//!
//! A timer is the only thing that ends many an execution: it cannot be given up like a record. So one that kills
//! the stage is found, as a record is, by being offered alone, and at its third panic it is moved back, with a dead
//! letter in the same transaction; then it comes again. What else there was to do is done and committed before any
//! such timer is offered, so that its panic undoes nothing but its own step.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::poison::{RECORD_PANICS_MAX, STAGE_PANICKED};
use super::progress::Progress;
use super::tasks::Task;
use super::{Driver, Failure};
use crate::dead_letters::Reason;
use crate::record::Record;
use crate::session::TopicPartition;
use crate::stage::{Stage, StageSpec};
use crate::stats::{DELAYED_TIMERS_MAX, shown};
use crate::store::{DueTimer, Timer, TimerKind};

/// How much later a timer comes that has made the stage panic [`RECORD_PANICS_MAX`] times, in milliseconds.
pub const POISON_TIMER_DELAY_MS: i64 = 3_600_000;
/// Most timers of a partition that are offered alone in one turn: each of them may be a transaction.
const TIMERS_ALONE_MAX: usize = 64;

/// What is known of timers that made the stage panic.
#[derive(Debug, Default)]
pub(super) struct TimerSuspects {
    /// Those that were offered then, by partition and key, until they are gone from the committed state or stand
    /// there for another instant.
    by_key: BTreeMap<(u32, Vec<u8>), TimerSuspect>,
    /// Up to where records were taken and undone with the panic, until they are committed. One of them may set the
    /// timer once more, to another instant; offered in the same transaction it would undo them again.
    undone: BTreeMap<TopicPartition, i64>,
}

#[derive(Debug)]
struct TimerSuspect {
    timer: Timer,
    /// Panics when it was offered alone, and what the last one said.
    panics: u32,
    said: String,
}

impl TimerSuspects {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.undone.is_empty()
    }

    /// Whether a timer has killed the stage and not been heard of since.
    pub(super) fn is_any(&self) -> bool {
        !self.by_key.is_empty()
    }

    pub(super) fn concern(&self, number: u32) -> bool {
        let next = self.by_key.range((number, Vec::new())..).next();
        next.is_some_and(|((found, _), _)| *found == number) || self.undone.keys().any(|at| at.partition == number)
    }

    /// Records up to an offset were taken, and are undone.
    fn undone(&mut self, at: &TopicPartition, next: i64) {
        let known = self.undone.entry(at.clone()).or_insert(next);
        *known = next.max(*known);
    }

    /// That partition is committed up to an offset.
    pub(super) fn passed(&mut self, at: &TopicPartition, next: i64) {
        if self.undone.get(at).is_some_and(|until| *until <= next) {
            self.undone.remove(at);
        }
    }

    /// The stage panicked when it was offered these.
    fn panicked(&mut self, number: u32, kind: TimerKind, due: &[DueTimer], said: &str) {
        for DueTimer { due_ms, key } in due {
            let timer = Timer { kind, due_ms: *due_ms };
            let new = || TimerSuspect { timer, panics: 0, said: String::new() };
            let suspect = self.by_key.entry((number, key.clone())).or_insert_with(new);
            if suspect.timer != timer {
                *suspect = new();
            }
            if due.len() == 1 {
                suspect.panics += 1;
                said.clone_into(&mut suspect.said);
            }
        }
    }

    /// What the stage's panics at a timer said, if it has had as many as it may.
    fn verdict(&self, number: u32, kind: TimerKind, DueTimer { due_ms, key }: &DueTimer) -> Option<&str> {
        let suspect = self.by_key.get(&(number, key.clone()))?;
        let is_it = suspect.timer == Timer { kind, due_ms: *due_ms };
        (is_it && suspect.panics >= RECORD_PANICS_MAX).then_some(&*suspect.said)
    }

    /// Forgets those that do not stand as they did.
    fn retain(&mut self, stands: impl Fn(u32, &[u8]) -> Option<Timer>) {
        self.by_key.retain(|(number, key), suspect| stands(*number, key) == Some(suspect.timer));
    }

    /// Forgets what was undone of partitions that this member does not have: whoever has them commits it.
    fn retain_undone(&mut self, mine: impl Fn(&TopicPartition) -> bool) {
        self.undone.retain(|at, _| mine(at));
    }

    /// Somebody else has that topic's partition now.
    pub(super) fn forget_topic(&mut self, at: &TopicPartition) {
        self.undone.remove(at);
    }

    /// Somebody else has that partition number now.
    pub(super) fn forget(&mut self, number: u32) {
        self.by_key.retain(|(of, _), _| *of != number);
    }
}

impl<S: Stage> Driver<'_, S> {
    /// While the stage recovers from a panic, commits what records did before a timer can undo it; whether it
    /// did. What is lost must not be committed, and what is to be given up is committed there.
    pub(super) fn commit_before_timers(&mut self) -> Result<bool, Failure> {
        let are_mine = || self.tasks.iter().any(|task| self.suspects.timers.concern(task.number));
        let is_careful = self.is_recovering || (!self.suspects.timers.is_empty() && are_mine());
        if !is_careful || self.open_since_ms.is_none() || !self.events.is_empty() {
            return Ok(false);
        }
        self.commit()?;
        Ok(true)
    }

    pub(super) fn fire_timers(&mut self) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        if self.tasks.next_due_ms(TimerKind::Time).is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(());
        }
        self.tasks.partitions().into_iter().try_for_each(|partition| self.fire(partition, TimerKind::Time, now_ms))
    }

    /// Gives the stage a partition's timers of a kind that were due at an instant. Those of a partition with a
    /// timer under suspicion come last: see [`Driver::fire_suspected`].
    pub(super) fn fire(&mut self, partition: u32, kind: TimerKind, due_by_ms: i64) -> Result<(), Failure> {
        if self.suspects.timers.concern(partition) {
            return Ok(());
        }
        let Some(task) = self.tasks.get_mut(partition) else { return Ok(()) };
        let due = task.state.take_due(kind, due_by_ms, self.options.timers_max);
        self.offer_timers(partition, kind, &due)
    }

    /// Offers timers one by one where one of them is under suspicion.
    pub(super) fn fire_suspected(&mut self) -> Result<(), Failure> {
        if self.suspects.timers.is_empty() || !self.events.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        for partition in self.tasks.partitions() {
            if !self.suspects.timers.concern(partition) {
                continue;
            }
            self.fire_one_by_one(partition, TimerKind::Time, now_ms)?;
            if let Some(heard_ms) = self.heard_silence_until(partition, now_ms)
                && !self.told_meanwhile().contains(&partition)
            {
                self.fire_one_by_one(partition, TimerKind::Silence, heard_ms)?;
            }
        }
        Ok(())
    }

    fn fire_one_by_one(&mut self, partition: u32, kind: TimerKind, due_by_ms: i64) -> Result<(), Failure> {
        for _ in 0..TIMERS_ALONE_MAX {
            let Some(task) = self.tasks.get_mut(partition) else { return Ok(()) };
            if task.state.next_due_ms(kind).is_none_or(|due_ms| due_ms > due_by_ms) {
                return Ok(());
            }
            // What is done stays done, whatever this one does.
            self.commit()?;
            let Some(task) = self.tasks.get_mut(partition) else { return Ok(()) };
            let due = task.state.take_due(kind, due_by_ms, 1);
            let Some(timer) = due.first() else { return Ok(()) };
            match self.suspects.timers.verdict(partition, kind, timer).map(str::to_owned) {
                Some(said) => self.move_back(partition, kind, timer, &said),
                None => self.offer_timers(partition, kind, &due)?,
            }
        }
        Ok(())
    }

    fn offer_timers(&mut self, partition: u32, kind: TimerKind, due: &[DueTimer]) -> Result<(), Failure> {
        if due.is_empty() {
            return Ok(());
        }
        let offered = self.step(partition, |stage, context| stage.timers(due, context));
        if let Err(Failure::Panicked(said)) = &offered {
            self.suspects.timers.panicked(partition, kind, due, said);
            let task = self.tasks.get(partition).into_iter();
            let undone = task.flat_map(|task| &task.progress).filter_map(Progress::uncommitted);
            undone.for_each(|position| self.suspects.timers.undone(&position.at, position.offset));
        }
        offered
    }

    /// A timer that kills the stage comes again later, and is told.
    fn move_back(&mut self, partition: u32, kind: TimerKind, timer: &DueTimer, said: &str) {
        let due_ms = self.clock.now_ms().saturating_add(self.options.poison_timer_delay_ms);
        let Some(task) = self.tasks.get_mut(partition) else { return };
        task.state.set_timer(&timer.key, kind, due_ms);
        if task.state.moved_back().len() < DELAYED_TIMERS_MAX {
            task.state.note_moved_back(&timer.key, due_ms);
            task.has_moved_back = true;
        }
        task.touch();
        self.opened();
        let spec = self.stage.spec();
        let key = shown(&timer.key);
        tracing::error!(stage = %spec.name, partition, key, said, due_ms, "a timer that kills the stage is moved back");
        let reason =
            Reason::new(STAGE_PANICKED, format!("the timer of the key \"{key}\", moved back to {due_ms}: {said}"));
        // No record led to it: it stands in the stage's state.
        let record = Record { offset: -1, timestamp_ms: timer.due_ms, key: Some(&timer.key), value: None };
        let letter = spec.give_up(stands_in(spec), partition, &record, reason);
        self.outputs.push(letter);
        self.stats.timers_moved_back.fetch_add(1, Ordering::Relaxed);
    }

    /// Before a commit: those that have come again, or stand for another instant, are noted no longer.
    pub(super) fn forget_moved_back(&mut self) -> Result<(), Failure> {
        if !self.tasks.iter().any(|task| task.has_moved_back) {
            return Ok(());
        }
        for task in self.tasks.iter_mut().filter(|task| task.has_moved_back) {
            if task.state.forget_moved_back() {
                task.touch();
            }
        }
        self.check_states()
    }

    /// Tells of the timers of this member's that were moved back; what is not committed is not told.
    pub(super) fn tell_delayed(&self) {
        let one = |number| move |timer| (number, timer);
        let of_task = |task: &Task| task.state.moved_back().into_iter().map(one(task.number));
        let delayed = self.tasks.iter().filter(|task| task.has_moved_back).flat_map(of_task);
        self.stats.set_delayed(delayed.take(DELAYED_TIMERS_MAX).collect());
    }

    /// After a commit: timers that are gone, or stand for another instant, are not under suspicion any more, nor is
    /// what this member does not have.
    pub(super) fn clear_timer_suspects(&mut self) {
        let Self { suspects, tasks, .. } = self;
        suspects.timers.retain_undone(|at| tasks.get(at.partition).is_some_and(|task| task.topic(&at.topic).is_some()));
        if suspects.timers.is_any() {
            suspects.timers.retain(|number, key| tasks.get(number)?.state.timer(key));
        }
        for task in tasks.iter_mut().filter(|task| task.has_moved_back) {
            task.has_moved_back = !task.state.moved_back().is_empty();
        }
        self.tell_delayed();
    }
}

/// The topic that a stage's timers stand in, if they stand in one.
fn stands_in(spec: &StageSpec) -> &str {
    spec.changelog.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(key: &str, due_ms: i64) -> DueTimer {
        DueTimer { due_ms, key: key.into() }
    }

    #[test]
    fn a_timer_has_three_panics_alone_and_another_instant_is_another_timer() {
        let (mut suspects, kind) = (TimerSuspects::default(), TimerKind::Time);
        suspects.panicked(3, kind, &[due("a", 1), due("b", 1)], "both");
        assert!(suspects.concern(3) && !suspects.concern(2) && !suspects.concern(4));
        for panics in 1..=RECORD_PANICS_MAX {
            assert_eq!(suspects.verdict(3, kind, &due("b", 1)), None, "after {panics}");
            suspects.panicked(3, kind, &[due("b", 1)], "b alone");
        }
        assert_eq!(suspects.verdict(3, kind, &due("b", 1)), Some("b alone"));
        for other in [suspects.verdict(3, kind, &due("a", 1)), suspects.verdict(4, kind, &due("b", 1))] {
            assert_eq!(other, None);
        }
        assert_eq!(suspects.verdict(3, TimerKind::Silence, &due("b", 1)), None);
        assert_eq!(suspects.verdict(3, kind, &due("b", 2)), None);
        suspects.panicked(3, kind, &[due("b", 2)], "later");
        assert_eq!(suspects.verdict(3, kind, &due("b", 2)), None, "it counts anew");
        suspects.retain(|_, key| (key == b"a").then_some(Timer { kind, due_ms: 1 }));
        assert!(suspects.concern(3));
        suspects.retain(|_, _| Some(Timer { kind, due_ms: 2 }));
        assert!(suspects.is_empty(), "it stands for another instant");
    }

    #[test]
    fn a_partition_is_under_suspicion_until_what_was_undone_is_committed() {
        let (mut suspects, at) = (TimerSuspects::default(), TopicPartition { topic: "t".into(), partition: 3 });
        suspects.undone(&at, 7);
        suspects.undone(&at, 5);
        suspects.passed(&at, 6);
        assert!(suspects.concern(3) && !suspects.concern(2) && !suspects.is_any());
        suspects.passed(&at, 7);
        assert!(suspects.is_empty());
    }
}
