//! The process at a glance.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use petrel_audit::SinkStats;
use serde_json::{Value, json};

use super::health::{core_problems, stage_problems, stage_warnings};
use super::packs::in_force;
use super::{ApiError, App};
use crate::metrics::AUDIT;
use crate::world::rfc3339;

/// `GET /v1/status`.
pub async fn status(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.started()?;
    let (globals, now_ms) = (core.world.globals(), core.clock.now_ms());
    let stage = |(name, stats): &(String, std::sync::Arc<petrel_bus::StageStats>)| {
        let (lag, restoring_now) = (stats.lag.load(Ordering::Relaxed), stats.restores.now());
        let is_up = stats.ready.load(Ordering::Relaxed) && restoring_now.is_empty();
        json!({
            "stage": name,
            "ready": is_up && stats.hangs_ms(now_ms).is_none(),
            "partitions": stats.assigned.load(Ordering::Relaxed),
            "records": stats.records.load(Ordering::Relaxed),
            "commits": stats.commits.load(Ordering::Relaxed),
            "rebuilds": stats.rebuilds.load(Ordering::Relaxed),
            "lag": (lag >= 0).then_some(lag),
            "restoring": restoring_now.iter().map(restoring).collect::<Vec<_>>(),
            "blocked": stats.blocked().iter().map(blocked).collect::<Vec<_>>(),
            "warnings": stage_warnings(name, stats),
            "problems": stage_problems(name, stats, now_ms).join("; "),
        })
    };
    let stages: Vec<Value> = core.stages.iter().map(stage).chain(core.exported.audit().map(audit)).collect();
    Ok(Json(json!({
        "instance": core.instance,
        "version": env!("CARGO_PKG_VERSION"),
        "bus": core.bus_name,
        "log": core.bus.usage().map(|usage| json!({ "bytes": usage.bytes, "bytes_max": usage.bytes_max })),
        "revision": in_force(globals.head()),
        "dispatch": if globals.is_paused() { "paused" } else { "running" },
        "stages": stages,
        "problems": core_problems(core),
    })))
}

/// The audit sink, which is no stage and tells the same.
fn audit(stats: &SinkStats) -> Value {
    let lag = stats.lag.load(Ordering::Relaxed);
    let problems = stats.problems();
    json!({
        "stage": AUDIT,
        "ready": problems.is_empty(),
        "partitions": stats.assigned.load(Ordering::Relaxed),
        "records": stats.records.load(Ordering::Relaxed),
        "commits": stats.batches.load(Ordering::Relaxed),
        "rebuilds": stats.rebuilds.load(Ordering::Relaxed),
        "lag": (lag >= 0).then_some(lag),
        "restoring": [],
        "blocked": stats.blocked().iter().map(blocked).collect::<Vec<_>>(),
        "warnings": [],
        "problems": problems.join("; "),
    })
}

fn restoring(restoring: &petrel_bus::Restoring) -> Value {
    json!({
        "topic": &*restoring.at.topic,
        "partition": restoring.at.partition,
        "position": restoring.position,
        "end": restoring.end,
    })
}

fn blocked(blocked: &petrel_bus::BlockedPartition) -> Value {
    json!({
        "topic": &*blocked.at.topic,
        "partition": blocked.at.partition,
        "offset": blocked.offset,
        "reason": blocked.reason,
        "since": rfc3339(blocked.since_ms),
    })
}
