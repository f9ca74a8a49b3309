//! Workers: which there are, and draining them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use petrel_bus::{Output, To};
use petrel_schemas::{KvEntry, ProcessAlive, encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App, Core, body, user};
use crate::presence;
use crate::process::blocking;
use crate::world::{DrainOrder, Drained, rfc3339};

/// Largest body of these requests, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
/// How long a task waits at least until it is asked why, in milliseconds: workers take most of them much sooner, and
/// their clients ask again and again.
pub(super) const SOON_MS: i64 = 1_000;
/// How old an answer about that may be, in milliseconds: to read who runs costs a connection to the log.
const SEEN_MS: i64 = 1_000;
/// How long such an answer is waited for: without it an execution is shown all the same.
const SEE_MAX: Duration = Duration::from_secs(2);
/// Longest name of a worker, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Body of a drain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainBody {
    reason: Option<String>,
    /// After how long what still runs is handed over, in milliseconds; none waits for as long as it takes.
    hand_over_after_ms: Option<u32>,
}

/// Body of a resume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {}

/// `GET /v1/workers`: those that run, by name.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let workers = running(core).await?;
    let globals = core.world.globals();
    let shown = workers.iter().map(|alive| shown(alive, globals.drains().of(&alive.instance, pool_of(alive)).as_ref()));
    let drained = globals.drains().pools().map(|(pool, order)| json!({ "pool": pool, "order": told(order) }));
    Ok(Json(json!({ "workers": shown.collect::<Vec<_>>(), "pools_drained": drained.collect::<Vec<_>>() })))
}

/// `POST /v1/workers/{worker}/drain`.
pub async fn drain(State(app): State<App>, Path(worker): Path<String>, body: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    if worker.is_empty() || worker.len() > NAME_BYTES_MAX {
        return Err(ApiError::bad_request("malformed_worker", format!("{worker:?} is no name of a worker")));
    }
    // One that is not there may be started, and one that was drained may be gone: only a new drain is checked.
    if !running(core).await?.iter().any(|alive| alive.instance == worker) {
        let message = format!("there is no worker {worker:?}: `petrel worker list` shows those that run");
        return Err(ApiError::not_found("unknown_worker", message));
    }
    put(core, Drained::Worker(worker), Some(body)).await
}

/// `POST /v1/workers/{worker}/resume`.
pub async fn resume(State(app): State<App>, Path(worker): Path<String>, body: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let ResumeBody {} = body::json(&body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?)?;
    let mut answer = lift(core, Drained::Worker(worker.clone())).await?;
    // Which pool it has is known while it runs.
    let workers = seen(core).await.unwrap_or_default();
    let pool = workers.iter().find(|alive| alive.instance == worker).map(pool_of);
    let pool = pool.map(|pool| Drained::Pool(pool.to_owned()));
    if let Some(order) = pool.and_then(|pool| core.world.globals().drains().get(&pool).map(told)) {
        answer["drained"] = true.into();
        answer["order"] = order;
    }
    Ok(Json(answer))
}

/// `POST /v1/pools/{pool}/drain`: every worker of the pool, also one that is started later.
pub async fn drain_pool(State(app): State<App>, Path(pool): Path<String>, body: Body) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    check_pool(core, &pool)?;
    put(core, Drained::Pool(pool), Some(body)).await
}

/// `POST /v1/pools/{pool}/resume`.
pub async fn resume_pool(
    State(app): State<App>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let whose = Drained::Pool(pool.clone());
    // One that is not configured any more would be drained when it comes back.
    if core.world.globals().drains().get(&whose).is_none() {
        check_pool(core, &pool)?;
    }
    let ResumeBody {} = body::json(&body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?)?;
    Ok(Json(lift(core, whose).await?))
}

/// Takes the entry away, and says whether there was one.
async fn lift(core: &Core, whose: Drained) -> Result<Value, ApiError> {
    let was_drained = core.world.globals().drains().get(&whose).is_some();
    let Json(mut answer) = put(core, whose, None).await?;
    answer["was_drained"] = was_drained.into();
    Ok(answer)
}

fn check_pool(core: &Core, pool: &str) -> Result<(), ApiError> {
    match core.config.pools.iter().any(|known| known == pool) {
        true => Ok(()),
        false => Err(ApiError::not_found("unknown_pool", format!("there is no pool {pool:?}"))),
    }
}

/// Writes the entry that a body asks for, or its end, and waits until this process has read it.
async fn put(core: &Core, whose: Drained, body: Option<Body>) -> Result<Json<Value>, ApiError> {
    let now_ms = core.clock.now_ms();
    let order = match body {
        None => None,
        Some(body) => {
            let bytes = body::bytes(body, BODY_BYTES_MAX, core.request_timeout()).await?;
            let DrainBody { reason, hand_over_after_ms } = body::json(&bytes)?;
            let hand_over_at_ms = hand_over_after_ms.map(|after_ms| now_ms.saturating_add(after_ms.into()));
            Some(DrainOrder { reason, by: user(), at_ms: now_ms, hand_over_at_ms })
        }
    };
    let entry =
        |order: &DrainOrder| KvEntry { value: json!(order).to_string(), updated_at_ms: now_ms, updated_by: user() };
    let record = Output {
        topic: core.topics.kv(),
        to: To::Partition(0),
        key: Some(whose.key().into_bytes()),
        value: order.as_ref().map(entry).map(|entry| encode(&entry)),
        timestamp_ms: None,
        headers: Vec::new(),
    };
    core.publisher.publish(vec![record]).await?;
    let is_there = |globals: &crate::world::Globals| globals.drains().get(&whose) == order.as_ref();
    core.world.wait_until(is_there).await.map_err(|_| {
        ApiError::unavailable("kv_behind", "it is written, and this server has not read it yet".to_owned())
    })?;
    Ok(Json(json!({ "drained": order.is_some(), "order": order.as_ref().map(told) })))
}

