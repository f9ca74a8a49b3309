//! Records: what running actions write.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A piece of what an attempt writes, on `petrel.output`, told while it runs. Secrets are masked in it. Pieces may be
/// missing: of two that follow each other in a stream, the later one then begins behind the end of the earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputChunk {
    /// Execution; the record's key.
    pub execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Number of the chunk among those of its attempt, of both streams, from 0 on.
    pub sequence: i64,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Where its first byte stands in the stream, masked as that is.
    pub offset: i64,
    /// The bytes; they need be no UTF-8.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub bytes: Vec<u8>,
    /// Whether it is the last one of the attempt.
    pub is_last: bool,
    /// When it was told, by the worker's clock, in milliseconds since the epoch.
    pub told_at_ms: i64,
}

stored!(OutputChunk, "OutputChunk");
