//! A final status is the current attempt's: nothing of an attempt that was given up is believed.

use crate::checks::executions::is_final;
use crate::history::History;

/// What the accepted attempt wrote names the attempt that the execution was in.
pub fn nothing_stale(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, outputs) in &history.outputs {
        for output in outputs {
            let wrote = output.content.split(' ').nth(1).and_then(|n| n.parse::<i32>().ok());
            if wrote != Some(output.attempt) {
                wrong.push(format!("{id}: output of attempt {}, and it says {:?}", output.attempt, output.content));
            }
        }
        let mut attempts: Vec<i32> = outputs.iter().map(|o| o.attempt).collect();
        let count = attempts.len();
        attempts.dedup();
        if attempts.len() < count {
            wrong.push(format!("{id}: an attempt's output was taken twice"));
        }
    }
    wrong.extend(history.changes.iter().filter_map(|(id, rows)| {
        let last = rows.last().filter(|row| is_final(&row.status))?;
        // Tasks are attempts that went over the log; those beside an owner are known by their rows alone.
        let tasks = history.tasks.iter().filter(|t| t.execution_id == *id).map(|t| t.attempt);
        let newest = tasks.chain(rows.iter().map(|row| row.attempt)).max()?;
        let finished = matches!(last.status.as_str(), "succeeded" | "failed") && last.worker.is_some();
        (finished && last.attempt != newest)
            .then(|| format!("{id} {} in attempt {}, and attempt {newest} was given out", last.status, last.attempt))
    }));
    wrong
}
