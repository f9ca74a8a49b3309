//! Rules that are too expensive to be asked.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use petrel_cel::Fault;

use crate::limits::BUDGET_FAULTS_MAX;

/// Counts, for the rules of a segment, how often each used up its budget. An evaluation that does costs
/// about a millisecond: a rule that does it for every event would hold up all others. It is shared by the
/// threads of a process and not kept: other processes, and a revision that compiles the rules again, begin
/// anew.
#[derive(Debug)]
pub(super) struct Quarantine {
    faults: Box<[AtomicU8]>,
    /// Whether any rule is out, so that the usual case reads one flag.
    any: AtomicBool,
}

impl Quarantine {
    pub fn new(rules: usize) -> Self {
        Self { faults: (0..rules).map(|_| AtomicU8::new(0)).collect(), any: AtomicBool::new(false) }
    }

    /// Whether a rule is out.
    #[inline(always)]
    pub fn holds(&self, rule: usize) -> bool {
        self.any.load(Ordering::Relaxed) && self.faults[rule].load(Ordering::Relaxed) >= BUDGET_FAULTS_MAX
    }

    /// Notes what a rule failed with.
    pub fn note(&self, rule: usize, fault: &Fault<'_>) {
        if fault.is_final() {
            self.blame(rule);
        }
    }

    #[cold]
    fn blame(&self, rule: usize) {
        // Threads that count at the same moment go a little beyond the limit, never around it.
        if self.faults[rule].fetch_add(1, Ordering::Relaxed) + 1 >= BUDGET_FAULTS_MAX {
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// The rules that are out.
    pub fn rules(&self) -> impl Iterator<Item = usize> {
        let out = |faults: &AtomicU8| faults.load(Ordering::Relaxed) >= BUDGET_FAULTS_MAX;
        self.faults.iter().enumerate().filter(move |(_, faults)| out(faults)).map(|(rule, _)| rule)
    }
}
