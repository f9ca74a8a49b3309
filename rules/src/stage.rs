//! The match stage: records of bound topics and of `petrel.triggers` into action requests.
//!
//! All that it writes about a record, requests, audit and dead letters, commits with the record's offset.

mod counters;
mod decide;
mod letters;

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{Batch, Context, InputTopic, NotYet, Reason, Stage, StageSpec, Start, Taken, Unreadable};
use petrel_schemas::{ENDS_TRIGGER, EventId, Topics, TriggerEvent, decode};

use crate::engine::{EventReader, Matcher};
use crate::kv::Kv;
use crate::limits;
use crate::plan::{BoundTrigger, Group, INJECTED, MatchPlan, TopicPlan};

use counters::Pending;
pub use counters::{MatchCounters, MatchTotals};
use decide::Event;
pub use decide::started_by;
use letters::Source;

/// What the match stage needs of a process's globals.
pub trait MatchView: Send + Sync {
    /// The triggers and rules in force.
    fn plan(&self) -> &MatchPlan;
    /// The revision that they are of.
    fn revision(&self) -> &str;
    /// The key-value store.
    fn kv(&self) -> &Kv;
    /// Its version.
    fn kv_version(&self) -> i64;
    /// Why nothing can be decided now, if so.
    fn why_undecided(&self) -> Option<&str> {
        self.plan().why_undecided()
    }
    /// The revision that is in force and not in use here yet, if there is one: it is being compiled.
    fn coming(&self) -> Option<&str> {
        None
    }
}

/// What is configured about the match stage.
#[derive(Debug, Clone)]
pub struct MatchOptions {
    /// Id of the cluster whose topics are read; part of the ids of their events.
    pub cluster_id: Arc<str>,
    /// Petrel's own topics.
    pub topics: Topics,
    /// Whether the audit trail keeps every event, not only matched ones.
    pub record_all_events: bool,
    /// Largest payload of an event, in bytes; a larger one is a dead letter.
    pub payload_bytes_max: usize,
    /// Longest rendered parameters of one request, in bytes.
    pub request_bytes_max: usize,
    /// Rows of the audit trail for the errors of one rule per code, partition and minute.
    pub criteria_error_rows_max: u32,
    /// How old an event of an unknown trigger must be to be a dead letter, in milliseconds. A younger
    /// one waits: it may be of a revision that was applied elsewhere and has not arrived here.
    pub trigger_wait_ms: i64,
}

impl MatchOptions {
    /// The defaults, for that cluster and these topics.
    pub fn new(cluster_id: impl Into<Arc<str>>, topics: Topics) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            topics,
            record_all_events: false,
            payload_bytes_max: limits::PAYLOAD_BYTES_MAX,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            criteria_error_rows_max: limits::CRITERIA_ERROR_ROWS_MAX,
            trigger_wait_ms: limits::TRIGGER_WAIT_MS,
        }
    }
}

/// Names of the topics that the stage writes to or knows, made once.
#[derive(Debug)]
struct Names {
    triggers: Arc<str>,
    requests: Arc<str>,
    audit: Arc<str>,
}

/// The match stage; see the module.
pub struct MatchStage<G> {
    spec: StageSpec,
    options: MatchOptions,
    names: Names,
    matcher: Matcher,
    /// Taken out of the stage while its event is decided.
    reader: EventReader,
    pending: Pending,
    globals: PhantomData<fn(G)>,
}

impl<G: MatchView> MatchStage<G> {
    /// A stage that adds to `counters` what it commits.
    pub fn new(options: MatchOptions, counters: Arc<MatchCounters>) -> Self {
        let topics = &options.topics;
        let names = Names { triggers: topics.triggers(), requests: topics.requests(), audit: topics.audit() };
        let dead_letters = topics.dead_letters();
        let spec = StageSpec { name: "rules".into(), changelog: None, silence: None, dead_letters };
        let pending = Pending::new(counters, options.criteria_error_rows_max);
        Self {
            spec,
            options,
            names,
            matcher: Matcher::new(),
            reader: EventReader::new(),
            pending,
            globals: PhantomData,
        }
    }

