//! The tables have a row for everything that the audit trail says, by its key, and no row twice.

use std::collections::BTreeMap;

use crate::history::History;

type At<'a> = (&'a str, u32, i64);

/// Everything is there.
pub fn complete(history: &History) -> Vec<String> {
    let mut rows: BTreeMap<At<'_>, usize> = BTreeMap::new();
    for row in &history.rows {
        *rows.entry((&row.topic, row.partition, row.offset)).or_default() += 1;
    }
    let missing = history.audited.iter().filter(|(topic, p, o)| !rows.contains_key(&(topic.as_str(), *p, *o)));
    missing.map(|at| format!("{at:?} has no row")).collect()
}

/// Nothing is there twice, unless it was written from the beginning again, for the log had forgotten what was
/// written: the tables make one row of such.
pub fn none_twice(history: &History) -> Vec<String> {
    if history.rows_again {
        return Vec::new();
    }
    let mut rows = history.rows.clone();
    rows.sort();
    rows.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| format!("{:?} is there twice", pair[0])).collect()
}
