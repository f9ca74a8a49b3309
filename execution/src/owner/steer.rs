//! What becomes of a workflow's execution: the status that its workflow has come to, and what people ask of it.

use petrel_schemas::ExecutionId;
use serde_json::Value;

use super::conduct::Missing;
use super::deadline::{BY, late};
use super::enter::Left;
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::limits::RESULT_BYTES_MAX;
use crate::state::{Canceled, Canceling, End, Failed, In, LeadsTo, Succeeded, Timeout};
use crate::status::Status;
use crate::subject::{Core, Note};
use crate::workflow::{Asked, Conduct, Standing};

/// Whether it is a workflow that has begun, and that nobody ends.
fn has_begun(known: &Known) -> bool {
    let Known::Live(execution) = known else { return false };
    let goes_on = [Status::Running, Status::Pausing, Status::Paused, Status::Pending, Status::Resuming];
    execution.is_conducted() && goes_on.contains(&execution.status())
}

/// How a workflow ended.
struct Over {
    status: Status,
    note: Note,
    end: End,
}

impl Owner<'_> {
    /// The execution takes the status that its workflow has come to, or is written as it is; whether it is over.
    pub(super) fn settle(&mut self, execution: Execution, conduct: &dyn Conduct) -> bool {
        let standing = conduct.standing();
        if let Standing::Over { status, note, result } = standing {
            // What it has started is waited for: nobody else would hear of it.
            if execution.core().children_open > 0 {
                self.push(Effect::Update(execution));
                return false;
            }
            self.over(execution, status, note, &result);
            return true;
        }
        match (standing, execution) {
            (Standing::Running, Execution::Paused(paused)) => {
                let left = Left::of(&paused);
                let resuming = self.asked(paused.resume());
                self.enter(left, resuming.clone());
                let left = Left::of(&resuming);
                self.enter(left, resuming.conduct());
            }
            (Standing::Running, Execution::Pausing(from)) => self.enter(Left::of(&from), from.conduct()),
            (Standing::Running, Execution::Pending(from)) => self.enter(Left::of(&from), from.conduct()),
            (Standing::Running, Execution::Resuming(from)) => self.enter(Left::of(&from), from.conduct()),
            (Standing::Pausing, Execution::Running(from)) => self.enter(Left::of(&from), self.asked(from.pause(None))),
            (Standing::Pausing, Execution::Pending(from)) => self.enter(Left::of(&from), self.asked(from.pause(None))),
            (Standing::Paused, Execution::Running(from)) => {
                let left = Left::of(&from);
                let pausing = self.asked(from.pause(None));
                self.enter(left, pausing.clone());
                self.enter(Left::of(&pausing), self.asked(pausing.rest()));
            }
            (Standing::Paused, Execution::Pausing(from)) => self.enter(Left::of(&from), self.asked(from.rest())),
            (Standing::Paused, Execution::Pending(from)) => self.enter(Left::of(&from), self.asked(from.rest())),
            (Standing::Pending, Execution::Running(from)) => self.enter(Left::of(&from), from.ask()),
            (Standing::Pending, Execution::Pausing(from)) => self.enter(Left::of(&from), from.ask()),
            (Standing::Canceling, Execution::Running(from)) => self.canceling(from, "its workflow"),
            (Standing::Canceling, Execution::Pausing(from)) => self.canceling(from, "its workflow"),
            (Standing::Canceling, Execution::Pending(from)) => self.canceling(from, "its workflow"),
            (_, execution) => self.push(Effect::Update(execution)),
        }
        false
    }

    /// With who asked for it.
    fn asked<S>(&self, mut execution: In<S>) -> In<S> {
        execution.core.note.error = self.asked_by.as_ref().map(|by| format!("asked for by {by}"));
        execution
    }

    /// Somebody asks something of a workflow.
    pub fn ask(&mut self, asked: &Asked, by: &str, known: Option<Known>) {
        let Some(Known::Live(execution)) = known.filter(has_begun) else {
            return self.count(Counted::AskedInVain);
        };
        self.asked_by = Some(by.to_owned());
        match self.conduct_of(&execution) {
            Ok(mut conduct) => {
                let id = execution.id().clone();
                match conduct.ask(asked) {
                    Ok(()) => self.ask_children(&id, asked, by, conduct.as_ref()),
                    Err(_) => self.count(Counted::AskedInVain),
                }
                self.go_on(execution, conduct);
            }
            Err(Missing::NotNow) => {
                self.ask_later(execution.id(), asked);
                self.ask_again(execution.id());
            }
            Err(Missing::Never(why)) => self.unreadable(execution, &why),
        }
    }

    /// The workflow above asks it of a child, which may be none, or be over already.
    pub fn ask_child(&mut self, asked: &Asked, by: &str, known: Option<Known>) {
        if known.as_ref().is_some_and(has_begun) {
            self.ask(asked, by, known);
        }
    }

    /// Workflows below it rest and go on with it.
    pub(super) fn ask_children(&mut self, id: &ExecutionId, asked: &Asked, by: &str, conduct: &dyn Conduct) {
        for number in conduct.open() {
            if let Ok(id) = id.child(number) {
                self.push(Effect::AskChild { id, asked: asked.clone(), by: by.to_owned() });
            }
        }
    }

    fn over(&mut self, execution: Execution, status: Status, mut note: Note, result: &Value) {
        let mut end = End::unheld(self.now_ms());
        let text = result.to_string();
        if text.len() <= RESULT_BYTES_MAX {
            end.result = Some(text).filter(|_| !result.is_null());
        } else {
            let why =
                format!("its result of {} bytes is over the limit of {RESULT_BYTES_MAX}, and left out", text.len());
            note = note.and(code::RESULT_TOO_LARGE, &why);
        }
        let over = Over { status, note, end };
        match execution {
            Execution::Running(from) => self.end_as(from, over),
            Execution::Pausing(from) => self.end_as(from, over),
            Execution::Pending(from) => self.end_as(from, over),
            Execution::Canceling(from) => {
                let is_late = from.is_late();
                let note = from.core.note.clone();
                match over.status {
                    Status::Canceled if is_late => {
                        self.end_as(from, Over { status: Status::Timeout, note, ..over });
                    }
                    Status::Canceled => self.end_as(from, Over { note, ..over }),
                    _ => self.end_as(from, over),
                }
            }
            Execution::Paused(from) => {
                let left = Left::of(&from);
                let resuming = from.resume();
                self.enter(left, resuming.clone());
                let left = Left::of(&resuming);
                let running = resuming.conduct();
                self.enter(left, running.clone());
                self.end_as(running, over);
            }
            // It is over already, or has not begun.
            other => self.push(Effect::Update(other)),
        }
    }

    fn end_as<S>(&mut self, from: In<S>, over: Over)
    where
        S: LeadsTo<Succeeded> + LeadsTo<Failed> + LeadsTo<Timeout> + LeadsTo<Canceled>,
    {
        let left = Left::of(&from);
        let Over { status, note, end } = over;
        match status {
            Status::Succeeded => self.enter(left, from.succeed(end, note)),
            Status::Timeout => self.enter(left, from.time_out(end, note)),
            Status::Canceled => self.enter(left, from.end_canceled(end, note)),
            _ => self.enter(left, from.fail(end, note)),
        }
    }

    /// Somebody wants a workflow to end: what it has started is ended, and then it ends itself.
    pub(super) fn cancel_workflow(&mut self, execution: Execution, by: &str) {
        match execution {
            // It has not begun.
            Execution::Delayed(delayed) => self.cancel_at_once(delayed, by),
            Execution::Running(from) => self.cancel_begun(from, by),
            Execution::Pausing(from) => self.cancel_begun(from, by),
            Execution::Paused(from) => self.cancel_begun(from, by),
            Execution::Resuming(from) => self.cancel_begun(from, by),
            Execution::Pending(from) => self.cancel_begun(from, by),
            // It is being ended, or it is over.
            _ => {}
        }
    }

    fn cancel_begun<S: LeadsTo<Canceling>>(&mut self, from: In<S>, by: &str) {
        let left = Left::of(&from);
        let canceling = from.cancel(Canceling { by: by.to_owned(), holder: None, start_by_ms: None });
        self.enter(left, canceling.clone());
        self.stop(canceling, by);
    }

    /// Its whole time is over.
    pub(super) fn workflow_is_late(&mut self, execution: Execution) {
        match execution {
            Execution::Delayed(delayed) => self.out_of_time(delayed),
            Execution::Running(from) => self.late_begun(from),
            Execution::Pausing(from) => self.late_begun(from),
            Execution::Paused(from) => self.late_begun(from),
            Execution::Resuming(from) => self.late_begun(from),
            Execution::Pending(from) => self.late_begun(from),
            _ => {}
        }
    }

    fn late_begun<S: LeadsTo<Canceling>>(&mut self, from: In<S>) {
        let (left, why) = (Left::of(&from), late(&from.core));
        let canceling = from.cancel_late(Canceling { by: BY.to_owned(), holder: None, start_by_ms: None }, why);
        self.enter(left, canceling.clone());
        self.stop(canceling, BY);
    }

    fn canceling<S: LeadsTo<Canceling>>(&mut self, from: In<S>, by: &str) {
        let left = Left::of(&from);
        self.enter(left, from.cancel(Canceling { by: by.to_owned(), holder: None, start_by_ms: None }));
    }

    fn stop(&mut self, canceling: In<Canceling>, by: &str) {
        let execution = Execution::from(canceling);
        match self.conduct_of(&execution) {
            Ok(mut conduct) => {
                self.cancel_conduct(execution.core(), conduct.as_mut(), by);
                self.go_on(execution, conduct);
            }
            // Once it is at hand.
            Err(Missing::NotNow) => self.ask_again(execution.id()),
            Err(Missing::Never(why)) => self.unreadable(execution, &why),
        }
    }

    fn cancel_conduct(&mut self, core: &Core, conduct: &mut dyn Conduct, by: &str) {
        // One that is over, or on its way to another end, says so, and what it has started is ended all the same.
        let _ = conduct.ask(&Asked::Cancel);
        let most = self.facts.workflows.starts_left();
        let numbers = conduct.next_to_end(most);
        self.facts.workflows.started(numbers.len());
        for number in numbers {
            self.stop_child(core.id(), number, by);
        }
    }

    /// What was asked while the workflow was not at hand, and the children that are still to be told.
    pub(super) fn steer_again(&mut self, execution: &Execution, conduct: &mut dyn Conduct) {
        let Execution::Canceling(canceling) = execution else { return };
        let by = canceling.state.by.clone();
        self.cancel_conduct(&canceling.core, conduct, &by);
    }

    /// Nobody can go on with it. What it has started ends by itself.
    pub(super) fn unreadable(&mut self, execution: Execution, why: &str) {
        let open = execution.core().children_open;
        let what = format!("its workflow cannot go on: {why}; {open} of what it has started may still run");
        self.fail_workflow(execution, Note::new(code::WORKFLOW_UNREADABLE, what));
    }

    /// It ends, whatever it waits for.
    pub(super) fn fail_workflow(&mut self, execution: Execution, note: Note) {
        match execution {
            Execution::Running(from) => self.refuse(from, note),
            Execution::Pausing(from) => self.refuse(from, note),
            Execution::Paused(from) => self.refuse(from, note),
            Execution::Resuming(from) => self.refuse(from, note),
            Execution::Pending(from) => self.refuse(from, note),
            Execution::Canceling(from) => self.refuse(from, note),
            other => self.push(Effect::Update(other)),
        }
    }
}