    /// A record of a user's topic: one parse for each group of triggers, then every trigger's rules.
    fn bound(&mut self, topic: &TopicPlan, source: Source<'_>, context: &mut Context<'_, G>) {
        let sees = |group: &Group| group.triggers.iter().any(|t| t.sees(source.partition, source.record.offset));
        if !topic.groups.iter().any(sees) {
            return;
        }
        self.pending.now.events += 1;
        let Some(payload) = self.payload(source, source.record.value, context) else { return };
        let event = Event::of_record(self.options.cluster_id.clone(), payload, source);
        let mut reader = std::mem::take(&mut self.reader);
        self.groups(topic, &event, &mut reader, context);
        self.reader = reader;
    }

    fn groups(&mut self, topic: &TopicPlan, event: &Event<'_>, reader: &mut EventReader, context: &mut Context<'_, G>) {
        let (source, payload) = (event.source, event.payload);
        let sees = |trigger: &&BoundTrigger| trigger.sees(source.partition, source.record.offset);
        for group in topic.groups.iter().filter(|group| group.triggers.iter().any(|t| sees(&t))) {
            let parsed = match reader.read(payload, &group.layout) {
                Ok(parsed) => parsed,
                // Not JSON for one group is not JSON for any.
                Err(e) => return self.reject(event, None, "malformed_json", e.to_string(), context),
            };
            for bound in group.triggers.iter().filter(sees) {
                let parsed = bound.event(&parsed);
                if let Err(violation) = bound.plan.rules.check(&parsed) {
                    let trigger = Some(&*bound.plan.trigger);
                    self.reject(event, trigger, "schema_violation", violation.to_string(), context);
                    continue;
                }
                if let Some(Err(detail)) = bound.plan.full_check.as_ref().map(|check| check.run(payload)) {
                    let trigger = Some(&*bound.plan.trigger);
                    self.reject(event, trigger, "schema_violation", detail, context);
                    continue;
                }
                self.decide(event, &bound.plan, &parsed, context);
            }
        }
    }

