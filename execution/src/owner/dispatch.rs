//! Dispatch: a task for the workers, or a start beside the owner, at once or when a pause of all dispatch ends.

use petrel_schemas::{Class, ExecutionId, Task};

use super::enter::{Left, MayWait};
use super::{Effect, Owner};
use crate::code;
use crate::delivery::Delivery;
use crate::plan::Resolution;
use crate::state::{DelayReason, Delayed, Failed, Holder, In, LeadsTo, Scheduled, Timeout};
use crate::subject::{Core, Note};

/// The longest pause between two rounds of workers that do not take a task, in milliseconds.
const SELDOM_MS_MAX: i64 = 30_000;

impl<'f> Owner<'f> {
    /// Hands the next attempt to the workers, or lets it wait while dispatch is paused. `start_by_ms` is that of
    /// a task that was declined; any other one gets its full time.
    pub(super) fn dispatch<S>(&mut self, from: In<S>, note: Note, start_by_ms: Option<i64>)
    where
        S: MayWait + LeadsTo<Scheduled> + LeadsTo<Failed> + LeadsTo<Timeout>,
    {
        if let Err(note) = self.pool_of(&from.core) {
            return self.refuse(from, note);
        }
        if self.is_late(&from.core) {
            return self.out_of_time(from);
        }
        let (now_ms, retry_by_ms) = (self.now_ms(), from.core.retry_by_ms());
        if retry_by_ms.is_some_and(|by_ms| now_ms > by_ms) {
            return self.too_late_again(from, note);
        }
        if self.facts.actions.dispatch_paused() {
            return self.hold_back(from, note, start_by_ms);
        }
        if let Some(closed) = self.closed(&from.core) {
            return self.keep_out(from, closed, note);
        }
        if Self::has_gates_before(&from.core) {
            return self.ask_gate(from);
        }
        if from.core.is_conducted() {
            return self.begin_workflow(from);
        }
        let left = Left::of(&from);
        let start_by_ms = start_by_ms.unwrap_or_else(|| now_ms.saturating_add(self.limits().schedule_to_start_ms));
        let limits_ms = [retry_by_ms, from.core.deadline_at_ms()];
        let start_by_ms = limits_ms.into_iter().flatten().fold(start_by_ms, i64::min);
        let partition = self.next_partition(&from.core);
        let scheduled = from.schedule(
            Scheduled { partition, start_by_ms, declines: 0, too_small: 0, again_ms: None },
            now_ms,
            note,
        );
        match self.beside(&scheduled.core) {
            Some(worker) => self.start_beside(left, scheduled, worker),
            None => {
                self.hand_out(&scheduled);
                self.enter(left, scheduled);
            }
        }
    }

