//! The clock of a gate.

/// A clock that goes on by what the partition's clock goes on, and stands where that goes back: no window ends early,
/// and no bucket waits for a time that was once told too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// The gate's own time, in milliseconds; its beginning means nothing.
    pub time_ms: i64,
    /// What the partition's clock said then, in milliseconds since the epoch.
    pub wall_ms: i64,
}

impl Clock {
    /// A clock that begins now.
    pub(super) const fn begin(now_ms: i64) -> Self {
        Self { time_ms: now_ms, wall_ms: now_ms }
    }

    /// The same now.
    pub(super) fn at(self, now_ms: i64) -> Self {
        let passed_ms = now_ms.saturating_sub(self.wall_ms).max(0);
        Self { time_ms: self.time_ms.saturating_add(passed_ms), wall_ms: now_ms }
    }

    /// When the partition's clock will say it, in milliseconds since the epoch.
    pub fn wall(self, time_ms: i64) -> i64 {
        match time_ms {
            i64::MAX => i64::MAX,
            _ => self.wall_ms.saturating_add(time_ms.saturating_sub(self.time_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_where_the_clock_goes_back_and_goes_on_at_once() {
        let clock = Clock::begin(1_000).at(1_500).at(200);
        assert_eq!(clock, Clock { time_ms: 1_500, wall_ms: 200 });
        assert_eq!(clock.at(300).time_ms, 1_600, "it does not wait for 1500 to come again");
        assert_eq!((clock.wall(1_510), clock.wall(i64::MAX)), (210, i64::MAX));
    }
}