    /// A record of `petrel.triggers`, which ingest has checked.
    fn triggered(&mut self, source: Source<'_>, context: &mut Context<'_, G>) -> Result<(), NotYet> {
        let decoded = decode::<TriggerEvent>(source.record.value.unwrap_or_default());
        let decoded = match decoded.map_err(Unreadable::from) {
            Ok(decoded) => decoded,
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                self.pending.now.events += 1;
                self.give_up(source, reason, context);
                return Ok(());
            }
        };
        let plan = context.globals().plan().trigger(&decoded.trigger);
        if decoded.trigger == ENDS_TRIGGER && plan.is_some_and(|plan| !plan.has_rules()) {
            // Its owner may have known of a revision that asks for it.
            Self::comes(&decoded.trigger, "asked for", context)?;
        }
        if plan.is_none() {
            self.waits(&decoded, source, context)?;
            // An owner that cannot tell whether anybody asks for ends writes them all.
            if decoded.trigger == ENDS_TRIGGER {
                return Ok(());
            }
        }
        self.pending.now.events += 1;
        let id = match EventId::parse(&decoded.event_id) {
            Ok(id) => id,
            Err(e) => {
                self.give_up(source, Reason::new("undecodable", format!("event_id: {e}")), context);
                return Ok(());
            }
        };
        let Some(payload) = self.payload(source, Some(decoded.payload.as_bytes()), context) else { return Ok(()) };
        let event = Event::with_id(id, &decoded, payload, source);
        let trigger = Some(decoded.trigger.as_str());
        if decoded.cause_depth > limits::CAUSE_DEPTH_MAX {
            let detail = format!(
                "more than {} executions stand in the chain that caused it: rules and actions cause each other",
                limits::CAUSE_DEPTH_MAX
            );
            self.reject(&event, trigger, "cause_too_deep", detail, context);
            return Ok(());
        }
        let Some(plan) = plan else {
            let detail = format!("revision {} has no trigger {}", context.globals().revision(), decoded.trigger);
            self.reject(&event, trigger, "unknown_trigger", detail, context);
            return Ok(());
        };
        let mut reader = std::mem::take(&mut self.reader);
        match reader.read(payload, plan.rules.layout()) {
            Ok(parsed) => match plan.check_caused(&decoded.source, &parsed, payload) {
                Ok(()) => self.decide(&event, plan, &parsed, context),
                Err(detail) => self.reject(&event, trigger, "schema_violation", detail, context),
            },
            Err(e) => self.reject(&event, trigger, "malformed_json", e.to_string(), context),
        }
        self.reader = reader;
        Ok(())
    }

    /// Whether an event of a trigger that the plan does not have has to wait for a revision that does.
    fn waits(&self, event: &TriggerEvent, source: Source<'_>, context: &Context<'_, G>) -> Result<(), NotYet> {
        let (trigger, revision) = (&event.trigger, context.globals().revision());
        Self::comes(trigger, "there", context)?;
        // Who writes these goes by a revision that comes here at once.
        let wait_ms = match event.source.starts_with(INJECTED) || *trigger == ENDS_TRIGGER {
            true => self.options.trigger_wait_ms.min(limits::INJECTED_WAIT_MS),
            false => self.options.trigger_wait_ms,
        };
        let age_ms = context.now_ms().saturating_sub(source.record.timestamp_ms);
        if age_ms < wait_ms {
            return Err(NotYet(format!("trigger {trigger} is not in revision {revision}, a newer one may come")));
        }
        Ok(())
    }

    /// Waits for the revision that is in force and not in use here yet, for what is not in the one before.
    fn comes(trigger: &str, what: &str, context: &Context<'_, G>) -> Result<(), NotYet> {
        let (revision, coming) = (context.globals().revision(), context.globals().coming());
        coming.map_or(Ok(()), |coming| {
            let why = format!("trigger {trigger} is not {what} in revision {revision}, and {coming} is being compiled");
            Err(NotYet(why))
        })
    }

    /// The payload, if there is one and it is not too large.
    fn payload<'r>(
        &mut self,
        source: Source<'_>,
        value: Option<&'r [u8]>,
        context: &mut Context<'_, G>,
    ) -> Option<&'r [u8]> {
        let max = self.options.payload_bytes_max;
        match value {
            None => self.give_up(source, Reason::new("no_value", "the record is a tombstone"), context),
            Some(payload) if payload.len() > max => {
                let detail = format!("the payload has {} bytes, more than {max}", payload.len());
                self.give_up(source, Reason::new("payload_too_large", detail), context);
            }
            Some(payload) => return Some(payload),
        }
        None
    }
}

impl<G: MatchView> Stage for MatchStage<G> {
    type Globals = G;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, globals: &G) -> Vec<InputTopic> {
        let own = InputTopic { name: self.names.triggers.clone(), start: Start::Beginning, with: None };
        std::iter::once(own).chain(globals.plan().inputs()).collect()
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, G>) -> Taken {
        if let Some(why) = context.globals().why_undecided() {
            return Taken::Blocked { consumed: 0, reason: why.to_owned() };
        }
        if *batch.topic != self.names.triggers {
            // A topic that is bound no more has nobody who sees its records.
            if let Some(topic) = context.globals().plan().topic(batch.topic) {
                let source = |record| Source { topic: batch.topic, partition: batch.partition, record };
                batch.records.iter().for_each(|record| self.bound(topic, source(record), context));
            }
            return Taken::All;
        }
        batch.take_each(|record| {
            let source = Source { topic: batch.topic, partition: batch.partition, record };
            self.triggered(source, context)
        })
    }

    fn committed(&mut self) {
        self.pending.commit();
    }

    fn aborted(&mut self) {
        self.pending.abort();
        // A panic may have left their buffers half done.
        (self.matcher, self.reader) = (Matcher::new(), EventReader::new());
    }

    fn revoked(&mut self, partition: u32) {
        self.pending.forget(partition);
    }
}

#[cfg(test)]
mod tests;
