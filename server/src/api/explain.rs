//! Why a rule in force matches an event or does not.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use petrel_catalog::{CompiledRevision, TriggerDef, TriggerSource, did_you_mean};
use petrel_rules::{EventReader, Explanation, Kv, MatchView as _, RuleSource, TriggerPlan, TriggerSchema};
use serde_json::Value;

use super::packs::compiled;
use super::{ApiError, App, body};

/// `POST /v1/rules/{rule}/explain`: the body is the event. Decided with the key-value store and the time of now.
pub async fn explain(State(app): State<App>, Path(rule): Path<String>, request: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let event = body::bytes(request, core.config.api.event_bytes_max, core.request_timeout()).await?;
    let now_ms = core.clock.now_ms();
    let globals = core.world.globals();
    let unknown = || ApiError::not_found("unknown_rule", format!("there is no rule {rule:?}"));
    let head = compiled(globals.head())?.ok_or_else(unknown)?.clone();
    let work = move || of_revision(&head, &rule, &event, now_ms, globals.kv());
    let failed = |e: tokio::task::JoinError| ApiError::unavailable("internal", format!("the explanation failed: {e}"));
    let explanation = tokio::task::spawn_blocking(work).await.map_err(failed)??;
    Ok(Json(explanation.to_json()))
}

/// Explains a rule of a revision. Of a rule that nobody asks about this event, because it is disabled or the
/// trigger's schema refuses the event, it tells what it would decide.
///
/// # Errors
/// `unknown_rule`, `malformed_json`.
pub fn of_revision(
    revision: &CompiledRevision,
    rule: &str,
    event: &[u8],
    now_ms: i64,
    kv: &Kv,
) -> Result<Explanation, ApiError> {
    let Some(found) = revision.rule(rule) else {
        let hint = did_you_mean(rule, revision.rules().map(|rule| rule.reference.as_str()));
        return Err(ApiError::not_found("unknown_rule", format!("there is no rule {rule:?}{hint}")));
    };
    let trigger = revision.trigger(&found.trigger);
    let schema = trigger.and_then(|trigger| trigger.schema.as_ref());
    let schema = schema.map_or_else(TriggerSchema::none, TriggerSchema::compile);
    let source = RuleSource { rule: rule.into(), criteria: found.criteria.clone() };
    let plan = revision.plan(&found.trigger);
    let set = plan.map(|plan| &**plan.rules());
    let explanation = petrel_rules::explain(&source, &schema, set, event, now_ms, kv)
        .map_err(|e| ApiError::bad_request("malformed_json", e.to_string()))?;
    if !found.enabled {
        return Ok(explanation.not_asked("the rule is disabled".to_owned()));
    }
    if petrel_rules::started_by(&found.trigger, event).as_deref() == Some(rule) {
        let why = "the rule started the execution whose end it is, and is not asked about what it has started";
        return Ok(explanation.not_asked(why.to_owned()));
    }
    Ok(match refusal(trigger, plan, event) {
        Some(why) => explanation.not_asked(format!("the trigger's schema refuses the event: {why}")),
        None => explanation,
    })
}

/// What a trigger's schema refuses about an event: of a bound topic what is required and the paths that any
/// of its rules reads, or all of it if the trigger asks for that; of any other source all of it.
fn refusal(trigger: Option<&TriggerDef>, plan: Option<&Arc<TriggerPlan>>, event: &[u8]) -> Option<String> {
    if let Some(trigger) = trigger.filter(|trigger| !matches!(trigger.source, TriggerSource::Kafka(_))) {
        let payload: Value = serde_json::from_slice(event).ok()?;
        return trigger.check_payload(&payload).err().map(|reasons| reasons.join("; "));
    }
    let plan = plan?;
    let mut reader = EventReader::new();
    let parsed = reader.read(event, plan.rules().layout()).ok()?;
    let checked = plan.rules().check(&parsed).map_err(|violation| violation.to_string());
    checked.and_then(|()| plan.full_check().map_or(Ok(()), |check| check.run(event))).err()
}
