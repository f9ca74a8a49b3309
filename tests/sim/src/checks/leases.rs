//! No lease is lost of a worker to which nothing has happened yet, whatever happens to its owners and the log.

use crate::history::History;

/// Code of a row that tells of a lost lease.
const LEASE_LOST: &str = "lease_lost";

/// Whoever goes on keeps what it has.
pub fn kept_by_the_unharmed(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, rows) in &history.changes {
        for pair in rows.windows(2) {
            let Some(worker) = pair[0].worker.as_ref() else { continue };
            let unharmed_ms = history.unharmed_ms.get(worker).copied().unwrap_or(i64::MIN);
            // Not by the owner's clock, which may be wrong.
            let at_ms = history.written_ms.get(&(id.clone(), pair[1].sequence)).copied().unwrap_or(i64::MAX);
            if pair[1].code.as_deref() == Some(LEASE_LOST) && at_ms < unharmed_ms {
                let attempt = pair[0].attempt;
                wrong.push(format!("{id}: {worker} lost attempt {attempt} at {at_ms}, and nothing had happened to it"));
            }
        }
    }
    wrong
}
