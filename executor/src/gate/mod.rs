//! The gates: a stage around the decisions of [`petrel_execution::gate`] ([ADR 0024](../../../docs/adr/0024-gates-are-a-pure-machine.md)).
//!
//! It reads what owners want of gates on `petrel.gates`, where all messages to a gate are in one partition, keeps their
//! state in `petrel.gate_state`, and answers on `petrel.requests`, in one transaction with the offsets of what it read.
//!
//! Timer keys: those of the heads, and `again/…` where the look at all gates after a change of the catalog goes on.

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{
    Batch, Context, DueTimer, InputTopic, NotYet, Output, Reason, Record, Stage, StageSpec, Start, Taken, Unreadable,
};
use petrel_execution::gate::keys::{head_key, parse_head};
use petrel_execution::gate::{Decision, GateId, GateMessage, Gates, Heard, Policies, record};
use petrel_schemas::{GateBehind, GateDecided, GateHead, GateMessage as MessageRecord, Topics, decode, encode};

use store::Kept;

/// Name of the stage.
pub const STAGE: &str = "gate";

/// Prefix of the timer key that says where the look at all gates goes on.
const AGAIN: &[u8] = b"again/";

/// How much later a gate looks again whose timer was due while the policies were not known, in milliseconds.
const LOOK_AGAIN_MS: i64 = 1_000;

/// Most gates that one step looks at after a change of the catalog.
pub const GATES_PER_STEP_MAX: usize = 500;

/// What gates need to know of their process, the same for a whole step.
pub trait GateView: Policies + Send + Sync {
    /// Names what the policies are of, as by their revision: under the same name they say the same.
    fn policies_of(&self) -> Arc<str>;

    /// Why nobody can tell what the policies are, if so: then gates decide nothing. No gate is without terms for that.
    fn why_unknown(&self) -> Option<&str>;
}

/// The gates' stage.
pub struct GateStage<G> {
    spec: StageSpec,
    topics: Topics,
    input: Arc<str>,
    /// By which policies all gates of a partition have been looked at, as far as this member knows; forgotten where a
    /// look may have been undone. Most changes of the globals are none of policies.
    looked: BTreeMap<u32, Arc<str>>,
    globals: PhantomData<fn(&G)>,
}

impl<G: GateView> GateStage<G> {
    /// Gates without partitions.
    pub fn new(topics: Topics) -> Self {
        let spec = StageSpec {
            name: STAGE.into(),
            changelog: Some(topics.gate_state()),
            silence: None,
            dead_letters: topics.dead_letters(),
        };
        Self { spec, input: topics.gates(), topics, looked: BTreeMap::new(), globals: PhantomData }
    }

