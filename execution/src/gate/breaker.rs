//! A circuit breaker: closed, open, half open.

/// For how long a breaker that nobody tells anything remembers failures, or a trial, in milliseconds.
pub const BREAKER_MEMORY_MS: i64 = 3_600_000;

/// What a breaker has seen. One that has seen nothing is closed. Instants are by the gate's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Everything passes.
    Closed {
        /// Failures since the last success.
        failures: u32,
        /// When the last of them was.
        last_ms: i64,
    },
    /// Nothing passes.
    Open {
        /// Until then.
        until_ms: i64,
    },
    /// A few pass on trial.
    HalfOpen {
        /// Since when: which trial it is.
        trial_ms: i64,
        /// Probes that are under way.
        under_way: u32,
        /// Probes that have succeeded.
        succeeded: u32,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0, last_ms: 0 }
    }
}

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) failures_max: u32,
    pub(super) open_ms: i64,
    pub(super) probes: u32,
}

impl Breaker {
    /// The same later: an open one may be tried again, and what was long ago says nothing any more.
    pub(super) fn at(self, now_ms: i64) -> Self {
        let tried = match self {
            Self::Open { until_ms } if now_ms >= until_ms => {
                Self::HalfOpen { trial_ms: until_ms, under_way: 0, succeeded: 0 }
            }
            other => other,
        };
        if tried.forgotten_at_ms().is_some_and(|at_ms| now_ms >= at_ms) { Self::default() } else { tried }
    }

    /// The same by the terms that hold now: they may want fewer probes than have succeeded, and no other one would come
    /// whose end closes it.
    pub(super) fn by(self, trip: Trip) -> Self {
        match self {
            Self::HalfOpen { succeeded, .. } if succeeded >= trip.probes => Self::default(),
            other => other,
        }
    }

    /// When it is as one that has seen nothing, if time alone does it.
    pub(super) fn forgotten_at_ms(self) -> Option<i64> {
        let since_ms = match self {
            Self::Closed { failures: 0, .. } => return None,
            Self::Closed { last_ms, .. } => last_ms,
            Self::Open { until_ms } => until_ms,
            Self::HalfOpen { trial_ms, under_way: 0, .. } => trial_ms,
            Self::HalfOpen { .. } => return None,
        };
        Some(since_ms.saturating_add(BREAKER_MEMORY_MS))
    }

    /// Somebody passes; as a probe of which trial, if of one.
    pub(super) fn passed(self) -> (Self, Option<i64>) {
        match self {
            Self::HalfOpen { trial_ms, under_way, succeeded } => {
                (Self::HalfOpen { trial_ms, under_way: under_way + 1, succeeded }, Some(trial_ms))
            }
            other => (other, None),
        }
    }

    /// Somebody who passed, as a probe or not, has ended well, or badly, or says nothing of it.
    pub(super) fn heard(self, trip: Trip, probe: Option<i64>, good: Option<bool>, now_ms: i64) -> Self {
        let open = Self::Open { until_ms: now_ms.saturating_add(trip.open_ms) };
        match (self, good) {
            (Self::Closed { .. }, Some(true)) => Self::default(),
            (Self::Closed { failures, .. }, Some(false)) => match failures.saturating_add(1) {
                failures if failures >= trip.failures_max => open,
                failures => Self::Closed { failures, last_ms: now_ms },
            },
            // Only its own probes tell whether it has become better: what passed before says nothing.
            (Self::HalfOpen { trial_ms, .. }, Some(false)) if probe == Some(trial_ms) => open,
            (Self::HalfOpen { trial_ms, under_way, succeeded }, good) if probe == Some(trial_ms) => {
                let succeeded = succeeded + u32::from(good == Some(true));
                match succeeded >= trip.probes {
                    true => Self::default(),
                    false => Self::HalfOpen { trial_ms, under_way: under_way.saturating_sub(1), succeeded },
                }
            }
            (other, _) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Trip = Trip { failures_max: 2, open_ms: 100, probes: 2 };

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_probes() {
        let trying = |under_way, succeeded| Breaker::HalfOpen { trial_ms: 110, under_way, succeeded };
        let closed = Breaker::default();
        let once = closed.heard(TRIP, None, Some(false), 0);
        assert_eq!(once, Breaker::Closed { failures: 1, last_ms: 0 });
        assert_eq!(once.heard(TRIP, None, None, 0), once, "a canceled one says nothing");
        assert_eq!(once.heard(TRIP, None, Some(true), 0), closed);
        let open = once.heard(TRIP, None, Some(false), 10);
        assert_eq!(open, Breaker::Open { until_ms: 110 });
        assert_eq!(open.at(109), open);
        let (first, probe) = open.at(200).passed();
        assert_eq!((first, probe), (trying(1, 0), Some(110)));
        assert_eq!(first.heard(TRIP, None, Some(false), 220), first, "what passed before it opened says nothing");
        assert_eq!(first.heard(TRIP, Some(5), Some(false), 220), first, "nor does a probe of an earlier trial");
        let one = first.heard(TRIP, probe, Some(true), 220);
        assert_eq!(one, trying(0, 1));
        let (two, _) = one.passed();
        assert_eq!(two.heard(TRIP, probe, Some(true), 230), closed);
        assert_eq!(two.heard(TRIP, probe, Some(false), 230), Breaker::Open { until_ms: 330 });
        assert_eq!(two.heard(TRIP, probe, None, 230), one, "a probe that was canceled leaves its place to another");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let once = Breaker::default().heard(TRIP, None, Some(false), 7);
        assert_eq!(once.at(6 + BREAKER_MEMORY_MS), once);
        assert_eq!(once.at(7 + BREAKER_MEMORY_MS), Breaker::default());
        let open = Breaker::Open { until_ms: 110 };
        assert!(matches!(open.at(109 + BREAKER_MEMORY_MS), Breaker::HalfOpen { .. }));
        assert_eq!(open.at(110 + BREAKER_MEMORY_MS), Breaker::default());
        let (trying, _) = open.at(110).passed();
        assert_eq!(trying.at(i64::MAX), trying, "a probe that is under way is waited for");
    }
}
