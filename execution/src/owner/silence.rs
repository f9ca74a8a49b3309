//! Timers: silence of a worker, the end of a delay, the end of remembering.

use petrel_schemas::ExecutionId;

use super::enter::Left;
use super::loss::Loss;
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::state::{DelayReason, End, In, Scheduled};
use crate::subject::Note;
use crate::timer::TimerKind;

impl Owner<'_> {
    /// A timer of an execution is due.
    pub fn timer(&mut self, kind: TimerKind, known: Option<Known>) {
        match (kind, known) {
            (TimerKind::Remember, Some(Known::Over(ended))) => {
                let conducted = ended.conducted;
                self.push(Effect::Forget { id: ended.id, conducted });
            }
            (TimerKind::Lease, Some(Known::Live(execution))) => self.lease_passed(execution),
            (TimerKind::ScheduleToStart, Some(Known::Live(execution))) => match execution {
                // A timer that comes early, whatever made it, ends nothing.
                Execution::Scheduled(scheduled) => match self.now_ms() < scheduled.state.start_by_ms {
                    true => self.wait_for_start(scheduled.core.id(), scheduled.state.start_by_ms),
                    false => self.not_started(scheduled),
                },
                Execution::Canceling(canceling) if canceling.state.holder.is_none() => {
                    match canceling.state.start_by_ms.filter(|start_by_ms| self.now_ms() < *start_by_ms) {
                        Some(start_by_ms) => self.wait_for_start(canceling.core.id(), start_by_ms),
                        None => self.end_canceling(canceling),
                    }
                }
                _ => {}
            },
            (TimerKind::BackOff, Some(Known::Live(Execution::Scheduled(scheduled)))) => self.goes_on(scheduled),
            (TimerKind::BackOff, Some(Known::Live(execution))) => self.waited(execution),
            (TimerKind::Deadline, Some(Known::Live(execution))) => self.deadline(execution),
            (TimerKind::Conduct, Some(Known::Live(execution))) => self.conduct_due(execution),
            (TimerKind::Freeze, Some(Known::Live(Execution::Pending(pending)))) => self.frozen_long(pending),
            // The others belong to a state that was left.
            _ => {}
        }
    }

    /// It has waited for so long.
    fn waited(&mut self, execution: Execution) {
        let Some(delayed) = execution.waits_for() else { return };
        if let Some(due_ms) = delayed.until_ms.filter(|until_ms| self.now_ms() < *until_ms) {
            // A timer that comes early, whatever made it, ends no pause.
            return self.push(Effect::SetTimer { id: execution.id().clone(), kind: TimerKind::BackOff, due_ms });
        }
        match delayed.reason {
            DelayReason::Gate => self.gate_silent(execution),
            _ => self.release(Some(Known::Live(execution))),
        }
    }

    fn wait_for_start(&mut self, id: &ExecutionId, due_ms: i64) {
        self.push(Effect::SetTimer { id: id.clone(), kind: TimerKind::ScheduleToStart, due_ms });
    }

    /// It was set aside for a moment.
    fn goes_on(&mut self, scheduled: In<Scheduled>) {
        match scheduled.state.again_ms {
            // A timer that comes early, whatever made it, sends nothing.
            Some(due_ms) if self.now_ms() < due_ms => {
                self.push(Effect::SetTimer { id: scheduled.core.id().clone(), kind: TimerKind::BackOff, due_ms });
            }
            Some(_) if self.now_ms() >= scheduled.state.start_by_ms => self.not_started(scheduled),
            Some(_) => self.redispatch(scheduled, false),
            None => {}
        }
    }

    /// Nothing was heard of its worker for a lease.
    fn lease_passed(&mut self, execution: Execution) {
        match execution {
            Execution::Running(running) => {
                self.count(Counted::LeaseLost);
                // Should the worker live after all, it is told that this attempt is nobody's any more.
                self.order_everybody(&running.core, self.now_ms());
                let (worker, number) = (running.holder_text(), running.core.attempt.number);
                let why = format!("worker {worker} was lost in attempt {number}");
                self.lost(running, Loss::Lease, why);
            }
            Execution::Canceling(canceling) => {
                self.count(Counted::LeaseLost);
                self.order_everybody(&canceling.core, self.now_ms());
                let holder = canceling.state.holder.clone();
                let worker = holder.as_ref().map_or("unknown", |h| h.worker.as_str());
                let why = format!(
                    "worker {worker} was lost in attempt {} while it was being canceled",
                    canceling.core.attempt.number
                );
                let end = End::silent(self.now_ms(), holder);
                self.ended_on_order(canceling, end, Note::new(code::CANCELED, why));
            }
            _ => {}
        }
    }

    /// No worker has started it in time. Its task is never given out again: whoever claims it late is told to
    /// stop.
    pub(super) fn not_started(&mut self, scheduled: In<Scheduled>) {
        self.nobody_goes_on(&scheduled);
        if self.is_late(&scheduled.core) {
            return self.out_of_time(scheduled);
        }
        let left = Left::of(&scheduled);
        let why = format!("no worker started attempt {} in time", scheduled.core.attempt.number);
        let end = End::unheld(self.now_ms());
        self.enter(left, scheduled.time_out(end, Note::new(code::SCHEDULE_TO_START, why)));
    }

    /// What was set aside leaves its state: nothing is to be sent.
    pub(super) fn nobody_goes_on(&mut self, scheduled: &In<Scheduled>) {
        if scheduled.state.again_ms.is_some() {
            self.push(Effect::CancelTimer { id: scheduled.core.id().clone(), kind: TimerKind::BackOff });
        }
    }
}
