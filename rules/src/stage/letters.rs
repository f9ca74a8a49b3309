//! Dead letters: what could not be used, with its reason.
//!
//! Reasons of this stage, which are stable: `malformed_json`, `schema_violation`, `unknown_trigger`,
//! `undecodable`, `no_value`, `payload_too_large`, `parameters_not_rendered`, `request_too_large`,
//! `output_too_large`.

use std::sync::Arc;

use petrel_bus::{Context, Output, Record};
use petrel_schemas::{ActionRequest, DeadLetter, decode, encode, kind_of};

use super::decide::Event;
use super::{MatchStage, MatchView};
use crate::limits::DEAD_LETTER_HEAD_BYTES_MAX;

/// Where a record was read.
#[derive(Clone, Copy)]
pub(super) struct Source<'r> {
    pub topic: &'r str,
    pub partition: u32,
    pub record: &'r Record<'r>,
}

impl Source<'_> {
    pub fn partition_number(&self) -> i32 {
        // Kafka numbers partitions with 31 bits.
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    /// A dead letter about this record.
    pub fn letter(&self, reason: &'static str, detail: String) -> DeadLetter {
        let value = self.record.value.unwrap_or_default();
        DeadLetter {
            stage: "rules".to_owned(),
            topic: self.topic.to_owned(),
            partition: self.partition_number(),
            offset: self.record.offset,
            timestamp_ms: self.record.timestamp_ms,
            reason: reason.to_owned(),
            detail,
            trigger: None,
            rule: None,
            execution_id: None,
            event_id: None,
            record_bytes: value.len() as i64,
            head: head(value),
        }
    }
}

fn head(value: &[u8]) -> Vec<u8> {
    value[..value.len().min(DEAD_LETTER_HEAD_BYTES_MAX)].to_vec()
}

impl<G: MatchView> MatchStage<G> {
    /// An event that cannot be used, by one trigger or by any.
    pub(super) fn reject(
        &mut self,
        event: &Event<'_>,
        trigger: Option<&str>,
        reason: &'static str,
        detail: String,
        context: &mut Context<'_, G>,
    ) {
        let mut letter = event.source.letter(reason, detail);
        letter.event_id = Some(event.id().to_string());
        letter.trigger = trigger.map(str::to_owned);
        self.send_letter(&letter, reason, context);
    }

    /// A record that is no event.
    pub(super) fn reject_record(
        &mut self,
        source: Source<'_>,
        reason: &'static str,
        detail: String,
        context: &mut Context<'_, G>,
    ) {
        let letter = source.letter(reason, detail);
        self.send_letter(&letter, reason, context);
    }

    pub(super) fn send_letter(&mut self, letter: &DeadLetter, reason: &'static str, context: &mut Context<'_, G>) {
        self.pending.now.dead_letter(reason);
        context.emit(output(&self.names.dead_letters, letter));
    }
}

fn output(topic: &Arc<str>, letter: &DeadLetter) -> Output {
    Output::keyed(topic, format!("{}/{}", letter.topic, letter.partition), encode(letter))
}

/// The dead letter of an output that is larger than the log takes.
pub(super) fn of_output(topic: &Arc<str>, refused: &Output, limit_bytes: usize) -> Output {
    let value = refused.value.as_deref().unwrap_or_default();
    let kind = kind_of(value).unwrap_or("unknown");
    let request = decode::<ActionRequest>(value).ok();
    let letter = DeadLetter {
        stage: "rules".to_owned(),
        topic: refused.topic.to_string(),
        // It never got a place there.
        partition: -1,
        offset: -1,
        timestamp_ms: refused.timestamp_ms.unwrap_or_default(),
        reason: "output_too_large".to_owned(),
        detail: format!("a record of kind {kind} has {} bytes, more than {limit_bytes}", refused.bytes()),
        trigger: request.as_ref().and_then(|r| r.trigger.clone()),
        rule: request.as_ref().and_then(|r| r.rule.clone()),
        execution_id: request.as_ref().map(|r| r.execution_id.clone()),
        event_id: request.and_then(|r| r.event_id),
        record_bytes: value.len() as i64,
        head: head(value),
    };
    output(topic, &letter)
}
