//! Probes.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use petrel_audit::SinkStats;
use petrel_bus::{BlockedPartition, DelayedTimer, StageStats};
use serde_json::{Value, json};

use super::{ApiError, App, Core};
use crate::metrics::AUDIT;
use crate::world::rfc3339;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: every stage of this process has its partitions, and nothing is wrong. Partitions that are
/// blocked are told either way: most wait for something that comes, such as a free worker, and why and since when
/// says whether. So are timers that kill their stage, and wait alone.
pub async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let (core, mut problems) = (app.started()?, Vec::new());
    let now_ms = core.clock.now_ms();
    for (name, stats) in &core.stages {
        problems.extend(stage_problems(name, stats, now_ms));
    }
    problems.extend(core.exported.audit().into_iter().flat_map(|stats| sink_problems(stats, now_ms)));
    problems.extend(core_problems(core));
    let blocked = blocked_partitions(&core.exported.blocked(&core.stages));
    let warnings: Vec<String> = core.stages.iter().flat_map(|(name, stats)| stage_warnings(name, stats)).collect();
    if problems.is_empty() {
        return Ok(Json(json!({ "status": "ready", "blocked": blocked, "warnings": warnings })));
    }
    problems.extend(blocked);
    problems.extend(warnings);
    Err(ApiError::unavailable("not_ready", "not everything is ready").with_details(problems))
}

/// What is wrong beside the problems of the stages and of the audit sink, for people.
pub(super) fn core_problems(core: &Core) -> Vec<String> {
    let log = core.bus.usage().map(|usage| usage.problems).unwrap_or_default();
    core.world.problems().into_iter().chain(core.exported.problems()).chain(log).collect()
}

/// The partitions that are blocked, one a line.
fn blocked_partitions(stages: &[(String, Vec<BlockedPartition>)]) -> Vec<String> {
    let of_stage = |(name, blocked): &(String, Vec<BlockedPartition>)| -> Vec<String> {
        let line = |blocked: &BlockedPartition| {
            let BlockedPartition { at, offset, reason, since_ms } = blocked;
            format!(
                "{name}: {}/{} waits at offset {offset} since {}: {reason}",
                at.topic,
                at.partition,
                rfc3339(*since_ms)
            )
        };
        blocked.iter().map(line).collect()
    };
    stages.iter().flat_map(of_stage).collect()
}

/// What a stage that works cannot do, for people.
pub(super) fn stage_warnings(name: &str, stats: &StageStats) -> Vec<String> {
    let line = |timer: DelayedTimer| {
        let DelayedTimer { partition, key, due_ms } = timer;
        format!(
            "{name}: the timer \"{key}\" of partition {partition} kills the stage and comes again at {}: see the dead \
             letters",
            rfc3339(due_ms)
        )
    };
    stats.delayed_timers().into_iter().map(line).collect()
}

/// What keeps a stage from working, for people.
pub(super) fn stage_problems(name: &str, stats: &StageStats, now_ms: i64) -> Vec<String> {
    let mut problems: Vec<String> = stats.problems().into_iter().map(|p| format!("{name}: {p}")).collect();
    // A restore has no end that one could know, and is told below.
    if let Some(took_ms) = stats.hangs_ms(now_ms).filter(|_| stats.restores.now().is_empty()) {
        problems.push(hangs(name, took_ms));
    }
    let restoring = stats.restores.now();
    if !restoring.is_empty() {
        // Also where it was ready before these came: nothing of what it has goes on meanwhile.
        let (count, left): (usize, i64) = (restoring.len(), restoring.iter().map(|r| r.end - r.position).sum());
        problems.push(format!("{name}: restores {count} partitions, {left} offsets are left"));
    } else if problems.is_empty() && !stats.ready.load(Ordering::Relaxed) {
        problems.push(format!("{name}: waits for its partitions"));
    }
    problems
}

/// What keeps the audit sink from writing, for people.
pub(super) fn sink_problems(stats: &SinkStats, now_ms: i64) -> Vec<String> {
    let problems = stats.problems().into_iter().map(|problem| format!("{AUDIT}: {problem}"));
    problems.chain(stats.hangs_ms(now_ms).map(|took_ms| hangs(AUDIT, took_ms))).collect()
}

fn hangs(name: &str, took_ms: i64) -> String {
    format!("{name}: has not made a turn for {} s", took_ms / 1_000)
}

#[cfg(test)]
mod tests {
    use petrel_bus::{TURN_MS_MAX, TopicPartition};

    use super::*;

    #[test]
    fn a_stage_that_restores_is_not_ready_although_it_was() {
        let (stats, at) = (StageStats::default(), TopicPartition { topic: "state".into(), partition: 3 });
        assert_eq!(stage_problems("owner-0", &stats, 0), ["owner-0: waits for its partitions"]);
        for was_ready in [false, true] {
            stats.ready.store(was_ready, Ordering::Relaxed);
            stats.restores.reached(&at, 20, 100);
            assert_eq!(stage_problems("owner-0", &stats, 0), ["owner-0: restores 1 partitions, 80 offsets are left"]);
            stats.restores.done();
        }
        assert_eq!(stage_problems("owner-0", &stats, 0), [""; 0]);
    }

    #[test]
    fn a_stage_that_hangs_is_not_ready_although_it_was() {
        let stats = StageStats::default();
        stats.ready.store(true, Ordering::Relaxed);
        assert_eq!(stage_problems("owner-0", &stats, TURN_MS_MAX + 1), [""; 0], "it has not begun");
        stats.turn_began_ms.store(1_000, Ordering::Relaxed);
        assert_eq!(stage_problems("owner-0", &stats, 1_000 + TURN_MS_MAX), [""; 0]);
        assert_eq!(stage_problems("owner-0", &stats, 1_001 + TURN_MS_MAX), ["owner-0: has not made a turn for 90 s"]);
    }
    #[test]
    fn an_audit_sink_that_hangs_is_not_ready() {
        let stats = SinkStats::default();
        assert_eq!(sink_problems(&stats, TURN_MS_MAX + 1), [""; 0], "it has not begun");
        stats.turn_began_ms.store(1_000, Ordering::Relaxed);
        assert_eq!(sink_problems(&stats, 1_000 + TURN_MS_MAX), [""; 0]);
        assert_eq!(sink_problems(&stats, 1_001 + TURN_MS_MAX), ["audit: has not made a turn for 90 s"]);
    }
}
