//! Which status follows which: of a workflow, and of a task. What is not said here changes nothing.

pub mod task;
pub mod workflow;
