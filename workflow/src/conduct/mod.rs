//! Workflows as owners drive them: the conductor behind the traits of `petrel_execution::workflow`.
//!
//! The conductor speaks of tasks and items, an owner of children with numbers. This is what stands between the two:
//! which child runs for what, what the items of a task have resulted in so far, and what is done without a child.
//!
//! Reading order: `workflow` (a text into what owners begin), `conducting` (one that runs), `starts` (from what the
//! conductor offers to children), `children` (what is remembered of them), `pieces` (how that is stored), `people` (what
//! people decide), `over` (what a workflow comes to).

mod children;
mod conducting;
mod over;
mod people;
mod pieces;
mod starts;
mod workflow;

#[cfg(test)]
mod tests;

pub use workflow::PackWorkflow;
pub(crate) use workflow::{EXECUTION, EXECUTION_OF_STACKSTORM};
