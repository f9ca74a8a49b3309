//! Workflows: what their texts say and how they go on, without a clock, I/O or random numbers.

pub mod expression;
pub mod limits;
mod yaml;

pub use yaml::At;
mod spec;

pub use spec::{SpecError, WorkflowSpec};
mod definition;
mod inspect;

pub use definition::Definition;
pub use inspect::{Finding, Inspection, Unexpected, inspect};
pub mod conduct;
pub mod conductor;
pub mod outline;
pub mod rehearsal;
