//! Conducting a workflow: it is begun, told how its children end, and asked what is to start.

use std::sync::Arc;

use jiff::Timestamp;
use petrel_schemas::{ExecutionId, OBJECTS_KEY, SecretRef};
use serde_json::{Map, Value, json};

use super::enter::{Left, MayWait};
use super::kept::{Move, apart};
use super::moves::{BY_WORKFLOW, Taken};
use super::{Counted, Effect, Owner, row};
use crate::code;
use crate::execution::{Execution, Known};
use crate::family::{COMPUTED_KEY, Child, ChildEnded};
use crate::plan::{ActionPlan, Resolution};
use crate::state::{DelayReason, Failed, In, LeadsTo, Scheduled};
use crate::status::Status;
use crate::subject::{Core, Note, Subject};
use crate::timer::TimerKind;
use crate::workflow::{Begin, ChildEnd, Conduct, Moved, Piece, Start, UNTIL_KEY};

/// When a workflow is asked again whose revision is not here, in milliseconds.
const ASK_AGAIN_MS: i64 = 5_000;

/// Most tasks that one record of the audit trail tells of.
const MOVES_MAX: usize = 1_000;

/// Most bytes of what it tells of them; one always has room.
const MOVES_BYTES_MAX: usize = 256 << 10;

/// Bytes of what a record tells of a task beside its name, rounded up.
const MOVE_BYTES: usize = 40;

/// Why a workflow that has begun is not at hand.
pub(super) enum Missing {
    /// Its revision has not arrived here, or this release cannot use it; for people, too.
    NotNow(DelayReason, String),
    /// Nobody can go on with it.
    Never(String),
}

