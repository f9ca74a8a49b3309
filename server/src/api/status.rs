//! The process at a glance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use petrel_audit::SinkStats;
use petrel_bus::StageStats;
use serde_json::{Value, json};

use super::health::{core_problems, sink_problems, stage_problems, stage_warnings};
use super::packs::in_force;
use super::{ApiError, App};
use crate::live::Queue;
use crate::metrics::{AUDIT, Exported};
use crate::world::rfc3339;

/// `GET /v1/status`.
pub async fn status(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.started()?;
    let globals = core.world.globals();
    Ok(Json(json!({
        "instance": core.instance,
        "version": env!("CARGO_PKG_VERSION"),
        "bus": core.bus_name,
        "log": core.bus.usage().map(|usage| json!({ "bytes": usage.bytes, "bytes_max": usage.bytes_max })),
        "revision": in_force(globals.head()),
        "dispatch": if globals.is_paused() { "paused" } else { "running" },
        "queues": core.exported.waiting().iter().map(queue).collect::<Vec<_>>(),
        "stages": stages(&core.stages, &core.exported, core.clock.now_ms()),
        "problems": core_problems(core),
    })))
}

fn queue((queue, age_ms): &(Queue, i64)) -> Value {
    json!({
        "pool": queue.pool,
        "class": queue.class.as_str(),
        "length": queue.length,
        "oldest_age_ms": queue.oldest_ms.map(|_| age_ms),
    })
}

/// What each stage tells, and the audit sink, which is none and tells the same.
fn stages(stages: &[(String, Arc<StageStats>)], exported: &Exported, now_ms: i64) -> Vec<Value> {
    let stages = stages.iter().map(|(name, stats)| stage(name, stats, now_ms));
    stages.chain(exported.audit().map(|stats| audit(stats, now_ms))).collect()
}

fn stage(name: &str, stats: &StageStats, now_ms: i64) -> Value {
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
}

fn audit(stats: &SinkStats, now_ms: i64) -> Value {
    let lag = stats.lag.load(Ordering::Relaxed);
    let problems = sink_problems(stats, now_ms);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use petrel_audit::{Address, Endpoint, SinkOptions, SinkTopics, spawn_sink};
    use petrel_bus::sim::{SimBus, SimClock, SimOptions};
    use petrel_bus::{Clock, SessionOptions, TURN_MS_MAX};

    use super::*;
    use crate::clock::SystemClock;

    /// Nobody waits that long unless something is lost.
    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_wrong_with_the_audit_sink_is_told_in_its_place_alone() {
        let bus = SimBus::new(SimClock::at(1_700_000_000_000), SimOptions::default());
        let session = SessionOptions { group: "audit".into(), member: "a".into(), transactional: false };
        // Topics that are not there are the first thing that it meets.
        let topics = SinkTopics { audit: "no.audit".into(), dead_letters: "no.letters".into() };
        // Nobody listens there.
        let nowhere = Address { url: "http://127.0.0.1:9".into(), user: None, password: None };
        let (clock, runtime) = (Arc::new(SystemClock::new()), tokio::runtime::Handle::current());
        let endpoint = Endpoint::fixed(nowhere);
        let (options, time) = (SinkOptions::default(), clock.clone());
        let sink = spawn_sink(Arc::new(bus), session, topics, endpoint, options, time, runtime);
        let mut exported = Exported::default();
        exported.sink(sink.stats().clone());
        let told = async {
            while sink.stats().problems().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, told).await.expect("it has a problem");
        let stages = stages(&[], &exported, clock.now_ms());
        let problems = stages[0]["problems"].as_str().unwrap();
        assert!(problems.starts_with("audit: ") && stages[0]["ready"] == false, "{stages:?}");
        assert_eq!(exported.problems(), [""; 0]);
    }

    #[test]
    fn an_audit_sink_that_hangs_is_not_ready() {
        let (stats, mut exported) = (Arc::new(SinkStats::default()), Exported::default());
        exported.sink(stats.clone());
        stats.turn_began_ms.store(1_000, Ordering::Relaxed);
        let ready = |now_ms: i64| stages(&[], &exported, now_ms)[0]["ready"].clone();
        assert_eq!((ready(1_000 + TURN_MS_MAX), ready(1_001 + TURN_MS_MAX)), (json!(true), json!(false)));
    }
}
