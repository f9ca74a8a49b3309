//! Dead letters: what could not be used, with its reason.
//!
//! Reasons of this stage, which are stable: `malformed_json`, `schema_violation`, `unknown_trigger`,
//! `undecodable`, `no_value`, `payload_too_large`, `parameters_not_rendered`, `request_too_large`, beside those of
//! every stage: `not_a_record`, `unexpected_kind`, `corrupt_record`, `output_too_large`, `stage_panicked`.

use petrel_bus::{About, Context, Reason, Record};

use super::decide::Event;
use super::{MatchStage, MatchView};

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
        let trigger = trigger.map(str::to_owned);
        let about = About { trigger, event_id: Some(event.id().to_string()), ..About::default() };
        self.give_up(event.source, Reason::new(reason, detail).about(about), context);
    }

    /// Counts a dead letter, and writes it.
    pub(super) fn give_up(&mut self, source: Source<'_>, reason: Reason, context: &mut Context<'_, G>) {
        self.pending.now.dead_letter(reason.code);
        context.emit(self.spec.give_up(source.topic, source.partition, source.record, reason));
    }
}
