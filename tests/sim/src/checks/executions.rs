//! What the audit trail says of an execution: every row once and none left out, every step a legal one,
//! one final status and nothing behind it.

use petrel_schemas::ExecutionChanged;

use crate::history::History;
use crate::pack::{RETRIED, RETRY_PAUSE_MS_MAX, SWITCHED_MS};
use crate::product::SCHEDULE_TO_START_MS;
use crate::workflows::is_workflow;
use crate::workflows::people::ASK;
use crate::workflows::random::TASK_DELAY_MS_MAX;

/// The steps that an execution may take, told without the code that takes them.
const EDGES: [(&str, &[&str]); 9] = [
    ("", &["delayed", "scheduled", "failed", "canceled"]),
    ("delayed", &["delayed", "scheduled", "paused", "failed", "timeout", "canceled"]),
    ("scheduled", &["delayed", "running", "canceling", "failed", "timeout"]),
    (
        "running",
        &[
            "delayed",
            "scheduled",
            "pausing",
            "pending",
            "canceling",
            "succeeded",
            "failed",
            "timeout",
            "canceled",
            "abandoned",
        ],
    ),
    ("pausing", &["running", "paused", "pending", "canceling", "succeeded", "failed", "timeout", "canceled"]),
    (
        "pending",
        &["running", "pausing", "paused", "resuming", "canceling", "succeeded", "failed", "timeout", "canceled"],
    ),
    ("paused", &["paused", "resuming", "canceling", "failed", "timeout", "canceled"]),
    ("resuming", &["resuming", "scheduled", "running", "paused", "canceling", "failed", "timeout", "canceled"]),
    ("canceling", &["canceling", "succeeded", "failed", "timeout", "canceled"]),
];

const FINAL: [&str; 5] = ["succeeded", "failed", "timeout", "canceled", "abandoned"];

/// Whether nothing follows a status.
pub fn is_final(status: &str) -> bool {
    FINAL.contains(&status)
}

/// Rows are numbered without a gap, and each step is legal.
pub fn legal(history: &History) -> Vec<String> {
    history.changes.iter().flat_map(|(id, rows)| of_one(id, rows)).collect()
}

fn of_one(id: &str, rows: &[ExecutionChanged]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut before, mut sequence, mut attempt) = ("", rows.first().map_or(0, |r| r.sequence - 1), 0);
    for row in rows {
        if row.sequence != sequence + 1 {
            wrong.push(format!("{id}: row {} comes after row {sequence}", row.sequence));
        }
        let is_edge = EDGES.iter().any(|(from, to)| *from == before && to.contains(&row.status.as_str()));
        let runs_again = is_final(before) && row.status == "resuming" && is_workflow(&row.action) && !id.contains('.');
        if !is_edge && !runs_again {
            wrong.push(format!("{id}: {:?} came after {before:?}", row.status));
        }
        if row.attempt < attempt {
            wrong.push(format!("{id}: attempt {} came after attempt {attempt}", row.attempt));
        }
        (before, sequence, attempt) = (&row.status, row.sequence, row.attempt);
    }
    if rows.first().is_some_and(|row| row.sequence > 1) {
        wrong.push(format!("{id}: its first row is number {}", rows[0].sequence));
    }
    wrong
}

/// Everything that was asked for has come to its end.
pub fn all_over(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for request in &history.requests {
        let id = &request.execution_id;
        match history.changes.get(id).and_then(|rows| rows.last()) {
            None => wrong.push(format!("{id} was asked for and nobody has heard of it")),
            Some(row) if !is_final(&row.status) && !waits_by_a_clock_ahead(history, id) => {
                let (status, attempt) = (&row.status, row.attempt);
                wrong.push(format!("{id} ({}) is still {status} in attempt {attempt}, {:?}", row.action, row.error));
            }
            Some(_) => {}
        }
    }
    wrong.dedup();
    wrong
}

