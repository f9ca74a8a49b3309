//! What happens to a workflow that has begun, one after the other: it is told, and goes on, or it is told later.

use petrel_schemas::ExecutionId;

use super::conduct::Missing;
use super::kept::{Kept, Move};
use super::rest::is_rest;
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::status::Status;
use crate::subject::Note;
use crate::workflow::{Asked, Changed, Conduct, Decision, Standing};

/// A workflow, and what it is to be told before anything else.
pub(super) struct Taken {
    pub(super) conduct: Box<dyn Conduct>,
    pub(super) kept: Vec<Kept>,
}

/// What has come of telling a workflow, as long as nothing of it is written.
#[derive(Default)]
struct Told {
    /// Pieces that kept what it was told.
    keys: Vec<String>,
    /// Who asked what.
    asked: Vec<String>,
    /// Who asked last.
    by: Option<String>,
    /// What it cannot do, who asked for it, and why.
    refused: Vec<(Asked, String, String)>,
    /// Ends of children that nobody waited for.
    orphans: usize,
    /// Whether somebody wants it to rest.
    pauses: bool,
    /// Children that end with a decision.
    stops: Vec<u32>,
}

impl Owner<'_> {
    /// Something happens to it.
    pub(super) fn move_on(&mut self, execution: Execution, what: Move) {
        if let Some(note) = doomed(&execution) {
            return self.doomed_goes_on(execution, note, &what);
        }
        if let Execution::Resuming(_) = &execution {
            // It waits for its permits.
            return self.move_later(execution, &what);
        }
        match self.conduct_of(&execution) {
            Ok(taken) => self.moved(execution, taken, what),
            Err(Missing::NotNow(..)) => {
                let id = execution.id().clone();
                let more = match &execution {
                    // What still runs is asked for by the timer, and not for each child that ends.
                    Execution::Canceling(canceling) if matches!(what, Move::Time | Move::Nothing) => {
                        self.end_children(&id, &canceling.state.by)
                    }
                    _ => false,
                };
                self.move_later(execution, &what);
                self.ask_again(&id, more);
            }
            Err(Missing::Never(why)) => self.unreadable(execution, &why),
        }
    }

    /// It is told once it can be.
    fn move_later(&mut self, mut execution: Execution, what: &Move) {
        let kept = self.keep(execution.id(), what);
        if let Move::Asked { asked, by, .. } = what {
            match kept {
                Ok(()) => note_more(&mut execution, &asked.told(by)),
                Err(why) => self.in_vain(execution.id(), asked, by, &why),
            }
        }
        self.push(Effect::Update(execution));
    }

    /// It is told, unless it would go on for that without its permits: then it acquires them first.
    pub(super) fn moved(&mut self, execution: Execution, taken: Taken, what: Move) {
        let Taken { mut conduct, kept } = taken;
        let mut told = Told::default();
        for Kept { key, what } in kept {
            told.keys.push(key);
            tell(&execution, conduct.as_mut(), what, &mut told);
        }
        let unless_it_waits = is_rest(execution.status()).then(|| what.clone());
        tell(&execution, conduct.as_mut(), what, &mut told);
        if let Some(what) = unless_it_waits
            && self.has_to_wait(&execution, conduct.as_ref(), &what)
        {
            // What it was told is undone with it: its pieces are as they were.
            drop(conduct);
            return self.wait_or_wake(execution, &what);
        }
        self.was_told(execution, conduct, told);
    }

    fn was_told(&mut self, execution: Execution, mut conduct: Box<dyn Conduct>, told: Told) {
        let id = execution.id().clone();
        for key in told.keys {
            self.piece(&id, Changed { key, value: None });
        }
        for _ in 0..told.orphans {
            self.count(Counted::Orphan);
        }
        for (asked, by, why) in told.refused {
            self.in_vain(&id, &asked, &by, &why);
        }
        if !told.asked.is_empty() {
            self.asked_by = Some(told.asked.join("; "));
        }
        let by = told.by.unwrap_or_else(|| BY_WORKFLOW.to_owned());
        let standing = conduct.standing();
        if told.pauses {
            self.ask_children(&id, &Asked::Pause, &by, conduct.as_ref());
        } else if wakes(execution.status(), &standing) {
            self.ask_children(&id, &Asked::Resume, &by, conduct.as_ref());
        }
        for number in told.stops {
            self.stop_child(&id, number, &by);
        }
        self.steer_again(&execution, conduct.as_mut());
        self.go_on(execution, conduct);
    }

    /// Workflows below it rest and go on with it.
    fn ask_children(&mut self, id: &ExecutionId, asked: &Asked, by: &str, conduct: &dyn Conduct) {
        for number in conduct.open() {
            if let Ok(id) = id.child(number) {
                self.push(Effect::AskChild { id, asked: asked.clone(), by: by.to_owned() });
            }
        }
    }

    /// A child rests, or goes on, or wants to: its parent is told, in the same step.
    pub fn child_rests(&mut self, child: &ExecutionId, rests: bool, parent: Option<Known>) {
        let Some(Known::Live(parent)) = parent else { return };
        let Some(number) = child.path().last() else { return };
        if parent.is_conducted() && parent.core().has_begun() && parent.core().children_open > 0 {
            self.move_on(parent, Move::Rests { number, rests });
        }
    }

    /// What was asked cannot be: it is counted, and a dead letter says why.
    pub(super) fn in_vain(&mut self, id: &ExecutionId, asked: &Asked, by: &str, why: &str) {
        self.count(Counted::AskedInVain);
        let detail = format!("of {id}: {}: {why}", asked.told(by));
        self.push(Effect::GiveUp { id: id.clone(), code: code::ASKED_IN_VAIN, detail });
    }
}

