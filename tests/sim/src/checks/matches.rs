//! The audit trail has one row for each request of a rule, and none without.

use std::collections::BTreeMap;

use crate::history::History;

/// As many rows as requests, for every execution.
pub fn one_row_a_request(history: &History) -> Vec<String> {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    for request in history.requests.iter().filter(|request| request.rule.is_some()) {
        *balance.entry(&request.execution_id).or_default() += 1;
    }
    for row in &history.matches {
        *balance.entry(&row.execution_id).or_default() -= 1;
    }
    balance.iter().filter(|(_, n)| **n != 0).map(|(id, n)| format!("{id} has {n} requests more than rows")).collect()
}
