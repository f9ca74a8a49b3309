//! What a stage here could not use.

use std::sync::Arc;

use petrel_bus::{Output, Record};
use petrel_schemas::{DeadLetter, encode};

/// Most bytes of a record's value that a dead letter keeps.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Where it came from.
pub(crate) struct Source<'a> {
    pub(crate) stage: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    /// The record; none for what a timer led to.
    pub(crate) record: Option<Record<'a>>,
    pub(crate) now_ms: i64,
}

/// A dead letter about a trigger.
pub(crate) fn output(
    dead_letters: &Arc<str>,
    source: &Source<'_>,
    reason: &str,
    detail: String,
    trigger: Option<String>,
) -> Output {
    let value = source.record.and_then(|r| r.value).unwrap_or_default();
    let letter = DeadLetter {
        stage: source.stage.to_owned(),
        topic: source.topic.to_owned(),
        partition: source.partition.try_into().unwrap_or(i32::MAX),
        offset: source.record.map_or(-1, |r| r.offset),
        timestamp_ms: source.record.map_or(source.now_ms, |r| r.timestamp_ms),
        reason: reason.to_owned(),
        detail,
        trigger,
        rule: None,
        execution_id: None,
        event_id: None,
        record_bytes: value.len().try_into().unwrap_or(i64::MAX),
        head: value[..value.len().min(HEAD_BYTES_MAX)].to_vec(),
    };
    // Keyed by where it came from: the letters of one partition stay in order.
    Output::keyed(dead_letters, format!("{}/{}", source.topic, source.partition), encode(&letter))
}
