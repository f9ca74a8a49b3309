//! Entering a state: the timers and the index follow from what is left and what is entered.

use super::rerun::kept_for_rerun;
use super::rest::is_rest;
use super::{Effect, Owner, Waiting};
use crate::execution::Execution;
use crate::family::ChildEnded;
use crate::inject;
use crate::state::{Delayed, In, Requested, Resuming, Running, Scheduled, State};
use crate::status::Status;
use crate::subject::Core;
use crate::timer::TimerKind;

/// A state from which what keeps an execution from starting can be waited for.
pub(super) trait MayWait: State {
    /// It waits.
    fn wait(from: In<Self>, delayed: Delayed, why: Option<String>) -> Execution;
}

macro_rules! delayed_to_wait {
    ($($state:ident),+) => {
        $(impl MayWait for $state {
            fn wait(from: In<Self>, delayed: Delayed, why: Option<String>) -> Execution {
                from.delay(delayed, why).into()
            }
        })+
    };
}

delayed_to_wait!(Requested, Delayed, Scheduled, Running);

impl MayWait for Resuming {
    fn wait(from: In<Self>, delayed: Delayed, why: Option<String>) -> Execution {
        from.wait(delayed, why).into()
    }
}

/// What a state that is left keeps running.
pub(super) struct Left {
    timer: Option<TimerKind>,
    waiting: Option<Waiting>,
    /// Whether workers may keep room for it.
    may_have_places: bool,
    /// Its status; none where nothing is left.
    status: Option<Status>,
}

impl Left {
    pub(super) fn of<S: State>(execution: &In<S>) -> Self {
        let (core, state) = (&execution.core, &execution.state);
        let waiting = state.awaits().and_then(|reason| Waiting::of(reason, core));
        Self { timer: state.timer(), waiting, may_have_places: state.may_have_places(), status: Some(S::STATUS) }
    }

    /// Nothing: it was over.
    pub(super) fn nothing() -> Self {
        Self { timer: None, waiting: None, may_have_places: false, status: None }
    }
}

impl Owner<'_> {
    /// The execution takes a new state.
    pub(super) fn enter(&mut self, left: Left, next: impl Into<Execution>) {
        let mut next = next.into();
        if next.status().is_final() {
            self.leave_gates(&mut next);
        }
        if left.may_have_places {
            self.free_places(next.core());
        }
        let id = next.id().clone();
        if let Some(waiting) = left.waiting {
            self.push(Effect::Unwait(waiting.key()));
        }
        if let Some(delayed) = next.waits_for()
            && let Some(waiting) = Waiting::of(delayed.reason, next.core())
        {
            self.push(Effect::Wait(waiting.key()));
        }
        let timer = next.timer();
        if let Some(kind) = left.timer.filter(|kind| Some(*kind) != timer) {
            self.push(Effect::CancelTimer { id: id.clone(), kind });
        }
        // A lease goes on as it was: only its worker renews it.
        let goes_on = |kind: TimerKind| kind == TimerKind::Lease && left.timer == Some(kind);
        let is_idle = |kind: TimerKind| kind == TimerKind::Freeze && next.core().passage.is_none();
        if let Some(kind) = timer.filter(|kind| !goes_on(*kind) && !is_idle(*kind)) {
            let due_ms = self.due_ms(kind, &next);
            self.push(Effect::SetTimer { id: id.clone(), kind, due_ms });
        }
        if next.status().is_final() {
            self.leave(left.status, &next);
        }
        let ended = if self.facts.actions.tells_ends() { inject::ended(&next) } else { None };
        let told = next.ended().and_then(|ended| ChildEnded::of(&ended, next.end()?, &next.core().note));
        let rests = is_rest(next.status());
        let has_changed = left.status.is_some_and(is_rest) != rests && !next.status().is_final();
        self.push(Effect::Save(next));
        self.effects.extend(ended.map(Effect::Event));
        if let Some(told) = told {
            self.push(Effect::Parent(told));
        }
        if has_changed && id.parent().is_some() {
            self.push(Effect::Rests { child: id, rests });
        }
    }

    /// It is over: what is left of it is kept for as long as somebody may ask for it.
    fn leave(&mut self, from: Option<Status>, ended: &Execution) {
        let id = ended.id().clone();
        if ended.core().deadline_at_ms().is_some() {
            self.push(Effect::CancelTimer { id: id.clone(), kind: TimerKind::Deadline });
        }
        let mut for_ms = self.limits().request_dedup_ms;
        if ended.is_conducted() {
            for_ms = for_ms.max(self.limits().rerun_within_ms);
            self.push(Effect::CancelTimer { id: id.clone(), kind: TimerKind::Conduct });
        }
        if from == Some(Status::Resuming) {
            self.forget_asked(&id);
        }
        if let Some(kept) = kept_for_rerun(ended) {
            self.piece(&id, kept);
        }
        let due_ms = self.now_ms().saturating_add(for_ms);
        self.push(Effect::SetTimer { id, kind: TimerKind::Remember, due_ms });
    }

    /// A full lease from now on.
    pub(super) fn renew(&mut self, core: &Core) {
        let due_ms = self.now_ms().saturating_add(self.limits().lease_ms);
        self.push(Effect::SetTimer { id: core.id().clone(), kind: TimerKind::Lease, due_ms });
    }

    fn due_ms(&self, kind: TimerKind, next: &Execution) -> i64 {
        let now_ms = self.now_ms();
        let named = match next {
            Execution::Delayed(_) | Execution::Resuming(_) => next.waits_for().and_then(|delayed| delayed.until_ms),
            Execution::Scheduled(scheduled) => Some(scheduled.state.start_by_ms),
            Execution::Canceling(canceling) => canceling.state.start_by_ms,
            _ => None,
        };
        match kind {
            TimerKind::Lease => now_ms.saturating_add(self.limits().lease_ms),
            TimerKind::Freeze => now_ms.saturating_add(self.limits().frozen_after_ms),
            _ => named.unwrap_or(now_ms),
        }
    }
}
