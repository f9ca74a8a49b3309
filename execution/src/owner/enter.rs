//! Entering a state: the timers and the index follow from what is left and what is entered.

use super::{Effect, Owner, Waiting};
use crate::execution::Execution;
use crate::family::ChildEnded;
use crate::inject;
use crate::state::{In, State};
use crate::subject::Core;
use crate::timer::TimerKind;

/// What a state that is left keeps running.
pub(super) struct Left {
    timer: Option<TimerKind>,
    waiting: Option<Waiting>,
    /// Whether workers may keep room for it.
    may_have_places: bool,
}

impl Left {
    pub(super) fn of<S: State>(execution: &In<S>) -> Self {
        let waiting = execution.state.awaits().and_then(|reason| Waiting::of(reason, &execution.core));
        Self { timer: execution.state.timer(), waiting, may_have_places: execution.state.may_have_places() }
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
        if let Execution::Delayed(delayed) = &next
            && let Some(waiting) = Waiting::of(delayed.state.reason, &delayed.core)
        {
            self.push(Effect::Wait(waiting.key()));
        }
        let timer = next.timer();
        if let Some(kind) = left.timer.filter(|kind| Some(*kind) != timer) {
            self.push(Effect::CancelTimer { id: id.clone(), kind });
        }
        // A lease goes on as it was: only its worker renews it.
        if let Some(kind) = timer.filter(|kind| !(*kind == TimerKind::Lease && left.timer == Some(*kind))) {
            let due_ms = self.due_ms(kind, &next);
            self.push(Effect::SetTimer { id: id.clone(), kind, due_ms });
        }
        if next.status().is_final() && next.core().deadline_at_ms().is_some() {
            self.push(Effect::CancelTimer { id: id.clone(), kind: TimerKind::Deadline });
        }
        if next.status().is_final() {
            let mut for_ms = self.limits().request_dedup_ms;
            if next.is_conducted() {
                for_ms = for_ms.max(self.limits().rerun_within_ms);
                self.push(Effect::CancelTimer { id: id.clone(), kind: TimerKind::Conduct });
            }
            let due_ms = self.now_ms().saturating_add(for_ms);
            self.push(Effect::SetTimer { id, kind: TimerKind::Remember, due_ms });
        }
        let ended = if self.facts.actions.tells_ends() { inject::ended(&next) } else { None };
        let told = next.ended().and_then(|ended| ChildEnded::of(&ended, next.end()?, &next.core().note));
        self.push(Effect::Save(next));
        self.effects.extend(ended.map(Effect::Event));
        if let Some(told) = told {
            self.push(Effect::Parent(told));
        }
    }

    /// A full lease from now on.
    pub(super) fn renew(&mut self, core: &Core) {
        let due_ms = self.now_ms().saturating_add(self.limits().lease_ms);
        self.push(Effect::SetTimer { id: core.id().clone(), kind: TimerKind::Lease, due_ms });
    }

    fn due_ms(&self, kind: TimerKind, next: &Execution) -> i64 {
        let now_ms = self.now_ms();
        let named = match next {
            Execution::Delayed(delayed) => delayed.state.until_ms,
            Execution::Scheduled(scheduled) => Some(scheduled.state.start_by_ms),
            Execution::Canceling(canceling) => canceling.state.start_by_ms,
            _ => None,
        };
        match kind {
            TimerKind::Lease => now_ms.saturating_add(self.limits().lease_ms),
            _ => named.unwrap_or(now_ms),
        }
    }
}
