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

/// Bytes of all variables of a workflow, written as JSON: those that it begins with, and all that its tasks publish. What
/// undoes tasks and what people bring along count as well, and so does what items have resulted in until their task ends.
/// The output may have as many again.
pub const PUBLISHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of what failed tasks and items have resulted in, as it is kept with a workflow's errors and warnings, written as
/// JSON. What comes behind is left out, and its error says so.
pub const ERRORS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of what people are called with, as JSON text; what is over it is cut. The defaults of its action have room beside it
/// in what an execution may be given, and so has a text of that size in the environment of a process.
pub const NOTICE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a task's name. It stands in each row that tells of the task.
pub const TASK_NAME_BYTES_MAX: usize = 256;

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
    /// See [`ERRORS_BYTES_MAX`].
    pub errors_bytes_max: usize,
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
            errors_bytes_max: ERRORS_BYTES_MAX,
            children_max: CHILDREN_MAX,
            subworkflow_depth_max: SUBWORKFLOW_DEPTH_MAX,
        }
    }
}
