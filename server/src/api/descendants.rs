//! What an execution has started, as a tree: what the live view knows of it, and of the rest the audit trail.
//!
//! The live view knows at once how something stands, but not of what ended before this server began, nor of what newer
//! executions have pushed out of it. The audit trail has all of it, a little later.

use petrel_schemas::ExecutionId;
use serde_json::{Map, Value, json};

use super::Core;
use super::workflows::{is_task, waits_for};
use crate::live::LiveExecution;
use crate::world::rfc3339;

/// Most descendants that are shown with an execution.
const DESCENDANTS_MAX: usize = 500;

/// Adds what an execution has started, if anything, in the order in which it was.
pub(super) async fn show(core: &Core, id: &ExecutionId, execution: &mut Value) {
    let live = core.live.get(id.as_str());
    if live.and_then(|live| live.state).is_some_and(|state| is_task(&state)) {
        return;
    }
    let (known, count) = core.live.descendants(id.as_str(), DESCENDANTS_MAX);
    let known = known.iter().map(|one| shown(core, one)).collect();
    // The audit trail is a little behind, or down: what this server knows is shown all the same.
    let told = match core.sql() {
        Ok(sql) => sql.descendants(id.as_str(), id.root().as_str(), DESCENDANTS_MAX).await.unwrap_or_else(|error| {
            tracing::warn!(?error, "the audit trail does not tell what an execution has started");
            Vec::new()
        }),
        Err(_) => Vec::new(),
    };
    let mut all = together(known, &told);
    if !all.is_empty() {
        let total = told.first().and_then(|row| row["total"].as_u64()).unwrap_or_default();
        let count = total.max(count as u64).max(all.len() as u64);
        all.truncate(DESCENDANTS_MAX);
        execution["descendants"] = all.into();
        execution["descendants_count"] = count.into();
    }
}

/// An execution below another one as the live view knows it: where it stands, and what it waits for.
fn shown(core: &Core, e: &LiveExecution) -> Value {
    let state = e.state.as_ref();
    let waiting = state.filter(|_| !e.is_over());
    let waits_for = waiting.and_then(|state| waits_for(core, state));
    json!({
        "execution_id": e.id,
        "task": state.and_then(|s| s.task.clone()),
        "action": state.map(|s| &s.action),
        "status": e.status(),
        "code": e.ended.as_ref().map_or_else(|| state.and_then(|s| s.code.clone()), |ended| ended.code.clone()),
        "attempt": state.map(|s| s.attempt),
        "worker": state.and_then(|s| s.worker.clone()),
        "requested_at": state.map(|s| rfc3339(s.requested_at_ms)),
        "ended_at": e.ended.as_ref().map(|ended| rfc3339(ended.ended_at_ms)),
        "waits_for": waits_for,
    })
}

/// The same as the audit trail tells it.
fn of_row(row: &Value) -> Value {
    let text = |name: &str| row[name].as_str().filter(|text| !text.is_empty());
    json!({
        "execution_id": row["execution_id"],
        "task": text("task"),
        "action": text("action"),
        "status": row["status"],
        "code": text("code"),
        "attempt": row["attempt"],
        "worker": text("worker"),
        "requested_at": row["requested_at_ms"].as_i64().map(rfc3339),
        "ended_at": row["ended_at_ms"].as_i64().map(rfc3339),
        "waits_for": null,
    })
}

/// What the live view knows, each with what only the audit trail tells of it, and what only the audit trail knows; in the
/// order in which it was started.
fn together(known: Vec<Value>, told: &[Value]) -> Vec<Value> {
    let id = |one: &Value| one["execution_id"].as_str().unwrap_or_default().to_owned();
    let mut all: Map<String, Value> = known.into_iter().map(|one| (id(&one), one)).collect();
    for row in told.iter().map(of_row) {
        match all.get_mut(&id(&row)) {
            Some(one) => fill(one, &row),
            None => _ = all.insert(id(&row), row),
        }
    }
    let mut all: Vec<Value> = all.into_iter().map(|(_, one)| one).collect();
    let number = |step: &str| step.parse::<u32>().unwrap_or(u32::MAX);
    all.sort_by_cached_key(|one| id(one).split('.').skip(1).map(number).collect::<Vec<u32>>());
    all
}

/// Fills what is not known of an execution: what never changes, and the rest where both tell of the same status.
fn fill(one: &mut Value, told: &Value) {
    let is_same = one["status"] == told["status"];
    for name in ["task", "action", "requested_at", "attempt", "worker"] {
        let never_changes = matches!(name, "task" | "action" | "requested_at");
        if one[name].is_null() && (never_changes || is_same) {
            one[name] = told[name].clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, task: &str, status: &str) -> Value {
        json!({
            "execution_id": id, "task": task, "action": "flow.say", "status": status, "code": "", "attempt": 1,
            "worker": "w", "requested_at_ms": 1_000, "ended_at_ms": 2_000, "total": 3,
        })
    }

    #[test]
    fn a_tree_is_whole_whatever_the_live_view_has_forgotten() {
        let known = vec![
            json!({ "execution_id": "be.10", "task": "last", "action": "flow.say", "status": "running", "attempt": 2 }),
            // It ended before this server began.
            json!({ "execution_id": "be.9", "task": null, "action": null, "status": "succeeded", "attempt": null }),
        ];
        let told =
            [row("be.9", "first", "succeeded"), row("be.9.1", "below", "succeeded"), row("be.10", "last", "scheduled")];
        let all = together(known, &told);
        let of = |name: &str| all.iter().map(|one| one[name].clone()).collect::<Vec<_>>();
        assert_eq!(of("execution_id"), ["be.9", "be.9.1", "be.10"]);
        assert_eq!(of("task"), ["first", "below", "last"]);
        assert_eq!(of("status"), ["succeeded", "succeeded", "running"], "the live view knows more lately");
        assert_eq!(of("attempt"), [1, 1, 2]);
        assert_eq!((&all[0]["worker"], &all[2]["worker"]), (&json!("w"), &Value::Null), "of another status");
        assert_eq!((&all[1]["requested_at"], &all[1]["code"]), (&json!("1970-01-01T00:00:01Z"), &Value::Null));
    }
}
