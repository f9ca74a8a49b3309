//! Parents and children. A child's id says who its parent and its root are; all of them have the same owner.

use petrel_schemas::ExecutionId;

use crate::execution::Ended;

/// What a parent is told when a child ends, in the same step: they share the root, and so the owner.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildEnded {
    /// Who is told.
    pub parent: ExecutionId,
    /// How the child ended.
    pub child: Ended,
    /// The child's structured result, a JSON value.
    pub result: Option<String>,
}

impl ChildEnded {
    /// The message for the parent of what ended; nothing for a root.
    pub fn of(child: &Ended, result: Option<String>) -> Option<Self> {
        Some(Self { parent: child.id.parent()?, child: child.clone(), result })
    }
}