impl Owner<'_> {
    /// It has passed everything: it runs.
    pub(super) fn begin_workflow<S>(&mut self, mut from: In<S>)
    where
        S: MayWait + LeadsTo<Scheduled> + LeadsTo<Failed>,
    {
        let subject = &from.core.subject;
        let (revision, action) = (&subject.revision, &subject.action);
        let plan = match self.facts.actions.resolve(revision, action) {
            Resolution::Ready(plan) => plan,
            // Others may have what it has of its gates meanwhile.
            Resolution::NotYet => {
                let why = format!("revision {revision} has not arrived yet");
                self.stand_back(&mut from.core);
                return self.wait(from, DelayReason::RevisionNotHere, why);
            }
            Resolution::Broken(why) => {
                self.stand_back(&mut from.core);
                return self.wait(from, DelayReason::ActionBroken, why);
            }
            Resolution::Removed | Resolution::NoSuchAction => {
                let why = format!("revision {revision} was removed before it began");
                return self.refuse(from, Note::new(code::REVISION_REMOVED, why));
            }
        };
        let Some(workflow) = plan.runner.workflow() else {
            let why = format!("{action} is no workflow in revision {revision}");
            return self.refuse(from, Note::new(code::WORKFLOW_NOT_BEGUN, why));
        };
        let parameters = match serde_json::from_str(&from.core.parameters) {
            Ok(Value::Object(parameters)) => parameters,
            _ => Map::new(),
        };
        let about = about(subject);
        let depth = u32::try_from(from.core.id().path().count()).unwrap_or(u32::MAX);
        let begin = Begin { parameters: &parameters, about: &about, depth, now_ms: self.now_ms() };
        let conduct = match workflow.begin(begin) {
            Ok(conduct) => conduct,
            Err(note) => return self.refuse(from, note),
        };
        if let Some(passage) = from.core.passage.as_mut() {
            passage.begun = true;
        }
        let (left, now_ms) = (Left::of(&from), self.now_ms());
        let nowhere = Scheduled { partition: 0, start_by_ms: now_ms, declines: 0, too_small: 0, again_ms: None };
        let scheduled = from.schedule(nowhere, now_ms, Note::NONE);
        // Nobody has to come for it: what would wait for a worker is not set up.
        self.push(Effect::Save(scheduled.clone().into()));
        let running = scheduled.conduct();
        self.enter(left, running.clone());
        self.go_on(running.into(), conduct);
    }

    /// A child has ended: its parent is told, in the same step.
    pub fn child_ended(&mut self, told: &ChildEnded, parent: Option<Known>) {
        let Some(Known::Live(mut parent)) = parent.filter(has_children) else {
            return self.count(Counted::Orphan);
        };
        parent.core_mut().children_open -= 1;
        if !parent.is_conducted() {
            return self.push(Effect::Update(parent));
        }
        let Some(number) = told.child.id.path().last() else { return self.count(Counted::Orphan) };
        let end = ChildEnd { status: told.child.status, result: told.value() };
        self.move_on(parent, Move::Ended { number, end });
    }

    /// Its timer is due: it has more to start than one step may, wanted to be asked, or was not at hand.
    pub(super) fn conduct_due(&mut self, execution: Execution) {
        if execution.is_conducted() && execution.core().has_begun() {
            self.move_on(execution, Move::Time);
        }
    }

    /// What runs for an execution, as it is at hand or stored, with what it was not told yet.
    pub(super) fn conduct_of(&mut self, execution: &Execution) -> Result<Taken, Missing> {
        let id = execution.id();
        let mut taken = match self.facts.workflows.take(id) {
            Some(conduct) => Taken { conduct, kept: Vec::new() },
            None => {
                // Its pieces may be many, and each child that ends would read them in vain.
                self.plan_of(&execution.core().subject)?;
                let (pieces, mut kept) = apart(self.facts.workflows.pieces(id).map_err(Missing::Never)?);
                let conduct = self.restored(&execution.core().subject, pieces)?;
                // A decision is about one workflow.
                kept.append(&mut self.kept);
                Taken { conduct, kept }
            }
        };
        taken.conduct.set_now(self.now_ms());
        Ok(taken)
    }

    /// The plan of a workflow that has begun.
    fn plan_of(&self, subject: &Subject) -> Result<Arc<ActionPlan>, Missing> {
        match self.facts.actions.resolve(&subject.revision, &subject.action) {
            Resolution::Ready(plan) => Ok(plan),
            Resolution::NotYet => {
                let why = format!("revision {} has not arrived yet", subject.revision);
                Err(Missing::NotNow(DelayReason::RevisionNotHere, why))
            }
            Resolution::Broken(why) => Err(Missing::NotNow(DelayReason::ActionBroken, why)),
            Resolution::Removed | Resolution::NoSuchAction => {
                Err(Missing::Never(format!("revision {} was removed while it ran", subject.revision)))
            }
        }
    }

    /// A workflow as its pieces tell it.
    pub(super) fn restored(&self, subject: &Subject, pieces: Vec<Piece>) -> Result<Box<dyn Conduct>, Missing> {
        let plan = self.plan_of(subject)?;
        let workflow = plan.runner.workflow().ok_or_else(|| Missing::Never("its action is no workflow".to_owned()))?;
        let mut conduct = workflow.restore(&pieces).map_err(Missing::Never)?;
        conduct.set_now(self.now_ms());
        Ok(conduct)
    }

    /// Whether an action is a workflow, as far as this process knows its revision.
    pub(super) fn is_workflow(&self, revision: &str, action: &str) -> bool {
        match self.facts.actions.resolve(revision, action) {
            Resolution::Ready(plan) => plan.runner.workflow().is_some(),
            _ => false,
        }
    }

    /// It starts what it has to start, as much as one step may, and the execution takes the status that it has come to.
    pub(super) fn go_on(&mut self, mut execution: Execution, mut conduct: Box<dyn Conduct>) {
        let id = execution.id().clone();
        self.start_children(&mut execution, conduct.as_mut());
        for number in conduct.take_stops() {
            self.stop_child(&id, number, BY_WORKFLOW);
        }
        self.watch(&id, conduct.as_ref());
        for changed in conduct.take_changes() {
            self.piece(&id, changed);
        }
        self.tell_moves(execution.core(), conduct.as_mut());
        let is_over = self.settle(execution, conduct.as_ref());
        if !is_over {
            self.facts.workflows.keep(&id, conduct);
        }
    }

    /// Each task that has come to another status is told of in the audit trail.
    fn tell_moves(&mut self, core: &Core, conduct: &mut dyn Conduct) {
        let moves = conduct.take_moves();
        let mut left = moves.as_slice();
        while !left.is_empty() {
            let (told, others) = left.split_at(moves_of_a_record(left));
            self.push(Effect::Moved(row::moved(core, told, self.now_ms())));
            left = others;
        }
    }

    fn start_children(&mut self, execution: &mut Execution, conduct: &mut dyn Conduct) {
        loop {
            let most = self.facts.workflows.starts_left();
            let starts = conduct.starts(most);
            if starts.is_empty() {
                return;
            }
            self.facts.workflows.started(starts.len());
            for mut start in starts {
                let number = start.number;
                let trusted = self.mark(execution, &mut start);
                let core = execution.core_mut();
                match trusted.and_then(|()| child_of(core.id(), number)) {
                    Ok(id) => {
                        core.children_open = core.children_open.saturating_add(1);
                        let inherited = core.passage.as_ref().map(|passage| passage.held()).unwrap_or_default();
                        let child = child(&core.subject, id, start, inherited, self.facts.now_ms);
                        self.push(Effect::Child(child));
                    }
                    Err(why) => {
                        let end = ChildEnd { status: Status::Failed, result: json!({ "error": why }) };
                        if conduct.child_ended(number, end).is_err() {
                            self.count(Counted::Orphan);
                        }
                    }
                }
            }
        }
    }

    /// Says beside the parameters what only Petrel says: what an expression has made of data and reads like the name of a
    /// secret (what came in as a secret, and what stands in the workflow itself, is what it says), and until when an answer
    /// is waited for.
    fn mark(&self, execution: &Execution, start: &mut Start) -> Result<(), String> {
        let Some(parameters) = start.parameters.as_object_mut() else { return Ok(()) };
        if let Some(name) =
            [OBJECTS_KEY, COMPUTED_KEY, UNTIL_KEY].into_iter().find(|name| parameters.contains_key(*name))
        {
            return Err(format!("{name:?} is no parameter that a task can give"));
        }
        // What stands in a file of a pack names what that pack may name.
        let pack = execution.core().subject.action.split('.').next().unwrap_or_default();
        let is_suspicious = |name: &String, value: &Value| {
            let secret = value.as_str().and_then(SecretRef::of_text);
            secret.is_some_and(|secret| !(start.constants.contains(name) && secret.may_be_named_in(pack)))
        };
        let suspicious = parameters.iter().filter(|(name, value)| is_suspicious(name, value));
        let mut computed: Vec<(String, Value)> =
            suspicious.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !computed.is_empty() {
            let known = self.secrets_of(execution);
            computed.retain(|(_, value)| !known.contains(value));
        }
        if !computed.is_empty() {
            let names = computed.into_iter().map(|(name, _)| Value::String(name)).collect();
            parameters.insert(COMPUTED_KEY.to_owned(), Value::Array(names));
        }
        if let Some(until) = start.until_ms.and_then(|until_ms| Timestamp::from_millisecond(until_ms).ok()) {
            parameters.insert(UNTIL_KEY.to_owned(), Value::String(until.to_string()));
        }
        Ok(())
    }

    /// The names of secrets that an execution was given in parameters that hold secrets.
    fn secrets_of(&self, execution: &Execution) -> Vec<Value> {
        let core = execution.core();
        let Resolution::Ready(plan) = self.facts.actions.resolve(&core.subject.revision, &core.subject.action) else {
            return Vec::new();
        };
        let Ok(parameters) = serde_json::from_str::<Value>(&core.parameters) else { return Vec::new() };
        plan.parameters.secrets().iter().filter_map(|name| parameters.get(name)).cloned().collect()
    }

    /// Its timer is set to when it is to be asked next, whatever happens.
    fn watch(&mut self, id: &ExecutionId, conduct: &dyn Conduct) {
        let due_ms = if conduct.has_more() { Some(self.now_ms()) } else { conduct.due_ms() };
        let (id, kind) = (id.clone(), TimerKind::Conduct);
        self.push(match due_ms {
            Some(due_ms) => Effect::SetTimer { id, kind, due_ms },
            None => Effect::CancelTimer { id, kind },
        });
    }

    /// It is asked again after a while, or, where something is left to do, in the next step.
    pub(super) fn ask_again(&mut self, id: &ExecutionId, at_once: bool) {
        let due_ms = self.now_ms().saturating_add(if at_once { 0 } else { ASK_AGAIN_MS });
        self.push(Effect::SetTimer { id: id.clone(), kind: TimerKind::Conduct, due_ms });
    }

    pub(super) fn stop_child(&mut self, id: &ExecutionId, number: u32, by: &str) {
        if let Ok(id) = id.child(number) {
            self.push(Effect::StopChild { id, by: by.to_owned() });
        }
    }
}

