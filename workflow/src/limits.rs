//! What a workflow may cost. What would go over one of these is refused or fails the workflow, with an error that names
//! the limit. What one expression may cost stands in `expression::limits`.

/// Bytes of a workflow's text.
pub const DEFINITION_BYTES_MAX: usize = 1024 * 1024;

/// Values in a workflow's text, those counted again that aliases repeat.
pub const DEFINITION_NODES_MAX: usize = 200_000;

/// How deep lists and mappings of a workflow's text may nest.
pub const DEFINITION_DEPTH_MAX: usize = 64;

/// Tasks of one workflow.
pub const TASKS_MAX: usize = 10_000;

/// Steps that one inspection may take: contexts that flow together in many ways are inspected in many ways.
pub const INSPECTION_STEPS_MAX: usize = 200_000;

/// How often tasks of one workflow may begin, engine commands counted too. A cycle without an end comes to one here.
pub const RUNS_MAX: usize = 100_000;

/// Items of one task.
pub const ITEMS_MAX: usize = 100_000;

/// Bytes of all that a workflow's tasks may publish, written as JSON; what undoes tasks and what people bring along
/// count as well, and so does what items have resulted in until their task ends.
pub const PUBLISHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Children that one workflow may start: tasks, items, what is tried again and what calls people, each counted.
pub const CHILDREN_MAX: u32 = 1_000_000;

/// How many items of a task with `map` are offered at a time if it does not say.
pub const MAP_CHUNK: usize = 100;

/// How many of them may be offered at a time.
pub const MAP_CHUNK_MAX: usize = 1_000;

/// Entries of a workflow's `finally`.
pub const FINALLY_MAX: usize = 100;

/// The shortest time between two reminders of a question, in milliseconds.
pub const REMINDER_MS_MIN: i64 = 60_000;

/// The longest time that a workflow may name, in milliseconds: 3,650 days.
pub const DURATION_MS_MAX: i64 = 3_650 * 24 * 60 * 60 * 1_000;

/// How deep workflows may start each other; one that nobody started has the depth 0.
pub const SUBWORKFLOW_DEPTH_MAX: u32 = 16;

/// Rounds of one of Orquesta's rehearsals: in each, all that is offered begins and ends.
pub const REHEARSAL_ROUNDS_MAX: usize = 10_000;

/// Ends of tasks and items in one scenario.
pub const SCENARIO_ENDS_MAX: usize = 200_000;

/// The limits of a running workflow. `Default` are the constants of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`RUNS_MAX`].
    pub runs_max: usize,
    /// See [`ITEMS_MAX`].
    pub items_max: usize,
    /// See [`PUBLISHED_BYTES_MAX`].
    pub published_bytes_max: usize,
    /// See [`CHILDREN_MAX`].
    pub children_max: u32,
    /// See [`SUBWORKFLOW_DEPTH_MAX`].
    pub subworkflow_depth_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            runs_max: RUNS_MAX,
            items_max: ITEMS_MAX,
            published_bytes_max: PUBLISHED_BYTES_MAX,
            children_max: CHILDREN_MAX,
            subworkflow_depth_max: SUBWORKFLOW_DEPTH_MAX,
        }
    }
}
