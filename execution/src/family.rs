//! Parents and children. A child's id says who its parent and its root are; all of them have the same owner.

use petrel_schemas::{ExecutionId, ObjectRef};
use serde_json::{Map, Value, json};

use crate::execution::Ended;
use crate::gate::GateId;
use crate::limits::{STREAM_FOR_PARENT_BYTES_MAX, head};
use crate::state::End;
use crate::status::Status;
use crate::subject::{Note, Subject};

/// Name under which the parameters of a child list those, beside them, whose text an expression has made of data and reads
/// like the name of a secret. None of them can be a parameter that holds a secret: else whoever writes what a workflow
/// reads would choose which secret an action gets. Only Petrel writes it.
pub const COMPUTED_KEY: &str = "$computed";

/// A child that its parent wants to run, in the same step.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// What is asked for.
    pub subject: Subject,
    /// Its parameters, a JSON object.
    pub parameters: String,
    /// The gates that it passes with the permits of its ancestors.
    pub inherited: Vec<GateId>,
    /// How long it waits before it starts, in milliseconds.
    pub delay_ms: Option<i64>,
}

/// What a child wrote to one of its streams, for its parent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wrote {
    /// Its beginning.
    pub text: String,
    /// Whether there was more.
    pub truncated: bool,
}

impl Wrote {
    /// Up to [`STREAM_FOR_PARENT_BYTES_MAX`] of a text that was cut already, or not.
    pub fn new(text: &str, truncated: bool) -> Self {
        let told = head(text, STREAM_FOR_PARENT_BYTES_MAX);
        Self { text: told.to_owned(), truncated: truncated || told.len() < text.len() }
    }
}

/// What a parent is told when a child ends, in the same step: they share the root, and so the owner.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildEnded {
    /// Who is told.
    pub parent: ExecutionId,
    /// How the child ended.
    pub child: Ended,
    /// What was wrong, for people.
    pub error: Option<String>,
    /// The child's structured result, a JSON value; that of a sub-workflow is whole, however large.
    pub result: Option<String>,
    /// What the child's action takes of it, a JSON object.
    pub extracted: Option<String>,
    /// Where the child's result is instead, if it is too large to stand here.
    pub result_object: Option<ObjectRef>,
    /// What it wrote to its standard output.
    pub stdout: Wrote,
    /// What it wrote to its standard error.
    pub stderr: Wrote,
}

impl ChildEnded {
    /// The message for the parent of what ended; nothing for a root.
    pub fn of(child: &Ended, end: &End, note: &Note) -> Option<Self> {
        Some(Self {
            parent: child.id.parent()?,
            child: child.clone(),
            error: note.error.clone(),
            result: end.whole.as_ref().or(end.result.as_ref()).cloned(),
            extracted: end.extracted.clone(),
            result_object: end.result_object.as_deref().and_then(ObjectRef::parse),
            stdout: end.stdout.clone(),
            stderr: end.stderr.clone(),
        })
    }

    /// What the task that it ran for has resulted in, as expressions see it: its structured result; of one that is too large
    /// for the log where it is, and as `extracted` what its action takes of it; of an action that has none what it wrote, as
    /// StackStorm's local runners tell it, and whether there was more; and what was wrong, also where it succeeded and its
    /// result was left out.
    pub fn value(&self) -> Value {
        let json = |text: &String| serde_json::from_str::<Value>(text).ok();
        if let Some(result) = self.result.as_ref().and_then(json).filter(|result| !result.is_null()) {
            return result;
        }
        if let Some(object) = &self.result_object {
            let mut value = object.to_value();
            if let (Some(extracted), Value::Object(fields)) = (self.extracted.as_ref().and_then(json), &mut value) {
                fields.insert("extracted".to_owned(), extracted);
            }
            return value;
        }
        let has_succeeded = self.child.status == Status::Succeeded;
        let mut value = Map::new();
        if self.child.return_code.is_some() || self.stdout != Wrote::default() || self.stderr != Wrote::default() {
            for (name, wrote) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
                value.insert(name.to_owned(), wrote.text.trim_end_matches('\n').into());
                if wrote.truncated {
                    value.insert(format!("{name}_truncated"), true.into());
                }
            }
            value.insert("return_code".to_owned(), json!(self.child.return_code));
            value.insert("succeeded".to_owned(), has_succeeded.into());
            value.insert("failed".to_owned(), (!has_succeeded).into());
        }
        if !has_succeeded || self.child.code.is_some() {
            value.insert("code".to_owned(), json!(self.child.code));
            value.insert("error".to_owned(), json!(self.error));
        }
        if value.is_empty() { Value::Null } else { Value::Object(value) }
    }
}
