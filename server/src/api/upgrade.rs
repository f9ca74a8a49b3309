//! Which format is in force, and finishing an upgrade.

use axum::Json;
use axum::extract::State;
use petrel_schemas::{Format, ProcessAlive};
use serde_json::{Value, json};

use super::{ApiError, App, user};
use crate::presence::release;
use crate::world::rfc3339;

/// `GET /v1/upgrade`.
pub async fn status(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let state = app.core()?.upgrade.state().await?;
    let process = |alive: &ProcessAlive| {
        json!({
            "instance": alive.instance,
            "release": alive.release,
            "roles": alive.roles,
            "format_oldest": alive.format_oldest,
            "format_newest": alive.format_newest,
            "format": alive.format,
            "told_at": rfc3339(alive.told_at_ms),
        })
    };
    Ok(Json(json!({
        "format": state.format.number(),
        "finished": state.is_finished(),
        "release": release(),
        "format_oldest": Format::oldest().number(),
        "format_newest": Format::newest().number(),
        "too_old": state.too_old().map(|alive| alive.instance.as_str()).collect::<Vec<_>>(),
        "processes": state.running.iter().map(process).collect::<Vec<_>>(),
    })))
}

/// `POST /v1/upgrade/finish`.
pub async fn finish(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let changed = core.upgrade.finish(&user()).await?;
    Ok(Json(json!({ "format": core.world.format().get().number(), "changed": changed })))
}
