//! Scheduled: a task of it waits for a worker.

use super::{In, LeadsTo, State};
use crate::code;
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// A task waits for a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// Partition of the pool's topic that holds the task.
    pub partition: u32,
    /// Latest start, in milliseconds since the epoch.
    pub start_by_ms: i64,
    /// How often workers declined it.
    pub declines: i32,
    /// How many of them, the last ones and one after the other, because they are too small for it.
    pub too_small: i32,
    /// When its next task is dispatched, in milliseconds since the epoch; until then nobody has one.
    pub again_ms: Option<i64>,
}

impl State for Scheduled {
    const STATUS: Status = Status::Scheduled;

    fn timer(&self) -> Option<TimerKind> {
        Some(TimerKind::ScheduleToStart)
    }

    fn may_have_places(&self) -> bool {
        self.declines > 0
    }
}

impl<S: LeadsTo<Scheduled>> In<S> {
    /// The next attempt: number and token grow.
    pub fn schedule(mut self, scheduled: Scheduled, now_ms: i64, note: Note) -> In<Scheduled> {
        self.core.attempt = self.core.attempt.next();
        self.core.scheduled_at_ms.get_or_insert(now_ms);
        self.to(scheduled, note)
    }
}

impl In<Scheduled> {
    /// A worker declined its task, because it is too small for it or not, and it goes elsewhere as the next attempt. It
    /// is not another status.
    pub fn elsewhere(mut self, partition: u32, is_too_small: bool) -> Self {
        self.core.attempt = self.core.attempt.next();
        if self.state.again_ms.take().is_some() {
            self.core.note = Note::NONE;
        }
        self.state.partition = partition;
        self.state.too_small = if is_too_small { self.state.too_small.saturating_add(1) } else { 0 };
        self
    }

    /// A worker declined its task, which goes elsewhere only then, and why. It is not another status.
    pub fn set_aside(mut self, again_ms: i64, why: String) -> Self {
        self.core.note = Note::new(code::DECLINED, why);
        self.state.again_ms = Some(again_ms);
        self
    }
}
