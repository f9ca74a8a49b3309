//! A gate that forgets.

use petrel_bus::{Batch, Context, DueTimer, InputTopic, Record, Stage, StageSpec, Taken};
use petrel_execution::gate::keys::head_key;
use petrel_execution::gate::{What, record};
use petrel_executor::gate::GateStage;
use petrel_schemas::{GateMessage, decode};

use super::Planted;
use crate::pack::Known;

/// The gates' stage, behind something that changes what it is told and remembers.
pub struct GullibleGate {
    inner: GateStage<Known>,
    planted: Option<Planted>,
}

impl GullibleGate {
    /// Around the stage; without a mistake it is the stage.
    pub fn new(inner: GateStage<Known>, planted: Option<Planted>) -> Self {
        Self { inner, planted }
    }

    /// Whether the message is to be taken at all.
    fn meddle(&self, record: &Record<'_>, context: &mut Context<'_, Known>) -> bool {
        let Ok(stored) = decode::<GateMessage>(record.value.unwrap_or_default()) else { return true };
        let Ok(message) = record::message(&stored) else { return true };
        match (self.planted, message.what) {
            (Some(Planted::ForgottenPermits), What::Acquire { .. }) => {
                context.delete(&head_key(&message.gate));
                true
            }
            (Some(Planted::LostRelease), What::Release { .. }) => false,
            _ => true,
        }
    }
}

impl Stage for GullibleGate {
    type Globals = Known;

    fn spec(&self) -> &StageSpec {
        self.inner.spec()
    }

    fn inputs(&self, globals: &Known) -> Vec<InputTopic> {
        self.inner.inputs(globals)
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Known>) -> Taken {
        if !matches!(self.planted, Some(Planted::ForgottenPermits | Planted::LostRelease)) {
            return self.inner.records(batch, context);
        }
        for (consumed, record) in batch.records.iter().enumerate() {
            if !self.meddle(record, context) {
                continue;
            }
            let one = [*record];
            if let Taken::Blocked { reason, .. } = self.inner.records(Batch { records: &one, ..batch }, context) {
                return Taken::Blocked { consumed, reason };
            }
        }
        Taken::All
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, Known>) {
        self.inner.timers(due, context);
    }

    fn globals_changed(&mut self, context: &mut Context<'_, Known>) {
        self.inner.globals_changed(context);
    }

    fn aborted(&mut self) {
        self.inner.aborted();
    }

    fn revoked(&mut self, partition: u32) {
        self.inner.revoked(partition);
    }
}
