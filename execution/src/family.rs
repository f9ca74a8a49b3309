//! Parents and children. A child's id says who its parent and its root are; all of them have the same owner.

use petrel_schemas::{ExecutionId, ObjectRef};

use crate::execution::Ended;
use crate::state::End;

/// What a parent is told when a child ends, in the same step: they share the root, and so the owner.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildEnded {
    /// Who is told.
    pub parent: ExecutionId,
    /// How the child ended.
    pub child: Ended,
    /// The child's structured result, a JSON value.
    pub result: Option<String>,
    /// What the child's action takes of it, a JSON object.
    pub extracted: Option<String>,
    /// Where the child's result is instead, if it is too large to stand here.
    pub result_object: Option<ObjectRef>,
}

impl ChildEnded {
    /// The message for the parent of what ended; nothing for a root.
    pub fn of(child: &Ended, end: &End) -> Option<Self> {
        Some(Self {
            parent: child.id.parent()?,
            child: child.clone(),
            result: end.result.clone(),
            extracted: end.extracted.clone(),
            result_object: end.result_object.as_deref().and_then(ObjectRef::parse),
        })
    }
}
