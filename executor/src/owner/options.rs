//! What an owner is told.

use std::collections::BTreeMap;

use petrel_execution::limits::PARAMETERS_BYTES_MAX;
use petrel_execution::owner::Limits;
use petrel_schemas::Topics;

/// Settings of the owners of executions.
#[derive(Debug, Clone)]
pub struct OwnerOptions {
    /// Names of the topics.
    pub topics: Topics,
    /// What decisions are made from.
    pub limits: Limits,
    /// Most executions that one step releases when a pause ends or a revision arrives.
    pub release_batch_max: usize,
}

impl OwnerOptions {
    /// The defaults, for these topics with this many task partitions.
    pub fn new(topics: Topics, task_partitions: u32) -> Self {
        Self {
            topics,
            limits: Limits {
                pools: vec!["default".into()],
                pool_labels: BTreeMap::new(),
                task_partitions,
                lease_ms: 30_000,
                request_dedup_ms: 3_600_000,
                lost_leases_max: 5,
                schedule_to_start_ms: 24 * 3_600_000,
                no_room_ms: 600_000,
                decline_pause_ms: 1_000,
                not_begun_pause_ms: 1_000,
                not_begun_pause_ms_max: 300_000,
                rerun_within_ms: 7 * 24 * 3_600_000,
                frozen_after_ms: 300_000,
                parameters_bytes_max: PARAMETERS_BYTES_MAX,
            },
            release_batch_max: 500,
        }
    }
}
