//! Rules hear of each end of an execution once: the event is written in the transaction that ends it.

use std::collections::BTreeMap;

use petrel_schemas::{EventId, ExecutionId};

use super::executions::is_final;
use crate::history::History;

/// How often each execution has ended, by the id of the event that tells it. One that was forgotten and asked for again
/// ends again; each further end of one that ran again is an event of its own.
fn ended(history: &History) -> BTreeMap<String, usize> {
    let mut ended: BTreeMap<String, usize> = BTreeMap::new();
    for (id, rows) in &history.changes {
        let Ok(id) = ExecutionId::parse(id) else { continue };
        let (mut before, mut runs_again) = ("", false);
        for row in rows {
            runs_again = row.sequence > 1 && (runs_again || is_final(before) && row.status == "resuming");
            if is_final(&row.status) {
                let run = u32::try_from(row.attempt).unwrap_or_default();
                let event = if runs_again { EventId::of_further_end(&id, run) } else { EventId::of_end(&id) };
                *ended.entry(event.into()).or_default() += 1;
            }
            before = &row.status;
        }
    }
    ended
}

/// No end is left out, told twice, or told of what has not ended.
pub fn told_once(history: &History) -> Vec<String> {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for event in &history.ends {
        *told.entry(event.clone()).or_default() += 1;
    }
    let ended = ended(history);
    let wrong = |event: &&String| told.get(*event) != ended.get(*event);
    let events: std::collections::BTreeSet<&String> = told.keys().chain(ended.keys()).collect();
    let wrong = events.iter().copied().filter(|event| wrong(event));
    let times = |map: &BTreeMap<String, usize>, event: &String| map.get(event).copied().unwrap_or(0);
    wrong
        .map(|event| format!("{event} was told {} times, and {} ended so", times(&told, event), times(&ended, event)))
        .collect()
}