    /// The worker in this process that can start it at once. Only a first attempt: what was lost or given back once
    /// goes to others. What is done when there is time overtakes nothing, and takes its turn with all else.
    fn beside(&self, core: &Core) -> Option<&'f str> {
        let beside = self.facts.beside.filter(|_| core.attempt.number <= 1 && core.class() != Class::Bulk)?;
        let of_its_pool = core.terms.as_ref().is_some_and(|terms| terms.pool == beside.pool);
        let subject = &core.subject;
        let fits = || match self.facts.actions.resolve(&subject.revision, &subject.action) {
            // What is over with its claim needs no slot; what needs room waits in the worker's line for it.
            Resolution::Ready(plan) => !plan.runner.is_instant() && plan.needs.is_none(),
            _ => false,
        };
        (of_its_pool && fits()).then_some(beside.worker)
    }

    /// Scheduled and claimed in one step: nobody else is asked.
    fn start_beside(&mut self, left: Left, scheduled: In<Scheduled>, worker: &str) {
        let task = self.task(&scheduled);
        let claimed_from = Left::of(&scheduled);
        self.enter(left, scheduled.clone());
        let holder = Holder { worker: worker.to_owned(), started_at_ms: Some(self.now_ms()) };
        self.enter(claimed_from, scheduled.claimed(holder));
        self.push(Effect::Start(task));
    }

    /// It waits for the end of the pause, and asks its gates anew then: or all that they let pass during a long pause
    /// would start at once.
    pub(super) fn hold_back<S: MayWait>(&mut self, mut from: In<S>, note: Note, start_by_ms: Option<i64>) {
        self.stand_back(&mut from.core);
        let left = Left::of(&from);
        let delayed = Delayed { reason: DelayReason::DispatchPaused, until_ms: None, start_by_ms };
        self.enter(left, S::wait(from, delayed, note.error));
    }

    /// A worker is too small for it. Each further task goes to another partition, to all of them before one comes again:
    /// when those of all were declined for that, one after the other, no worker that is there is large enough. One that is
    /// may be starting again, so all are asked anew, ever more seldom, until it has waited for long enough.
    pub(super) fn too_small(&mut self, scheduled: In<Scheduled>, worker: &str) {
        let seen = u32::try_from(scheduled.state.too_small).unwrap_or(0).saturating_add(1);
        if seen < self.limits().task_partitions {
            return self.redispatch(scheduled, true);
        }
        let core = &scheduled.core;
        let waited_ms = self.waited_ms(&scheduled);
        let subject = &core.subject;
        let needs = match self.facts.actions.resolve(&subject.revision, &subject.action) {
            Resolution::Ready(plan) => plan.needs.to_string(),
            _ => "more".to_owned(),
        };
        let pool = scheduled.core.terms.as_ref().map(|terms| terms.pool.as_str()).unwrap_or_default();
        let why = format!("it needs {needs}, which no worker of the pool {pool} has; {worker} was asked last");
        if waited_ms < self.limits().no_room_ms {
            let pause_ms = self.seldom_ms(&scheduled);
            return self.set_aside(scheduled, pause_ms, why);
        }
        self.refuse(scheduled, Note::new(code::NO_ROOM, why));
    }

    /// Since when its attempt waits for a worker, in milliseconds.
    fn waited_ms(&self, scheduled: &In<Scheduled>) -> i64 {
        let start_by_ms = scheduled.state.start_by_ms;
        match scheduled.core.deadline_at_ms() {
            // It tells when the execution is over, and not since when it waits.
            Some(deadline_ms) if deadline_ms <= start_by_ms => 0,
            _ => self.now_ms() - start_by_ms.saturating_sub(self.limits().schedule_to_start_ms),
        }
    }

    /// How long it rests before it goes round again, in milliseconds: the longer it has waited, the longer.
    pub(super) fn seldom_ms(&self, scheduled: &In<Scheduled>) -> i64 {
        self.waited_ms(scheduled).min(SELDOM_MS_MAX).max(self.limits().decline_pause_ms)
    }

    /// A declined task goes elsewhere. What is paused meanwhile waits with the others.
    pub(super) fn redispatch(&mut self, scheduled: In<Scheduled>, is_too_small: bool) {
        if self.facts.actions.dispatch_paused() {
            // Its task is passed: after the pause it gets its full time, as all others do.
            return self.hold_back(scheduled, Note::NONE, None);
        }
        if let Some(closed) = self.closed(&scheduled.core) {
            return self.keep_out(scheduled, closed, Note::NONE);
        }
        if let Err(note) = self.pool_of(&scheduled.core) {
            return self.refuse(scheduled, note);
        }
        let partition = self.next_partition(&scheduled.core);
        let scheduled = scheduled.elsewhere(partition, is_too_small);
        self.hand_out(&scheduled);
        self.push(Effect::Update(scheduled.into()));
    }

    /// The pool that its task goes to, if it is (still) one of those that have topics.
    fn pool_of(&self, core: &Core) -> Result<(), Note> {
        match core.terms.as_ref().filter(|_| !core.is_conducted()) {
            Some(terms) => self.has_pool(&terms.pool),
            None => Ok(()),
        }
    }

    fn next_partition(&self, core: &Core) -> u32 {
        let further = u32::try_from(core.attempt.number).unwrap_or(0);
        partition_of(core.id(), further, self.limits().task_partitions)
    }

    fn hand_out(&mut self, scheduled: &In<Scheduled>) {
        let pool = scheduled.core.terms.as_ref().map(|t| t.pool.clone()).unwrap_or_default();
        let (class, task) = (scheduled.core.class(), self.task(scheduled));
        self.push(Effect::Dispatch { pool, class, partition: scheduled.state.partition, task });
    }

    fn task(&self, scheduled: &In<Scheduled>) -> Task {
        let (core, state) = (&scheduled.core, &scheduled.state);
        let (subject, terms) = (&core.subject, core.terms.as_ref());
        Task {
            execution_id: subject.id.to_string(),
            root_execution_id: subject.id.root().into(),
            event_id: subject.event_id.clone(),
            event_at_ms: subject.event_at_ms,
            rule: subject.rule.clone(),
            action: subject.action.clone(),
            revision: subject.revision.clone(),
            parameters: core.parameters.clone(),
            attempt: core.attempt.number,
            token: core.attempt.token,
            delivery: terms.map_or(Delivery::AtMostOnce, |t| t.delivery).as_str().to_owned(),
            timeout_ms: terms.map(|t| t.timeout_ms).unwrap_or_default(),
            lease_ms: self.limits().lease_ms,
            dispatched_at_ms: self.now_ms(),
            start_by_ms: state.start_by_ms,
            declines: state.declines,
        }
    }
}

/// Partition of an execution's task: executions are spread evenly, and each further attempt goes elsewhere, to
/// all partitions before one comes again. The steps are wide, for neighbours often have the same worker.
pub(super) fn partition_of(id: &ExecutionId, further: u32, partitions: u32) -> u32 {
    let partitions = u64::from(partitions.max(1));
    // FNV-1a; the ids are hashes, so anything that takes all of their digits spreads them.
    let first = id
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The golden section of the partitions, moved up until it has no divisor with their number.
    let mut stride = (partitions * 618 / 1_000).max(1);
    while gcd(stride, partitions) != 1 {
        stride += 1;
    }
    let at = (first >> 16) % partitions + u64::from(further) * stride;
    u32::try_from(at % partitions).unwrap_or(0)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_spread_and_attempts_see_every_partition() {
        for partitions in [1, 2, 3, 4, 12, 16, 64, 100] {
            let mut counts = vec![0; partitions as usize];
            for n in 0..100 * partitions {
                let id = ExecutionId::of_manual(&n.to_string());
                counts[partition_of(&id, 0, partitions) as usize] += 1;
                let mut seen: Vec<u32> = (0..partitions).map(|k| partition_of(&id, k, partitions)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..partitions).collect::<Vec<_>>());
            }
            assert!(counts.iter().all(|c| (50..200).contains(c)), "{partitions}: {counts:?}");
        }
    }
}
