//! Records and outputs that cannot be used.

use std::sync::Arc;

use petrel_bus::{Batch, Output, Record};
use petrel_schemas::{DeadLetter, DecodeError, encode};

use crate::limits::DEAD_LETTER_HEAD_BYTES_MAX;

/// Why a record was given up.
pub(crate) struct Reason<'r> {
    /// Stable code.
    pub(crate) code: &'static str,
    /// What was wrong, for people.
    pub(crate) detail: String,
    /// Execution concerned.
    pub(crate) execution: Option<&'r str>,
}

impl From<DecodeError> for Reason<'_> {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::NotARecord { .. } => "not_a_record",
            DecodeError::UnknownSchema { .. } => "unknown_schema",
            DecodeError::OtherKind { .. } => "unexpected_kind",
            DecodeError::Corrupt { .. } => "corrupt_record",
        };
        Self { code, detail: error.to_string(), execution: None }
    }
}

/// The dead letter of a record.
pub(crate) fn of_record(
    stage: &str,
    topic: &Arc<str>,
    batch: &Batch<'_>,
    record: &Record<'_>,
    reason: Reason<'_>,
) -> Output {
    let value = record.value.unwrap_or_default();
    let letter = DeadLetter {
        stage: stage.to_owned(),
        topic: batch.topic.to_string(),
        partition: i32::try_from(batch.partition).unwrap_or(i32::MAX),
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        reason: reason.code.to_owned(),
        detail: reason.detail,
        trigger: None,
        rule: None,
        execution_id: reason.execution.map(str::to_owned),
        event_id: None,
        record_bytes: bytes(value),
        head: head(value),
    };
    Output::keyed(topic, format!("{}/{}", batch.topic, batch.partition), encode(&letter))
}

/// What stands in for an output over the limit.
pub(crate) fn of_output(stage: &str, topic: &Arc<str>, output: &Output, limit_bytes: usize) -> Output {
    let value = output.value.as_deref().unwrap_or_default();
    let letter = DeadLetter {
        stage: stage.to_owned(),
        topic: output.topic.to_string(),
        partition: -1,
        offset: -1,
        timestamp_ms: output.timestamp_ms.unwrap_or(0),
        reason: "output_too_large".to_owned(),
        detail: format!("an output of {} bytes is over the limit of {limit_bytes}", output.bytes()),
        trigger: None,
        rule: None,
        execution_id: None,
        event_id: None,
        record_bytes: bytes(value),
        head: head(value),
    };
    Output::keyed(topic, output.topic.as_bytes(), encode(&letter))
}

fn bytes(value: &[u8]) -> i64 {
    i64::try_from(value.len()).unwrap_or(i64::MAX)
}

fn head(value: &[u8]) -> Vec<u8> {
    value[..value.len().min(DEAD_LETTER_HEAD_BYTES_MAX)].to_vec()
}
