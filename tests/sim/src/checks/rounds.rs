//! What no worker begins does not go round as fast as it goes.

use petrel_schemas::ExecutionChanged;

use crate::history::History;

/// Attempts given back before they began, one after the other, that are each followed by the next one at once.
const AT_ONCE_MAX: usize = 2;

/// After a few attempts that were given back before they began, an execution waits for the next one.
pub fn ever_slower(history: &History) -> Vec<String> {
    history.changes.iter().flat_map(|(id, rows)| of_one(id, rows)).collect()
}

fn of_one(id: &str, rows: &[ExecutionChanged]) -> Vec<String> {
    let (mut wrong, mut not_begun) = (Vec::new(), 0);
    for pair in rows.windows(2) {
        let (before, row) = (&pair[0], &pair[1]);
        if before.status != "running" {
            continue;
        }
        let is_not_begun = row.error.as_ref().is_some_and(|error| error.contains("before it began"));
        not_begun = if is_not_begun { not_begun + 1 } else { 0 };
        if not_begun > AT_ONCE_MAX && row.status == "scheduled" {
            wrong.push(format!("{id}: attempt {} follows {not_begun} that never began, at once", row.attempt));
        }
    }
    wrong
}
