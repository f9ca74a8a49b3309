//! Workflows of the model: so many children, so many of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use petrel_schemas::ExecutionId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::*;
use crate::execution::Known;
use crate::family::{Child, ChildEnded};
use crate::runner::{PackFiles, RunnerSpec, SpecError, WorkflowLanguage};
use crate::status::Status;
use crate::subject::Note;
use crate::workflow::{Asked, Begin, Changed, ChildEnd, Conduct, Piece, Standing, Start, Workflow, Workflows};

/// Children that may start in one step.
const STARTS_MAX: usize = 3;

/// What one of a family has for another.
pub enum Family {
    Child(Child),
    Ended(ChildEnded),
    Stop(ExecutionId, String),
    Ask(ExecutionId, Asked, String),
}

impl Family {
    pub fn id(&self) -> &ExecutionId {
        match self {
            Self::Child(child) => &child.subject.id,
            Self::Ended(told) => &told.parent,
            Self::Stop(id, _) | Self::Ask(id, ..) => id,
        }
    }

    pub fn tell(self, owner: &mut Owner<'_>, known: Option<Known>) {
        match self {
            Self::Child(child) => owner.child(child, known.as_ref()),
            Self::Ended(told) => owner.child_ended(&told, known),
            Self::Stop(_, by) => owner.cancel(&by, known),
            Self::Ask(_, asked, by) => owner.ask_child(&asked, &by, known),
        }
    }
}

/// So many at once, so many in all; without any, one that starts itself.
#[derive(Debug)]
struct Fake {
    width: usize,
    total: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    width: usize,
    total: usize,
    started: usize,
    open: BTreeSet<u32>,
    results: Vec<Value>,
    failed: bool,
    asked: String,
    #[serde(skip)]
    changed: bool,
}

impl Workflow for Fake {
    fn begin(&self, begin: Begin<'_>) -> Result<Box<dyn Conduct>, Note> {
        assert_eq!(begin.parameters["host"], "db");
        let asked = String::new();
        let (width, total) = (self.width, self.total);
        let (open, results) = (BTreeSet::new(), Vec::new());
        Ok(Box::new(Run { width, total, started: 0, open, results, failed: false, asked, changed: true }))
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
        if self.failed || !self.asked.is_empty() {
            return 0;
        }
        (self.width - self.open.len()).min(self.total.max(1) - self.started)
    }
}

impl Conduct for Run {
    fn frozen(&self) -> Option<Value> {
        None
    }

    fn set_now(&mut self, now_ms: i64) {
        assert!(now_ms > 0);
    }

    fn starts(&mut self, most: usize) -> Vec<Start> {
        let action = if self.total == 0 { "demo.deep" } else { "demo.ok" };
        let count = self.wants().min(most);
        self.changed |= count > 0;
        let start = |run: &mut Self| {
            run.started += 1;
            let number = run.started as u32;
            run.open.insert(number);
            let (task, action) = (format!("t{number}"), action.to_owned());
            Start {
                number,
                task,
                action,
                parameters: json!({ "host": "db" }),
                constants: Vec::new(),
                delay_ms: (number == 2).then_some(700),
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
        self.changed = true;
        self.failed |= end.status != Status::Succeeded;
        self.results.push(end.result);
        Ok(())
    }

    fn ask(&mut self, asked: &Asked) -> Result<(), String> {
        self.changed = true;
        match asked {
            Asked::Pause => self.asked = "pause".to_owned(),
            Asked::Resume => self.asked = String::new(),
            Asked::Cancel => self.asked = "cancel".to_owned(),
            Asked::Rerun(_) | Asked::Decide(_) | Asked::Answer(_) => return Err("it cannot".to_owned()),
        }
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
        let rests = self.open.is_empty();
        let over = |status, note| Standing::Over { status, note, result: json!({ "output": self.results }) };
        match &*self.asked {
            "cancel" if rests => over(Status::Canceled, Note::NONE),
            "cancel" => Standing::Canceling,
            _ if self.failed && rests => over(Status::Failed, Note::new("workflow_failed", "a task failed")),
            _ if self.results.len() >= self.total.max(1) => over(Status::Succeeded, Note::NONE),
            "pause" if rests => Standing::Paused,
            "pause" => Standing::Pausing,
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
pub fn runner(width: usize, total: usize) -> Arc<RunnerSpec> {
    let keys = Map::from_iter([("workflow".to_owned(), Value::from("workflows/x.yaml"))]);
    Arc::new(RunnerSpec::parse("workflow", &keys, &Files { width, total }).unwrap())
}

struct Files {
    width: usize,
    total: usize,
}

impl PackFiles for Files {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn workflow(&self, _: &str, _: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        Ok(Arc::new(Fake { width: self.width, total: self.total }))
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
}

impl FakeWorkflows {
    pub fn begin_step(&self) {
        self.0.borrow_mut().starts = 0;
    }

    /// Another process goes on with them.
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

    fn pieces(&self, id: &ExecutionId) -> Vec<Piece> {
        let kept = self.0.borrow();
        let of = |((whose, key), value): (&(ExecutionId, String), &String)| {
            (whose == id).then(|| Piece { key: key.clone(), value: value.clone() })
        };
        kept.pieces.iter().filter_map(of).collect()
    }

    fn starts_left(&self) -> usize {
        STARTS_MAX.saturating_sub(self.0.borrow().starts)
    }

    fn started(&self, count: usize) {
        self.0.borrow_mut().starts += count;
    }
}
