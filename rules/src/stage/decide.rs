//! One event and the rules of one trigger: matches into requests, errors into rows.

use std::cell::OnceCell;
use std::sync::Arc;

use petrel_bus::{About, Context, Output, Reason};
use petrel_cel::{Arena, Value};
use petrel_schemas::{
    ActionRequest, CriteriaFailed, ENDS_TRIGGER, EventAudited, EventId, ExecutionId, RuleMatched, TriggerEvent, encode,
};
use serde_json::Value as Json;

use super::letters::Source;
use super::{MatchStage, MatchView};
use crate::engine::{ParsedEvent, RuleIndex, Verdict};
use crate::extract::Extractor;
use crate::plan::{ActionPlan, RulePlan, TriggerPlan};
use petrel_cel::EvalError;
use petrel_cel::Scope;

/// An event on its way through the rules.
pub(super) struct Event<'r> {
    id: OnceCell<EventId>,
    cluster_id: Arc<str>,
    /// How many executions stand in the chain that caused it.
    cause_depth: i32,
    /// The rule that started the execution whose end it is. It is not asked: it would react to itself for ever.
    started_by: Option<String>,
    /// Its payload, not validated yet.
    pub payload: &'r [u8],
    pub source: Source<'r>,
}

impl<'r> Event<'r> {
    /// The event that a record of a user's topic is.
    pub fn of_record(cluster_id: Arc<str>, payload: &'r [u8], source: Source<'r>) -> Self {
        Self { id: OnceCell::new(), cluster_id, cause_depth: 0, started_by: None, payload, source }
    }

    /// An event that brings its id along.
    pub fn with_id(id: EventId, event: &TriggerEvent, payload: &'r [u8], source: Source<'r>) -> Self {
        let started_by = started_by(&event.trigger, payload);
        let cause_depth = event.cause_depth;
        Self { id: OnceCell::from(id), cluster_id: "".into(), cause_depth, started_by, payload, source }
    }

    /// Its id, hashed at the first call: most events match nothing and never need it.
    pub fn id(&self) -> &EventId {
        let Source { topic, partition, record } = self.source;
        let hash = || EventId::of_record(&self.cluster_id, topic, partition, record.offset, record.timestamp_ms);
        self.id.get_or_init(hash)
    }
}

/// An action of a rule that matched.
struct Match<'p> {
    trigger: &'p str,
    rule: &'p RulePlan,
    action: &'p ActionPlan,
    index: u32,
}

