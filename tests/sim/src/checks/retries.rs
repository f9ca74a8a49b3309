//! What fails is tried again as often as its action says, and no more.

use petrel_schemas::ExecutionChanged;

use crate::history::History;
use crate::pack::{RETRIED, RETRIES};

fn repetitions(rows: &[ExecutionChanged]) -> usize {
    let again = rows.iter().filter(|row| row.status == "delayed" && row.code.as_deref() == Some("back_off"));
    // What waits for the end of a pause may be told to wait once more: it is one repetition of one attempt.
    let mut attempts: Vec<i32> = again.map(|row| row.attempt).collect();
    attempts.dedup();
    attempts.len()
}

/// Nothing is repeated that does not ask for it, and nothing more often than it asks.
pub fn never_too_many(history: &History) -> Vec<String> {
    let too_many = |(id, rows): (&String, &Vec<ExecutionChanged>)| {
        let action = &rows.first()?.action;
        let most = if action == RETRIED { RETRIES } else { 0 };
        let found = repetitions(rows);
        (found > most).then(|| format!("{id} ({action}) was tried again {found} times"))
    };
    history.changes.iter().filter_map(too_many).collect()
}

/// What ended badly, by what its own worker says of it, has been tried as often as it may be.
pub fn none_missing(history: &History) -> Vec<String> {
    let given_up = |(id, rows): (&String, &Vec<ExecutionChanged>)| {
        let (last, before) = rows.split_last()?;
        let ran = before.last().is_some_and(|row| row.status == "running");
        let badly = ran && matches!(last.status.as_str(), "failed" | "timeout") && last.action == RETRIED;
        let found = repetitions(rows);
        (badly && found < RETRIES)
            .then(|| format!("{id} is {} after {found} repetitions: {:?}", last.status, last.error))
    };
    history.changes.iter().filter_map(given_up).collect()
}
