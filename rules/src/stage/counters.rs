//! What the stage counts: what is committed, and nothing twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Totals of committed work since the process began, over all threads of the stage.
#[derive(Debug, Default)]
pub struct MatchCounters {
    totals: Mutex<MatchTotals>,
}

/// What the match stage has done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MatchTotals {
    /// Records that some trigger saw.
    pub events: u64,
    /// Pairs of an event and a trigger where a rule matched.
    pub events_matched: u64,
    /// Rules that matched an event.
    pub matches: u64,
    /// Action requests.
    pub requests: u64,
    /// Criteria that did not match because a field was missing.
    pub missing_fields: u64,
    /// Errors in criteria and parameters, by rule and code.
    pub errors: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Dead letters, by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
}

impl MatchTotals {
    pub(super) fn dead_letter(&mut self, reason: &'static str) {
        *self.dead_letters.entry(reason).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.events_matched += other.events_matched;
        self.matches += other.matches;
        self.requests += other.requests;
        self.missing_fields += other.missing_fields;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        for (reason, count) in other.dead_letters {
            *self.dead_letters.entry(reason).or_default() += count;
        }
    }
}

impl MatchCounters {
    /// The totals now.
    pub fn totals(&self) -> MatchTotals {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, MatchTotals> {
        // Only additions happen under the lock; a panic elsewhere leaves sums that are still right.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows of one rule, code and partition within the current minute.
type RowKey = (Arc<str>, &'static str, u32);

/// What is not committed yet.
#[derive(Debug)]
pub(super) struct Pending {
    counters: Arc<MatchCounters>,
    /// Counts of the open transaction.
    pub now: MatchTotals,
    rows_max: u32,
    /// The minute that `rows` is of.
    minute: i64,
    rows: HashMap<RowKey, u32>,
    /// Rows of the open transaction, to be taken back if it is aborted.
    uncommitted: Vec<RowKey>,
}

impl Pending {
    pub fn new(counters: Arc<MatchCounters>, rows_max: u32) -> Self {
        let (now, rows, uncommitted) = (MatchTotals::default(), HashMap::new(), Vec::new());
        Self { counters, now, rows_max, minute: i64::MIN, rows, uncommitted }
    }

    /// Counts an error; whether the audit trail still takes a row of its kind.
    pub fn error(&mut self, rule: &Arc<str>, code: &'static str, partition: u32, now_ms: i64) -> bool {
        *self.now.errors.entry((rule.clone(), code)).or_default() += 1;
        let minute = now_ms.div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.rows.clear();
            self.uncommitted.clear();
        }
        let key = (rule.clone(), code, partition);
        let rows = self.rows.entry(key.clone()).or_default();
        if *rows >= self.rows_max {
            return false;
        }
        *rows += 1;
        self.uncommitted.push(key);
        true
    }

    pub fn commit(&mut self) {
        self.uncommitted.clear();
        let now = std::mem::take(&mut self.now);
        if now != MatchTotals::default() {
            self.counters.lock().add(now);
        }
    }

    pub fn abort(&mut self) {
        self.now = MatchTotals::default();
        for key in self.uncommitted.drain(..) {
            if let Some(rows) = self.rows.get_mut(&key) {
                *rows = rows.saturating_sub(1);
            }
        }
    }

    /// Another member has the partition now.
    pub fn forget(&mut self, partition: u32) {
        self.rows.retain(|(_, _, of), _| *of != partition);
    }
}