/// How many of the first ones one record tells of: all that it has room for, and at least one.
fn moves_of_a_record(moves: &[Moved]) -> usize {
    let mut bytes = 0;
    let has_room = |moved: &&Moved| {
        bytes += moved.task.len() + MOVE_BYTES;
        bytes <= MOVES_BYTES_MAX
    };
    moves.iter().take(MOVES_MAX).take_while(has_room).count().max(1)
}

/// Whether children of it have not ended.
fn has_children(parent: &Known) -> bool {
    matches!(parent, Known::Live(parent) if parent.core().children_open > 0)
}

fn child_of(parent: &ExecutionId, number: u32) -> Result<ExecutionId, String> {
    parent.child(number).map_err(|e| format!("its child {number} cannot be: {e}"))
}

/// A child for what a workflow wants to start. It is of the same event, rule and revision as its parent.
fn child(parent: &Subject, id: ExecutionId, start: Start, inherited: Vec<crate::gate::GateId>, now_ms: i64) -> Child {
    let Start { task, action, parameters, delay_ms, .. } = start;
    let subject = Subject { id, action, requested_at_ms: now_ms, task: Some(task), ..parent.clone() };
    Child { subject, parameters: parameters.to_string(), inherited, delay_ms }
}

/// What expressions may ask about the execution.
fn about(subject: &Subject) -> Map<String, Value> {
    let pack = subject.action.split('.').next().unwrap_or_default();
    let about = json!({
        "execution_id": subject.id.as_str(),
        "action_execution_id": subject.id.as_str(),
        "root_execution_id": subject.id.root().as_str(),
        "action": subject.action,
        "pack": pack,
        "user": subject.requested_by,
        "rule": subject.rule,
        "trigger": subject.trigger,
        "event_id": subject.event_id,
        "revision": subject.revision,
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_of_as_many_tasks_as_it_has_room_for() {
        let named =
            |bytes: usize| Moved { task: "x".repeat(bytes).into(), route: 0, run: 0, change: 0, status: "running" };
        for (moves, expected) in [
            (vec![named(3)], 1),
            (vec![named(3); MOVES_MAX + 1], MOVES_MAX),
            (vec![named(MOVES_BYTES_MAX)], 1),
            (vec![named(MOVES_BYTES_MAX), named(3)], 1),
            (vec![named(1_000); MOVES_MAX], MOVES_BYTES_MAX / (1_000 + MOVE_BYTES)),
        ] {
            assert_eq!(moves_of_a_record(&moves), expected);
        }
    }
}
