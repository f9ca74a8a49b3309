//! Records: what could not be used.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A record, or an output, that could not be used, on `petrel.dead_letters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Stage that gave it up.
    pub stage: String,
    /// Topic of the source record.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp_ms: i64,
    /// Stable reason code, such as `malformed_json`.
    pub reason: String,
    /// What was wrong, for people.
    pub detail: String,
    /// Trigger concerned.
    pub trigger: Option<String>,
    /// Rule concerned.
    pub rule: Option<String>,
    /// Execution concerned.
    pub execution_id: Option<String>,
    /// Event concerned.
    pub event_id: Option<String>,
    /// Size of the source record's value, in bytes.
    pub record_bytes: i64,
    /// Head of the source record's value, at most 64 KiB.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub head: Vec<u8>,
}

stored!(DeadLetter, "DeadLetter");
