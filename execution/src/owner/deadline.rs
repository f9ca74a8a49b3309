//! The time of an execution as a whole: once it is over, what waits ends, and what runs is ended.

use super::enter::Left;
use super::{Effect, Owner};
use crate::code;
use crate::execution::Execution;
use crate::state::{Canceled, Canceling, End, Holder, In, LeadsTo, Timeout};
use crate::subject::{Core, Note};
use crate::timer::TimerKind;
use crate::windows::instant_text;

/// Who ends what is late, where somebody else would be named.
pub(super) const BY: &str = "deadline";

impl Owner<'_> {
    /// Sees to it that its time ends it.
    pub(super) fn watch_deadline(&mut self, core: &Core) {
        if let Some(due_ms) = core.deadline_at_ms() {
            self.push(Effect::SetTimer { id: core.id().clone(), kind: TimerKind::Deadline, due_ms });
        }
    }

    /// Whether its time is over.
    pub(super) fn is_late(&self, core: &Core) -> bool {
        core.deadline_at_ms().is_some_and(|due_ms| self.now_ms() >= due_ms)
    }

    /// Its timer is due.
    pub(super) fn deadline(&mut self, execution: Execution) {
        if !self.is_late(execution.core()) {
            // A timer that comes early, whatever made it, ends nothing.
            return self.watch_deadline(execution.core());
        }
        if execution.is_conducted() {
            return self.workflow_is_late(execution);
        }
        match execution {
            Execution::Delayed(delayed) => self.out_of_time(delayed),
            Execution::Paused(paused) => self.out_of_time(paused),
            Execution::Pending(pending) => self.out_of_time(pending),
            Execution::Resuming(resuming) => self.out_of_time(resuming),
            // Nobody has a task of it.
            Execution::Scheduled(scheduled) if scheduled.state.again_ms.is_some() => {
                self.nobody_goes_on(&scheduled);
                self.out_of_time(scheduled);
            }
            // It may have been claimed, or have run to its end, in records that are not read yet: it ends once workers have
            // been heard, and what one of them has told counts.
            Execution::Scheduled(scheduled) => {
                let start_by_ms = scheduled.state.start_by_ms;
                self.order_everybody(&scheduled.core, start_by_ms);
                self.end_late(scheduled, None, Some(start_by_ms));
            }
            Execution::Running(running) => {
                // It may have been claimed in this very step, beside its owner, and not be held yet.
                self.order_everybody(&running.core, self.now_ms().saturating_add(self.limits().lease_ms));
                let holder = running.state.holder.clone();
                self.end_late(running, holder, None);
            }
            Execution::Pausing(pausing) => {
                self.order_everybody(&pausing.core, self.now_ms());
                let holder = pausing.state.holder.clone();
                self.end_late(pausing, holder, None);
            }
            // It is being ended, or it is over.
            _ => {}
        }
    }

    /// It ends without a further attempt.
    pub(super) fn out_of_time<S: LeadsTo<Timeout>>(&mut self, from: In<S>) {
        let before = from.core.note.error.as_ref().map(|error| format!("{error}; ")).unwrap_or_default();
        let (left, why) = (Left::of(&from), format!("{before}{}", late(&from.core)));
        self.enter(left, from.time_out(End::unheld(self.now_ms()), Note::new(code::DEADLINE, why)));
    }

    fn end_late<S: LeadsTo<Canceling>>(&mut self, from: In<S>, holder: Option<Holder>, start_by_ms: Option<i64>) {
        let (left, why) = (Left::of(&from), late(&from.core));
        self.enter(left, from.cancel_late(Canceling { by: BY.to_owned(), holder, start_by_ms }, why));
    }

    /// What was being canceled is over: somebody wanted that, or its time was over.
    pub(super) fn ended_on_order(&mut self, canceling: In<Canceling>, end: End, note: Note)
    where
        Canceling: LeadsTo<Canceled> + LeadsTo<Timeout>,
    {
        let left = Left::of(&canceling);
        match canceling.is_late() {
            true => self.enter(left, canceling.time_out(end, Note { code: Some(code::DEADLINE.to_owned()), ..note })),
            false => self.enter(left, canceling.end_canceled(end, note)),
        }
    }
}

pub(super) fn late(core: &Core) -> String {
    let at = core.deadline_at_ms().map(|ms| format!(", at {}", instant_text(ms))).unwrap_or_default();
    format!("it is not over by its deadline{at}")
}