/// Those that run; nothing where that could not be read.
type Workers = Option<Arc<[ProcessAlive]>>;

/// The workers that were seen last, for many who ask at once.
#[derive(Debug, Default)]
pub struct Seen(tokio::sync::Mutex<Option<(i64, Workers)>>);

/// The workers that run, as they were a moment ago; nothing where that cannot be read soon, which is remembered, too.
async fn seen(core: &Core) -> Workers {
    let mut seen = tokio::time::timeout(SEE_MAX, core.workers_seen.0.lock()).await.ok()?;
    if let Some((at_ms, workers)) = &*seen
        && (0..SEEN_MS).contains(&(core.clock.now_ms() - at_ms))
    {
        return workers.clone();
    }
    let found = tokio::time::timeout(SEE_MAX, running(core)).await.ok().and_then(Result::ok);
    let workers = found.map(Arc::from);
    *seen = Some((core.clock.now_ms(), workers.clone()));
    workers
}

/// The workers that run, by name.
async fn running(core: &Core) -> Result<Vec<ProcessAlive>, ApiError> {
    let (topics, now_ms) = (core.topics.clone(), core.clock.now_ms());
    let unknown = |why: String| ApiError::unavailable("processes_unknown", why);
    let processes = blocking(&core.bus, move |bus| Ok(presence::running(bus, &topics, now_ms))).await;
    let processes = processes.map_err(|error| unknown(error.to_string()))?;
    let processes = processes.map_err(|error| unknown(format!("{error:#}")))?;
    Ok(processes.into_iter().filter(|alive| alive.pool.is_some()).collect())
}

fn pool_of(alive: &ProcessAlive) -> &str {
    alive.pool.as_deref().unwrap_or_default()
}

fn shown(alive: &ProcessAlive, order: Option<&DrainOrder>) -> Value {
    json!({
        "worker": alive.instance,
        "pool": alive.pool,
        "status": status(alive, order.map(|order| order.at_ms)),
        "slots": alive.slots,
        "slots_busy": alive.slots_busy,
        "release": alive.release,
        "told_at": rfc3339(alive.told_at_ms),
        "order": order.map(told),
    })
}

/// `draining` until the worker itself has said that it takes nothing more and runs nothing, by this order and not by one
/// before it: in between it may have claimed something.
fn status(alive: &ProcessAlive, wanted_by_ms: Option<i64>) -> &'static str {
    match (wanted_by_ms, alive.drained_by_ms) {
        (Some(wanted), Some(drained)) if wanted == drained && alive.slots_busy == 0 => "drained",
        (Some(_), _) => "draining",
        (None, Some(_)) => "resuming",
        (None, None) => "running",
    }
}

fn told(order: &DrainOrder) -> Value {
    json!({
        "reason": order.reason,
        "by": order.by,
        "at": rfc3339(order.at_ms),
        "hand_over_at": order.hand_over_at_ms.map(rfc3339),
    })
}

/// Why nobody starts what waits for a worker of a pool, if so.
pub(super) async fn why_unclaimed(core: &Core, pool: &str) -> Option<String> {
    let workers = seen(core).await?;
    let globals = core.world.globals();
    let mut of_pool = workers.iter().filter(|alive| alive.pool.as_deref() == Some(pool)).peekable();
    if of_pool.peek().is_none() {
        return Some(format!("no worker of pool {pool:?} runs"));
    }
    let is_drained = |alive: &ProcessAlive| globals.drains().of(&alive.instance, pool).is_some();
    of_pool.all(is_drained).then(|| format!("every worker of pool {pool:?} is drained"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_drained_once_it_says_so() {
        let alive = |slots_busy, drained_by_ms| ProcessAlive {
            instance: "w".to_owned(),
            release: "1".to_owned(),
            roles: Vec::new(),
            format_oldest: 1,
            format_newest: 1,
            format: 1,
            ended: false,
            told_at_ms: 0,
            pool: Some("default".to_owned()),
            slots: 4,
            slots_busy,
            drained_by_ms,
        };
        let told = |slots_busy, drained_by_ms, wanted_by_ms| status(&alive(slots_busy, drained_by_ms), wanted_by_ms);
        // It may not have read the order yet, and know of one before it.
        assert_eq!((told(0, None, Some(9)), told(0, Some(5), Some(9))), ("draining", "draining"));
        assert_eq!((told(1, Some(9), Some(9)), told(0, Some(9), Some(9))), ("draining", "drained"));
        assert_eq!((told(0, Some(9), None), told(2, None, None)), ("resuming", "running"));
    }
}
