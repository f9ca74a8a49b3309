//! Kill switches: which are off, and switching them.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use petrel_bus::{Output, To};
use petrel_catalog::{StoredPack, did_you_mean};
use petrel_execution::EVERYTHING;
use petrel_schemas::{KvEntry, encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::{JoinError, spawn_blocking};

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
    /// Also where no revision that is kept has it.
    #[serde(default)]
    force: bool,
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
    let OffBody { scope, reason, for_ms, drop, force } =
        body::json(&body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?)?;
    if !is_scope(&scope) {
        return Err(malformed(&scope));
    }
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("a reason has from 1 to {REASON_BYTES_MAX} bytes");
        return Err(ApiError::bad_request("malformed_reason", message));
    }
    if for_ms.is_some_and(|ms| !(1..=FOR_MS_MAX).contains(&ms)) {
        let message = format!("\"for_ms\" is from 1 to {FOR_MS_MAX}");
        return Err(ApiError::bad_request("malformed_duration", message));
    }
    let known = match find(core, &scope).await {
        // Whatever there is in the way.
        Err(_) if force => Found::InForce,
        known => known?,
    };
    if known == Found::Nowhere && !force {
        return Err(ApiError::not_found("unknown_scope", nowhere(&core.world.globals(), &scope)));
    }
    let now_ms = core.clock.now_ms();
    let until_ms = for_ms.map(|ms| now_ms.saturating_add(ms));
    let order = SwitchOrder { reason, by: user(), at_ms: now_ms, until_ms, drops: drop };
    put(core, &scope, Some(&order)).await?;
    let mut answer = told(&scope, &order);
    answer["warning"] = known.warning(&scope).into();
    Ok(Json(answer))
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

/// Where there is what a switch is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// In the revision in force; or nobody can tell, for that is not known.
    InForce,
    /// In an older one, of which executions may go on.
    Older,
    /// In none that is kept.
    Nowhere,
}

impl Found {
    /// What somebody who switches it off has to know.
    fn warning(self, scope: &str) -> Option<String> {
        let what = scope.replacen('/', " ", 1);
        match self {
            Self::InForce => None,
            Self::Older => Some(format!(
                "the revision in force has no {what}: this stops executions of older revisions, and of later ones that have it"
            )),
            Self::Nowhere => Some(format!("no revision that is kept has {what}: this stops nothing that there is")),
        }
    }
}

/// A switch of something that is not there keeps nothing from starting, and who misspells it would believe that it does. But
/// executions of an older revision go on, also where a pack is gone from the one in force.
async fn find(core: &Core, scope: &str) -> Result<Found, ApiError> {
    let globals = core.world.globals();
    let Some(compiled) = &globals.head().compiled else { return Ok(Found::InForce) };
    let (kind, reference) = scope.split_once('/').unwrap_or((scope, ""));
    let is_in_force = match kind {
        "pack" => compiled.packs().any(|pack| pack.name == reference),
        "action" => compiled.action(reference).is_some(),
        "rule" => compiled.rule(reference).is_some(),
        _ => true,
    };
    if is_in_force {
        return Ok(Found::InForce);
    }
    let (pack, name) = reference.split_once('.').unwrap_or((reference, ""));
    let kept: Vec<StoredPack> = {
        let state = core.world.catalog().state();
        state
            .blobs()
            .iter()
            .filter(|(_, blob)| blob.pack == pack)
            .map(|(hash, blob)| StoredPack::new(hash, blob.clone()))
            .collect()
    };
    let (folder, name) = (format!("{kind}s"), name.to_owned());
    // Packs are unpacked for it.
    let work = move || kept.iter().any(|pack| name.is_empty() || pack.may_define(&folder, &name));
    let failed = |e: JoinError| ApiError::unavailable("internal", format!("the catalog could not be searched: {e}"));
    Ok(if spawn_blocking(work).await.map_err(failed)? { Found::Older } else { Found::Nowhere })
}

/// Why something is not switched off, and what to do about it.
fn nowhere(globals: &Globals, scope: &str) -> String {
    let (kind, reference) = scope.split_once('/').unwrap_or((scope, ""));
    let compiled = globals.head().compiled.as_deref();
    let hint = compiled.map_or_else(String::new, |compiled| match kind {
        "pack" => did_you_mean(reference, compiled.packs().map(|pack| pack.name.as_str())),
        "action" => did_you_mean(reference, compiled.actions().map(|action| action.reference.as_str())),
        _ => did_you_mean(reference, compiled.rules().map(|rule| rule.reference.as_str())),
    });
    let hint = if hint.is_empty() { "." } else { hint.as_str() };
    format!(
        "no revision that is kept has {kind} {reference}{hint} With \"force\" (--force) it is switched off all the same"
    )
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
    // What goes on again waits as what begins.
    let code = state.code.as_deref().filter(|_| ["delayed", "resuming"].contains(&state.status.as_str()))?;
    let what = match code {
        code::WINDOW => "a window",
        code::EVERYTHING_OFF | code::PACK_OFF | code::RULE_PACK_OFF | code::ACTION_OFF | code::RULE_OFF => "a switch",
        code::BACK_OFF => "its next attempt",
        code::TASK_DELAY => "the delay of its task",
        code::DISPATCH_PAUSED => "the end of the pause of all dispatch",
        code::REVISION_NOT_HERE | code::ACTION_BROKEN => "its revision",
        _ => return None,
    };
    let until = state.delayed_until_ms.map(|ms| format!(", until {}", rfc3339(ms))).unwrap_or_default();
    let why = state.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{what}{until}{why}"))
}
