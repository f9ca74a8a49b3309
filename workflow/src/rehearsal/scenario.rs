//! Petrel's tests of workflows: what is given, how each task ends, and what is expected.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::conductor::{Decision, Status};
use crate::expression::Value;
use crate::yaml::At;

/// A test.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is called, if anything.
    pub name: Option<String>,
    /// Where it stands.
    pub at: At,
    /// The workflow's parameters.
    pub inputs: Map<String, Json>,
    /// Variables that the workflow begins with, such as `st2`.
    pub context: Map<String, Json>,
    /// How tasks end, by name. One that is not there succeeds at once, with `null`; nobody answers a question that is not.
    pub mocks: BTreeMap<String, Mock>,
    /// What a person decides, in order, whenever the workflow has come to rest frozen.
    pub decisions: Vec<Decided>,
    /// What is expected.
    pub expect: Expect,
}

/// What a person decides about a workflow that is frozen.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// How long that takes, in milliseconds: from when the workflow has come to rest, or from the decision before.
    pub after_ms: i64,
    /// What.
    pub decision: Decision,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock {
    /// A final status.
    pub status: Status,
    /// What it results in.
    pub result: Value,
    /// What somebody answers; for tasks that ask with `approve`.
    pub answer: Option<Value>,
    /// How long it takes, in milliseconds.
    pub takes_ms: i64,
    /// Of its first items, in their order; the others end as this one.
    pub items: Vec<Mock>,
    /// Of its first attempts, in their order; the others end as the last of these.
    pub attempts: Vec<Mock>,
}

impl Default for Mock {
    fn default() -> Self {
        Self {
            status: Status::Succeeded,
            result: Value::Null,
            answer: None,
            takes_ms: 0,
            items: Vec::new(),
            attempts: Vec::new(),
        }
    }
}

impl Mock {
    /// Whether it, or one of those in it, is such a one.
    pub(super) fn any(&self, is: fn(&Mock) -> bool) -> bool {
        is(self) || self.items.iter().chain(&self.attempts).any(|mock| mock.any(is))
    }

    /// The one of an attempt, from 0, and of an item.
    pub(super) fn of(&self, attempt: usize, item: Option<usize>) -> &Mock {
        let mut mock = self;
        // An item may have attempts, and an attempt items.
        for _ in 0..2 {
            if let Some(of_attempt) = mock.attempts.get(attempt).or(mock.attempts.last()) {
                mock = of_attempt;
            }
            if let Some(of_item) = item.and_then(|item| mock.items.get(item)) {
                mock = of_item;
            }
        }
        mock
    }
}

/// What is expected; what is none is not looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// How the workflow ends.
    pub status: Status,
    /// Its whole output.
    pub output: Option<Json>,
    /// The tasks in the order in which they begin.
    pub path: Option<Vec<String>>,
    /// The calls of actions, in their order.
    pub calls: Option<Vec<ExpectedCall>>,
    /// What goes wrong, in this order.
    pub errors: Option<Vec<ExpectedError>>,
    /// How long it takes, in milliseconds.
    pub takes_ms: Option<i64>,
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: Status::Succeeded, output: None, path: None, calls: None, errors: None, takes_ms: None }
    }
}

/// A call of an action.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExpectedCall {
    /// The task.
    pub task: String,
    /// The number of the item, of a task with items.
    pub item: Option<usize>,
    /// The action's reference.
    pub action: Option<String>,
    /// Parameters that must have these values; others are not looked at.
    pub input: Map<String, Json>,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExpectedError {
    /// The task that it is about.
    pub task: Option<String>,
    /// A part of what is told.
    pub message: String,
}
