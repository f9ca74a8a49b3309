//! How long to wait before a request is sent again.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::fmt::rfc2822::DateTimeParser;
use petrel_execution::runner::Retry;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

/// The pause after so many times, in milliseconds. Where the server does not say it, each is twice as long as the one
/// before. It differs between executions, for many fail together, and should not come again together.
pub(super) fn pause_ms(retry: &Retry, times: u32, asked_ms: Option<u64>, execution_id: &str) -> u64 {
    let chance = chance(execution_id, times);
    // Whoever says "at once" is asked in a loop by whom it says it to.
    if let Some(asked_ms) = asked_ms.filter(|asked_ms| *asked_ms > 0) {
        return asked_ms.saturating_add(part(asked_ms / 10, chance));
    }
    let doubled = 1_u64.checked_shl(times.saturating_sub(1)).unwrap_or(u64::MAX);
    let pause_ms = retry.wait_ms.saturating_mul(doubled).min(retry.wait_max_ms.max(retry.wait_ms));
    pause_ms - part(pause_ms / 4, chance)
}

/// That many of 2^32 parts.
fn part(whole: u64, chance: u32) -> u64 {
    u64::try_from((u128::from(whole) * u128::from(chance)) >> 32).unwrap_or(whole)
}

/// The same for the same execution and time, and evenly spread over all.
fn chance(execution_id: &str, times: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (execution_id, times).hash(&mut hasher);
    // The upper half of it.
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}

/// What the server asks for, in milliseconds: seconds, or a time, from which on one may come again. A time is one of the
/// server's clock, which it tells as well.
pub(super) fn retry_after_ms(headers: &HeaderMap, now_ms: i64) -> Option<u64> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let then_ms = time_ms(said)?;
    let told = headers.get(DATE).map(HeaderValue::to_str).and_then(Result::ok).and_then(time_ms);
    Some(u64::try_from(then_ms.saturating_sub(told.unwrap_or(now_ms))).unwrap_or(0))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn time_ms(text: &str) -> Option<i64> {
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text).ok().map(|time| time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { times: 9, wait_ms: 100, wait_max_ms: 1_000, on: None };
        for (times, longest_ms) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (200, 1_000)] {
            let pause_ms = pause_ms(&retry, times, None, "e-1");
            assert!((longest_ms / 4 * 3..=longest_ms).contains(&pause_ms), "{pause_ms} after {times}");
        }
        let pause_ms = pause_ms(&Retry { wait_max_ms: 5, ..retry }, 2, None, "e-1");
        assert!((75..=100).contains(&pause_ms), "{pause_ms}");
    }

    #[test]
    fn what_failed_together_does_not_come_again_together() {
        let retry = Retry { times: 9, wait_ms: 8_000, wait_max_ms: 8_000, on: None };
        for (asked_ms, from_ms, to_ms) in [(None, 6_000, 8_000), (Some(20_000), 20_000, 22_000)] {
            let pauses: Vec<u64> = (0..1_000).map(|n| pause_ms(&retry, 1, asked_ms, &format!("e-{n}"))).collect();
            assert!(pauses.iter().all(|pause_ms| (from_ms..=to_ms).contains(pause_ms)), "{pauses:?}");
            for quarter in 0..4 {
                let begin = from_ms + quarter * (to_ms - from_ms) / 4;
                let within = pauses.iter().filter(|ms| (begin..begin + (to_ms - from_ms) / 4).contains(*ms)).count();
                assert!((150..350).contains(&within), "{within} of 1000 from {begin} ms");
            }
        }
        assert_eq!(pause_ms(&retry, 1, Some(0), "e-1"), pause_ms(&retry, 1, None, "e-1"));
    }

    #[test]
    fn the_server_says_when_to_come_again() {
        let ask = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
            date.map(|date| headers.insert(DATE, HeaderValue::from_str(date).unwrap()));
            // An hour before what is asked for below.
            retry_after_ms(&headers, 784_108_177_000)
        };
        assert_eq!(ask("120", None), Some(120_000));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", None), Some(3_600_000));
        // By the server's clock it is in a minute.
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun, 06 Nov 1994 08:48:37 GMT")), Some(60_000));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", Some("Mon, 07 Nov 1994 08:48:37 GMT")), Some(0));
        for nothing in ["", "soon", "-5", "1.5"] {
            assert_eq!(ask(nothing, None), None, "{nothing}");
        }
        assert_eq!(retry_after_ms(&HeaderMap::new(), 0), None);
    }
}
