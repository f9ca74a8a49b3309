//! Polling with a deadline: the only place of the tests that sleeps.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks: short against everything that is waited for, long against the cost of a look.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Asks `probe` every 10 ms until it answers `Some` or `timeout` is over; it is asked at least once,
/// and once more at the end, so that a slow machine does not turn an answer into a time-out.
pub fn poll_until<T>(timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let last_look = Instant::now() >= deadline;
        if let Some(found) = probe() {
            return Some(found);
        }
        if last_look {
            return None;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// After `timeout`, naming `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    if poll_until(timeout, || condition().then_some(())).is_none() {
        panic!("waited {timeout:?} in vain for: {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_until_the_answer_comes() {
        let mut looks = 0;
        let found = poll_until(Duration::from_secs(10), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Some(3));
    }

    #[test]
    fn asks_at_least_once_even_without_time() {
        assert_eq!(poll_until(Duration::ZERO, || Some(7)), Some(7));
    }

    #[test]
    #[should_panic(expected = "in vain for: the impossible")]
    fn names_what_never_came() {
        wait_until("the impossible", Duration::from_millis(20), || false);
    }
}
