//! Records: the positions of consumer groups.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// Where a consumer group is on a partition, on `petrel.positions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupPosition {
    /// Name of the group.
    pub group: String,
    /// Full name of the topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// Offset of the next record to process.
    pub offset: i64,
    /// What tells the topic from earlier ones of its name; none where the log could not tell.
    pub incarnation: Option<String>,
}

stored!(GroupPosition, "GroupPosition");
