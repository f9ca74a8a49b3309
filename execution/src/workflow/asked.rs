//! What people ask of workflows and of questions, and how records write it.

use std::fmt;

use petrel_schemas::{ExecutionId, WorkflowOrder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What somebody asks of a workflow, or of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// To start nothing more, and to rest once what runs has ended.
    Pause,
    /// To go on.
    Resume,
    /// To end once what runs has ended.
    Cancel,
    /// To run again, though it has ended: from these tasks, or, where none are named, from those that failed.
    Rerun(Vec<RerunTask>),
    /// What becomes of what failed in a frozen workflow.
    Decide(Decision),
    /// To end with this answer: it is a question.
    Answer(Value),
}

/// A task to run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerunTask {
    /// Its name.
    pub task: String,
    /// Its route's number.
    #[serde(default)]
    pub route: u32,
    /// Of a task with items, whether all of them run again, and not only those that ended badly or never ran.
    #[serde(default)]
    pub reset_items: bool,
}

/// What a person decides about a frozen workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// It goes on, and whatever failed is taken as dealt with.
    Resume {
        /// Variables that are merged into those of all that is to begin.
        #[serde(default)]
        variables: Map<String, Value>,
    },
    /// A task that failed is taken as done.
    Skip {
        /// Its name.
        task: String,
        /// Its route's number.
        #[serde(default)]
        route: u32,
        /// What `result()` is behind it.
        #[serde(default)]
        result: Value,
    },
    /// A task that failed is tried again.
    Retry {
        /// Its name.
        task: String,
        /// Its route's number.
        #[serde(default)]
        route: u32,
        /// Of a task with items, whether all of them run again.
        #[serde(default)]
        reset_items: bool,
        /// Merged into what the task gives its action.
        #[serde(default)]
        input: Map<String, Value>,
    },
    /// What was done is undone, and the workflow has failed.
    Rollback,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tasks {
    #[serde(default)]
    tasks: Vec<RerunTask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    answer: Value,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resume { .. } => f.write_str("resume"),
            Self::Skip { task, route, .. } => write!(f, "skip of {}", run_of(task, *route)),
            Self::Retry { task, route, .. } => write!(f, "retry of {}", run_of(task, *route)),
            Self::Rollback => f.write_str("rollback"),
        }
    }
}

/// A task, and its route where it is not the first one, as children are called.
fn run_of(task: &str, route: u32) -> String {
    if route == 0 { task.to_owned() } else { format!("{task}~{route}") }
}

impl Asked {
    /// Its name, as records write it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Rerun(_) => "rerun",
            Self::Decide(_) => "decide",
            Self::Answer(_) => "answer",
        }
    }

    /// What records say beside its name: a JSON object.
    pub fn data(&self) -> String {
        let data = match self {
            Self::Pause | Self::Resume | Self::Cancel => json!({}),
            Self::Rerun(tasks) => json!({ "tasks": tasks }),
            Self::Decide(decision) => serde_json::to_value(decision).unwrap_or_default(),
            Self::Answer(answer) => json!({ "answer": answer }),
        };
        data.to_string()
    }

    /// The record by which somebody asks it of an execution, at that time in milliseconds since the epoch. Its key is the
    /// root's id. A cancel is another record.
    pub fn order(&self, id: &ExecutionId, by: &str, at_ms: i64) -> WorkflowOrder {
        WorkflowOrder {
            execution_id: id.to_string(),
            root_execution_id: id.root().to_string(),
            order: self.as_str().to_owned(),
            requested_by: by.to_owned(),
            requested_at_ms: at_ms,
            data: self.data(),
        }
    }

    /// Who asked what, for people.
    pub fn told(&self, by: &str) -> String {
        match self {
            Self::Answer(_) => format!("answered by {by}"),
            Self::Decide(decision) => format!("{decision} decided by {by}"),
            Self::Rerun(tasks) if !tasks.is_empty() => {
                let tasks: Vec<String> = tasks.iter().map(|of| run_of(&of.task, of.route)).collect();
                format!("rerun of {} asked for by {by}", tasks.join(", "))
            }
            other => format!("{} asked for by {by}", other.as_str()),
        }
    }

    /// Reads back what somebody orders by a record of its own; a cancel is another one.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(name: &str, data: &str) -> Result<Self, String> {
        let unreadable = |error: serde_json::Error| format!("the order {name:?} of a workflow: {error}");
        match name {
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            "rerun" => serde_json::from_str(data).map(|Tasks { tasks }| Self::Rerun(tasks)).map_err(unreadable),
            "decide" => serde_json::from_str(data).map(Self::Decide).map_err(unreadable),
            "answer" => serde_json::from_str(data).map(|Answered { answer }| Self::Answer(answer)).map_err(unreadable),
            _ => Err(format!("{name:?} is nothing that can be asked of a workflow")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_reads_as_it_was_written() {
        let retry = Decision::Retry { task: "a".into(), route: 2, reset_items: true, input: Map::new() };
        let skip = Decision::Skip { task: "a".into(), route: 0, result: json!([1, null]) };
        let variables = Map::from_iter([("x".to_owned(), json!(1))]);
        for asked in [
            Asked::Pause,
            Asked::Resume,
            Asked::Rerun(Vec::new()),
            Asked::Rerun(vec![RerunTask { task: "b".into(), route: 1, reset_items: false }]),
            Asked::Decide(Decision::Resume { variables }),
            Asked::Decide(skip),
            Asked::Decide(retry),
            Asked::Decide(Decision::Rollback),
            Asked::Answer(Value::Null),
            Asked::Answer(json!({ "continue": true })),
        ] {
            let id = ExecutionId::of_manual("call").child(3).unwrap();
            let order = asked.order(&id, "eve", 7);
            assert_eq!(Asked::parse(&order.order, &order.data), Ok(asked.clone()), "{asked:?}");
            assert_eq!(
                (order.execution_id.as_str(), order.root_execution_id.as_str()),
                (id.as_str(), id.root().as_str())
            );
            assert_eq!((order.requested_by.as_str(), order.requested_at_ms), ("eve", 7));
        }
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_nobody_knows_is_refused() {
        let retry = Asked::parse("decide", r#"{"decision": "retry", "task": "a"}"#);
        let expected = Decision::Retry { task: "a".into(), route: 0, reset_items: false, input: Map::new() };
        assert_eq!(retry, Ok(Asked::Decide(expected)));
        assert_eq!(Asked::parse("rerun", "{}"), Ok(Asked::Rerun(Vec::new())));
        for (name, data) in [("cancel", "{}"), ("answer", "{}"), ("decide", r#"{"decision": "hope"}"#), ("rerun", "[")]
        {
            assert!(Asked::parse(name, data).is_err(), "{name} {data}");
        }
    }

    #[test]
    fn who_asked_what_is_told() {
        let retry = Decision::Retry { task: "a".into(), route: 2, reset_items: true, input: Map::new() };
        let rerun = |task: &str| RerunTask { task: task.into(), route: 0, reset_items: false };
        for (asked, expected) in [
            (Asked::Pause, "pause asked for by eve"),
            (Asked::Rerun(Vec::new()), "rerun asked for by eve"),
            (Asked::Rerun(vec![rerun("a"), rerun("b")]), "rerun of a, b asked for by eve"),
            (Asked::Decide(retry), "retry of a~2 decided by eve"),
            (Asked::Decide(Decision::Rollback), "rollback decided by eve"),
            (Asked::Answer(json!({ "secret": 1 })), "answered by eve"),
        ] {
            assert_eq!(asked.told("eve"), expected);
        }
    }
}
