//! Workflows of the model: so many children, so many of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use petrel_schemas::ExecutionId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::*;
use crate::codec::from_bytes;
use crate::execution::Known;
use crate::family::{Child, ChildEnded};
use crate::runner::{PackFiles, RunnerSpec, SpecError, WorkflowLanguage};
use crate::status::Status;
use crate::subject::Note;
use crate::workflow::{
    Asked, Begin, Changed, ChildEnd, Conduct, Decision, Piece, Standing, Start, Workflow, Workflows,
};

/// Children that may start in one step.
const STARTS_MAX: usize = 3;

/// What one of a family has for another.
pub enum Family {
    Child(Child),
    Ended(ChildEnded),
    Stop(ExecutionId, String),
    Ask(ExecutionId, Asked, String),
    Rests { parent: ExecutionId, child: ExecutionId, rests: bool },
}

impl Family {
    pub fn id(&self) -> &ExecutionId {
        match self {
            Self::Child(child) => &child.subject.id,
            Self::Ended(told) => &told.parent,
            Self::Stop(id, _) | Self::Ask(id, ..) => id,
            Self::Rests { parent, .. } => parent,
        }
    }

    pub fn tell(self, owner: &mut Owner<'_>, known: Option<Known>) {
        match self {
            Self::Child(child) => owner.child(child, known.as_ref()),
            Self::Ended(told) => owner.child_ended(&told, known),
            Self::Stop(_, by) => owner.cancel(&by, known),
            Self::Ask(_, asked, by) => owner.ask_child(&asked, &by, known),
            Self::Rests { child, rests, .. } => owner.child_rests(&child, rests, known),
        }
    }
}

/// What a workflow of the model does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shape {
    /// So many children at once.
    width: usize,
    /// So many in all.
    total: usize,
    /// Their action.
    child: String,
    /// Whether one that fails lets it rest until somebody decides.
    freezes: bool,
    /// Whether it is a question.
    is_question: bool,
}

impl Shape {
    pub fn of(width: usize, total: usize, child: &str) -> Self {
        Self { width, total, child: child.to_owned(), freezes: false, is_question: false }
    }

    pub fn freezing(self) -> Self {
        Self { freezes: true, ..self }
    }

    /// Whether its children are questions, or ask some.
    fn asks(&self) -> bool {
        matches!(&*self.child, "demo.question" | "demo.asks_twice")
    }

    pub fn question() -> Self {
        Self { is_question: true, ..Self::of(0, 1, "") }
    }
}

#[derive(Debug)]
struct Fake(Shape);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    kind: Shape,
    /// In all its runs.
    started: usize,
    /// In this one.
    begun: usize,
    open: BTreeSet<u32>,
    rests: BTreeSet<u32>,
    results: Vec<Value>,
    failed: bool,
    /// Tasks that failed and wait for a decision.
    frozen: BTreeSet<String>,
    answer: Option<Value>,
    asked: String,
    #[serde(skip)]
    changed: bool,
}

impl Workflow for Fake {
    fn begin(&self, begin: Begin<'_>) -> Result<Box<dyn Conduct>, Note> {
        assert_eq!(begin.parameters["host"], "db");
        Ok(Box::new(Run {
            kind: self.0.clone(),
            started: 0,
            begun: 0,
            open: BTreeSet::new(),
            rests: BTreeSet::new(),
            results: Vec::new(),
            failed: false,
            frozen: BTreeSet::new(),
            answer: None,
            asked: String::new(),
            changed: true,
        }))
    }

    fn restore(&self, pieces: &[Piece]) -> Result<Box<dyn Conduct>, String> {
        let [piece] = pieces else { return Err(format!("{} pieces", pieces.len())) };
        serde_json::from_str::<Run>(&piece.value)
            .map(|run| Box::new(run) as Box<dyn Conduct>)
            .map_err(|e| e.to_string())
    }
}

impl Run {
    fn wants(&self) -> usize {
        if self.failed || !self.asked.is_empty() || !self.frozen.is_empty() || self.kind.is_question {
            return 0;
        }
        (self.kind.width - self.open.len()).min(self.kind.total - self.begun)
    }

