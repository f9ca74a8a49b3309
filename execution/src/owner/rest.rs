//! Workflows that rest: they give their permits back, and acquire them again before they go on.

use petrel_schemas::ExecutionId;

use super::conduct::Missing;
use super::enter::Left;
use super::kept::Move;
use super::{Effect, Owner};
use crate::execution::{Execution, Known};
use crate::state::{Delayed, In, LeadsTo, Paused, Pending, Resuming};
use crate::status::Status;
use crate::subject::{Core, Note};
use crate::timer::TimerKind;
use crate::workflow::{Asked, Conduct, Standing, shown_frozen};

/// Whether what has that status does nothing until somebody wants it to.
pub(super) const fn is_rest(status: Status) -> bool {
    matches!(status, Status::Paused | Status::Pending)
}

impl Owner<'_> {
    /// It rests, and others may have its permits.
    pub(super) fn rest<S: LeadsTo<Paused>>(&mut self, from: In<S>, conduct: &dyn Conduct) {
        let left = Left::of(&from);
        // Who wanted that was said when it was told to.
        let note =
            self.asked_by.clone().or_else(|| from.core.note.error.clone().filter(|_| S::STATUS == Status::Pausing));
        let frozen = conduct.frozen().as_ref().map(shown_frozen);
        let mut paused = from.rest(Paused { frozen }, Note::of(None, note));
        self.let_go(&mut paused.core, conduct);
        self.enter(left, paused);
    }

    /// It rests on.
    pub(super) fn rest_on(&mut self, mut paused: In<Paused>, conduct: &dyn Conduct) {
        if self.asked_by.is_some() {
            return self.rest(paused, conduct);
        }
        paused.state.frozen = conduct.frozen().as_ref().map(shown_frozen);
        self.let_go(&mut paused.core, conduct);
        self.push(Effect::Update(paused.into()));
    }

    /// It gives its permits back, once nothing of it passes with them any more.
    fn let_go(&mut self, core: &mut Core, conduct: &dyn Conduct) {
        let rests = |number| core.id().child(number).is_ok_and(|child| self.child_is_at_rest(&child));
        if core.has_permits() && conduct.open().into_iter().all(rests) {
            self.stand_back(core);
        }
    }

    fn child_is_at_rest(&self, child: &ExecutionId) -> bool {
        match self.facts.workflows.known(child) {
            Some(Known::Live(child)) => is_rest(child.status()),
            // That it is over is on its way to its parent.
            Some(Known::Over(_)) => true,
            // It begins in this step.
            None => false,
        }
    }

    /// It has waited for answers for long: others may have its permits.
    pub(super) fn frozen_long(&mut self, mut pending: In<Pending>) {
        let id = pending.core.id().clone();
        if !pending.core.has_permits() {
            return;
        }
        if self.facts.workflows.children(&id).iter().all(|(_, status)| is_rest(*status)) {
            self.stand_back(&mut pending.core);
            return self.push(Effect::Update(pending.into()));
        }
        let due_ms = self.now_ms().saturating_add(self.limits().frozen_after_ms);
        self.push(Effect::SetTimer { id, kind: TimerKind::Freeze, due_ms });
    }

    /// Whether it rests, would not any more, and may not run before it has acquired its permits again, or before its parent
    /// goes on.
    pub(super) fn has_to_wait(&self, execution: &Execution, conduct: &dyn Conduct, what: &Move) -> bool {
        let rests_on = match conduct.standing() {
            // A child that is ended runs for a while.
            Standing::Pausing | Standing::Paused => true,
            // A child that waits for the permits of its ancestors wants to go on.
            Standing::Pending => !matches!(what, Move::Rests { rests: false, .. }),
            // It ends at once.
            Standing::Over { .. } => execution.core().children_open == 0,
            _ => false,
        };
        !rests_on && (Self::has_gates_before(execution.core()) || self.parent_rests(execution.id()))
    }

    /// What it was told is kept; it goes on with its parent, or once it has its permits.
    pub(super) fn wait_or_wake(&mut self, mut execution: Execution, what: &Move) {
        let id = execution.id().clone();
        if let (Err(why), Move::Asked { asked, by, .. }) = (self.keep(&id, what), what) {
            self.in_vain(&id, asked, by, &why);
            return self.push(Effect::Update(execution));
        }
        if let Move::Asked { asked, by, .. } = what {
            self.asked_by = Some(asked.told(by));
        }
        if self.parent_rests(&id) {
            if let Some(asked) = &self.asked_by {
                execution.core_mut().note = Note::of(None, Some(format!("{asked}; it goes on with its parent")));
            }
            self.push(Effect::Update(execution));
            return self.wake_parent(id);
        }
        match execution {
            Execution::Paused(from) => self.wake(from),
            Execution::Pending(from) => self.wake(from),
            other => self.push(Effect::Update(other)),
        }
    }

    /// One that only waits for answers goes on when what is below it wants to; one that somebody has paused does not.
    fn wake_parent(&mut self, child: ExecutionId) {
        let parent = child.parent().and_then(|parent| self.facts.workflows.known(&parent));
        if parent.is_some_and(|parent| matches!(parent, Known::Live(Execution::Pending(_)))) {
            self.push(Effect::Rests { child, rests: false });
        }
    }

    pub(super) fn wake<S: LeadsTo<Resuming>>(&mut self, from: In<S>) {
        let left = Left::of(&from);
        let resuming = self.asked(from.resume());
        self.enter(left, resuming.clone());
        self.pass_again(resuming);
    }

    /// It passes what it has to before it goes on, or waits.
    pub(super) fn pass_again(&mut self, resuming: In<Resuming>) {
        let core = &resuming.core;
        if !core.has_begun() {
            return match core.terms {
                None => self.prepare(resuming),
                Some(_) => self.dispatch(resuming, Note::NONE, None),
            };
        }
        if self.is_late(core) {
            return self.workflow_is_late(resuming.into());
        }
        if self.facts.actions.dispatch_paused() {
            return self.hold_back(resuming, Note::NONE, None);
        }
        // One that has rested goes on with what it had begun in time.
        if resuming.state.runs_again
            && let Some(closed) = self.closed(core)
        {
            return self.keep_out(resuming, closed, Note::NONE);
        }
        if Self::has_gates_before(core) {
            return self.ask_gate(resuming);
        }
        self.passed_again(resuming);
    }

    /// It goes on: now it is told what was kept.
    fn passed_again(&mut self, mut resuming: In<Resuming>) {
        if let Some(passage) = resuming.core.passage.as_mut() {
            passage.begun = true;
        }
        let execution = Execution::from(resuming.clone());
        match self.conduct_of(&execution) {
            Ok(taken) => self.moved(execution, taken, Move::Time),
            Err(Missing::NotNow(reason, why)) => {
                self.stand_back(&mut resuming.core);
                self.wait(resuming, reason, why);
            }
            Err(Missing::Never(why)) => self.unreadable(execution, &why),
        }
    }

    /// A gate turns it away: it rests again, as it did. Whoever has asked something of it meanwhile hears that it was in vain.
    pub(super) fn rest_again(&mut self, mut resuming: In<Resuming>, note: Note) {
        let id = resuming.core.id().clone();
        self.stand_back(&mut resuming.core);
        let why = note.error.clone().unwrap_or_default();
        for forgotten in self.forget_asked(&id) {
            if let Move::Asked { asked, by, from_above: false } = forgotten {
                self.in_vain(&id, &asked, &by, &format!("{why}, and it rests again"));
            }
        }
        let frozen = match self.conduct_of(&resuming.clone().into()) {
            Ok(taken) => taken.conduct.frozen().as_ref().map(shown_frozen),
            Err(Missing::NotNow(..)) => {
                // What there is to decide is shown once its revision is here.
                self.ask_again(&id, false);
                None
            }
            Err(Missing::Never(_)) => None,
        };
        let left = Left::of(&resuming);
        self.enter(left, resuming.rest(Paused { frozen }, note));
    }

    /// Whether the execution above it rests, or has no permits, so that nothing below it may run.
    pub(super) fn parent_rests(&self, id: &ExecutionId) -> bool {
        let parent = id.parent().and_then(|parent| self.facts.workflows.known(&parent));
        let Some(Known::Live(parent)) = parent else { return false };
        match parent.status() {
            Status::Paused | Status::Resuming => true,
            Status::Pending => Self::has_gates_before(parent.core()) || self.parent_rests(parent.id()),
            _ => false,
        }
    }

    /// Whether it is a workflow that has not begun, and whose parent is to rest: it rests with it.
    pub(super) fn rests_with_parent(&self, delayed: &In<Delayed>) -> bool {
        let subject = &delayed.core.subject;
        let Some(Known::Live(parent)) = subject.id.parent().and_then(|parent| self.facts.workflows.known(&parent))
        else {
            return false;
        };
        let is_to_rest = matches!(parent.status(), Status::Pausing | Status::Paused | Status::Resuming);
        is_to_rest && self.is_workflow(&subject.revision, &subject.action)
    }

    /// It rests before it has begun.
    pub(super) fn rest_unbegun(&mut self, mut delayed: In<Delayed>) {
        self.stand_back(&mut delayed.core);
        let left = Left::of(&delayed);
        let why = "it begins when its parent goes on".to_owned();
        self.enter(left, delayed.rest(Paused::default(), Note::of(None, Some(why))));
    }

    /// Somebody asks something of one that rests before it has begun.
    pub(super) fn ask_unbegun(&mut self, paused: In<Paused>, asked: &Asked, by: &str, from_above: bool) {
        let why = match asked {
            Asked::Resume if from_above || !self.parent_rests(paused.core.id()) => {
                self.asked_by = Some(asked.told(by));
                return self.wake(paused);
            }
            Asked::Resume => "it begins when its parent goes on",
            Asked::Pause => return,
            _ => "it has not begun",
        };
        if !from_above {
            self.in_vain(paused.core.id(), asked, by, why);
        }
    }
}
