//! What becomes of a workflow's execution: the status that its workflow has come to, and what people ask of it.

use petrel_schemas::ExecutionId;
use serde_json::Value;

use super::deadline::{BY, late};
use super::enter::Left;
use super::kept::Move;
use super::moves::BY_WORKFLOW;
use super::{Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::limits::RESULT_BYTES_MAX;
use crate::state::{Canceled, Canceling, End, Failed, In, LeadsTo, Pausing, Pending, Running, Succeeded, Timeout};
use crate::status::Status;
use crate::subject::{Core, Note};
use crate::workflow::{Asked, Conduct, Standing, shown_result};

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
        let execution = self.awake(execution, &standing);
        match (standing, execution) {
            (Standing::Over { status, note, result }, execution) => {
                // What it has started is waited for: nobody else would hear of it.
                if execution.core().children_open > 0 {
                    self.stays(execution);
                    return false;
                }
                self.over(execution, status, note, &result);
                return true;
            }
            (Standing::Running, Execution::Pausing(from)) => self.runs(from),
            (Standing::Running, Execution::Pending(from)) => self.runs(from),
            (Standing::Pausing, Execution::Running(from)) => self.pauses(from),
            (Standing::Pausing, Execution::Pending(from)) => self.pauses(from),
            (Standing::Paused, Execution::Running(from)) => {
                let left = Left::of(&from);
                let pausing = self.asked(from.pause(None));
                self.enter(left, pausing.clone());
                self.rest(pausing, conduct);
            }
            (Standing::Paused, Execution::Pausing(from)) => self.rest(from, conduct),
            (Standing::Paused, Execution::Pending(from)) => self.rest(from, conduct),
            (Standing::Paused, Execution::Resuming(from)) => self.rest(from, conduct),
            (Standing::Paused | Standing::Pausing, Execution::Paused(from)) => self.rest_on(from, conduct),
            (Standing::Pending, Execution::Running(from)) => self.waits(from),
            (Standing::Pending, Execution::Pausing(from)) => self.waits(from),
            (Standing::Canceling, Execution::Running(from)) => self.canceling(from),
            (Standing::Canceling, Execution::Pausing(from)) => self.canceling(from),
            (Standing::Canceling, Execution::Pending(from)) => self.canceling(from),
            (_, execution) => self.stays(execution),
        }
        false
    }

    /// One that rested and does not any more runs, whatever it does next.
    fn awake(&mut self, execution: Execution, standing: &Standing) -> Execution {
        let resuming = match execution {
            Execution::Paused(paused) if !matches!(standing, Standing::Paused | Standing::Pausing) => {
                let left = Left::of(&paused);
                let resuming = self.asked(paused.resume());
                self.enter(left, resuming.clone());
                resuming
            }
            Execution::Resuming(resuming) if *standing != Standing::Paused => resuming,
            other => return other,
        };
        let left = Left::of(&resuming);
        let running = resuming.conduct();
        self.enter(left, running.clone());
        running.into()
    }

    fn runs<S: LeadsTo<Running>>(&mut self, from: In<S>) {
        let left = Left::of(&from);
        let running = self.asked(from.conduct());
        self.enter(left, running);
    }

    fn pauses<S: LeadsTo<Pausing>>(&mut self, from: In<S>) {
        let left = Left::of(&from);
        let pausing = self.asked(from.pause(None));
        self.enter(left, pausing);
    }

    fn waits<S: LeadsTo<Pending>>(&mut self, from: In<S>) {
        let left = Left::of(&from);
        let pending = self.asked(from.ask());
        self.enter(left, pending);
    }

    /// It is written as it is, with who has asked something. Of one that is being ended it is worth most who ends it.
    fn stays(&mut self, mut execution: Execution) {
        if let Some(asked) = self.asked_by.clone().filter(|_| execution.status() != Status::Canceling) {
            execution.core_mut().note = Note::of(None, Some(asked));
        }
        self.push(Effect::Update(execution));
    }

    /// With who asked for it.
    pub(super) fn asked<S>(&self, mut execution: In<S>) -> In<S> {
        execution.core.note = Note::of(None, self.asked_by.clone());
        execution
    }

    /// Somebody asks something of a workflow, or of a question, at that time by his clock, in milliseconds since the epoch.
    pub fn ask(&mut self, id: &ExecutionId, asked: &Asked, by: &str, at_ms: i64, known: Option<Known>) {
        let why = match known {
            Some(Known::Live(execution)) => match cannot(&execution, asked) {
                None => return self.take(execution, asked, by, false),
                Some(why) => why,
            },
            Some(Known::Over(ended)) if matches!(asked, Asked::Rerun(_)) => {
                match self.rerun(&ended, asked, by, at_ms) {
                    Ok(()) => return,
                    Err(why) => why,
                }
            }
            Some(Known::Over(ended)) => format!("it is over, it is {}", ended.status.as_str()),
            None => "it is not known: it never was, or nothing is kept of it any more".to_owned(),
        };
        self.in_vain(id, asked, by, &why);
    }

    /// The workflow above asks it of a child, which may be none, or be over already.
    pub fn ask_child(&mut self, asked: &Asked, by: &str, known: Option<Known>) {
        match known {
            Some(Known::Live(Execution::Delayed(delayed)))
                if *asked == Asked::Pause && delayed.core.is_conducted() && self.rests_with_parent(&delayed) =>
            {
                self.rest_unbegun(delayed);
            }
            Some(Known::Live(execution)) if cannot(&execution, asked).is_none() => {
                self.take(execution, asked, by, true);
            }
            _ => {}
        }
    }

    fn take(&mut self, execution: Execution, asked: &Asked, by: &str, from_above: bool) {
        match execution {
            Execution::Paused(paused) if !paused.core.has_begun() => self.ask_unbegun(paused, asked, by, from_above),
            other => {
                let (asked, by) = (asked.clone(), by.to_owned());
                self.move_on(other, Move::Asked { asked, by, from_above });
            }
        }
    }

    fn over(&mut self, execution: Execution, status: Status, mut note: Note, result: &Value) {
        let mut end = End::unheld(self.now_ms());
        let text = result.to_string();
        if text.len() <= RESULT_BYTES_MAX {
            end.result = Some(text).filter(|_| !result.is_null());
        } else {
            let why = format!(
                "its result has {} bytes, the limit RESULT_BYTES_MAX is {RESULT_BYTES_MAX}: \"left_out\" names what is not \
                 there",
                text.len()
            );
            note = note.and(code::RESULT_TOO_LARGE, &why);
            end.result = Some(shown_result(result));
            // Its parent stands in the same step, and no record is in between.
            end.whole = Some(text).filter(|_| execution.id().parent().is_some());
        }
        if let Some(asked) = self.asked_by.take().filter(|_| execution.status() != Status::Canceling) {
            let error = note.error.map_or(asked.clone(), |error| format!("{error}; {asked}"));
            note = Note::of(note.code, Some(error));
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
            // Nothing of it runs.
            Execution::Delayed(delayed) => self.cancel_at_once(delayed, by),
            Execution::Paused(paused) if !paused.core.has_begun() => self.cancel_at_once(paused, by),
            Execution::Resuming(resuming) if resuming.has_nothing() => self.cancel_at_once(resuming, by),
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
        self.move_on(canceling.into(), Move::Nothing);
    }

    /// Its whole time is over.
    pub(super) fn workflow_is_late(&mut self, execution: Execution) {
        match execution {
            Execution::Delayed(delayed) => self.out_of_time(delayed),
            Execution::Paused(paused) if !paused.core.has_begun() => self.out_of_time(paused),
            Execution::Resuming(resuming) if resuming.has_nothing() => self.out_of_time(resuming),
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
        self.move_on(canceling.into(), Move::Nothing);
    }

    fn canceling<S: LeadsTo<Canceling>>(&mut self, from: In<S>) {
        let left = Left::of(&from);
        self.enter(left, from.cancel(Canceling { by: BY_WORKFLOW.to_owned(), holder: None, start_by_ms: None }));
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
}

/// Why what somebody asks of a live execution cannot be.
fn cannot(execution: &Execution, asked: &Asked) -> Option<String> {
    let (status, core) = (execution.status(), execution.core());
    let goes_on = [Status::Running, Status::Pausing, Status::Paused, Status::Pending, Status::Resuming];
    Some(match status {
        _ if matches!(asked, Asked::Rerun(_)) => format!("it has not ended, it is {}", status.as_str()),
        // It rests with its parent.
        Status::Paused if !core.has_begun() => return None,
        _ if core.terms.is_some() && !core.is_conducted() => "it is no workflow, and no question".to_owned(),
        Status::Canceling => "it is being ended".to_owned(),
        _ if !goes_on.contains(&status) => format!("it has not begun, it is {}", status.as_str()),
        _ => return None,
    })
}