    fn over(&self) -> Option<(Status, Note)> {
        let nothing_runs = self.open.is_empty();
        match &*self.asked {
            "cancel" => nothing_runs.then_some((Status::Canceled, Note::NONE)),
            _ if self.failed && nothing_runs => Some((Status::Failed, Note::new("workflow_failed", "a task failed"))),
            _ if self.answer.is_some() => Some((Status::Succeeded, Note::NONE)),
            _ if self.frozen.is_empty() && !self.failed && self.results.len() >= self.kind.total => {
                Some((Status::Succeeded, Note::NONE))
            }
            _ => None,
        }
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), String> {
        if self.frozen.is_empty() || !self.open.is_empty() {
            return Err("it is not frozen".to_owned());
        }
        match decision {
            Decision::Resume { .. } => self.frozen.clear(),
            Decision::Skip { task, .. } | Decision::Retry { task, .. } if !self.frozen.remove(task) => {
                return Err(format!("{task} is not frozen"));
            }
            Decision::Skip { .. } => {}
            Decision::Retry { .. } => {
                self.begun -= 1;
                self.results.pop();
            }
            Decision::Rollback => {
                self.frozen.clear();
                self.failed = true;
            }
        }
        Ok(())
    }
}

impl Conduct for Run {
    fn frozen(&self) -> Option<Value> {
        (!self.frozen.is_empty()).then(|| json!({ "tasks": self.frozen }))
    }

    fn set_now(&mut self, now_ms: i64) {
        assert!(now_ms > 0);
    }

    fn starts(&mut self, most: usize) -> Vec<Start> {
        let count = self.wants().min(most);
        self.changed |= count > 0;
        let start = |run: &mut Self| {
            run.started += 1;
            run.begun += 1;
            let number = run.started as u32;
            run.open.insert(number);
            let (task, action) = (format!("t{number}"), run.kind.child.clone());
            Start {
                number,
                task,
                action,
                parameters: json!({ "host": "db" }),
                constants: Vec::new(),
                delay_ms: (number == 2).then_some(700),
                until_ms: run.kind.asks().then_some(3_600_000),
            }
        };
        (0..count).map(|_| start(self)).collect()
    }

    fn has_more(&self) -> bool {
        self.wants() > 0
    }

    fn child_ended(&mut self, number: u32, end: ChildEnd) -> Result<(), String> {
        if !self.open.remove(&number) {
            return Err("nobody waits for it".to_owned());
        }
        self.rests.remove(&number);
        self.changed = true;
        let has_failed = end.status != Status::Succeeded;
        if has_failed && self.kind.freezes && self.asked != "cancel" {
            self.frozen.insert(format!("t{number}"));
        } else {
            self.failed |= has_failed;
        }
        self.results.push(end.result);
        Ok(())
    }

    fn child_rests(&mut self, number: u32, rests: bool) {
        self.changed = true;
        if rests && self.open.contains(&number) {
            self.rests.insert(number);
        } else {
            self.rests.remove(&number);
        }
    }

    fn ask(&mut self, asked: &Asked) -> Result<(), String> {
        let is_over = self.over().is_some();
        let rests = self.asked == "pause" || !self.frozen.is_empty();
        match asked {
            Asked::Rerun(_) if is_over => {
                (self.begun, self.failed, self.results) = (0, false, Vec::new());
                (self.asked, self.answer) = (String::new(), None);
            }
            Asked::Rerun(_) => return Err("it has not ended".to_owned()),
            Asked::Pause | Asked::Resume | Asked::Decide(_) | Asked::Answer(_) if is_over => {
                return Err("it is over".to_owned());
            }
            Asked::Answer(answer) if self.kind.is_question => self.answer = Some(answer.clone()),
            Asked::Pause if !self.kind.is_question => self.asked = "pause".to_owned(),
            Asked::Resume if rests => {
                self.asked = String::new();
                self.frozen.clear();
            }
            Asked::Decide(decision) => self.decide(decision)?,
            Asked::Cancel => self.asked = "cancel".to_owned(),
            _ => return Err("it cannot".to_owned()),
        }
        self.changed = true;
        Ok(())
    }

    fn take_stops(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn next_to_end(&mut self, _: usize) -> Vec<u32> {
        self.open()
    }

    fn open(&self) -> Vec<u32> {
        self.open.iter().copied().collect()
    }

    fn due_ms(&self) -> Option<i64> {
        None
    }

    fn time_passed(&mut self) {}

    fn standing(&self) -> Standing {
        let rests = self.open.is_subset(&self.rests);
        if let Some((status, note)) = self.over() {
            let result = self.answer.clone().unwrap_or_else(|| json!({ "output": self.results }));
            return Standing::Over { status, note, result };
        }
        let is_to_rest = self.asked == "pause" || !self.frozen.is_empty();
        match &*self.asked {
            "cancel" => Standing::Canceling,
            _ if is_to_rest && rests => Standing::Paused,
            _ if is_to_rest => Standing::Pausing,
            _ if self.kind.is_question || (self.kind.asks() && rests && self.wants() == 0) => Standing::Pending,
            _ => Standing::Running,
        }
    }

    fn take_changes(&mut self) -> Vec<Changed> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        vec![Changed { key: "state".to_owned(), value: Some(serde_json::to_string(self).unwrap()) }]
    }
}