/// Who ends or wakes children where nobody else is named.
pub(super) const BY_WORKFLOW: &str = "its workflow";

/// Whether the children of one that rested are to go on with it.
fn wakes(status: Status, standing: &Standing) -> bool {
    match standing {
        Standing::Pausing | Standing::Paused => false,
        Standing::Pending => status == Status::Resuming,
        _ => matches!(status, Status::Pausing | Status::Paused | Status::Resuming),
    }
}

fn tell(execution: &Execution, conduct: &mut dyn Conduct, what: Move, told: &mut Told) {
    match what {
        Move::Ended { number, end } => told.orphans += usize::from(conduct.child_ended(number, end).is_err()),
        Move::Rests { number, rests } => conduct.child_rests(number, rests),
        Move::Time => conduct.time_passed(),
        Move::Nothing => {}
        // Who ends it has the last word.
        Move::Asked { .. } if execution.status() == Status::Canceling => {}
        // What failed in it is decided about by somebody who looks at it.
        Move::Asked { asked: Asked::Resume, from_above: true, .. } if conduct.frozen().is_some() => {}
        Move::Asked { asked, by, from_above } => {
            let open = conduct.open();
            match conduct.ask(&asked) {
                Ok(()) => {
                    told.asked.push(asked.told(&by));
                    told.by = Some(by);
                    told.pauses = asked == Asked::Pause;
                    if asked == Asked::Decide(Decision::Rollback) {
                        told.stops = open;
                    }
                }
                Err(why) if !from_above => told.refused.push((asked, by, why)),
                Err(_) => {}
            }
        }
    }
}

/// Says something more of it, beside why it waits.
fn note_more(execution: &mut Execution, what: &str) {
    let note = &mut execution.core_mut().note;
    let error = match note.error.take() {
        Some(before) => format!("{before}; {what}"),
        None => what.to_owned(),
    };
    *note = Note::of(note.code.take(), Some(error));
}

/// Why it ends as soon as what it has started has, where nobody can go on with it.
pub(super) fn doomed(execution: &Execution) -> Option<Note> {
    let Execution::Canceling(canceling) = execution else { return None };
    let note = &canceling.core.note;
    let is_doomed = [code::STATE_TOO_LARGE, code::WORKFLOW_UNREADABLE].map(Some).contains(&note.code.as_deref());
    is_doomed.then(|| note.clone())
}