    fn record(&self, batch: &Batch<'_>, record: &Record<'_>, context: &mut Context<'_, G>) -> Result<(), NotYet> {
        if let Some(why) = context.globals().why_unknown() {
            return Err(NotYet(format!("nobody can tell which policies hold: {why}")));
        }
        let give_up = |context: &mut Context<'_, G>, reason: Reason| {
            context.emit(self.spec.give_up(batch.topic, batch.partition, record, reason));
        };
        let stored = match decode::<MessageRecord>(record.value.unwrap_or_default()).map_err(Unreadable::from) {
            Ok(stored) => stored,
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                give_up(context, reason);
                return Ok(());
            }
        };
        let message = match record::message(&stored) {
            Ok(message) => message,
            Err(error) => {
                give_up(context, Reason::new("malformed_gate_message", error.to_string()));
                return Ok(());
            }
        };
        match readable(context, &message.gate) {
            Ok(()) => self.message(&message, context),
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => give_up(context, reason),
        }
        Ok(())
    }

    fn message(&self, message: &GateMessage, context: &mut Context<'_, G>) {
        let mut heard = Heard::Before;
        self.decide(context, |gates| heard = gates.message(message));
        if let Heard::Behind(epoch) = heard {
            let sender = i32::try_from(message.sender).unwrap_or(i32::MAX);
            let value = encode(&GateBehind { sender, epoch });
            let key = message.sender.to_string();
            context.emit(Output::to_partition(&self.topics.requests(), message.sender, key, Some(value)));
        }
    }

    fn look_at_all(&self, after: Option<&GateId>, context: &mut Context<'_, G>) {
        let mut next = None;
        self.decide(context, |gates| next = gates.retuned(after, GATES_PER_STEP_MAX));
        if let Some(last) = next {
            let now_ms = context.now_ms();
            context.set_timer(&[AGAIN, &head_key(&last)].concat(), now_ms);
        }
    }

    fn decide(&self, context: &mut Context<'_, G>, what: impl FnOnce(&mut Gates<'_, Kept<'_, '_, G>, G>)) {
        let (now_ms, policies) = (context.now_ms(), context.globals());
        let mut store = Kept(context);
        let mut gates = Gates::new(&mut store, policies, now_ms);
        what(&mut gates);
        for decision in gates.into_decisions() {
            self.tell(&decision, now_ms, context);
        }
    }

    fn tell(&self, decision: &Decision, now_ms: i64, context: &mut Context<'_, G>) {
        if let Some((about, answer)) = decision.answer() {
            let value = encode(&record::of_answer(&decision.gate, about, answer));
            let root = about.execution.root();
            context.emit(Output::keyed(&self.topics.requests(), root.as_str().as_bytes(), value));
        }
        if decision.is_news() {
            let row = decided(decision, now_ms);
            let key = row.root_execution_id.clone().unwrap_or_else(|| row.gate.clone());
            context.emit(Output::keyed(&self.topics.audit(), key, encode(&row)));
        }
    }
}

/// The row of the audit trail.
fn decided(decision: &Decision, now_ms: i64) -> GateDecided {
    let about = decision.about.as_ref();
    GateDecided {
        gate: decision.gate.to_string(),
        policy: decision.gate.policy.clone(),
        execution_id: about.map(|about| about.execution.to_string()),
        root_execution_id: about.map(|about| about.execution.root().into()),
        acquisition: about.map(|about| about.acquisition.to_string()),
        decided: decision.decided.name().to_owned(),
        reason: decision.decided.reason(),
        decided_at_ms: now_ms,
    }
}

/// Whether this release can read what a gate remembers of itself. Whoever wrote the rest of it wrote that too.
fn readable<G>(context: &Context<'_, G>, gate: &GateId) -> Result<(), Unreadable> {
    let Some(bytes) = context.get(&head_key(gate)) else { return Ok(()) };
    decode::<GateHead>(&bytes).map(drop).map_err(Unreadable::from)
}

impl<G: GateView> Stage for GateStage<G> {
    type Globals = G;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _: &G) -> Vec<InputTopic> {
        vec![InputTopic { name: self.input.clone(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, G>) -> Taken {
        batch.take_each(|record| self.record(&batch, record, context))
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, G>) {
        if context.globals().why_unknown().is_some() {
            let again_ms = context.now_ms().saturating_add(LOOK_AGAIN_MS);
            return due.iter().for_each(|timer| context.set_timer(&timer.key, again_ms));
        }
        for timer in due {
            if let Some(last) = timer.key.strip_prefix(AGAIN) {
                self.look_at_all(parse_head(last).as_ref(), context);
            } else if let Some(gate) = parse_head(&timer.key) {
                match readable(context, &gate) {
                    Ok(()) => self.decide(context, |gates| gates.timer(&gate)),
                    Err(_) => {
                        // A release that can read it looks again.
                        let again_ms = context.now_ms().saturating_add(60_000);
                        context.set_timer(&timer.key, again_ms);
                    }
                }
            }
        }
    }

    fn globals_changed(&mut self, context: &mut Context<'_, G>) {
        if context.globals().why_unknown().is_some() {
            // As soon as they are known there is another change.
            return;
        }
        let policies = context.globals().policies_of();
        if self.looked.get(&context.partition()) != Some(&policies) {
            self.look_at_all(None, context);
            self.looked.insert(context.partition(), policies);
        }
    }

    fn aborted(&mut self) {
        self.looked.clear();
    }

    fn revoked(&mut self, partition: u32) {
        self.looked.remove(&partition);
    }
}
