//! Probes.

use axum::Json;
use axum::extract::State;
use petrel_bus::StageStats;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use super::{ApiError, App, Core};

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: every stage of this process has its partitions, and nothing is wrong.
pub async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.started()?;
    let mut problems: Vec<String> = Vec::new();
    for (name, stats) in &core.stages {
        problems.extend(stage_problems(name, stats));
    }
    problems.extend(core_problems(core));
    if problems.is_empty() {
        return Ok(Json(json!({ "status": "ready" })));
    }
    Err(ApiError::unavailable("not_ready", "not everything is ready").with_details(problems))
}

/// What is wrong beside the stages' own problems, for people.
pub(super) fn core_problems(core: &Core) -> Vec<String> {
    let log = core.bus.usage().map(|usage| usage.problems).unwrap_or_default();
    core.world.problem().into_iter().chain(core.exported.problems()).chain(log).collect()
}

/// What keeps a stage from working, for people.
pub(super) fn stage_problems(name: &str, stats: &StageStats) -> Vec<String> {
    let mut problems: Vec<String> = stats.problems().into_iter().map(|p| format!("{name}: {p}")).collect();
    if problems.is_empty() && !stats.ready.load(Ordering::Relaxed) {
        problems.push(format!("{name}: waits for its partitions"));
    }
    problems
}
