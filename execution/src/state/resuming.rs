//! Resuming: somebody resumed it, and it does not run yet.

use super::{DelayReason, Delayed, In, LeadsTo, State};
use crate::execution::Ended;
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// On the way from `paused` or `pending`, or, of a workflow that is run again, from its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Resuming {
    /// Whether it had ended.
    pub runs_again: bool,
    /// What it waits for before it goes on, as what is delayed does; nothing where it goes on in the same step.
    pub awaits: Option<Delayed>,
}

impl State for Resuming {
    const STATUS: Status = Status::Resuming;

    fn timer(&self) -> Option<TimerKind> {
        self.awaits.as_ref().and_then(State::timer)
    }

    fn awaits(&self) -> Option<DelayReason> {
        self.awaits.as_ref().map(|delayed| delayed.reason)
    }
}

impl<S: LeadsTo<Resuming>> In<S> {
    /// Somebody resumed it.
    pub fn resume(self) -> In<Resuming> {
        self.to(Resuming { runs_again: false, awaits: None }, Note::NONE)
    }
}

impl In<Resuming> {
    /// It waits before it goes on.
    pub fn wait(self, delayed: Delayed, error: Option<String>) -> Self {
        let note = Note::of(Some(delayed.reason.code().to_owned()), error);
        let runs_again = self.state.runs_again;
        self.to(Resuming { runs_again, awaits: Some(delayed) }, note)
    }

    /// Whether nothing of it runs, and nothing was kept of it that could: it has not begun, or its end stands until it runs
    /// again.
    pub(crate) fn has_nothing(&self) -> bool {
        self.state.runs_again || !self.core.has_begun()
    }

    /// Whether a gate has not let it pass yet.
    pub(crate) fn waits_at_gate(&self) -> bool {
        self.state.awaits() == Some(DelayReason::Gate)
    }

    /// It had ended, and runs again: its attempt is another one, and its deadline counts from then on, in milliseconds
    /// since the epoch.
    pub(crate) fn again(mut self, ended: &Ended, now_ms: i64, why: String) -> Self {
        self.core.sequence = ended.sequence.saturating_add(1);
        self.core.attempt = self.core.attempt.next();
        self.core.rerun_at_ms = Some(now_ms);
        self.core.note = Note::of(None, Some(why));
        self.state = Resuming { runs_again: true, awaits: None };
        self
    }
}
