//! The end of a workflow whose conductor cannot be asked: what it has started is found among what is stored, and ended.

use petrel_schemas::ExecutionId;

use super::enter::Left;
use super::kept::Move;
use super::moves::BY_WORKFLOW;
use super::{Effect, Owner};
use crate::code;
use crate::execution::Execution;
use crate::limits::CHILDREN_ENDED_MAX;
use crate::state::{Canceling, In, LeadsTo};
use crate::status::Status;
use crate::subject::Note;

impl Owner<'_> {
    /// Ends children that nobody ends yet, so many in a step; whether there may be more.
    pub(super) fn end_children(&mut self, id: &ExecutionId, by: &str) -> bool {
        let children = self.facts.workflows.children(id).into_iter();
        let to_end = children.filter(|(_, status)| *status != Status::Canceling).map(|(child, _)| child);
        let to_end: Vec<ExecutionId> = to_end.take(CHILDREN_ENDED_MAX).collect();
        let more = to_end.len() == CHILDREN_ENDED_MAX;
        for id in to_end {
            self.push(Effect::StopChild { id, by: by.to_owned() });
        }
        more
    }

    /// Nobody can go on with it: what is stored of it cannot be read, or its revision is gone.
    pub(super) fn unreadable(&mut self, execution: Execution, why: &str) {
        let note = Note::new(code::WORKFLOW_UNREADABLE, format!("its workflow cannot go on: {why}"));
        self.doom(execution, note);
    }

    /// It ends badly, once what it has started has ended.
    pub(super) fn doom(&mut self, execution: Execution, note: Note) {
        let id = execution.id().clone();
        if self.facts.workflows.children(&id).is_empty() {
            return self.fail_workflow(execution, note);
        }
        match execution {
            Execution::Running(from) => self.give_up_on(from, note),
            Execution::Pausing(from) => self.give_up_on(from, note),
            Execution::Paused(from) => self.give_up_on(from, note),
            Execution::Resuming(from) => self.give_up_on(from, note),
            Execution::Pending(from) => self.give_up_on(from, note),
            Execution::Canceling(from) if from.core.note == note => self.push(Effect::Update(from.into())),
            Execution::Canceling(from) => self.give_up_on(from, note),
            other => return self.push(Effect::Update(other)),
        }
        let more = self.end_children(&id, BY_WORKFLOW);
        self.ask_again(&id, more);
    }

    fn give_up_on<S: LeadsTo<Canceling>>(&mut self, from: In<S>, note: Note) {
        let left = Left::of(&from);
        let canceling = Canceling { by: BY_WORKFLOW.to_owned(), holder: None, start_by_ms: None };
        self.enter(left, from.give_up(canceling, note));
    }

    /// One that nobody can go on with hears of something.
    pub(super) fn doomed_goes_on(&mut self, execution: Execution, note: Note, what: &Move) {
        match what {
            Move::Time => self.doom(execution, note),
            // The timer asks what still runs; here it would be asked for each child.
            _ if execution.core().children_open > 0 => self.push(Effect::Update(execution)),
            _ => self.fail_workflow(execution, note),
        }
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
