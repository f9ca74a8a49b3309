//! Delayed: it waits for something that its owner can name, and no task of it is with the workers.

use super::{In, LeadsTo, State};
use crate::code;
use crate::status::Status;
use crate::subject::Note;
use crate::switch::Switch;
use crate::timer::TimerKind;

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DelayReason {
    /// Its revision has not arrived yet.
    RevisionNotHere,
    /// This release cannot use its revision or action; one that can may be on its way.
    ActionBroken,
    /// Dispatch is paused for everybody.
    DispatchPaused,
    /// It is to be tried again after a while.
    BackOff,
    /// A gate of its policies has not let it pass yet.
    Gate,
    /// Somebody has switched it off.
    SwitchedOff(Switch),
    /// The times in which its attempts may begin are over for now.
    Window,
    /// The task of a workflow that it runs for waits for a while before it starts.
    Task,
}

impl DelayReason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::RevisionNotHere,
        Self::ActionBroken,
        Self::DispatchPaused,
        Self::BackOff,
        Self::Gate,
        Self::SwitchedOff(Switch::Everything),
        Self::SwitchedOff(Switch::ActionPack),
        Self::SwitchedOff(Switch::RulePack),
        Self::SwitchedOff(Switch::Action),
        Self::SwitchedOff(Switch::Rule),
        Self::Window,
        Self::Task,
    ];

    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RevisionNotHere => code::REVISION_NOT_HERE,
            Self::ActionBroken => code::ACTION_BROKEN,
            Self::DispatchPaused => code::DISPATCH_PAUSED,
            Self::BackOff => code::BACK_OFF,
            Self::Gate => code::GATE,
            Self::SwitchedOff(switch) => switch.code(),
            Self::Window => code::WINDOW,
            Self::Task => code::TASK_DELAY,
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.code() == text)
    }
}

/// It waits, for a reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Delayed {
    /// What for.
    pub reason: DelayReason,
    /// When that ends by itself, in milliseconds since the epoch.
    pub until_ms: Option<i64>,
    /// Latest start, where a task of it was dispatched and declined: that time goes on.
    pub start_by_ms: Option<i64>,
}

impl State for Delayed {
    const STATUS: Status = Status::Delayed;

    fn timer(&self) -> Option<TimerKind> {
        self.until_ms.map(|_| TimerKind::BackOff)
    }

    fn awaits(&self) -> Option<DelayReason> {
        Some(self.reason)
    }
}

impl<S: LeadsTo<Delayed>> In<S> {
    /// It waits. What it says of the attempt before stays readable.
    pub fn delay(self, delayed: Delayed, error: Option<String>) -> In<Delayed> {
        let note = Note::of(Some(delayed.reason.code().to_owned()), error);
        self.to(delayed, note)
    }
}