/// The runner of such a workflow.
pub fn runner(kind: Shape) -> Arc<RunnerSpec> {
    let keys = Map::from_iter([("workflow".to_owned(), Value::from("workflows/x.yaml"))]);
    Arc::new(RunnerSpec::parse("workflow", &keys, &Files(kind)).unwrap())
}

struct Files(Shape);

impl PackFiles for Files {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn workflow(&self, _: &str, _: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        Ok(Arc::new(Fake(self.0.clone())))
    }
}

/// What the model keeps of workflows.
#[derive(Clone, Default)]
pub struct FakeWorkflows(Rc<RefCell<Kept>>);

#[derive(Default)]
struct Kept {
    at_hand: BTreeMap<ExecutionId, Box<dyn Conduct>>,
    pieces: BTreeMap<(ExecutionId, String), String>,
    starts: usize,
    /// How often pieces were read.
    reads: usize,
    /// What is stored of all executions.
    states: BTreeMap<String, Vec<u8>>,
}

impl FakeWorkflows {
    pub fn begin_step(&self) {
        self.0.borrow_mut().starts = 0;
    }

    /// What is stored of executions has changed.
    pub fn see(&self, states: &BTreeMap<String, Vec<u8>>) {
        self.0.borrow_mut().states.clone_from(states);
    }

    /// Another process goes on with them.
    pub fn reads(&self) -> usize {
        self.0.borrow().reads
    }

    pub fn drop_all(&self) {
        self.0.borrow_mut().at_hand.clear();
    }

    pub fn put(&self, id: &ExecutionId, changed: Changed) {
        let mut kept = self.0.borrow_mut();
        let key = (id.clone(), changed.key);
        match changed.value {
            Some(value) => kept.pieces.insert(key, value),
            None => kept.pieces.remove(&key),
        };
    }

    /// Whether there was anything.
    pub fn forget(&self, id: &ExecutionId) -> bool {
        let mut kept = self.0.borrow_mut();
        let before = kept.pieces.len();
        kept.pieces.retain(|(of, _), _| of != id);
        kept.pieces.len() < before
    }

    pub fn is_empty(&self) -> bool {
        let kept = self.0.borrow();
        kept.pieces.is_empty() && kept.at_hand.is_empty()
    }
}

impl Workflows for FakeWorkflows {
    fn take(&self, id: &ExecutionId) -> Option<Box<dyn Conduct>> {
        self.0.borrow_mut().at_hand.remove(id)
    }

    fn keep(&self, id: &ExecutionId, conduct: Box<dyn Conduct>) {
        self.0.borrow_mut().at_hand.insert(id.clone(), conduct);
    }

    fn pieces(&self, id: &ExecutionId) -> Result<Vec<Piece>, String> {
        let mut kept = self.0.borrow_mut();
        kept.reads += 1;
        let of = |((whose, key), value): (&(ExecutionId, String), &String)| {
            (whose == id).then(|| Piece { key: key.clone(), value: value.clone() })
        };
        Ok(kept.pieces.iter().filter_map(of).collect())
    }

    fn known(&self, id: &ExecutionId) -> Option<Known> {
        self.0.borrow().states.get(id.as_str()).map(|state| from_bytes(state).unwrap())
    }

    fn children(&self, id: &ExecutionId) -> Vec<(ExecutionId, Status)> {
        let kept = self.0.borrow();
        let live = kept.states.values().filter_map(|state| match from_bytes(state).unwrap() {
            Known::Live(child) if child.id().parent().as_ref() == Some(id) => {
                Some((child.id().clone(), child.status()))
            }
            _ => None,
        });
        live.collect()
    }

    fn starts_left(&self) -> usize {
        STARTS_MAX.saturating_sub(self.0.borrow().starts)
    }

    fn started(&self, count: usize) {
        self.0.borrow_mut().starts += count;
    }
}
