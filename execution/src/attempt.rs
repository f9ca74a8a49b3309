//! Attempts: a number, a fencing token, and why there were several.

/// One dispatch of an execution. Number and token grow with each; a report that carries an older token is
/// dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attempt {
    /// Number, from 1; 0 before the first.
    pub number: i32,
    /// Fencing token, from 1; 0 before the first.
    pub token: i64,
}

impl Attempt {
    /// The attempt after this one.
    pub fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), token: self.token.saturating_add(1) }
    }
}

/// Why attempts were followed by others: three things with three counters, of which only lost leases use up
/// `lost_leases_max`; and how often in a row none began, which makes the next one wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Attempts whose worker was lost.
    pub lost_leases: i32,
    /// Attempts that failed and were repeated by a policy.
    pub failures: i32,
    /// Attempts that a worker gave back, because it shut down or lacked what they take.
    pub hand_overs: i32,
    /// Attempts, up to the last one and one after the other, that were given back before they began or because their
    /// workers lacked something.
    pub not_begun: i32,
}
