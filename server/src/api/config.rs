//! What packs were given: showing it, and changing it, which publishes a revision.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::packs::{compiled, in_force};
use super::{ApiError, App, body, user};
use crate::apply::{ConfigChange, What};

/// Largest body, in bytes; as large as a file of a pack may be.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Shape of a change. Somebody may have written a secret itself where its name belongs.
const CHANGE_BODY: &str = "{\"set\": {…}, \"unset\": […], \"replace\": false}";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    unset: Vec<String>,
    /// Whether what is not set goes.
    #[serde(default)]
    replace: bool,
}

/// `GET /v1/config/{pack}`: what it was given, and what that makes with defaults; of secrets, the names.
pub async fn get(State(app): State<App>, Path(pack): Path<String>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let globals = core.world.globals();
    let head = globals.head();
    let given = core.applier.given_config(&pack)?;
    let values = compiled(head)?.and_then(|revision| revision.config(&pack)).map(|config| config.values().clone());
    Ok(Json(json!({ "pack": pack, "revision": in_force(head), "given": given, "values": values })))
}

/// `POST /v1/config/{pack}`: `{"set": {…}, "unset": […], "replace": false}`.
pub async fn change(State(app): State<App>, Path(pack): Path<String>, request: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let bytes = body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await?;
    let ChangeBody { set, unset, replace } = body::json_unquoted(&bytes, CHANGE_BODY)?;
    let applied = core.applier.apply(What::Config(ConfigChange { pack, set, unset, replace }), &user()).await?;
    Ok(Json(json!({ "revision": applied.revision, "changed": applied.changed })))
}