/// Whether it still waits for a worker, for its retry, or for a switch, because the clock of the owner that dispatched it, or began
/// the pause, was ahead of that of the owner that it has now: for no longer than it was. Declines do not give it more
/// time.
pub fn waits_by_a_clock_ahead(history: &History, id: &str) -> bool {
    let (rows, now_ms) = (history.changes.get(id).map_or(&[][..], Vec::as_slice), history.owner_ms(id));
    if let Some(pause) = rows.last().filter(|row| is_pause_of_a_retry(row)) {
        return now_ms < pause.changed_at_ms + RETRY_PAUSE_MS_MAX;
    }
    if let Some(off) = rows.last().filter(|row| row.status == "delayed" && row.code.as_deref() == Some("action_off")) {
        return now_ms < off.changed_at_ms + SWITCHED_MS;
    }
    let is_task = |row: &&ExecutionChanged| row.status == "delayed" && row.code.as_deref() == Some("task_delay");
    if let Some(delayed) = rows.last().filter(is_task) {
        return now_ms < delayed.changed_at_ms + TASK_DELAY_MS_MAX;
    }
    // Its default comes, however far the times of its pauses have moved that.
    if rows.last().is_some_and(|row| row.status == "pending" && row.action == ASK) {
        return true;
    }
    let is_waiting = |row: &&ExecutionChanged| matches!(row.status.as_str(), "delayed" | "scheduled" | "canceling");
    let waiting = rows.iter().rev().take_while(is_waiting);
    let first = waiting.filter(|row| row.status == "scheduled").last();
    first.is_some_and(|row| now_ms < row.changed_at_ms + SCHEDULE_TO_START_MS)
}

/// Others back off, too, such as what no worker has begun.
fn is_pause_of_a_retry(row: &ExecutionChanged) -> bool {
    let ended_badly = format!("attempt {} ", row.attempt);
    row.action == RETRIED
        && row.status == "delayed"
        && row.code.as_deref() == Some("back_off")
        && row.error.as_ref().is_some_and(|error| error.starts_with(&ended_badly))
}

/// Nobody runs what nobody has asked for, or for the sake of it.
pub fn asked_for(history: &History) -> Vec<String> {
    let asked: std::collections::BTreeSet<&str> = history.requests.iter().map(|r| r.execution_id.as_str()).collect();
    let is_unasked = |id: &&String| !asked.contains(id.split('.').next().unwrap_or_default());
    let unasked = history.changes.keys().filter(is_unasked);
    unasked.map(|id| format!("{id} was never asked for")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BEGAN_MS: i64 = 1_000_000;

    /// One execution that was asked for, with this as its last row; by the clock of its owner, which is not the only one.
    fn left(owner_ms: i64, change: impl FnOnce(&mut ExecutionChanged)) -> Vec<String> {
        let common = json!({
            "execution_id": "x", "root_execution_id": "x", "action": RETRIED, "parameters": "{}", "revision": "r",
            "requested_by": "rule", "requested_at_ms": 0,
        });
        let with = |more: Value| {
            let mut record = common.clone();
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record
        };
        let request = json!({ "action_index": 0, "redrive": 0, "kv_version": 0, "cause_depth": 0 });
        let row = json!({
            "sequence": 9, "status": "delayed", "code": "back_off", "changed_at_ms": BEGAN_MS, "attempt": 2,
            "error": "attempt 2 failed: exit_code",
        });
        let request = serde_json::from_value(with(request)).unwrap();
        let mut row = serde_json::from_value(with(row)).unwrap();
        change(&mut row);
        all_over(&History {
            requests: vec![request],
            changes: [("x".to_owned(), vec![row])].into(),
            partitions: [("x".to_owned(), 1)].into(),
            owners_ms: [(0, BEGAN_MS - 700_000), (1, owner_ms)].into(),
            ..History::default()
        })
    }

    #[test]
    fn a_pause_is_excused_until_it_is_over_by_the_clock_of_its_own_owner() {
        assert_eq!(left(BEGAN_MS - 700_000, |_| {}), [""; 0]);
        assert_eq!(left(BEGAN_MS + RETRY_PAUSE_MS_MAX - 1, |_| {}), [""; 0]);
        assert_eq!(left(BEGAN_MS + RETRY_PAUSE_MS_MAX, |_| {}).len(), 1, "whatever the clocks of others say");
    }

    #[test]
    fn no_other_wait_without_a_task_is_excused() {
        let early_ms = BEGAN_MS - 700_000;
        let changes: [fn(&mut ExecutionChanged); 3] = [
            |row| row.code = Some("gate".to_owned()),
            |row| row.error = Some("worker w gave attempt 2 back before it began".to_owned()),
            |row| row.action = "sim.page".to_owned(),
        ];
        for change in changes {
            assert_eq!(left(early_ms, change).len(), 1);
        }
        assert_eq!(left(early_ms, |row| row.status = "scheduled".to_owned()), [""; 0]);
    }
}
