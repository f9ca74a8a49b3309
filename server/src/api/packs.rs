//! Packs and rules in force, and applying packs.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use petrel_catalog::CompiledRevision;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App, body, user};
use crate::apply::What;
use crate::packs::PackUpload;
use crate::world::Head;

/// Body of an apply: packs, or an earlier revision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    #[serde(default)]
    packs: Vec<PackUpload>,
    #[serde(default)]
    prune: bool,
    revision: Option<String>,
}

/// `POST /v1/packs/apply`.
pub async fn apply(State(app): State<App>, request: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let bytes = body::bytes(request, core.config.api.packs_bytes_max, core.request_timeout()).await?;
    let ApplyBody { packs, prune, revision } = body::json(&bytes)?;
    let what = match revision {
        Some(_) if prune || !packs.is_empty() => {
            return Err(ApiError::bad_request("bad_request", "give either packs or a revision"));
        }
        Some(revision) => What::Revision(revision),
        None => {
            let sources = packs.into_iter().map(PackUpload::into_source).collect::<anyhow::Result<Vec<_>>>();
            What::Packs { sources: sources.map_err(|e| ApiError::bad_request("bad_request", format!("{e:#}")))?, prune }
        }
    };
    let applied = core.applier.apply(what, &user()).await?;
    Ok(Json(json!({
        "revision": applied.revision,
        "packs": applied.packs,
        "changed": applied.changed,
        "removed_early": applied.removed_early,
    })))
}

/// `GET /v1/packs`.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let globals = app.core()?.world.globals();
    let head = globals.head();
    let packs = compiled(head)?.into_iter().flat_map(|r| r.packs()).map(|pack| {
        json!({
            "pack": pack.name,
            "version": pack.version,
            "description": pack.description,
            "triggers": pack.triggers,
            "rules": pack.rules,
            "actions": pack.actions,
        })
    });
    Ok(Json(json!({ "revision": in_force(head), "packs": packs.collect::<Vec<_>>() })))
}

/// `GET /v1/rules`.
pub async fn rules(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let globals = app.core()?.world.globals();
    let head = globals.head();
    let rules = compiled(head)?.into_iter().flat_map(|r| r.rules()).map(|rule| {
        let actions: Vec<&str> = rule.calls.iter().map(|call| call.action.as_str()).collect();
        json!({
            "rule": rule.reference,
            "trigger": rule.trigger,
            "criteria": rule.criteria,
            "enabled": rule.enabled,
            "actions": actions.join(", "),
            "description": rule.description,
        })
    });
    Ok(Json(json!({ "revision": in_force(head), "rules": rules.collect::<Vec<_>>() })))
}

/// Hash of the revision in force; nothing before the first apply.
pub(super) fn in_force(head: &Head) -> Option<&str> {
    Some(head.revision.as_str()).filter(|revision| !revision.is_empty())
}

/// The revision in force; nothing before the first apply.
///
/// # Errors
/// `catalog_unavailable` if this process cannot use it.
pub(super) fn compiled(head: &Head) -> Result<Option<&Arc<CompiledRevision>>, ApiError> {
    match head.problem() {
        Some(problem) => Err(ApiError::unavailable("catalog_unavailable", problem).with_details(head.packs.clone())),
        None => Ok(head.compiled.as_ref()),
    }
}
