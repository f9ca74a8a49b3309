//! Kill switches: which are off, and switching them.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use petrel_bus::{Output, To};
use petrel_execution::EVERYTHING;
use petrel_schemas::{KvEntry, encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App, Core, body, user};
use crate::world::{Globals, SwitchOrder, is_scope, rfc3339, switch_key};

/// Largest body of these requests, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1 << 10;
/// Longest time that a switch is off by itself, in milliseconds: a year.
const FOR_MS_MAX: i64 = 366 * 24 * 3_600_000;

/// Body of switching something off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffBody {
    /// `everything`, `pack/NAME`, `action/PACK.NAME` or `rule/PACK.NAME`.
    scope: String,
    reason: String,
    /// After how long it is on again by itself, in milliseconds; none waits for somebody.
    for_ms: Option<i64>,
    /// Whether what would start meanwhile ends instead of waiting.
    #[serde(default)]
    drop: bool,
}

/// Body of switching it on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnBody {
    scope: String,
}

/// `GET /v1/switches`: those that are off.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let (globals, now_ms) = (core.world.globals(), core.clock.now_ms());
    let off = globals.switches().iter().filter(|(_, order)| order.until_ms.is_none_or(|until_ms| now_ms < until_ms));
    Ok(Json(json!({ "switches": off.map(|(scope, order)| told(scope, order)).collect::<Vec<_>>() })))
}

/// `POST /v1/switches/off`.
pub async fn off(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let OffBody { scope, reason, for_ms, drop } =
        body::json(&body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?)?;
    check(&core.world.globals(), &scope)?;
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("a reason has from 1 to {REASON_BYTES_MAX} bytes");
        return Err(ApiError::bad_request("malformed_reason", message));
    }
    if for_ms.is_some_and(|ms| !(1..=FOR_MS_MAX).contains(&ms)) {
        let message = format!("\"for_ms\" is from 1 to {FOR_MS_MAX}");
        return Err(ApiError::bad_request("malformed_duration", message));
    }
    let now_ms = core.clock.now_ms();
    let until_ms = for_ms.map(|ms| now_ms.saturating_add(ms));
    let order = SwitchOrder { reason, by: user(), at_ms: now_ms, until_ms, drops: drop };
    put(core, &scope, Some(&order)).await?;
    Ok(Json(told(&scope, &order)))
}

/// `POST /v1/switches/on`.
pub async fn on(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let OnBody { scope } = body::json(&body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?)?;
    if !is_scope(&scope) {
        return Err(malformed(&scope));
    }
    put(core, &scope, None).await?;
    Ok(Json(json!({ "scope": scope, "off": false })))
}

/// A switch of something that is not there would keep nothing from starting, and nobody would know. Where the revision in
/// force is not known it may be there: switching off depends on nothing of the catalog.
fn check(globals: &Globals, scope: &str) -> Result<(), ApiError> {
    if !is_scope(scope) {
        return Err(malformed(scope));
    }
    let Some(compiled) = &globals.head().compiled else { return Ok(()) };
    let is_there = match scope.split_once('/') {
        Some(("pack", name)) => compiled.packs().any(|pack| pack.name == name),
        Some(("action", reference)) => compiled.action(reference).is_some(),
        Some((_, reference)) => compiled.rule(reference).is_some(),
        None => true,
    };
    match is_there {
        true => Ok(()),
        false => {
            let message = format!("the revision in force has no {}", scope.replacen('/', " ", 1));
            Err(ApiError::not_found("unknown_scope", message))
        }
    }
}

fn malformed(scope: &str) -> ApiError {
    let message = format!("{scope:?} is no switch: write {EVERYTHING}, pack/NAME, action/PACK.NAME or rule/PACK.NAME");
    ApiError::bad_request("malformed_scope", message)
}

/// Writes the entry, or its end, and waits until all of this process goes by it.
async fn put(core: &Core, scope: &str, order: Option<&SwitchOrder>) -> Result<(), ApiError> {
    let entry = |order: &SwitchOrder| KvEntry {
        value: json!(order).to_string(),
        updated_at_ms: order.at_ms,
        updated_by: user(),
    };
    let record = Output {
        topic: core.topics.kv(),
        to: To::Partition(0),
        key: Some(switch_key(scope).into_bytes()),
        value: order.map(entry).map(|entry| encode(&entry)),
        timestamp_ms: None,
        headers: Vec::new(),
    };
    core.publisher.publish(vec![record]).await?;
    let scope = scope.to_owned();
    core.world.wait_for_stages(|globals| globals.switches().get(&scope) == order, &core.stages).await
}

fn told(scope: &str, order: &SwitchOrder) -> Value {
    json!({
        "scope": scope,
        "off": true,
        "reason": order.reason,
        "by": order.by,
        "at": rfc3339(order.at_ms),
        "until": order.until_ms.map(rfc3339),
        "drops": order.drops,
    })
}

/// What keeps an execution from starting that its owner knows by itself, if it waits for something like that.
pub(super) fn waits_for(state: &petrel_schemas::ExecutionState) -> Option<String> {
    use petrel_execution::code;
    let code = state.code.as_deref().filter(|_| state.status == "delayed")?;
    let what = match code {
        code::WINDOW => "a window",
        code::EVERYTHING_OFF | code::PACK_OFF | code::RULE_PACK_OFF | code::ACTION_OFF | code::RULE_OFF => "a switch",
        code::BACK_OFF => "its next attempt",
        code::DISPATCH_PAUSED => "the end of the pause of all dispatch",
        code::REVISION_NOT_HERE | code::ACTION_BROKEN => "its revision",
        _ => return None,
    };
    let until = state.delayed_until_ms.map(|ms| format!(", until {}", rfc3339(ms))).unwrap_or_default();
    let why = state.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{what}{until}{why}"))
}
