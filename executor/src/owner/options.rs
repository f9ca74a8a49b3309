//! What an owner is told.

use std::sync::Arc;

use petrel_schemas::Topics;

/// Settings of the owners of executions.
#[derive(Debug, Clone)]
pub struct OwnerOptions {
    /// Names of the topics.
    pub topics: Topics,
    /// Partitions of each pool's task topic.
    pub task_partitions: u32,
    /// Pools that have a task topic.
    pub pools: Vec<Arc<str>>,
    /// Length of a lease, in milliseconds: a worker that is silent for longer has lost its task.
    pub lease_ms: i64,
    /// How long the id of a finished execution is remembered against duplicates, in milliseconds.
    pub request_dedup_ms: i64,
    /// Most attempts at one execution.
    pub attempts_max: i32,
    /// Largest parameters of an execution, defaults filled in, in bytes.
    pub parameters_bytes_max: usize,
    /// Most executions that one step dispatches when a pause ends.
    pub release_batch_max: usize,
}

impl OwnerOptions {
    /// The defaults, for these topics with this many task partitions.
    pub fn new(topics: Topics, task_partitions: u32) -> Self {
        Self {
            topics,
            task_partitions,
            pools: vec!["default".into()],
            lease_ms: 30_000,
            request_dedup_ms: 3_600_000,
            attempts_max: 5,
            parameters_bytes_max: 256 << 10,
            release_batch_max: 500,
        }
    }
}
