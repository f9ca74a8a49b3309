//! Whether an attempt that ended badly is followed by another one, and when: decided by owners, without a hop.

use petrel_schemas::ExecutionId;

use crate::status::Status;

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackOff {
    /// They do not.
    Constant,
    /// Each is twice as long as the one before.
    Exponential,
}

impl BackOff {
    /// As records write it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
        }
    }

    /// Reads it back.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Constant, Self::Exponential].into_iter().find(|back_off| back_off.as_str() == text)
    }
}

/// What an action's `retry:` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Whether a failed attempt is repeated.
    pub on_failure: bool,
    /// Whether one that timed out is repeated.
    pub on_timeout: bool,
    /// Most repetitions.
    pub retries_max: i32,
    /// The first pause, in milliseconds.
    pub delay_ms: i64,
    /// How the others follow from it.
    pub back_off: BackOff,
    /// Longest pause, in milliseconds.
    pub delay_ms_max: i64,
    /// By how much of itself a pause may be shorter, in hundredths, so that what failed together does not come
    /// back together.
    pub jitter_percent: u8,
    /// Longest time from the first dispatch to the beginning of another attempt, in milliseconds.
    pub total_ms_max: Option<i64>,
}

impl Retry {
    /// When the next attempt begins, in milliseconds since the epoch; nothing if there is none. `retries` have been
    /// made, the first attempt was dispatched at `first_ms`.
    pub fn next_ms(&self, ended: Status, id: &ExecutionId, retries: i32, first_ms: i64, now_ms: i64) -> Option<i64> {
        let applies = match ended {
            Status::Failed => self.on_failure,
            Status::Timeout => self.on_timeout,
            _ => false,
        };
        if !applies || retries >= self.retries_max {
            return None;
        }
        let due_ms = now_ms.saturating_add(self.pause_ms(id, retries));
        let is_late = |total_ms_max: i64| due_ms > first_ms.saturating_add(total_ms_max);
        (!self.total_ms_max.is_some_and(is_late)).then_some(due_ms)
    }

    /// The pause before the next attempt, in milliseconds: the same whenever it is asked for.
    fn pause_ms(&self, id: &ExecutionId, retries: i32) -> i64 {
        let doublings = match self.back_off {
            BackOff::Constant => 0,
            BackOff::Exponential => u32::try_from(retries).unwrap_or(0).min(62),
        };
        let pause_ms = self.delay_ms.max(0).saturating_mul(1 << doublings).min(self.delay_ms_max.max(0));
        let shortest_ms = pause_ms - part(pause_ms, u64::from(self.jitter_percent.min(100)), 100);
        shortest_ms + part(pause_ms - shortest_ms, seed(id, retries) >> 32, u64::from(u32::MAX))
    }
}

/// So much of a time.
fn part(ms: i64, share: u64, of: u64) -> i64 {
    let part = i128::from(ms) * i128::from(share) / i128::from(of);
    i64::try_from(part).unwrap_or(i64::MAX)
}

/// A number that looks random and is the same for the same attempt on every machine: FNV-1a, then mixed so that
/// neighbouring attempts have nothing in common.
fn seed(id: &ExecutionId, retries: i32) -> u64 {
    let bytes = id.as_str().bytes().chain(retries.to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        on_failure: true,
        on_timeout: false,
        retries_max: 5,
        delay_ms: 100,
        back_off: BackOff::Exponential,
        delay_ms_max: 1_000,
        jitter_percent: 0,
        total_ms_max: None,
    };

    fn id(name: &str) -> ExecutionId {
        ExecutionId::of_manual(name)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_after_the_last() {
        let pauses: Vec<_> = (0..6).map(|retries| RETRY.next_ms(Status::Failed, &id("x"), retries, 0, 0)).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), Some(800), Some(1_000), None]);
        let constant = Retry { back_off: BackOff::Constant, ..RETRY };
        assert_eq!(constant.next_ms(Status::Failed, &id("x"), 4, 0, 50), Some(150));
        let for_ever = Retry { retries_max: i32::MAX, delay_ms: i64::MAX, delay_ms_max: i64::MAX, ..RETRY };
        assert_eq!(for_ever.next_ms(Status::Failed, &id("x"), 1_000, 0, 5), Some(i64::MAX));
    }

    #[test]
    fn only_what_it_names_is_repeated_and_only_in_its_time() {
        let next = |retry: Retry, ended| retry.next_ms(ended, &id("x"), 0, 0, 450).is_some();
        let both = Retry { on_timeout: true, ..RETRY };
        assert!(next(both, Status::Timeout) && next(both, Status::Failed) && !next(RETRY, Status::Timeout));
        for ended in [Status::Succeeded, Status::Canceled, Status::Abandoned] {
            assert!(!next(both, ended), "{ended:?}");
        }
        assert!(next(Retry { total_ms_max: Some(550), ..RETRY }, Status::Failed));
        assert!(!next(Retry { total_ms_max: Some(549), ..RETRY }, Status::Failed));
    }

    #[test]
    fn jitter_spreads_attempts_and_is_the_same_each_time() {
        let retry = Retry { jitter_percent: 50, delay_ms: 1_000, ..RETRY };
        let pause = |n: u32| retry.next_ms(Status::Failed, &id(&n.to_string()), 0, 0, 0).unwrap();
        let pauses: Vec<i64> = (0..1_000).map(pause).collect();
        assert_eq!(pauses, (0..1_000).map(pause).collect::<Vec<_>>());
        assert!(pauses.iter().all(|ms| (500..=1_000).contains(ms)));
        for from_ms in (500..1_000).step_by(100) {
            let here = pauses.iter().filter(|ms| (from_ms..from_ms + 100).contains(*ms)).count();
            assert!((130..270).contains(&here), "{here} of 1000 from {from_ms}");
        }
    }
}
