//! An owner as far as a workflow sees one: it keeps the pieces, and goes on with what is stored whenever it likes.

use std::collections::BTreeMap;

use petrel_execution::Status;
use petrel_execution::workflow::{Asked, Begin, ChildEnd, Conduct, Piece, Standing, Start, Workflow};
use serde_json::{Map, Value, json};

use crate::conduct::PackWorkflow;
use crate::expression::Dialect;

pub(super) struct Host {
    workflow: PackWorkflow,
    pub(super) conduct: Box<dyn Conduct>,
    pub(super) stored: BTreeMap<String, String>,
    now_ms: i64,
}

impl Host {
    pub(super) fn begin(workflow: PackWorkflow, parameters: &Value) -> Host {
        let about = json!({"action_execution_id": "be42", "user": "ops"});
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        let about = about.as_object().cloned().unwrap_or_default();
        let begin = Begin { parameters: &parameters, about: &about, depth: 0, now_ms: 1_000 };
        let conduct = workflow.begin(begin).unwrap();
        let mut host = Host { workflow, conduct, stored: BTreeMap::new(), now_ms: 1_000 };
        host.store();
        host
    }

    /// Stores what has changed, and says which pieces that are.
    pub(super) fn store(&mut self) -> Vec<String> {
        let changes = self.conduct.take_changes();
        let keys = changes.iter().map(|change| change.key.clone()).collect();
        for change in changes {
            match change.value {
                Some(value) => self.stored.insert(change.key, value),
                None => self.stored.remove(&change.key),
            };
        }
        keys
    }

    /// Lets a second pass.
    pub(super) fn tick(&mut self) {
        self.now_ms += 1_000;
        self.conduct.set_now(self.now_ms);
    }

    /// Lets time come to what is due next, if anything is.
    pub(super) fn wait(&mut self) {
        if let Some(due_ms) = self.conduct.due_ms() {
            self.now_ms = self.now_ms.max(due_ms);
            self.conduct.set_now(self.now_ms);
            self.conduct.time_passed();
        }
    }

    pub(super) fn pieces(&self) -> Vec<Piece> {
        let piece = |(key, value): (&String, &String)| Piece { key: key.clone(), value: value.clone() };
        self.stored.iter().map(piece).collect()
    }

    /// Goes on with what is stored.
    pub(super) fn restore(&mut self) {
        self.store();
        self.conduct = self.workflow.restore(&self.pieces()).unwrap();
        self.conduct.set_now(self.now_ms);
    }

    pub(super) fn starts(&mut self, most: usize) -> Vec<Start> {
        self.conduct.starts(most)
    }

    pub(super) fn end(&mut self, number: u32, status: Status, result: Value) {
        self.conduct.child_ended(number, ChildEnd { status, result }).unwrap();
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        self.conduct.ask(&asked).unwrap();
    }

    pub(super) fn standing(&self) -> Standing {
        self.conduct.standing()
    }

    /// The labels of what starts, with the numbers.
    pub(super) fn labels(&mut self, most: usize) -> Vec<(u32, String)> {
        self.starts(most).into_iter().map(|start| (start.number, start.task)).collect()
    }

    /// Starts everything that there is, and ends each child as told, until nothing is left to start.
    pub(super) fn run(&mut self, mut end: impl FnMut(&Start) -> (Status, Value)) -> (Status, Value) {
        loop {
            let starts = self.starts(100);
            if starts.is_empty() {
                break;
            }
            for start in starts {
                let (status, result) = end(&start);
                self.end(start.number, status, result);
            }
        }
        match self.standing() {
            Standing::Over { status, result, .. } => (status, result),
            other => panic!("not over, {other:?}"),
        }
    }
}

/// A workflow that is inspected.
pub(super) fn workflow(text: &str) -> PackWorkflow {
    read(text, Dialect::Orquesta)
}

/// A native one.
pub(super) fn native(text: &str) -> PackWorkflow {
    read(text, Dialect::Native)
}

fn read(text: &str, dialect: Dialect) -> PackWorkflow {
    PackWorkflow::read(&format!("version: 1.0\n{text}"), dialect).unwrap_or_else(|findings| panic!("{findings:?}"))
}

pub(super) fn begin_native(text: &str) -> Host {
    Host::begin(native(text), &Value::Object(Map::new()))
}

pub(super) fn begin(text: &str) -> Host {
    Host::begin(workflow(text), &Value::Object(Map::new()))
}