impl<G: MatchView> MatchStage<G> {
    /// Runs a trigger's rules on an event that was read with their layout.
    pub(super) fn decide(
        &mut self,
        event: &Event<'_>,
        plan: &TriggerPlan,
        parsed: &ParsedEvent<'_>,
        context: &mut Context<'_, G>,
    ) {
        let (mut matched, mut failed) = (Vec::new(), Vec::new());
        let mut missing = 0;
        let now_ms = event.source.record.timestamp_ms;
        let mut on = |index: RuleIndex, verdict: Verdict<'_>| match verdict {
            Verdict::True => matched.push(index),
            Verdict::False => {}
            Verdict::Missing(_) => missing += 1,
            Verdict::Error(fault) => failed.push((index, EvalError::from(fault))),
        };
        self.matcher.run_parsed(&plan.rules, parsed, now_ms, context.globals().kv(), &mut on);
        self.pending.now.missing_fields += missing;
        matched.retain(|index| event.started_by.as_deref() != Some(&*plan.rule_of(*index).rule));
        // The index finds rules in an order of its own, and their numbers depend on how the set came about;
        // what is written follows their names.
        let by_name = |one: RuleIndex, other: RuleIndex| plan.rule_of(one).rule.cmp(&plan.rule_of(other).rule);
        matched.sort_unstable_by(|one, other| by_name(*one, *other));
        failed.sort_by(|(one, _), (other, _)| by_name(*one, *other));
        for (index, error) in failed {
            self.failed(event, plan, plan.rule_of(index), &error, context);
        }
        if !matched.is_empty() || self.options.record_all_events {
            self.audit_event(event, plan, matched.len(), context);
        }
        if matched.is_empty() {
            return;
        }
        self.pending.now.events_matched += 1;
        self.pending.now.matches += matched.len() as u64;
        // Parameters may read anything: an event that matches is parsed once more, whole.
        let arena = Arena::new();
        let whole = ParsedEvent::parse(event.payload, plan.rules.whole_layout(), &mut Extractor::new(), &arena);
        // It parsed before, and what is valid does not depend on what is read.
        let root = whole.map_or(Value::Null, |whole| whole.root());
        let scope = Scope::rule(root, now_ms, context.globals().kv());
        for index in matched {
            let rule = plan.rule_of(index);
            for (index, action) in (0..).zip(&rule.actions) {
                let rendered = action.parameters.render(&scope);
                self.request(event, &Match { trigger: &plan.trigger, rule, action, index }, rendered, context);
            }
        }
    }

    /// Asks for one action.
    fn request(
        &mut self,
        event: &Event<'_>,
        matched: &Match<'_>,
        rendered: Result<Json, EvalError>,
        context: &mut Context<'_, G>,
    ) {
        let execution = ExecutionId::of_request(event.id(), &matched.rule.rule, matched.index, 0);
        let parameters = match rendered {
            Ok(parameters) => parameters.to_string(),
            Err(error) => return self.not_rendered(event, matched, &execution, &error, context),
        };
        let max = self.options.request_bytes_max;
        if parameters.len() > max {
            let detail =
                format!("parameters of {} have {} bytes, more than {max}", matched.action.action, parameters.len());
            return self.reject_match(event, matched, &execution, "request_too_large", detail, context);
        }
        let request = self.action_request(event, matched, &execution, parameters, context);
        context.emit(Output::keyed(&self.names.requests, execution.as_str(), encode(&request)));
        self.pending.now.requests += 1;
        self.audit_match(event, matched, &execution, context);
    }

    fn action_request(
        &self,
        event: &Event<'_>,
        matched: &Match<'_>,
        execution: &ExecutionId,
        parameters: String,
        context: &Context<'_, G>,
    ) -> ActionRequest {
        ActionRequest {
            execution_id: execution.to_string(),
            root_execution_id: execution.to_string(),
            event_id: Some(event.id().to_string()),
            event_at_ms: Some(event.source.record.timestamp_ms),
            trigger: Some(matched.trigger.to_owned()),
            rule: Some(matched.rule.rule.to_string()),
            action_index: index_of(matched.index),
            redrive: 0,
            action: matched.action.action.to_string(),
            parameters,
            revision: context.globals().revision().to_owned(),
            kv_version: context.globals().kv_version(),
            requested_at_ms: context.now_ms(),
            requested_by: "rule".to_owned(),
            cause_depth: event.cause_depth,
            class: matched.rule.class.map(|class| class.as_str().to_owned()),
        }
    }

    fn audit_match(
        &mut self,
        event: &Event<'_>,
        matched: &Match<'_>,
        execution: &ExecutionId,
        context: &mut Context<'_, G>,
    ) {
        let row = RuleMatched {
            event_id: event.id().to_string(),
            trigger: matched.trigger.to_owned(),
            rule: matched.rule.rule.to_string(),
            action: matched.action.action.to_string(),
            action_index: index_of(matched.index),
            execution_id: execution.to_string(),
            event_at_ms: event.source.record.timestamp_ms,
            revision: context.globals().revision().to_owned(),
            kv_version: context.globals().kv_version(),
        };
        context.emit(Output::keyed(&self.names.audit, event.id().as_str(), encode(&row)));
    }

    fn audit_event(&mut self, event: &Event<'_>, plan: &TriggerPlan, matched: usize, context: &mut Context<'_, G>) {
        let source = event.source;
        let row = EventAudited {
            event_id: event.id().to_string(),
            trigger: plan.trigger.to_string(),
            topic: source.topic.to_string(),
            partition: source.partition_number(),
            offset: source.record.offset,
            event_at_ms: source.record.timestamp_ms,
            payload: String::from_utf8_lossy(event.payload).into_owned(),
            rules_matched: i32::try_from(matched).unwrap_or(i32::MAX),
            revision: context.globals().revision().to_owned(),
            kv_version: context.globals().kv_version(),
        };
        context.emit(Output::keyed(&self.names.audit, event.id().as_str(), encode(&row)));
    }

    /// Counts an error of a rule, and writes a row of it while there are few of its kind.
    fn failed(
        &mut self,
        event: &Event<'_>,
        plan: &TriggerPlan,
        rule: &RulePlan,
        error: &EvalError,
        context: &mut Context<'_, G>,
    ) {
        let partition = context.partition();
        if !self.pending.error(&rule.rule, error.code, partition, context.now_ms()) {
            return;
        }
        let row = CriteriaFailed {
            event_id: event.id().to_string(),
            trigger: plan.trigger.to_string(),
            rule: rule.rule.to_string(),
            code: error.code.to_owned(),
            detail: error.text.clone(),
            event_at_ms: event.source.record.timestamp_ms,
            revision: context.globals().revision().to_owned(),
        };
        context.emit(Output::keyed(&self.names.audit, event.id().as_str(), encode(&row)));
    }

    /// A match whose parameters have no value: counted, told, and kept as a dead letter.
    fn not_rendered(
        &mut self,
        event: &Event<'_>,
        matched: &Match<'_>,
        execution: &ExecutionId,
        error: &EvalError,
        context: &mut Context<'_, G>,
    ) {
        let row = CriteriaFailed {
            event_id: event.id().to_string(),
            trigger: matched.trigger.to_owned(),
            rule: matched.rule.rule.to_string(),
            code: error.code.to_owned(),
            detail: format!("parameters of {}: {}", matched.action.action, error.text),
            event_at_ms: event.source.record.timestamp_ms,
            revision: context.globals().revision().to_owned(),
        };
        if self.pending.error(&matched.rule.rule, error.code, context.partition(), context.now_ms()) {
            context.emit(Output::keyed(&self.names.audit, event.id().as_str(), encode(&row)));
        }
        self.reject_match(event, matched, execution, "parameters_not_rendered", row.detail, context);
    }

    fn reject_match(
        &mut self,
        event: &Event<'_>,
        matched: &Match<'_>,
        execution: &ExecutionId,
        reason: &'static str,
        detail: String,
        context: &mut Context<'_, G>,
    ) {
        let about = About {
            trigger: Some(matched.trigger.to_owned()),
            rule: Some(matched.rule.rule.to_string()),
            execution_id: Some(execution.to_string()),
            event_id: Some(event.id().to_string()),
        };
        self.give_up(event.source, Reason::new(reason, detail).about(about), context);
    }
}

/// The rule that started the execution whose end an event of that trigger is; nothing for all other events.
pub fn started_by(trigger: &str, payload: &[u8]) -> Option<String> {
    /// What else is there is passed over, however deep it is.
    #[derive(serde::Deserialize)]
    struct End {
        rule: Option<String>,
    }
    let end: End = if trigger == ENDS_TRIGGER { serde_json::from_slice(payload).ok()? } else { return None };
    end.rule
}

fn index_of(index: u32) -> i32 {
    // A rule's file, which is limited, cannot hold as many actions.
    i32::try_from(index).unwrap_or(i32::MAX)
}
