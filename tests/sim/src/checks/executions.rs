//! What the audit trail says of an execution: every row once and none left out, every step a legal one,
//! one final status and nothing behind it.

use petrel_schemas::ExecutionChanged;

use crate::history::History;
use crate::product::{NOT_BEGUN_PAUSE_MS_MAX, SCHEDULE_TO_START_MS};

/// Longest pause between two attempts, in milliseconds: those of retries are shorter.
const PAUSE_MS_MAX: i64 = NOT_BEGUN_PAUSE_MS_MAX;

/// The steps that an execution may take, told without the code that takes them.
const EDGES: [(&str, &[&str]); 5] = [
    ("", &["delayed", "scheduled", "failed", "canceled"]),
    ("delayed", &["delayed", "scheduled", "failed", "timeout", "canceled"]),
    ("scheduled", &["delayed", "running", "canceling", "failed", "timeout"]),
    ("running", &["delayed", "scheduled", "canceling", "succeeded", "failed", "timeout", "canceled", "abandoned"]),
    ("canceling", &["succeeded", "failed", "timeout", "canceled"]),
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
        if !is_edge {
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

/// Whether it still waits for a worker, or in a pause between two attempts, because the clock of the owner that
/// dispatched it, or began the pause, was ahead of that of the owner that it has now: for no longer than it was.
/// Declines do not give it more time.
fn waits_by_a_clock_ahead(history: &History, id: &str) -> bool {
    let (rows, now_ms) = (history.changes.get(id).map_or(&[][..], Vec::as_slice), history.owner_ms(id));
    let is_pause = |row: &&ExecutionChanged| row.status == "delayed" && row.code.as_deref() == Some("back_off");
    if let Some(pause) = rows.last().filter(is_pause) {
        return now_ms < pause.changed_at_ms + PAUSE_MS_MAX;
    }
    let is_waiting = |row: &&ExecutionChanged| matches!(row.status.as_str(), "delayed" | "scheduled" | "canceling");
    let waiting = rows.iter().rev().take_while(is_waiting);
    let first = waiting.filter(|row| row.status == "scheduled").last();
    first.is_some_and(|row| now_ms < row.changed_at_ms + SCHEDULE_TO_START_MS)
}

/// Nobody runs what nobody has asked for.
pub fn asked_for(history: &History) -> Vec<String> {
    let asked: std::collections::BTreeSet<&str> = history.requests.iter().map(|r| r.execution_id.as_str()).collect();
    let unasked = history.changes.keys().filter(|id| !asked.contains(id.as_str()));
    unasked.map(|id| format!("{id} was never asked for")).collect()
}
