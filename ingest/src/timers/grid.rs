//! The instants of an interval timer: `anchor + n * every`, n ≥ 1.

use petrel_catalog::CatchUp;
use petrel_schemas::{TimerDefinition, TimerState};

/// Earliest and latest instant that is used, in milliseconds since the epoch: years 0000 to 9999, what
/// RFC 3339 can write.
const INSTANTS_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// A timer's definition, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    every_ms: i64,
    anchor_ms: i64,
    /// Policy for missed instants.
    pub catch_up: CatchUp,
}

/// Which instants to fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// First instant to fire, in milliseconds since the epoch.
    pub first_ms: i64,
    /// How many, `every_ms` apart; at least one unless instants are only skipped.
    pub count: i64,
    /// How many instants before the first are skipped because a limit was hit (`catch_up: all`).
    pub over_limit: i64,
    /// Last instant that is settled afterwards, fired or skipped.
    pub settled_ms: i64,
}

impl Grid {
    /// Checks a definition.
    ///
    /// # Errors
    /// A sentence for the dead letter.
    pub fn of(definition: &TimerDefinition) -> Result<Self, String> {
        Self::new(definition.every_ms, definition.anchor_ms, &definition.catch_up)
    }

    /// The grid that a state was made of.
    ///
    /// # Errors
    /// A sentence for the dead letter.
    pub fn of_state(state: &TimerState) -> Result<Self, String> {
        Self::new(state.every_ms, state.anchor_ms, &state.catch_up)
    }

    fn new(every_ms: i64, anchor_ms: i64, catch_up: &str) -> Result<Self, String> {
        if every_ms < 1 {
            return Err(format!("the interval of {every_ms} ms is not positive"));
        }
        if !INSTANTS_MS.contains(&anchor_ms) {
            return Err(format!("the anchor {anchor_ms} is out of range"));
        }
        let policies = [CatchUp::None, CatchUp::Last, CatchUp::All];
        let policy = policies.into_iter().find(|policy| policy.as_str() == catch_up);
        let catch_up = policy.ok_or_else(|| format!("catch_up {catch_up:?} is none of none, last, all"))?;
        Ok(Self { every_ms, anchor_ms, catch_up })
    }

    /// Time between two instants, in milliseconds.
    pub fn every_ms(&self) -> i64 {
        self.every_ms
    }

    /// The first instant after both the anchor and `after_ms`; none if it is beyond what can be written.
    pub fn next(&self, after_ms: Option<i64>) -> Option<i64> {
        let after_ms = after_ms.unwrap_or(self.anchor_ms).max(self.anchor_ms);
        let passed = after_ms.checked_sub(self.anchor_ms)? / self.every_ms;
        let next = passed.checked_add(1)?.checked_mul(self.every_ms)?.checked_add(self.anchor_ms)?;
        INSTANTS_MS.contains(&next).then_some(next)
    }

    /// What is due at `now_ms` if everything up to `last_ms` is settled; none if nothing is.
    pub fn due(&self, last_ms: Option<i64>, now_ms: i64, limits: &Limits) -> Option<Due> {
        let next = self.next(last_ms).filter(|next| *next <= now_ms)?;
        let passed = (now_ms - next) / self.every_ms + 1;
        let latest = next + (passed - 1) * self.every_ms;
        let one = Due { first_ms: latest, count: 1, over_limit: 0, settled_ms: latest };
        let due = match self.catch_up {
            CatchUp::Last => one,
            CatchUp::None if now_ms - latest <= limits.on_time_ms => one,
            CatchUp::None => Due { count: 0, ..one },
            CatchUp::All => self.all(next, passed, limits),
        };
        Some(due)
    }

    fn all(&self, next: i64, passed: i64, limits: &Limits) -> Due {
        let over_limit = (passed - limits.catch_up_max).max(0);
        let count = (passed - over_limit).min(limits.fires_max);
        let first_ms = next + over_limit * self.every_ms;
        Due { first_ms, count, over_limit, settled_ms: first_ms + (count - 1) * self.every_ms }
    }
}

/// Bounds of one look at a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// With `catch_up: none`, an instant fires if it is at most that late, in milliseconds.
    pub on_time_ms: i64,
    /// With `catch_up: all`, only that many latest instants fire; at least 1.
    pub catch_up_max: i64,
    /// Most instants to fire at once; at least 1. The others stay due.
    pub fires_max: i64,
}
